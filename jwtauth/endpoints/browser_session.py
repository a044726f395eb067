"""Signing a person in with a browser, and out again."""

import secrets
from typing import Final

from jwtauth.endpoints import tell_logouts
from jwtauth.endpoints.visit import Visit, session_digest
from jwtauth.errors import Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import sessions
from jwtauth.protocol.records import Session, User
from jwtauth.protocol.sessions import Renew, Start

COOKIE_BYTES: Final = 32

TELL_WITHIN: Final = 3.0
"""For so many seconds a logout waits until the clients were told; those that take longer are told later."""


async def start(
    issuer: Issuer, visit: Visit, user: User, current: Session | None, *, upstream_realm: str | None = None, now: int
) -> str:
    """Sign a person in who has proven who it is; returns what the new cookie holds (SECURITY B-02).

    Args:
        issuer: the service.
        visit: what the browser sent.
        user: who it is.
        current: the browser's session, live or not.
        upstream_realm: the realm whose upstream said so; None where a password was right.
        now: seconds since the epoch.

    Raises:
        Overloaded: the account was changed while the password was being checked.
    """
    store, settings = issuer.store, issuer.settings
    cookie = secrets.token_urlsafe(COOKIE_BYTES)
    verdict = sessions.sign_in(
        current,
        user,
        digest=session_digest(cookie),
        sid=issuer.random_name(),
        user_agent=visit.user_agent,
        upstream_realm=upstream_realm,
        idle_in=settings.session_idle_in,
        longest_in=settings.session_in,
        now=now,
    )
    is_done: object
    match verdict:
        case Renew():
            is_done = await store.sessions.renew(
                verdict.session_id,
                digest=session_digest(cookie),
                user_epoch=user.epoch,
                auth_time=now,
                upstream_realm=upstream_realm,
                expires_at=verdict.expires_at,
                now=now,
            )
        case Start():
            is_done = await store.sessions.start(verdict.session, replaces=verdict.replaces, lease_in=0, now=now)
    if is_done is None:
        raise Overloaded("the account was changed while the password was checked; try again")
    issuer.tell(Event(name="session.started", at=now, uid=user.id))
    return cookie


async def held(issuer: Issuer, visit: Visit) -> Session | None:
    """The session that the browser's cookie is, or was, for; also one that is over."""
    return await issuer.store.sessions.holding(session_digest(visit.session)) if visit.session else None


async def end(issuer: Issuer, session: Session, *, reason: str, now: int) -> None:
    """End a session and what ends with it; clients that asked for it are told before this returns, if they answer."""
    ended = await issuer.store.sessions.end(session.id, lease_in=tell_logouts.LEASE_IN, now=now)
    if ended is None:
        return
    issuer.tell(Event(name="session.ended", at=now, uid=session.user_id, reason=reason))
    await tell_logouts.tell(issuer, ended.notices, within=TELL_WITHIN)
