"""What the token endpoint answers with: an access token, and what goes with it (RFC 6749 section 5.1)."""

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import id_token, scopes
from jwtauth.protocol.records import Client, Grant, Permission, Pointer, Session, User
from jwtauth.protocol.userinfo import OPENID


class TokenAnswer(Struct, frozen=True, kw_only=True):
    """RFC 6749 section 5.1."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    refresh_token: str | UnsetType = UNSET
    id_token: str | UnsetType = UNSET
    """OpenID Connect Core 1.0 section 3.1.3.3."""
    scope: str | UnsetType = UNSET
    """Absent where the token has no scope at all: an empty one has no spelling (RFC 6749 section 3.3)."""


async def make(
    issuer: Issuer, permission: Permission, position: int, successor: Pointer | None = None, *, now: int
) -> TokenAnswer:
    """The answer with an access token for a permission, and the refresh token of a grant's generation, if any."""
    return TokenAnswer(
        access_token=await issuer.mint_together(permission, position, now=now),
        expires_in=permission.lifetime_in,
        refresh_token=UNSET if successor is None else issuer.sealer.refresh_token(successor),
        scope=scopes.text(permission.scope) or UNSET,
    )


def with_id_token(
    issuer: Issuer,
    answer: TokenAnswer,
    permission: Permission,
    grant: Grant,
    client: Client,
    user: User,
    session: Session | None,
    *,
    now: int,
) -> TokenAnswer:
    """The answer with an ID token, if the person signed in here and the client asked for one (OpenID Core 3.1.3.3)."""
    if OPENID not in permission.scope or grant.auth_time is None:
        return answer
    claims = id_token.make(
        grant, client, user, session, issuer=issuer.settings.issuer, access_token=answer.access_token, now=now
    )
    signed = issuer.sign(claims, algorithm=client.id_token_algorithm, typ=id_token.TYPE, now=now)
    return replace(answer, id_token=signed)
