"""`python -m bench.memory`: whether a worker stays as small as it is, however long it serves.

What a worker holds must follow from what is alive, not from what was asked. So everything here is short-lived: tokens,
grants and revocations end after a minute or a few, and each turn brings new ones, more than every cache holds. A few
million requests then see as many ends as hundreds of millions would with the lifetimes of a real service.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import linear_regression
from typing import Any, Final
from urllib.parse import urlsplit

import click
import jwt
from msgspec import Struct
from msgspec.structs import replace

from bench import crowd, report, rounds, server, wire, workloads
from bench.folder import SECRET, Folder
from bench.generators import Generators
from bench.load import LoadFailed, Outcome, Plan, Replay, Timing
from bench.options import folder_option, json_option
from bench.proof import JWKS
from bench.report import MEGABYTE, Figure, Machine, Target
from bench.rounds import ONCE
from bench.server import Server
from bench.suite import IDLE, LOADED, MILLION
from bench.wire import Message
from bench.workloads import ISSUE
from jwtauth import settings
from jwtauth.cli.running import with_store
from jwtauth.issuer.access_tokens import REMEMBERED
from jwtauth.store.ports import Store

LIFE_IN: Final = 60
"""For so many seconds tokens and grants live; an entry of the denylist three times as long."""

CLIENTS: Final = 200
TOKENS: Final = REMEMBERED + 2_712
"""New tokens of each turn that are asked about: all that is remembered of the last turn is forgotten."""

REVOKED: Final = 500
"""Tokens of each turn that are revoked."""

GRANTS: Final = 1_024
"""New grants of each turn, which are refreshed until it ends and never again."""

REFRESHED_IN: Final = 1.5
"""For so many seconds of each turn."""

FETCHED: Final = 5_000
"""How often a turn fetches each document."""

ANYWHERE: Final[frozenset[int]] = frozenset()
"""Nothing is pinned: how fast it goes does not matter."""

LEAST: Final = 200_000
"""Fewer requests fill no cache, and no line goes through the steps of a single turn."""

FLAT: Final = Target(value=1, is_most=True)
"""Megabytes that a million requests may add, once all caches are full."""


class Step(Struct, frozen=True, kw_only=True):
    """What a worker held after so many requests."""

    requests: int
    seconds: float
    megabytes: float


class Memory(Struct, frozen=True, kw_only=True):
    """Everything that one run found."""

    machine: Machine
    steps: tuple[Step, ...]

    @property
    def slope(self) -> float:
        """Megabytes that a million requests added, in the second half of all."""
        half = self.steps[len(self.steps) // 2 :]
        line = linear_regression([step.requests / MILLION for step in half], [step.megabytes for step in half])
        return line.slope


class Turns:
    """Asks a server everything that machines ask, a turn at a time."""

    def __init__(self, folder: Folder, asked: Server, generators: Generators, *, clients: Sequence[str]) -> None:
        self._folder = folder
        self._asked = asked
        self._generators = generators
        self._issue = tuple(workloads.issue_to(name).encode() for name in clients)
        self.requests = 1
        """Answers so far; one proved that the server had started."""

    def take(self) -> None:
        """One turn.

        Raises:
            LoadFailed: an answer is missing, or another than expected.
        """
        tokens = self._tokens()
        questions = (workloads.introspect, workloads.check_token, workloads.tokeninfo)
        self._send([question(token) for token in tokens for question in questions], b'"client_id":"service-')
        self._send([_revoke(token) for token in tokens[:REVOKED]], b"")
        self._send([workloads.introspect(token) for token in tokens[:REVOKED]], b'"active":false')
        self._send([JWKS] * FETCHED, b'"keys"')
        self._send([Message(path=_list(tokens[-1]))] * FETCHED, b"")
        self._refresh()

    def _tokens(self) -> list[str]:
        requests = tuple(self._issue[number % len(self._issue)] for number in range(TOKENS))
        plan = Replay(requests=requests, marker=b'"access_token":"ey', is_once=True)
        outcome = self._measure(plan, replace(ONCE, keep_every=1))
        return [json.loads(body)["access_token"] for body in outcome.bodies]

    def _send(self, messages: Sequence[Message], marker: bytes) -> None:
        requests = tuple(message.encode() for message in messages)
        self._measure(Replay(requests=requests, marker=marker, is_once=True), ONCE)

    def _refresh(self) -> None:
        tokens = self._folder.start_grants(GRANTS, expires_in=LIFE_IN, ends_in=LIFE_IN)
        plan = workloads.Refresh(self._asked, tokens).plan()
        self._measure(plan, Timing(warm_up_in=0.0, measure_in=REFRESHED_IN))

    def _measure(self, plan: Plan, timing: Timing) -> Outcome:
        outcome = self._generators.measure(self._asked.port, plan, timing)
        self.requests += outcome.requests
        return outcome


def steps(folder: Folder, asked: Server, generators: Generators, *, requests: int) -> Iterator[Step]:
    """What the server holds after its first token, and after each turn until so many requests were answered."""
    turns = Turns(folder, asked, generators, clients=crowd.add_clients(folder, CLIENTS))
    began_at = time.perf_counter()
    while True:
        memory = asked.memory()
        assert memory is not None, "this system does not say how much memory a process holds"
        seconds = time.perf_counter() - began_at
        yield Step(requests=turns.requests, seconds=seconds, megabytes=memory / MEGABYTE)
        if turns.requests >= requests:
            return
        turns.take()


def short_lived(path: Path) -> Folder:
    """A folder whose tokens live for a minute."""
    folder = Folder(path, port=server.free_port())

    async def work(store: Store) -> None:
        for realm in await store.administration.realms():
            await store.administration.change_realm(replace(realm, access_token_in=LIFE_IN), now=int(time.time()))

    with_store(folder.source, work)
    with (path / settings.FILE_NAME).open("a", encoding="utf-8") as file:
        file.write(f"max_token_lifetime = {LIFE_IN}\n")
    return folder


def _revoke(token: str) -> Message:
    """RFC 7009, by the client that the token was issued to."""
    return wire.post("/oauth/revoke", authorization=wire.basic(_claims(token)["client_id"], SECRET), token=token)


def _list(token: str) -> str:
    """The path of the status list that a token names."""
    uri: str = _claims(token)["status"]["status_list"]["uri"]
    return urlsplit(uri).path


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@click.command()
@click.option(
    "--requests", type=click.IntRange(min=LEAST), default=2_000_000, show_default=True, help="How many to send."
)
@folder_option
@json_option
def main(requests: int, folder: Path | None, json_file: Path | None) -> None:
    """Measure a worker's memory over many requests; about 6 minutes for 2,000,000, half an hour for 10,000,000."""
    found: list[Step] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix="jwtauth-bench-") as path, ExitStack() as running:
        made = short_lived(Path(path) / "service")
        asked = running.enter_context(server.serve(made.path, port=made.port, place=ANYWHERE, readiness=ISSUE))
        generators = running.enter_context(Generators([ANYWHERE]))
        click.echo(f"{'requests':>12} {'seconds':>8} {'MB':>7}")
        try:
            for step in steps(made, asked, generators, requests=requests):
                click.echo(f"{step.requests:12,} {step.seconds:8.0f} {step.megabytes:7.1f}")
                found.append(step)
        except LoadFailed as problem:
            raise click.ClickException(str(problem)) from None
    memory = Memory(machine=report.machine(pinned=False), steps=tuple(found))
    click.echo("\n" + report.table(report.figures(_figures(memory))))
    if json_file is not None:
        report.write(memory, json_file)


def _figures(memory: Memory) -> tuple[Figure, ...]:
    first, last = memory.steps[0], memory.steps[-1]
    return (
        _figure("memory of a worker after its first token", first.megabytes, "MB", IDLE),
        _figure(f"memory after {last.requests:,} requests", last.megabytes, "MB", LOADED),
        _figure("growth in the second half, for a million requests", memory.slope, "MB", FLAT),
    )


def _figure(name: str, value: float, unit: str, target: Target) -> Figure:
    return Figure(name=name, value=rounds.spread([value]), unit=unit, target=target)


if __name__ == "__main__":
    main()
