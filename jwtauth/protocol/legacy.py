"""What this service does only so that older clients can move, and until when (RFC 9700, RFC 8594, RFC 9745).

A legacy door is a short name for one such thing. Every use is counted per client, and all doors of a realm close at its
`sunset_at`.
"""

from typing import Final

from jwtauth.errors import UnauthorizedClient
from jwtauth.protocol.records import Client, GrantType, Realm

DEPRECATED_AT: Final = 1_735_689_600
"""When all of it was deprecated, for the Deprecation header: RFC 9700 is of January 2025."""

GRANT_TYPES: Final = frozenset({GrantType.PASSWORD, GrantType.EXTERNAL_TOKEN})
"""Grants that RFC 9700 section 2.4 forbids to new clients: they take a password."""

ALIASES: Final = {"external_auth": GrantType.EXTERNAL_TOKEN.value}
"""Other names of grant types."""

QUERY: Final = "parameters in the query"
NO_SECRET: Final = "no client secret"
IMPLICIT: Final = "response_type token"
REUSABLE: Final = "reusable refresh token"


def of_path(path: str) -> str:
    """The door that a dialect's own path is."""
    return f"path {path}"


def of_grant_type(grant_type: object) -> str:
    """The door that a legacy grant is."""
    return f"grant_type {ALIASES.get(str(grant_type), grant_type)}"


def is_legacy(grant_type: object) -> bool:
    """Whether this grant type, under whatever name, is one that new clients must not use."""
    return grant_type in GRANT_TYPES or grant_type in ALIASES


def doors_of_grant(grant_type: object, client: Client | None, *, has_secret: bool) -> tuple[str, ...]:
    """The doors that a token request goes through: a legacy grant, or no secret where the client has one."""
    needs_none = client is not None and grant_type in client.secretless_grants and not has_secret
    grant = (of_grant_type(grant_type),) if is_legacy(grant_type) else ()
    return (*grant, NO_SECRET) if needs_none else grant


def is_over(realm: Realm, *, now: int) -> bool:
    """Whether the realm's legacy doors are closed."""
    return realm.sunset_at is not None and now >= realm.sunset_at


def dialect_of(realm: Realm, *, now: int) -> str:
    """What the realm speaks at this instant."""
    return "standard" if is_over(realm, now=now) else realm.dialect


def check_open(realm: Realm, door: str, *, now: int) -> None:
    """Let a request pass that goes through a legacy door which is still open.

    Raises:
        UnauthorizedClient: the realm's doors were closed.
    """
    if is_over(realm, now=now):
        raise UnauthorizedClient(f"{door}: was switched off for this realm; use the authorization code with PKCE")
