"""Machines' endpoints: which path and method leads to which story, and the one frame around all of them."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

from litestar.types import HTTPScope, Receive, Send
from msgspec import Struct

from jwtauth.endpoints import check_token, introspect, metadata, revoke, token, tokeninfo, userinfo
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import InvalidClient, InvalidRequest, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.observe.log import LOGGER
from jwtauth.protocol.check_token import CheckedToken
from jwtauth.protocol.introspection import Active, Inactive
from jwtauth.protocol.profile import Profile
from jwtauth.protocol.tokeninfo import TokenInfo
from jwtauth.web import asgi, cors, errors
from jwtauth.web.addresses import Addresses
from jwtauth.web.asgi import NO_STORE, BadHttp, Handler, Headers
from jwtauth.web.errors import ErrorAnswer, Statuses

Story = Callable[[Issuer, Request], Awaitable[object]]
Document = Callable[[Issuer], bytes]


class Where(Enum):
    """Where an endpoint takes its parameters from."""

    FORM = "form"
    QUERY = "query"


class Caller(Enum):
    """Who may call an endpoint."""

    CLIENT = "any client"
    CONFIDENTIAL_CLIENT = "a client that proves who it is"
    TOKEN_HOLDER = "whoever holds the token"


class Field(Struct, frozen=True):
    """A parameter as the OpenAPI document describes it."""

    name: str
    description: str
    is_required: bool = False


class Endpoint(Struct, frozen=True, kw_only=True):
    """One endpoint that machines call: a story, how it is reached, and how it is described."""

    path: str
    methods: tuple[str, ...] = ("POST",)
    story: Story
    summary: str
    fields: tuple[Field, ...]
    gives: tuple[type[Struct], ...] = ()
    """The types of its answer; none where the body is empty."""
    parameters: Where = Where.FORM
    caller: Caller = Caller.CONFIDENTIAL_CLIENT
    statuses: Statuses = errors.STANDARD
    is_cross_origin: bool = False
    """Whether scripts of registered clients may call it from their own origins (SECURITY H-02)."""


class Publication(Struct, frozen=True, kw_only=True):
    """One document that anybody may read and keep for a while."""

    path: str
    document: Document
    summary: str
    is_constant: bool = True
    """Whether it depends on settings only; then it is made once."""
    content_type: bytes = b"application/json"


ENDPOINTS: Final = (
    Endpoint(
        path="/oauth/token",
        story=token.answer,
        gives=(TokenAnswer,),
        caller=Caller.CLIENT,
        is_cross_origin=True,
        summary="Obtain tokens (RFC 6749 section 3.2)",
        fields=(
            Field(
                "grant_type",
                "authorization_code, refresh_token, client_credentials or password",
                is_required=True,
            ),
            Field("code", "grant_type authorization_code only"),
            Field("redirect_uri", "grant_type authorization_code only: as in the authorization request"),
            Field("code_verifier", "grant_type authorization_code only (RFC 7636)"),
            Field("scope", "scope values separated by spaces"),
            Field("resource", "the resource server that the token is for (RFC 8707)"),
            Field("username", "grant_type password only"),
            Field("password", "grant_type password only"),
            Field("refresh_token", "grant_type refresh_token only"),
            Field("client_id", "where the client does not authenticate by HTTP Basic"),
            Field("client_secret", "where the client does not authenticate by HTTP Basic"),
        ),
    ),
    Endpoint(
        path="/oauth/introspect",
        story=introspect.answer,
        gives=(Active, Inactive),
        summary="Ask about a token (RFC 7662)",
        fields=(Field("token", "the token to ask about", is_required=True), Field("token_type_hint", "not needed")),
    ),
    Endpoint(
        path="/oauth/check_token",
        story=check_token.answer,
        gives=(CheckedToken,),
        statuses=errors.SPRING,
        summary="Ask about a token, in the form of Spring Security OAuth 2.x",
        fields=(Field("token", "the token to check", is_required=True),),
    ),
    Endpoint(
        path="/oauth/tokeninfo",
        methods=("GET",),
        story=tokeninfo.answer,
        gives=(TokenInfo,),
        parameters=Where.QUERY,
        caller=Caller.TOKEN_HOLDER,
        summary="What a token says, for its holder",
        fields=(Field("access_token", "the token, where it is not in the Authorization header"),),
    ),
    Endpoint(
        path="/oauth/revoke",
        story=revoke.answer,
        caller=Caller.CLIENT,
        is_cross_origin=True,
        summary="Revoke a token (RFC 7009)",
        fields=(Field("token", "the token to revoke", is_required=True), Field("token_type_hint", "not needed")),
    ),
    Endpoint(
        path="/oauth/userinfo",
        methods=("GET", "POST"),
        story=userinfo.answer,
        gives=(Profile,),
        caller=Caller.TOKEN_HOLDER,
        is_cross_origin=True,
        summary="Claims about the person who signed in (OpenID Connect Core 1.0 section 5.3)",
        fields=(Field("access_token", "by POST only: the token, where it is not in the Authorization header"),),
    ),
)

PUBLICATIONS: Final = (
    Publication(
        path="/.well-known/jwks.json",
        document=metadata.jwks,
        is_constant=False,
        content_type=b"application/jwk-set+json",
        summary="The public keys (RFC 7517)",
    ),
    Publication(
        path="/.well-known/oauth-authorization-server",
        document=metadata.authorization_server,
        summary="Discovery (RFC 8414)",
    ),
    Publication(
        path="/.well-known/openid-configuration",
        document=metadata.openid_configuration,
        is_constant=False,
        summary="Discovery (OpenID Connect Discovery 1.0)",
    ),
)

NEVER_IN_QUERY: Final = frozenset(
    {
        "client_id",
        "client_secret",
        "grant_type",
        "username",
        "password",
        "code",
        "code_verifier",
        "refresh_token",
        "token",
        "scope",
        "resource",
    }
)
"""Parameters that would be written into every log on their way (RFC 6749 section 2.3.1), or silently not be heeded."""


def endpoint_handler(issuer: Issuer, endpoint: Endpoint) -> Handler:
    """The ASGI callable of an endpoint: read, tell the story, write; every refusal becomes its registered answer."""
    max_body, body_timeout = issuer.settings.max_body, issuer.settings.body_timeout
    takes_form, methods = endpoint.parameters is Where.FORM, endpoint.methods
    is_cross_origin, addresses = endpoint.is_cross_origin, Addresses(issuer.settings)

    async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
        always = NO_STORE
        try:
            if is_cross_origin:
                always = NO_STORE + await cors.headers(issuer, scope)
                if scope["method"] == "OPTIONS":
                    await asgi.write(send, 204, always + cors.preflight(methods), b"")
                    return
            if scope["method"] not in methods:
                raise BadHttp(
                    405, f"method: expected {' or '.join(methods)}", [(b"allow", ", ".join(methods).encode())]
                )
            request = await asgi.read(
                scope, receive, max_body=max_body, body_timeout=body_timeout, address=addresses.of(scope)
            )
            if takes_form and request.query:
                _refuse_secrets_in_query(request)
            told = await endpoint.story(issuer, request)
        except OAuthError as error:
            await _refuse(issuer, send, error, endpoint, always)
        except BadHttp as problem:
            answer = ErrorAnswer("invalid_request", str(problem))
            await asgi.write_json(send, problem.status, always + problem.headers, answer)
        except Exception:
            LOGGER.exception("%s failed", endpoint.path)
            answer = ErrorAnswer("server_error", "the server failed; nothing more is known to you, its log says more")
            await asgi.write_json(send, 500, always, answer)
        else:
            if told is None:
                await asgi.write(send, 200, always, b"")
            else:
                await asgi.write_json(send, 200, always, told)

    return handle


def publication_handler(issuer: Issuer, publication: Publication) -> Handler:
    """The ASGI callable of a document: bytes that were made before the request came."""
    constant = publication.document(issuer) if publication.is_constant else None
    headers: Headers = [
        (b"content-type", publication.content_type),
        (b"cache-control", b"public, max-age=%d" % issuer.settings.jwks_max_age),
        (b"access-control-allow-origin", b"*"),
        (b"x-content-type-options", b"nosniff"),
    ]

    async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            answer = ErrorAnswer("invalid_request", "method: expected GET")
            await asgi.write_json(send, 405, [*NO_STORE, (b"allow", b"GET, HEAD")], answer)
            return
        try:
            document = publication.document(issuer) if constant is None else constant
        except OAuthError as error:
            status = errors.status_of(error, errors.STANDARD)
            await asgi.write_json(send, status, NO_STORE + errors.headers_of(error, status), errors.answer(error))
            return
        await asgi.write(send, 200, headers, document)

    return handle


async def _refuse(issuer: Issuer, send: Send, error: OAuthError, endpoint: Endpoint, always: Headers) -> None:
    status = errors.status_of(error, endpoint.statuses)
    reason = error.reason if isinstance(error, InvalidClient) and error.reason else str(error)
    issuer.tell(Event(name="request.refused", at=issuer.now(), reason=f"{endpoint.path} {error.code}: {reason}"))
    headers = always + errors.headers_of(error, status)
    await asgi.write_json(send, status, headers, errors.answer(error))


def _refuse_secrets_in_query(request: Request) -> None:
    misplaced = NEVER_IN_QUERY.intersection(request.query)
    if misplaced:
        raise InvalidRequest(f"{min(misplaced)}: was sent in the query; send parameters in the form body")
