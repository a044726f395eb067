"""Putting a backup back: the database becomes what it was, in a time line of its own (SECURITY S-07).

A time line is what one epoch stands for. Nothing that was issued in another one is ever valid again, and a story that
began before the restore finds nothing to go on with: no grant, session or status position of one time line is one of
the next, and users and clients are none of those that it has read.

The backup is proven, migrated and changed in a copy beside the database. Then a database that can be read is
overwritten in one transaction, which whoever has it open sees. One that is lost or damaged is replaced as a file:
whoever has that open still notices that another stands there, and answers nothing any more (`SqliteStore.refresh`).
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from jwtauth.errors import ConfigurationError
from jwtauth.store.sqlite import backups, connection
from jwtauth.store.sqlite.backups import Contents

_OVER: Final = ("session_clients", "sessions", "grants", "blocks", "revocations", "logouts", "finished")
"""Tables of what was under way. Logout notices go too: a restore, perhaps for practice, tells nobody anything."""


class Placed(Struct, frozen=True, kw_only=True):
    """How a copy became the database."""

    epoch: int
    is_seen: bool
    """Whether a running service goes on; where it does not, what it has open is no longer the database."""
    kept: Path | None
    """Where the file is that was there before, if SQLite could make nothing of it."""


class Copy:
    """A sound copy of a backup with the present schema, beside the database that it will replace."""

    def __init__(self, path: Path, database: Path, contents: Contents) -> None:
        self.contents = contents
        self._path = path
        self._database = database
        self._present = _present_epoch(database)

    def fingerprints(self) -> dict[int, str]:
        """Fingerprints of the server secrets that the backup was used with, by number."""
        return backups.fingerprints(self._path)

    def put_in_place(self, fingerprints: Mapping[int, str], *, now: int) -> Placed:
        """Let the copy, in a time line of its own, be the database.

        Args:
            fingerprints: of the server secrets from now on.
            now: the least that its epoch can be.

        Raises:
            ConfigurationError: the database stays locked or cannot be written; it is what it was.
        """
        epoch = self._begin_time_line(fingerprints, now=now)
        if not self._present:
            return Placed(epoch=epoch, is_seen=False, kept=self._replace(epoch))
        try:
            self._overwrite()
        except sqlite3.Error as problem:
            raise ConfigurationError(f"database {self._database} cannot be overwritten: {problem}") from None
        return Placed(epoch=epoch, is_seen=True, kept=None)

    def _begin_time_line(self, fingerprints: Mapping[int, str], *, now: int) -> int:
        """End what was under way, and choose an epoch that never was: the present instant, or more where that was.

        So it is a new one even if nobody knows any more which there have been. Fingerprints are those of the server
        secrets from now on. Returns the epoch.
        """
        with closing(backups.open_existing(self._path)) as copy:
            epoch = max(now, self.contents.epoch + 1, self._present + 1)
            if self._present:
                copy.execute("ATTACH ? AS present", (backups.uri(self._database, mode="ro"),))
            copy.execute("BEGIN")
            if self._present:
                _carry_over(copy)
            for table in _OVER:
                copy.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are ours
            copy.execute("UPDATE users SET epoch = max(epoch + 1, ?)", (epoch,))
            copy.execute("UPDATE clients SET epoch = max(epoch + 1, ?)", (epoch,))
            copy.execute("DELETE FROM secrets")
            copy.executemany("INSERT INTO secrets VALUES (?, ?)", fingerprints.items())
            copy.execute("UPDATE state SET epoch = ?, key_version = key_version + 1", (epoch,))
            copy.execute("COMMIT")
        return epoch

    def _overwrite(self) -> None:
        with (
            closing(backups.open_existing(self._path)) as copy,
            closing(backups.open_existing(self._database)) as database,
        ):
            database.execute("PRAGMA journal_mode = WAL").fetchall()
            database.execute("PRAGMA synchronous = FULL").fetchall()
            backups.copy_into(copy, database)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # as far as nobody reads at the moment

    def _replace(self, epoch: int) -> Path | None:
        """Nothing is destroyed, and the log of the file before is not played back into this one."""
        aside = self._database.with_name(f"{self._database.name}.before-{epoch}")
        for suffix in (*connection.BESIDE, ""):
            with suppress(FileNotFoundError):
                os.rename(f"{self._database}{suffix}", f"{aside}{suffix}")
        os.replace(self._path, self._database)
        backups.flush_folder(self._database.parent)
        return aside if aside.exists() else None


@contextmanager
def copied(backup: Path, database: Path) -> Iterator[Copy]:
    """A copy of a backup, ready to be put in the place of the database; gone at the end. The backup stays as it is.

    Raises:
        ConfigurationError: it is no backup, is damaged or of a newer version, or another restore is running.
    """
    path = database.with_name(f".{database.name}.restoring")
    with _alone(database):
        backups.remove(path)  # what one that was killed has left
        try:
            backups.make_private(path)
            contents = _fill(path, backup)
            connection.prepare(path)
            yield Copy(path, database, contents)
        except sqlite3.Error as problem:
            raise ConfigurationError(f"{backup} cannot be restored: {problem}") from None
        finally:
            backups.remove(path)


def _fill(path: Path, backup: Path) -> Contents:
    try:
        with closing(backups.open_existing(backup, is_read_only=True)) as source:
            contents = backups.contents(source, backup)
            with closing(backups.open_existing(path)) as copy:
                backups.copy_into(source, copy)
                backups.require_sound(copy, backup)
                _refuse_what_runs(copy, backup)
                connection.refuse_newer(copy, backup)
                copy.execute("PRAGMA application_id = 0").fetchall()
    except sqlite3.DatabaseError as problem:
        raise ConfigurationError(f"{backup} is damaged or no backup: {problem}") from None
    return contents


def _refuse_what_runs(copy: sqlite3.Connection, backup: Path) -> None:
    """Let a database pass that only holds rows: a trigger could undo what a restore ends, a view show something else.

    Raises:
        ConfigurationError: it has one.
    """
    kinds = "SELECT type FROM sqlite_schema WHERE type NOT IN ('table', 'index')"
    for (kind,) in copy.execute(kinds).fetchall():
        raise ConfigurationError(f"{backup} is no backup that was made here: it has a {kind}, and none of ours has one")


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Two restores at once might choose the same epoch."""
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        _lock(folder, database)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, database: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(f"another restore into {database.parent} is running; wait for its end") from None


def _present_epoch(database: Path) -> int:
    """The epoch of the database that is about to go; 0 where there is none that says so.

    Raises:
        ConfigurationError: it is locked.
    """
    try:
        with closing(backups.open_existing(database, is_read_only=True)) as present:
            return backups.epoch_of(present, database)
    except sqlite3.Error as problem:
        if connection.name_of(problem).startswith("SQLITE_BUSY"):
            raise ConfigurationError(f"database {database} is locked; end what holds it and try again") from None
        return 0
    except ConfigurationError:
        return 0


def _carry_over(copy: sqlite3.Connection) -> None:
    """Keep what the present database knows better; where it turns out to be damaged, go on without it."""
    copy.execute("SAVEPOINT present")
    try:
        for statement in _KNOWN_BETTER:
            copy.execute(statement)
    except sqlite3.DatabaseError:
        copy.execute("ROLLBACK TO present")
    copy.execute("RELEASE present")


_KNOWN_BETTER: Final = (
    # No id or position of what is under way at this moment is given again.
    "UPDATE state SET next_position = max(next_position, (SELECT next_position FROM present.state)),"
    " key_version = max(key_version, (SELECT key_version FROM present.state))",
    "INSERT INTO sqlite_sequence SELECT name, 0 FROM present.sqlite_sequence"
    " WHERE name NOT IN (SELECT name FROM sqlite_sequence)",
    "UPDATE sqlite_sequence SET seq = max(seq,"
    " (SELECT coalesce(max(seq), 0) FROM present.sqlite_sequence AS known WHERE known.name = sqlite_sequence.name))",
    # A foreign token that was exchanged since is not exchanged once more.
    "INSERT OR IGNORE INTO exchanged SELECT digest, forget_at FROM present.exchanged",
    # A consent that the person has withdrawn or given anew since is asked for again.
    """
    DELETE FROM consents WHERE EXISTS (
        SELECT 1 FROM users JOIN present.users AS person USING (sub),
                      clients JOIN present.clients AS application USING (client_id)
         WHERE users.id = consents.user_id AND clients.id = consents.client_id
           AND NOT EXISTS (SELECT 1 FROM present.consents AS kept
                            WHERE kept.user_id = person.id AND kept.client_id = application.id
                              AND kept.granted_at = consents.granted_at AND kept.scope = consents.scope))
    """,
)
