"""Grants in SQLite: one row from consent to end."""

import sqlite3
from typing import Any, Final

from jwtauth.protocol.records import Grant, NewGrant
from jwtauth.store.sqlite import sweep
from jwtauth.store.sqlite.positions import deny
from jwtauth.store.sqlite.writer import Writer

_COLUMNS: Final = (
    "id, client_id, user_id, scope, resources, position, generation, secret_number, rotated_at, created_at,"
    " expires_at, ends_at, ended_at"
)


class SqliteGrants:
    """The port `Grants`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer, *, max_token_lifetime: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_token_lifetime = max_token_lifetime

    async def get(self, grant_id: int) -> Grant | None:
        """See `Grants.get`."""
        row = self._reader.execute(f"SELECT {_COLUMNS} FROM grants WHERE id = ?", (grant_id,)).fetchall()  # noqa: S608
        return _grant(row[0]) if row else None

    async def start(self, new: NewGrant, *, now: int) -> Grant | None:
        """See `Grants.start`."""

        def work(connection: sqlite3.Connection) -> Grant | None:
            row = connection.execute(
                f"""
                INSERT INTO grants (client_id, user_id, scope, resources, position, generation, secret_number,
                                    created_at, expires_at, ends_at, sweep_at)
                SELECT clients.id, users.id, ?, ?, state.next_position, 0, ?, ?, ?, ?, ?
                  FROM clients, users, state
                 WHERE clients.id = ? AND clients.epoch = ? AND clients.disabled_at IS NULL
                   AND users.id = ? AND users.epoch = ? AND users.disabled_at IS NULL
                RETURNING {_COLUMNS}
                """,  # noqa: S608 - the column names are ours
                (
                    " ".join(new.scope),
                    " ".join(new.resources),
                    new.secret_number,
                    now,
                    new.expires_at,
                    new.ends_at,
                    new.expires_at,
                    new.client_id,
                    new.client_epoch,
                    new.user_id,
                    new.user_epoch,
                ),
            ).fetchall()
            if not row:
                return None
            connection.execute("UPDATE state SET next_position = next_position + 1")
            sweep.bite(connection, now=now, max_token_lifetime=self._max_token_lifetime)
            return _grant(row[0])

        return await self._writer.run(work)

    async def rotate(
        self, grant_id: int, generation: int, *, secret_number: int, expires_at: int, renews_position: bool, now: int
    ) -> int | None:
        """See `Grants.rotate`."""

        def work(connection: sqlite3.Connection) -> int | None:
            row = connection.execute(
                """
                UPDATE grants SET generation = generation + 1, rotated_at = ?, secret_number = ?, expires_at = ?
                 WHERE id = ? AND generation = ? AND ended_at IS NULL AND expires_at > ?
                RETURNING position
                """,
                (now, secret_number, expires_at, grant_id, generation, now),
            ).fetchall()
            if not row:
                return None
            position: int = row[0][0]
            return self._renew_position(connection, grant_id, position, now=now) if renews_position else position

        return await self._writer.run(work)

    async def end(self, grant_id: int, *, now: int) -> bool:
        """See `Grants.end`."""

        def work(connection: sqlite3.Connection) -> bool:
            return end(connection, "id = ?", (grant_id,), now=now, max_token_lifetime=self._max_token_lifetime) == 1

        return await self._writer.run(work)

    async def oldest_secret_number(self) -> int | None:
        """See `Grants.oldest_secret_number`."""
        row = self._reader.execute("SELECT min(secret_number) FROM grants WHERE ended_at IS NULL").fetchall()
        number: int | None = row[0][0]
        return number

    def _renew_position(self, connection: sqlite3.Connection, grant_id: int, position: int, *, now: int) -> int:
        sweep.bite(connection, now=now, max_token_lifetime=self._max_token_lifetime)
        deny(connection, [(position, 1, now)], max_token_lifetime=self._max_token_lifetime)
        connection.execute("UPDATE grants SET position = (SELECT next_position FROM state) WHERE id = ?", (grant_id,))
        fresh: int = connection.execute(
            "UPDATE state SET next_position = next_position + 1 RETURNING next_position - 1"
        ).fetchall()[0][0]
        return fresh


def end(
    connection: sqlite3.Connection, where: str, values: tuple[object, ...], *, now: int, max_token_lifetime: int
) -> int:
    """End the live grants that match and deny their positions, inside the caller's transaction; returns how many."""
    positions = connection.execute(
        f"UPDATE grants SET ended_at = ? WHERE ended_at IS NULL AND ({where}) RETURNING position",  # noqa: S608
        (now, *values),
    ).fetchall()
    deny(connection, [(position, 1, now) for (position,) in positions], max_token_lifetime=max_token_lifetime)
    return len(positions)


def _grant(row: tuple[Any, ...]) -> Grant:
    grant_id, client_id, user_id, scope, resources, position, generation, secret_number, *instants = row
    rotated_at, created_at, expires_at, ends_at, ended_at = instants
    return Grant(
        id=grant_id,
        client_id=client_id,
        user_id=user_id,
        scope=tuple(scope.split()),
        resources=tuple(resources.split()),
        position=position,
        generation=generation,
        secret_number=secret_number,
        rotated_at=rotated_at,
        created_at=created_at,
        expires_at=expires_at,
        ends_at=ends_at,
        ended_at=ended_at,
    )
