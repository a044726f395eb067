"""Machines' endpoints over HTTP: which path, method and dialect leads to which story, and the one frame around all."""

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Final

from msgspec.structs import replace

from jwtauth.dialects.dialect import STANDARD_NAME, Caller, Dialect, Endpoint, Text, Where
from jwtauth.dialects.spoken import Spoken
from jwtauth.endpoints.request import Request
from jwtauth.errors import (
    ConfigurationError,
    Failed,
    InvalidClient,
    InvalidRequest,
    OAuthError,
    Overloaded,
    SwitchedOff,
    WrongMethod,
)
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.arrival import Arrival
from jwtauth.observe.events import refusal
from jwtauth.observe.log import LOGGER
from jwtauth.protocol import client_auth, legacy, parameters
from jwtauth.protocol.records import Client
from jwtauth.web import arrivals, asgi, cors, errors, reply
from jwtauth.web.arrivals import Arrivals
from jwtauth.web.asgi import BadHttp, Source
from jwtauth.web.errors import ErrorAnswer
from jwtauth.web.reply import Headers, Reply
from jwtauth.web.types import HTTPScope

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


_NOT_READ: Final = Request()
_OPERATOR: Final = "the service cannot do this until its operator mends something; its log says what"
_NO_DOORS: Final[tuple[str, ...]] = ()


class Path:
    """One path that machines call, as every dialect that has it says it."""

    def __init__(
        self, issuer: Issuer, spoken: Spoken, noting: Arrivals, path: str, dialects: Mapping[str, Dialect]
    ) -> None:
        self.path = path
        self._issuer = issuer
        self._spoken = spoken
        self._by_dialect = {
            dialect.name: endpoint
            for dialect in dialects.values()
            for endpoint in dialect.endpoints
            if endpoint.path == path
        }
        self._standard = self._by_dialect.get(STANDARD_NAME)
        self.is_standard = self._standard is not None
        """Whether every realm has it."""
        self._first = self._standard or next(iter(self._by_dialect.values()))
        self._takes_grants = any(endpoint.takes_grants for endpoint in self._by_dialect.values())
        self._is_translated = len(self._by_dialect) > 1 or not self.is_standard
        self._noting = noting
        is_held = self._first.caller is Caller.TOKEN_HOLDER
        self._client_of = spoken.holder_of if is_held else spoken.client_of
        self._legacy = [] if self.is_standard else legacy_headers(None)
        self._counted = issuer.metrics.endpoint(path)
        self._max_body, self._body_timeout = issuer.settings.max_body, issuer.settings.body_timeout

    def is_there(self) -> bool:
        """Whether any realm has this path."""
        return self.is_standard or not self._spoken.names().isdisjoint(self._by_dialect)

    async def reply(self, scope: HTTPScope, source: Source) -> Reply:
        """The answer; it is counted by its status and the time that it took."""
        began = perf_counter()
        answer = await self._answer(scope, source, self._noting.note(scope))
        self._counted.note(answer.status, perf_counter() - began)
        return answer

    async def _answer(self, scope: HTTPScope, source: Source, arrival: Arrival) -> Reply:
        """Read, and tell the story; every refusal becomes its registered answer."""
        endpoint, request, client, doors = self._first, _NOT_READ, None, _NO_DOORS
        before: Headers = [(arrivals.HEADER, arrival.request_id.encode())]
        more = before + self._legacy
        try:
            is_translated = self._is_translated and self._spoken.is_any()
            methods = self._methods() if is_translated else endpoint.methods
            if endpoint.is_cross_origin:
                before = before + await cors.headers(self._issuer, scope)
                more = before + self._legacy
                if scope["method"] == "OPTIONS":
                    return Reply(204, reply.EMPTY, more=more + cors.preflight(endpoint.methods))
            if scope["method"] not in methods:
                raise WrongMethod(endpoint.methods)
            request = await self._read(scope, source, arrival.address)
            if is_translated or request.query or self._may_use_a_door(request):
                client, endpoint, request = await self._heard(request, scope["method"], is_translated=is_translated)
                doors = self._doors(endpoint, request, client)
            if doors:
                more = before + legacy_headers(client)
            await self._issuer.together.keep_step()
            told = await endpoint.story(self._issuer, request)
        except OAuthError as error:
            return await self._refusal(error, endpoint, request, more)
        except BadHttp as problem:
            answer = ErrorAnswer("invalid_request", str(problem))
            return reply.of_json(problem.status, answer, more, closes=problem.closes)
        except ConfigurationError as problem:  # such as a key file that is gone
            LOGGER.error("%s: %s", endpoint.path, problem)
            return await self._refusal(Overloaded(_OPERATOR, retry_after_in=5), endpoint, request, more)
        except Exception:
            LOGGER.exception("%s failed", endpoint.path)
            return reply.of_json(500, errors.FAILED, more)
        if client is not None and (self.is_standard or client.realm.dialect in self._by_dialect):
            for door in doors:
                self._issuer.legacy_use.count(client, door)
        return _said(told, more)

    def _read(self, scope: HTTPScope, source: Source, address: str) -> Awaitable[Request]:
        return asgi.read(
            scope,
            source,
            max_body=self._max_body,
            body_timeout=self._body_timeout,
            address=address,
            is_raw=self._first.parameters is Where.RAW,
        )

    async def _heard(
        self, request: Request, method: str, *, is_translated: bool
    ) -> tuple[Client | None, Endpoint, Request]:
        """Who asks, as far as that matters; which dialect's endpoint this is; and the request as that one means it.

        Raises:
            OAuthError: not one of the client's realm, or not called as it wants to be.
        """
        client, endpoint = None, self._first
        if not self.is_standard:
            request = endpoint.hears(request)
        if is_translated:
            client = await self._client_of(request)
            endpoint = self._of_client(client, now=self._issuer.begin())
            if method not in endpoint.methods:
                raise WrongMethod(endpoint.methods)
        if request.query:
            request = _with_query(endpoint, request)
        if self.is_standard:
            request = endpoint.hears(request)
        if client is None and self._may_use_a_door(request):
            client = await self._spoken.client_of(request)
        return client, endpoint, request

    def _may_use_a_door(self, request: Request) -> bool:
        """Whether it matters who sends a request: most token requests go through no legacy door, whoever it is."""
        if "grant_type" not in request.parameters or not self._takes_grants:
            return False
        return not _has_secret(request) or legacy.is_legacy(request.parameters["grant_type"])

    def _methods(self) -> tuple[str, ...]:
        """By which methods anybody may call this path."""
        spoken = {STANDARD_NAME, *self._spoken.names()}
        found = [endpoint.methods for name, endpoint in self._by_dialect.items() if name in spoken]
        return tuple(dict.fromkeys(method for methods in found for method in methods))

    def _doors(self, endpoint: Endpoint, request: Request, client: Client | None) -> tuple[str, ...]:
        """The legacy doors that a request goes through."""
        path = () if self.is_standard else (legacy.of_path(endpoint.path),)
        query = (legacy.QUERY,) if request.had_query and endpoint.parameters is Where.EITHER else ()
        if not endpoint.takes_grants:
            return path + query
        grant_type = request.parameters.get("grant_type")
        return path + query + legacy.doors_of_grant(grant_type, client, has_secret=_has_secret(request))

    def _of_client(self, client: Client | None, *, now: int) -> Endpoint:
        """The endpoint as the client's realm has it.

        Raises:
            SwitchedOff, InvalidClient: the path is not for this client's realm, or not any more.
        """
        dialect = self._spoken.of_client(client, now=now)
        endpoint = self._by_dialect.get(dialect.name, self._standard)
        if endpoint is not None:
            return endpoint
        if client is not None and client.realm.dialect in self._by_dialect:
            raise SwitchedOff(sunset_at=client.realm.sunset_at)
        if self._first.caller is Caller.TOKEN_HOLDER:
            return self._first  # the story says whether the token may be used here
        name = "nobody" if client is None else client.client_id
        why = Failed("client_id", "a client of a realm with this path", f"client {name}")
        raise InvalidClient(client_auth.REFUSED, by_basic=True, why=why)

    async def _claimed(self, request: Request) -> str | None:
        """The client that a refused request names, if it is registered: what stands there else may be a secret that was
        put in the wrong place, and must not be written down (SECURITY S-09)."""
        with suppress(OAuthError):  # who that is cannot be told, and the refusal stays what it is
            client = await self._spoken.client_of(request)
            return None if client is None else client.client_id
        return None

    async def _refusal(self, error: OAuthError, endpoint: Endpoint, request: Request, more: Headers) -> Reply:
        """Tell of a refusal and say it; the status may be another one in the words of a dialect."""
        status = errors.status_of(error)
        at, claimed = self._issuer.now(), await self._claimed(request)
        self._issuer.tell(refusal("request.refused", error, at=at, endpoint=endpoint.path, client_id=claimed))
        if endpoint.refuses is None:
            return errors.refusal(error, more)
        more = more + errors.headers_of(error)
        told = endpoint.refuses(error, status, request)
        if told.challenge is not None or told.status not in (401, 403):
            more = [header for header in more if header[0] != b"www-authenticate"]
        if told.challenge is not None:
            more.append((b"www-authenticate", told.challenge.encode("ascii", "replace")))
        return reply.of_json(told.status, told.body, more)


def legacy_headers(client: Client | None) -> Headers:
    """What every answer through a legacy door carries (RFC 9745 section 2, RFC 8594 section 3)."""
    deprecation = (b"deprecation", b"@%d" % legacy.DEPRECATED_AT)
    sunset_at = client.realm.sunset_at if client is not None else None
    return [deprecation] if sunset_at is None else [deprecation, (b"sunset", asgi.http_date(sunset_at))]


def _with_query(endpoint: Endpoint, request: Request) -> Request:
    """The request with its query as the endpoint means it: as parameters, or as nothing that may say much.

    Raises:
        InvalidRequest: a parameter is where it must not be, or in both places (RFC 6749 section 3.2).
    """
    if endpoint.parameters is Where.FORM:
        _refuse_secrets_in_query(request)
    if endpoint.parameters is not Where.EITHER:
        return request
    twice = request.query.keys() & request.parameters.keys()
    if twice:
        raise InvalidRequest(f"{parameters.shown(min(twice))}: was sent in the query and in the body; send it once")
    return replace(request, parameters={**request.query, **request.parameters}, query={}, had_query=True)


def _has_secret(request: Request) -> bool:
    return bool(request.authorization) or "client_secret" in request.parameters


def _said(told: object, more: Headers) -> Reply:
    """What a story told, as an answer."""
    if told is None:
        return Reply(200, reply.EMPTY, more=more)
    if isinstance(told, Text):
        return Reply(200, reply.AS_TEXT, told.text.encode(), more)
    return reply.of_json(200, told, more)


def _refuse_secrets_in_query(request: Request) -> None:
    misplaced = NEVER_IN_QUERY.intersection(request.query)
    if misplaced:
        raise InvalidRequest(f"{min(misplaced)}: was sent in the query; send parameters in the form body")
