"""Where a bearer token stands in a request (RFC 6750 section 2)."""

import re
from collections.abc import Sequence
from typing import Final

from jwtauth.errors import InvalidRequest, InvalidTokenRequest, MissingToken
from jwtauth.protocol import parameters
from jwtauth.protocol.parameters import Parameters

_BEARER: Final = re.compile(r"bearer +[^ ]", re.IGNORECASE | re.ASCII)


def in_header(authorization: Sequence[str]) -> str | None:
    """The access token in the Authorization header, if there is one (RFC 6750 section 2.1)."""
    tokens = [header.partition(" ")[2].strip() for header in authorization if _BEARER.match(header)]
    return tokens[0] if len(tokens) == 1 else None


def one(authorization: Sequence[str], other: Parameters) -> str:
    """The one access token that a request carries, in its Authorization header or as `access_token`.

    Raises:
        InvalidRequest: there is none, or more than one (RFC 6750 section 3.1).
    """
    sent = parameters.one(other, "access_token")
    if len(authorization) + (sent is not None) > 1:
        raise InvalidRequest("access_token: was sent more than once; send one token in one place")
    if sent is not None:
        return sent
    if not authorization:
        raise InvalidRequest("access_token: is missing; send it in the Authorization header or as a parameter")
    scheme, _, token = authorization[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidRequest("Authorization: expected the Bearer scheme and a token")
    return token.strip()


def presented(authorization: Sequence[str], form: Parameters, query: Parameters) -> str:
    """The access token of a request to a protected resource: in the header, or in the form of a POST.

    Raises:
        MissingToken: there is none; the challenge then carries no error code (RFC 6750 section 3.1).
        InvalidTokenRequest: it was sent twice, or in the query, where every log on the way would keep it.
    """
    if parameters.one(query, "access_token") is not None:
        raise InvalidTokenRequest("access_token: was sent in the query; send it in the Authorization header")
    bearers = [header for header in authorization if _BEARER.match(header)]
    if not bearers and parameters.one(form, "access_token") is None:
        raise MissingToken("access_token: is missing; send it in the Authorization header")
    try:
        return one(authorization, form)
    except InvalidRequest as problem:
        raise InvalidTokenRequest(str(problem)) from None
