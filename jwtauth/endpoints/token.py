"""The token endpoint: one request, one grant type, one answer (RFC 6749 section 3.2)."""

from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from jwtauth.endpoints import authenticate
from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidGrant, Overloaded, UnsupportedGrantType
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import client_credentials, parameters, password, refresh_token, scopes
from jwtauth.protocol.records import Client, GrantType, Permission, Pointer
from jwtauth.protocol.refresh_token import EndGrant, KeepToken, RetrySuccessor, Rotate

ATTEMPTS: Final = 3
"""How often a request that lost against another loads and decides again."""

TokenRequest = client_credentials.Request | password.Request | refresh_token.Request


class TokenAnswer(Struct, frozen=True, kw_only=True):
    """RFC 6749 section 5.1."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    refresh_token: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    """Absent where the token has no scope at all: an empty one has no spelling (RFC 6749 section 3.3)."""


async def answer(issuer: Issuer, request: Request) -> TokenAnswer:
    """The tokens that this request earns.

    Raises:
        OAuthError: it earns none; whatever was good before is good still (SECURITY F-05).
    """
    now = issuer.begin()
    grant_request = _read(request)
    client = await authenticate.client(issuer, request, now=now)
    for _ in range(ATTEMPTS):
        match grant_request:
            case client_credentials.Request():
                given = await _client_credentials(issuer, grant_request, client, now=now)
            case password.Request():
                given = await _password(issuer, grant_request, client, now=now)
            case refresh_token.Request():
                given = await _refresh_token(issuer, grant_request, client, now=now)
        if given is not None:
            return given
        now = issuer.begin()
        client = await authenticate.client(issuer, request, now=now)
    raise Overloaded("too many requests wanted the same thing at once; try again")


def _read(request: Request) -> TokenRequest:
    form = request.parameters
    kind = _REQUESTS.get(parameters.required(form, "grant_type", expected=_EXPECTED))
    if kind is None:
        raise UnsupportedGrantType(f"grant_type: expected {_EXPECTED}")
    for field in _REQUIRED[kind]:
        parameters.required(form, field, expected="a value, as this grant_type needs it")
    return msgspec.convert(form, kind)


async def _client_credentials(
    issuer: Issuer, request: client_credentials.Request, client: Client, *, now: int
) -> TokenAnswer | None:
    permission = client_credentials.decide(request, client)
    position = await issuer.machine_positions.take(client, now=now)
    if position is None:
        return None
    return _answer(issuer, permission, position, now=now)


async def _password(issuer: Issuer, request: password.Request, client: Client, *, now: int) -> TokenAnswer | None:
    password.check(request, client)
    user = await issuer.store.directory.user_named(request.username)
    check = partial(issuer.passwords.verify, password.hash_to_check(client, user), request.password)
    matches = await issuer.throttle.guess(f"user {request.username}", check, now=now)
    start = password.decide(
        request, client, user, password_matches=matches, secret_number=issuer.sealer.current_number, now=now
    )
    grant = await issuer.store.grants.start(start.grant, now=now)
    if grant is None:
        return None
    issuer.tell(Event(name="grant.started", at=now, client_id=client.client_id, uid=grant.user_id, grant_id=grant.id))
    pointer = Pointer(grant_id=grant.id, generation=0, secret_number=grant.secret_number)
    successor = pointer if start.has_refresh_token else None
    return _answer(issuer, start.permission, grant.position, successor, now=now)


async def _refresh_token(
    issuer: Issuer, request: refresh_token.Request, client: Client, *, now: int
) -> TokenAnswer | None:
    pointer = issuer.sealer.read_refresh_token(request.refresh_token)
    if pointer is None:
        raise InvalidGrant(refresh_token.REFUSED)
    grants = issuer.store.grants
    grant = await grants.get(pointer.grant_id)
    user = await issuer.store.directory.user(grant.user_id) if grant else None
    verdict = refresh_token.decide(request, client, grant, pointer, user, now=now)
    assert grant is not None  # a missing grant was refused
    match verdict:
        case Rotate(permission=permission):
            number = issuer.sealer.current_number
            position = await grants.rotate(
                grant.id,
                pointer.generation,
                secret_number=number,
                expires_at=verdict.expires_at,
                renews_position=verdict.renews_position,
                now=now,
            )
            if position is None:
                return None
            successor = Pointer(grant_id=grant.id, generation=pointer.generation + 1, secret_number=number)
            return _answer(issuer, permission, position, successor, now=now)
        case RetrySuccessor(permission=permission):
            successor = Pointer(grant_id=grant.id, generation=grant.generation, secret_number=grant.secret_number)
            return _answer(issuer, permission, grant.position, successor, now=now)
        case KeepToken(permission=permission):
            return _answer(issuer, permission, grant.position, pointer, now=now)
        case EndGrant():
            if await grants.end(grant.id, now=now):
                issuer.tell(
                    Event(
                        name="grant.ended",
                        at=now,
                        client_id=client.client_id,
                        uid=grant.user_id,
                        grant_id=grant.id,
                        reason="refresh token reused",
                    )
                )
            raise InvalidGrant(refresh_token.REFUSED)


def _answer(
    issuer: Issuer, permission: Permission, position: int, successor: Pointer | None = None, *, now: int
) -> TokenAnswer:
    return TokenAnswer(
        access_token=issuer.mint(permission, position, now=now),
        expires_in=permission.lifetime_in,
        refresh_token=UNSET if successor is None else issuer.sealer.refresh_token(successor),
        scope=scopes.text(permission.scope) or UNSET,
    )


_REQUESTS: Final[dict[str, type[TokenRequest]]] = {
    GrantType.CLIENT_CREDENTIALS: client_credentials.Request,
    GrantType.PASSWORD: password.Request,
    GrantType.REFRESH_TOKEN: refresh_token.Request,
}
"""By grant_type: asking msgspec for the union costs 5 µs a request, asking for the one type 0.3."""
_REQUIRED: Final = {
    kind: tuple(field.name for field in structs.fields(kind) if field.required) for kind in _REQUESTS.values()
}
_EXPECTED: Final = f"one of {', '.join(_REQUESTS)}"
