"""`python -m bench.scale`: what changes as grants and clients become many.

All sizes run side by side and are measured in turn, so that a slow minute of the machine meets all of them.
"""

import random
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from bench import cores, crowd, report, server, startup, wire
from bench.cores import Cores
from bench.folder import SECRET, Folder
from bench.generators import Generators
from bench.load import LoadFailed, Plan, Replay
from bench.options import folder_option, json_option
from bench.report import Machine, Target
from bench.rounds import Bench, Measured, Round, Schedule, summary
from bench.server import Server
from bench.workloads import ISSUE, Issue, Refresh, Workload

GRANTS: Final = (1_000, 10_000, 100_000, 1_000_000)
CLIENTS: Final = (100, 1_000, 10_000, 100_000)
IN_USE: Final = 4_096
"""Grants that are refreshed in turn, picked from all."""
WARM: Final = 10_000
"""Clients that have asked for a token before anything is measured, at most."""

P99: Final = Target(value=1.2, is_most=True)
BYTES: Final = Target(value=400, is_most=True)


class GrantsSize(Struct, frozen=True, kw_only=True):
    """What so many grants cost."""

    grants: int
    measured: Measured
    """W3, the ratios to the floor."""
    p99_ratio: float
    """To the p99 with the fewest grants."""
    bytes_each: float
    start_in: float
    megabytes: float | None
    """Memory of the worker afterwards."""


class ClientsSize(Struct, frozen=True, kw_only=True):
    """What so many clients cost, all of them asking equally often."""

    clients: int
    measured: Measured
    """W1, the ratios to the floor."""
    megabytes: float | None


class Growth(Struct, frozen=True, kw_only=True):
    """Everything that one run found."""

    machine: Machine
    grants: tuple[GrantsSize, ...]
    clients: tuple[ClientsSize, ...]


class IssueToMany(Issue):
    """W1 with many clients, in another order each time, so that those who asked last are not the next to ask."""

    def __init__(self, server: Server, names: tuple[str, ...]) -> None:
        super().__init__(server)
        self._requests = tuple(_issue_to(name) for name in names)
        self._dice = random.Random(len(names))

    def prepare(self) -> Plan | None:
        """Some have asked before."""
        return Replay(requests=self._shuffled()[:WARM], marker=b'"access_token":"ey', is_once=True)

    def plan(self) -> Plan:
        """One after the other."""
        return Replay(requests=self._shuffled(), marker=b'"access_token":"ey')

    def _shuffled(self) -> tuple[bytes, ...]:
        return tuple(self._dice.sample(self._requests, len(self._requests)))


class Scale:
    """One run. Everything that it starts ends with it."""

    def __init__(self, path: Path, schedule: Schedule, *, running: ExitStack) -> None:
        self._path = path
        self._schedule = schedule
        self._running = running
        self.cores: Cores = cores.share()
        load = running.enter_context(Generators(self.cores.generators))
        self._bench = Bench(load, schedule, floor=running.enter_context(server.floor(path, self.cores.server)))

    def grants(self, sizes: tuple[int, ...]) -> tuple[GrantsSize, ...]:
        """W3, database, start and memory by the number of grants."""
        folders = [self._folder(f"grants-{size}") for size in sizes]
        bytes_each = [crowd.add_grants(folder, size) for folder, size in zip(folders, sizes, strict=True)]
        starts = [startup.serve_in(folder, self.cores.server) for folder in folders]
        servers = [self._serve(folder) for folder in folders]
        works = [
            Refresh(asked, crowd.refresh_tokens(folder, IN_USE, of=size))
            for asked, folder, size in zip(servers, folders, sizes, strict=True)
        ]
        measured = self._in_turn(works)
        return tuple(
            GrantsSize(
                grants=sizes[number],
                measured=found,
                p99_ratio=found.p99_ms / measured[0].p99_ms,
                bytes_each=bytes_each[number],
                start_in=starts[number].median,
                megabytes=_megabytes(servers[number]),
            )
            for number, found in enumerate(measured)
        )

    def clients(self, sizes: tuple[int, ...]) -> tuple[ClientsSize, ...]:
        """W1 and memory by the number of clients."""
        folders = [self._folder(f"clients-{size}") for size in sizes]
        names = [crowd.add_clients(folder, size) for folder, size in zip(folders, sizes, strict=True)]
        servers = [self._serve(folder) for folder in folders]
        measured = self._in_turn([IssueToMany(*pair) for pair in zip(servers, names, strict=True)])
        return tuple(
            ClientsSize(clients=sizes[number], measured=found, megabytes=_megabytes(servers[number]))
            for number, found in enumerate(measured)
        )

    def _in_turn(self, works: Sequence[Workload]) -> list[Measured]:
        """The floor, then each size once, and again; the floor at the end."""
        floors = [self._bench.floor()]
        rounds: list[list[Round]] = [[] for _ in works]
        for _ in range(self._schedule.rounds):
            for work, found in zip(works, rounds, strict=True):
                found.append(self._bench.once(work))
            floors.append(self._bench.floor())
        return [summary(found, floors) for found in rounds]

    def _folder(self, name: str) -> Folder:
        return Folder(self._path / name, port=server.free_port())

    def _serve(self, folder: Folder) -> Server:
        starting = server.serve(folder.path, port=folder.port, place=self.cores.server, readiness=ISSUE)
        return self._running.enter_context(starting)


def _issue_to(name: str) -> bytes:
    authorization = wire.basic(name, SECRET)
    return wire.post("/oauth/token", authorization=authorization, grant_type="client_credentials").encode()


def _megabytes(asked: Server) -> float | None:
    memory = asked.memory()
    return None if memory is None else memory / 1e6


def _tell_grants(sizes: tuple[GrantsSize, ...]) -> str:
    heads = ("grants", "W3 req/s", "ratio to floor", "CPU µs", "p50 ms", "p99 ms", "p99 ratio", "bytes each")
    lines = [(*heads, "start s", "MB", f"p99 {P99}, bytes {BYTES}")]
    for size in sizes:
        found = size.measured
        lines.append(
            (
                *(f"{size.grants:,}", f"{found.rate.median:,.0f}", f"{found.ratio.median:.3f}", _cpu(found)),
                *(f"{found.p50_ms:.2f}", f"{found.p99_ms:.2f}", f"{size.p99_ratio:.2f}", f"{size.bytes_each:.0f}"),
                *(f"{size.start_in:.2f}", "" if size.megabytes is None else f"{size.megabytes:.0f}"),
                f"{P99.verdict(size.p99_ratio)}, {BYTES.verdict(size.bytes_each)}",
            )
        )
    return report.table(lines)


def _tell_clients(sizes: tuple[ClientsSize, ...]) -> str:
    lines = [("clients", "W1 req/s", "ratio to floor", "CPU µs", "p50 ms", "p99 ms", "MB")]
    for size in sizes:
        found = size.measured
        memory = "" if size.megabytes is None else f"{size.megabytes:.0f}"
        lines.append(
            (
                *(f"{size.clients:,}", f"{found.rate.median:,.0f}", f"{found.ratio.median:.3f}", _cpu(found)),
                *(f"{found.p50_ms:.2f}", f"{found.p99_ms:.2f}", memory),
            )
        )
    return report.table(lines)


def _cpu(found: Measured) -> str:
    return "" if found.cpu_us is None else f"{found.cpu_us.median:.0f}"


@click.command()
@click.option("--quick", is_flag=True, help="Leave out the largest size; measure for 1 second at a time.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds of each size.")
@folder_option
@json_option
def main(quick: bool, rounds: int, folder: Path | None, json_file: Path | None) -> None:
    """Measure growth: 1,000 to 1,000,000 grants, 100 to 100,000 clients; about 2 minutes with --quick, 6 without."""
    schedule = Schedule(rounds=rounds, seconds=1.0 if quick else 5.0)
    largest = -1 if quick else None
    with tempfile.TemporaryDirectory(dir=folder, prefix="jwtauth-bench-") as path, ExitStack() as running:
        scale = Scale(Path(path), schedule, running=running)
        try:
            grants = scale.grants(GRANTS[:largest])
            click.echo(_tell_grants(grants) + "\n")
            clients = scale.clients(CLIENTS[:largest])
            click.echo(_tell_clients(clients))
        except LoadFailed as problem:
            raise click.ClickException(str(problem)) from None
    if json_file is not None:
        machine = report.machine(pinned=scale.cores.are_pinned)
        report.write(Growth(machine=machine, grants=grants, clients=clients), json_file)


if __name__ == "__main__":
    main()
