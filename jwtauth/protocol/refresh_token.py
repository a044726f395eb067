"""The refresh token grant: one use, safe to retry, reuse ends the grant (RFC 6749 section 6, RFC 9700 section 4.14).

A refresh token of generation n is good while the row's generation is n. Rotation is a compare-and-swap from n to
n + 1 in the store; the successor is derived from (grant, generation), so it need not be remembered to be given again
to a client whose answer got lost.
"""

from typing import Final

from msgspec import Struct

from jwtauth.errors import Failed, InvalidGrant
from jwtauth.protocol import legacy, permissions, refusals, resources, scopes, sessions
from jwtauth.protocol.records import Client, Grant, GrantType, Permission, Pointer, Session, User

REFUSED: Final = "refresh_token: is unknown, expired, already used, or belongs to another client"


class Request(Struct, frozen=True, tag_field="grant_type", tag="refresh_token"):
    """RFC 6749 section 6."""

    refresh_token: str
    scope: str | None = None
    resource: tuple[str, ...] = ()


class Rotate(Struct, frozen=True, kw_only=True):
    """Swap the generation; who wins answers with the permission and the successor."""

    permission: Permission
    expires_at: int
    """When the successor will be refused."""
    renews_position: bool


class RetrySuccessor(Struct, frozen=True, kw_only=True):
    """The answer to this token got lost: answer with the same successor, change nothing."""

    permission: Permission


class KeepToken(Struct, frozen=True, kw_only=True):
    """A reusable refresh token: answer with the same token, change nothing."""

    permission: Permission


class EndGrant(Struct, frozen=True):
    """The token was used before and somebody used its successor or came too late: one of the two is a thief."""


Verdict = Rotate | RetrySuccessor | KeepToken | EndGrant


def decide(
    request: Request,
    client: Client,
    grant: Grant | None,
    pointer: Pointer,
    user: User | None,
    session: Session | None = None,
    *,
    owner: Client | None = None,
    now: int,
) -> Verdict:
    """What a refresh token is worth. The order is law: ended, then owner, and only then reuse.

    Args:
        request: what was sent.
        client: who sent it, proven.
        grant: what the token points to.
        pointer: the token.
        user: whose grant it is.
        session: the browser session in which it was given, if there was one.
        owner: the client that the grant was given to, where that is another one.
        now: seconds since the epoch.

    Raises:
        InvalidGrant: unknown, ended, expired, of another client, of a generation not yet issued, or of a browser
            session that is over; nothing ends.
        UnauthorizedClient: the client did not register this grant.
        InvalidScope, InvalidTarget: it asks for more than was granted; the token stays good.
    """
    permissions.require_grant_type(client, GrantType.REFRESH_TOKEN, now=now)
    if grant is None or grant.ended_at is not None or user is None or not permissions.may_use(client, user):
        raise _refusal(client, grant, user, session, now=now)
    if owner is not None and permissions.acts_for(client, owner):
        client = owner
    if grant.client_id != client.id or now >= grant.expires_at or pointer.generation > grant.generation:
        raise _refusal(client, grant, user, session, now=now)
    if not sessions.outlives(grant, client, session, now=now):
        raise _refusal(client, grant, user, session, now=now)
    is_current = pointer.generation == grant.generation
    if not is_current and not is_retry(grant, pointer, client, now=now):
        return EndGrant()
    allowed = tuple(value for value in grant.scope if value in client.scope)
    scope = scopes.narrow(request.scope, allowed=allowed, default=allowed)
    granted = resources.still_granted(request.resource, granted=grant.resources, allowed=client.resources)
    permission = permissions.of_grant(client, user, grant, scope=scope, granted=granted, now=now)
    if not is_current:
        return RetrySuccessor(permission=permission)
    if client.refresh_token_is_reusable and not legacy.is_over(client.realm, now=now):
        return KeepToken(permission=permission)
    return Rotate(
        permission=permission,
        expires_at=min(now + client.realm.refresh_token_in, grant.ends_at),
        renews_position=client.realm.renews_position,
    )


def forged() -> InvalidGrant:
    """The refusal of what is no refresh token of ours: the same words as for one that is over."""
    return InvalidGrant(REFUSED, why=refusals.of_pointer("refresh_token"))


def reused(grant: Grant, pointer: Pointer) -> InvalidGrant:
    """The refusal of a refresh token whose second use ended the grant."""
    expected = f"generation {grant.generation} of grant {grant.id}"
    got = f"generation {pointer.generation}, used before"
    return InvalidGrant(REFUSED, why=Failed("refresh_token", expected, got))


def _refusal(
    client: Client, grant: Grant | None, user: User | None, session: Session | None, *, now: int
) -> InvalidGrant:
    ends_at = grant.expires_at if grant is not None else now
    why = refusals.of_grant("refresh_token", client, grant, user, session, ends_at=ends_at, now=now)
    return InvalidGrant(REFUSED, why=why)


def is_retry(grant: Grant, pointer: Pointer, client: Client, *, now: int) -> bool:
    """Whether the direct predecessor came back in time, before anybody used its successor.

    A request that began a second before the rotation, or a clock that was set back, never makes 0 less strict.
    """
    rotated_at = grant.rotated_at
    is_predecessor = pointer.generation == grant.generation - 1 and rotated_at is not None
    return is_predecessor and rotated_at is not None and max(0, now - rotated_at) < client.realm.retry_in
