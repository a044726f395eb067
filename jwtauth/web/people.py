"""Everything that is not a machines' endpoint, as one Litestar application: pages, static files, OpenAPI, health."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Litestar, MediaType, Request, Response, get
from litestar.config.response_cache import ResponseCacheConfig
from litestar.exceptions import HTTPException, ServiceUnavailableException
from litestar.exceptions.responses import create_exception_response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from jwtauth.dialects.dialect import Dialect
from jwtauth.dialects.spoken import Spoken
from jwtauth.endpoints import tell_logouts
from jwtauth.endpoints.outcomes import ErrorPage, Fault
from jwtauth.errors import Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.log import LOGGER
from jwtauth.web import health, pages
from jwtauth.web.health import Draining, Readiness
from jwtauth.web.openapi import Documents
from jwtauth.web.pages import Pages
from jwtauth.web.render import FrontPage

Chore = Callable[[], Coroutine[Any, Any, None]]
"""Goes on until it is cancelled, and then finishes what it has begun."""

STATIC: Final = {"style.css": "text/css", "mark.svg": "image/svg+xml", "submit.js": "text/javascript"}
"""The files that pages refer to, with their types."""

_KEPT: Final = {"Cache-Control": "public, max-age=3600"}
_NOTHING_ALLOWED: Final = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"}
_FAULTS: Final = {404: Fault.NOT_FOUND, 405: Fault.WRONG_METHOD}


def create(issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect], *, more: Sequence[Chore] = ()) -> Litestar:
    """The application; it tells clients of logouts while it runs, and closes the issuer at the end.

    Args:
        issuer: the service.
        spoken: what its realms speak.
        dialects: what they might.
        more: what else goes on until it stops.
    """
    people = Pages(issuer, spoken, dialects)
    readiness = Readiness(issuer)
    chores: list[Chore] = [partial(tell_logouts.run, issuer), partial(issuer.legacy_use.run, issuer.now), *more]
    base = urlsplit(issuer.settings.issuer).path

    @get(base or "/", media_type=MediaType.HTML, include_in_schema=False)
    async def front(request: Request[Any, Any, Any]) -> Response[bytes]:
        return people.shown(request, FrontPage())

    @get("/openapi.json", media_type=MediaType.JSON, include_in_schema=False)
    async def openapi_document() -> bytes:
        try:
            return documents.document(spoken.names())
        except Overloaded as problem:
            raise ServiceUnavailableException(detail=str(problem)) from None

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        draining = Draining(readiness, drain_in=issuer.settings.drain_in)
        tasks = [asyncio.create_task(chore()) for chore in chores]
        draining.begin()
        try:
            yield
        finally:
            draining.end()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await issuer.outside.close()
            issuer.close()

    def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """The answer where no page was found or one failed: a page for people, JSON for everybody else."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        if not isinstance(error, HTTPException):
            LOGGER.error("%s failed", request.url.path, exc_info=error)
        if "text/html" in request.headers.get("accept", ""):
            fault = Fault.SERVER if status >= 500 else _FAULTS.get(status, Fault.BAD_REQUEST)
            return people.shown(request, ErrorPage(fault=fault))
        answer: Response[Any] = create_exception_response(request, error)
        answer.headers.update(headers)
        return answer

    headers = {**pages.HEADERS, **_NOTHING_ALLOWED}
    app = Litestar(
        [front, openapi_document, *health.handlers(readiness), *people.handlers(), *_static_files(base)],
        openapi_config=OpenAPIConfig(
            title="jwtauth", version=version("jwtauth"), path="/schema", render_plugins=[JsonRenderPlugin()]
        ),
        response_headers=headers,
        exception_handlers={Exception: refuse},
        response_cache_config=ResponseCacheConfig(default_expiration=None),
        logging_config=None,
        lifespan=[running],
    )
    documents = Documents(app, dialects)
    return app


def _static_files(base: str) -> list[HTTPRouteHandler]:
    return [
        _static_file(f"{base}/{name}", (pages.templates() / name).read_bytes(), media_type)
        for name, media_type in STATIC.items()
    ]


def _static_file(path: str, content: bytes, media_type: str) -> HTTPRouteHandler:
    @get(path, media_type=media_type, include_in_schema=False, name=path)
    async def static_file() -> Response[bytes]:
        return Response(content, headers=_KEPT, media_type=media_type)

    return static_file
