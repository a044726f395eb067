"""What a token says about itself to whoever holds it: the form that Connexion and flask-oauthlib clients read."""

from msgspec import Struct

from jwtauth.protocol.claims import AccessToken


class TokenInfo(Struct, frozen=True, kw_only=True):
    """`id` and `uid` are the person's integer id, null for a machine's token."""

    id: int | None
    uid: int | None
    sub: str
    scope: tuple[str, ...]
    client_id: str
    exp: int
    expires_in: int


def answer(token: AccessToken, *, now: int) -> TokenInfo:
    """The answer about a live token."""
    uid = token.uid if isinstance(token.uid, int) else None
    return TokenInfo(
        id=uid,
        uid=uid,
        sub=token.sub,
        scope=tuple(token.scope.split()),
        client_id=token.client_id,
        exp=token.exp,
        expires_in=max(0, token.exp - now),
    )
