"""Noting a request at the door: where it comes from, and the id that its log lines and its answer share."""

import re
from typing import Final

from jwtauth.issuer.issuer import Issuer
from jwtauth.observe import arrival
from jwtauth.observe.arrival import Arrival
from jwtauth.web import asgi
from jwtauth.web.addresses import Addresses
from jwtauth.web.types import HTTPScope, Message, Send

HEADER: Final = b"x-request-id"

_USABLE: Final = re.compile(arrival.REQUEST_ID.encode())
"""What a proxy may call a request."""


class Arrivals:
    """Notes the requests of one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._random_name = issuer.random_name
        self._addresses = Addresses(issuer.settings)

    def note(self, scope: HTTPScope) -> Arrival:
        """Begin to work for a request. A trusted proxy may have given it an id; anybody else's is not heeded."""
        noted = Arrival(self._sent_id(scope) or self._new_id(), self._addresses.of(scope))
        arrival.begin(noted)
        return noted

    def _new_id(self) -> str:
        """A random name that nobody takes for an option where it stands in a command: it begins with no dash."""
        name = self._random_name()
        while name[0] in "-_":
            name = self._random_name()
        return name

    def _sent_id(self, scope: HTTPScope) -> str | None:
        if not self._addresses.is_from_proxy(scope):
            return None
        sent = asgi.header(scope, HEADER)
        return sent.decode() if sent is not None and _USABLE.fullmatch(sent) else None


def named(send: Send, noted: Arrival) -> Send:
    """`send` whose answer names its request."""

    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (HEADER, noted.request_id.encode())]
        await send(message)

    return send_named
