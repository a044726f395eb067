"""Opening the SQLite file: WAL, flushed at every commit, private to its owner; refusals say what to do."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlite_utils import Database

from jwtauth.errors import ConfigurationError
from jwtauth.store.sqlite.migrations import migrations

STATEMENTS: Final = 128
"""Prepared statements that a connection keeps."""

_ADVICE: Final = "correct the setting database, or restore the file from a backup"


def prepare(path: Path) -> None:
    """Create the file or bring its schema up to date; nothing happens where both are done.

    Raises:
        ConfigurationError: it cannot be written, is no database, or was made by a newer version.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = _connect(path)
    except (OSError, sqlite3.Error) as problem:
        raise ConfigurationError(f"database {path} cannot be opened for writing: {problem}; {_ADVICE}") from None
    try:
        _refuse_newer(connection, path)
        migrations.apply(Database(connection))
    except sqlite3.Error as problem:
        raise ConfigurationError(f"database {path} cannot be brought up to date: {problem}") from None
    finally:
        connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing, current database.

    Raises:
        ConfigurationError: the file is missing, no database, read-only, or of another version.
    """
    if not path.exists():
        raise ConfigurationError(f"database {path} does not exist; run `jwtauth init`, or correct the setting database")
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"database {path} or its folder is read-only; the service has to write to both")
    try:
        connection = _connect(path)
        _refuse_newer(connection, path)
        pending = migrations.pending(Database(connection))
    except sqlite3.Error as problem:
        raise ConfigurationError(f"database {path} cannot be opened: {problem}; {_ADVICE}") from None
    if pending:
        connection.close()
        raise ConfigurationError(f"database {path} has an older schema; run `jwtauth init` to bring it up to date")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=5.0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL").fetchall()
        connection.execute("PRAGMA foreign_keys = ON").fetchall()
        connection.execute("PRAGMA trusted_schema = OFF").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    with closing(Database(memory=True)) as empty:
        known = {migration.name for migration in migrations.pending(empty)}
    unknown = [applied.name for applied in migrations.applied(Database(connection)) if applied.name not in known]
    if unknown:
        connection.close()
        raise ConfigurationError(
            f"database {path} was made by a newer version of jwtauth ({unknown[-1]}); install that version"
        )
