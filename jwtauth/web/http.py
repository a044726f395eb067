"""uvicorn's HTTP/1.1 with the bounds that it lacks: how many connections, how long a head, how long everything takes.

What is no request is refused here, as JSON like every other refusal, and no application sees it (SECURITY D-01, D-08,
H-13).
"""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from typing import Any, Final

import httptools
import msgspec
from msgspec import Struct
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from jwtauth.web import asgi, cork
from jwtauth.web.asgi import ENDLESS, JSON, NO_STORE, WHOLE, Headers
from jwtauth.web.connections import Connections
from jwtauth.web.cork import Cork
from jwtauth.web.errors import ErrorAnswer

MAX_HEAD: Final = 32_768
"""Longest request line and header fields together, in bytes; tokeninfo's query fits with its token of 16 kB. What
stands between and behind the pieces of a body may be as long."""

MAX_WAITING: Final = 32
"""Requests that one connection may send while an earlier one is being answered."""

HEAD_TIMEOUT: Final = 10
"""For how long a request's head may take to arrive, in seconds; then the connection is closed."""


class Refusal(Struct, frozen=True, kw_only=True):
    """An answer that no application makes; the connection is closed with it."""

    status: int
    code: str = "invalid_request"
    description: str
    headers: Headers = []

    def encode(self, always: Headers) -> bytes:
        """The bytes to send; `always` are the fields that every answer carries."""
        body = msgspec.json.encode(ErrorAnswer(self.code, self.description))
        ending = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        fields = [*always, JSON, *NO_STORE, *self.headers, *ending]
        return STATUS_LINE[self.status] + b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n" + body


MALFORMED: Final = Refusal(status=400, description="the request is malformed, or could be read in two ways")
UPGRADE_WITH_BODY: Final = Refusal(
    status=400, description="Upgrade: a request with a body must not ask for it, and nothing else is spoken here"
)
TOO_MANY: Final = Refusal(
    status=400, description=f"more than {MAX_WAITING} requests were sent without waiting for an answer"
)
TOO_SLOW: Final = Refusal(status=408, description=f"the request's head did not arrive within {HEAD_TIMEOUT} seconds")
TOO_LONG: Final = Refusal(status=431, description=f"the request's head is longer than {MAX_HEAD} bytes")
_FULL: Final = Refusal(
    status=503,
    code="temporarily_unavailable",
    description="too many connections are open; try again in a second",
    headers=[(b"retry-after", b"1")],
).encode([])


_BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
"""Fields that announce a body."""


class Http(HttpToolsProtocol):
    """Refuses surplus connections, heads that are too long or do not come, and what is no HTTP; ignores trailers."""

    _is_in_head = False
    _is_in_body = False
    _has_moved = False
    """Whether the data that came last began a message or held some of its body."""
    _unmoved = 0
    """Bytes that have come since then."""
    _timer: TimerHandle | None = None
    _reader_timer: TimerHandle | None = None
    _refusal: Refusal | None = None
    """What is answered next and last."""
    _cork: Cork

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        connections: Connections | None = None,
    ) -> None:
        """Prepare for one connection; without `connections` it is not counted."""
        super().__init__(config, server_state, app_state, _loop)
        self._connections = Connections() if connections is None else connections
        app_state[asgi.CONNECTIONS] = self._connections

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first head; or say at once that there are too many."""
        self.transport = self._cork = Cork(transport, self.loop)
        peer = get_remote_addr(transport)
        if not self._connections.admit(self, peer[0] if peer else "", now=self.loop.time()):
            self._turn_away()
            return
        super().connection_made(self._cork)
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._connections.leave(self)
        self._stop_waiting()
        self._reader_is_back()
        self._cork.lost()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client has said all it had to say; what was answered leaves before the connection closes."""
        self._cork.flush()
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Read what came; a head that comes in pieces is counted from the second piece on, and waited for so long."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._has_moved = False
        self._unset_keepalive_if_required()
        self._read(data)
        if self._refusal is not None or self.transport.is_closing():
            return
        self._unmoved += 0 if self._has_moved else len(data)
        if self._unmoved > MAX_HEAD and (self._is_in_head or self._is_in_body):
            self._refuse(TOO_LONG)
        elif self._timer is None and (self._is_in_head or self._is_idle()):
            # idle: stray bytes, or a body that nobody reads any more
            self._timer = self.loop.call_later(HEAD_TIMEOUT, self._give_up)

    def _read(self, data: bytes) -> None:
        """Let the parser read what came, and write no line of what is no request: anybody can send it (SECURITY D-06).

        At a wish to upgrade, which is not granted, the parser stops; what stands behind it is the next request.
        """
        while data and self._refusal is None:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as wish:
                data = data[wish.args[0] :]
            except httptools.HttpParserError:
                self._refuse(MALFORMED)  # unless it was refused already, and reading was only broken off
            else:
                return

    def on_message_begin(self) -> None:
        """A head begins."""
        self._connections.wake(self)
        self._stop_waiting()
        super().on_message_begin()
        self._is_in_head, self._has_moved, self._unmoved = True, True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; those behind the body are no headers: the answer may be on its way (RFC 9110 section 6.5.1)."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there.

        Raises:
            ValueError: it is too long, one too many, or has a body that would be misread; which breaks off reading.
        """
        self._stop_waiting()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._refuse(TOO_LONG)
            raise ValueError(TOO_LONG.description)
        if self.parser.should_upgrade() and any(name in _BODY and value != b"0" for name, value in self.headers):
            self._refuse(UPGRADE_WITH_BODY)  # the parser would take the body for the next request
            raise ValueError(UPGRADE_WITH_BODY.description)
        if len(self.pipeline) >= MAX_WAITING:
            self._refuse(TOO_MANY)
            raise ValueError(TOO_MANY.description)
        super().on_headers_complete()
        self._is_in_head, self._is_in_body, self._cork.is_unread = False, True, True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._has_moved, self._unmoved = True, 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there as a whole; mostly before the application looks at it."""
        self._is_in_body = self._cork.is_unread = False
        self.scope["extensions"] = _WHOLE
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """One answer is given; after the last one the connection is idle, or what followed is refused."""
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._refusal is not None:
            self._part(self._refusal)
        elif is_last:
            self._connections.rest(self, now=self.loop.time())

    def pause_writing(self) -> None:
        """The client does not take its answer: it may for a while."""
        super().pause_writing()
        self._reader_timer = self.loop.call_later(cork.TAKE_IN, self._cork.abort)

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._reader_is_back()
        super().resume_writing()

    def make_room(self) -> None:
        """Another connection is taken in the place of this one, which is idle."""
        self.transport.close()

    def shutdown(self) -> None:
        """The server stops: an answer that goes on until its reader leaves ends now, others are finished."""
        super().shutdown()
        if not self._is_idle() and ENDLESS in (self.scope.get("extensions") or ()):
            self.transport.close()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _turn_away(self) -> None:
        """Say that there are too many connections, and close; the request will mostly be on its way already."""
        self._cork.is_unread = self._connections.may_linger(self)
        self.transport.write(_FULL)
        self.transport.close()

    def _give_up(self) -> None:
        """Nothing came, or only a part of a head."""
        self._timer = None
        if self._is_in_head:
            self._refuse(TOO_SLOW)
        elif self._is_idle():
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer this instead of a request, once those before it are answered, and close; nothing more is read."""
        if self._refusal is not None:
            return
        self._refusal = refusal
        self._connections.refuse(refusal.status)
        self._stop_waiting()
        if self._is_in_body and self.pipeline:
            self.pipeline.popleft()  # the request itself: nothing has been done for it yet
        elif self._is_in_body and self.cycle.response_started:
            self.transport.close()
        elif self._is_in_body or self._is_idle():
            self._part(refusal)

    def _part(self, refusal: Refusal) -> None:
        self._cork.is_unread = True
        self.transport.write(refusal.encode(self.server_state.default_headers))
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _reader_is_back(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None


_WHOLE: Final[dict[str, dict[object, object]]] = {WHOLE: {}}
