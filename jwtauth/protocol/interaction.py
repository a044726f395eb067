"""The dispatcher: what a person does next in an authorization transaction, asked afresh at each visit.

A transaction is carried by the browser that began it, sealed; nothing of it is remembered here until it is finished.
"""

from typing import Final

from msgspec import Struct

from jwtauth.errors import AccountSelectionRequired, ConsentRequired, LoginRequired
from jwtauth.protocol import permissions, redirect_uris, sessions
from jwtauth.protocol.authorization import AuthorizationRequest, ResponseType
from jwtauth.protocol.records import Client, Consent, GrantType, RequestedClaims, Session, User

_ASKS_FOR_A_SIGN_IN: Final = frozenset({"login", "select_account"})


class Transaction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An authorization request on its way through the pages; without one, a visit to the account page."""

    id: str
    """Random: a transaction is finished once."""
    browser: str
    """Digest of the cookie of the browser that began it (SECURITY B-07)."""
    started_at: int
    request: AuthorizationRequest | None = None
    stale_session: str = ""
    """Digest of a session cookie that is not good enough: the person has to sign in again."""
    wants_other_account: bool = False
    """Whether the person asked to sign in as somebody else."""
    asked: int | None = None
    """`User.id` of the person to whom the consent page was shown: nobody else's yes counts (SECURITY B-14)."""
    problem: str = ""
    """Why the last attempt to sign in was refused; the page says so once it is shown again."""
    username: str = ""
    """What was typed in that attempt."""
    retry_at: int = 0
    """When the next attempt is looked at."""


class Standing(Struct, frozen=True, kw_only=True):
    """Who is signed in with the browser, if anybody."""

    user: User
    session: Session
    cookie: str
    """Digest of the session cookie: it changes whenever the person signs in again."""


class SignIn(Struct, frozen=True, kw_only=True):
    """The person has to prove who it is."""

    user: User | None = None
    """Who has to do so again; None where anybody may."""
    is_no_member: bool = False
    """Whether somebody is signed in who may not use the application."""
    is_other_person: bool = False
    """Whether somebody is signed in whom the application does not mean."""


class AskConsent(Struct, frozen=True):
    """The person has to be asked whether the client may have what it asks for."""


class Issue(Struct, frozen=True):
    """Nothing is left to ask."""


def is_over(transaction: Transaction, *, lives_in: int, now: int) -> bool:
    """Whether a transaction took too long. A clock that was set back makes none over."""
    return now - transaction.started_at >= lives_in


def stale_session(request: AuthorizationRequest, standing: Standing | None, *, now: int) -> str:
    """The session that a new transaction does not count: prompt, max_age (OpenID Connect Core section 3.1.2.1).

    It is decided once, when the transaction begins. Afterwards any other session of the browser is a fresh sign-in, so
    that a slow reader of the consent page is not sent back.
    """
    if standing is None:
        return ""
    age, oldest = now - standing.session.auth_time, request.max_age
    too_old = oldest is not None and (age > oldest or oldest == 0)  # 0 is prompt=login, even within one second
    return standing.cookie if too_old or _ASKS_FOR_A_SIGN_IN.intersection(request.prompt) else ""


def decide(
    transaction: Transaction,
    request: AuthorizationRequest,
    client: Client,
    standing: Standing | None,
    consent: Consent | None,
) -> SignIn | AskConsent | Issue:
    """What is next.

    Raises:
        LoginRequired, ConsentRequired, AccountSelectionRequired: something is, but prompt=none forbids to ask.
    """
    is_silent = "none" in request.prompt
    if is_silent and request.is_hint_bad:
        raise LoginRequired("id_token_hint: is no ID token of this issuer")
    if standing is not None and request.subject not in (None, standing.user.sub):
        if is_silent:
            raise LoginRequired("id_token_hint: somebody else is signed in")
        return SignIn(is_other_person=True)
    is_stale = standing is not None and standing.cookie == transaction.stale_session
    if standing is None or is_stale or not sessions.counts_for(standing.session, client.realm.name):
        if is_silent:
            raise LoginRequired("prompt: nobody is signed in, or not recently enough")
        is_open = transaction.wants_other_account or "select_account" in request.prompt
        return SignIn(user=standing.user if standing is not None and not is_open else None)
    if not permissions.may_use(client, standing.user):
        if is_silent:
            raise AccountSelectionRequired("prompt: the person signed in may not use this client")
        return SignIn(is_no_member=True)
    if must_ask(request, client, consent):
        if is_silent:
            raise ConsentRequired("prompt: the person has to be asked for consent")
        return AskConsent()
    return Issue()


def must_ask(request: AuthorizationRequest, client: Client, consent: Consent | None) -> bool:
    """Whether the person has to be asked: consent is remembered, but only where it is sure who asks (SECURITY B-12)."""
    if "consent" in request.prompt or not is_identity_proven(request, client):
        return True
    return client.asks_consent and not _covers(consent, request)


def is_identity_proven(request: AuthorizationRequest, client: Client) -> bool:
    """Whether the answer is only of use to the client that was registered (RFC 8252 section 8.6, RFC 9700)."""
    keeps_a_secret = not client.is_public and GrantType.AUTHORIZATION_CODE not in client.secretless_grants
    has_proof_to_come = request.response_type is ResponseType.CODE and keeps_a_secret
    return has_proof_to_come or redirect_uris.proves_identity(request.addressee.redirect_uri)


def remembered(
    request: AuthorizationRequest, client: Client, user: User, before: Consent | None, *, now: int
) -> Consent:
    """The consent to remember once the person said yes: what was allowed before stays allowed."""
    return Consent(
        user_id=user.id,
        client_id=client.id,
        scope=_union(before.scope if before else (), request.scope),
        claims=RequestedClaims(
            id_token=_union(before.claims.id_token if before else (), request.claims.id_token),
            userinfo=_union(before.claims.userinfo if before else (), request.claims.userinfo),
        ),
        resources=_union(before.resources if before else (), request.resources),
        granted_at=now,
    )


def _covers(consent: Consent | None, request: AuthorizationRequest) -> bool:
    if consent is None:
        return False
    return (
        {*request.scope} <= {*consent.scope}
        and {*request.resources} <= {*consent.resources}
        and {*request.claims.id_token} <= {*consent.claims.id_token}
        and {*request.claims.userinfo} <= {*consent.claims.userinfo}
    )


def _union(before: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *more)))
