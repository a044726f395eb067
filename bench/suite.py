"""The whole suite in its order: what is started, what is measured beside what, and what has to be reached."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from os import fsync
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace

from bench import cores, load, offline, proof, report, rounds, server, startup, workloads
from bench.cores import Cores
from bench.folder import Folder
from bench.generators import Generators
from bench.load import Replay
from bench.report import MEGABYTE, Figure, Report, Row, Target
from bench.rounds import Bench, Schedule
from bench.workloads import GRANTS, ISSUE, TOKENS, Ask, AskFresh, Fetch, Issue, Refresh, Workload

MILLION: Final = 1_000_000
DISK: Final = 10.0
"""No disk flushes in fewer microseconds."""

W1: Final = Target(value=0.30)
W1_RSA: Final = Target(value=0.040)
W2: Final = Target(value=0.55)
W3: Final = Target(value=0.20)
W4: Final = Target(value=0.9)
W5: Final = Target(value=1.3, is_most=True)
TWO_WORKERS: Final = Target(value=1.7)
TWO_WRITERS: Final = Target(value=1.0)
SERVE: Final = Target(value=0.8, is_most=True)
DEV: Final = Target(value=3.0, is_most=True)
IDLE: Final = Target(value=80, is_most=True)
LOADED: Final = Target(value=100, is_most=True)


class Suite:
    """One run. Everything that it starts ends with it."""

    def __init__(self, path: Path, schedule: Schedule, *, is_long: bool, running: ExitStack) -> None:
        """Start the floor and the generators.

        Args:
            path: an empty folder on the disk that matters: W3 waits for its flushes.
            schedule: how often and how long.
            is_long: whether memory is read after a million requests, however long that takes.
            running: ends what was started.
        """
        self._path = path
        self._schedule = schedule
        self._is_long = is_long
        self._running = running
        self._cores: Cores = cores.share()
        self._floor = running.enter_context(server.floor(path, self._cores.server))
        self._generators = running.enter_context(Generators(self._cores.generators))
        self._bench = Bench(self._generators, schedule, floor=self._floor)
        self._asked = 0
        """Requests that the ES256 server has answered."""

    def run(self) -> Report:
        """Measure everything, and print each table as soon as it is there."""
        machine = report.machine(pinned=self._cores.are_pinned)
        found = Report(machine=machine, rounds=self._schedule.rounds, seconds=self._schedule.seconds)
        _head("one worker, one core")
        folder, main = self._serve("one-worker")
        idle = main.memory()
        found = replace(found, rows=tuple(self._against_floor(folder, main)))
        click.echo(report.table(report.ratios(found.rows, reference="floor")))
        _head("single figures")
        loaded, asked = self._loaded(main)
        tokens = self._tokens(folder.port, offline.TOKENS + 1)
        found = replace(
            found,
            figures=(
                *self._generator_limit(),
                _flush(self._path),
                *_offline(offline.measure(folder.port, tokens, issuer=folder.issuer, audience=folder.audience())),
                _memory("memory of a worker after its first token", idle, IDLE),
                _memory(f"memory after {asked:,} requests", loaded, LOADED),
                *self._starts(),
            ),
        )
        click.echo(report.table(report.figures(found.figures)))
        _head("two workers, two cores", processes=2)
        if self._cores.two_workers:
            found = self._with_two_workers(found, folder, main)
        else:
            click.echo(f"not measured: needs {cores.NEEDED_FOR_TWO} cores")
        for warning in found.warnings:
            click.echo(f"note: {warning}")
        return found

    def _serve(self, name: str, *, algorithm: str = "ES256", workers: int = 1) -> tuple[Folder, server.Server]:
        folder = Folder(self._path / name, port=server.free_port(), algorithm=algorithm)
        place = self._cores.server if workers == 1 else self._cores.two_workers
        starting = server.serve(folder.path, port=folder.port, place=place, readiness=ISSUE, workers=workers)
        return folder, self._running.enter_context(starting)

    def _against_floor(self, folder: Folder, main: server.Server) -> Iterator[Row]:
        yield self._row("W1 client_credentials ES256", Issue(main), W1)
        for algorithm, target in (("EdDSA", None), ("RS256", W1_RSA)):
            _, other = self._serve(algorithm, algorithm=algorithm)
            yield self._row(f"W1 client_credentials {algorithm}", Issue(other), target, is_main=False)
        tokens = self._tokens(main.port, TOKENS)
        more = partial(self._tokens, main.port, TOKENS)
        works: tuple[tuple[str, Workload, Target | None], ...] = (
            ("W2 introspect", _introspect(main, tokens), W2),
            ("W2 check_token", Ask(main, workloads.check_token, tokens, marker=b'"client_id":"service"'), W2),
            ("W2 tokeninfo", Ask(main, workloads.tokeninfo, tokens, marker=b'"client_id":"service"'), W2),
            ("W2 introspect, uncached", AskFresh(main, workloads.introspect, more), None),
            ("W3 refresh rotation, durable", Refresh(main, folder.start_grants(GRANTS)), W3),
            ("W4 JWKS", _jwks(main), W4),
            ("W4 discovery", Fetch(main, "/.well-known/oauth-authorization-server", marker=b'"issuer"'), W4),
        )
        for name, work, target in works:
            yield self._row(name, work, target)

    def _row(self, name: str, work: Workload, target: Target | None, *, is_main: bool = True) -> Row:
        click.echo(f"  {name} ...", err=True)
        measured = self._bench.against_floor(work)
        self._asked += measured.requests if is_main else 0
        return Row(name=name, measured=measured, target=target)

    def _with_two_workers(self, found: Report, folder: Folder, main: server.Server) -> Report:
        twin_folder, twin = self._serve("two-workers", workers=2)
        rows = tuple(self._two_workers({main: folder, twin: twin_folder}, twin, main))
        click.echo(report.table(report.ratios(rows, reference="one worker")))
        memory = _memory("two workers: memory of the larger one, afterwards", twin.memory(), LOADED)
        click.echo("\n" + report.table(report.figures([memory])))
        return replace(found, two_workers=rows, figures=(*found.figures, memory))

    def _two_workers(
        self, folders: Mapping[server.Server, Folder], twin: server.Server, main: server.Server
    ) -> Iterator[Row]:
        """The same work on both servers, each with tokens of its own."""
        tokens = {each: self._tokens(each.port, TOKENS) for each in folders}
        grants = {each: folder.start_grants(GRANTS) for each, folder in folders.items()}
        works: tuple[tuple[str, Callable[[server.Server], Workload], Target], ...] = (
            ("W1 client_credentials ES256", Issue, TWO_WORKERS),
            ("W2 introspect", lambda each: _introspect(each, tokens[each]), TWO_WORKERS),
            ("W3 refresh rotation, durable", lambda each: Refresh(each, grants[each]), TWO_WRITERS),
            ("W4 JWKS", _jwks, TWO_WORKERS),
        )
        for name, make, target in works:
            click.echo(f"  {name} ...", err=True)
            yield Row(name=name, measured=self._bench.against(make(twin), make(main)), target=target)

    def _tokens(self, port: int, count: int) -> tuple[str, ...]:
        """So many live tokens; a sample is proven."""
        timing = replace(rounds.ONCE, keep_every=1)
        plan = Replay(requests=(ISSUE.encode(),) * count, marker=b'"access_token":"ey', is_once=True)
        bodies = self._generators.measure(port, plan, timing).bodies
        proof.tokens(proof.sample(bodies, of=workloads.PROVEN), port=port)
        return tuple(json.loads(body)["access_token"] for body in bodies)

    def _generator_limit(self) -> Iterator[Figure]:
        """What our generator can ask: the floor with one process and with two."""
        for processes in range(1, len(self._cores.generators) + 1):
            outcomes = [self._bench.floor(processes=processes).outcome for _ in range(3)]
            yield Figure(
                name=f"floor, {processes} generator{'s' * (processes > 1)}",
                value=rounds.spread([outcome.rate for outcome in outcomes]),
                unit="req/s",
                remark=f"generator used {max(outcome.busy for outcome in outcomes):.0%} of its core",
            )

    def _loaded(self, main: server.Server) -> tuple[int | None, int]:
        """Memory after the workloads; in a long run after a million requests at least."""
        missing = MILLION - self._asked
        while self._is_long and missing > 0:
            plan = Replay(requests=(ISSUE.encode(),) * min(missing, 50_000), marker=b"ey", is_once=True)
            self._asked += self._generators.measure(main.port, plan, rounds.ONCE).requests
            missing = MILLION - self._asked
        return main.memory(), self._asked

    def _starts(self) -> Iterator[Figure]:
        folder = Folder(self._path / "start", port=server.free_port())
        serve_in = startup.serve_in(folder, self._cores.server)
        yield Figure(name="serve: start to first token", value=serve_in, unit="s", target=SERVE)
        dev_in = startup.dev_in(self._path, self._cores.server)
        yield Figure(name="dev in an empty folder: start to first token", value=dev_in, unit="s", target=DEV)


def _introspect(asked: server.Server, tokens: tuple[str, ...]) -> Workload:
    return Ask(asked, workloads.introspect, tokens, marker=b'"active":true')


def _jwks(asked: server.Server) -> Workload:
    return Fetch(asked, "/.well-known/jwks.json", marker=b'"keys"')


def _offline(found: offline.Offline) -> Iterator[Figure]:
    yield Figure(name="W5 bare signature check", value=found.bare_us, unit="µs")
    yield Figure(name="W5 Verifier.verify, a token seen before", value=found.again_us, unit="µs")
    yield Figure(name="W5 seen before, of bare", value=found.again, unit="×")
    yield Figure(name="W5 Verifier.verify, for the first time", value=found.first_us, unit="µs")
    yield Figure(name="W5 for the first time, of bare", value=found.first, unit="×", target=W5)
    yield Figure(name="W5 PyJWT decode, of bare", value=found.pyjwt, unit="×", remark="for comparison; without status")


def _memory(name: str, read: int | None, target: Target) -> Figure:
    value = None if read is None else rounds.spread([read / MEGABYTE])
    return Figure(name=name, value=value, unit="MB", target=target)


def _flush(folder: Path) -> Figure:
    """What one small durable write costs here: a commit of W3 waits for one, and requests share commits."""
    taken = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            began_at = time.perf_counter()
            fsync(file.fileno())
            taken.append((time.perf_counter() - began_at) * 1e6)
    found = rounds.spread(taken)
    remark = "this folder is in memory: W3 is not durable here" if found.median < DISK else ""
    return Figure(name="flush of the disk", value=found, unit="µs", remark=remark)


def _head(text: str, *, processes: int = 1) -> None:
    click.echo(f"\n{text}; {processes * load.CONNECTIONS} connections\n")
