"""A machine's answer as it is decided, before it is known how it leaves: through ASGI, or as bytes onto the wire."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from jwtauth.web.types import Send

Headers = list[tuple[bytes, bytes]]

NO_STORE: Final[Headers] = [
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""What every answer to a machine carries that must not be kept (RFC 6749 section 5.1, SECURITY H-03)."""

JSON: Final = (b"content-type", b"application/json")
PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE: Final = (b"connection", b"close")

_BROKEN: Final = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
"""What would end a header field, or hide something in it (RFC 9110 section 5.5)."""

_NO_BODY: Final = frozenset({204, 304})
"""Statuses without a body, and so without a length (RFC 9110 section 8.6)."""


class Fields:
    """Header fields that many answers have in common: put into bytes once."""

    __slots__ = ("encoded", "pairs")

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """Take fields with names in lower case.

        Raises:
            ValueError: a value could be read as more than one field.
        """
        self.pairs = tuple(pairs)
        self.encoded = encode(pairs)


class Reply(Struct, frozen=True):
    """One answer."""

    status: int
    fields: Fields
    body: bytes = b""
    more: Headers = []
    """Header fields of this answer alone."""
    closes: bool = False
    """Whether the connection ends with it: not all of the request was read."""

    def on_the_wire(self, always: bytes, *, closes: bool, is_head: bool) -> bytes:
        """HTTP/1.1 (RFC 9112 section 4).

        Args:
            always: encoded fields that every answer carries.
            closes: whether the connection ends with it.
            is_head: whether HEAD asked, which gets no body.
        """
        return b"".join(
            (
                STATUS_LINES[self.status],
                always,
                self.fields.encoded,
                encode(self.more),
                b"connection: close\r\n" if closes else b"",
                b"\r\n" if self.status in _NO_BODY else b"content-length: %d\r\n\r\n" % len(self.body),
                b"" if is_head else self.body,
            )
        )

    async def send(self, send: Send) -> None:
        """ASGI's two messages."""
        headers = [*self.fields.pairs, *self.more]
        if self.closes:
            headers.append(_CLOSE)
        if self.status not in _NO_BODY:
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def of_json(status: int, answer: object, more: Headers, *, closes: bool = False) -> Reply:
    """An answer as JSON that is not kept."""
    return Reply(status, AS_JSON, _ENCODER.encode(answer), more, closes)


def encode(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Header fields as they are sent.

    Raises:
        ValueError: a value could be read as more than one field.
    """
    encoded = b""
    for name, value in fields:
        if _BROKEN.search(value):
            raise ValueError(f"header field {name.decode()}: not one line of text")
        encoded += b"%b: %b\r\n" % (name, value)
    return encoded


STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status} {status.phrase}\r\n".encode() for status in HTTPStatus}
_ENCODER: Final = msgspec.json.Encoder()

AS_JSON: Final = Fields([JSON, *NO_STORE])
AS_TEXT: Final = Fields([PLAIN, *NO_STORE])
EMPTY: Final = Fields(NO_STORE)
