"""Backups: a consistent copy of the database, taken beside a running service by SQLite's online backup API.

A backup is one file without a log beside it. It is marked, so that no service starts on it where it was merely copied
into place: `jwtauth.store.sqlite.restoring` puts it back.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from jwtauth.errors import ConfigurationError
from jwtauth.store.sqlite.connection import BACKUP, BESIDE

LONGEST_EPOCH: Final = 1 << 62
"""No database comes near it; a file that says so was written by somebody else."""

LOCKED_FOR: Final = 30.0
"""For how long another process's lock is waited for, in seconds."""

ENDINGS: Final = (*BESIDE, "-journal")
"""Of the files that SQLite may put beside one, whatever mode it is in."""

_TABLES: Final = ("realms", "clients", "users", "grants")


class Contents(Struct, frozen=True, kw_only=True):
    """What a copy holds."""

    realms: int
    clients: int
    users: int
    grants: int
    """All rows: also grants that have ended and were not swept away yet."""
    epoch: int
    newest_grant_at: int
    """When the newest grant began; 0 where there is none."""


def take(database: Path, path: Path) -> Contents:
    """Copy the database as of one instant into a file of its own, checked and flushed before it gets its name.

    Whatever was committed before the call is in it. Readers and writers of the database go on meanwhile.

    Raises:
        ConfigurationError: the database is missing, unusable or damaged, or the file cannot be written.
    """
    if not database.exists():
        raise ConfigurationError(f"database {database} does not exist; correct the setting database")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        make_private(unfinished)
        with closing(open_existing(database)) as source, closing(open_existing(unfinished)) as copy:
            copy_into(source, copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            copy.execute(f"PRAGMA application_id = {BACKUP}").fetchall()
            require_sound(copy, database)
            found = contents(copy, database)
        os.replace(unfinished, path)
        flush_folder(path.parent)
    except sqlite3.Error as problem:
        raise ConfigurationError(f"database {database} cannot be copied to {path}: {problem}") from None
    finally:
        remove(unfinished)
    return found


def contents(connection: sqlite3.Connection, path: Path) -> Contents:
    """What a database holds, whatever the version of its schema.

    Raises:
        ConfigurationError: it is no database of ours, or damaged.
    """
    try:
        epoch = epoch_of(connection, path)
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES}  # noqa: S608
        (newest_grant_at,) = connection.execute("SELECT coalesce(max(created_at), 0) FROM grants").fetchone()
    except sqlite3.Error:
        raise ConfigurationError(f"{path} is no database of jwtauth, or damaged") from None
    return Contents(**counts, epoch=epoch, newest_grant_at=newest_grant_at)


def epoch_of(connection: sqlite3.Connection, path: Path) -> int:
    """A database's epoch.

    Raises:
        ConfigurationError: it is no database of ours, or damaged.
    """
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'state'").fetchall()
    rows = connection.execute("SELECT epoch FROM state").fetchall() if found else []
    if len(rows) != 1:
        raise ConfigurationError(f"{path} is no database of jwtauth, or damaged")
    epoch = rows[0][0]
    if not isinstance(epoch, int) or not 0 < epoch < LONGEST_EPOCH:
        raise ConfigurationError(f"{path} is damaged: its epoch is no number that a database has")
    return epoch


def fingerprints(path: Path) -> dict[int, str]:
    """Fingerprints of the server secrets that a database was used with, by number."""
    with closing(open_existing(path, is_read_only=True)) as connection:
        return dict(connection.execute("SELECT number, fingerprint FROM secrets").fetchall())


def require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Let a database pass in which SQLite finds nothing broken; reads all of it.

    Raises:
        ConfigurationError: it is damaged.
    """
    try:
        for pragma in ("quick_check(1)", "foreign_key_check"):
            found = connection.execute(f"PRAGMA {pragma}").fetchall()
            if found and found[0][0] != "ok":
                raise ConfigurationError(f"{path} is damaged: {' '.join(map(str, found[0]))}")
    except sqlite3.DatabaseError as problem:
        raise ConfigurationError(f"{path} is damaged: {problem}") from None


def copy_into(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Replace the target by the source as of one instant, in one transaction; who has the target open sees either.

    Raises:
        ConfigurationError: another process holds a lock for too long.
    """
    source.backup(target, progress=_patience())


def open_existing(path: Path, *, is_read_only: bool = False) -> sqlite3.Connection:
    """A connection to a file that is there, whatever is in it."""
    return sqlite3.connect(uri(path, mode="ro" if is_read_only else "rw"), uri=True, timeout=1.0, isolation_level=None)


def uri(path: Path, *, mode: str) -> str:
    """A file as SQLite names it (https://www.sqlite.org/uri.html)."""
    return f"file:{quote(os.fsencode(path))}?mode={mode}"


def make_private(path: Path) -> None:
    """An empty file that only its owner reads, where there was none."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))


def remove(path: Path) -> None:
    """Delete a database with what SQLite has put beside it, as far as it is there."""
    for suffix in (*ENDINGS, ""):
        with suppress(OSError):
            os.unlink(f"{path}{suffix}")


def flush_folder(path: Path) -> None:
    """Let what was renamed in a folder survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _patience() -> Callable[[int, int, int], None]:
    """Gives up after LOCKED_FOR seconds without a step; sqlite3 itself would try for ever."""
    deadline = time.monotonic() + LOCKED_FOR

    def look(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise ConfigurationError("the database stays locked by another process; end what holds it and try again")

    return look
