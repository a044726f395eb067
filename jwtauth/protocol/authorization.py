"""The authorization request: who asks, where the answer goes, what is asked for (RFC 6749 section 4.1.1, RFC 9700).

It is read in two steps. `addressee` proves the client and the redirect URI; before that nothing is ever redirected
(SECURITY R-04). `decide` reads the rest, and its refusals are answers to the client.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from jwtauth.errors import (
    Failed,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    Unanswerable,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from jwtauth.protocol import legacy, parameters, permissions, pkce, redirect_uris, requested_claims, resources, scopes
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.records import Client, GrantType, RequestedClaims
from jwtauth.protocol.userinfo import OPENID

OFFLINE_ACCESS: Final = "offline_access"
"""The scope value that lets a grant outlive its browser session (OpenID Connect Core 1.0 section 11)."""

MAX_NONCE_LENGTH: Final = 1024
MAX_HINT_LENGTH: Final = 256
MAX_AGE_DIGITS: Final = 9
MAX_LOCALES: Final = 8

PROMPTS: Final = ("none", "login", "consent", "select_account")
"""OpenID Connect Core 1.0 section 3.1.2.1."""

ADDRESSING: Final = frozenset({"client_id", "redirect_uri", "state", "response_type", "response_mode"})
"""What an answer is addressed by: sent twice, there is no telling where it should go (SECURITY R-03)."""


class ResponseType(StrEnum):
    """What is asked for (RFC 6749 section 3.1.1)."""

    CODE = "code"
    TOKEN = "token"
    """Implicit: only for clients that opted in (RFC 9700 section 2.1.2)."""


class ResponseMode(StrEnum):
    """How the answer travels (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post Response Mode)."""

    QUERY = "query"
    FRAGMENT = "fragment"
    FORM_POST = "form_post"


MODES: Final[Mapping[ResponseType, tuple[ResponseMode, ...]]] = {
    ResponseType.CODE: (ResponseMode.QUERY, ResponseMode.FORM_POST),
    ResponseType.TOKEN: (ResponseMode.FRAGMENT, ResponseMode.FORM_POST),
}
"""How each may travel; the first unless told. A token never stands in a query."""


class Addressee(Struct, frozen=True, kw_only=True):
    """Where an answer goes: proven to be the client's."""

    redirect_uri: str
    is_redirect_uri_sent: bool
    mode: ResponseMode
    state: str | None = None


class AuthorizationRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An authorization request that may be granted, if the person agrees."""

    client_id: str
    addressee: Addressee
    response_type: ResponseType
    scope: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    claims: RequestedClaims = RequestedClaims()
    code_challenge: str | None = None
    nonce: str | None = None
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    subject: str | None = None
    """The person must be this one (id_token_hint, `claims`)."""
    is_hint_bad: bool = False
    """Whether an id_token_hint was sent that is no ID token of ours."""
    login_hint: str = ""
    ui_locales: tuple[str, ...] = ()


class Answer(Struct, frozen=True, kw_only=True):
    """What the browser carries back to the client."""

    redirect_uri: str
    mode: ResponseMode
    parameters: dict[str, str]


def addressee(sent: Parameters, client: Client | None, *, repeated: Collection[str] = ()) -> Addressee:
    """Where the answer to this request goes.

    Raises:
        Unanswerable: no such client, or the redirect URI is not one of its own (RFC 6749 section 4.1.2.1).
    """
    twice = sorted(ADDRESSING.intersection(repeated))
    if twice:
        raise Unanswerable(f"{twice[0]} was sent more than once", is_malformed=True)
    client_id = parameters.one(sent, "client_id")
    if client is None or not client.is_enabled:
        if client_id is None:
            raise Unanswerable("client_id is missing", is_malformed=True)
        why = Failed("client_id", "a registered client", "an unknown one")
        raise Unanswerable(f"client_id {client_id!r} is not registered", why=why)
    redirect_uri = parameters.one(sent, "redirect_uri")
    return Addressee(
        redirect_uri=_redirect_uri(redirect_uri, client),
        is_redirect_uri_sent=redirect_uri is not None,
        mode=_mode(sent) or ResponseMode.QUERY,
        state=parameters.one(sent, "state"),
    )


def decide(
    sent: Parameters,
    client: Client,
    to: Addressee,
    *,
    repeated: Collection[str] = (),
    hint_subject: str | None = None,
    now: int,
) -> AuthorizationRequest:
    """What a client asks for, if it may ask for it.

    Args:
        sent: the parameters, each once.
        client: who asks.
        to: what `addressee` proved.
        repeated: names of parameters that were sent more than once.
        hint_subject: the `sub` of the id_token_hint, if it is an ID token of ours.
        now: seconds since the epoch.

    Raises:
        OAuthError: it may not; the error is the client's to hear (RFC 6749 section 4.1.2.1).
    """
    if repeated:
        raise InvalidRequest(f"{parameters.shown(min(repeated))}: was sent more than once; send it once")
    _refuse_what_is_not_supported(sent)
    response_type = _response_type(sent, client, now=now)
    if parameters.one(sent, "response_mode") is not None and _mode(sent) not in MODES[response_type]:
        raise InvalidRequest(f"response_mode: expected one of {', '.join(MODES[response_type])}")
    scope = _scope(sent, client, response_type)
    if OPENID in scope and not to.is_redirect_uri_sent:
        raise InvalidRequest("redirect_uri: is missing; OpenID Connect demands it")
    wish = requested_claims.read(parameters.one(sent, "claims"))
    hint = parameters.one(sent, "id_token_hint")
    if None not in (hint_subject, wish.subject) and hint_subject != wish.subject:
        raise InvalidRequest("claims: asks for another person than id_token_hint")
    return AuthorizationRequest(
        client_id=client.client_id,
        addressee=to,
        response_type=response_type,
        scope=scope,
        resources=resources.narrow(_resources(sent), allowed=client.resources),
        claims=requested_claims.within(wish.claims, client.scope) if OPENID in scope else RequestedClaims(),
        code_challenge=_challenge(sent, client, response_type),
        nonce=_text(sent, "nonce", longest=MAX_NONCE_LENGTH),
        prompt=_prompt(sent),
        max_age=_max_age(sent),
        subject=hint_subject or wish.subject,
        is_hint_bad=hint is not None and hint_subject is None,
        login_hint=(parameters.one(sent, "login_hint") or "")[:MAX_HINT_LENGTH],
        ui_locales=ui_locales(sent),
    )


def check_still_allowed(request: AuthorizationRequest, client: Client | None, *, now: int) -> Client:
    """The client of a request that was let in earlier, if it could still be let in.

    Raises:
        Unanswerable: the client was disabled, or lost the redirect URI, since.
        InvalidScope, InvalidTarget: it lost a scope value or a resource since.
        UnsupportedResponseType, UnauthorizedClient: it lost the response type since.
    """
    if client is None or not client.is_enabled:
        raise Unanswerable(f"client_id {request.client_id!r} is not registered any more")
    _redirect_uri(request.addressee.redirect_uri, client)
    _check_response_type(request.response_type, client, now=now)
    if not {*request.scope} <= {*client.scope}:
        raise InvalidScope("scope: this client may no longer ask for all of it")
    resources.narrow(request.resources, allowed=client.resources)
    return client


def ui_locales(sent: Parameters) -> tuple[str, ...]:
    """The languages asked for, best first; whatever they are, they are only a wish."""
    return tuple((parameters.one(sent, "ui_locales") or "").split()[:MAX_LOCALES])


def granted(to: Addressee, issuer: str, answer: Mapping[str, str]) -> Answer:
    """A good answer: with the state and, against mix-up, the issuer (RFC 9207 section 2)."""
    state = {} if to.state is None else {"state": to.state}
    return Answer(redirect_uri=to.redirect_uri, mode=to.mode, parameters={**answer, **state, "iss": issuer})


def refused(to: Addressee, issuer: str, error: OAuthError) -> Answer:
    """A refusal that the client hears of (RFC 6749 section 4.1.2.1, RFC 9207 section 2)."""
    return granted(to, issuer, {"error": error.code, "error_description": str(error)})


def _redirect_uri(sent: str | None, client: Client) -> str:
    if sent is None:
        if client.default_redirect_uri is not None:
            return client.default_redirect_uri
        if len(client.redirect_uris) != 1:
            raise Unanswerable("redirect_uri is missing", is_client_known=True)
        return client.redirect_uris[0]
    if not redirect_uris.matches(sent, client):
        registered = ", ".join(client.redirect_uris) or "none"
        why = Failed(
            "redirect_uri", f"one of client {client.client_id}: {registered}", redirect_uris.without_query(sent)
        )
        raise Unanswerable(
            f"redirect_uri {sent!r} is not registered for client {client.client_id}; registered are: {registered}",
            why=why,
            is_client_known=True,
        )
    return sent


def _mode(sent: Parameters) -> ResponseMode | None:
    """The mode that was asked for, else what the response type goes by; None where neither is known."""
    mode = parameters.one(sent, "response_mode")
    if mode is not None:
        return ResponseMode(mode) if mode in tuple(ResponseMode) else None
    response_type = parameters.one(sent, "response_type")
    return MODES[ResponseType(response_type)][0] if response_type in tuple(ResponseType) else None


def _refuse_what_is_not_supported(sent: Parameters) -> None:
    """Refuse parameters that would override others: ignoring them would be another request than the client made."""
    if "request" in sent:
        raise RequestNotSupported("request: request objects are not supported here; send plain parameters")
    if "request_uri" in sent:
        raise RequestUriNotSupported("request_uri: is not supported here; send plain parameters")
    if "registration" in sent:
        raise RegistrationNotSupported("registration: is not supported here")


def _response_type(sent: Parameters, client: Client, *, now: int) -> ResponseType:
    response_type = parameters.required(sent, "response_type", expected=ResponseType.CODE)
    if response_type not in tuple(ResponseType):
        raise UnsupportedResponseType(f"response_type: expected {ResponseType.CODE}")
    return _check_response_type(ResponseType(response_type), client, now=now)


def _check_response_type(response_type: ResponseType, client: Client, *, now: int) -> ResponseType:
    if response_type is ResponseType.TOKEN and not client.allows_implicit:
        raise UnsupportedResponseType(f"response_type: expected {ResponseType.CODE}")
    if response_type is ResponseType.TOKEN:
        legacy.check_open(client.realm, legacy.IMPLICIT, now=now)
    if response_type is ResponseType.CODE and GrantType.AUTHORIZATION_CODE not in client.grant_types:
        raise UnauthorizedClient("response_type: this client may not use authorization codes")
    return response_type


def _challenge(sent: Parameters, client: Client, response_type: ResponseType) -> str | None:
    if response_type is ResponseType.TOKEN:
        return None
    return pkce.challenge(
        parameters.one(sent, "code_challenge"),
        parameters.one(sent, "code_challenge_method"),
        is_required=client.requires_pkce or client.is_public,
    )


def _scope(sent: Parameters, client: Client, response_type: ResponseType) -> tuple[str, ...]:
    """The scope asked for; offline access is ignored where no refresh token comes of it (OpenID Core section 11)."""
    scope = scopes.narrow(parameters.one(sent, "scope"), allowed=client.scope, default=_default_scope(client))
    if response_type is ResponseType.CODE and GrantType.REFRESH_TOKEN in client.grant_types:
        return scope
    return tuple(value for value in scope if value != OFFLINE_ACCESS)


def _default_scope(client: Client) -> tuple[str, ...]:
    """What a request without scope asks for; nobody signs in by OpenID Connect or stays connected unasked."""
    return tuple(value for value in permissions.default_scope(client) if value not in (OPENID, OFFLINE_ACCESS))


def _resources(sent: Parameters) -> tuple[str, ...]:
    found = sent.get("resource", ())
    return found if isinstance(found, tuple) else (found,)


def _prompt(sent: Parameters) -> tuple[str, ...]:
    values = tuple(dict.fromkeys((parameters.one(sent, "prompt") or "").split()))
    if any(value not in PROMPTS for value in values):
        raise InvalidRequest(f"prompt: expected one of {', '.join(PROMPTS)}")
    if "none" in values and len(values) > 1:
        raise InvalidRequest("prompt: none must stand alone")
    return values


def _max_age(sent: Parameters) -> int | None:
    text = parameters.one(sent, "max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_AGE_DIGITS):
        raise InvalidRequest("max_age: expected a number of seconds")
    return int(text)


def _text(sent: Parameters, name: str, *, longest: int) -> str | None:
    text = parameters.one(sent, name)
    if text is not None and len(text) > longest:
        raise InvalidRequest(f"{name}: is longer than {longest} characters")
    return text
