"""Web origins of clients' redirect URIs, in a table of their own: a browser's Origin header is looked up by value."""

import sqlite3
from collections.abc import Iterable

from jwtauth.protocol.redirect_uris import origin


def write(connection: sqlite3.Connection, row_id: int, redirect_uris: Iterable[str]) -> None:
    """Put the origins of these redirect URIs in the place of the client's, inside the caller's transaction."""
    connection.execute("DELETE FROM origins WHERE client_id = ?", (row_id,))
    origins = {found for uri in redirect_uris if (found := origin(uri))}
    connection.executemany("INSERT INTO origins VALUES (?, ?)", [(found, row_id) for found in origins])
