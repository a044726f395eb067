"""What ends together, inside the caller's transaction: sessions, the grants given in them, all that a person has."""

import sqlite3

from jwtauth.protocol.authorization import OFFLINE_ACCESS
from jwtauth.store.ports import Ended
from jwtauth.store.sqlite import directory, logouts
from jwtauth.store.sqlite.positions import deny


def end_grants(
    connection: sqlite3.Connection, where: str, values: tuple[object, ...], *, now: int, max_token_lifetime: int
) -> int:
    """End the grants that match and deny their positions; returns how many had not ended before."""
    positions = connection.execute(
        f"UPDATE grants SET ended_at = ? WHERE ended_at IS NULL AND ({where}) RETURNING position",  # noqa: S608
        (now, *values),
    ).fetchall()
    deny(connection, [(position, 1, now) for (position,) in positions], max_token_lifetime=max_token_lifetime)
    return len(positions)


def end_session(
    connection: sqlite3.Connection, session_id: int, *, lease_in: int, now: int, max_token_lifetime: int
) -> Ended | None:
    """End a session and its grants without `offline_access`; None where it had ended before or never was."""
    cursor = connection.execute("UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL", (now, session_id))
    if cursor.rowcount != 1:
        return None
    grants = end_grants(
        connection,
        # Not LIKE, to which the underscore is any character.
        "session_id = ? AND instr(' ' || scope || ' ', ?) = 0",
        (session_id, f" {OFFLINE_ACCESS} "),
        now=now,
        max_token_lifetime=max_token_lifetime,
    )
    notices = logouts.note(connection, session_id, due_at=now + lease_in, now=now)
    return Ended(sessions=1, grants=grants, notices=notices)


def end_user(connection: sqlite3.Connection, user_id: int, *, now: int, max_token_lifetime: int) -> Ended:
    """End all sessions and grants of a person; the notices are due at once, for whoever takes them first."""
    sessions = end_sessions(connection, user_id, now=now)
    grants = end_grants(connection, "user_id = ?", (user_id,), now=now, max_token_lifetime=max_token_lifetime)
    return Ended(sessions=sessions, grants=grants)


def end_sessions(connection: sqlite3.Connection, user_id: int, *, now: int) -> int:
    """End all sessions of a person but not the grants; returns how many. The notices are due at once."""
    ended = connection.execute(
        "UPDATE sessions SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL RETURNING id", (now, user_id)
    ).fetchall()
    for (session_id,) in ended:
        logouts.note(connection, session_id, due_at=now, now=now)
    return len(ended)


def void_what_began(connection: sqlite3.Connection, user_id: int) -> None:
    """Refuse every session and grant that is being started with the user as read before now."""
    connection.execute("UPDATE users SET epoch = epoch + 1 WHERE id = ?", (user_id,))
    directory.announce(connection)
