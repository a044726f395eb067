"""The token of another server, exchanged for one of ours: a grant that is not registered anywhere (docs: external).

The person's password is checked, the foreign token is proven to be live and that person's, and what is issued never
outlives it. Each foreign token is exchanged once; whoever replays it, client or person, is refused.
"""

from hashlib import sha256
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jwtauth.errors import InvalidGrant, InvalidRequest, UnsupportedGrantType
from jwtauth.protocol import direct_grant, password, permissions, resources, scopes
from jwtauth.protocol.claims import GRACE_IN
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.proofs import Proof
from jwtauth.protocol.records import Client, Exchanged, GrantType, User
from jwtauth.protocol.upstream import Upstream

REFUSED: Final = "username, password or access_token is wrong"

UNKNOWN_LIFE_IN: Final = 300
"""Longest life, in seconds, of a token of ours where the upstream does not say when its own expires."""

REMEMBERED_IN: Final = 31_536_000
"""For so long, in seconds, a foreign token is known to have been exchanged that does not say when it expires."""


class Request(Struct, frozen=True, tag_field="grant_type", tag="external_token"):
    """What a client sends; `refresh_token` is the foreign one, which is neither used nor stored."""

    username: str
    password: str
    access_token: str
    refresh_token: str | None = None
    scope: str | None = None
    resource: tuple[str, ...] = ()


def check(request: Request, client: Client, *, now: int) -> Upstream:
    """Refuse what needs neither a password check nor the upstream; returns the upstream to ask.

    Raises:
        UnauthorizedClient: the client did not register this grant, or its realm closed its legacy doors.
        UnsupportedGrantType: the realm names no upstream.
        InvalidRequest, InvalidScope, InvalidTarget: username or password is too long, or it asks for too much.
    """
    permissions.require_grant_type(client, GrantType.EXTERNAL_TOKEN, now=now)
    if client.realm.upstream is None:
        raise UnsupportedGrantType("grant_type: this realm trusts no other authorization server")
    if not password.is_within_bounds(request.username, request.password):
        raise InvalidRequest("username, password: one of them is too long")
    scopes.narrow(request.scope, allowed=client.scope, default=())
    resources.narrow(request.resource, allowed=client.resources)
    return client.realm.upstream


def digest(request: Request, upstream: Upstream, proof: Proof) -> bytes:
    """What is remembered of a foreign token: the same however it is spelt (SECURITY J-08).

    The upstream's own name for it counts; a JWT without one counts without its signature, of which there may be two.
    """
    token = request.access_token
    is_jwt = token.startswith("ey") and token.count(".") == 2  # "ey" is how base64url of a JSON object begins
    text = token.rpartition(".")[0] if is_jwt else token.rstrip("=")  # padding that some servers ignore
    name = f"jti {proof.jti}" if proof.jti is not None else f"text {text}"
    return sha256(f"{upstream.access_token_uri} {name}".encode()).digest()


def why_not(
    request: Request, client: Client, user: User | None, proof: Proof, *, password_matches: bool, was_exchanged: bool
) -> str:
    """Why nothing is issued, for the operator's log; empty where nothing is wrong."""
    if user is None or not password_matches or not permissions.may_use(client, user):
        return "wrong username or password"
    if not proof.is_live:
        return f"the foreign token {proof.reason}"
    if proof.username is None:
        return "the upstream does not say whose the foreign token is"
    if proof.username != request.username or proof.username != user.username:
        return "the foreign token is somebody else's"
    return "the foreign token was exchanged before" if was_exchanged else ""


def decide(
    request: Request,
    client: Client,
    user: User | None,
    proof: Proof,
    *,
    password_matches: bool,
    was_exchanged: bool,
    secret_number: int,
    now: int,
) -> Start:
    """What the grant will be, once the password was checked and the upstream was asked.

    Args:
        request: what was sent.
        client: who sent it, proven.
        user: the person of that username here.
        proof: what the upstream says of the foreign token.
        password_matches: whether the password is the person's.
        was_exchanged: whether somebody has exchanged the foreign token.
        secret_number: the server secret under which a refresh token will be made.
        now: seconds since the epoch.

    Raises:
        InvalidGrant: wrong username or password, a foreign token that is dead, another person's or was exchanged
            before; all alike.
        UnauthorizedClient, UnsupportedGrantType, InvalidRequest, InvalidScope, InvalidTarget: as `check` says.
    """
    upstream = check(request, client, now=now)
    matches = {"password_matches": password_matches, "was_exchanged": was_exchanged}
    if user is None or why_not(request, client, user, proof, **matches):
        raise InvalidGrant(REFUSED)
    start = direct_grant.start(
        client,
        user,
        grant_type=GrantType.EXTERNAL_TOKEN,
        scope=request.scope,
        resource=request.resource,
        secret_number=secret_number,
        now=now,
    )
    exchanged = Exchanged(digest=digest(request, upstream, proof), forget_at=_forget_at(proof, now=now))
    bounded = _bounded(start, proof, now=now)
    return replace(bounded, grant=replace(bounded.grant, exchanged=exchanged))


def _bounded(start: Start, proof: Proof, *, now: int) -> Start:
    """The grant so that nothing of it outlives the foreign token."""
    over_at = now + UNKNOWN_LIFE_IN if proof.expires_at is None else proof.expires_at
    ends_at = min(start.grant.ends_at, over_at)
    return Start(
        grant=replace(start.grant, expires_at=min(start.grant.expires_at, ends_at), ends_at=ends_at),
        permission=replace(start.permission, lifetime_in=min(start.permission.lifetime_in, over_at - now)),
        has_refresh_token=start.has_refresh_token and proof.expires_at is not None,
    )


def _forget_at(proof: Proof, *, now: int) -> int:
    """When the foreign token cannot be replayed any more, as it is over by every honest clock."""
    return now + REMEMBERED_IN if proof.expires_at is None else proof.expires_at + GRACE_IN
