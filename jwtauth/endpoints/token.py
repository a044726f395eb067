"""The token endpoint: one request, one grant type, one answer (RFC 6749 section 3.2)."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from msgspec import structs

from jwtauth.endpoints import authenticate, direct_grant, redeem, refresh, rehash, token_answer
from jwtauth.endpoints import custom_grant as custom_grants
from jwtauth.endpoints import external_token as external_tokens
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import Overloaded, UnsupportedGrantType
from jwtauth.issuer import throttle
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import (
    authorization_code,
    client_credentials,
    custom_grant,
    external_token,
    legacy,
    parameters,
    password,
    refresh_token,
)
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.records import Client, GrantType, Realm

ATTEMPTS: Final = 3
"""How often a request that lost against another loads and decides again."""

TokenRequest = (
    authorization_code.Request
    | client_credentials.Request
    | password.Request
    | refresh_token.Request
    | external_token.Request
    | custom_grant.Request
)


async def answer(issuer: Issuer, request: Request) -> TokenAnswer:
    """The tokens that this request earns.

    Raises:
        OAuthError: it earns none; whatever was good before is good still (SECURITY F-05).
    """
    now = issuer.begin()
    grant_request = _read(request, issuer.store.directory.realms())
    grant_type = parameters.one(request.parameters, "grant_type")
    client = await authenticate.client(issuer, request, grant_type=grant_type, now=now)
    await issuer.together.keep_step()
    for _ in range(ATTEMPTS):
        given = await _tokens(issuer, grant_request, client, request.address, now=now)
        if given is not None:
            return given
        now = issuer.begin()
        client = await authenticate.client(issuer, request, grant_type=grant_type, now=now)
    raise Overloaded("too many requests wanted the same thing at once; try again")


async def _tokens(
    issuer: Issuer, grant_request: TokenRequest, client: Client, address: str, *, now: int
) -> TokenAnswer | None:
    """What a grant earns. What asks others, or is not ours, gets a task of its own: it is timed by asyncio."""
    match grant_request:
        case authorization_code.Request():
            return await redeem.tokens(issuer, grant_request, client, now=now)
        case client_credentials.Request():
            return await _client_credentials(issuer, grant_request, client, now=now)
        case password.Request():
            return await _password(issuer, grant_request, client, address, now=now)
        case refresh_token.Request():
            return await refresh.tokens(issuer, grant_request, client, now=now)
        case external_token.Request():
            return await asyncio.create_task(external_tokens.tokens(issuer, grant_request, client, address, now=now))
        case custom_grant.Request(grant_type=grant_type):
            if grant_type not in client.realm.custom_grants:
                raise UnsupportedGrantType(f"grant_type: expected {_EXPECTED}")
            return await asyncio.create_task(custom_grants.tokens(issuer, grant_request, client, now=now))


def _read(request: Request, realms: Mapping[str, Realm]) -> TokenRequest:
    """What is asked for. A grant type of some realm's own passes here; whether the client's realm has it is seen later.

    Raises:
        UnsupportedGrantType: nobody has it.
        InvalidRequest: it lacks a parameter.
    """
    form = request.parameters
    sent = parameters.required(form, "grant_type", expected=_EXPECTED)
    grant_type = legacy.ALIASES.get(sent, sent)
    kind = _REQUESTS.get(grant_type)
    if kind is not None:
        for field in _REQUIRED[kind]:
            parameters.required(form, field, expected="a value, as this grant_type needs it")
        return msgspec.convert(form if grant_type == sent else {**form, "grant_type": grant_type}, kind)
    if all(grant_type not in realm.custom_grants for realm in realms.values()):
        raise UnsupportedGrantType(f"grant_type: expected {_EXPECTED}")
    return _of_some_realm(form, grant_type)


def _of_some_realm(form: Parameters, grant_type: str) -> custom_grant.Request:
    """What the module of a grant of a realm's own may read: all but the client's secret."""
    single = {name: value for name, value in form.items() if isinstance(value, str) and name != "client_secret"}
    resource = form.get("resource", ())
    assert isinstance(resource, tuple)  # as it may be sent twice
    return custom_grant.Request(grant_type=grant_type, parameters=single, resource=resource)


async def _client_credentials(
    issuer: Issuer, request: client_credentials.Request, client: Client, *, now: int
) -> TokenAnswer | None:
    permission = client_credentials.decide(request, client, now=now)
    position = await issuer.machine_positions.take(client, now=now)
    if position is None:
        return None
    issuer.tell(Event(name="token.issued", at=now, client_id=client.client_id, grant_type=GrantType.CLIENT_CREDENTIALS))
    return await token_answer.make(issuer, permission, position, now=now)


async def _password(
    issuer: Issuer, request: password.Request, client: Client, address: str, *, now: int
) -> TokenAnswer | None:
    password.check(request, client, now=now)
    is_unproven = client.is_public or GrantType.PASSWORD in client.secretless_grants
    counted = address if is_unproven else ""  # a confidential client's address is that of all its people
    user = await issuer.store.directory.user_named(request.username)
    check = partial(issuer.passwords.verify, password.hash_to_check(client, user), request.password)
    uid = user.id if user else None
    matches = await issuer.throttle.guess(throttle.of_user(request.username), check, address=counted, uid=uid, now=now)
    if matches:
        await rehash.password(issuer, user, request.password)
    start = password.decide(
        request, client, user, password_matches=matches, secret_number=issuer.sealer.current_number, now=now
    )
    return await direct_grant.start(issuer, start, client, now=now)


_REQUESTS: Final[dict[str, type[TokenRequest]]] = {
    GrantType.AUTHORIZATION_CODE: authorization_code.Request,
    GrantType.CLIENT_CREDENTIALS: client_credentials.Request,
    GrantType.PASSWORD: password.Request,
    GrantType.REFRESH_TOKEN: refresh_token.Request,
    GrantType.EXTERNAL_TOKEN: external_token.Request,
}
"""By grant_type: asking msgspec for the union costs 5 µs a request, asking for the one type 0.3."""
_REQUIRED: Final = {
    kind: tuple(field.name for field in structs.fields(kind) if field.required) for kind in _REQUESTS.values()
}
_EXPECTED: Final = f"one of {', '.join(_REQUESTS)}"
