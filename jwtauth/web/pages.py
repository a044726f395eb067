"""The pages for people: which path leads to which story, and how its outcome becomes HTML or a redirect."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import HttpMethod, Request, Response
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler, route
from msgspec import Struct

from jwtauth.dialects.dialect import STANDARD_NAME, Dialect, PageRoute
from jwtauth.dialects.spoken import Spoken
from jwtauth.endpoints.outcomes import Carry, ErrorPage, Fault, FormPostPage, GoOn, Page, Redirect
from jwtauth.endpoints.visit import Visit
from jwtauth.errors import OAuthError, Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe import arrival
from jwtauth.observe.log import LOGGER
from jwtauth.protocol import legacy, redirect_uris
from jwtauth.protocol.authorization import ResponseMode
from jwtauth.protocol.records import Client
from jwtauth.web import api
from jwtauth.web.asgi import BadHttp
from jwtauth.web.render import FrontPage, Renderer
from jwtauth.web.reply import Headers
from jwtauth.web.visits import Visits

HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What every page carries besides its Content-Security-Policy (SECURITY B-06, H-03, H-04)."""

_FAULTS: Final = {413: Fault.TOO_LARGE}
_NOTHING: Final[Mapping[str, str]] = {}


def templates() -> Path:
    """The folder of the templates: inside the package in a wheel, at the top of the project in a checkout."""
    shipped = Path(__file__).parent / "templates"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "templates"


class Visited(Struct, frozen=True, kw_only=True):
    """Which page a browser came to, and in which dialect it is."""

    page: PageRoute | None
    """None where there is no such page for this client."""
    dialect: Dialect
    client: Client | None = None
    is_own: bool = False
    """Whether the path is a dialect's own."""

    fault: Fault = Fault.NOT_FOUND
    """Why there is no page."""

    @property
    def has_fault_path_elsewhere(self) -> bool:
        """Whether the dialect has a page for what went wrong, and this is not it."""
        return (
            self.dialect.fault_path is not None and self.page is not None and self.page.path != self.dialect.fault_path
        )


class Pages:
    """Answers browsers."""

    def __init__(self, issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect]) -> None:
        self._issuer = issuer
        self._spoken = spoken
        self._dialects = dialects
        self._standard = dialects[STANDARD_NAME]
        self._routes: dict[str, dict[str, PageRoute]] = {}
        """By path, and then by dialect."""
        for dialect in dialects.values():
            for route_ in dialect.pages:
                self._routes.setdefault(route_.path, {})[dialect.name] = route_
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
        """One Litestar handler per path."""
        return [self._handler(path, by_dialect) for path, by_dialect in self._routes.items()]

    def shown(
        self,
        request: Request[Any, Any, Any],
        page: Page | FrontPage,
        cookies: list[Cookie] | None = None,
        *,
        dialect: Dialect | None = None,
        more: Mapping[str, str] = _NOTHING,
    ) -> Response[bytes]:
        """A page as HTML, looking as the dialect has it."""
        rendered = self._renderer.render(
            page,
            accept_language=request.headers.get("accept-language"),
            now=self._issuer.now(),
            templates=dialect.templates if dialect is not None else {},
            request_id=_reference(),
        )
        headers = {
            **self._headers,
            **more,
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

    def _handler(self, path: str, by_dialect: Mapping[str, PageRoute]) -> HTTPRouteHandler:
        methods = [HttpMethod.GET, HttpMethod.POST]
        whole_path = urlsplit(self._url).path + path

        @route(whole_path, http_method=methods, status_code=200, include_in_schema=False, name=path)
        async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._answer(request, by_dialect)

        return handle

    async def _answer(self, request: Request[Any, Any, Any], by_dialect: Mapping[str, PageRoute]) -> Response[bytes]:
        try:
            visit, cookies = await self._visits.read(request)
            visited = await self._visited(visit, by_dialect)
        except BadHttp as problem:
            return self.shown(request, ErrorPage(fault=_FAULTS.get(problem.status, Fault.BAD_REQUEST)))
        except Overloaded as problem:
            return self._overloaded(request, problem)
        except OAuthError:
            return self.shown(request, ErrorPage(fault=Fault.BAD_REQUEST))
        if visited.page is None:
            return self.shown(request, ErrorPage(fault=visited.fault))
        story = visited.page.get if request.method == "GET" else visited.page.post
        if story is None:
            return self.shown(request, ErrorPage(fault=Fault.WRONG_METHOD), more={"Allow": "GET"})
        try:
            outcome = await story(self._issuer, visit)
        except Overloaded as problem:
            return self._overloaded(request, problem)
        if not isinstance(outcome.then, ErrorPage):
            self._count(visited)
        if outcome.session is not None:
            cookies.append(self._visits.session_cookie(outcome.session))
        if outcome.device is not None:
            cookies.append(self._visits.device_cookie(outcome.device))
        dialect, more = visited.dialect, self._legacy_headers(visited)
        match outcome.then:
            case Redirect(url=url):
                return self._sent_to(url, cookies, more=more)
            case GoOn(path=path):
                return self._sent_to(self._url + path, cookies, more=more)
            case ErrorPage(fault=fault, restart=None) if visited.has_fault_path_elsewhere:
                url = redirect_uris.with_parameters(f"{self._url}{dialect.fault_path}", {"error": fault.value})
                return self._sent_to(url, cookies, more=more)
            case Carry() as carry:
                if "access_token" in carry.answer.parameters:  # the implicit grant
                    more = _as_text(api.legacy_headers(visited.client))
                return self._carried(request, carry, cookies, dialect=dialect, more=more)
            case page:
                return self.shown(request, page, cookies, dialect=dialect, more=more)

    async def _visited(self, visit: Visit, by_dialect: Mapping[str, PageRoute]) -> Visited:
        """Whose page this is: what is spoken with the client on whose behalf the browser is here."""
        standard = by_dialect.get(STANDARD_NAME)
        spoken = self._spoken.names()
        if not spoken:
            return Visited(page=standard, dialect=self._standard)
        now = self._issuer.begin()
        client = await self._spoken.client_of_visit(visit)
        dialect = self._spoken.of_client(client, now=now)
        page = by_dialect.get(dialect.name, standard)
        owners = [name for name in by_dialect if name in spoken]
        if page is None and client is None and owners:
            dialect, page = self._dialects[owners[0]], by_dialect[owners[0]]
        was_there = client is not None and client.realm.dialect in by_dialect
        fault = Fault.SWITCHED_OFF if was_there else Fault.NOT_FOUND
        return Visited(page=page, dialect=dialect, client=client, is_own=standard is None, fault=fault)

    def _count(self, visited: Visited) -> None:
        if visited.is_own and visited.client is not None and visited.page is not None:
            self._issuer.legacy_use.count(visited.client, legacy.of_path(visited.page.path))

    def _legacy_headers(self, visited: Visited) -> Mapping[str, str]:
        if not visited.is_own:
            return _NOTHING
        return _as_text(api.legacy_headers(visited.client))

    def _overloaded(self, request: Request[Any, Any, Any], problem: Overloaded) -> Response[bytes]:
        LOGGER.warning("%s: %s", request.url.path, problem)
        return self.shown(request, ErrorPage(fault=Fault.OVERLOADED, retry_after_in=problem.retry_after_in))

    def _carried(
        self,
        request: Request[Any, Any, Any],
        carry: Carry,
        cookies: list[Cookie],
        *,
        dialect: Dialect,
        more: Mapping[str, str],
    ) -> Response[bytes]:
        """The answer in its mode: in the query, in the fragment, or as a form that posts itself."""
        uri, parameters = carry.answer.redirect_uri, dialect.carries(carry.answer.parameters, carry.scope)
        status = dialect.redirect_status
        match carry.answer.mode:
            case ResponseMode.QUERY:
                return self._sent_to(redirect_uris.with_parameters(uri, parameters), cookies, status=status, more=more)
            case ResponseMode.FRAGMENT:
                return self._sent_to(redirect_uris.with_fragment(uri, parameters), cookies, status=status, more=more)
            case ResponseMode.FORM_POST:
                page = FormPostPage(
                    redirect_uri=uri,
                    parameters=parameters,
                    client_name=carry.client_name,
                    ui_locales=carry.ui_locales,
                )
                return self.shown(request, page, cookies, dialect=dialect, more=more)

    def _sent_to(
        self, url: str, cookies: list[Cookie], *, status: int = 303, more: Mapping[str, str] = _NOTHING
    ) -> Response[bytes]:
        """With 303 a browser never sends a form on to where it is sent; 302, which some old clients look for, is
        followed alike by all of them (SECURITY R-10, B-01)."""
        headers = {**self._headers, **more, "Location": url}
        return Response(b"", status_code=status, headers=headers, media_type="text/html", cookies=cookies)


def _reference() -> str:
    """What an error page tells people to quote: the request's id (`jwtauth explain`)."""
    noted = arrival.current()
    return "" if noted is None else noted.request_id


def _as_text(headers: Headers) -> Mapping[str, str]:
    return {name.decode(): value.decode() for name, value in headers}
