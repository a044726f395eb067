"""What an audit log says, and whether anybody touched it: each line is bound to the one before it by its hash.

Whoever changes, removes or inserts a line breaks the chain from there on, and `verify` says where. Whoever can write
the files can also write all of them anew, or cut off the end: note a head (`Chain.head`) elsewhere now and then,
`verify` finds it again or says that it is gone. Lines are written by `jwtauth.observe.audit`.
"""

import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from jwtauth.observe.events import Event

_BROKEN: Final = "the line before it was changed, taken away or put in"
_BEHEADED: Final = "the log begins with this line, and it names one before it: lines were taken away or changed"
FIRST: Final = "000001.jsonl"
"""The file that every log begins in: its first line names nothing before it."""
_NAME: Final = re.compile(r"(\d{6})\.jsonl")
_PIECE: Final = 65_536
"""Bytes that are read at once in search of the last line."""
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


class Damage(Struct, frozen=True, kw_only=True):
    """Where the chain is broken, and how."""

    file: str
    line: int
    what: str


class Chain(Struct, frozen=True, kw_only=True):
    """What there is in an audit log, and whether anybody touched it."""

    files: int
    lines: int
    head: str
    """The hash of the last line; empty where there is none."""
    damage: tuple[Damage, ...] = ()
    torn: int = 0
    """Lines that were cut off while they were written, by a crash; the next line vouches for what is left of them."""
    begins_in: str | None = None
    """The oldest file that is there, where older ones were taken away: nothing vouches for what it begins with."""
    has_noted_head: bool | None = None
    """Whether a line has the hash that somebody noted earlier; None where nobody asked."""


def files(folder: Path) -> list[Path]:
    """The files of an audit log, the oldest first."""
    return sorted(path for path in folder.glob("*.jsonl") if _NAME.fullmatch(path.name))


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """Everything that was written, the oldest first, without what is torn or was never one of our lines."""
    for path in files(folder):
        with suppress(FileNotFoundError), path.open("rb") as file:  # an old one may be removed at this moment
            for line in file:
                try:
                    entry = _DECODER.decode(line)
                except _UNREADABLE:
                    continue
                if "at" in entry and "name" in entry:
                    yield entry


def verify(folder: Path, *, noted_head: str | None = None) -> Chain:
    """Whether each line names the hash of the one before it; where old files were taken away, the first one may name
    what is gone."""
    paths = files(folder)
    has_beginning = not paths or paths[0].name == FIRST
    previous: str | None = "" if has_beginning else None
    damage: list[Damage] = []
    lines = torn = 0
    has_noted_head = False
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                content = line.rstrip(b"\n")
                named = _previous(content)
                if named is None:
                    torn += 1
                elif previous is not None and named != previous:
                    damage.append(Damage(file=path.name, line=number, what=_BROKEN if previous else _BEHEADED))
                previous = digest(content)
                lines += 1
                has_noted_head = has_noted_head or previous == noted_head
    return Chain(
        files=len(paths),
        lines=lines,
        head=previous or "",
        damage=tuple(damage),
        torn=torn,
        begins_in=None if has_beginning else paths[0].name,
        has_noted_head=None if noted_head is None else has_noted_head,
    )


def digest(line: bytes) -> str:
    """What the next line names this one by."""
    return urlsafe_b64encode(sha256(line).digest()).rstrip(b"=").decode()


def line_of(event: Event, previous: str) -> bytes:
    """One line; the hash is put at its end, as an event does not know of it."""
    return _encoded(event)[:-1] + b',"previous":"' + previous.encode() + b'"}'


def _encoded(event: Event) -> bytes:
    try:
        return _ENCODER.encode(event)
    except UnicodeEncodeError:  # the name of a file may be any bytes
        told = msgspec.to_builtins(event)
        return _ENCODER.encode(
            {
                name: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
                for name, value in told.items()
            }
        )


def _previous(line: bytes) -> str | None:
    try:
        return _PREVIOUS.decode(line).previous
    except _UNREADABLE:
        return None


class _Linked(Struct):
    previous: str


class _Dated(Struct):
    at: int


def last_hash(paths: list[Path]) -> str:
    """What the next line names; a file that was begun on a full disk, or by a killed process, may have no line yet."""
    written = next((path for path in reversed(paths) if path.stat().st_size), None)
    return "" if written is None else digest(_last_line(written))


def newest_at(path: Path) -> int:
    """When the last line of a file was written; by the file's own date where a crash cut that line off."""
    try:
        return _DATED.decode(_last_line(path)).at
    except _UNREADABLE:
        return int(path.stat().st_mtime)


def _last_line(path: Path) -> bytes:
    with path.open("rb") as file:
        start, found = file.seek(0, os.SEEK_END), b""
        while start and b"\n" not in found[:-1]:
            step = min(start, _PIECE)
            start = file.seek(start - step)
            found = file.read(step) + found
        return found.removesuffix(b"\n").rpartition(b"\n")[2]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])
_DATED: Final = msgspec.json.Decoder(_Dated)
_PREVIOUS: Final = msgspec.json.Decoder(_Linked)
