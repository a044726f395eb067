"""Authorization codes: given once, redeemed once, by the client and with the verifier they were given for.

RFC 6749 section 4.1, RFC 7636, RFC 9700 section 4.5. A code is a pointer to the grant's row; who comes second ends it.
"""

from typing import Final

from msgspec import Struct

from jwtauth.errors import Failed, InvalidGrant
from jwtauth.protocol import permissions, pkce, redirect_uris, refusals, resources, sessions
from jwtauth.protocol.authorization import AuthorizationRequest, ResponseType
from jwtauth.protocol.interaction import Standing
from jwtauth.protocol.records import Client, Consent, Grant, GrantType, NewGrant, Permission, Session, User

LIVES_IN: Final = 60
"""For how long a code may be redeemed, in seconds (RFC 9700 and FAPI 2.0 allow no more)."""

REFUSED: Final = (
    "code: is unknown, expired, already used, or was given to another client, redirect_uri or code_verifier"
)


class Request(Struct, frozen=True, tag_field="grant_type", tag="authorization_code"):
    """RFC 6749 section 4.1.3, RFC 7636 section 4.5."""

    code: str
    redirect_uri: str | None = None
    code_verifier: str | None = None
    resource: tuple[str, ...] = ()


class Redeem(Struct, frozen=True, kw_only=True):
    """Redeem the code; who wins answers with this permission."""

    permission: Permission
    expires_at: int
    """When the grant's first refresh token, or its access token, is over."""
    has_refresh_token: bool


class EndGrant(Struct, frozen=True):
    """The code was redeemed before: one of the two is a thief (RFC 6749 section 10.5)."""


def start(
    request: AuthorizationRequest,
    client: Client,
    standing: Standing,
    *,
    consent: Consent | None,
    digest: bytes,
    secret_number: int,
    now: int,
) -> NewGrant:
    """The grant that finishes a transaction, with a code to be redeemed, or for one access token at once (implicit).

    Args:
        request: what the client asked for.
        client: who asked.
        standing: who is signed in.
        consent: to be remembered with it.
        digest: of the transaction's id.
        secret_number: of the server secret under which its code and refresh token are made.
        now: seconds since the epoch.
    """
    is_code = request.response_type is ResponseType.CODE
    lives_in = permissions.access_token_in(client, GrantType.AUTHORIZATION_CODE)
    ends_at = now + max(client.realm.grant_in, lives_in)
    return NewGrant(
        client_id=client.id,
        client_epoch=client.epoch,
        user_id=standing.user.id,
        user_epoch=standing.user.epoch,
        scope=request.scope,
        resources=request.resources,
        secret_number=secret_number,
        expires_at=now + (LIVES_IN if is_code else lives_in),
        ends_at=ends_at,
        session_id=standing.session.id,
        auth_time=standing.session.auth_time,
        claims=request.claims,
        code_challenge=request.code_challenge,
        code_expires_at=now + LIVES_IN if is_code else None,
        redirect_uri=request.addressee.redirect_uri if request.addressee.is_redirect_uri_sent else None,
        nonce=request.nonce,
        transaction=digest,
        consent=consent,
    )


def decide(
    request: Request,
    client: Client,
    grant: Grant | None,
    user: User | None,
    session: Session | None,
    *,
    owner: Client | None = None,
    now: int,
) -> Redeem | EndGrant:
    """What a code is worth. The order is law: ended, then owner, and only then reuse.

    Args:
        request: what was sent.
        client: who sent it, proven.
        grant: what the code points to.
        user: whose grant it is.
        session: the browser session in which it was given.
        owner: the client that the code was given to, where that is another one.
        now: seconds since the epoch.

    Raises:
        InvalidGrant: unknown, ended, expired, or of another client, redirect_uri or code_verifier; nothing ends, and a
            code that was presented with a wrong verifier is still good for the right one (SECURITY P-13).
        UnauthorizedClient: the client did not register this grant.
        InvalidTarget: it asks for a resource that was not granted.
    """
    permissions.require_grant_type(client, GrantType.AUTHORIZATION_CODE, now=now)
    if grant is None or grant.ended_at is not None or user is None or not permissions.may_use(client, user):
        raise _refusal(client, grant, user, session, now=now)
    if owner is not None and permissions.acts_for(client, owner):
        client = owner
    if grant.client_id != client.id or grant.code_expires_at is None:
        raise _refusal(client, grant, user, session, now=now)
    pkce.check(request.code_verifier, grant.code_challenge, refusal=REFUSED)
    if grant.redeemed_at is not None:
        return EndGrant()
    if grant.redirect_uri not in (None, request.redirect_uri):
        raise InvalidGrant(REFUSED, why=_other_redirect_uri(grant, request))
    if now >= grant.code_expires_at or not sessions.outlives(grant, client, session, now=now):
        raise _refusal(client, grant, user, session, now=now)
    has_refresh_token = GrantType.REFRESH_TOKEN in client.grant_types
    lives_in = permissions.access_token_in(client, GrantType.AUTHORIZATION_CODE)
    scope = tuple(value for value in grant.scope if value in client.scope)
    granted = resources.still_granted(request.resource, granted=grant.resources, allowed=client.resources)
    return Redeem(
        permission=permissions.of_grant(client, user, grant, scope=scope, granted=granted, now=now),
        expires_at=min(now + (client.realm.refresh_token_in if has_refresh_token else lives_in), grant.ends_at),
        has_refresh_token=has_refresh_token,
    )


def forged() -> InvalidGrant:
    """The refusal of what is no code of ours: the same words as for one that is over."""
    return InvalidGrant(REFUSED, why=refusals.of_pointer("code"))


def reused(grant: Grant) -> InvalidGrant:
    """The refusal of a code whose second use ended the grant."""
    got = f"the code of grant {grant.id}, redeemed at {grant.redeemed_at}"
    return InvalidGrant(REFUSED, why=Failed("code", "a code that nobody has used", got))


def _refusal(
    client: Client, grant: Grant | None, user: User | None, session: Session | None, *, now: int
) -> InvalidGrant:
    ends_at = now if grant is None or grant.code_expires_at is None else grant.code_expires_at
    why = refusals.of_grant("code", client, grant, user, session, ends_at=ends_at, now=now)
    return InvalidGrant(REFUSED, why=why)


def _other_redirect_uri(grant: Grant, request: Request) -> Failed:
    sent = "none" if request.redirect_uri is None else redirect_uris.without_query(request.redirect_uri)
    return Failed("redirect_uri", redirect_uris.without_query(grant.redirect_uri or ""), sent)
