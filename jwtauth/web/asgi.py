"""Reading a request: its form, its query and the header fields that matter to machines' endpoints."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidRequest
from jwtauth.protocol import parameters
from jwtauth.protocol.parameters import Pairs, Parameters
from jwtauth.web.reply import Reply
from jwtauth.web.types import HTTPScope, Receive, Send

MAX_PARAMETERS: Final = 64
"""Most parameters in one query or form; OAuth needs a dozen."""

FORM: Final = b"application/x-www-form-urlencoded"

ENDLESS: Final = "jwtauth.endless"
"""The extension by which an answer says that it goes on until its reader leaves, and so must not hold up a stop."""

CONNECTIONS: Final = "jwtauth.connections"
"""The member of the server's state (ASGI's `state`) that says how many connections are open: it has a length."""

Handler = Callable[[HTTPScope, Receive, Send], Awaitable[None]]

Source = Receive | bytes
"""Where a request's body comes from: the body itself, where it had arrived when the request was looked at."""

Replier = Callable[[HTTPScope, Source], Coroutine[Any, Any, Reply]]
"""What answers a machine's request, whichever way the answer leaves."""


class BadHttp(Exception):
    """The request cannot be read as HTTP means it; no OAuth error fits."""

    def __init__(self, status: Literal[400, 408, 413, 415], description: str, *, closes: bool = False) -> None:
        """Say what is wrong; `closes` where the connection cannot be used any more, as a body stays unread."""
        super().__init__(description)
        self.status = status
        self.closes = closes


async def read(
    scope: HTTPScope,
    source: Source,
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
    if isinstance(source, bytes):
        body = source
        _require_short(len(body), max_body)
    elif length != b"0":
        body = await _read_body(source, length, max_body=max_body, body_timeout=body_timeout)
    if body and not is_raw:
        _require_form(content_type)
    query = scope["query_string"]
    return Request(
        parameters=_whole(body) if is_raw else _parameters(body, "body"),
        query=_parameters(query, "query") if query else {},
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
        body = await _read_body(receive, length, max_body=max_body, body_timeout=body_timeout)
        if body:
            _require_form(header(scope, b"content-type") or b"")
    return tuple(_pairs(scope["query_string"], "query")), tuple(_pairs(body, "body"))


def header(scope: HTTPScope, wanted: bytes) -> bytes | None:
    """The first header of that name, in lower case."""
    for name, value in scope["headers"]:
        if name == wanted:
            return value
    return None


async def _read_body(receive: Receive, length: bytes, *, max_body: int, body_timeout: int) -> bytes:
    is_number = len(length) <= _LENGTH_DIGITS and length.removeprefix(b"-").isdigit()
    _require_short(int(length) if is_number else max_body + 1, max_body)
    try:
        async with asyncio.timeout(body_timeout):
            return await _collect(receive, max_body=max_body)
    except TimeoutError:
        raise BadHttp(408, f"body: did not arrive within {body_timeout} seconds", closes=True) from None


async def _collect(receive: Receive, *, max_body: int) -> bytes:
    chunks = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadHttp(400, "the client went away")
        assert message["type"] == "http.request"
        if not chunks and not message.get("more_body") and len(message["body"]) <= max_body:
            body: bytes = message["body"]
            return body
        chunks += message["body"]
        _require_short(len(chunks), max_body)
        if not message.get("more_body"):
            return bytes(chunks)


def _require_form(content_type: bytes) -> None:
    if content_type != FORM and content_type.partition(b";")[0].strip().lower() != FORM:
        raise BadHttp(415, "Content-Type: expected application/x-www-form-urlencoded")


def _require_short(length: int, max_body: int) -> None:
    if length > max_body:
        raise BadHttp(413, f"body: at most {max_body} bytes are read", closes=True)


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
