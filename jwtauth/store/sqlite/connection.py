"""Opening the SQLite file: WAL, flushed at every commit, private to its owner; refusals say what to do."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from shlex import quote as quoted
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from sqlite_utils import Database

from jwtauth.errors import ConfigurationError, Overloaded
from jwtauth.store.sqlite.migrations import migrations

STATEMENTS: Final = 128
"""Prepared statements that a connection keeps."""

OPEN_IN: Final = 5.0
"""For so many seconds it is waited for somebody who holds the file while it is opened."""

BESIDE: Final = ("-wal", "-shm")
"""How the files end that SQLite keeps beside a database: its log, and the index of that."""

FIRST_EPOCH: Final = 1
"""The epoch of a database that no token was ever issued from."""

BACKUP: Final = 0x6A776275
"""SQLite's application_id of a backup; a database has none."""

Connection = TypeVar("Connection", bound=sqlite3.Connection)

_WITHOUT: Final = (
    "run `jwtauth init` for a new one, `jwtauth restore FILE` if it was lost, or correct the setting database"
)
_ADVICE: Final = "correct the setting database, or restore the file from a backup"


class Reader(sqlite3.Connection):
    """A connection that answers a fault of the file by a refusal: whoever only reads can do nothing about it."""

    def __init__(self, *options: Any, **named: Any) -> None:
        super().__init__(*options, **named)
        self._asking = self.cursor()

    def ask(self, sql: str, *values: object) -> list[Any]:
        """All rows of a question. For what requests ask: it spares the cursors that `execute` makes.

        Raises:
            Overloaded: the file cannot be read.
        """
        try:
            return self._asking.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as problem:
            raise refusal_of(problem) from None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As sqlite3 does.

        Raises:
            Overloaded: the file cannot be read.
        """
        return self.cursor(_Cursor).execute(sql, parameters)


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        try:
            return super().execute(sql, parameters)
        except sqlite3.DatabaseError as problem:
            raise refusal_of(problem) from None

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.DatabaseError as problem:
            raise refusal_of(problem) from None


def is_fault(problem: Exception) -> bool:
    """Whether it is the file that failed (locked, full, unreadable, damaged), not the statement or its values."""
    return type(problem) in (sqlite3.OperationalError, sqlite3.DatabaseError)


def name_of(problem: Exception) -> str:
    """What SQLite calls it."""
    return getattr(problem, "sqlite_errorname", None) or type(problem).__name__


def remedy_of(fault: str, database: Path) -> str | None:
    """What to look at first where SQLite's name for a fault is not about what is in the file; None where it may be.

    Whoever restores a backup over a sound database that had no room loses what was written since.
    """
    if "SQLITE_FULL" in fault or "SQLITE_IOERR" in fault:
        return f"its disk is full or fails, which no backup mends: make room, see df -h {quoted(str(database.parent))}"
    if "SQLITE_BUSY" in fault or "SQLITE_LOCKED" in fault:
        return f"another process holds it: find it with fuser {quoted(str(database))} and end it"
    return None


def files_of(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """The database with the files beside it, and which files these are: device and inode.

    A name that leads elsewhere later is another file: what is written then is lost with the next restart.
    """
    path = connection.execute("PRAGMA database_list").fetchall()[0][2]
    names = [path, *(path + ending for ending in BESIDE)]
    return {name: identity for name in names if (identity := _identity(name)) is not None}


def are_in_place(files: dict[str, tuple[int, int]]) -> bool:
    """Whether all the names still lead to the files that they led to."""
    return all(_identity(name) == identity for name, identity in files.items())


def is_replaced(files: dict[str, tuple[int, int]]) -> bool:
    """Whether another database stands where the first of the files was."""
    name, identity = next(iter(files.items()))
    return _identity(name) not in (identity, None)


def prepare(path: Path, *, epoch: int = FIRST_EPOCH) -> None:
    """Create the file, with this epoch, or bring its schema up to date; nothing happens where both are done.

    Raises:
        ConfigurationError: it cannot be written, is no database, or was made by a newer version.
    """
    is_new = not path.exists() or path.stat().st_size == 0
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = _connect(path, sqlite3.Connection)
    except (OSError, sqlite3.Error) as problem:
        remedy = remedy_of(name_of(problem), path) or _ADVICE
        raise ConfigurationError(f"database {path} cannot be opened for writing: {problem}; {remedy}") from None
    try:
        refuse_newer(connection, path)
        migrations.apply(Database(connection))
        if is_new:
            connection.execute("UPDATE state SET epoch = ?", (epoch,)).fetchall()
    except sqlite3.Error as problem:
        raise ConfigurationError(f"database {path} cannot be brought up to date: {problem}") from None
    finally:
        connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing, current database.

    Raises:
        ConfigurationError: the file is missing, no database, read-only, or of another version.
    """
    return _connect_current(path, sqlite3.Connection)


def connect_reader(path: Path) -> Reader:
    """The same for somebody who only reads."""
    return _connect_current(path, Reader)


def _connect_current(path: Path, kind: type[Connection]) -> Connection:
    if not path.exists():
        raise ConfigurationError(f"database {path} does not exist; {_WITHOUT}")
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"database {path} or its folder is read-only; the service has to write to both")
    try:
        connection = _connect(path, kind)
        refuse_newer(connection, path)
        pending = migrations.pending(Database(connection))
    except sqlite3.Error as problem:
        remedy = remedy_of(name_of(problem), path) or _ADVICE
        raise ConfigurationError(f"database {path} cannot be opened: {problem}; {remedy}") from None
    if pending:
        connection.close()
        raise ConfigurationError(f"database {path} has an older schema; run `jwtauth init` to bring it up to date")
    return connection


def _connect(path: Path, kind: type[Connection]) -> Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",
        uri=True,
        timeout=OPEN_IN,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS,
        factory=kind,
    )
    try:
        _refuse_backup(connection, path)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL").fetchall()
        connection.execute("PRAGMA foreign_keys = ON").fetchall()
        connection.execute("PRAGMA trusted_schema = OFF").fetchall()
    except (sqlite3.Error, ConfigurationError):
        connection.close()
        raise
    return connection


def _refuse_backup(connection: sqlite3.Connection, path: Path) -> None:
    """A backup that was copied into place would bring used refresh tokens back to life (SECURITY S-07)."""
    if connection.execute("PRAGMA application_id").fetchall() == [(BACKUP,)]:
        raise ConfigurationError(
            f"database {path} is a backup; move it elsewhere and put it back with `jwtauth restore FILE`, which ends"
            " what was issued before"
        )


def refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Let a database pass that this version knows all migrations of.

    Raises:
        ConfigurationError: it was made by a newer version; the connection is closed.
    """
    with closing(Database(memory=True)) as empty:
        known = {migration.name for migration in migrations.pending(empty)}
    unknown = [applied.name for applied in migrations.applied(Database(connection)) if applied.name not in known]
    if unknown:
        connection.close()
        raise ConfigurationError(
            f"database {path} was made by a newer version of jwtauth ({unknown[-1]}); install that version"
        )


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refusal_of(problem: sqlite3.DatabaseError) -> Exception:
    """What a reader is told of a fault of the file; anything else is a bug and stays what it is."""
    return Overloaded(f"the database could not be read: {name_of(problem)}") if is_fault(problem) else problem
