"""What carries a call of ours: httpx, kept to where it was sent. Imported when the first call is made."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Final

import httpx

from jwtauth.outside.http import MAX_CONNECTIONS, Answer, NoAnswer

_HEADERS: Final = {"user-agent": "jwtauth", "accept-encoding": "identity", "connection": "close"}


class Client:
    """Carries calls. It keeps no connection: calls are rare, and a kept one is often dead."""

    def __init__(self) -> None:
        """Read the certificate authorities; nothing is connected yet."""
        self._httpx = make()

    async def ask(
        self,
        method: str,
        uri: str,
        form: Mapping[str, str] | None,
        *,
        headers: Mapping[str, str] | None,
        within: float,
        longest: int,
    ) -> Answer:
        """The answer to one call; arguments and refusals are those of `jwtauth.outside.http`."""
        try:
            call = self._httpx.stream(method, _checked(uri), data=form, headers=headers)
            async with asyncio.timeout(within), call as response:
                return Answer(
                    status=response.status_code, media_type=_media_type(response), body=await read(response, longest)
                )
        except TimeoutError:
            raise NoAnswer(f"there was no answer within {within:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            raise NoAnswer(str(problem) or type(problem).__name__) from problem

    async def close(self) -> None:
        """Break off what is under way."""
        await self._httpx.aclose()


def make() -> httpx.AsyncClient:
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
