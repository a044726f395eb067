"""Userinfo: claims about the person who signed in, for the client that holds the token (OpenID Connect Core 5.3)."""

from typing import Any

from msgspec import UNSET

from jwtauth.endpoints.request import Request
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import bearer, userinfo


async def answer(issuer: Issuer, request: Request) -> dict[str, Any]:
    """The claims that the access token is good for.

    Raises:
        InvalidRequest: the token was sent twice, or in the query.
        InvalidToken: there is none, or it is not alive, or for another resource.
        InsufficientScope: it was not issued for OpenID Connect.
    """
    now = issuer.begin()
    token = bearer.presented(request.authorization, request.parameters, request.query)
    found, _ = issuer.access_tokens.open(token, now=now)
    client = await issuer.store.directory.client(found.client_id)
    user = await issuer.store.directory.user(found.uid) if found.uid is not UNSET else None
    return userinfo.decide(found, client, user)
