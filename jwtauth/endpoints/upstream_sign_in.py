"""Signing in at the upstream of a realm: there, back, and into the transaction where the person left it."""

import secrets
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from jwtauth.endpoints import browser_session, sign_in
from jwtauth.endpoints.outcomes import ErrorPage, Fault, GoOn, Outcome, Problem, Redirect
from jwtauth.endpoints.visit import Visit, digest, login_path, opened, unseal
from jwtauth.errors import AccessDenied, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import parameters, proofs, redirect_uris, upstream_sign_in
from jwtauth.protocol.interaction import Transaction
from jwtauth.protocol.proofs import Proof
from jwtauth.protocol.records import Realm, User
from jwtauth.protocol.upstream import Upstream
from jwtauth.protocol.upstream_sign_in import State

BEGIN: Final = "/login/upstream"
CALLBACK: Final = "/login/upstream/callback"
"""The path of the redirect URI that the upstream has to know."""

VERIFIER_BYTES: Final = 32


async def begin(issuer: Issuer, visit: Visit) -> Outcome:
    """The button of the sign-in page was pressed: send the browser to the upstream."""
    now = issuer.begin()
    if not visit.is_our_form(issuer):
        return Outcome(then=ErrorPage(fault=Fault.OTHER_BROWSER if visit.is_new else Fault.FOREIGN_FORM))
    return await sign_in.within(issuer, visit, unseal(issuer, visit.field("transaction")), _begin, now=now)


async def callback(issuer: Issuer, visit: Visit) -> Outcome:
    """The upstream sent the browser back: see who it is, give the browser a new session, go on.

    What comes back into another browser than it left is worth nothing there (SECURITY B-04, B-07).
    """
    now = issuer.begin()
    state = opened(issuer, visit.asked("state"), _DECODER)
    if state is None:
        return Outcome(then=ErrorPage(fault=Fault.BAD_REQUEST))
    return await sign_in.within(issuer, visit, state.transaction, partial(_callback, state=state), now=now)


async def _begin(issuer: Issuer, visit: Visit, transaction: Transaction, *, now: int) -> Outcome:
    realm = sign_in.realm_of(issuer, transaction, await sign_in.client_of(issuer, transaction))
    upstream = upstream_sign_in.upstream_of(realm)
    if realm is None or upstream is None:
        return sign_in.refused(issuer, transaction, Problem.UPSTREAM_FAILED, now=now)
    state = State(
        transaction=replace(transaction, problem="", username="", retry_at=0),
        session=_session_of(visit),
        code_verifier=secrets.token_urlsafe(VERIFIER_BYTES),
        nonce=issuer.random_name(),
        begun_at=now,
    )
    sealed = issuer.sealer.seal(msgspec.msgpack.encode(state), now=now)
    uri = upstream_sign_in.authorization_uri(upstream, state, sealed=sealed, redirect_uri=_redirect_uri(issuer, realm))
    return Outcome(then=Redirect(url=uri))


async def _callback(issuer: Issuer, visit: Visit, transaction: Transaction, *, state: State, now: int) -> Outcome:
    client = await sign_in.client_of(issuer, transaction)
    realm = sign_in.realm_of(issuer, transaction, client)
    upstream = upstream_sign_in.upstream_of(realm)
    if state.session != _session_of(visit):  # it has signed somebody in, or another tab has: see what is next
        return Outcome(then=GoOn(path=login_path(issuer, transaction, now=now)))
    is_ours = realm is not None and visit.asked("realm") == realm.name
    if realm is None or upstream is None or not is_ours or upstream_sign_in.is_over(state, now=now):
        return sign_in.refused(issuer, transaction, Problem.UPSTREAM_FAILED, now=now)
    try:
        proof = await _proof(issuer, visit, realm, upstream, state, now=now)
        user = await issuer.store.directory.user_named(proof.username) if proof.username else None
        if not proof.is_live or user is None or not upstream_sign_in.may_sign_in(user, client, realm):
            return _unproven(issuer, transaction, proof, user, now=now)
        current = await browser_session.held(issuer, visit)
        cookie = await browser_session.start(issuer, visit, user, current, upstream_realm=realm.name, now=now)
    except OAuthError as error:
        issuer.tell(Event(name="sign_in.refused", at=now, reason=f"upstream: {error}"))
        problem = Problem.UPSTREAM_DENIED if isinstance(error, AccessDenied) else Problem.UPSTREAM_FAILED
        return sign_in.refused(issuer, transaction, problem, now=now)
    path = "/account" if transaction.request is None else login_path(issuer, transaction, now=now)
    return Outcome(then=GoOn(path=path), session=cookie)


async def _proof(issuer: Issuer, visit: Visit, realm: Realm, upstream: Upstream, state: State, *, now: int) -> Proof:
    """Who signed in at the upstream, once its answer was checked and its code was redeemed.

    Raises:
        AccessDenied, InvalidRequest: the answer has no code for us; see `jwtauth.protocol.upstream_sign_in.code`.
        Overloaded: the upstream cannot be asked.
    """
    sent, repeated = parameters.read_each(visit.query)
    code = upstream_sign_in.code(sent, upstream, repeated=repeated)
    redeemed = await issuer.upstreams.redeem(
        upstream, code, redirect_uri=_redirect_uri(issuer, realm), code_verifier=state.code_verifier
    )
    if redeemed is None:
        return proofs.dead("the code is refused")
    if redeemed.id_token is None or upstream.jwks_uri is None:
        return await issuer.upstreams.prove(upstream, redeemed.access_token, now=now)
    since = state.begun_at if upstream_sign_in.asks_again(state) else None
    identity = await issuer.upstreams.prove_id_token(
        upstream, redeemed.id_token, nonce=state.nonce, since=since, now=now
    )
    if not identity.is_live or identity.username is not None:
        return identity
    proof = await issuer.upstreams.prove(upstream, redeemed.access_token, now=now)
    return proof if upstream_sign_in.is_same_person(identity, proof) else proofs.dead("the tokens differ in sub")


def _unproven(issuer: Issuer, transaction: Transaction, proof: Proof, user: User | None, *, now: int) -> Outcome:
    """The sign-in page again; whether the person is unknown here, disabled or no member is not told apart."""
    reason = "no such person here, disabled or no member" if proof.is_live else proof.reason
    uid = user.id if user is not None else None
    issuer.tell(Event(name="sign_in.refused", at=now, uid=uid, reason=f"upstream: {reason}"))
    if not proof.is_live:
        return sign_in.refused(issuer, transaction, Problem.UPSTREAM_FAILED, now=now)
    other = replace(transaction, wants_other_account=True)  # else the upstream would send the same person again
    return sign_in.refused(issuer, other, Problem.UPSTREAM_UNKNOWN, now=now)


def _redirect_uri(issuer: Issuer, realm: Realm) -> str:
    """One for each realm: what one realm's upstream gave out is never shown to another's (RFC 9700 section 4.4.2)."""
    return redirect_uris.with_parameters(f"{issuer.settings.issuer}{CALLBACK}", {"realm": realm.name})


def _session_of(visit: Visit) -> str:
    return digest(visit.session) if visit.session else ""


_DECODER: Final = msgspec.msgpack.Decoder(State)
