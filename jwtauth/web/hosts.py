"""Under which names the service answers (SECURITY H-01, RFC 9110 section 7.4).

Nothing is ever made from a Host header. A page that another name was pointed at would still be read by scripts of that
name's pages (DNS rebinding), so a request for a foreign one is refused.
"""

from typing import Final
from urllib.parse import urlsplit

from jwtauth.observe.metrics import Endpoint
from jwtauth.settings import Settings
from jwtauth.web import health, reply
from jwtauth.web.asgi import Source
from jwtauth.web.errors import ErrorAnswer
from jwtauth.web.reply import Reply
from jwtauth.web.types import HTTPScope

_REFUSED: Final = reply.of_json(
    421,
    ErrorAnswer("invalid_request", "Host: this service has another name; see the setting allowed_hosts"),
    [],
)
"""421 Misdirected Request."""


class Names:
    """The names of one service."""

    def __init__(self, settings: Settings, *, counted: Endpoint) -> None:
        """Read the settings; requests for other names are counted where `counted` says."""
        self._names = known(settings)
        self._counted = counted

    def are_for(self, scope: HTTPScope) -> bool:
        """Whether a request is for one of them; HTTP/1.0 names none.

        What load balancers ask for they ask under whatever name.
        """
        for name, value in scope["headers"]:
            if name == b"host" and value not in self._names and value.lower() not in self._names:
                return scope["path"] in health.PROBES
        return True

    async def refuse(self, _: HTTPScope, __: Source) -> Reply:
        """The reply to a request for another."""
        self._counted.note(_REFUSED.status, 0.0)
        return _REFUSED


def known(settings: Settings) -> frozenset[bytes]:
    """The issuer's own name, those that the operator adds, and the address listened on, which proxies like to send."""
    parts = urlsplit(settings.issuer)
    addresses = (settings.host, "127.0.0.1", "localhost", "[::1]")
    listening = [*addresses, *(f"{name}:{settings.port}" for name in addresses)]
    default_port = {"https": 443, "http": 80}[parts.scheme]
    own = [parts.netloc, parts.netloc if parts.port else f"{parts.netloc}:{default_port}"]
    return frozenset(name.lower().encode() for name in (*own, *listening, *settings.allowed_hosts))
