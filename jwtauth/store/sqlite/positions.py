"""Status positions in SQLite: handing them out, denying them, and the denied ones in memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from jwtauth.protocol.claims import GRACE_IN
from jwtauth.protocol.records import Block, Client
from jwtauth.protocol.status_list import LIST_SIZE, PositionSet
from jwtauth.store.sqlite import sweep
from jwtauth.store.sqlite.writer import Writer

REBUILD_AFTER: Final = 10_000
"""Revocations loaded one by one before the set in memory is built anew without those that were swept away."""


class SqlitePositions:
    """The port `Positions`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer, *, max_token_lifetime: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_token_lifetime = max_token_lifetime
        self._denied = PositionSet()
        self._versions: dict[int, int] = {}
        self._last_id = 0
        self._loaded = 0
        self._loaded_at_build = 0

    async def take_block(self, client: Client, *, size: int, use_until: int, now: int) -> Block | None:
        """See `Positions.take_block`."""

        def work(connection: sqlite3.Connection) -> Block | None:
            epoch = connection.execute(
                "SELECT 1 FROM clients WHERE id = ? AND epoch = ? AND disabled_at IS NULL", (client.id, client.epoch)
            ).fetchone()
            if epoch is None:
                return None
            (position,) = connection.execute("SELECT next_position FROM state").fetchone()
            if position % LIST_SIZE + size > LIST_SIZE:
                position += LIST_SIZE - position % LIST_SIZE
            connection.execute("UPDATE state SET next_position = ?", (position + size,))
            connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?)", (position, size, client.id, use_until))
            sweep.bite(connection, now=now, max_token_lifetime=self._max_token_lifetime)
            return Block(position=position, size=size, use_until=use_until)

        return await self._writer.run(work)

    async def deny(self, position: int, *, now: int) -> bool:
        """See `Positions.deny`."""

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute(
                "UPDATE grants SET ended_at = ? WHERE position = ? AND ended_at IS NULL", (now, position)
            )
            if is_denied(connection, position):
                return False
            sweep.bite(connection, now=now, max_token_lifetime=self._max_token_lifetime)
            return deny(connection, [(position, 1, now)], max_token_lifetime=self._max_token_lifetime) == 1

        return await self._writer.run(work)

    def is_denied(self, position: int) -> bool:
        """See `Positions.is_denied`."""
        return position in self._denied

    def denied_in(self, number: int) -> bytes:
        """See `Positions.denied_in`."""
        return self._denied.packed(number)

    def version_of(self, number: int) -> int:
        """See `Positions.version_of`."""
        return self._versions.get(number, 0)

    def versions(self) -> dict[int, int]:
        """See `Positions.versions`."""
        return dict(self._versions)

    async def has_list(self, number: int) -> bool:
        """See `Positions.has_list`."""
        return bool(self._lists(number, number))

    async def lists(self) -> Sequence[int]:
        """See `Positions.lists`."""
        ((first,),) = self._reader.execute(
            "SELECT min(position) FROM (SELECT min(position) AS position FROM grants"
            " UNION ALL SELECT min(position) FROM blocks UNION ALL SELECT next_position FROM state)"
        ).fetchall()
        return self._lists(first // LIST_SIZE, None)

    def load(self) -> None:
        """Add what was denied since the last call to the set in memory; now and then build the set anew."""
        is_build = self._loaded - self._loaded_at_build > max(REBUILD_AFTER, self._loaded_at_build)
        found = self._reader.execute(
            "SELECT id, position, size FROM revocations WHERE id > ? ORDER BY id", (0 if is_build else self._last_id,)
        ).fetchall()
        denied = PositionSet() if is_build else self._denied
        for row_id, position, size in found:
            denied.add(position, size)
            self._versions[position // LIST_SIZE] = row_id
        self._denied = denied
        self._last_id = found[-1][0] if found else self._last_id
        self._loaded = len(found) if is_build else self._loaded + len(found)
        if is_build or self._loaded == len(found):
            self._loaded_at_build = self._loaded

    def forget(self) -> None:
        """Let `load` begin anew: what was denied is of another time line."""
        self._denied = PositionSet()
        self._versions = {}
        self._last_id = 0
        self._loaded = 0
        self._loaded_at_build = 0

    def _lists(self, first: int, last: int | None) -> list[int]:
        """The lists from `first` to `last` in which a grant or a block still is, and the one in use."""
        ((current,),) = self._reader.execute("SELECT next_position / ? FROM state", (LIST_SIZE,)).fetchall()
        wanted = range(first, current + 1 if last is None else min(last, current) + 1)
        return [number for number in wanted if number == current or self._is_in_use(number)]

    def _is_in_use(self, number: int) -> bool:
        """Rows are swept once no token can name their positions any more: while there is one, the list counts."""
        ((found,),) = self._reader.execute(
            "SELECT EXISTS (SELECT 1 FROM grants WHERE position >= ?1 AND position < ?2)"
            " OR EXISTS (SELECT 1 FROM blocks WHERE position >= ?1 AND position < ?2)",
            (number * LIST_SIZE, (number + 1) * LIST_SIZE),
        ).fetchall()
        return bool(found)


def deny_grants(
    connection: sqlite3.Connection, where: str, values: dict[str, object], *, now: int, max_token_lifetime: int
) -> None:
    """Deny the positions of the grants that match, neighbours as one run, inside the caller's transaction.

    A run stays within one list, for a list's version is that of the runs that begin in it.
    """
    cursor = connection.execute(
        f"""
        INSERT OR IGNORE INTO revocations (position, size, keep_until)
        SELECT min(position), count(*), :keep_until
          FROM (SELECT position, position - row_number() OVER (ORDER BY position) AS island FROM grants WHERE {where})
         GROUP BY island, position / :list_size ORDER BY 1
        """,  # noqa: S608 - the conditions are written by the caller
        {**values, "keep_until": now + max_token_lifetime + GRACE_IN, "list_size": LIST_SIZE},
    )
    if cursor.rowcount:
        announce(connection)


def announce(connection: sqlite3.Connection) -> None:
    """Make every worker read the revocations at its next request."""
    connection.execute("UPDATE state SET revocation_version = revocation_version + 1")


def deny(connection: sqlite3.Connection, runs: Iterable[tuple[int, int, int]], *, max_token_lifetime: int) -> int:
    """Deny runs of (position, size, last use) inside the caller's transaction; returns how many were new."""
    added = 0
    for position, size, last_use in runs:
        cursor = connection.execute(
            "INSERT INTO revocations (position, size, keep_until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (position, size, last_use + max_token_lifetime + GRACE_IN),
        )
        added += cursor.rowcount
    if added:
        announce(connection)
    return added


def is_denied(connection: sqlite3.Connection, position: int) -> bool:
    """Whether a position was denied, by itself, with its block or with many grants at once, as of this transaction."""
    return _is_in_denied_block(connection, position) or _is_in_denied_run(connection, position)


def _is_in_denied_block(connection: sqlite3.Connection, position: int) -> bool:
    found = connection.execute(
        """
        SELECT 1 FROM (SELECT position, size FROM blocks WHERE position <= ?1 ORDER BY position DESC LIMIT 1) AS block
          JOIN revocations USING (position, size)
         WHERE ?1 < block.position + block.size
        """,
        (position,),
    ).fetchall()
    return bool(found)


def _is_in_denied_run(connection: sqlite3.Connection, position: int) -> bool:
    """Whether many grants ended at once, this position's among them; nothing is denied again inside such a run."""
    found = connection.execute(
        "SELECT position + size > ?1 FROM revocations WHERE position <= ?1 ORDER BY position DESC, size DESC LIMIT 1",
        (position,),
    ).fetchall()
    return bool(found and found[0][0])
