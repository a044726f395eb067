"""Where an issuer keeps its documents, and which URLs may be asked for them (RFC 8414 sections 2 and 3)."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from jwtauth.protocol import status_list

_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
_LIST_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_PORTS: Final = {"http": 80, "https": 443}


def require_issuer(issuer: str) -> None:
    """Let an issuer identifier pass that can be trusted to name one server (RFC 8414 section 2).

    Raises:
        ValueError: it is not https (http on a literal loopback address), or has parts that an issuer never has.
    """
    parts = _split(issuer)
    if parts is None or parts.query or parts.fragment or issuer.endswith(("/", "?", "#")):
        raise ValueError("issuer: expected https://host[/path] without user, query, fragment or trailing slash")
    if parts.scheme != "https" and not _is_loopback(parts):
        raise ValueError("issuer: must be https; http is for a loopback address such as http://127.0.0.1:8000 only")


def require_jwks_uri(jwks_uri: str, *, issuer: str) -> None:
    """Let a JWKS location pass that the issuer's keys may come from.

    Raises:
        ValueError: it is neither https nor of the issuer's own origin.
    """
    parts, home = _split(jwks_uri), _split(issuer)
    if parts is None or home is None or (parts.scheme != "https" and _origin(parts) != _origin(home)):
        raise ValueError("jwks_uri: must be https, or of the same origin as the issuer")


def metadata_uri(issuer: str) -> str:
    """Where the metadata is: the well-known part goes between host and path (RFC 8414 section 3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{_WELL_KNOWN}{parts.path}"


def events_uri(issuer: str) -> str:
    """Where the issuer announces that a status list changed."""
    return f"{issuer}{status_list.EVENTS}"


def is_status_list(uri: str, *, issuer: str) -> bool:
    """Whether the URI is that of one of the issuer's own status lists: no other path, host or query."""
    home = f"{issuer}{status_list.PATH}/"
    return uri.startswith(home) and _LIST_NAME.fullmatch(uri, len(home)) is not None


def _split(url: str) -> SplitResult | None:
    """The parts of an http(s) URL with a host and no user, or None."""
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in _PORTS and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return None
    return parts if is_sound and url.isascii() and url.isprintable() and " " not in url and "\\" not in url else None


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _is_loopback(parts: SplitResult) -> bool:
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
