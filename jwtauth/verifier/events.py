"""Hearing at once that a status list changed: the issuer's server-sent events (WHATWG HTML section 9.2).

Polling goes on beside it, so whatever is lost here is only later, never missed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from jwtauth.verifier import fetch, locations
from jwtauth.verifier.unavailable import RETRY_IN

SILENCE_IN: Final = 60
"""A stream that brings nothing, not even a heartbeat, for so many seconds is given up."""

LONGEST_RETRY_IN: Final = 60
"""The pause before connecting again doubles up to so many seconds."""

MAX_LINE: Final = 8192
"""Longest line that is read, in bytes."""

_HEADERS: Final = {"accept": "text/event-stream", "cache-control": "no-store"}
_LOGGER: Final = logging.getLogger(__name__)


class Changed(Struct, frozen=True):
    """The data of a `changed` event."""

    uri: str


async def follow(http: httpx.AsyncClient, issuer: str, *, announce: Callable[[str | None], None]) -> None:
    """Announce every list that changes, and None, any of them, whenever a stream begins; never end."""
    retry_in = RETRY_IN
    while True:
        try:
            async for uri in _stream(http, locations.events_uri(issuer)):
                retry_in = RETRY_IN
                announce(uri)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            _LOGGER.info("no events from %s, polling goes on: %s", issuer, problem)
        await asyncio.sleep(retry_in)
        retry_in = min(2 * retry_in, LONGEST_RETRY_IN)


async def _stream(http: httpx.AsyncClient, uri: str) -> AsyncIterator[str | None]:
    timeout = httpx.Timeout(fetch.TIMEOUT_IN, read=SILENCE_IN)
    async with http.stream("GET", uri, headers=_HEADERS, timeout=timeout) as response:
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != httpx.codes.OK or content_type != "text/event-stream":
            raise ValueError(f"{uri} answered {response.status_code} with {content_type[:40]!r}")
        yield None  # what changed before was not announced to us
        async for changed in read(response.aiter_raw()):
            yield changed


async def read(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The URIs in the `changed` events of a stream.

    Raises:
        ValueError: a line is too long.
    """
    name, data = "", b""
    async for line in _lines(chunks):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"event":
                name = value.decode("utf-8", "replace")
            case b"data":
                data += value + b"\n"
            case b"" if not line:
                if name == "changed" and (uri := _uri(data)):
                    yield uri
                name, data = "", b""
        if len(data) > MAX_LINE:
            raise ValueError(f"an event is longer than {MAX_LINE} bytes")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
        if len(rest) > MAX_LINE:
            raise ValueError(f"a line is longer than {MAX_LINE} bytes")


def _uri(data: bytes) -> str | None:
    try:
        return _DECODER.decode(data).uri
    except (msgspec.MsgspecError, RecursionError):
        return None


_DECODER: Final = msgspec.json.Decoder(Changed)
