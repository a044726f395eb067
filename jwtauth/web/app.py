"""One application: machines' endpoints on the shortest path, everything else behind them.

Machines' paths are few, exact and hot: a dictionary finds them, and no layer stands between the HTTP server and the
story (docs/decisions/0001-machines-beside-litestar.md has the figures).
"""

import importlib
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from jwtauth.dialects.dialect import Dialect
from jwtauth.dialects.registry import DIALECTS
from jwtauth.dialects.spoken import Spoken
from jwtauth.errors import ConfigurationError, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe import arrival
from jwtauth.observe.metrics import CONNECTIONS, CONNECTIONS_TURNED_AWAY, OTHER, UNREADABLE
from jwtauth.observe.worker_files import WorkerFiles
from jwtauth.web import api, arrivals, asgi, metrics, publications, status
from jwtauth.web.arrivals import Arrivals
from jwtauth.web.asgi import Handler, Replier, Source
from jwtauth.web.connections import Connections
from jwtauth.web.hosts import Names
from jwtauth.web.metrics import Measured
from jwtauth.web.people import People
from jwtauth.web.reply import Reply
from jwtauth.web.turn import Turn
from jwtauth.web.types import ASGIApp, HTTPScope, Receive, Scope, Send


class Application:
    """The ASGI callable. Where machines ask, the server may also ask for the bare reply (docs/decisions/0018)."""

    def __init__(self, repliers: Mapping[str, Replier], others: ASGIApp, names: Names, turn: Turn) -> None:
        """Put the application together.

        Args:
            repliers: what replies, by exact path.
            others: answers everything else.
            names: under which the service answers.
            turn: when the server asks for bare replies.
        """
        self.repliers = repliers
        self.turn = turn
        self._others = others
        self._names = names

    def reply(self, scope: HTTPScope, source: Source) -> Coroutine[Any, Any, Reply]:
        """The reply to a request for one of the paths of `repliers`."""
        arrival.begin(None)  # a request that came right behind another has inherited that one's
        return (self.repliers[scope["path"]] if self._names.are_for(scope) else self._names.refuse)(scope, source)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"] in self.repliers:
            answer = await self.reply(scope, receive)
            await answer.send(send)
        else:
            await self._others(scope, receive, send)


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
    website = People(issuer, spoken, dialects, more=[numbers.run])
    base = urlsplit(issuer.settings.issuer).path
    aliases = _aliases(issuer, dialects)
    counted = {path: issuer.metrics.endpoint(_name(path, base)) for path in website.paths}
    unknown = issuer.metrics.endpoint(OTHER)

    async def pages(scope: HTTPScope, receive: Receive, send: Send) -> None:
        if scope["path"] in aliases:
            scope = {**scope, "path": aliases[scope["path"]]}
        send = arrivals.named(send, noting.note(scope))
        await website(scope, receive, Measured(send, counted.get(scope["path"], unknown)))

    machines = _machines(issuer, spoken, dialects, noting)
    repliers = _by_path(base, machines) | _publications(issuer, base)
    sometimes = {base + path.path: _where_spoken(path, elsewhere=pages) for path in machines if not path.is_standard}
    handlers = {**sometimes, metrics.PATH: numbers.handler(elsewhere=pages)}
    lists = base + status.PATH
    status_lists = status.handler(issuer, lists)
    names = Names(issuer.settings, counted=unknown)

    async def others(scope: Scope, receive: Receive, send: Send) -> None:
        arrival.begin(None)
        if scope["type"] != "http":
            _watch_connections(issuer, scope)
            await website(scope, receive, send)
        elif not names.are_for(scope):
            refused = await names.refuse(scope, receive)
            await refused.send(send)
        else:
            path = scope["path"]
            handler = handlers.get(path) or (status_lists if status.is_below(path, lists) else pages)
            await handler(scope, receive, send)

    app = Application(repliers, others, names, Turn(issuer.together, issuer.look_again))
    return _traced(app, issuer, base, (*repliers, *handlers, *counted)) if issuer.settings.tracing else app


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


def _machines(issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect], noting: Arrivals) -> Sequence[api.Path]:
    """Every path that machines call in some dialect."""
    paths = {endpoint.path for dialect in dialects.values() for endpoint in dialect.endpoints}
    return [api.Path(issuer, spoken, noting, path, dialects) for path in paths]


def _by_path(base: str, machines: Sequence[api.Path]) -> dict[str, Replier]:
    """What replies at paths that are always there. An issuer with a path has them below it (RFC 8414 section 3.1)."""
    return {base + path.path: path.reply for path in machines if path.is_standard}


def _publications(issuer: Issuer, base: str) -> dict[str, Replier]:
    """What replies for documents, which stand below an issuer's path and also before it."""
    found: dict[str, Replier] = {}
    for publication in publications.PUBLICATIONS:
        replier = publications.replier(issuer, publication)
        found |= {base + publication.path: replier, publication.path + base: replier}
    return found


def _where_spoken(path: api.Path, elsewhere: Handler) -> Handler:
    """A path that is there while some realm speaks a dialect that has it."""

    async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
        try:
            is_there = path.is_there()
        except OAuthError:
            is_there = True  # which the path itself says in its own words
        if is_there:
            answer = await path.reply(scope, receive)
            await answer.send(send)
        else:
            await elsewhere(scope, receive, send)

    return handle


def _aliases(issuer: Issuer, dialects: Mapping[str, Dialect]) -> dict[str, str]:
    """Other spellings of pages' paths, and what they mean."""
    base = urlsplit(issuer.settings.issuer).path
    pages = [page for dialect in dialects.values() for page in dialect.pages]
    return {base + alias: base + page.path for page in pages for alias in page.aliases}
