"""Token information for whoever holds the token: the form that Connexion's x-tokenInfoUrl reads."""

from jwtauth.endpoints.request import Request
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import bearer, tokeninfo
from jwtauth.protocol.tokeninfo import TokenInfo


async def answer(issuer: Issuer, request: Request) -> TokenInfo:
    """What the token in the Authorization header or in the query parameter `access_token` says.

    Raises:
        InvalidRequest: both were used, or neither (RFC 6750 section 3.1).
        InvalidToken: the token is not alive.
    """
    now = issuer.begin()
    token = bearer.one(request.authorization, request.query)
    found, _ = issuer.access_tokens.open(token, now=now)
    return tokeninfo.answer(found, now=now)
