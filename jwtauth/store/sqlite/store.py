"""The ports of one SQLite file, put together."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Final

from jwtauth.errors import ConfigurationError, Overloaded
from jwtauth.store.ports import Administration, Figures, OnCommit, Versions
from jwtauth.store.sqlite.administration import SqliteAdministration
from jwtauth.store.sqlite.attempts import SqliteAttempts
from jwtauth.store.sqlite.connection import connect, connect_reader, files_of, is_replaced
from jwtauth.store.sqlite.consents import SqliteConsents
from jwtauth.store.sqlite.directory import SqliteDirectory
from jwtauth.store.sqlite.grants import SqliteGrants
from jwtauth.store.sqlite.legacy_uses import SqliteLegacyUses
from jwtauth.store.sqlite.logouts import SqliteLogouts
from jwtauth.store.sqlite.positions import SqlitePositions
from jwtauth.store.sqlite.revocations import SqliteRevocations
from jwtauth.store.sqlite.sessions import SqliteSessions
from jwtauth.store.sqlite.writer import Writer

LOOK_IN: Final = 1.0
"""After so many seconds at most it is noticed that another file was put in the place of the database."""

_LARGEST_USER_VERSION: Final = 1 << 31


class SqliteStore:
    """The port `Store`; belongs to the thread that uses it, its writer is a thread of its own."""

    def __init__(self, path: Path, *, max_token_lifetime: int, on_commit: OnCommit | None = None) -> None:
        """Open an existing database; `on_commit` is told of every transaction.

        Raises:
            ConfigurationError: it is missing, unusable, or of another version.
        """
        self._writer = Writer(connect(path), on_commit=on_commit)  # first: it says why a file cannot be used
        self._path = path
        self._reader = connect_reader(path)
        self._reader.execute("PRAGMA query_only = ON").fetchall()
        self._files = files_of(self._reader)
        try:
            self.epoch: int = self._reader.execute("SELECT epoch FROM state").fetchall()[0][0]
        except Overloaded as problem:
            raise ConfigurationError(f"database {path} is damaged: {problem}; restore it from a backup") from None
        self.directory = SqliteDirectory(self._reader)
        self.grants = SqliteGrants(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.sessions = SqliteSessions(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.consents = SqliteConsents(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.logouts = SqliteLogouts(self._reader, self._writer)
        self.positions = SqlitePositions(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.revocations = SqliteRevocations(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.attempts = SqliteAttempts(self._reader, self._writer)
        self.legacy_uses = SqliteLegacyUses(self._reader, self._writer)
        self.administration: Administration = SqliteAdministration(
            self._reader, self._writer, max_token_lifetime=max_token_lifetime
        )
        self._looked_at = -LOOK_IN
        self._data_version = -1
        self._versions = Versions(-1, -1, -1)
        self.refresh()

    def refresh(self) -> Versions:
        """See `Store.refresh`."""
        self._require_place()
        ((data_version,),) = self._reader.ask("PRAGMA data_version")
        if data_version != self._data_version:
            self._catch_up()
            self._data_version = data_version
        return self._versions

    def _require_place(self) -> None:
        """Look now and then whether the file is still the one that the name leads to.

        Raises:
            Overloaded: it is not.
        """
        now = monotonic()
        if now - self._looked_at < LOOK_IN:
            return
        if is_replaced(self._files):
            raise Overloaded("another database was put in the place of this one; restart the service")
        self._looked_at = now

    def damage(self) -> str | None:
        """The first thing that SQLite finds broken in the file, None where it finds nothing; reads all of it."""
        try:
            for pragma in ("quick_check(1)", "foreign_key_check"):
                found = self._reader.execute(f"PRAGMA {pragma}").fetchall()
                if found and found[0][0] != "ok":
                    return " ".join(map(str, found[0]))
        except Overloaded as problem:
            return str(problem)
        return None

    @property
    def waiting(self) -> int:
        """See `Store.waiting`."""
        return self._writer.waiting

    async def prove_writable(self, *, now: int) -> None:
        """See `Store.prove_writable`."""
        if not self._writer.is_alive:
            raise Overloaded("the thread that writes has ended; restart the service")

        def work(connection: sqlite3.Connection) -> None:
            # A number in the file's head that nobody reads: a row that stays as it is would not be written at all.
            connection.execute(f"PRAGMA user_version = {now % _LARGEST_USER_VERSION}").fetchall()

        await self._writer.run(work)

    async def figures(self, *, now: int) -> Figures:
        """See `Store.figures`."""
        try:
            return await asyncio.to_thread(self._figures, now)
        except (ConfigurationError, OSError):
            raise Overloaded("the database could not be read") from None

    def close(self) -> None:
        """See `Store.close`."""
        self._writer.close()
        self._reader.close()

    def _figures(self, now: int) -> Figures:
        with closing(connect_reader(self._path)) as connection:
            ((denied,),) = connection.execute("SELECT coalesce(sum(size), 0) FROM revocations").fetchall()
            ((grants,),) = connection.execute(
                "SELECT count(*) FROM grants WHERE ended_at IS NULL AND expires_at > ?", (now,)
            ).fetchall()
        disk = os.statvfs(self._path)
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        size = sum(file.stat().st_size for file in files)
        return Figures(denied=denied, grants=grants, size=size, free=disk.f_bavail * disk.f_frsize)

    def _catch_up(self) -> None:
        ((epoch, *versions),) = self._reader.execute(
            "SELECT epoch, revocation_version, directory_version, key_version FROM state"
        ).fetchall()
        if epoch != self.epoch:
            self._begin_time_line(epoch)
        found = Versions(*versions)
        if found.revocations != self._versions.revocations:
            self.positions.load()
        if found.directory != self._versions.directory:
            self.directory.forget()
        self._versions = found

    def _begin_time_line(self, epoch: int) -> None:
        """A backup was restored: nothing that is held in memory is of this database."""
        self.epoch = epoch
        self.positions.forget()
        self._versions = Versions(-1, -1, -1)
