"""What people and their tools open in a browser: the front page, the OpenAPI document, health."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from litestar import Litestar, MediaType, Request, Response, get
from litestar.config.response_cache import ResponseCacheConfig
from litestar.exceptions import HTTPException
from litestar.exceptions.responses import create_exception_response
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template import TemplateConfig

from jwtauth.errors import ConfigurationError, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.log import LOGGER
from jwtauth.web import openapi

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What every page carries (SECURITY B-06, H-03, H-04)."""


def templates() -> Path:
    """The folder of the templates: inside the package in a wheel, at the top of the project in a checkout."""
    shipped = Path(__file__).parent / "templates"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "templates"


def create(issuer: Issuer) -> Litestar:
    """The Litestar application behind everything that is not a machines' endpoint; it closes the issuer at the end."""

    @get("/", media_type=MediaType.HTML, include_in_schema=False)
    async def front() -> Template:
        return Template("front.html", context={"issuer": issuer.settings.issuer})

    @get("/style.css", media_type="text/css", include_in_schema=False)
    async def style() -> Response[bytes]:
        return Response(stylesheet, headers={"Cache-Control": "public, max-age=3600"}, media_type="text/css")

    @get("/openapi.json", media_type=MediaType.JSON, include_in_schema=False)
    async def openapi_document(request: Request[Any, Any, Any]) -> bytes:
        return openapi.document(request.app)

    @get("/healthz", media_type=MediaType.TEXT, summary="Whether the process answers")
    async def healthz() -> str:
        return "ok"

    @get("/readyz", media_type=MediaType.TEXT, summary="Whether tokens can be issued now")
    async def readyz() -> Response[str]:
        try:
            now = issuer.begin()
            issuer.keyring.signing_key(issuer.settings.access_token_algorithm, now=now)
        except (ConfigurationError, OAuthError) as problem:
            return Response(f"not ready: {type(problem).__name__}", status_code=503)
        return Response("ready")

    stylesheet = (templates() / "style.css").read_bytes()
    return Litestar(
        [front, style, openapi_document, healthz, readyz],
        openapi_config=OpenAPIConfig(
            title="jwtauth", version=version("jwtauth"), path="/schema", render_plugins=[JsonRenderPlugin()]
        ),
        template_config=TemplateConfig(directory=templates(), engine=JinjaTemplateEngine),
        response_headers=SECURITY_HEADERS,
        exception_handlers={Exception: _refuse},
        response_cache_config=ResponseCacheConfig(default_expiration=None),
        logging_config=None,
        on_shutdown=[issuer.close],
    )


def _refuse(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer where no page was found or one failed; it carries what every page carries."""
    if not isinstance(error, HTTPException):
        LOGGER.error("%s failed", request.url.path, exc_info=error)
    answer: Response[Any] = create_exception_response(request, error)
    answer.headers.update(SECURITY_HEADERS)
    return answer
