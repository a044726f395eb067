"""Counted uses of legacy doors in SQLite: one row per client and door."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlite_utils import Database

from jwtauth.store.ports import LegacyUse
from jwtauth.store.sqlite.migrations import migrations
from jwtauth.store.sqlite.writer import Writer


class SqliteLegacyUses:
    """The port `LegacyUses`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def add(self, uses: Mapping[tuple[int, str], int], *, now: int) -> None:
        """See `LegacyUses.add`."""
        counted = [(client_id, door, count, now) for (client_id, door), count in uses.items()]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                """
                INSERT INTO legacy_uses SELECT id, ?2, ?3, ?4, ?4 FROM clients WHERE id = ?1
                    ON CONFLICT (client_id, door) DO UPDATE
                   SET count = count + excluded.count,
                       first_at = min(first_at, excluded.first_at),
                       last_at = max(last_at, excluded.last_at)
                """,
                counted,
            )

        await self._writer.run(work)

    async def all(self, realm: str | None = None) -> Sequence[LegacyUse]:
        """See `LegacyUses.all`."""
        found = self._reader.execute(
            "SELECT clients.client_id, realms.name, door, count, first_at, last_at FROM legacy_uses"
            " JOIN clients ON clients.id = legacy_uses.client_id JOIN realms ON realms.id = clients.realm_id"
            " WHERE ?1 IS NULL OR realms.name = ?1 ORDER BY last_at DESC, clients.client_id, door",
            (realm,),
        ).fetchall()
        return [
            LegacyUse(client_id=client_id, realm=name, door=door, count=count, first_at=first_at, last_at=last_at)
            for client_id, name, door, count, first_at, last_at in found
        ]

    def since(self) -> int:
        """Since when uses are counted in this database: when the migration made their table."""
        applied = {migration.name: migration.applied_at for migration in migrations.applied(Database(self._reader))}
        return int(datetime.fromisoformat(applied["m0003_legacy_uses"]).timestamp())
