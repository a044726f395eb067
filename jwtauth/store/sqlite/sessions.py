"""People signed in, in SQLite: one row per browser."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import asdict

from jwtauth.protocol.records import NewSession, Session, User
from jwtauth.store.ports import Ended
from jwtauth.store.sqlite import endings, sweep
from jwtauth.store.sqlite.connection import Reader
from jwtauth.store.sqlite.writer import Writer

_COLUMNS: Final = (
    "id, sid, user_id, auth_time, created_at, seen_at, expires_at, ends_at, ended_at, user_agent, upstream_realm"
)

IS_LIVE: Final = "sessions.ended_at IS NULL AND sessions.expires_at > :now AND sessions.ends_at > :now"
"""`Session.is_live`, as a condition on the row."""

_BY_ID: Final = f"SELECT {_COLUMNS} FROM sessions WHERE id = ?"  # noqa: S608 - the column names are ours
_BY_DIGEST: Final = f"SELECT {_COLUMNS} FROM sessions WHERE digest = ?"  # noqa: S608
_BY_PREVIOUS_DIGEST: Final = f"SELECT {_COLUMNS} FROM sessions WHERE previous_digest = ?"  # noqa: S608

MOST_OF_A_USER: Final = 100
"""Sessions of one person that are listed."""


class SqliteSessions:
    """The port `Sessions`."""

    def __init__(self, reader: Reader, writer: Writer, *, max_token_lifetime: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_token_lifetime = max_token_lifetime

    async def find(self, digest: bytes) -> Session | None:
        """See `Sessions.find`."""
        return self._one(_BY_DIGEST, digest)

    async def holding(self, digest: bytes) -> Session | None:
        """See `Sessions.holding`."""
        return await self.find(digest) or self._one(_BY_PREVIOUS_DIGEST, digest)

    async def get(self, session_id: int) -> Session | None:
        """See `Sessions.get`."""
        return self._one(_BY_ID, session_id)

    async def of_user(self, user_id: int, *, now: int) -> Sequence[Session]:
        """See `Sessions.of_user`."""
        found = self._reader.execute(
            f"SELECT {_COLUMNS} FROM sessions WHERE user_id = :user_id AND {IS_LIVE}"  # noqa: S608
            " ORDER BY seen_at DESC, id DESC LIMIT :most",
            {"user_id": user_id, "now": now, "most": MOST_OF_A_USER},
        ).fetchall()
        return [_session(row) for row in found]

    async def start(
        self, new: NewSession, *, replaces: int | None, lease_in: int, now: int
    ) -> tuple[Session, Ended] | None:
        """See `Sessions.start`."""

        def work(connection: sqlite3.Connection) -> tuple[Session, Ended] | None:
            started = connection.execute(
                f"""
                INSERT INTO sessions (digest, sid, user_id, auth_time, created_at, seen_at, expires_at, ends_at,
                                      user_agent, upstream_realm)
                SELECT :digest, :sid, id, :auth_time, :now, :now, :expires_at, :ends_at, :user_agent, :upstream_realm
                  FROM users WHERE id = :user_id AND epoch = :user_epoch AND disabled_at IS NULL
                RETURNING {_COLUMNS}
                """,  # noqa: S608 - the column names are ours
                {**asdict(new), "now": now},
            ).fetchall()
            if not started:
                return None
            ended = None if replaces is None else self._end(connection, replaces, lease_in=lease_in, now=now)
            sweep.bite(connection, now=now, max_token_lifetime=self._max_token_lifetime)
            return _session(started[0]), ended or Ended()

        return await self._writer.run(work)

    async def renew(
        self,
        session_id: int,
        *,
        digest: bytes,
        user_epoch: int,
        auth_time: int,
        upstream_realm: str | None,
        expires_at: int,
        now: int,
    ) -> Session | None:
        """See `Sessions.renew`."""

        def work(connection: sqlite3.Connection) -> Session | None:
            renewed = connection.execute(
                f"""
                UPDATE sessions SET previous_digest = digest, digest = :digest, auth_time = :auth_time,
                                    expires_at = :expires_at, seen_at = :now, upstream_realm = :upstream_realm
                 WHERE id = :session_id AND {IS_LIVE}
                   AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id AND users.epoch = :user_epoch
                                  AND users.disabled_at IS NULL)
                RETURNING {_COLUMNS}
                """,  # noqa: S608 - the column names are ours
                {
                    "session_id": session_id,
                    "digest": digest,
                    "user_epoch": user_epoch,
                    "auth_time": auth_time,
                    "upstream_realm": upstream_realm,
                    "expires_at": expires_at,
                    "now": now,
                },
            ).fetchall()
            return _session(renewed[0]) if renewed else None

        return await self._writer.run(work)

    async def touch(self, session_id: int, *, expires_at: int, now: int) -> None:
        """See `Sessions.touch`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE sessions SET expires_at = max(expires_at, :expires_at), seen_at = max(seen_at, :now)"  # noqa: S608
                f" WHERE id = :session_id AND {IS_LIVE}",
                {"session_id": session_id, "expires_at": expires_at, "now": now},
            )

        await self._writer.run(work)

    async def end(self, session_id: int, *, lease_in: int, now: int) -> Ended | None:
        """See `Sessions.end`."""

        def work(connection: sqlite3.Connection) -> Ended | None:
            return self._end(connection, session_id, lease_in=lease_in, now=now)

        return await self._writer.run(work)

    async def end_all(self, user: User, *, now: int) -> Ended:
        """See `Sessions.end_all`."""

        def work(connection: sqlite3.Connection) -> Ended:
            endings.void_what_began(connection, user.id)
            return endings.end_user(connection, user.id, now=now, max_token_lifetime=self._max_token_lifetime)

        return await self._writer.run(work)

    def _one(self, question: str, value: object) -> Session | None:
        found = self._reader.ask(question, value)
        return _session(found[0]) if found else None

    def _end(self, connection: sqlite3.Connection, session_id: int, *, lease_in: int, now: int) -> Ended | None:
        return endings.end_session(
            connection, session_id, lease_in=lease_in, now=now, max_token_lifetime=self._max_token_lifetime
        )


def _session(row: tuple[Any, ...]) -> Session:
    session_id, sid, user_id, auth_time, created_at, seen_at, expires_at, ends_at, ended_at, *rest = row
    user_agent, upstream_realm = rest
    return Session(
        id=session_id,
        sid=sid,
        user_id=user_id,
        auth_time=auth_time,
        created_at=created_at,
        seen_at=seen_at,
        expires_at=expires_at,
        ends_at=ends_at,
        ended_at=ended_at,
        user_agent=user_agent,
        upstream_realm=upstream_realm,
    )
