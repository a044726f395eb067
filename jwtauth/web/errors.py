"""Which status line and headers a refusal has: the only place that knows (RFC 6749 section 5.2, RFC 6750 section 3)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from jwtauth.errors import (
    InsufficientScope,
    InvalidClient,
    InvalidToken,
    InvalidTokenRequest,
    MissingToken,
    OAuthError,
    Overloaded,
    SwitchedOff,
    TooManyAttempts,
    WrongMethod,
)
from jwtauth.web import asgi, reply
from jwtauth.web.reply import Headers, Reply

STATUSES: Mapping[type[OAuthError], int] = MappingProxyType(
    {
        WrongMethod: 405,
        SwitchedOff: 410,
        InvalidClient: 401,
        InvalidToken: 401,
        InsufficientScope: 403,
        TooManyAttempts: 429,
        Overloaded: 503,
    }
)
"""Every other refusal is 400."""


class ErrorAnswer(Struct, frozen=True):
    """RFC 6749 section 5.2."""

    error: str
    error_description: str


FAILED: Final = ErrorAnswer("server_error", "the server failed; nothing more is known to you, its log says more")
"""What is said of what ought not to happen."""


def status_of(error: OAuthError) -> int:
    """The status of a refusal, by its class or the nearest class above it."""
    for kind in type(error).__mro__:
        if issubclass(kind, OAuthError) and kind in STATUSES:
            return STATUSES[kind]
    return 400


def headers_of(error: OAuthError) -> Headers:
    """What a refusal's status demands beside it."""
    match error:
        case WrongMethod(allowed=allowed):
            return [(b"allow", ", ".join(allowed).encode())]
        case SwitchedOff(sunset_at=instant):
            return [(b"sunset", asgi.http_date(instant))]
        case InvalidClient(by_basic=True):
            return [(b"www-authenticate", b'Basic realm="jwtauth", charset="UTF-8"')]
        case MissingToken():
            return [(b"www-authenticate", b'Bearer realm="jwtauth"')]
        case InvalidTokenRequest() | InvalidToken():
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


def refusal(error: OAuthError, more: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    """The whole reply of a refusal; `more` are header fields that every reply of its endpoint has."""
    return reply.of_json(status_of(error), answer(error), [*more, *headers_of(error)])
