"""What comes next in an authorization transaction, asked afresh at each visit: sign in, consent, done."""

from hashlib import sha256
from typing import Final

from msgspec import Struct

from jwtauth.endpoints import answers
from jwtauth.endpoints.outcomes import FinishedPage, Outcome
from jwtauth.endpoints.visit import Visit, standing
from jwtauth.errors import OAuthError, Overloaded, Unanswerable
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import IMPLICIT, Event
from jwtauth.protocol import authorization, authorization_code, interaction, legacy, permissions, scopes
from jwtauth.protocol.authorization import AuthorizationRequest, ResponseType
from jwtauth.protocol.interaction import AskConsent, Issue, SignIn, Standing, Transaction
from jwtauth.protocol.records import Client, Consent, Grant, Pointer, User

ATTEMPTS: Final = 3
"""How often a visit that lost against another loads and decides again."""


class Asking(Struct, frozen=True, kw_only=True):
    """The person has to do something first."""

    what: SignIn | AskConsent
    client: Client
    standing: Standing | None


async def decide(
    issuer: Issuer,
    visit: Visit,
    transaction: Transaction,
    request: AuthorizationRequest,
    *,
    allowed_by: int | None = None,
    now: int,
) -> Outcome | Asking:
    """The next step of a transaction.

    Args:
        issuer: the service.
        visit: what the browser sent.
        transaction: which transaction, bound to this browser.
        request: what the client asks for in it.
        allowed_by: `User.id` of the person who has just said yes to it.
        now: when the visit began.

    Returns:
        The way back to the client, or what the person has to do first.

    Raises:
        Overloaded: nothing was written; the same visit may be made again.
    """
    client = await issuer.store.directory.client(request.client_id)
    try:
        for _ in range(ATTEMPTS):
            client = authorization.check_still_allowed(request, client, now=now)
            step = await _decide(issuer, visit, transaction, request, client, allowed_by=allowed_by, now=now)
            if step is not None:
                return step
            now = issuer.begin()
            client = await issuer.store.directory.client(request.client_id)
        raise Overloaded("too many requests wanted the same thing at once; try again")
    except Overloaded:
        raise  # the transaction is intact: the page that says so may be loaded again
    except Unanswerable as problem:
        return answers.unanswerable(issuer, problem, client, request.ui_locales)
    except OAuthError as error:
        assert client is not None  # otherwise it was unanswerable
        return answers.refused(issuer, error, client, request.addressee, request.ui_locales)


async def _decide(
    issuer: Issuer,
    visit: Visit,
    transaction: Transaction,
    request: AuthorizationRequest,
    client: Client,
    *,
    allowed_by: int | None,
    now: int,
) -> Outcome | Asking | None:
    """The next step, or None where another visit was first."""
    person = await standing(issuer, visit, now=now)
    finished = await issuer.store.grants.of_transaction(_digest(transaction))
    if finished is not None:
        return _again(issuer, request, client, finished, person, now=now)
    before = await issuer.store.consents.get(person.user.id, client.id) if person else None
    verdict = interaction.decide(transaction, request, client, person, before)
    match verdict:
        case SignIn():
            return Asking(what=verdict, client=client, standing=person)
        case AskConsent() if person is None or allowed_by != person.user.id:
            return Asking(what=verdict, client=client, standing=person)
        case AskConsent() | Issue():
            assert person is not None  # otherwise a sign-in is next
            if allowed_by != person.user.id:
                return await _finish(issuer, transaction, request, client, person, consent=None, now=now)
            said_yes = interaction.remembered(request, client, person.user, before, now=now)
            step = await _finish(issuer, transaction, request, client, person, consent=said_yes, now=now)
            if step is not None:
                _tell_consent(issuer, request, client, person.user, now=now)
            return step


async def _finish(
    issuer: Issuer,
    transaction: Transaction,
    request: AuthorizationRequest,
    client: Client,
    person: Standing,
    *,
    consent: Consent | None,
    now: int,
) -> Outcome | None:
    grant = await issuer.store.grants.start(
        authorization_code.start(
            request,
            client,
            person,
            consent=consent,
            digest=_digest(transaction),
            secret_number=issuer.sealer.current_number,
            now=now,
        ),
        now=now,
    )
    if grant is None:
        return None
    is_implicit = request.response_type is not ResponseType.CODE
    issuer.tell(
        Event(
            name="grant.started",
            at=now,
            client_id=client.client_id,
            uid=person.user.id,
            grant_id=grant.id,
            grant_type=IMPLICIT if is_implicit else None,
        )
    )
    if is_implicit:
        return _in_front(issuer, request, client, person.user, grant, now=now)
    return _with_code(issuer, request, client, grant)


def _tell_consent(issuer: Issuer, request: AuthorizationRequest, client: Client, user: User, *, now: int) -> None:
    """Who said yes to what; each value of the scope is one that the client registered."""
    scope = scopes.text(sorted(request.scope)) or "none"
    issuer.tell(Event(name="consent.given", at=now, client_id=client.client_id, uid=user.id, reason=f"scope {scope}"))


def _in_front(
    issuer: Issuer, request: AuthorizationRequest, client: Client, user: User, grant: Grant, *, now: int
) -> Outcome:
    """The answer of the implicit grant: the access token itself (RFC 6749 section 4.2.2)."""
    issuer.legacy_use.count(client, legacy.IMPLICIT)
    permission = permissions.of_grant(client, user, grant, scope=grant.scope, granted=grant.resources, now=now)
    answer = {
        "access_token": issuer.mint(permission, grant.position, now=now),
        "token_type": "Bearer",
        "expires_in": str(permission.lifetime_in),
    }
    if permission.scope:
        answer["scope"] = scopes.text(permission.scope)
    return _granted(issuer, request, client, answer)


def _again(
    issuer: Issuer,
    request: AuthorizationRequest,
    client: Client,
    grant: Grant,
    person: Standing | None,
    *,
    now: int,
) -> Outcome:
    """A finished transaction is visited again: the same code while it may still be on its way, else a calm page.

    So a button pressed twice, whose first answer the browser threw away, still leads back to the application, and a
    consent that is replayed gives nobody a second code (SECURITY B-13), nor the next person at this browser any.
    """
    is_same = person is not None and person.user.id == grant.user_id
    is_on_its_way = grant.code_expires_at is not None and now < grant.code_expires_at and grant.redeemed_at is None
    if is_same and is_on_its_way and grant.ended_at is None:
        return _with_code(issuer, request, client, grant)
    return Outcome(then=FinishedPage(client_name=answers.shown_name(client), ui_locales=request.ui_locales))


def _with_code(issuer: Issuer, request: AuthorizationRequest, client: Client, grant: Grant) -> Outcome:
    pointer = Pointer(grant_id=grant.id, generation=0, secret_number=grant.secret_number)
    return _granted(issuer, request, client, {"code": issuer.sealer.code(pointer)})


def _granted(issuer: Issuer, request: AuthorizationRequest, client: Client, answer: dict[str, str]) -> Outcome:
    carried = authorization.granted(request.addressee, issuer.settings.issuer, answer)
    return answers.carried(carried, client, request.ui_locales, scope=request.scope)


def _digest(transaction: Transaction) -> bytes:
    return sha256(transaction.id.encode()).digest()[:16]
