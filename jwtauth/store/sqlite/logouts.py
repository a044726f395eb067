"""The outbox of logout notices in SQLite (OpenID Connect Back-Channel Logout 1.0)."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from jwtauth.protocol.records import LogoutNotice
from jwtauth.store.sqlite.writer import Writer

_COLUMNS: Final = "id, client_id, sub, sid, attempts, created_at"


class SqliteLogouts:
    """The port `Logouts`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def take_due(self, *, limit: int, of_one_client: int, lease_in: int, now: int) -> Sequence[LogoutNotice]:
        """See `Logouts.take_due`."""

        def work(connection: sqlite3.Connection) -> Sequence[LogoutNotice]:
            due = connection.execute(
                f"""
                SELECT {_COLUMNS} FROM (
                    SELECT *, row_number() OVER (PARTITION BY client_id ORDER BY due_at, id) AS place
                      FROM logouts WHERE due_at <= ?
                ) WHERE place <= ? ORDER BY due_at, id LIMIT ?
                """,  # noqa: S608 - the column names are ours
                (now, of_one_client, limit),
            ).fetchall()
            taken = [_notice(row) for row in due]
            connection.executemany(
                "UPDATE logouts SET due_at = ? WHERE id = ?", [(now + lease_in, notice.id) for notice in taken]
            )
            return taken

        return await self._writer.run(work)

    async def retry(self, notice_id: int, *, due_at: int) -> None:
        """See `Logouts.retry`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE logouts SET attempts = attempts + 1, due_at = ? WHERE id = ?", (due_at, notice_id)
            )

        await self._writer.run(work)

    async def remove(self, notice_id: int) -> None:
        """See `Logouts.remove`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM logouts WHERE id = ?", (notice_id,))

        await self._writer.run(work)

    async def next_due_at(self) -> int | None:
        """See `Logouts.next_due_at`."""
        found = self._reader.execute("SELECT min(due_at) FROM logouts").fetchall()
        due_at: int | None = found[0][0]
        return due_at


def note(connection: sqlite3.Connection, session_id: int, *, due_at: int, now: int) -> tuple[LogoutNotice, ...]:
    """Note, inside the caller's transaction, which clients of a session are to be told that it ended."""
    noted = connection.execute(
        f"""
        INSERT INTO logouts (client_id, sub, sid, attempts, created_at, due_at)
        SELECT clients.id, users.sub, sessions.sid, 0, ?, ?
          FROM sessions
          JOIN users ON users.id = sessions.user_id
          JOIN session_clients ON session_clients.session_id = sessions.id
          JOIN clients ON clients.id = session_clients.client_id
          JOIN realms ON realms.id = clients.realm_id
         WHERE sessions.id = ? AND clients.disabled_at IS NULL AND realms.disabled_at IS NULL
           AND json_extract(clients.settings, '$.backchannel_logout_uri') IS NOT NULL
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - the column names are ours
        (now, due_at, session_id),
    ).fetchall()
    return tuple(_notice(row) for row in noted)


def _notice(row: tuple[Any, ...]) -> LogoutNotice:
    notice_id, client_id, sub, sid, attempts, created_at = row
    return LogoutNotice(id=notice_id, client_id=client_id, sub=sub, sid=sid, attempts=attempts, created_at=created_at)
