"""Deleting what nobody can use any more, a few rows inside writes that happen anyway."""

import sqlite3
from typing import Final

from jwtauth.protocol.claims import GRACE_IN

BITE: Final = 4
"""Most rows of a table that one write deletes; more than an ordinary write adds, so that no backlog stays."""


def bite(connection: sqlite3.Connection, *, now: int, max_token_lifetime: int) -> None:
    """Delete a few rows whose last token is over. A grant that lives longer by now is looked at again later."""
    dead_since = now - max_token_lifetime - GRACE_IN
    due = connection.execute(
        "SELECT id, expires_at FROM grants WHERE sweep_at <= ? ORDER BY sweep_at LIMIT ?", (dead_since, BITE)
    ).fetchall()
    for grant_id, expires_at in due:
        if expires_at <= dead_since:
            connection.execute("DELETE FROM grants WHERE id = ?", (grant_id,))
        else:
            connection.execute("UPDATE grants SET sweep_at = ? WHERE id = ?", (expires_at, grant_id))
    connection.execute(
        "DELETE FROM blocks WHERE position IN (SELECT position FROM blocks WHERE use_until <= ? LIMIT ?)",
        (dead_since, BITE),
    )
    connection.execute(
        "DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE keep_until <= ? LIMIT ?)", (now, BITE)
    )
    connection.execute(
        "DELETE FROM sessions WHERE id IN"  # its clients go along: ON DELETE CASCADE
        " (SELECT id FROM sessions WHERE coalesce(ended_at, min(expires_at, ends_at)) <= ? LIMIT ?)",
        (dead_since, BITE),
    )
    connection.execute(
        "DELETE FROM finished WHERE digest IN (SELECT digest FROM finished WHERE forget_at <= ? LIMIT ?)", (now, BITE)
    )
    connection.execute(
        "DELETE FROM exchanged WHERE digest IN (SELECT digest FROM exchanged WHERE forget_at <= ? LIMIT ?)", (now, BITE)
    )
