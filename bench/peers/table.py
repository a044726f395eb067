"""How the comparison is told: a line for each server, a column for each work, ratios to the floor."""

from collections.abc import Callable
from typing import Final

from bench import report
from bench.peers.comparing import Comparison, Found
from bench.rounds import Measured, Spread

COLUMNS: Final = ("W1 client_credentials", "W2 introspect", "W3 refresh rotation", "W4 JWKS", "W4 discovery")

_NONE: Final = "-"
_PROBLEM: Final = 160


def text(comparison: Comparison) -> str:
    """Both tables, and what to know before reading them."""
    parts = (
        "requests per second, as a ratio to the floor (min..max of the rounds)",
        _table(comparison, _ratio),
        "the same by computing time alone: the floor's microseconds for a request to those of the work",
        _table(comparison, _cpu_ratio),
        "what is unequal",
        "\n".join(_remarks(found) for found in comparison.peers),
        *report.warnings([row for found in comparison.peers for row in found.rows]),
    )
    return "\n\n".join(parts)


def _table(comparison: Comparison, cell: Callable[[Measured], str]) -> str:
    heads = ("server", "version", *COLUMNS, "")
    return report.table([heads, *(_line(found, cell) for found in comparison.peers)])


def _line(found: Found, cell: Callable[[Measured], str]) -> tuple[str, ...]:
    cells = {row.name: cell(row.measured) for row in found.rows}
    problem = found.problem.partition("\n")[0][:_PROBLEM]
    return (found.name, found.version, *(cells.get(column, _NONE) for column in COLUMNS), problem)


def _ratio(measured: Measured) -> str:
    return f"{_figure(measured.ratio.median)} ({_range(measured.ratio)})"


def _cpu_ratio(measured: Measured) -> str:
    return "not measured" if measured.cpu_ratio is None else _figure(measured.cpu_ratio.median)


def _range(spread: Spread) -> str:
    return f"{_figure(spread.min)}..{_figure(spread.max)}"


def _figure(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _remarks(found: Found) -> str:
    return "\n  ".join((f"{found.name} {found.version}; {found.storage}", *found.remarks))
