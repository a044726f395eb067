"""The token endpoint: one request, one grant type, one answer (RFC 6749 section 3.2)."""

from functools import partial
from typing import Final

import msgspec
from msgspec import structs

from jwtauth.endpoints import authenticate, redeem, refresh, token_answer
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import Overloaded, UnsupportedGrantType
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import authorization_code, client_credentials, parameters, password, refresh_token
from jwtauth.protocol.records import Client, GrantType, Pointer

ATTEMPTS: Final = 3
"""How often a request that lost against another loads and decides again."""

TokenRequest = authorization_code.Request | client_credentials.Request | password.Request | refresh_token.Request


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
            case authorization_code.Request():
                given = await redeem.tokens(issuer, grant_request, client, now=now)
            case client_credentials.Request():
                given = await _client_credentials(issuer, grant_request, client, now=now)
            case password.Request():
                given = await _password(issuer, grant_request, client, request.address, now=now)
            case refresh_token.Request():
                given = await refresh.tokens(issuer, grant_request, client, now=now)
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
    return token_answer.make(issuer, permission, position, now=now)


async def _password(
    issuer: Issuer, request: password.Request, client: Client, address: str, *, now: int
) -> TokenAnswer | None:
    password.check(request, client)
    counted = address if client.is_public else ""  # a confidential client's address is that of all its people
    user = await issuer.store.directory.user_named(request.username)
    check = partial(issuer.passwords.verify, password.hash_to_check(client, user), request.password)
    matches = await issuer.throttle.guess(f"user {request.username}", check, address=counted, now=now)
    start = password.decide(
        request, client, user, password_matches=matches, secret_number=issuer.sealer.current_number, now=now
    )
    grant = await issuer.store.grants.start(start.grant, now=now)
    if grant is None:
        return None
    issuer.tell(Event(name="grant.started", at=now, client_id=client.client_id, uid=grant.user_id, grant_id=grant.id))
    pointer = Pointer(grant_id=grant.id, generation=0, secret_number=grant.secret_number)
    successor = pointer if start.has_refresh_token else None
    return token_answer.make(issuer, start.permission, grant.position, successor, now=now)


_REQUESTS: Final[dict[str, type[TokenRequest]]] = {
    GrantType.AUTHORIZATION_CODE: authorization_code.Request,
    GrantType.CLIENT_CREDENTIALS: client_credentials.Request,
    GrantType.PASSWORD: password.Request,
    GrantType.REFRESH_TOKEN: refresh_token.Request,
}
"""By grant_type: asking msgspec for the union costs 5 µs a request, asking for the one type 0.3."""
_REQUIRED: Final = {
    kind: tuple(field.name for field in structs.fields(kind) if field.required) for kind in _REQUESTS.values()
}
_EXPECTED: Final = f"one of {', '.join(_REQUESTS)}"
