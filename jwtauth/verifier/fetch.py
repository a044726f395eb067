"""Fetching an issuer's documents: bounded in time and size, no redirects (RFC 8414 section 3, RFC 7517 section 5).

Time is bounded as a whole, not only between two bytes; that is what asyncio does and a plain socket timeout does not.
"""

import asyncio
import ssl
import zlib
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from jwtauth.keyring.jws import VerifyingKey
from jwtauth.verifier import jwks, locations
from jwtauth.verifier.unavailable import KeysUnavailable, StatusUnavailable

TIMEOUT_IN: Final = 5
"""How long one document may take from name lookup to last byte, in seconds."""

MAX_LENGTH: Final = 1 << 20
"""Longest document that is read, in bytes, also after it was unpacked."""

_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "jwtauth-verifier"}
_GZIP: Final = 16 + zlib.MAX_WBITS


class Published(Struct, frozen=True, kw_only=True):
    """An issuer's keys as they were just fetched."""

    keys: dict[str, VerifyingKey]
    lifetime_in: int


class Metadata(Struct, frozen=True):
    """The members of an issuer's metadata that decide anything here (RFC 8414 section 2)."""

    issuer: str
    jwks_uri: str


class ListDocument(Struct, frozen=True, kw_only=True):
    """A status list as it was just fetched, nothing of it believed yet."""

    body: bytes
    etag: str


class Unchanged(Struct, frozen=True):
    """The list that we hold is still the present one (RFC 9110 section 15.4.5)."""


class Missing(Struct, frozen=True):
    """There is no such list: the issuer has forgotten the tokens that name it."""


Fetched = ListDocument | Unchanged | Missing


def client(issuer: str) -> httpx.AsyncClient:
    """A client for one issuer. Plain http is for loopback only, so it must not leave through a configured proxy."""
    is_remote = urlsplit(issuer).scheme == "https"
    return httpx.AsyncClient(
        timeout=TIMEOUT_IN, follow_redirects=False, trust_env=is_remote, headers=_HEADERS, verify=_trust()
    )


async def published_keys(issuer: str, *, jwks_uri: str | None) -> Published:
    """The keys that the issuer publishes now, found through its metadata unless their location is given.

    Raises:
        KeysUnavailable: a document cannot be had, is too long, or says something else than it must.
    """
    try:
        async with client(issuer) as http:
            response, body = await _get(http, jwks_uri or await _discover(http, issuer))
        cache_control, age = response.headers.get("cache-control", ""), response.headers.get("age", "")
        return Published(keys=jwks.read(body), lifetime_in=jwks.lifetime_in(cache_control, age=age))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
        raise KeysUnavailable(f"the keys of {issuer} cannot be had: {_reason(problem)}") from problem


async def status_list(http: httpx.AsyncClient, uri: str, *, etag: str) -> Fetched:
    """The status list at a URI, if it is another than the one with this ETag (empty: any).

    Raises:
        StatusUnavailable: it cannot be had, or is too long.
    """
    headers = {"accept": "application/statuslist+jwt", "accept-encoding": "gzip"}
    if etag:
        headers["if-none-match"] = etag
    try:
        response, body = await _ask(http, uri, headers)
        match response.status_code:
            case httpx.codes.OK:
                return ListDocument(body=_unpack(response, body), etag=response.headers.get("etag", ""))
            case httpx.codes.NOT_MODIFIED:
                return Unchanged()
            case httpx.codes.NOT_FOUND:
                return Missing()
            case other:
                raise ValueError(f"{uri} answered {other}")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
        raise StatusUnavailable(f"the status list {uri} cannot be had: {_reason(problem)}") from problem


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """Whom we trust; reading all authorities costs more than a fetch does."""
    return httpx.create_ssl_context()


async def _discover(http: httpx.AsyncClient, issuer: str) -> str:
    """Where the keys are; asked at every fetch, so that a move is noticed.

    Raises:
        ValueError: the metadata is of another issuer (RFC 8414 section 3.3) or names no acceptable location.
    """
    uri = locations.metadata_uri(issuer)
    _, body = await _get(http, uri)
    try:
        metadata = _METADATA.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError(f"{uri} is no metadata with issuer and jwks_uri") from None
    if metadata.issuer != issuer:
        raise ValueError(f"{uri} names another issuer; give the issuer exactly as it names itself")
    locations.require_jwks_uri(metadata.jwks_uri, issuer=issuer)
    return metadata.jwks_uri


async def _get(http: httpx.AsyncClient, uri: str) -> tuple[httpx.Response, bytes]:
    response, body = await _ask(http, uri, {"accept": "application/json"})
    if response.status_code != httpx.codes.OK:
        raise ValueError(f"{uri} answered {response.status_code}")
    return response, body


async def _ask(http: httpx.AsyncClient, uri: str, headers: dict[str, str]) -> tuple[httpx.Response, bytes]:
    try:
        async with asyncio.timeout(TIMEOUT_IN), http.stream("GET", uri, headers=headers) as response:
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


def _unpack(response: httpx.Response, body: bytes) -> bytes:
    """The body that was meant; never more of it than may be read."""
    match response.headers.get("content-encoding", "identity").strip().lower():
        case "identity":
            return body
        case "gzip":
            return _gunzip(body)
        case other:
            raise ValueError(f"{response.url} is encoded as {other[:20]!r}, which nobody asked for")


def _gunzip(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacking.decompress(body, MAX_LENGTH + 1)
    except zlib.error:
        raise ValueError("what came is no gzip") from None
    if not unpacking.eof or len(unpacked) > MAX_LENGTH:
        raise ValueError(f"what came is cut off, or longer than {MAX_LENGTH} bytes")
    return unpacked


def _reason(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


_METADATA: Final = msgspec.json.Decoder(Metadata)
