"""One ASGI callable: machines' endpoints on the shortest path, everything else through Litestar.

Machines' paths are few, exact and hot: a dictionary finds them, and no layer stands between the HTTP server and the
story (docs/decisions/0001-machines-beside-litestar.md has the figures).
"""

import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from jwtauth.dialects.dialect import Dialect
from jwtauth.dialects.registry import DIALECTS
from jwtauth.dialects.spoken import Spoken
from jwtauth.errors import ConfigurationError, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe import arrival
from jwtauth.observe.metrics import CONNECTIONS, CONNECTIONS_TURNED_AWAY, OTHER, UNREADABLE, Endpoint
from jwtauth.observe.worker_files import WorkerFiles
from jwtauth.web import api, arrivals, asgi, hosts, metrics, people, publications, status
from jwtauth.web.arrivals import Arrivals
from jwtauth.web.asgi import Handler
from jwtauth.web.connections import Connections
from jwtauth.web.metrics import Measured


def create(issuer: Issuer, dialects: Mapping[str, Dialect] = DIALECTS, *, files: WorkerFiles | None = None) -> ASGIApp:
    """The application of one issuer. It closes the issuer when the server shuts down.

    Args:
        issuer: the service.
        dialects: what realms may speak.
        files: where the workers of the service tell each other their numbers; None where there is one alone.
    """
    spoken = Spoken(issuer, dialects)
    noting = Arrivals(issuer)
    numbers = metrics.Page(issuer, files)
    litestar = people.create(issuer, spoken, dialects, more=[numbers.run])
    base = urlsplit(issuer.settings.issuer).path
    aliases = _aliases(issuer, dialects)
    counted = {route.path: issuer.metrics.endpoint(_name(route.path, base)) for route in litestar.routes}
    unknown = issuer.metrics.endpoint(OTHER)

    async def pages(scope: HTTPScope, receive: Receive, send: Send) -> None:
        if scope["path"] in aliases:
            scope = {**scope, "path": aliases[scope["path"]]}
        send = arrivals.named(send, noting.note(scope))
        await litestar(scope, receive, Measured(send, counted.get(scope["path"], unknown)))

    machines = _machines(issuer, spoken, dialects, noting, elsewhere=pages)
    machines[metrics.PATH] = numbers.handler(elsewhere=pages)
    lists = base + status.PATH
    status_lists = status.handler(issuer, lists)
    known_hosts = hosts.known(issuer.settings)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrival.begin(None)  # a request that came right behind another has inherited that one's
        if scope["type"] != ScopeType.HTTP:
            _watch_connections(issuer, scope)
            await litestar(scope, receive, send)
        elif not hosts.is_known(scope, known_hosts):
            await hosts.refuse(Measured(send, unknown))
        else:
            path = scope["path"]
            handler = machines.get(path) or (status_lists if status.is_below(path, lists) else pages)
            await handler(scope, receive, send)

    return _traced(app, issuer, base, (*machines, *counted)) if issuer.settings.tracing else app


def _traced(app: ASGIApp, issuer: Issuer, base: str, paths: Iterable[str]) -> ASGIApp:
    """The application with a span around each request, named by its path as the metrics name it."""
    names = {path: _name(path, base) for path in paths}

    def route_of(path: str) -> str | None:
        below = path.removeprefix(base)
        return status.name_of(below) if status.is_below(below) else names.get(path)

    traced: ASGIApp = tracing().traced(app, issuer, route_of)
    return traced


def tracing() -> ModuleType:
    """The module that makes a span of each request, imported where the setting `tracing` is on.

    Raises:
        ConfigurationError: the packages that it needs are not installed.
    """
    try:
        return importlib.import_module("jwtauth.web.tracing")
    except ImportError:
        raise ConfigurationError("setting tracing: needs more packages; run: pip install 'jwtauth[otel]'") from None


def _name(path: str, base: str) -> str:
    """A path as it is called where the issuer has none of its own."""
    return path.removeprefix(base).removesuffix(base) or "/"


def _watch_connections(issuer: Issuer, scope: Scope) -> None:
    """Ask the server how many connections it holds, and whom it refused; it says so in its state once it holds one."""
    state = scope.get("state", {})
    nobody = Connections()

    def held() -> Connections:
        connections: Connections = state.get(asgi.CONNECTIONS, nobody)
        return connections

    issuer.metrics.watch(CONNECTIONS, lambda: len(held()))
    issuer.metrics.watch_apart(CONNECTIONS_TURNED_AWAY, lambda: held().turned_away)
    issuer.metrics.watch_apart(UNREADABLE, lambda: held().unreadable)


def _machines(
    issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect], noting: Arrivals, *, elsewhere: Handler
) -> dict[str, Handler]:
    """Handlers by exact path. An issuer with a path has its endpoints below it (RFC 8414 section 3.1)."""
    base = urlsplit(issuer.settings.issuer).path
    paths = {endpoint.path for dialect in dialects.values() for endpoint in dialect.endpoints}
    handlers = {base + path: _handler(api.Path(issuer, spoken, noting, path, dialects), elsewhere) for path in paths}
    for publication in publications.PUBLICATIONS:
        counted = issuer.metrics.endpoint(publication.path)
        handler = _measured(publications.handler(issuer, publication), counted)
        handlers[base + publication.path] = handler
        handlers[publication.path + base] = handler
    return handlers


def _measured(handler: Handler, counted: Endpoint) -> Handler:
    async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
        await handler(scope, receive, Measured(send, counted))

    return handle


def _handler(path: api.Path, elsewhere: Handler) -> Handler:
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
