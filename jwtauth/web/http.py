"""uvicorn's HTTP/1.1 with the bounds that it lacks: how long a request's head may be, and how long it may take."""

from asyncio import TimerHandle, Transport
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jwtauth.web.asgi import ENDLESS, WHOLE
from jwtauth.web.cork import Cork

MAX_HEAD: Final = 32_768
"""Longest request line and header fields together, in bytes; tokeninfo's query fits with its token of 16 kB."""

HEAD_TIMEOUT: Final = 10
"""For how long a request's head may take to arrive, in seconds; then the connection is closed."""


class Http(HttpToolsProtocol):
    """Refuses a head that is too long, closes a connection whose head does not come, ignores trailers."""

    _is_in_head = False
    _head = 0
    _timer: TimerHandle | None = None
    _cork: Cork

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        self._cork = Cork(transport, self.loop)
        super().connection_made(self._cork)
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client has said all it had to say; what was answered leaves before the connection closes."""
        self._cork.flush()
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Read what came; a head that comes in pieces is counted from the second piece on, and waited for so long."""
        begun = self.scope
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._is_in_head:
            if self._is_idle() and self._timer is None:  # stray bytes, or a body that nobody reads any more
                self._timer = self.loop.call_later(HEAD_TIMEOUT, self._give_up)
            return
        if self.scope is begun:
            self._head += len(data)
        if self._head > MAX_HEAD:
            self.send_400_response("The request's head is too long.")
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT, self._give_up)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._is_in_head, self._head = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; those behind the body are no headers: the answer may be on its way (RFC 9110 section 6.5.1)."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there.

        Raises:
            ValueError: it is too long; uvicorn answers 400 and closes.
        """
        self._stop_waiting()
        self._is_in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            raise ValueError("the request's head is too long")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there as a whole; mostly before the application looks at it."""
        self.scope["extensions"] = _WHOLE
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server stops: an answer that goes on until its reader leaves ends now, others are finished."""
        super().shutdown()
        if not self._is_idle() and ENDLESS in (self.scope.get("extensions") or ()):
            self.transport.close()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _give_up(self) -> None:
        """Close; but an answer that is being made for an earlier request is finished first."""
        if self._is_idle():
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_WHOLE: Final[dict[str, dict[object, object]]] = {WHOLE: {}}
