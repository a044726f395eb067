"""The pages for people: which path leads to which story, and how its outcome becomes HTML or a redirect."""

from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import HttpMethod, Request, Response
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler, route
from msgspec import Struct

from jwtauth.endpoints import account, authorize, log_out, sign_in
from jwtauth.endpoints.outcomes import ErrorPage, Fault, GoOn, Outcome, Page, Redirect
from jwtauth.endpoints.visit import Visit
from jwtauth.errors import OAuthError, Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.log import LOGGER
from jwtauth.web.asgi import BadHttp
from jwtauth.web.render import FrontPage, Renderer
from jwtauth.web.visits import Visits

Story = Callable[[Issuer, Visit], Awaitable[Outcome]]

HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What every page carries besides its Content-Security-Policy (SECURITY B-06, H-03, H-04)."""

_FAULTS: Final = {413: Fault.TOO_LARGE}


class Route(Struct, frozen=True, kw_only=True):
    """One page: a path, and the story behind each method."""

    path: str
    get: Story
    post: Story | None = None


ROUTES: Final = (
    Route(
        path="/oauth/authorize",
        get=authorize.answer,
        post=authorize.answer,
    ),
    Route(path="/login", get=sign_in.show, post=sign_in.sign_in),
    Route(path="/consent", get=sign_in.show, post=sign_in.consent),
    Route(path="/account", get=account.show, post=account.change),
    Route(
        path="/oauth/logout",
        get=log_out.answer,
        post=log_out.answer,
    ),
)


def templates() -> Path:
    """The folder of the templates: inside the package in a wheel, at the top of the project in a checkout."""
    shipped = Path(__file__).parent / "templates"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "templates"


class Pages:
    """Answers browsers."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._url = issuer.settings.issuer
        self._visits = Visits(issuer.settings)
        is_secure = self._url.startswith("https:")
        self._headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if is_secure else {})

    @cached_property
    def _renderer(self) -> Renderer:
        """Made when the first page is asked for: templates and catalogues take 0.1 s and 20 MB that machines can do
        without."""
        return Renderer(templates(), base=urlsplit(self._url).path, issuer=self._url)

    def handlers(self) -> list[HTTPRouteHandler]:
        """One Litestar handler per route."""
        return [self._handler(entry) for entry in ROUTES]

    def shown(
        self, request: Request[Any, Any, Any], page: Page | FrontPage, cookies: list[Cookie] | None = None
    ) -> Response[bytes]:
        """A page as HTML."""
        rendered = self._renderer.render(
            page, accept_language=request.headers.get("accept-language"), now=self._issuer.now()
        )
        headers = self._headers | {
            "Content-Security-Policy": rendered.content_security_policy,
            "Content-Language": rendered.language,
            "Vary": "Accept-Language",
        }
        wait = getattr(page, "retry_after_in", 0)
        if wait:
            headers["Retry-After"] = str(wait)
        return Response(
            rendered.html, status_code=rendered.status, headers=headers, media_type="text/html", cookies=cookies or []
        )

    def _handler(self, entry: Route) -> HTTPRouteHandler:
        methods = [HttpMethod.GET, HttpMethod.POST] if entry.post else [HttpMethod.GET]
        path = urlsplit(self._url).path + entry.path

        @route(path, http_method=methods, status_code=200, include_in_schema=False, name=entry.path)
        async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
            story = entry.post if request.method == "POST" and entry.post else entry.get
            return await self._answer(request, story)

        return handle

    async def _answer(self, request: Request[Any, Any, Any], story: Story) -> Response[bytes]:
        try:
            visit, cookies = await self._visits.read(request)
        except BadHttp as problem:
            return self.shown(request, ErrorPage(fault=_FAULTS.get(problem.status, Fault.BAD_REQUEST)))
        except OAuthError:
            return self.shown(request, ErrorPage(fault=Fault.BAD_REQUEST))
        try:
            outcome = await story(self._issuer, visit)
        except Overloaded as problem:
            LOGGER.warning("%s: %s", request.url.path, problem)
            return self.shown(request, ErrorPage(fault=Fault.OVERLOADED, retry_after_in=problem.retry_after_in))
        if outcome.session is not None:
            cookies.append(self._visits.session_cookie(outcome.session))
        if outcome.device is not None:
            cookies.append(self._visits.device_cookie(outcome.device))
        match outcome.then:
            case Redirect(url=url):
                return self._sent_to(url, cookies)
            case GoOn(path=path):
                return self._sent_to(self._url + path, cookies)
            case page:
                return self.shown(request, page, cookies)

    def _sent_to(self, url: str, cookies: list[Cookie]) -> Response[bytes]:
        """Always 303: a browser then never sends a form on to where it is sent (SECURITY R-10, B-01)."""
        headers = {**self._headers, "Location": url}
        return Response(b"", status_code=303, headers=headers, media_type="text/html", cookies=cookies)
