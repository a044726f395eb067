"""What a person's browser sends, once HTTP is taken off."""

from contextlib import suppress
from hashlib import sha256
from typing import Final, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from jwtauth.endpoints.outcomes import ErrorPage, Fault, Form, GoOn, Outcome
from jwtauth.errors import Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import interaction, sessions
from jwtauth.protocol.authorization import AuthorizationRequest
from jwtauth.protocol.interaction import Standing, Transaction
from jwtauth.protocol.parameters import Pairs

T = TypeVar("T")

MAX_LENGTH: Final = 16_384
"""Longest request that travels on in a URL, in characters."""


class Visit(Struct, frozen=True, kw_only=True):
    """One request to a page."""

    query: Pairs = ()
    form: Pairs = ()
    browser: str
    """The cookie that tells this browser from others; every browser gets one at its first visit."""
    is_new: bool = False
    """Whether the browser sent no such cookie: it is here for the first time, or keeps none."""
    session: str | None = None
    """The session cookie, if there is one."""
    device: str | None = None
    """The sealed cookie of a browser with which somebody has signed in before, if there is one."""
    address: str = ""
    """Of the client, as the nearest trusted proxy tells it."""
    user_agent: str = ""
    is_from_here: bool = True
    """Whether the browser says that one of our own pages sent this (Origin, Sec-Fetch-Site)."""

    def field(self, name: str) -> str:
        """The one value of a form field; empty where it is missing or was sent more than once."""
        values = [value for key, value in self.form if key == name]
        return values[0] if len(values) == 1 else ""

    def asked(self, name: str) -> str:
        """The one value of a query parameter; empty where it is missing or was sent more than once."""
        values = [value for key, value in self.query if key == name]
        return values[0] if len(values) == 1 else ""

    def is_our_form(self, issuer: Issuer, person: Standing | None = None) -> bool:
        """Whether the form was shown to this very browser, and to this person (SECURITY B-04, B-05, B-14)."""
        return self.is_from_here and issuer.sealer.is_csrf(_shown_to(self, person), self.field("csrf"))


def by_get(visit: Visit, path: str) -> Outcome:
    """The same request by GET: with a POST from another site, browsers send no cookies of ours (SameSite=Lax)."""
    encoded = urlencode((*visit.query, *visit.form))
    if len(encoded) > MAX_LENGTH:
        return Outcome(then=ErrorPage(fault=Fault.TOO_LARGE))
    return Outcome(then=GoOn(path=f"{path}?{encoded}"))


def is_too_long(visit: Visit) -> bool:
    """Whether a request's query is longer than what can travel on with the browser."""
    return len(urlencode(visit.query)) > MAX_LENGTH


def digest(cookie: str) -> str:
    """What is kept of a cookie in a transaction."""
    return sha256(cookie.encode()).hexdigest()[:32]


def session_digest(cookie: str) -> bytes:
    """What is stored of a session cookie (SECURITY S-10)."""
    return sha256(cookie.encode()).digest()


async def standing(issuer: Issuer, visit: Visit, *, now: int) -> Standing | None:
    """Who is signed in with this browser; the visit prolongs the session."""
    if not visit.session:
        return None
    session = await issuer.store.sessions.find(session_digest(visit.session))
    if session is None or not session.is_live(now):
        return None
    user = await issuer.store.directory.user(session.user_id)
    if user is None or user.disabled_at is not None:
        return None
    prolonged = sessions.prolonged(session, idle_in=issuer.settings.session_idle_in, now=now)
    if prolonged is not None:
        with suppress(Overloaded):  # the next visit is written down
            await issuer.store.sessions.touch(session.id, expires_at=prolonged, now=now)
    return Standing(user=user, session=session, cookie=digest(visit.session))


async def account_holder(issuer: Issuer, visit: Visit, *, now: int) -> Standing | None:
    """Who is signed in with this browser, well enough for the account page."""
    person = await standing(issuer, visit, now=now)
    return person if person is not None and sessions.opens_account(person.session, person.user) else None


async def begun(issuer: Issuer, visit: Visit, request: AuthorizationRequest | None, *, now: int) -> Transaction:
    """A transaction that begins now with this browser; without a request it is a visit to the account page."""
    person = await standing(issuer, visit, now=now)
    return Transaction(
        id=issuer.random_name(),
        browser=digest(visit.browser),
        started_at=now,
        request=request,
        stale_session=interaction.stale_session(request, person, now=now) if request else "",
    )


def seal(issuer: Issuer, transaction: Transaction, *, now: int) -> str:
    """A transaction as the browser carries it."""
    return issuer.sealer.seal(msgspec.msgpack.encode(transaction), now=now)


def unseal(issuer: Issuer, sealed: str) -> Transaction | None:
    """The transaction that a browser brings back, or None where it is not one of ours (SECURITY Z-14)."""
    return opened(issuer, sealed, _DECODER)


def opened(issuer: Issuer, sealed: str | None, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    """What a browser brings back that was sealed for it, or None where it brings nothing, or nothing of ours."""
    payload = issuer.sealer.open(sealed) if sealed else None
    if payload is None:
        return None
    try:
        return decoder.decode(payload)
    except msgspec.MsgspecError:
        return None  # of another kind, or of another version of this software


def login_path(issuer: Issuer, transaction: Transaction, *, now: int) -> str:
    """The page where a transaction goes on."""
    return "/login?" + urlencode({"transaction": seal(issuer, transaction, now=now)})


def form(
    issuer: Issuer,
    visit: Visit,
    transaction: Transaction | None = None,
    *,
    person: Standing | None = None,
    targets: tuple[str, ...] = (),
    now: int,
) -> Form:
    """The hidden fields of a page's forms.

    Args:
        issuer: the service.
        visit: what the browser sent.
        transaction: which transaction the form goes on with.
        person: who alone may send the form, where it acts on what is the person's.
        targets: where sending it may lead.
        now: seconds since the epoch.
    """
    return Form(
        csrf=issuer.sealer.csrf(_shown_to(visit, person)),
        transaction="" if transaction is None else seal(issuer, transaction, now=now),
        targets=targets,
    )


def _shown_to(visit: Visit, person: Standing | None) -> str:
    return visit.browser if person is None else f"{visit.browser} {person.user.sub}"


_DECODER = msgspec.msgpack.Decoder(Transaction)
