"""Realms, clients and users in SQLite, remembered until something about them changes."""

import sqlite3
from typing import Final, TypeVar

from jwtauth.protocol.records import Client, User
from jwtauth.store.sqlite import rows

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED: Final = 10_000
"""Clients, and users, held in memory; at the bound the one remembered first is forgotten."""


class SqliteDirectory:
    """The port `Directory`."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self._clients: dict[str, Client] = {}
        self._users: dict[int, User] = {}

    async def client(self, client_id: str) -> Client | None:
        """See `Directory.client`."""
        known = self._clients.get(client_id)
        if known is not None:
            return known
        found = self._reader.execute(
            f"SELECT {rows.CLIENT_COLUMNS} FROM clients JOIN realms ON realms.id = clients.realm_id"  # noqa: S608
            " WHERE clients.client_id = ?",
            (client_id,),
        ).fetchall()
        if not found:
            return None
        return _remember(self._clients, client_id, rows.client(found[0]))

    async def user(self, user_id: int) -> User | None:
        """See `Directory.user`."""
        known = self._users.get(user_id)
        if known is not None:
            return known
        found = self._user("users.id = ?", user_id)
        return found and _remember(self._users, user_id, found)

    async def user_named(self, username: str) -> User | None:
        """See `Directory.user_named`."""
        return self._user("users.username = ?", username)

    def forget(self) -> None:
        """Read everything anew: something changed."""
        self._clients.clear()
        self._users.clear()

    def _user(self, where: str, value: object) -> User | None:
        found = self._reader.execute(
            f"SELECT {rows.USER_COLUMNS} FROM users WHERE {where}",  # noqa: S608 - both conditions are written above
            (value,),
        ).fetchall()
        return rows.user(found[0]) if found else None


def _remember(known: dict[K, V], key: K, value: V) -> V:
    if len(known) >= REMEMBERED:
        del known[next(iter(known))]
    known[key] = value
    return value
