"""Refreshing (RFC 6749 section 6)."""

from contextlib import suppress
from typing import Final

from jwtauth.endpoints import pointed_grant, token_answer
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import REUSED, Event
from jwtauth.protocol import legacy, refresh_token, sessions
from jwtauth.protocol.records import Client, Pointer, Session
from jwtauth.protocol.refresh_token import EndGrant, KeepToken, RetrySuccessor, Rotate


async def tokens(issuer: Issuer, request: refresh_token.Request, client: Client, *, now: int) -> TokenAnswer | None:
    """The tokens that a refresh token is worth, or None where somebody else was first: then load and decide again.

    Raises:
        OAuthError: it is worth none.
    """
    pointer = issuer.sealer.read_refresh_token(request.refresh_token)
    if pointer is None:
        raise refresh_token.forged()
    grant, user, session = await pointed_grant.load(issuer, pointer)
    owner = await pointed_grant.owner(issuer, grant, client)
    verdict = refresh_token.decide(request, client, grant, pointer, user, session, owner=owner, now=now)
    assert grant is not None  # a missing grant was refused
    assert user is not None
    match verdict:
        case Rotate(permission=permission):
            number = issuer.sealer.current_number
            position = await issuer.store.grants.rotate(
                grant,
                secret_number=number,
                expires_at=verdict.expires_at,
                renews_position=verdict.renews_position,
                now=now,
            )
            if position is None:
                return None
            successor = Pointer(grant_id=grant.id, generation=pointer.generation + 1, secret_number=number)
        case RetrySuccessor(permission=permission):
            position = grant.position
            successor = Pointer(grant_id=grant.id, generation=grant.generation, secret_number=grant.secret_number)
        case KeepToken(permission=permission):
            position, successor = grant.position, pointer
            issuer.legacy_use.count(owner, legacy.REUSABLE)
        case EndGrant():
            await pointed_grant.end_reused(issuer, grant, client, REUSED, now=now)
            raise refresh_token.reused(grant, pointer)
    issuer.tell(Event(name=_TOLD[type(verdict)], at=now, client_id=owner.client_id, uid=user.id, grant_id=grant.id))
    answer = await token_answer.make(issuer, permission, position, successor, now=now)
    if session is not None and not sessions.is_offline(grant, owner):
        await _prolong(issuer, session, now=now)
    return token_answer.with_id_token(issuer, answer, permission, grant, owner, user, session, now=now)


_TOLD: Final[dict[type, str]] = {
    Rotate: "refresh_token.rotated",
    RetrySuccessor: "refresh_token.retried",
    KeepToken: "refresh_token.used",
}


async def _prolong(issuer: Issuer, session: Session, *, now: int) -> None:
    """An application that refreshes for the person is a use of the session."""
    prolonged = sessions.prolonged(session, idle_in=issuer.settings.session_idle_in, now=now)
    if prolonged is not None and session.is_live(now):
        with suppress(Overloaded):  # the tokens are out; the next use is written down
            await issuer.store.sessions.touch(session.id, expires_at=prolonged, now=now)
