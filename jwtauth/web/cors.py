"""Which scripts may call machines' endpoints from other origins: those of registered clients, never with cookies.

Fetch standard section 3.2, SECURITY H-02. Documents are for everybody, pages for nobody.
"""

from typing import Final

from jwtauth.issuer.issuer import Issuer
from jwtauth.web import asgi
from jwtauth.web.reply import Headers
from jwtauth.web.types import HTTPScope

MAX_AGE_IN: Final = 600
"""For how long a browser may remember the answer to a preflight, in seconds."""

_VARY: Final = (b"vary", b"origin")


async def headers(issuer: Issuer, scope: HTTPScope) -> Headers:
    """What an answer carries so that the script that asked may read it; nothing where no script asked.

    Raises:
        Overloaded: the database could not be read.
    """
    origin = asgi.header(scope, b"origin")
    if origin is None:
        return []
    issuer.begin()
    if not await issuer.store.directory.has_origin(origin.decode("latin-1")):
        return [_VARY]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", b"www-authenticate, retry-after, x-request-id"),
        _VARY,
    ]


def preflight(methods: tuple[str, ...]) -> Headers:
    """What the answer to a preflight says beside it; Swagger UI sends X-Requested-With."""
    return [
        (b"access-control-allow-methods", ", ".join(methods).encode("ascii")),
        (b"access-control-allow-headers", b"authorization, content-type, x-requested-with"),
        (b"access-control-max-age", b"%d" % MAX_AGE_IN),
    ]
