"""How results are told: a table for people, a JSON file for everything else."""

import os
import platform
import sqlite3
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bench.rounds import Measured, Spread

DISTRIBUTIONS: Final = ("uvicorn", "uvloop", "httptools", "PyJWT", "cryptography", "msgspec", "litestar")
"""Whose versions decide about the figures."""

BURDEN: Final = "numpy"
"""sqlite-utils loads it where it is installed; the service has no use for it."""

BUSY: Final = 0.97
"""A generator that used more of its core may have been the limit."""

STEADY: Final = 1.25
"""Rounds of the same work that differ by more than this factor were not measured on a quiet machine."""

OWN_CORE: Final = 0.9
"""The floor uses all of its core; where it had less than this share, somebody else used it too."""

IDLE: Final = 0.5
"""More processes than this, ready to run in the minute before, were others' work."""

MEGABYTE: Final = 1e6

Lines = Sequence[tuple[str, ...]]
"""A table: its heads, then a line for each thing that is told about."""


class Target(Struct, frozen=True, kw_only=True):
    """What a figure has to reach."""

    value: float
    is_most: bool = False
    """Whether it is an upper bound."""

    def verdict(self, reached: float) -> Literal["reached", "missed"]:
        """Whether a figure reaches it."""
        is_reached = reached <= self.value if self.is_most else reached >= self.value
        return "reached" if is_reached else "missed"

    def __str__(self) -> str:
        """The target as one writes it."""
        return f"{'≤' if self.is_most else '≥'} {self.value:g}"


class Row(Struct, frozen=True, kw_only=True):
    """A workload held against a reference."""

    name: str
    measured: Measured
    target: Target | None = None


class Figure(Struct, frozen=True, kw_only=True):
    """A single figure."""

    name: str
    value: Spread | None
    """None: not measured."""
    unit: str
    target: Target | None = None
    remark: str = ""


class Machine(Struct, frozen=True, kw_only=True):
    """Where, when and with what it was measured."""

    processor: str
    cores: int | None
    pinned: bool
    system: str
    python: str
    versions: dict[str, str]
    date: str
    load: float | None
    """Processes that were ready to run in the minute before, or None where the system does not say."""


class Report(Struct, frozen=True, kw_only=True):
    """Everything that one run found."""

    machine: Machine
    rounds: int
    seconds: float
    """Of one measurement."""
    rows: tuple[Row, ...] = ()
    """Ratios to the floor."""
    two_workers: tuple[Row, ...] = ()
    """Ratios to one worker."""
    figures: tuple[Figure, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What to know before believing it."""
        others = [replace(row, name=f"{row.name} on two workers") for row in self.two_workers]
        return warnings(self.machine, self.rows, others)


def machine(*, pinned: bool) -> Machine:
    """This machine, now."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count(),
        pinned=pinned,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={
            **{name: version(name) for name in (*DISTRIBUTIONS, *_burdens())},
            "SQLite": sqlite3.sqlite_version,
            "OpenSSL": ssl.OPENSSL_VERSION.split()[1],
        },
        date=datetime.now(UTC).date().isoformat(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def write(report: Struct, path: Path) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def ratios(rows: Sequence[Row], *, reference: str) -> Lines:
    """Workloads, for a table."""
    heads = (
        "work",
        "req/s",
        f"ratio to {reference} (min..max)",
        "CPU ratio",
        "CPU µs",
        "p50 ms",
        "p99 ms",
        "target",
        "",
    )
    return [heads, *(_row(row) for row in rows)]


def figures(found: Sequence[Figure]) -> Lines:
    """Single figures, for a table."""
    return [("figure", "median (min..max)", "", "target", "", ""), *(_figure(figure) for figure in found)]


def warnings(machine: Machine, against_floor: Sequence[Row], others: Sequence[Row] = ()) -> list[str]:
    """What a reader has to know before believing a table, which a quiet machine of four cores gives no reason for."""
    rows = (*against_floor, *others)
    doubts = (
        (machine.load or 0) > IDLE and f"the machine was busy before: {machine.load:.1f} processes were ready to run",
        not machine.pinned and "nothing was pinned: server and generator took turns on the same cores",
        BURDEN in machine.versions and f"{BURDEN} is installed: starts take longer, and workers are larger for nothing",
        _names("the generator had no time left, so the server may be faster", rows, _is_generators_limit),
        _names("others used the core of the server, look at the CPU ratio instead", against_floor, _is_shared),
        _names("rounds differ by more than a quarter", rows, _is_unsteady),
    )
    return [doubt for doubt in doubts if doubt]


def _names(doubt: str, rows: Sequence[Row], is_doubtful: Callable[[Measured], bool]) -> str:
    names = [row.name for row in rows if is_doubtful(row.measured)]
    return f"{doubt}: {'; '.join(names)}" if names else ""


def _is_generators_limit(found: Measured) -> bool:
    return found.generator_busy > BUSY


def _is_shared(found: Measured) -> bool:
    return found.reference_busy is not None and found.reference_busy < OWN_CORE


def _is_unsteady(found: Measured) -> bool:
    return found.ratio.max > found.ratio.min * STEADY


def _burdens() -> tuple[str, ...]:
    return (BURDEN,) if find_spec(BURDEN) else ()


def _processor() -> str:
    """The name that the processor gives itself, as far as the system passes it on."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _row(row: Row) -> tuple[str, ...]:
    measured, target = row.measured, row.target
    cpu_us, cpu_ratio = measured.cpu_us, measured.cpu_ratio
    return (
        row.name,
        f"{measured.rate.median:,.0f}",
        between(measured.ratio, ".3f"),
        "" if cpu_ratio is None else f"{cpu_ratio.median:.3f}",
        "" if cpu_us is None else f"{cpu_us.median:.0f}",
        f"{measured.p50_ms.median:.1f}",
        f"{measured.p99_ms.median:.1f}",
        str(target or ""),
        target.verdict(measured.ratio.median) if target else "",
    )


def _figure(figure: Figure) -> tuple[str, ...]:
    value, target = figure.value, figure.target
    if value is None:
        return (figure.name, "not measured", "", str(target or ""), "", figure.remark)
    return (
        figure.name,
        between(value, ",.0f" if value.median >= 100 else ".3g"),
        figure.unit,
        str(target or ""),
        target.verdict(value.median) if target else "",
        figure.remark,
    )


def between(spread: Spread, form: str) -> str:
    """What several rounds gave: the median, and between what it is."""
    least, middle, most = (format(value, form) for value in (spread.min, spread.median, spread.max))
    return middle if spread.min == spread.max else f"{middle} ({least}..{most})"


def table(lines: Lines) -> str:
    """Lines of cells, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number in (0, len(widths) - 1) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
