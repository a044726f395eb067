"""How the comparison is told: a line for each server, a column for each work, ratios to the floor."""

from collections.abc import Callable
from typing import Final

from bench import report
from bench.peers.comparing import Comparison, Found
from bench.report import MEGABYTE, Lines
from bench.rounds import Measured

COLUMNS: Final = ("W1 client_credentials", "W2 introspect", "W3 refresh rotation", "W4 JWKS", "W4 discovery")

_NONE: Final = "-"
_PROBLEM: Final = 160


def text(comparison: Comparison) -> str:
    """All tables, and what to know before reading them."""
    parts = (
        "at a glance: requests per second as ratios to the floor",
        report.table(overview(comparison)),
        "requests per second, as a ratio to the floor (min..max of the rounds)",
        report.table(ratios(comparison)),
        "the same by computing time alone: the floor's microseconds for a request to those of the work",
        report.table(cpu_ratios(comparison)),
        "what is unequal",
        "\n".join(_remarks(found) for found in comparison.peers),
        *(f"note: {warning}" for warning in comparison.warnings),
    )
    return "\n\n".join(parts)


def overview(comparison: Comparison) -> Lines:
    """What a server does at a glance: medians alone."""
    heads = ("server", *COLUMNS, "MB idle", "MB afterwards", "stores in")
    return [heads, *(_glance(found) for found in comparison.peers)]


def ratios(comparison: Comparison) -> Lines:
    """Rates, for a table."""
    return _lines(comparison, _ratio)


def cpu_ratios(comparison: Comparison) -> Lines:
    """Computing times, for a table."""
    return _lines(comparison, _cpu_ratio)


def _lines(comparison: Comparison, cell: Callable[[Measured], str]) -> Lines:
    return [("server", "version", *COLUMNS, ""), *(_line(found, cell) for found in comparison.peers)]


def _line(found: Found, cell: Callable[[Measured], str]) -> tuple[str, ...]:
    cells = {row.name: cell(row.measured) for row in found.rows}
    problem = found.problem.partition("\n")[0][:_PROBLEM]
    return (found.name, found.version, *(cells.get(column, _NONE) for column in COLUMNS), problem)


def _glance(found: Found) -> tuple[str, ...]:
    cells = {row.name: _figure(row.measured.ratio.median) for row in found.rows}
    works = (cells.get(column, _NONE) for column in COLUMNS)
    return (found.name, *works, _megabytes(found.idle), _megabytes(found.loaded), found.storage)


def _megabytes(read: int | None) -> str:
    return _NONE if read is None else f"{read / MEGABYTE:.0f}"


def _ratio(measured: Measured) -> str:
    return f"{_figure(measured.ratio.median)} ({_figure(measured.ratio.min)}..{_figure(measured.ratio.max)})"


def _cpu_ratio(measured: Measured) -> str:
    return "not measured" if measured.cpu_ratio is None else _figure(measured.cpu_ratio.median)


def _figure(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _remarks(found: Found) -> str:
    return "\n  ".join((f"{found.name} {found.version}; {found.storage}", *found.remarks))
