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

from bench import cores, crowd, report, server, startup, workloads
from bench.cores import Cores
from bench.folder import Folder
from bench.generators import Generators
from bench.load import LoadFailed, Plan, Replay
from bench.options import folder_option, json_option
from bench.report import Figure, Lines, Machine, Row, Target
from bench.rounds import Bench, Measured, Round, Schedule, Spread, alternate, percentile_ms, spread, summary
from bench.server import Server
from bench.workloads import ISSUE, Issue, Refresh, Workload

GRANTS: Final = (1_000, 10_000, 100_000, 1_000_000)
CLIENTS: Final = (100, 1_000, 10_000, 100_000)
IN_USE: Final = 20_000
"""Grants that are refreshed in turn, picked from all: more than one measurement refreshes, so that each has rested."""

P99: Final = Target(value=1.2, is_most=True)
BYTES: Final = Target(value=400, is_most=True)
FLAT: Final = Target(value=1.1, is_most=True)
"""What counts as a start that does not grow: of the start with the fewest grants."""

_HEADS: Final = ("req/s", "ratio to floor", "CPU µs", "p50 ms", "p99 ms")


class GrantsSize(Struct, frozen=True, kw_only=True):
    """What so many grants cost."""

    grants: int
    measured: Measured
    """W3, the ratios to the floor."""
    p99_ratio: Spread
    """To the p99 with the fewest grants in the same round."""
    bytes_each: float
    """Of the database, indexes included."""
    start_in: Spread
    """Seconds from the start to the first token."""
    start_ratio: Spread
    """To the start with the fewest grants before it."""
    megabytes: float | None
    """Memory of the worker afterwards."""


class ClientsSize(Struct, frozen=True, kw_only=True):
    """What so many clients cost, all of them asking equally often."""

    clients: int
    measured: Measured
    """W1, the ratios to the floor."""
    rate_ratio: Spread
    """To the rate with the fewest clients in the same round."""
    megabytes: float | None


class Growth(Struct, frozen=True, kw_only=True):
    """Everything that one run found."""

    machine: Machine
    rounds: int
    seconds: float
    """Of one measurement."""
    grants: tuple[GrantsSize, ...]
    clients: tuple[ClientsSize, ...]
    figures: tuple[Figure, ...]
    """What is left of them at the largest size, and what has to be reached."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """Everything that was held against the floor."""
        return (
            *(Row(name=f"W3, {size.grants:,} grants", measured=size.measured) for size in self.grants),
            *(Row(name=f"W1, {size.clients:,} clients", measured=size.measured) for size in self.clients),
        )

    @property
    def warnings(self) -> list[str]:
        """What to know before believing it."""
        return report.warnings(self.machine, self.rows)


class IssueToMany(Issue):
    """W1 with many clients, in another order each time, so that those who asked last are not the next to ask."""

    def __init__(self, server: Server, names: tuple[str, ...]) -> None:
        super().__init__(server)
        self._requests = tuple(workloads.issue_to(name).encode() for name in names)
        self._dice = random.Random(len(names))
        self._has_begun = False

    def prepare(self) -> Plan | None:
        """Each has asked before, once and for all rounds."""
        if self._has_begun:
            return None
        self._has_begun = True
        return Replay(requests=self._shuffled(), marker=b'"access_token":"ey', is_once=True)

    def plan(self) -> Plan:
        """One after the other."""
        return Replay(requests=self._shuffled(), marker=b'"access_token":"ey')

    def _shuffled(self) -> tuple[bytes, ...]:
        return tuple(self._dice.sample(self._requests, len(self._requests)))


class _Found(Struct, frozen=True, kw_only=True):
    """What was measured of each size: over all rounds, and in each of them."""

    measured: list[Measured]
    rates: list[list[float]]
    p99s: list[list[float]]


class Scale:
    """One run. Everything that it starts ends with it."""

    def __init__(self, path: Path, schedule: Schedule, *, running: ExitStack) -> None:
        self._path = path
        self._schedule = schedule
        self._running = running
        self._cores: Cores = cores.share()
        load = running.enter_context(Generators(self._cores.generators))
        self._bench = Bench(load, schedule, floor=running.enter_context(server.floor(path, self._cores.server)))

    def run(self, largest: int | None) -> Growth:
        """Measure all sizes but those from `largest` on, and print each table as soon as it is there."""
        machine = report.machine(pinned=self._cores.are_pinned)
        grants = self.grants(GRANTS[:largest])
        click.echo(report.table(grant_lines(grants)) + "\n")
        clients = self.clients(CLIENTS[:largest])
        click.echo(report.table(client_lines(clients)) + "\n")
        found = Growth(
            machine=machine,
            rounds=self._schedule.rounds,
            seconds=self._schedule.seconds,
            grants=grants,
            clients=clients,
            figures=figures(grants, clients),
        )
        click.echo(report.table(report.figures(found.figures)))
        for warning in found.warnings:
            click.echo(f"note: {warning}")
        return found

    def grants(self, sizes: tuple[int, ...]) -> tuple[GrantsSize, ...]:
        """W3, database, start and memory by the number of grants."""
        folders = [self._folder(f"grants-{size}") for size in sizes]
        bytes_each = [crowd.add_grants(folder, size) for folder, size in zip(folders, sizes, strict=True)]
        starts = startup.all_in(folders, self._cores.server)
        servers = [self._serve(folder) for folder in folders]
        works = [
            Refresh(asked, crowd.refresh_tokens(folder, IN_USE, of=size))
            for asked, folder, size in zip(servers, folders, sizes, strict=True)
        ]
        found = self._in_turn(works)
        return tuple(
            GrantsSize(
                grants=size,
                measured=found.measured[number],
                p99_ratio=alternate(found.p99s[number], found.p99s[0]),
                bytes_each=bytes_each[number],
                start_in=spread(starts[number]),
                start_ratio=alternate(starts[number], starts[0]),
                megabytes=_megabytes(servers[number]),
            )
            for number, size in enumerate(sizes)
        )

    def clients(self, sizes: tuple[int, ...]) -> tuple[ClientsSize, ...]:
        """W1 and memory by the number of clients."""
        folders = [self._folder(f"clients-{size}") for size in sizes]
        names = [crowd.add_clients(folder, size) for folder, size in zip(folders, sizes, strict=True)]
        servers = [self._serve(folder) for folder in folders]
        found = self._in_turn([IssueToMany(*pair) for pair in zip(servers, names, strict=True)])
        return tuple(
            ClientsSize(
                clients=size,
                measured=found.measured[number],
                rate_ratio=alternate(found.rates[number], found.rates[0]),
                megabytes=_megabytes(servers[number]),
            )
            for number, size in enumerate(sizes)
        )

    def _in_turn(self, works: Sequence[Workload]) -> _Found:
        """The floor, then each size once, and again; the floor at the end."""
        floors = [self._bench.floor()]
        turns: list[list[Round]] = []
        for _ in range(self._schedule.rounds):
            turns.append([self._bench.once(work) for work in works])
            floors.append(self._bench.floor())
        rounds = list(zip(*turns, strict=True))
        return _Found(
            measured=[summary(each, floors) for each in rounds],
            rates=[[found.outcome.rate for found in each] for each in rounds],
            p99s=[[percentile_ms(found.outcome, 0.99) for found in each] for each in rounds],
        )

    def _folder(self, name: str) -> Folder:
        return Folder(self._path / name, port=server.free_port())

    def _serve(self, folder: Folder) -> Server:
        starting = server.serve(folder.path, port=folder.port, place=self._cores.server, readiness=ISSUE)
        return self._running.enter_context(starting)


def _megabytes(asked: Server) -> float | None:
    memory = asked.memory()
    return None if memory is None else memory / 1e6


def figures(grants: tuple[GrantsSize, ...], clients: tuple[ClientsSize, ...]) -> tuple[Figure, ...]:
    """The largest size held against the smallest, and against what has to be reached."""
    many, few = f"{grants[-1].grants:,}", f"{grants[0].grants:,}"
    bytes_each = spread([max(size.bytes_each for size in grants)])
    return (
        Figure(name=f"W3 p99 at {many} grants, of {few}", value=grants[-1].p99_ratio, unit="×", target=P99),
        Figure(name="database, per live grant, at most", value=bytes_each, unit="bytes", target=BYTES),
        Figure(name=f"start with {many} grants, of {few}", value=grants[-1].start_ratio, unit="×", target=FLAT),
        Figure(
            name=f"W1 rate at {clients[-1].clients:,} clients, of {clients[0].clients:,}",
            value=clients[-1].rate_ratio,
            unit="×",
        ),
    )


def grant_lines(sizes: Sequence[GrantsSize]) -> Lines:
    """What grants cost, for a table."""
    heads = ("grants", *_HEADS, "p99 ratio (min..max)", "bytes each", "start s (min..max)", "MB afterwards")
    return [heads, *(_grant_line(size) for size in sizes)]


def client_lines(sizes: Sequence[ClientsSize]) -> Lines:
    """What clients cost, for a table."""
    heads = ("clients", *_HEADS, "rate ratio (min..max)", "MB afterwards")
    return [heads, *(_client_line(size) for size in sizes)]


def _grant_line(size: GrantsSize) -> tuple[str, ...]:
    return (
        f"{size.grants:,}",
        *_cells(size.measured),
        report.between(size.p99_ratio, ".2f"),
        f"{size.bytes_each:.0f}",
        report.between(size.start_in, ".2f"),
        _megabyte_cell(size.megabytes),
    )


def _client_line(size: ClientsSize) -> tuple[str, ...]:
    ratio = report.between(size.rate_ratio, ".2f")
    return (f"{size.clients:,}", *_cells(size.measured), ratio, _megabyte_cell(size.megabytes))


def _cells(found: Measured) -> tuple[str, ...]:
    return (
        f"{found.rate.median:,.0f}",
        f"{found.ratio.median:.3f}",
        "" if found.cpu_us is None else f"{found.cpu_us.median:.0f}",
        f"{found.p50_ms.median:.1f}",
        f"{found.p99_ms.median:.1f}",
    )


def _megabyte_cell(megabytes: float | None) -> str:
    return "" if megabytes is None else f"{megabytes:.0f}"


@click.command()
@click.option("--quick", is_flag=True, help="Leave out the largest size; measure for 1 second at a time.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds of each size.")
@folder_option
@json_option
def main(quick: bool, rounds: int, folder: Path | None, json_file: Path | None) -> None:
    """Measure growth: 1,000 to 1,000,000 grants, 100 to 100,000 clients; about 2 minutes with --quick, 6 without."""
    schedule = Schedule(rounds=rounds, seconds=1.0 if quick else 5.0)
    with tempfile.TemporaryDirectory(dir=folder, prefix="jwtauth-bench-") as path, ExitStack() as running:
        try:
            found = Scale(Path(path), schedule, running=running).run(-1 if quick else None)
        except LoadFailed as problem:
            raise click.ClickException(str(problem)) from None
    if json_file is not None:
        report.write(found, json_file)


if __name__ == "__main__":
    main()
