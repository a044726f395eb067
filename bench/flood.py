"""`python -m bench.flood`: whether documents and introspection stay quick while passwords and slow uploads flood in.

The service runs as users start it, with argon2 as shipped, behind a proxy: the flood comes from everywhere, so that no
address is throttled and no address has too many connections. All phases are measured in turn, round after round, so
that a slow minute of the machine meets all of them.
"""

import asyncio
import itertools
import random
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Final

import click
import uvloop
from msgspec import Struct
from msgspec.structs import replace

from bench import cores, report, server, wire
from bench.folder import APPLICATION, REPORTER, SECRET, SERVICE, Folder
from bench.options import folder_option, json_option
from bench.report import Machine, Target
from bench.rounds import Spread, spread
from bench.wire import FORM, Message
from bench.workloads import ISSUE
from jwtauth import settings
from jwtauth.cli.running import with_store
from jwtauth.passwords import Passwords
from jwtauth.protocol.records import User
from jwtauth.store.ports import Store

P99: Final = Target(value=50, is_most=True)
"""Milliseconds, whatever the flood."""

EVERY_IN: Final = 0.01
"""Each question is asked once in so many seconds, on a connection of its own, unless the answer before is late."""

WARM_UP_IN: Final = 1.0
"""A flood has risen for so many seconds before anything counts."""

CONNECTIONS: Final = 200
"""Connections of the password flood; each sends the next password as soon as it has an answer, Retry-After or not."""

UPLOADS: Final = 500
"""Slow uploads at once; each sends a byte a second, and begins anew when it is refused."""

PEOPLE: Final = 256
"""People whose right passwords come in; every second password is that of somebody unknown."""

PASSWORD: Final = "correct horse battery staple"
_SLOW_HEAD: Final = (
    f"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM}\r\nContent-Length: 60000\r\n\r\n"
).encode()


class Question(Struct, frozen=True):
    """What is asked again and again."""

    name: str
    request: bytes
    marker: bytes


class Asked(Struct, frozen=True):
    """One question during one phase of one round: milliseconds until its answer."""

    answers: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


class Quickness(Struct, frozen=True, kw_only=True):
    """One question during one phase, over all rounds."""

    phase: str
    question: str
    answers: int
    p50_ms: Spread
    p99_ms: Spread
    worst_ms: float


class Flooding(Struct, frozen=True, kw_only=True):
    """What became of a flood, over all rounds."""

    phase: str
    answers: dict[str, float]
    """By status, in a second."""


class Flood(Struct, frozen=True, kw_only=True):
    """Everything that one run found."""

    machine: Machine
    quickness: tuple[Quickness, ...]
    floods: tuple[Flooding, ...]


Statuses = dict[str, int]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Pour = Callable[[int, float, Statuses], Coroutine[None, None, None]]


def ask(port: int, questions: tuple[Question, ...], seconds: float) -> list[Asked]:
    """Ask every question for so long, in a process of its own.

    Raises:
        AssertionError: an answer is not the right one.
    """
    return uvloop.run(_ask_all(port, questions, seconds))


def flood(port: int, kind: str, seconds: float) -> Statuses:
    """Flood for so long, in a process of its own; returns how many answers of each status came."""
    statuses: Statuses = {}
    uvloop.run(_KINDS[kind](port, seconds, statuses))
    return statuses


async def _ask_all(port: int, questions: tuple[Question, ...], seconds: float) -> list[Asked]:
    await asyncio.sleep(WARM_UP_IN)
    return await asyncio.gather(*(_ask(port, question, seconds) for question in questions))


async def _ask(port: int, question: Question, seconds: float) -> Asked:
    stream = await asyncio.open_connection("127.0.0.1", port)
    taken = array("d")
    until = time.perf_counter() + seconds
    while (asked_at := time.perf_counter()) < until:
        stream[1].write(question.request)
        status, body = await _answer(stream)
        answered_at = time.perf_counter()
        taken.append((answered_at - asked_at) * 1000)
        assert status == "200", f"{question.name} was answered {status}"
        assert question.marker in body, f"{question.name} was answered {body[:300]!r}"
        await asyncio.sleep(max(0.0, asked_at + EVERY_IN - answered_at))
    stream[1].close()
    ascending = sorted(taken)
    return Asked(len(ascending), median(ascending), ascending[int(len(ascending) * 0.99)], ascending[-1])


async def _answer(stream: Stream) -> tuple[str, bytes]:
    head = (await stream[0].readuntil(b"\r\n\r\n")).lower()
    _, _, rest = head.partition(b"content-length:")
    length = int(rest.partition(b"\r\n")[0])
    return head[9:12].decode(), await stream[0].readexactly(length)


async def _passwords(port: int, seconds: float, statuses: Statuses) -> None:
    numbers = itertools.count()

    async def pour(stream: Stream) -> None:
        stream[1].write(_password(next(numbers)))
        _count(statuses, (await _answer(stream))[0])

    await _many(CONNECTIONS, port, seconds, pour)


async def _uploads(port: int, seconds: float, statuses: Statuses) -> None:
    async def pour(stream: Stream) -> None:
        stream[1].write(_SLOW_HEAD)
        answer = asyncio.ensure_future(_answer(stream))
        try:
            while not answer.done():
                stream[1].write(b"a")
                await asyncio.wait([answer], timeout=1)
            _count(statuses, answer.result()[0])
        finally:
            answer.cancel()

    await _many(UPLOADS, port, seconds, pour)


async def _both(port: int, seconds: float, statuses: Statuses) -> None:
    await asyncio.gather(_passwords(port, seconds, statuses), _uploads(port, seconds, statuses))


_KINDS: Final[dict[str, Pour]] = {"passwords": _passwords, "slow uploads": _uploads, "both": _both}


async def _many(connections: int, port: int, seconds: float, pour: Callable[[Stream], Awaitable[None]]) -> None:
    """So many connections, each doing it again and again; one that the server closes is opened anew."""

    async def keep_on() -> None:
        while True:
            stream = await asyncio.open_connection("127.0.0.1", port)
            try:
                while True:
                    await pour(stream)
            except (OSError, asyncio.IncompleteReadError):
                continue
            finally:
                stream[1].close()

    tasks = [asyncio.create_task(keep_on()) for _ in range(connections)]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _password(number: int) -> bytes:
    """By turns the right one of somebody and a wrong one of nobody, each from another address."""
    username = f"person-{number % PEOPLE}" if number % 2 else f"stranger-{number}"
    asked = wire.post(
        "/oauth/token",
        authorization=wire.basic(APPLICATION, SECRET),
        grant_type="password",
        username=username,
        password=PASSWORD,
    )
    address = ".".join(["10", *(str(random.randrange(256)) for _ in range(3))])
    return replace(asked, headers={**asked.headers, "X-Forwarded-For": address}).encode()


def _count(statuses: Statuses, status: str) -> None:
    statuses[status] = statuses.get(status, 0) + 1


def _folder(path: Path) -> Folder:
    """A folder with people, behind a proxy."""
    folder = Folder(path, port=server.free_port())
    with (path / settings.FILE_NAME).open("a", encoding="utf-8") as file:
        file.write('trusted_proxies = ["127.0.0.1"]\n')
    chosen = folder.source.settings
    passwords = Passwords(memory=chosen.argon2_memory, passes=chosen.argon2_passes, threads=1, queue=0)
    hashed = passwords.hash(PASSWORD)
    passwords.close()

    async def work(store: Store) -> None:
        realm = (await store.administration.realms())[0]
        for number in range(PEOPLE):
            name = f"person-{number}"
            person = User(id=0, sub=f"u.{number:016}", username=name, roles={realm.name: ()}, password_hash=hashed)
            await store.administration.create_user(person, now=0)

    with_store(folder.source, work)
    return folder


def _questions(port: int) -> tuple[Question, ...]:
    token = wire.ask(port, ISSUE).partition(b'"access_token":"')[2].partition(b'"')[0].decode("ascii")
    introspection = wire.post("/oauth/introspect", authorization=wire.basic(REPORTER, SECRET), token=token)
    return (
        Question("metadata", Message(path="/.well-known/oauth-authorization-server").encode(), b'"issuer"'),
        Question("JWKS", Message(path="/.well-known/jwks.json").encode(), b'"keys"'),
        Question("introspection", introspection.encode(), f'"client_id":"{SERVICE}"'.encode()),
    )


class Phases:
    """One run: the questions alone and during each kind of flood."""

    def __init__(self, path: Path, *, seconds: float, running: ExitStack) -> None:
        self._seconds = seconds
        self._cores = cores.share()
        folder = _folder(path / "folder")
        starting = server.serve(folder.path, port=folder.port, place=self._cores.server, readiness=ISSUE)
        self._port = running.enter_context(starting).port
        self._questions = _questions(self._port)
        first, last = self._cores.generators[0], self._cores.generators[-1]
        self._asking, self._flooding = (running.enter_context(_process(place)) for place in (first, last))
        self._asked: dict[tuple[str, str], list[Asked]] = {}
        self._statuses: dict[str, Statuses] = {}
        self._flooded_in = 0.0

    def run(self, rounds: int) -> Flood:
        """All phases in turn, so many times over."""
        for _ in range(rounds):
            for phase in ("alone", *_KINDS):
                click.echo(f"  {phase} ...", err=True)
                self._measure(phase)
        return Flood(
            machine=report.machine(pinned=self._cores.are_pinned),
            quickness=tuple(_quickness(*names, asked) for names, asked in self._asked.items()),
            floods=tuple(_flooding(phase, found, self._flooded_in) for phase, found in self._statuses.items()),
        )

    def _measure(self, phase: str) -> None:
        lasts_in = WARM_UP_IN + self._seconds + 0.5
        flooding: Future[Statuses] | None = None
        if phase in _KINDS:
            flooding = self._flooding.submit(flood, self._port, phase, lasts_in)
        asked = self._asking.submit(ask, self._port, self._questions, self._seconds).result()
        for question, found in zip(self._questions, asked, strict=True):
            self._asked.setdefault((phase, question.name), []).append(found)
        if flooding is not None:
            self._note(phase, flooding.result())

    def _note(self, phase: str, found: Statuses) -> None:
        statuses = self._statuses.setdefault(phase, {})
        for status, count in found.items():
            statuses[status] = statuses.get(status, 0) + count
        self._flooded_in += (WARM_UP_IN + self._seconds + 0.5) / len(_KINDS)


def _process(place: frozenset[int]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=cores.pin, initargs=(0, place))


def _quickness(phase: str, question: str, asked: list[Asked]) -> Quickness:
    return Quickness(
        phase=phase,
        question=question,
        answers=sum(each.answers for each in asked),
        p50_ms=spread([each.p50_ms for each in asked]),
        p99_ms=spread([each.p99_ms for each in asked]),
        worst_ms=max(each.worst_ms for each in asked),
    )


def _flooding(phase: str, found: Statuses, seconds: float) -> Flooding:
    return Flooding(phase=phase, answers={status: count / seconds for status, count in sorted(found.items())})


def _tell(found: Flood) -> str:
    lines = [("flood", "question", "answers", "p50 ms", "p99 ms", "min..max", "worst ms", f"p99 {P99}")]
    for each in found.quickness:
        p99 = each.p99_ms
        lines.append(
            (
                *(each.phase, each.question, f"{each.answers:,}", f"{each.p50_ms.median:.1f}", f"{p99.median:.1f}"),
                *(f"{p99.min:.1f}..{p99.max:.1f}", f"{each.worst_ms:.1f}", P99.verdict(p99.median)),
            )
        )
    floods = [
        f"{each.phase}: " + ", ".join(f"{rate:,.0f} × {status}" for status, rate in each.answers.items())
        for each in found.floods
    ]
    return "\n".join([report.table(lines), "", "What the floods were answered, in a second:", *floods])


@click.command()
@click.option("--quick", is_flag=True, help="Measure for 2 seconds at a time.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds of all phases.")
@folder_option
@json_option
def main(quick: bool, rounds: int, folder: Path | None, json_file: Path | None) -> None:
    """Measure answers while passwords and slow uploads flood in; about 1 minute with --quick, 3 without."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="jwtauth-bench-") as path, ExitStack() as running:
        found = Phases(Path(path), seconds=2.0 if quick else 12.0, running=running).run(rounds)
    click.echo(_tell(found))
    if json_file is not None:
        report.write(found, json_file)


if __name__ == "__main__":
    main()
