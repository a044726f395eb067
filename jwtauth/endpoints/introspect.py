"""Token introspection: a resource server asks, this server answers from memory (RFC 7662)."""

from jwtauth.endpoints import authenticate
from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidToken
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import introspection, parameters
from jwtauth.protocol.claims import AccessToken
from jwtauth.protocol.introspection import Active, Inactive
from jwtauth.protocol.records import User


async def answer(issuer: Issuer, request: Request) -> Active | Inactive:
    """What the caller may know of the token in parameter `token`.

    Raises:
        InvalidClient: the caller did not prove who it is.
        InvalidRequest: `token` is missing (RFC 7662 section 2.1).
    """
    now = issuer.begin()
    caller = await authenticate.client(issuer, request, now=now)
    introspection.check_caller(caller)
    token = parameters.required(request.parameters, "token", expected="the token to ask about")
    try:
        found, _ = issuer.access_tokens.open(token, now=now)
    except InvalidToken:
        return introspection.INACTIVE
    owner = await issuer.store.directory.client(found.client_id)
    person = await person_of(issuer, found) if introspection.is_of_parent(owner, caller) else None
    return introspection.decide(found, owner, caller, person)


async def person_of(issuer: Issuer, token: AccessToken) -> User | None:
    """Whose token it is: where it is of the realm above the caller's, only the person's roles below count."""
    return await issuer.store.directory.user(token.uid) if isinstance(token.uid, int) else None
