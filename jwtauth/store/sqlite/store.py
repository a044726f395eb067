"""The ports of one SQLite file, put together."""

import sqlite3
from pathlib import Path

from jwtauth.errors import Overloaded
from jwtauth.store.ports import Versions
from jwtauth.store.sqlite.administration import SqliteAdministration
from jwtauth.store.sqlite.attempts import SqliteAttempts
from jwtauth.store.sqlite.connection import connect
from jwtauth.store.sqlite.consents import SqliteConsents
from jwtauth.store.sqlite.directory import SqliteDirectory
from jwtauth.store.sqlite.grants import SqliteGrants
from jwtauth.store.sqlite.legacy_uses import SqliteLegacyUses
from jwtauth.store.sqlite.logouts import SqliteLogouts
from jwtauth.store.sqlite.positions import SqlitePositions
from jwtauth.store.sqlite.revocations import SqliteRevocations
from jwtauth.store.sqlite.sessions import SqliteSessions
from jwtauth.store.sqlite.writer import Writer


class SqliteStore:
    """The port `Store`; belongs to the thread that uses it, its writer is a thread of its own."""

    def __init__(self, path: Path, *, max_token_lifetime: int) -> None:
        """Open an existing database.

        Raises:
            ConfigurationError: it is missing, unusable, or of another version.
        """
        self._reader = connect(path)
        self._writer = Writer(connect(path))
        self._reader.execute("PRAGMA query_only = ON").fetchall()
        self.epoch: int = self._reader.execute("SELECT epoch FROM state").fetchall()[0][0]
        self.directory = SqliteDirectory(self._reader)
        self.grants = SqliteGrants(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.sessions = SqliteSessions(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.consents = SqliteConsents(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.logouts = SqliteLogouts(self._reader, self._writer)
        self.positions = SqlitePositions(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.revocations = SqliteRevocations(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self.attempts = SqliteAttempts(self._reader, self._writer)
        self.legacy_uses = SqliteLegacyUses(self._reader, self._writer)
        self.administration = SqliteAdministration(self._reader, self._writer, max_token_lifetime=max_token_lifetime)
        self._data_version = -1
        self._versions = Versions(-1, -1, -1)
        self.refresh()

    def refresh(self) -> Versions:
        """See `Store.refresh`."""
        ((data_version,),) = self._reader.execute("PRAGMA data_version").fetchall()
        if data_version != self._data_version:
            self._catch_up()
            self._data_version = data_version
        return self._versions

    def damage(self) -> str | None:
        """The first thing that SQLite finds broken in the file, None where it finds nothing; reads all of it."""
        try:
            for pragma in ("quick_check(1)", "foreign_key_check"):
                found = self._reader.execute(f"PRAGMA {pragma}").fetchall()
                if found and found[0][0] != "ok":
                    return " ".join(map(str, found[0]))
        except sqlite3.DatabaseError as problem:
            return str(problem)
        return None

    def close(self) -> None:
        """See `Store.close`."""
        self._writer.close()
        self._reader.close()

    def _catch_up(self) -> None:
        ((epoch, *versions),) = self._reader.execute(
            "SELECT epoch, revocation_version, directory_version, key_version FROM state"
        ).fetchall()
        if epoch != self.epoch:
            raise Overloaded("the database was restored under the running service; restart it")
        found = Versions(*versions)
        if found.revocations != self._versions.revocations:
            self.positions.load()
        if found.directory != self._versions.directory:
            self.directory.forget()
        self._versions = found
