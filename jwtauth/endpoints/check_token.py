"""Spring Security's way of asking about a token: dead ones are a refusal, not an answer."""

from jwtauth.endpoints import authenticate
from jwtauth.endpoints.introspect import person_of
from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidToken
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import check_token, introspection, parameters
from jwtauth.protocol.check_token import CheckedToken
from jwtauth.protocol.introspection import Inactive


async def answer(issuer: Issuer, request: Request) -> CheckedToken:
    """What the caller may know of the token in parameter `token`.

    Raises:
        InvalidClient: the caller did not prove who it is.
        InvalidToken: the token is not alive, or none of the caller's business.
    """
    now = issuer.begin()
    caller = await authenticate.client(issuer, request, now=now)
    introspection.check_caller(caller)
    token = parameters.required(request.parameters, "token", expected="the token to check")
    try:
        found, _ = issuer.access_tokens.open(token, now=now)
    except InvalidToken as error:
        raise check_token.refusal(error, caller) from None
    owner = await issuer.store.directory.client(found.client_id)
    person = await person_of(issuer, found) if introspection.is_of_parent(owner, caller) else None
    active = introspection.decide(found, owner, caller, person)
    if isinstance(active, Inactive):
        raise InvalidToken("Token was not recognised")
    return check_token.answer(active)
