"""The resource owner password credentials grant, for clients that opted in (RFC 6749 section 4.3).

RFC 9700 section 2.4 forbids it to new applications; it exists so that old ones can move.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from jwtauth.errors import InvalidGrant, InvalidRequest
from jwtauth.protocol import direct_grant, permissions, refusals, resources, scopes
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.records import Client, GrantType, User

MAX_PASSWORD_BYTES: Final = 1024
"""Longest password that is hashed, in bytes of UTF-8."""

MAX_USERNAME_LENGTH: Final = 256

LEAST_LENGTH: Final = 8
"""Shortest password that a person may choose, in characters (NIST SP 800-63B section 5.1.1)."""

REFUSED: Final = "username or password is wrong"


class Weakness(StrEnum):
    """Why a new password is not taken."""

    DIFFERENT = "passwords_differ"
    SHORT = "password_too_short"
    LONG = "password_too_long"


class Request(Struct, frozen=True, tag_field="grant_type", tag="password"):
    """RFC 6749 section 4.3.2."""

    username: str
    password: str
    scope: str | None = None
    resource: tuple[str, ...] = ()


def check(request: Request, client: Client, *, now: int) -> None:
    """Refuse what needs no password check, before a slow hash is spent on it.

    Raises:
        UnauthorizedClient, InvalidRequest, InvalidScope, InvalidTarget: as in `decide`.
    """
    permissions.require_grant_type(client, GrantType.PASSWORD, now=now)
    if len(request.password.encode()) > MAX_PASSWORD_BYTES:
        raise InvalidRequest(f"password: is longer than {MAX_PASSWORD_BYTES} bytes")
    if len(request.username) > MAX_USERNAME_LENGTH:
        raise InvalidRequest(f"username: is longer than {MAX_USERNAME_LENGTH} characters")
    scopes.narrow(request.scope, allowed=client.scope, default=())
    resources.narrow(request.resource, allowed=client.resources)


def is_within_bounds(username: str, password: str) -> bool:
    """Whether both may be looked at: a giant password is refused before it is hashed (SECURITY B-09)."""
    return len(username) <= MAX_USERNAME_LENGTH and len(password.encode()) <= MAX_PASSWORD_BYTES


def weakness(new: str, repeated: str) -> Weakness | None:
    """Why a person may not choose this password, or None; no rules but length (NIST SP 800-63B section 5.1.1.2)."""
    if len(new) < LEAST_LENGTH:
        return Weakness.SHORT
    if len(new.encode()) > MAX_PASSWORD_BYTES:
        return Weakness.LONG
    return None if new == repeated else Weakness.DIFFERENT


def hash_to_check(client: Client | None, user: User | None) -> str | None:
    """The hash that the password is checked against; None, and nothing matches, for whoever could not be let in.

    Without a client, on the way to the account page, every enabled person may be let in.

    So a right password of a disabled person or of another realm's member counts as a wrong one with the throttle too:
    otherwise it alone would never be throttled, and give itself away.
    """
    if user is None or user.disabled_at is not None:
        return None
    return user.password_hash if client is None or permissions.may_use(client, user) else None


def decide(
    request: Request, client: Client, user: User | None, *, password_matches: bool, secret_number: int, now: int
) -> Start:
    """What the grant will be, once the password was checked.

    Raises:
        InvalidGrant: no such user, wrong password, disabled, or no member of the client's realm; all alike.
        UnauthorizedClient, InvalidRequest, InvalidScope, InvalidTarget: as `check` says.
    """
    check(request, client, now=now)
    if user is None or not password_matches or not permissions.may_use(client, user):
        raise InvalidGrant(REFUSED, why=refusals.of_person(client, user, password_matches=password_matches))
    return direct_grant.start(
        client,
        user,
        grant_type=GrantType.PASSWORD,
        scope=request.scope,
        resource=request.resource,
        secret_number=secret_number,
        now=now,
    )
