"""How long a person stays signed in with a browser, and what signing in again does (SECURITY B-02)."""

from typing import Final

from msgspec import Struct

from jwtauth.protocol.authorization import OFFLINE_ACCESS
from jwtauth.protocol.records import Client, Grant, NewSession, Session, User

TOUCH_IN: Final = 60
"""A session's use is written down at most once in so many seconds."""

MAX_USER_AGENT_LENGTH: Final = 256


class Renew(Struct, frozen=True, kw_only=True):
    """The same person signed in again: the session goes on under another cookie."""

    session_id: int
    expires_at: int


class Start(Struct, frozen=True, kw_only=True):
    """A new session; the one that the browser had ends."""

    session: NewSession
    replaces: int | None


def sign_in(
    current: Session | None,
    user: User,
    *,
    digest: bytes,
    sid: str,
    user_agent: str,
    upstream_realm: str | None = None,
    idle_in: int,
    longest_in: int,
    now: int,
) -> Renew | Start:
    """What becomes of the browser's session once a person has proven who it is. Its cookie changes always.

    Args:
        current: the browser's session, live or not.
        user: who has.
        digest: of the new cookie.
        sid: a fresh public name.
        user_agent: what the browser calls itself.
        upstream_realm: the realm whose upstream said so; None where a password was right.
        idle_in: life of a session that is not used, in seconds.
        longest_in: life of a session however busy, in seconds.
        now: seconds since the epoch.
    """
    is_live = current is not None and current.is_live(now)
    if is_live and current is not None and current.user_id == user.id:
        return Renew(session_id=current.id, expires_at=min(now + idle_in, current.ends_at))
    is_somebody_elses = (
        current is not None and current.user_id != user.id
    )  # also one that is over: its clients hear of it
    return Start(
        session=NewSession(
            digest=digest,
            sid=sid,
            user_id=user.id,
            user_epoch=user.epoch,
            auth_time=now,
            expires_at=now + min(idle_in, longest_in),
            ends_at=now + longest_in,
            user_agent=_printable(user_agent),
            upstream_realm=upstream_realm,
        ),
        replaces=current.id if is_somebody_elses and current is not None and current.ended_at is None else None,
    )


def counts_for(session: Session, realm: str) -> bool:
    """Whether a session is good for clients of a realm: what one realm's upstream says binds no other."""
    return session.upstream_realm in (None, realm)


def opens_account(session: Session, user: User) -> bool:
    """Whether a session opens the person's account page, on which all realms are."""
    return session.upstream_realm is None or set(user.roles) <= {session.upstream_realm}


def prolonged(session: Session, *, idle_in: int, now: int) -> int | None:
    """When a session that is being used now is over, if that is worth writing down."""
    expires_at = min(now + idle_in, session.ends_at)
    return expires_at if expires_at - session.expires_at >= min(TOUCH_IN, max(1, idle_in // 2)) else None


def is_offline(grant: Grant, client: Client) -> bool:
    """Whether a grant needs no browser session: the person allowed it, and the client may still ask for it."""
    return OFFLINE_ACCESS in grant.scope and OFFLINE_ACCESS in client.scope


def outlives(grant: Grant, client: Client, session: Session | None, *, now: int) -> bool:
    """Whether a grant is still good as far as its browser session goes."""
    if grant.session_id is None or is_offline(grant, client):
        return True
    return session is not None and session.is_live(now)


def _printable(user_agent: str) -> str:
    return "".join(character for character in user_agent[:MAX_USER_AGENT_LENGTH] if character.isprintable())
