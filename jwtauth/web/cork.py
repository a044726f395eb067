"""An answer leaves in one piece: uvicorn writes head and body apart, which costs two system calls and two wake-ups.

Measured with 32 connections on one core: see docs/decisions/0007-cork.md. And closing is bounded in time, whatever the
other side does.
"""

import asyncio
from typing import Any, Final

LINGER_IN: Final = 1
"""For how long a closing connection still takes, and forgets, what the other side sends, in seconds."""

TAKE_IN: Final = 30
"""For how long an answer waits for its reader to take it, in seconds; then the connection is cut."""


class Cork(asyncio.Transport):
    """A transport that hands on at the end of the event loop's turn what was written during it."""

    is_unread = False
    """Whether the other side has more to say. To close then would reset the connection, and an answer that is under way
    could be lost; so first only our direction is closed (RFC 9112 section 9.6)."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._is_leaving = False
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep until the turn ends."""
        if self._is_leaving:
            return
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(bytes(data))

    def write_now(self, data: bytes) -> None:
        """Hand on a whole answer, behind what waits."""
        if self._waiting:
            self.write(data)
            self.flush()
        elif not self._is_leaving:
            self._transport.write(data)

    def flush(self) -> None:
        """Hand on what waits."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Hand on what waits, then close; where the other side has more to say, after a moment."""
        if self._is_leaving:
            return
        self.flush()
        if not self.is_unread or self._transport.is_closing():
            self._close()
            return
        self._is_leaving = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._timer = self._loop.call_later(LINGER_IN, self._close)

    def abort(self) -> None:
        """Close at once."""
        self._waiting.clear()
        self._transport.abort()

    def lost(self) -> None:
        """The connection is closed; nothing has to be waited for any more."""
        if self._timer is not None:
            self._timer.cancel()

    def is_closing(self) -> bool:
        """Whether nothing is written or read any more."""
        return self._is_leaving or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport says."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Backpressure from the protocol."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Backpressure from the protocol."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As the transport does."""
        self._transport.set_protocol(protocol)

    def _close(self) -> None:
        """Close once everything is taken; who does not take it loses it."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._timer = self._loop.call_later(TAKE_IN, self._transport.abort)
