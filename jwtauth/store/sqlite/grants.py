"""Grants in SQLite: one row from consent to end."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import asdict, replace

from jwtauth.protocol.records import Grant, NewGrant
from jwtauth.store.sqlite import consents, rows, sessions, sweep
from jwtauth.store.sqlite.connection import Reader
from jwtauth.store.sqlite.endings import end_grants
from jwtauth.store.sqlite.positions import deny
from jwtauth.store.sqlite.writer import Writer

_COLUMNS: Final = (
    "id, client_id, user_id, scope, resources, position, generation, secret_number, rotated_at, created_at,"
    " expires_at, ends_at, ended_at, grant_type, session_id, auth_time, claims, code_challenge, code_expires_at,"
    " redeemed_at, redirect_uri, nonce"
)

_BY_ID: Final = f"SELECT {_COLUMNS} FROM grants WHERE id = ?"  # noqa: S608 - the column names are ours
_BY_IDS: Final = f"SELECT {_COLUMNS} FROM grants WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608
_BY_TRANSACTION: Final = f"SELECT {_COLUMNS} FROM grants WHERE id = (SELECT grant_id FROM finished WHERE digest = ?)"  # noqa: S608
_BY_POSITION: Final = f"SELECT {_COLUMNS} FROM grants WHERE position = ?"  # noqa: S608
_ROTATE: Final = (
    "UPDATE grants SET generation = generation + 1, rotated_at = ?, secret_number = ?, expires_at = ?"
    " WHERE id = ? AND generation = ? AND position = ? AND ended_at IS NULL AND expires_at > ?"
)

MOST_OF_A_USER: Final = 1_000
"""Grants of one person that are listed; a program that signs in every minute has ten thousands of them."""

FINISHED_KEPT_IN: Final = 86_400
"""For so long, in seconds, it is known which grant finished a transaction; no transaction lives longer."""


class SqliteGrants:
    """The port `Grants`."""

    def __init__(self, reader: Reader, writer: Writer, *, max_token_lifetime: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_token_lifetime = max_token_lifetime

    async def get(self, grant_id: int) -> Grant | None:
        """See `Grants.get`."""
        return self._one(_BY_ID, grant_id)

    def of_ids(self, grant_ids: Collection[int]) -> Mapping[int, Grant]:
        """See `Grants.of_ids`."""
        found = self._reader.ask(_BY_IDS, f"[{','.join(map(str, grant_ids))}]")
        return {row[0]: _grant(row) for row in found}

    async def was_exchanged(self, digest: bytes) -> bool:
        """See `Grants.was_exchanged`."""
        return bool(self._reader.execute("SELECT 1 FROM exchanged WHERE digest = ?", (digest,)).fetchall())

    async def of_transaction(self, transaction: bytes) -> Grant | None:
        """See `Grants.of_transaction`."""
        return self._one(_BY_TRANSACTION, transaction)

    async def of_position(self, position: int) -> Grant | None:
        """See `Grants.of_position`."""
        return self._one(_BY_POSITION, position)

    async def of_user(self, user_id: int, *, now: int) -> Sequence[Grant]:
        """See `Grants.of_user`."""
        found = self._reader.execute(
            f"SELECT {_COLUMNS} FROM grants WHERE user_id = ? AND ended_at IS NULL AND expires_at > ?"  # noqa: S608
            " AND (code_expires_at IS NULL OR redeemed_at IS NOT NULL) ORDER BY id DESC LIMIT ?",
            (user_id, now, MOST_OF_A_USER),
        ).fetchall()
        return [_grant(row) for row in found]

    async def start(self, new: NewGrant, *, now: int) -> Grant | None:
        """See `Grants.start`."""

        def work(connection: sqlite3.Connection) -> Grant | None:
            row = connection.execute(
                f"""
                INSERT INTO grants (client_id, user_id, scope, resources, position, generation, secret_number,
                                    created_at, expires_at, ends_at, sweep_at, grant_type, session_id, auth_time,
                                    claims, code_challenge, code_expires_at, redirect_uri, nonce)
                SELECT clients.id, users.id, :scope, :resources, state.next_position, 0, :secret_number,
                       :now, :expires_at, :ends_at, :sweep_at, :grant_type, :session_id, :auth_time, :claims,
                       :code_challenge, :code_expires_at, :redirect_uri, :nonce
                  FROM clients, users, state
                 WHERE clients.id = :client_id AND clients.epoch = :client_epoch AND clients.disabled_at IS NULL
                   AND users.id = :user_id AND users.epoch = :user_epoch AND users.disabled_at IS NULL
                   AND (:session_id IS NULL OR EXISTS (
                        SELECT 1 FROM sessions
                         WHERE sessions.id = :session_id AND sessions.user_id = :user_id AND {sessions.IS_LIVE}))
                   AND NOT EXISTS (SELECT 1 FROM finished WHERE digest = :transaction)
                   AND NOT EXISTS (SELECT 1 FROM exchanged WHERE digest = :exchanged)
                RETURNING {_COLUMNS}
                """,  # noqa: S608 - the column names are ours
                {
                    **asdict(new),
                    "scope": " ".join(new.scope),
                    "resources": " ".join(new.resources),
                    "claims": rows.claims(new.claims),
                    "exchanged": new.exchanged.digest if new.exchanged else None,
                    "now": now,
                    "sweep_at": new.expires_at if new.transaction is None else max(new.expires_at, _forget_at(now)),
                },
            ).fetchall()
            if not row:
                return None
            grant = _grant(row[0])
            connection.execute("UPDATE state SET next_position = next_position + 1")
            _note_start(connection, new, grant)
            sweep.bite(connection, now=now, max_token_lifetime=self._max_token_lifetime)
            return grant

        return await self._writer.run(work)

    async def redeem(self, grant_id: int, *, expires_at: int, now: int) -> Grant | None:
        """See `Grants.redeem`."""

        def work(connection: sqlite3.Connection) -> Grant | None:
            known = connection.execute("SELECT nonce, redirect_uri FROM grants WHERE id = ?", (grant_id,)).fetchall()
            row = connection.execute(
                f"""
                UPDATE grants SET redeemed_at = ?, expires_at = ?, nonce = NULL, redirect_uri = NULL
                 WHERE id = ? AND redeemed_at IS NULL AND ended_at IS NULL AND code_expires_at > ? AND expires_at > ?
                RETURNING {_COLUMNS}
                """,  # noqa: S608 - the column names are ours
                (now, expires_at, grant_id, now, now),
            ).fetchall()
            if not row:
                return None
            ((nonce, redirect_uri),) = known
            return replace(_grant(row[0]), nonce=nonce, redirect_uri=redirect_uri)

        return await self._writer.run(work)

    async def rotate(
        self, grant: Grant, *, secret_number: int, expires_at: int, renews_position: bool, now: int
    ) -> int | None:
        """See `Grants.rotate`."""
        values = (now, secret_number, expires_at, grant.id, grant.generation, grant.position, now)

        def work(connection: sqlite3.Connection) -> int | None:
            # How many rows it changed is known at once; RETURNING would take three times as long.
            if connection.execute(_ROTATE, values).rowcount == 0:
                return None
            return self._renew_position(connection, grant, now=now) if renews_position else grant.position

        return await self._writer.run(work)

    async def end(self, grant_id: int, *, now: int) -> bool:
        """See `Grants.end`."""

        def work(connection: sqlite3.Connection) -> bool:
            ended = end_grants(connection, "id = ?", (grant_id,), now=now, max_token_lifetime=self._max_token_lifetime)
            return ended == 1

        return await self._writer.run(work)

    async def oldest_secret_number(self) -> int | None:
        """See `Grants.oldest_secret_number`."""
        row = self._reader.execute("SELECT min(secret_number) FROM grants WHERE ended_at IS NULL").fetchall()
        number: int | None = row[0][0]
        return number

    def _one(self, question: str, value: object) -> Grant | None:
        row = self._reader.ask(question, value)
        return _grant(row[0]) if row else None

    def _renew_position(self, connection: sqlite3.Connection, grant: Grant, *, now: int) -> int:
        sweep.bite(connection, now=now, max_token_lifetime=self._max_token_lifetime)
        deny(connection, [(grant.position, 1, now)], max_token_lifetime=self._max_token_lifetime)
        connection.execute("UPDATE grants SET position = (SELECT next_position FROM state) WHERE id = ?", (grant.id,))
        fresh: int = connection.execute(
            "UPDATE state SET next_position = next_position + 1 RETURNING next_position - 1"
        ).fetchall()[0][0]
        return fresh


def _forget_at(now: int) -> int:
    """Until when a finished transaction, and the grant that finished it, are remembered."""
    return now + FINISHED_KEPT_IN


def _note_start(connection: sqlite3.Connection, new: NewGrant, grant: Grant) -> None:
    """Write what a start leaves behind beside the grant: transaction, foreign token, session's client, consent."""
    if new.transaction is not None:
        values = (new.transaction, grant.id, _forget_at(grant.created_at))
        connection.execute("INSERT INTO finished VALUES (?, ?, ?)", values)
    if new.exchanged is not None:
        connection.execute("INSERT INTO exchanged VALUES (?, ?)", (new.exchanged.digest, new.exchanged.forget_at))
    if new.session_id is not None:
        connection.execute("INSERT OR IGNORE INTO session_clients VALUES (?, ?)", (new.session_id, new.client_id))
    if new.consent is not None:
        consents.remember(connection, new.consent)


def _grant(row: tuple[Any, ...]) -> Grant:
    grant_id, client_id, user_id, scope, resources, position, generation, secret_number, *rest = row
    rotated_at, created_at, expires_at, ends_at, ended_at, grant_type, session_id, auth_time, claims, *code = rest
    code_challenge, code_expires_at, redeemed_at, redirect_uri, nonce = code
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
        grant_type=grant_type,
        session_id=session_id,
        auth_time=auth_time,
        claims=rows.requested_claims(claims),
        code_challenge=code_challenge,
        code_expires_at=code_expires_at,
        redeemed_at=redeemed_at,
        redirect_uri=redirect_uri,
        nonce=nonce,
    )
