"""Logout: a client sends a person here to sign out, or the person comes by itself (OpenID RP-Initiated Logout 1.0)."""

from jwtauth.endpoints import answers, browser_session
from jwtauth.endpoints.outcomes import ConfirmLogoutPage, ErrorPage, Fault, GoOn, Outcome, Redirect, SignedOutPage
from jwtauth.endpoints.visit import Visit, by_get, form, standing
from jwtauth.errors import InvalidRequest
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import authorization, end_session, parameters
from jwtauth.protocol.end_session import Ask, SignOut
from jwtauth.protocol.records import Client


async def answer(issuer: Issuer, visit: Visit) -> Outcome:
    """Sign the person out where a hint of ours proves who asks, else ask first."""
    now = issuer.begin()
    if visit.field("csrf"):
        return await _confirmed(issuer, visit, now=now)
    if visit.form:
        return by_get(visit, "/oauth/logout")
    try:
        sent = parameters.read(visit.query)
    except InvalidRequest as problem:
        return Outcome(then=ErrorPage(fault=Fault.BAD_REQUEST, details=str(problem)))
    hint = end_session.believed(sent, issuer.id_token_hint(parameters.one(sent, "id_token_hint"), now=now))
    client_id = end_session.client_id_of(sent, hint)
    client = await issuer.store.directory.client(client_id) if client_id else None
    person = await standing(issuer, visit, now=now)
    ui_locales = authorization.ui_locales(sent)
    match end_session.decide(sent, hint, client, person):
        case Ask():
            assert person is not None  # where nobody is signed in there is nothing to ask
            name = answers.shown_name(client) if client is not None else None
            page = ConfirmLogoutPage(
                form=form(issuer, visit, person=person, now=now),
                username=person.user.username,
                client_name=name,
                ui_locales=ui_locales,
            )
            return Outcome(then=page)
        case SignOut(redirect_to):
            return await _sign_out(issuer, visit, client, redirect_to, ui_locales, now=now)


async def _confirmed(issuer: Issuer, visit: Visit, *, now: int) -> Outcome:
    """The person answered the question whether to sign out."""
    person = await standing(issuer, visit, now=now)
    if not visit.is_our_form(issuer, person):
        return Outcome(then=ErrorPage(fault=Fault.FOREIGN_FORM))
    if visit.field("decision") != "sign_out":
        return Outcome(then=GoOn(path="/account"))
    return await _sign_out(issuer, visit, None, None, (), now=now)


async def _sign_out(
    issuer: Issuer,
    visit: Visit,
    client: Client | None,
    redirect_to: str | None,
    ui_locales: tuple[str, ...],
    *,
    now: int,
) -> Outcome:
    session = await browser_session.held(issuer, visit)
    if session is not None:
        await browser_session.end(issuer, session, reason="signed out", now=now)
    cookie = "" if visit.session else None
    if redirect_to is not None:
        return Outcome(then=Redirect(url=redirect_to), session=cookie)
    name = answers.shown_name(client) if client is not None else None
    return Outcome(then=SignedOutPage(client_name=name, ui_locales=ui_locales), session=cookie)
