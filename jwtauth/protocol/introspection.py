"""What a resource server learns when it asks about a token (RFC 7662 sections 2.1 and 2.2)."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from jwtauth.errors import InvalidClient
from jwtauth.protocol.claims import AccessToken
from jwtauth.protocol.records import Client, User


class Active(Struct, frozen=True, kw_only=True):
    """The answer about a live token that the caller may know of (RFC 7662 section 2.2)."""

    active: Literal[True] = True
    scope: str
    client_id: str
    username: str | UnsetType = UNSET
    token_type: str = "Bearer"
    exp: int
    iat: int
    sub: str
    aud: str | tuple[str, ...]
    iss: str
    jti: str
    authorities: tuple[str, ...]
    uid: int | UnsetType = UNSET


class Inactive(Struct, frozen=True):
    """The answer about every other token: nothing more than that (RFC 7662 section 2.2)."""

    active: Literal[False] = False


INACTIVE = Inactive()


def check_caller(caller: Client) -> None:
    """Let a caller pass that has proven who it is: tokens must not be guessable by trying (RFC 7662 section 2.1).

    Raises:
        InvalidClient: it is a public client.
    """
    if caller.is_public:
        raise InvalidClient("a public client cannot ask about tokens; authenticate as a confidential one")


def is_of_parent(owner: Client | None, caller: Client) -> bool:
    """Whether the token is of the realm above the caller's: then the person's roles below are what counts."""
    return caller.realm.parent is not None and owner is not None and owner.realm.name == caller.realm.parent


def decide(
    token: AccessToken | None, owner: Client | None, caller: Client, user: User | None = None
) -> Active | Inactive:
    """The answer for this caller: a client learns nothing about tokens that are none of its business.

    Args:
        token: the claims of a live token, or None where it is not live.
        owner: the client that the token was issued to, or None where it is gone or disabled.
        caller: who asks.
        user: whose token it is, where it is of the realm above the caller's.
    """
    if token is None or owner is None or not _may_know(token, owner, caller):
        return INACTIVE
    return Active(
        scope=token.scope,
        client_id=token.client_id,
        username=token.username,
        exp=token.exp,
        iat=token.iat,
        sub=token.sub,
        aud=token.aud,
        iss=token.iss,
        jti=token.jti,
        authorities=_authorities(token, owner, caller, user),
        uid=token.uid,
    )


def _authorities(token: AccessToken, owner: Client, caller: Client, user: User | None) -> tuple[str, ...]:
    """What the token says; of the realm above only the roles that the person has in the caller's own."""
    if not is_of_parent(owner, caller):
        return token.authorities
    return () if user is None else user.roles.get(caller.realm.name, ())


def _may_know(token: AccessToken, owner: Client, caller: Client) -> bool:
    if owner.id == caller.id or owner.realm.name in caller.introspects_realms or is_of_parent(owner, caller):
        return True
    if owner.realm.id != caller.realm.id:
        return False
    own_audiences = {caller.realm.audience, *caller.resources}
    return not own_audiences.isdisjoint(token.audiences)
