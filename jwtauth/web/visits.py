"""A browser's request and its answer, between HTTP and the stories: cookies, and where a form is from."""

import secrets
from typing import Any, Final, cast
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie

from jwtauth.endpoints.visit import Visit
from jwtauth.settings import Settings
from jwtauth.web import asgi
from jwtauth.web.addresses import Addresses
from jwtauth.web.types import HTTPScope, Receive

BROWSER_BYTES: Final = 16
DEVICE_IN: Final = 31_536_000
"""For how long a browser is known, in seconds."""
MAX_COOKIE_LENGTH: Final = 512
"""Longest cookie of ours that is looked at, in characters."""

_FOREIGN_SITES: Final = frozenset({b"cross-site", b"same-site"})


class Visits:
    """Reads visits and names the cookies of one issuer."""

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.issuer)
        self._is_secure = parts.scheme == "https"
        prefix, suffix = ("__Host-", "") if self._is_secure else ("", f"-{parts.port or 80}")
        self._browser = f"{prefix}jwtauth-browser{suffix}"
        self._session = f"{prefix}jwtauth-session{suffix}"
        self._device = f"{prefix}jwtauth-device{suffix}"
        self._origin = f"{parts.scheme}://{parts.netloc}".lower().encode()
        self._addresses = Addresses(settings)
        self._max_body, self._body_timeout = settings.max_body, settings.body_timeout

    async def read(self, request: Request[Any, Any, Any]) -> tuple[Visit, list[Cookie]]:
        """The visit, and the cookie that a new browser gets with the answer.

        Raises:
            BadHttp, InvalidRequest: it cannot be read.
        """
        scope, receive = cast(HTTPScope, request.scope), cast(Receive, request.receive)
        query, form = await asgi.read_pairs(scope, receive, max_body=self._max_body, body_timeout=self._body_timeout)
        known = _cookie(request, self._browser)
        browser = known or secrets.token_urlsafe(BROWSER_BYTES)
        visit = Visit(
            query=query,
            form=form,
            browser=browser,
            is_new=known is None,
            session=_cookie(request, self._session),
            device=_cookie(request, self._device),
            address=self._addresses.of(scope),
            user_agent=request.headers.get("user-agent", ""),
            is_from_here=self._is_from_here(scope),
        )
        is_new = known is None and scope["method"] != "POST"  # by POST from elsewhere a browser sends no cookies
        return visit, [self._made(self._browser, browser)] if is_new else []

    def session_cookie(self, value: str) -> Cookie:
        """The session cookie; an empty value deletes it."""
        return self._made(self._session, value)

    def device_cookie(self, value: str) -> Cookie:
        """The cookie of a known browser; it outlives the session."""
        return self._made(self._device, value, max_age_in=DEVICE_IN)

    def _made(self, name: str, value: str, *, max_age_in: int | None = None) -> Cookie:
        """A cookie for this host alone, out of reach of scripts (B-03); unless told, it ends with the browser."""
        return Cookie(
            key=name,
            value=value,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
            max_age=max_age_in if value else 0,
        )

    def _is_from_here(self, scope: HTTPScope) -> bool:
        """Whether nothing says that another site sent this (SECURITY B-05).

        With the referrer policy of our pages browsers call their origin `null`; newer ones say more in Sec-Fetch-Site.
        """
        if asgi.header(scope, b"sec-fetch-site") in _FOREIGN_SITES:
            return False
        origin = asgi.header(scope, b"origin")
        return origin in (None, b"null") or origin.lower() == self._origin


def _cookie(request: Request[Any, Any, Any], name: str) -> str | None:
    value = request.cookies.get(name)
    return value if value and len(value) <= MAX_COOKIE_LENGTH else None
