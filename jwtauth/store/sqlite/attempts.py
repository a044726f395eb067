"""Counted wrong secrets in SQLite."""

import sqlite3

from jwtauth.store.ports import Failures
from jwtauth.store.sqlite.writer import Writer


class SqliteAttempts:
    """The port `Attempts`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def failures(self, bucket: int) -> Failures:
        """See `Attempts.failures`."""
        rows = self._reader.execute("SELECT count, last_at FROM attempts WHERE bucket = ?", (bucket,)).fetchall()
        return Failures(*rows[0]) if rows else Failures()

    async def record_failure(self, bucket: int, *, now: int, forget_before: int) -> None:
        """See `Attempts.record_failure`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                """
                INSERT INTO attempts VALUES (?, 1, ?) ON CONFLICT (bucket) DO UPDATE
                   SET count = CASE WHEN last_at < ? THEN 1 ELSE count + 1 END, last_at = excluded.last_at
                """,
                (bucket, now, forget_before),
            )

        await self._writer.run(work)

    async def clear(self, bucket: int) -> None:
        """See `Attempts.clear`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM attempts WHERE bucket = ?", (bucket,))

        await self._writer.run(work)
