"""The server's only HTTP client: bounded in time, length and number of calls, going where it was sent and no further.

No redirect is followed, no proxy asked, no cookie kept. Time is bounded as a whole, from name lookup to last byte: a
limit between two bytes does not stop whoever sends one byte a second.
"""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Final

import httpx
from msgspec import Struct

MAX_LENGTH: Final = 65_536
"""Longest body that is read, in bytes."""

MAX_CONNECTIONS: Final = 64
"""Calls at once in one process; one more waits for its turn, at the expense of its own time."""

_HEADERS: Final = {"user-agent": "jwtauth", "accept-encoding": "identity", "connection": "close"}


class NoAnswer(Exception):
    """Nobody answered in time, or the URI must not be called; the message says why and holds nothing secret."""


class Answer(Struct, frozen=True, kw_only=True):
    """What was answered, whatever its status."""

    status: int
    media_type: str = ""
    """In lower case and without parameters; empty where none was named."""
    body: bytes = b""
    """As sent: what is compressed against our wish stays so, and cannot swell in memory."""


class Outside:
    """Makes calls. A private certificate authority is named by the environment variable SSL_CERT_FILE."""

    def __init__(self) -> None:
        """Nothing is connected yet, and no certificate authority read: that takes 0.1 s; most workers never call."""
        self._made: httpx.AsyncClient | None = None

    @property
    def _client(self) -> httpx.AsyncClient:
        """The client, made at the first call. It keeps no connection: calls are rare, and a kept one is often dead."""
        if self._made is None:
            self._made = make_client()
        return self._made

    async def post_form(
        self,
        uri: str,
        form: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        within: float,
        longest: int = MAX_LENGTH,
    ) -> Answer:
        """The answer to a form that is posted to a URI.

        Args:
            uri: https, or http on a literal loopback address; without user or password.
            form: sent as application/x-www-form-urlencoded.
            headers: sent besides our own.
            within: seconds for all of it.
            longest: bytes of the body that are read; what follows is cut off, and with 0 none is waited for.

        Raises:
            NoAnswer: the URI is another, or nobody answered in time.
        """
        return await self._ask("POST", uri, form, headers=headers, within=within, longest=longest)

    async def get(
        self, uri: str, *, headers: Mapping[str, str] | None = None, within: float, longest: int = MAX_LENGTH
    ) -> Answer:
        """What is at a URI; arguments, bounds and refusals are those of `post_form`.

        Raises:
            NoAnswer: the URI is another, or nobody answered in time.
        """
        return await self._ask("GET", uri, None, headers=headers, within=within, longest=longest)

    async def _ask(
        self,
        method: str,
        uri: str,
        form: Mapping[str, str] | None,
        *,
        headers: Mapping[str, str] | None,
        within: float,
        longest: int,
    ) -> Answer:
        try:
            call = self._client.stream(method, _checked(uri), data=form, headers=headers)
            async with asyncio.timeout(within), call as response:
                return Answer(
                    status=response.status_code, media_type=_media_type(response), body=await read(response, longest)
                )
        except TimeoutError:
            raise NoAnswer(f"there was no answer within {within:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            raise NoAnswer(str(problem) or type(problem).__name__) from problem

    async def close(self) -> None:
        """Break off what is under way; no call is made after this."""
        if self._made is not None:
            await self._made.aclose()


def make_client() -> httpx.AsyncClient:
    """A client that goes where it is sent and no further; whoever calls sets the deadline."""
    return httpx.AsyncClient(
        verify=httpx.create_ssl_context(),  # reads SSL_CERT_FILE even though `trust_env`, for the proxies, is off
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers=_HEADERS,
        timeout=None,  # noqa: S113 - every call has a deadline of its own
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=0),
    )


async def read(response: httpx.Response, longest: int) -> bytes:
    """The first bytes of a body as they were sent; what follows is not waited for."""
    body = bytearray()
    if longest > 0:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) >= longest:
                break
    return bytes(body[:longest])


def _checked(uri: str) -> httpx.URL:
    """The URI as it will be called, read by the one parser that counts."""
    url = httpx.URL(uri)
    if url.userinfo:
        raise NoAnswer("the URI has a user or password in it, which is not sent")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise NoAnswer("the URI is http, which is only for a loopback address such as 127.0.0.1; use https")
    if url.scheme not in ("https", "http") or not url.host:
        raise NoAnswer("the URI is not an https URI")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _media_type(response: httpx.Response) -> str:
    named: str = response.headers.get("content-type", "")
    return named.partition(";")[0].strip().lower()
