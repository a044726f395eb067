"""How results are told: a table for people, a JSON file for everything else."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from bench.rounds import Measured, Spread


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
    """Where it was measured."""

    cores: int | None
    pinned: bool
    python: str
    system: str


class Report(Struct, frozen=True, kw_only=True):
    """Everything that one run found."""

    machine: Machine
    floor_rates: tuple[float, ...] = ()
    rows: tuple[Row, ...] = ()
    """Ratios to the floor."""
    two_workers: tuple[Row, ...] = ()
    """Ratios to one worker."""
    figures: tuple[Figure, ...] = ()


def machine(*, pinned: bool) -> Machine:
    """This machine."""
    return Machine(cores=os.cpu_count(), pinned=pinned, python=platform.python_version(), system=platform.system())


def write(report: Struct, path: Path) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def ratios(rows: Sequence[Row], *, reference: str) -> str:
    """Workloads as a table."""
    heads = (
        "work",
        "req/s",
        "min..max",
        f"ratio to {reference}",
        "min..max",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "CPU ratio",
        "target",
        "",
    )
    return table([heads, *(_row(row) for row in rows)])


def figures(found: Sequence[Figure]) -> str:
    """Single figures as a table."""
    return table([("figure", "median", "min..max", "", "target", "", ""), *(_figure(figure) for figure in found)])


def warnings(rows: Sequence[Row]) -> list[str]:
    """What a reader has to know before believing a table."""
    busy = [row.name for row in rows if row.measured.generator_busy > 0.97]
    return [f"the generator had no time left, so the server may be faster: {', '.join(busy)}"] if busy else []


def _row(row: Row) -> tuple[str, ...]:
    rate, ratio, target = row.measured.rate, row.measured.ratio, row.target
    cpu_us, cpu_ratio = row.measured.cpu_us, row.measured.cpu_ratio
    return (
        row.name,
        f"{rate.median:,.0f}",
        f"{rate.min:,.0f}..{rate.max:,.0f}",
        f"{ratio.median:.3f}",
        f"{ratio.min:.3f}..{ratio.max:.3f}",
        f"{row.measured.p50_ms:.2f}",
        f"{row.measured.p99_ms:.2f}",
        "" if cpu_us is None else f"{cpu_us.median:.0f}",
        "" if cpu_ratio is None else f"{cpu_ratio.median:.3f}",
        str(target or ""),
        target.verdict(ratio.median) if target else "",
    )


def _figure(figure: Figure) -> tuple[str, ...]:
    value, target = figure.value, figure.target
    if value is None:
        return (figure.name, "not measured", "", "", str(target or ""), "", figure.remark)
    return (
        figure.name,
        f"{value.median:,.3g}" if value.median < 1000 else f"{value.median:,.0f}",
        f"{value.min:,.3g}..{value.max:,.3g}" if value.min != value.max else "",
        figure.unit,
        str(target or ""),
        target.verdict(value.median) if target else "",
        figure.remark,
    )


def table(lines: Sequence[tuple[str, ...]]) -> str:
    """Lines of cells, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number in (0, len(widths) - 1) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
