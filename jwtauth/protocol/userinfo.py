"""What is told about a person: by scope, or claim by claim (OpenID Connect Core 1.0 sections 5.1 to 5.5)."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from jwtauth.errors import InsufficientScope, InvalidToken
from jwtauth.protocol.claims import AccessToken
from jwtauth.protocol.profile import BY_SCOPE, CLAIMS
from jwtauth.protocol.records import Client, User

OPENID = "openid"
"""The scope value that makes a request one of OpenID Connect (section 3.1.2.1)."""


def decide(token: AccessToken, client: Client | None, user: User | None) -> dict[str, Any]:
    """The claims that a live access token is good for (section 5.3.2).

    Raises:
        InsufficientScope: the token lacks `openid`, or is a machine's.
        InvalidToken: it is for another resource, or its person or client is gone or disabled.
    """
    scope = token.scope.split()
    if OPENID not in scope or token.uid is UNSET:
        raise InsufficientScope("the token was not issued for OpenID Connect", scope=OPENID)
    if client is None or not client.is_enabled or token.audiences != (client.realm.audience,):
        raise InvalidToken("the token is for another resource")
    if user is None or user.disabled_at is not None or user.sub != token.sub:
        raise InvalidToken("the token is not good any more")
    asked = () if token.userinfo_claims is UNSET else token.userinfo_claims
    return {"sub": user.sub, **claims(user, [*by_scope(scope), *asked])}


def by_scope(scope: Iterable[str]) -> list[str]:
    """The claims that scope values stand for (section 5.4)."""
    return [claim for value in scope for claim in BY_SCOPE.get(value, ())]


def claims(user: User, names: Iterable[str]) -> dict[str, Any]:
    """Those of the named claims that are known of a person; the others are absent (section 5.3.2)."""
    wanted = set(names)
    known = {name: _value(user, name) for name in CLAIMS if name in wanted}
    return {name: value for name, value in known.items() if value is not UNSET}


def _value(user: User, name: str) -> Any:
    match name:
        case "preferred_username":
            return user.username
        case "updated_at":
            return user.updated_at or UNSET
        case _:
            return getattr(user.profile, name)
