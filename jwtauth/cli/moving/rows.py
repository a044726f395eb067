"""Rows of a CSV or JSON file, as members with types; every problem is kept with its row, none with a secret in it."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jwtauth.errors import ConfigurationError

TRUTHS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
"""How databases write truth values into CSV files."""

FORMATS: Final = ("csv", "json")
_DELIMITERS: Final = (",", ";", "\t")
_SEPARATORS = re.compile(r"[,\s]+")
_INTEGER = re.compile(r"`int( \| null)?`")
_TRUTH_WORDS: Final = "expected true, t, yes, y or 1, or false, f, no, n or 0"


class Problem(Struct, frozen=True):
    """Why a row cannot be taken."""

    row: int
    """The first row with data is 1."""
    column: str
    """As the file calls it; empty where the whole row is meant."""
    problem: str

    def __str__(self) -> str:
        """One line for people."""
        return ": ".join(filter(None, (f"row {self.row}", self.column, self.problem)))


class Row(Struct, frozen=True, kw_only=True):
    """One row by member; a member that it leaves empty is not in it."""

    number: int
    members: Mapping[str, Any]
    columns: Mapping[str, str] = {}
    """What the file calls its members."""

    def problem(self, member: str, problem: str) -> Problem:
        """What is wrong with a member, by the name that it has in the file."""
        return Problem(self.number, self.columns.get(member, member), problem)

    def without(self, *members: str) -> Self:
        """The same row, these members left empty."""
        return replace(self, members={name: value for name, value in self.members.items() if name not in members})


class Table(Struct, frozen=True):
    """The rows of a file that could be read, and why the others could not."""

    rows: list[Row]
    problems: list[Problem]

    def __len__(self) -> int:
        """How many rows the file has."""
        return len(self.rows) + len(self.problems)


def read(content: bytes, form: str) -> Table:
    """The rows of a file by column: CSV with a header line (RFC 4180), or a JSON list of objects.

    Raises:
        ConfigurationError: it cannot be read as that.
    """
    lines = _read_csv(content) if form == "csv" else _read_json(content)
    if not lines:
        raise ConfigurationError("the file has no rows")
    table = Table([], [])
    for number, line in enumerate(lines, start=1):
        if isinstance(line, str):
            table.problems.append(Problem(number, "", line))
        else:
            table.rows.append(Row(number=number, members=_filled(line)))
    return table


def renamed(
    rows: Iterable[Row], types: Collection[str], aliases: Mapping[str, str], *, ignored: Collection[str] = ()
) -> list[Row]:
    """The rows by the names that this service uses; capital letters in column names do not matter.

    Raises:
        ConfigurationError: a column is not known, or a row has two of them that mean the same.
    """
    found = [row.without(*(column for column in row.members if column.lower() in ignored)) for row in rows]
    columns = dict.fromkeys(column for row in found for column in row.members)
    meant = {column: aliases.get(column.lower(), column.lower()) for column in columns}
    unknown = [column for column, member in meant.items() if member not in types]
    if unknown:
        raise ConfigurationError(
            f"column {', '.join(map(repr, unknown))}: is not known here; rename it, or leave it out with --ignore"
        )
    return [_renamed(row, meant) for row in found]


def typed(row: Row, types: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The members of a row in their types, and what could not be read as such."""
    members: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in row.members.items():
        try:
            members[name] = _converted(value, types[name])
        except msgspec.ValidationError as problem:
            problems.append(row.problem(name, _said(problem, types[name])))
    return members, problems


def repeated(rows: Iterable[Row], member: str, types: Mapping[str, Any]) -> Iterator[Problem]:
    """The rows that say of a member what a row above says, where no two may."""
    seen: dict[Any, int] = {}
    for row in rows:
        key = value(row, member, types)
        if key in seen:
            yield row.problem(member, f"{key} is that of row {seen[key]} too")
        elif key is not None:
            seen[key] = row.number


def value(row: Row, member: str, types: Mapping[str, Any]) -> Any:
    """One member of a row in its type; None where there is none, or none of that type."""
    members, _ = typed(replace(row, members={name: row.members[name] for name in row.members if name == member}), types)
    return members.get(member)


def _filled(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name.strip(): value for name, value in line.items() if value is not None and value != "" and value != []}


def _renamed(row: Row, meant: Mapping[str, str]) -> Row:
    columns: dict[str, str] = {}
    for column in row.members:
        other = columns.setdefault(meant[column], column)
        if other != column:
            raise ConfigurationError(
                f"columns {other!r} and {column!r}: mean the same, and row {row.number} has both; leave one of them"
                " empty in such rows, or out of the file with --ignore"
            )
    return Row(
        number=row.number, members={meant[column]: value for column, value in row.members.items()}, columns=columns
    )


def _converted(value: Any, wanted: Any) -> Any:
    if isinstance(value, str):
        if wanted is bool:
            return msgspec.convert(TRUTHS.get(value.strip().lower(), value), bool)
        if wanted == tuple[str, ...]:
            return tuple(dict.fromkeys(filter(None, _SEPARATORS.split(value))))
    return msgspec.convert(value, wanted, strict=False)


def _said(problem: msgspec.ValidationError, wanted: Any) -> str:
    """A problem in the words of whoever fills in tables."""
    if wanted is bool:
        return _TRUTH_WORDS
    return _INTEGER.sub("a whole number", str(problem)).replace(", got `str`", "").replace("Expected", "expected")


def _read_csv(content: bytes) -> list[dict[str, Any] | str]:
    """Each row, or why it is none."""
    text = _text(content)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        lines = [line for line in reader if line]
    except csv.Error as problem:
        raise ConfigurationError(f"line {reader.line_num}: is no CSV: {problem}") from None
    header = [column.strip() for column in lines[0]] if lines else []
    if len({column.lower() for column in header}) < len(header) or "" in header:
        raise ConfigurationError("the header line: has a column twice, or one without a name")
    return [
        dict(zip(header, line, strict=True))
        if len(line) == len(header)
        else f"has {len(line)} values for {len(header)} columns"
        for line in lines[1:]
    ]


def _delimiter(text: str) -> str:
    """What separates the names in the header line; a comma where that is not plain."""
    header = text.lstrip("\r\n").partition("\n")[0]
    found = [character for character in _DELIMITERS if character in header]
    return found[0] if len(found) == 1 else ","


def _read_json(content: bytes) -> list[dict[str, Any] | str]:
    """Each row, or why it is none."""
    text = _text(content)
    try:
        rows = msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError as problem:
        raise ConfigurationError(f"expected a JSON list of objects: {problem}") from None
    except RecursionError:
        raise ConfigurationError("expected a JSON list of objects: it is nested too deeply") from None
    return [row if isinstance(row, dict) else "is no JSON object" for row in rows]


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ConfigurationError(f"byte {problem.start}: is no UTF-8; export the file as UTF-8") from None
