"""Under which names the service answers (SECURITY H-01, RFC 9110 section 7.4).

Nothing is ever made from a Host header. A page that another name was pointed at would still be read by scripts of that
name's pages (DNS rebinding), so a request for a foreign one is refused.
"""

from typing import Final
from urllib.parse import urlsplit

from litestar.types import HTTPScope, Send

from jwtauth.settings import Settings
from jwtauth.web import asgi
from jwtauth.web.asgi import NO_STORE
from jwtauth.web.errors import ErrorAnswer

_PROBES: Final = frozenset({"/healthz", "/readyz"})
"""What load balancers ask for under whatever name."""


def known(settings: Settings) -> frozenset[bytes]:
    """The issuer's own name, those that the operator adds, and the address listened on, which proxies like to send."""
    parts = urlsplit(settings.issuer)
    addresses = (settings.host, "127.0.0.1", "localhost", "[::1]")
    listening = [*addresses, *(f"{name}:{settings.port}" for name in addresses)]
    default_port = {"https": 443, "http": 80}[parts.scheme]
    own = [parts.netloc, parts.netloc if parts.port else f"{parts.netloc}:{default_port}"]
    return frozenset(name.lower().encode() for name in (*own, *listening, *settings.allowed_hosts))


def is_known(scope: HTTPScope, names: frozenset[bytes]) -> bool:
    """Whether a request is for one of these names; HTTP/1.0 names none."""
    for name, value in scope["headers"]:
        if name == b"host" and value not in names and value.lower() not in names:
            return scope["path"] in _PROBES
    return True


async def refuse(send: Send) -> None:
    """421 Misdirected Request."""
    answer = ErrorAnswer("invalid_request", "Host: this service has another name; see the setting allowed_hosts")
    await asgi.write_json(send, 421, NO_STORE, answer)
