"""Where a bearer token stands in a request (RFC 6750 section 2)."""

from collections.abc import Sequence

from jwtauth.errors import InvalidRequest
from jwtauth.protocol import parameters
from jwtauth.protocol.parameters import Parameters


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
