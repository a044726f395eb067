"""uvicorn's HTTP/1.1 with the bounds that it lacks: how many connections, how long a head, how long everything takes.

What is no request is refused here, as JSON like every other refusal, and no application sees it (SECURITY D-01, D-08,
H-13). A machine's request that came whole is answered without ASGI (web/exchange.py).
"""

from asyncio import AbstractEventLoop, Future, TimerHandle, Transport
from functools import lru_cache
from typing import Any, Final

import httptools
from msgspec import Struct
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from jwtauth.observe.log import LOGGER
from jwtauth.web import asgi, cork, errors, reply
from jwtauth.web.asgi import ENDLESS
from jwtauth.web.connections import Connections
from jwtauth.web.cork import Cork
from jwtauth.web.errors import ErrorAnswer
from jwtauth.web.exchange import Exchange
from jwtauth.web.reply import Headers, Reply

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
        answer = reply.of_json(self.status, ErrorAnswer(self.code, self.description), self.headers)
        return answer.on_the_wire(_encoded(tuple(always)), closes=True, is_head=False)


@lru_cache(maxsize=1)
def _encoded(fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """What every answer carries, as bytes: the date, which is another one once a second."""
    return reply.encode(fields)


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
    _came = 0
    """Bytes that came last."""
    _is_new = False
    """Whether the message began in them."""
    _timer: TimerHandle | None = None
    _reader_timer: TimerHandle | None = None
    _refusal: Refusal | None = None
    """What is answered next and last."""
    _cork: Cork
    _is_last = False
    """Whether the server stops, and the answer to a request now is the last one."""
    _rested_at = 0.0
    """When the connection became idle last."""
    _unheard: Future[None] | None = None
    """Where the client left before its answer: among the tasks that a server which stops waits for."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        connections: Connections | None = None,
        leave_in: float = 0.0,
    ) -> None:
        """Prepare for one connection.

        Args:
            config: uvicorn's.
            server_state: uvicorn's.
            app_state: of the application.
            _loop: which event loop, if not the running one.
            connections: where it is counted; nowhere if None.
            leave_in: when the server stops, an idle connection stays for so many seconds, for one more request.
        """
        super().__init__(config, server_state, app_state, _loop)
        self._connections = Connections() if connections is None else connections
        self._exchange = Exchange(self.app, self) if hasattr(self.app, "repliers") else None
        self._leave_in = leave_in
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
        self._unset_keepalive_if_required()  # uvicorn leaves it where the connection was reset
        if self._exchange is not None and not self._exchange.response_complete:
            self._unheard = self.loop.create_future()
            self.tasks.add(self._unheard)  # type: ignore[arg-type]  # as much of one as is asked for
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client has said all it had to say; what was answered leaves before the connection closes."""
        self._cork.flush()
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Read what came; a head that comes in pieces is counted from the second piece on, and waited for so long."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._has_moved, self._is_new, self._came = False, False, len(data)
        self._read(data)
        if self._exchange is not None and self._exchange.is_pending:
            self._hand_over()
        if self._refusal is not None:
            return  # type: ignore[unreachable]  # reading sets it
        self._unmoved += 0 if self._has_moved else len(data)
        if self._unmoved > MAX_HEAD and (self._is_in_head or self._is_in_body):
            self._refuse(TOO_LONG)
        elif self._timer is None and (self._is_in_head or self._is_disturbed()):
            self._timer = self.loop.call_later(HEAD_TIMEOUT, self._give_up)

    def _is_disturbed(self) -> bool:
        """Whether there are stray bytes while nothing is asked, or a body that nobody reads any more."""
        return self._is_idle() and (self._is_in_body or not self._has_moved)

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
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._is_in_head, self._is_new, self._has_moved, self._unmoved = True, True, True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; those behind the body are no headers: the answer may be on its way (RFC 9110 section 6.5.1)."""
        if self._is_in_head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there.

        Raises:
            ValueError: it is too long, one too many, or has a body that would be misread; which breaks off reading.
        """
        self._stop_waiting()
        if not (self._is_new and self._came <= MAX_HEAD) and self._length_of_head() > MAX_HEAD:
            self._refuse(TOO_LONG)
            raise ValueError(TOO_LONG.description)
        is_upgrade = self.parser.should_upgrade()
        if is_upgrade and any(name in _BODY and value != b"0" for name, value in self.headers):
            self._refuse(UPGRADE_WITH_BODY)  # the parser would take the body for the next request
            raise ValueError(UPGRADE_WITH_BODY.description)
        if len(self.pipeline) >= MAX_WAITING:
            self._refuse(TOO_MANY)
            raise ValueError(TOO_MANY.description)
        if is_upgrade or not self._is_taken_directly():
            self._begin()
        self._is_in_head, self._is_in_body, self._cork.is_unread = False, True, True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._has_moved, self._unmoved = True, 0
        if self._exchange is not None and self._exchange.is_pending:
            self._exchange.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there as a whole; mostly before the application looks at it."""
        self._is_in_body = self._cork.is_unread = False
        if self._exchange is not None and self._exchange.is_pending:
            self._exchange.complete()
            self.cycle = self._exchange  # type: ignore[assignment]  # as much of one as is asked for
        else:
            super().on_message_complete()

    def deliver(self, answer: Reply, *, is_head: bool) -> None:
        """Send the answer to what was asked directly."""
        assert self._exchange is not None
        if self._unheard is not None:
            self.tasks.discard(self._unheard)
        closes = answer.closes or not self._exchange.keep_alive
        if not self.transport.is_closing():
            always = _encoded(tuple(self.server_state.default_headers))
            try:
                encoded = answer.on_the_wire(always, closes=closes, is_head=is_head)
            except ValueError:
                LOGGER.exception("an answer cannot be sent")
                failed = reply.of_json(500, errors.FAILED, [])
                encoded = failed.on_the_wire(always, closes=closes, is_head=is_head)
            self._cork.write_now(encoded)
            if closes:
                self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """One answer is given: the next request is looked at, or what followed is refused, or the connection is idle.

        As uvicorn does, but for the timer of idle connections, which it makes anew for every request.
        """
        self.server_state.total_requests += 1
        if self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._part(self._refusal)
        elif not self.transport.is_closing():
            self.flow.resume_reading()
            self._rest()

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
        """The server stops: an answer that goes on until its reader leaves ends now, others are finished.

        Where somebody else takes new connections, an idle one first gives what is on its way a moment to arrive.
        """
        self._is_last = True
        if self._is_idle():
            self.loop.call_later(self._leave_in, self._leave)
            return
        self.cycle.keep_alive = False
        is_direct = self._exchange is not None and not self._exchange.response_complete
        if not is_direct and ENDLESS in (self.scope.get("extensions") or ()):
            self.transport.close()

    def _leave(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _length_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _is_taken_directly(self) -> bool:
        """Whether the exchange takes the request: only one that stands alone, and whose answer can leave at once."""
        return (
            self._exchange is not None
            and self._is_idle()
            and not self._is_last
            and not self.expect_100_continue
            and not self.flow.write_paused
            and self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
            and self._exchange.begin(self.parser.get_method(), self.url, self.headers, self.client)
        )

    def _hand_over(self) -> None:
        """Not all of it came at once: to wait for the rest, with its bounds, is what the application can do."""
        assert self._exchange is not None
        body = self._exchange.withdraw()
        self._begin()
        if body:
            super().on_body(body)

    def _begin(self) -> None:
        """Hand the request to the application, as ASGI has it."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        if self._is_last:
            self.cycle.keep_alive = False

    def _rest(self) -> None:
        """Nothing is asked: close the connection once that has been so for a while."""
        self._rested_at = self.loop.time()
        self._connections.rest(self, now=self._rested_at)
        if self.timeout_keep_alive_task is None:
            self._watch(self.timeout_keep_alive)

    def _watch(self, within: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(within, self._end_rest)

    def _end_rest(self) -> None:
        """Close, unless something was asked meanwhile."""
        self.timeout_keep_alive_task = None
        if not self._is_idle() or self._is_in_head:
            return  # the next rest is watched
        left = self._rested_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._watch(left)
        else:
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
        if self._exchange is not None and self._exchange.is_pending:
            self._exchange.withdraw()  # nothing has been done for it yet
            self._part(refusal)
        elif self._is_in_body and self.pipeline:
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
