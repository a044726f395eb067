"""Which status line and headers a refusal has: the only place that knows (RFC 6749 section 5.2, RFC 6750 section 3)."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from jwtauth.errors import (
    InsufficientScope,
    InvalidClient,
    InvalidToken,
    InvalidTokenRequest,
    MissingToken,
    OAuthError,
    Overloaded,
    TooManyAttempts,
)
from jwtauth.web.asgi import Headers

Statuses = Mapping[type[OAuthError], int]

STANDARD: Statuses = MappingProxyType(
    {
        InvalidClient: 401,
        InvalidToken: 401,
        InsufficientScope: 403,
        TooManyAttempts: 429,
        Overloaded: 503,
    }
)
"""Every other refusal is 400."""

SPRING: Statuses = MappingProxyType({**STANDARD, InvalidToken: 400})
"""Spring's check_token answers 400 for a token that is not alive."""


class ErrorAnswer(Struct, frozen=True):
    """RFC 6749 section 5.2."""

    error: str
    error_description: str


def status_of(error: OAuthError, statuses: Statuses) -> int:
    """The status of a refusal, by its class or the nearest class above it."""
    for kind in type(error).__mro__:
        if issubclass(kind, OAuthError) and kind in statuses:
            return statuses[kind]
    return 400


def headers_of(error: OAuthError, status: int) -> Headers:
    """What a refusal's status demands beside it."""
    match error:
        case InvalidClient(by_basic=True):
            return [(b"www-authenticate", b'Basic realm="jwtauth", charset="UTF-8"')]
        case MissingToken():
            return [(b"www-authenticate", b'Bearer realm="jwtauth"')]
        case InvalidTokenRequest():
            challenge = f'Bearer error="{error.code}", error_description="{error}"'
            return [(b"www-authenticate", challenge.encode("ascii"))]
        case InvalidToken() if status == 401:
            challenge = f'Bearer error="{error.code}", error_description="{error}"'
            return [(b"www-authenticate", challenge.encode("ascii"))]
        case InsufficientScope(scope=scope):
            challenge = f'Bearer error="{error.code}", error_description="{error}", scope="{scope}"'
            return [(b"www-authenticate", challenge.encode("ascii"))]
        case TooManyAttempts(retry_after_in=seconds) | Overloaded(retry_after_in=seconds):
            return [(b"retry-after", b"%d" % seconds)]
        case _:
            return []


def answer(error: OAuthError) -> ErrorAnswer:
    """The body of a refusal."""
    return ErrorAnswer(error.code, str(error))
