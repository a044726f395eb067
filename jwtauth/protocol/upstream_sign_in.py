"""Signing in at an upstream: where a person is sent, and what comes back counts (RFC 6749 section 4.1, RFC 9700).

Authorization code with PKCE; the state is sealed, so that it carries what belongs to it, and nothing is kept here.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from jwtauth.errors import AccessDenied, InvalidRequest
from jwtauth.protocol import parameters, permissions, pkce, redirect_uris, scopes
from jwtauth.protocol.interaction import Transaction
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.proofs import Proof
from jwtauth.protocol.records import Client, Realm, User
from jwtauth.protocol.upstream import Upstream

STATE_IN: Final = 600
"""For so long a person may take at the upstream, in seconds."""


class State(Struct, frozen=True, kw_only=True, tag="upstream"):
    """What the sealed `state` says: only the browser that began it may come back with it."""

    transaction: Transaction
    """Where the person goes on; it is bound to the browser."""
    session: str
    """Digest of the session cookie at the beginning. Signing in changes the cookie, so that a state signs in once; only
    after signing out here it would do so again, with a new code, as pressing the button would."""
    code_verifier: str
    nonce: str
    begun_at: int


def upstream_of(realm: Realm | None) -> Upstream | None:
    """The upstream at which a realm's people may sign in, if there is one."""
    if realm is None or realm.disabled_at is not None or realm.upstream is None:
        return None
    return realm.upstream if realm.upstream.user_authorization_uri is not None else None


def authorization_uri(upstream: Upstream, state: State, *, sealed: str, redirect_uri: str) -> str:
    """Where the browser is sent (RFC 6749 section 4.1.1, RFC 7636 section 4.3, OpenID Connect Core 3.1.2.1).

    A person who has to prove again who it is, or wants another account, has to do so there as well.
    """
    assert upstream.user_authorization_uri is not None  # otherwise nobody is sent there
    asked = {
        "response_type": "code",
        "client_id": upstream.client_id,
        "redirect_uri": redirect_uri,
        "scope": scopes.text(upstream.scope),
        "state": sealed,
        "nonce": state.nonce,
        "code_challenge": pkce.challenge_of(state.code_verifier),
        "code_challenge_method": pkce.METHOD,
    }
    if asks_again(state):
        asked["prompt"] = "login"
    return redirect_uris.with_parameters(upstream.user_authorization_uri, asked)


def asks_again(state: State) -> bool:
    """Whether it does not count that the person is signed in at the upstream already."""
    return bool(state.transaction.stale_session) or state.transaction.wants_other_account


def is_over(state: State, *, now: int) -> bool:
    """Whether the person took too long. A clock that was set back makes none over."""
    return now - state.begun_at >= STATE_IN


def code(sent: Parameters, upstream: Upstream, *, repeated: Sequence[str]) -> str:
    """The code that came back.

    Raises:
        AccessDenied: the person, or the upstream, said no (RFC 6749 section 4.1.2.1).
        InvalidRequest: it is another server's answer (RFC 9207 section 2.4, SECURITY Z-13), malformed, or an error.
    """
    if repeated:
        raise InvalidRequest("the upstream's answer has a parameter twice")
    iss = parameters.one(sent, "iss")
    if iss is None and upstream.sends_iss:
        raise InvalidRequest("the upstream's answer lacks iss")
    if iss is not None and iss != upstream.issuer:
        raise InvalidRequest("the answer is of another issuer than the setting issuer of the upstream")
    error = parameters.one(sent, "error")
    if error == AccessDenied.code:
        raise AccessDenied("the upstream says access_denied")
    if error is not None:
        raise InvalidRequest(f"the upstream says {parameters.shown(error)}")
    return parameters.required(sent, "code", expected="the upstream's answer to have one")


def is_same_person(identity: Proof, proof: Proof) -> bool:
    """Whether an ID token and an access token's proof are about one person (OpenID Connect Core 1.0 section 5.3.2)."""
    return identity.subject is not None and proof.subject == identity.subject


def may_sign_in(user: User | None, client: Client | None, realm: Realm) -> bool:
    """Whether the person is known here, enabled, and a member of the realm whose upstream it is."""
    if user is None or user.disabled_at is not None:
        return False
    return realm.name in user.roles if client is None else permissions.may_use(client, user)
