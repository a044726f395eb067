"""The account page: where a person is signed in, what applications may do, and the password."""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jwtauth.endpoints import answers, browser_session, known_device
from jwtauth.endpoints.outcomes import (
    AccountPage,
    ApplicationRow,
    ErrorPage,
    Fault,
    GoOn,
    Notice,
    Outcome,
    Problem,
    SessionRow,
)
from jwtauth.endpoints.visit import Visit, account_holder, digest, form, opened
from jwtauth.errors import Overloaded, TooManyAttempts
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import password
from jwtauth.protocol.authorization import OFFLINE_ACCESS
from jwtauth.protocol.interaction import Standing
from jwtauth.protocol.records import Client


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the page says once about what was just done or refused; sealed on its way."""

    browser: str
    notice: Notice | None = None
    problem: Problem | None = None
    retry_at: int = 0


async def show(issuer: Issuer, visit: Visit) -> Outcome:
    """The page, or the way to the sign-in page."""
    now = issuer.begin()
    person = await account_holder(issuer, visit, now=now)
    if person is None:
        return Outcome(then=GoOn(path="/login"))
    return Outcome(then=await _page(issuer, visit, person, now=now))


async def change(issuer: Issuer, visit: Visit) -> Outcome:
    """One of the page's forms was sent; which one says the field `action`."""
    now = issuer.begin()
    person = await account_holder(issuer, visit, now=now)
    if person is None:
        return Outcome(then=GoOn(path="/login"))
    if not visit.is_our_form(issuer, person):
        return Outcome(then=ErrorPage(fault=Fault.FOREIGN_FORM))
    action = _ACTIONS.get(visit.field("action"))
    if action is None:
        return Outcome(then=ErrorPage(fault=Fault.BAD_REQUEST))
    return await action(issuer, visit, person, now=now)


async def _end_session(issuer: Issuer, visit: Visit, person: Standing, *, now: int) -> Outcome:
    live = await issuer.store.sessions.of_user(person.user.id, now=now)
    for session in live:
        if session.sid == visit.field("sid"):
            await browser_session.end(issuer, session, reason="ended on the account page", now=now)
            if session.id == person.session.id:
                return Outcome(then=GoOn(path="/oauth/logout"), session="")
    return _done(issuer, visit, Notice.SESSION_ENDED, now=now)


async def _end_application(issuer: Issuer, visit: Visit, person: Standing, *, now: int) -> Outcome:
    client = await issuer.store.directory.client(visit.field("client_id"))
    if client is not None:
        await issuer.store.consents.withdraw(person.user, client.id, now=now)
        issuer.tell(Event(name="consent.withdrawn", at=now, client_id=client.client_id, uid=person.user.id))
    return _done(issuer, visit, Notice.APPLICATION_ENDED, now=now)


async def _end_all(issuer: Issuer, visit: Visit, person: Standing, *, now: int) -> Outcome:
    await issuer.store.sessions.end_all(person.user, now=now)
    issuer.tell(Event(name="session.ended", at=now, uid=person.user.id, reason="everywhere, on the account page"))
    return Outcome(then=GoOn(path="/oauth/logout"), session="")


async def _change_password(issuer: Issuer, visit: Visit, person: Standing, *, now: int) -> Outcome:
    """Store the new password, end everything that began under the old one, and sign this browser in anew."""
    weakness = password.weakness(visit.field("new_password"), visit.field("repeated_password"))
    if weakness is not None:
        return _refused(issuer, visit, Problem(weakness.value), now=now)
    user, current = person.user, visit.field("current_password")
    check = partial(issuer.passwords.verify, user.password_hash, current)
    try:
        account = known_device.account(issuer, visit, user.username, user)
        is_right = password.is_within_bounds("", current) and await issuer.throttle.guess(
            account, check, address=visit.address, now=now
        )
        if not is_right:
            return _refused(issuer, visit, Problem.WRONG_CURRENT_PASSWORD, now=now)
        hashed = await issuer.passwords.hash_in_pool(visit.field("new_password"))
    except TooManyAttempts as waiting:
        return _refused(issuer, visit, Problem.TOO_MANY_ATTEMPTS, wait_in=waiting.retry_after_in, now=now)
    except Overloaded as busy:
        return _refused(issuer, visit, Problem.OVERLOADED, wait_in=busy.retry_after_in, now=now)
    if await issuer.store.administration.change_password(user, hashed, now=now) is None:
        return _refused(issuer, visit, Problem.OVERLOADED, wait_in=1, now=now)
    issuer.tell(Event(name="password.changed", at=now, uid=user.id, reason="on the account page"))
    return await _signed_in_anew(issuer, visit, person, now=now)


async def _signed_in_anew(issuer: Issuer, visit: Visit, person: Standing, *, now: int) -> Outcome:
    now = issuer.begin()
    user = await issuer.store.directory.user(person.user.id)
    assert user is not None  # changed a moment ago
    try:
        cookie = await browser_session.start(issuer, visit, user, None, now=now)
    except Overloaded:
        return Outcome(then=GoOn(path="/login"), session="")
    return replace(_done(issuer, visit, Notice.PASSWORD_CHANGED, now=now), session=cookie)


async def _page(issuer: Issuer, visit: Visit, person: Standing, *, now: int) -> AccountPage:
    user, said = person.user, _said(issuer, visit)
    live = await issuer.store.sessions.of_user(user.id, now=now)
    return AccountPage(
        form=form(issuer, visit, person=person, now=now),
        username=user.username,
        name=user.profile.name or "",
        sessions=tuple(
            SessionRow(
                sid=session.sid,
                user_agent=session.user_agent,
                created_at=session.created_at,
                seen_at=session.seen_at,
                is_current=session.id == person.session.id,
            )
            for session in sorted(live, key=lambda session: session.id != person.session.id)
        ),
        applications=await _applications(issuer, person, now=now),
        has_password=user.password_hash is not None,
        notice=said.notice,
        problem=said.problem,
        retry_after_in=max(0, said.retry_at - now),
    )


async def _applications(issuer: Issuer, person: Standing, *, now: int) -> tuple[ApplicationRow, ...]:
    """Every application that the person allowed something or that holds live grants, by name."""
    store, user_id = issuer.store, person.user.id
    found: dict[int, tuple[int, tuple[str, ...]]] = {}
    for consent in await store.consents.of_user(user_id):
        found[consent.client_id] = (consent.granted_at, consent.scope)
    for grant in await store.grants.of_user(user_id, now=now):
        since, scope = found.get(grant.client_id, (grant.created_at, ()))
        found[grant.client_id] = (min(since, grant.created_at), tuple(dict.fromkeys((*scope, *grant.scope))))
    rows = [
        _row(client, since, scope)
        for row_id, (since, scope) in found.items()
        if (client := await store.directory.client_numbered(row_id)) is not None
    ]
    return tuple(sorted(rows, key=lambda row: row.name.casefold()))


def _row(client: Client, since: int, scope: tuple[str, ...]) -> ApplicationRow:
    return ApplicationRow(
        client_id=client.client_id,
        name=answers.shown_name(client),
        scope=scope,
        since=since,
        is_offline=OFFLINE_ACCESS in scope,
    )


def _done(issuer: Issuer, visit: Visit, notice: Notice, *, now: int) -> Outcome:
    return _say(issuer, Said(browser=digest(visit.browser), notice=notice), now=now)


def _refused(issuer: Issuer, visit: Visit, problem: Problem, *, wait_in: int = 0, now: int) -> Outcome:
    return _say(issuer, Said(browser=digest(visit.browser), problem=problem, retry_at=now + wait_in), now=now)


def _say(issuer: Issuer, said: Said, *, now: int) -> Outcome:
    """The page again, by GET: no form stands in the browser's history to be sent once more."""
    sealed = issuer.sealer.seal(msgspec.msgpack.encode(said), now=now)
    return Outcome(then=GoOn(path="/account?" + urlencode({"said": sealed})))


def _said(issuer: Issuer, visit: Visit) -> Said:
    """What the page has to say, if it was said to this browser: no link can make it say anything."""
    said = opened(issuer, visit.asked("said"), _DECODER)
    return said if said is not None and said.browser == digest(visit.browser) else Said(browser="")


Action = Callable[..., Awaitable[Outcome]]

_ACTIONS: dict[str, Action] = {
    "end_session": _end_session,
    "end_application": _end_application,
    "end_all": _end_all,
    "change_password": _change_password,
}
_DECODER = msgspec.msgpack.Decoder(Said)
