"""Realms, clients and users in SQLite, remembered until something about them changes."""

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from jwtauth.bounded import Bounded
from jwtauth.protocol.records import Client, Realm, User
from jwtauth.store.sqlite import rows

REMEMBERED: Final = 10_000
"""Clients, their realms, users, origins: held in memory; at the bound of each those remembered first are forgotten."""

LONGEST_ORIGIN: Final = len("https://") + 253 + len(":65535")
"""No host has a longer one, in characters; what strangers send beyond that is not worth remembering."""


class SqliteDirectory:
    """The port `Directory`."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self._clients: Bounded[str, Client] = Bounded(REMEMBERED)
        self._numbered: Bounded[int, Client] = Bounded(REMEMBERED)
        self._users: Bounded[int, User] = Bounded(REMEMBERED)
        self._origins: Bounded[str, bool] = Bounded(REMEMBERED)
        self._realms: dict[str, Realm] = {}
        self._realms_of_clients: Bounded[tuple[Any, ...], Realm] = Bounded(REMEMBERED)
        """By their row: ten thousand clients mostly share one."""

    async def client(self, client_id: str) -> Client | None:
        """See `Directory.client`."""
        known = self._clients.get(client_id)
        if known is not None:
            return known
        found = self._client("clients.client_id = ?", client_id)
        return found and self._clients.learn(client_id, found)

    async def client_numbered(self, row_id: int) -> Client | None:
        """See `Directory.client_numbered`."""
        known = self._numbered.get(row_id)
        if known is not None:
            return known
        found = self._client("clients.id = ?", row_id)
        return found and self._numbered.learn(row_id, found)

    async def has_origin(self, origin: str) -> bool:
        """See `Directory.has_origin`."""
        if len(origin) > LONGEST_ORIGIN:
            return False
        known = self._origins.get(origin)
        if known is not None:
            return known
        found = self._reader.execute(
            "SELECT 1 FROM origins JOIN clients ON clients.id = origins.client_id"
            " JOIN realms ON realms.id = clients.realm_id"
            " WHERE origins.origin = ? AND clients.disabled_at IS NULL AND realms.disabled_at IS NULL LIMIT 1",
            (origin,),
        ).fetchall()
        return self._origins.learn(origin, bool(found))

    def realms(self) -> Mapping[str, Realm]:
        """See `Directory.realms`."""
        if not self._realms:
            found = self._reader.execute(f"SELECT {rows.REALM_COLUMNS} FROM realms").fetchall()  # noqa: S608 - ours
            self._realms = {realm.name: realm for realm in map(rows.realm, found)}
        return self._realms

    async def user(self, user_id: int) -> User | None:
        """See `Directory.user`."""
        known = self._users.get(user_id)
        if known is not None:
            return known
        found = self._user("users.id = ?", user_id)
        return found and self._users.learn(user_id, found)

    async def user_named(self, username: str) -> User | None:
        """See `Directory.user_named`."""
        return self._user("users.username = ?", username)

    def forget(self) -> None:
        """Read everything anew: something changed."""
        self._clients.clear()
        self._numbered.clear()
        self._users.clear()
        self._origins.clear()
        self._realms = {}
        self._realms_of_clients.clear()

    def _client(self, where: str, value: object) -> Client | None:
        found = self._reader.execute(
            f"SELECT {rows.CLIENT_COLUMNS} FROM clients JOIN realms ON realms.id = clients.realm_id WHERE {where}",  # noqa: S608
            (value,),
        ).fetchall()
        return rows.client(found[0], realm_of=self._realm_of) if found else None

    def _realm_of(self, row: tuple[Any, ...]) -> Realm:
        return self._realms_of_clients.get(row) or self._realms_of_clients.learn(row, rows.realm(row))

    def _user(self, where: str, value: object) -> User | None:
        found = self._reader.execute(
            f"SELECT {rows.USER_COLUMNS} FROM users WHERE {where}",  # noqa: S608 - both conditions are written above
            (value,),
        ).fetchall()
        return rows.user(found[0]) if found else None


def announce(connection: sqlite3.Connection) -> None:
    """Make every worker read realms, clients and users anew, once the caller's transaction is committed."""
    connection.execute("UPDATE state SET directory_version = directory_version + 1")
