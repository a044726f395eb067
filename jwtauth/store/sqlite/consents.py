"""Consents in SQLite: one row per person and client."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from jwtauth.protocol.records import Consent, User
from jwtauth.store.sqlite import endings, rows
from jwtauth.store.sqlite.writer import Writer

_COLUMNS: Final = "user_id, client_id, scope, claims, resources, granted_at"


class SqliteConsents:
    """The port `Consents`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer, *, max_token_lifetime: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_token_lifetime = max_token_lifetime

    async def get(self, user_id: int, client_id: int) -> Consent | None:
        """See `Consents.get`."""
        found = self._reader.execute(
            f"SELECT {_COLUMNS} FROM consents WHERE user_id = ? AND client_id = ?",  # noqa: S608 - the names are ours
            (user_id, client_id),
        ).fetchall()
        return _consent(found[0]) if found else None

    async def of_user(self, user_id: int) -> Sequence[Consent]:
        """See `Consents.of_user`."""
        found = self._reader.execute(
            f"SELECT {_COLUMNS} FROM consents WHERE user_id = ? ORDER BY granted_at DESC, client_id",  # noqa: S608
            (user_id,),
        ).fetchall()
        return [_consent(row) for row in found]

    async def withdraw(self, user: User, client_id: int, *, now: int) -> int:
        """See `Consents.withdraw`."""

        def work(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM consents WHERE user_id = ? AND client_id = ?", (user.id, client_id))
            endings.void_what_began(connection, user.id)
            return endings.end_grants(
                connection,
                "user_id = ? AND +client_id = ?",  # by the person's index: a client may have a million grants
                (user.id, client_id),
                now=now,
                max_token_lifetime=self._max_token_lifetime,
            )

        return await self._writer.run(work)


def remember(connection: sqlite3.Connection, consent: Consent) -> None:
    """Put a consent in the place of what the person allowed the client before, inside the caller's transaction."""
    connection.execute(
        f"INSERT OR REPLACE INTO consents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - the names are ours
        (
            consent.user_id,
            consent.client_id,
            " ".join(consent.scope),
            rows.claims(consent.claims),
            " ".join(consent.resources),
            consent.granted_at,
        ),
    )


def _consent(row: tuple[Any, ...]) -> Consent:
    user_id, client_id, scope, claims, resources, granted_at = row
    return Consent(
        user_id=user_id,
        client_id=client_id,
        scope=tuple(scope.split()),
        claims=rows.requested_claims(claims),
        resources=tuple(resources.split()),
        granted_at=granted_at,
    )
