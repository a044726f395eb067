"""Many tokens ended at once, in SQLite: one transaction, whose statements are few however many rows they hit."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from msgspec.structs import asdict

from jwtauth.protocol.blast_radius import BLOCK_USE_IN, Radius, Selection
from jwtauth.protocol.claims import GRACE_IN
from jwtauth.protocol.records import Client
from jwtauth.store.sqlite import directory, endings, positions, rows
from jwtauth.store.sqlite.writer import Writer

_WAS_ISSUED: Final = (
    "(created_at BETWEEN :from_at AND :until_at OR redeemed_at BETWEEN :from_at AND :until_at"
    " OR rotated_at BETWEEN :from_at AND :until_at)"
)
_MAY_BE_ISSUED: Final = (
    "coalesce(redeemed_at, created_at) < :from_at AND (rotated_at > :until_at"
    " OR client_id IN (SELECT id FROM clients WHERE json_extract(settings, '$.refresh_token_is_reusable')))"
)
"""The row knows the last refresh only, and none with a reusable refresh token."""

Values = dict[str, object]
Blocks = dict[str, list[tuple[int, int, int]]]
"""Position, size and use_until of blocks, by client_id."""


class SqliteRevocations:
    """The port `Revocations`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer, *, max_token_lifetime: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_token_lifetime = max_token_lifetime

    async def measure(self, selection: Selection, *, now: int) -> Radius:
        """See `Revocations.measure`."""
        values = self._values(selection, now=now)
        self._reader.execute("BEGIN")  # all its questions see the same commit
        try:
            return _measure(self._reader, selection, values)
        finally:
            self._reader.execute("COMMIT")

    async def revoke(self, selection: Selection, *, now: int) -> Radius:
        """See `Revocations.revoke`."""
        values = self._values(selection, now=now)

        def work(connection: sqlite3.Connection) -> Radius:
            radius = _measure(connection, selection, values)
            if radius.grants:
                self._end_grants(connection, selection, values, now=now)
            if selection.position is not None and not positions.is_denied(connection, selection.position):
                self._deny(connection, [(selection.position, 1, now)])
            self._deny(connection, [run for runs in _blocks(connection, selection, values).values() for run in runs])
            if selection.user_id is not None and selection.ends_sessions:
                endings.end_sessions(connection, selection.user_id, now=now)
            _void_what_began(connection, selection, radius.machines)
            return radius

        return await self._writer.run(work)

    def _values(self, selection: Selection, *, now: int) -> Values:
        interval = {} if selection.issued is None else asdict(selection.issued)
        return {**asdict(selection), **interval, "dead_since": now - self._max_token_lifetime - GRACE_IN}

    def _end_grants(self, connection: sqlite3.Connection, selection: Selection, values: Values, *, now: int) -> None:
        where = _grants(selection)
        positions.deny_grants(connection, where, values, now=now, max_token_lifetime=self._max_token_lifetime)
        connection.execute(f"UPDATE grants SET ended_at = :now WHERE {where}", {**values, "now": now})  # noqa: S608

    def _deny(self, connection: sqlite3.Connection, runs: Sequence[tuple[int, int, int]]) -> None:
        positions.deny(connection, runs, max_token_lifetime=self._max_token_lifetime)


def _measure(connection: sqlite3.Connection, selection: Selection, values: Values) -> Radius:
    grants = _count(connection, "grants", _grants(selection), values)
    blocks = _blocks(connection, selection, values)
    sizes = [size for runs in blocks.values() for _, size, _ in runs]
    single = None if grants else selection.position
    is_new = single is not None and not positions.is_denied(connection, single)
    return Radius(
        sessions=_count(connection, "sessions", _SESSIONS, values) if selection.ends_sessions else 0,
        grants=grants,
        blocks=len(sizes),
        positions=grants + sum(sizes) + is_new,
        machines=tuple(sorted(blocks)),
        spared=_count(connection, "grants", _spared(selection), values) if selection.issued is not None else 0,
    )


def _count(connection: sqlite3.Connection, table: str, where: str, values: Values) -> int:
    ((found,),) = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", values).fetchall()  # noqa: S608
    return int(found)


def _grants(selection: Selection) -> str:
    """The condition on grants that have not ended and of which a token may be alive."""
    issued = [] if selection.issued is None else [_WAS_ISSUED]
    return " AND ".join([*_candidates(selection), *issued])


def _spared(selection: Selection) -> str:
    """The condition on grants that may match, but nothing in their rows says so."""
    return " AND ".join([*_candidates(selection), _MAY_BE_ISSUED, f"{_WAS_ISSUED} IS NOT TRUE"])


def _candidates(selection: Selection) -> list[str]:
    given = [condition for name, condition in _GRANTS.items() if getattr(selection, name) is not None]
    if selection.user_id is not None and selection.client_id is not None:
        given.remove(_GRANTS["client_id"])
        given.append("+client_id = :client_id")  # by the person's index: a client may have a million grants
    return [*given, "ended_at IS NULL", "expires_at > :dead_since"]


def _blocks(connection: sqlite3.Connection, selection: Selection, values: Values) -> Blocks:
    """The blocks that match, of clients that match, without those that were denied as a whole."""
    if not selection.hits_blocks:
        return {}
    which = "IN (SELECT client_id FROM blocks)" if selection.client_id is None else "= :client_id"
    found = connection.execute(
        f"SELECT {rows.CLIENT_COLUMNS} FROM clients JOIN realms ON realms.id = clients.realm_id"  # noqa: S608
        f" WHERE clients.id {which}",
        values,
    ).fetchall()
    clients = [client for client in map(rows.client, found) if selection.hits_machine(client)]
    blocks = {client.client_id: _blocks_of(connection, client, selection, values) for client in clients}
    return {client_id: runs for client_id, runs in blocks.items() if runs}


def _blocks_of(
    connection: sqlite3.Connection, client: Client, selection: Selection, values: Values
) -> list[tuple[int, int, int]]:
    interval = "" if selection.issued is None else " AND use_until > :from_at AND use_until - :use_in <= :until_at"
    return connection.execute(
        "SELECT position, size, use_until FROM blocks WHERE client_id = :owner AND use_until > :dead_since"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM revocations WHERE revocations.position = blocks.position"
        f" AND revocations.size = blocks.size){interval}",
        {**values, "owner": client.id, "use_in": BLOCK_USE_IN},
    ).fetchall()


def _void_what_began(connection: sqlite3.Connection, selection: Selection, machines: Sequence[str]) -> None:
    """Refuse what is being started with a user or client as read before now; clients leave the blocks they are in."""
    if selection.user_id is not None:
        endings.void_what_began(connection, selection.user_id)
    if selection.client_id is not None or machines:
        connection.execute(
            "UPDATE clients SET epoch = epoch + 1 WHERE id = ? OR client_id IN (SELECT value FROM json_each(?))",
            (selection.client_id, json.dumps(machines)),
        )
        directory.announce(connection)


_SESSIONS: Final = "user_id = :user_id AND ended_at IS NULL"

_GRANTS: Final = {
    "grant_id": "id = :grant_id",
    "position": "position = :position",
    "user_id": "user_id = :user_id",
    "client_id": "client_id = :client_id",
    "scope": "instr(' ' || scope || ' ', ' ' || :scope || ' ') > 0",  # not LIKE, to which _ is any character
}
"""What each criterion says about a grant's row; the interval stands apart."""
