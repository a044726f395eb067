"""Printing records: one JSON document for programs, a table with ISO dates for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import asdict

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


def printable(text: str) -> str:
    """The text without what would move the cursor, or command a terminal: a stranger may have chosen it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def show_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def show_one(record: Record, *, as_json: bool) -> None:
    """Print a record: JSON, or one line per member; those of a struct in it as `struct.member`."""
    if as_json:
        show_json(record)
        return
    lines = list(_lines(record))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
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


def _lines(record: Record) -> Iterator[tuple[str, object]]:
    for name, value in record.items():
        if isinstance(value, Struct):
            yield from ((f"{name}.{member}", found) for member, found in _lines(asdict(value)))
        elif value is not UNSET:
            yield name, value


def _cell(name: str, value: object) -> str:
    match value:
        case None | () | [] | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case 0 if name.endswith("_at"):
            return "-"
        case int() if name.endswith("_at"):
            return iso(value)
        case int() if name.endswith("_in"):
            return f"{value} s"
        case Mapping():
            return _pairs(value)
        case list() | tuple():
            return _words(value)
        case _:
            return printable(" / ".join(str(value).splitlines()))


def _pairs(value: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {_cell(name, member)}" for name, member in value.items()) or "-"


def _words(values: Iterable[object]) -> str:
    found = list(values)
    separator = "; " if any(isinstance(value, Mapping) for value in found) else " "
    return separator.join(_cell("", value) for value in found)
