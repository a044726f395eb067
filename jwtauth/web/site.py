"""Pages, static files and the OpenAPI document as one Litestar application; imported when the first is asked for."""

from collections.abc import Mapping
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
from jwtauth.endpoints.outcomes import ErrorPage, Fault
from jwtauth.errors import Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.log import LOGGER
from jwtauth.web import health, pages, people
from jwtauth.web.openapi import Documents
from jwtauth.web.pages import Pages
from jwtauth.web.render import FrontPage

_KEPT: Final = {"Cache-Control": "public, max-age=3600"}
_FAULTS: Final = {404: Fault.NOT_FOUND, 405: Fault.WRONG_METHOD}


def create(issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect]) -> Litestar:
    """The application.

    Args:
        issuer: the service.
        spoken: what its realms speak.
        dialects: what they might.
    """
    answers = Pages(issuer, spoken, dialects)
    base = urlsplit(issuer.settings.issuer).path

    @get(base or "/", media_type=MediaType.HTML, include_in_schema=False)
    async def front(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answers.shown(request, FrontPage())

    @get(people.OPENAPI, media_type=MediaType.JSON, include_in_schema=False)
    async def openapi_document() -> bytes:
        try:
            return documents.document(spoken.names())
        except Overloaded as problem:
            raise ServiceUnavailableException(detail=str(problem)) from None

    def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """The answer where no page was found or one failed: a page for people, JSON for everybody else."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        if not isinstance(error, HTTPException):
            LOGGER.error("%s failed", request.url.path, exc_info=error)
        if "text/html" in request.headers.get("accept", ""):
            fault = Fault.SERVER if status >= 500 else _FAULTS.get(status, Fault.BAD_REQUEST)
            return answers.shown(request, ErrorPage(fault=fault))
        answer: Response[Any] = create_exception_response(request, error)
        answer.headers.update(headers)
        return answer

    headers = {**pages.HEADERS, "Content-Security-Policy": health.NOTHING_ALLOWED}
    app = Litestar(
        [front, openapi_document, *answers.handlers(), *_static_files(base)],
        openapi_config=OpenAPIConfig(
            title="jwtauth", version=version("jwtauth"), path=people.SCHEMA, render_plugins=[JsonRenderPlugin()]
        ),
        response_headers=headers,
        exception_handlers={Exception: refuse},
        response_cache_config=ResponseCacheConfig(default_expiration=None),
        logging_config=None,
    )
    documents = Documents(app, dialects)
    return app


def _static_files(base: str) -> list[HTTPRouteHandler]:
    return [
        _static_file(f"{base}/{name}", (pages.templates() / name).read_bytes(), media_type)
        for name, media_type in people.STATIC.items()
    ]


def _static_file(path: str, content: bytes, media_type: str) -> HTTPRouteHandler:
    @get(path, media_type=media_type, include_in_schema=False, name=path)
    async def static_file() -> Response[bytes]:
        return Response(content, headers=_KEPT, media_type=media_type)

    return static_file
