"""What Spring Security OAuth 2.x resource servers read from `check_token` (its CheckTokenEndpoint)."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from jwtauth.errors import ExpiredToken, InvalidToken
from jwtauth.protocol.introspection import Active
from jwtauth.protocol.records import Client


class CheckedToken(Struct, frozen=True, kw_only=True):
    """The answer about a live token; a dead one is a refusal with `invalid_token`."""

    active: Literal[True] = True
    user_name: str | UnsetType = UNSET
    scope: tuple[str, ...]
    exp: int
    authorities: tuple[str, ...]
    jti: str
    client_id: str
    aud: tuple[str, ...]


def refusal(error: InvalidToken, caller: Client) -> InvalidToken:
    """The refusal in Spring's words; only the token's own client learns that it was good once."""
    if isinstance(error, ExpiredToken) and error.client_id == caller.client_id:
        return ExpiredToken("Token has expired", client_id=caller.client_id)
    return InvalidToken("Token was not recognised")


def answer(active: Active) -> CheckedToken:
    """The same facts as introspection gives, under Spring's names."""
    return CheckedToken(
        user_name=active.username,
        scope=tuple(active.scope.split()),
        exp=active.exp,
        authorities=active.authorities,
        jti=active.jti,
        client_id=active.client_id,
        aud=(active.aud,) if isinstance(active.aud, str) else active.aud,
    )
