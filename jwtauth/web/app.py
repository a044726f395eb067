"""One ASGI callable: machines' endpoints on the shortest path, everything else through Litestar.

Machines' paths are few, exact and hot: a dictionary finds them, and no layer stands between the HTTP server and the
story (docs/decisions/0001-machines-beside-litestar.md has the figures).
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from jwtauth.dialects.dialect import Dialect
from jwtauth.dialects.registry import DIALECTS
from jwtauth.dialects.spoken import Spoken
from jwtauth.errors import OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.web import api, hosts, people, status
from jwtauth.web.asgi import Handler


def create(issuer: Issuer, dialects: Mapping[str, Dialect] = DIALECTS) -> ASGIApp:
    """The application of one issuer. It closes the issuer when the server shuts down."""
    spoken = Spoken(issuer, dialects)
    litestar = people.create(issuer, spoken, dialects)
    machines = _machines(issuer, spoken, dialects, elsewhere=litestar)
    aliases = _aliases(issuer, dialects)
    lists = f"{urlsplit(issuer.settings.issuer).path}{status.PATH}"
    status_lists = status.handler(issuer, lists)
    known_hosts = hosts.known(issuer.settings)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            if not hosts.is_known(scope, known_hosts):
                await hosts.refuse(send)
                return
            handler = machines.get(scope["path"])
            if handler is None and (scope["path"] + "/").startswith(f"{lists}/"):
                handler = status_lists
            if handler is not None:
                await handler(scope, receive, send)
                return
            if scope["path"] in aliases:
                scope = {**scope, "path": aliases[scope["path"]]}
        await litestar(scope, receive, send)

    return app


def _machines(
    issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect], *, elsewhere: ASGIApp
) -> dict[str, Handler]:
    """Handlers by exact path. An issuer with a path has its endpoints below it (RFC 8414 section 3.1)."""
    base = urlsplit(issuer.settings.issuer).path
    paths = {endpoint.path for dialect in dialects.values() for endpoint in dialect.endpoints}
    handlers = {base + path: _handler(api.Path(issuer, spoken, path, dialects), elsewhere) for path in paths}
    for publication in api.PUBLICATIONS:
        handler = api.publication_handler(issuer, publication)
        handlers[base + publication.path] = handler
        handlers[publication.path + base] = handler
    return handlers


def _handler(path: api.Path, elsewhere: ASGIApp) -> Handler:
    """A path that is always there, or one that is there while some realm speaks a dialect that has it."""
    if path.is_standard:
        return path.handle

    async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
        try:
            is_there = path.is_there()
        except OAuthError:
            is_there = True  # which the path itself says in its own words
        await (path.handle if is_there else elsewhere)(scope, receive, send)

    return handle


def _aliases(issuer: Issuer, dialects: Mapping[str, Dialect]) -> dict[str, str]:
    """Other spellings of pages' paths, and what they mean."""
    base = urlsplit(issuer.settings.issuer).path
    pages = [page for dialect in dialects.values() for page in dialect.pages]
    return {base + alias: base + page.path for page in pages for alias in page.aliases}
