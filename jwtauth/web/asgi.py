"""Reading a machine's request and writing its answer, as thinly as ASGI allows."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Final, Literal
from urllib.parse import parse_qsl

import msgspec
from litestar.types import HTTPScope, Receive, Send

from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidRequest
from jwtauth.protocol import parameters
from jwtauth.protocol.parameters import Pairs, Parameters

MAX_PARAMETERS: Final = 64
"""Most parameters in one query or form; OAuth needs a dozen."""

FORM: Final = b"application/x-www-form-urlencoded"

WHOLE: Final = "jwtauth.whole"
"""The ASGI extension by which the server says that a request arrived as a whole: nothing has to be waited for."""

ENDLESS: Final = "jwtauth.endless"
"""The extension by which an answer says that it goes on until its reader leaves, and so must not hold up a stop."""

CONNECTIONS: Final = "jwtauth.connections"
"""The member of the server's state (ASGI's `state`) that says how many connections are open: it has a length."""

Headers = list[tuple[bytes, bytes]]
Handler = Callable[[HTTPScope, Receive, Send], Awaitable[None]]

NO_STORE: Final[Headers] = [
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""What every answer to a machine carries that must not be kept (RFC 6749 section 5.1, SECURITY H-03)."""

JSON: Final = (b"content-type", b"application/json")
PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")


class BadHttp(Exception):
    """The request cannot be read as HTTP means it; no OAuth error fits."""

    def __init__(self, status: Literal[400, 408, 413, 415], description: str, headers: Headers | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.headers = headers or []


async def read(
    scope: HTTPScope,
    receive: Receive,
    *,
    max_body: int,
    body_timeout: int,
    address: str = "",
    is_raw: bool = False,
) -> Request:
    """The request with its form and query; a raw body, of whatever type, is the parameter `token`.

    Raises:
        BadHttp: too long, too slow, or no form.
        InvalidRequest: a parameter is repeated or cannot be decoded.
    """
    authorization: tuple[str, ...] = ()
    content_type, length = b"", b"0"
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization += (value.decode("latin-1"),)
        elif name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            length = b"-1"
    body = b""
    if length != b"0":
        is_whole = WHOLE in (scope.get("extensions") or ())
        body = await _read_body(receive, length, is_whole=is_whole, max_body=max_body, body_timeout=body_timeout)
    if body and not is_raw and content_type.partition(b";")[0].strip().lower() != FORM:
        raise BadHttp(415, "Content-Type: expected application/x-www-form-urlencoded")
    return Request(
        parameters=_whole(body) if is_raw else _parameters(body, "body"),
        query=_parameters(scope["query_string"], "query"),
        authorization=authorization,
        address=address,
    )


async def read_pairs(scope: HTTPScope, receive: Receive, *, max_body: int, body_timeout: int) -> tuple[Pairs, Pairs]:
    """The query and the form of a page's request, parameters that were sent twice included.

    Raises:
        BadHttp: too long, too slow, or no form.
        InvalidRequest: a parameter cannot be decoded.
    """
    body = b""
    if scope["method"] == "POST":
        length = header(scope, b"content-length") or (b"-1" if header(scope, b"transfer-encoding") else b"0")
        body = await _read_body(receive, length, is_whole=False, max_body=max_body, body_timeout=body_timeout)
        content_type = header(scope, b"content-type") or b""
        if body and content_type.partition(b";")[0].strip().lower() != FORM:
            raise BadHttp(415, "Content-Type: expected application/x-www-form-urlencoded")
    return tuple(_pairs(scope["query_string"], "query")), tuple(_pairs(body, "body"))


def header(scope: HTTPScope, wanted: bytes) -> bytes | None:
    """The first header of that name, in lower case."""
    for name, value in scope["headers"]:
        if name == wanted:
            return value
    return None


async def write(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def write_json(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], answer: object) -> None:
    """Send an answer as JSON."""
    await write(send, status, [JSON, *headers], _ENCODER.encode(answer))


async def _read_body(receive: Receive, length: bytes, *, is_whole: bool, max_body: int, body_timeout: int) -> bytes:
    if len(length) > _LENGTH_DIGITS or not length.removeprefix(b"-").isdigit() or int(length) > max_body:
        raise BadHttp(413, f"body: at most {max_body} bytes are read", _CLOSE)
    if is_whole:
        return await _collect(receive, max_body=max_body)
    try:
        async with asyncio.timeout(body_timeout):
            return await _collect(receive, max_body=max_body)
    except TimeoutError:
        raise BadHttp(408, f"body: did not arrive within {body_timeout} seconds", _CLOSE) from None


async def _collect(receive: Receive, *, max_body: int) -> bytes:
    chunks = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadHttp(400, "the client went away")
        assert message["type"] == "http.request"
        if not chunks and not message.get("more_body") and len(message["body"]) <= max_body:
            return message["body"]
        chunks += message["body"]
        if len(chunks) > max_body:
            raise BadHttp(413, f"body: at most {max_body} bytes are read", _CLOSE)
        if not message.get("more_body"):
            return bytes(chunks)


def http_date(at: int) -> bytes:
    """An instant as HTTP writes it (RFC 9110 section 5.6.7)."""
    return formatdate(at, usegmt=True).encode()


def _whole(body: bytes) -> Parameters:
    try:
        return parameters.read([("token", body.decode().strip())])
    except UnicodeDecodeError:
        raise InvalidRequest("body: is not UTF-8") from None


def _parameters(encoded: bytes, where: str) -> Parameters:
    return parameters.read(_pairs(encoded, where)) if encoded else {}


def _pairs(encoded: bytes, where: str) -> list[tuple[str, str]]:
    if b"%" in encoded and _BROKEN_PERCENT.search(encoded):
        raise InvalidRequest(f"{where}: has a percent sign without two hexadecimal digits; encode it as %25")
    try:
        return pairs_of(encoded.decode("ascii"))
    except ValueError:
        raise InvalidRequest(f"{where}: is not form-encoded UTF-8 of at most {MAX_PARAMETERS} parameters") from None


def pairs_of(text: str) -> list[tuple[str, str]]:
    """The pairs of a form. Where nothing is encoded it is only cut apart, to the same effect for a fifth of the time.

    Raises:
        ValueError: it has too many pairs, or is not UTF-8.
    """
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    fields = text.split("&")
    if len(fields) > MAX_PARAMETERS:
        raise ValueError("too many pairs")
    return [(name, value) for name, _, value in (field.partition("=") for field in fields if field)]


_BROKEN_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_LENGTH_DIGITS: Final = 18
_CLOSE: Final[Headers] = [(b"connection", b"close")]
_ENCODER: Final = msgspec.json.Encoder()
