"""Fetching an issuer's keys: bounded in time and size, no redirects (RFC 8414 section 3, RFC 7517 section 5).

Time is bounded as a whole, not only between two bytes; that is what asyncio does and a plain socket timeout does not.
"""

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from jwtauth.keyring.jws import VerifyingKey
from jwtauth.verifier import jwks, locations

TIMEOUT_IN: Final = 5
"""How long one document may take from name lookup to last byte, in seconds."""

MAX_LENGTH: Final = 1 << 20
"""Longest document that is read, in bytes."""

RETRY_IN: Final = 5
"""After a failed fetch none is tried for so long, in seconds."""

_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "jwtauth-verifier"}


class KeysUnavailable(Exception):
    """The issuer's keys cannot be had, so nothing is known about the token: answer 503, never 401."""

    retry_after_in: int = RETRY_IN
    """The earliest instant that a retry makes sense, in seconds from now."""


class Published(Struct, frozen=True, kw_only=True):
    """An issuer's keys as they were just fetched."""

    keys: dict[str, VerifyingKey]
    lifetime_in: int


class Metadata(Struct, frozen=True):
    """The members of an issuer's metadata that decide anything here (RFC 8414 section 2)."""

    issuer: str
    jwks_uri: str


async def published_keys(issuer: str, *, jwks_uri: str | None) -> Published:
    """The keys that the issuer publishes now, found through its metadata unless their location is given.

    Raises:
        KeysUnavailable: a document cannot be had, is too long, or says something else than it must.
    """
    try:
        async with _client(issuer) as client:
            response, body = await _get(client, jwks_uri or await _discover(client, issuer))
        cache_control, age = response.headers.get("cache-control", ""), response.headers.get("age", "")
        return Published(keys=jwks.read(body), lifetime_in=jwks.lifetime_in(cache_control, age=age))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
        reason = str(problem) or type(problem).__name__
        raise KeysUnavailable(f"the keys of {issuer} cannot be had: {reason}") from problem


def _client(issuer: str) -> httpx.AsyncClient:
    """A client for one fetch. Plain http is for loopback only, so it must not leave through a configured proxy."""
    is_remote = urlsplit(issuer).scheme == "https"
    return httpx.AsyncClient(timeout=TIMEOUT_IN, follow_redirects=False, trust_env=is_remote, headers=_HEADERS)


async def _discover(client: httpx.AsyncClient, issuer: str) -> str:
    """Where the keys are; asked at every fetch, so that a move is noticed.

    Raises:
        ValueError: the metadata is of another issuer (RFC 8414 section 3.3) or names no acceptable location.
    """
    uri = locations.metadata_uri(issuer)
    _, body = await _get(client, uri)
    try:
        metadata = _METADATA.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError(f"{uri} is no metadata with issuer and jwks_uri") from None
    if metadata.issuer != issuer:
        raise ValueError(f"{uri} names another issuer; give the issuer exactly as it names itself")
    locations.require_jwks_uri(metadata.jwks_uri, issuer=issuer)
    return metadata.jwks_uri


async def _get(client: httpx.AsyncClient, uri: str) -> tuple[httpx.Response, bytes]:
    try:
        async with asyncio.timeout(TIMEOUT_IN), client.stream("GET", uri) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"{uri} answered {response.status_code}")
            return response, await _read(response)
    except TimeoutError:
        raise ValueError(f"{uri} took longer than {TIMEOUT_IN} seconds") from None


async def _read(response: httpx.Response) -> bytes:
    """The body as sent: whatever is compressed against our wish is no JSON, and cannot swell in memory."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_LENGTH:
            raise ValueError(f"{response.url} is longer than {MAX_LENGTH} bytes")
    return bytes(body)


_METADATA: Final = msgspec.json.Decoder(Metadata)
