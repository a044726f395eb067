"""Web origins of clients' redirect URIs, in a table of their own: a browser's Origin header is looked up by value."""

import sqlite3
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def write(connection: sqlite3.Connection, row_id: int, redirect_uris: Iterable[str]) -> None:
    """Put the origins of these redirect URIs in the place of the client's, inside the caller's transaction."""
    connection.execute("DELETE FROM origins WHERE client_id = ?", (row_id,))
    origins = {origin for uri in redirect_uris if (origin := _origin(uri))}
    connection.executemany("INSERT INTO origins VALUES (?, ?)", [(origin, row_id) for origin in origins])


def _origin(uri: str) -> str | None:
    """A URI's origin as browsers send it (RFC 6454 section 6.2); None for a private-use scheme, which has none."""
    parts = urlsplit(uri)
    if parts.scheme not in _DEFAULT_PORTS or parts.hostname is None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_default = parts.port in (None, _DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"
