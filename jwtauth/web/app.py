"""One ASGI callable: machines' endpoints on the shortest path, everything else through Litestar.

Machines' paths are few, exact and hot: a dictionary finds them, and no layer stands between the HTTP server and the
story (docs/decisions/0001-machines-beside-litestar.md has the figures).
"""

from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from jwtauth.issuer.issuer import Issuer
from jwtauth.web import api, hosts, people, status
from jwtauth.web.asgi import Handler


def create(issuer: Issuer) -> ASGIApp:
    """The application of one issuer. It closes the issuer when the server shuts down."""
    machines = _machines(issuer)
    lists = f"{urlsplit(issuer.settings.issuer).path}{status.PATH}"
    status_lists = status.handler(issuer, lists)
    litestar = people.create(issuer)
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
        await litestar(scope, receive, send)

    return app


def _machines(issuer: Issuer) -> dict[str, Handler]:
    """Handlers by exact path. An issuer with a path has its endpoints below it (RFC 8414 section 3.1)."""
    base = urlsplit(issuer.settings.issuer).path
    handlers = {base + endpoint.path: api.endpoint_handler(issuer, endpoint) for endpoint in api.ENDPOINTS}
    for publication in api.PUBLICATIONS:
        handler = api.publication_handler(issuer, publication)
        handlers[base + publication.path] = handler
        handlers[publication.path + base] = handler
    return handlers
