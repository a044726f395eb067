"""Printing records: one JSON document for programs, a table with ISO dates for people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec

Record = Mapping[str, object]


def example(*lines: str) -> str:
    """The end of a command's help: lines that can be copied."""
    return "\n".join(("\b", "Example:", *(f"  {line}" for line in lines)))


def iso(instant: int) -> str:
    """Seconds since the epoch as ISO 8601 in UTC; the plain number where no calendar reaches."""
    try:
        return datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return str(instant)


def show_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def show_one(record: Record, *, as_json: bool) -> None:
    """Print a record: JSON, or one line per member."""
    if as_json:
        show_json(record)
        return
    width = max(len(name) for name in record)
    for name, value in record.items():
        click.echo(f"{name:<{width}}  {_cell(name, value)}")


def show_many(records: Sequence[Record], columns: Sequence[str], *, as_json: bool) -> None:
    """Print records: JSON with every member, or a table of some columns."""
    if as_json:
        show_json(records)
        return
    rows = [list(columns), *([_cell(column, record[column]) for column in columns] for record in records)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(name: str, value: object) -> str:
    match value:
        case None | () | [] | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_at"):
            return iso(value)
        case int() if name.endswith("_in"):
            return f"{value} s"
        case Mapping():
            return _pairs(value)
        case list() | tuple():
            return _words(value)
        case _:
            return str(value)


def _pairs(value: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {_cell(name, member)}" for name, member in value.items()) or "-"


def _words(values: Iterable[object]) -> str:
    found = list(values)
    separator = "; " if any(isinstance(value, Mapping) for value in found) else " "
    return separator.join(_cell("", value) for value in found)
