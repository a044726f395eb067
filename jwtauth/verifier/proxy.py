"""`jwtauth-verify-proxy`: asks for a good token in the place of whatever stands behind nginx, Caddy or Traefik.

    jwtauth-verify-proxy --issuer https://id.example.com --audience https://reports.example.com --require-scope read

Every GET and HEAD, whatever its path, is answered by its Authorization header: 204 with `X-Auth-Subject`,
`X-Auth-Client`, `X-Auth-Scope` and `X-Auth-Authorities`, or 400, 401, 403, 503 with what the client must be told.
Listen where only the web server can reach it, and let that overwrite these headers on their way to the application.
"""

import argparse
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import punctuation
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Any, Final
from urllib.parse import quote

from jwtauth.errors import OAuthError
from jwtauth.verifier.claims import Claims
from jwtauth.verifier.gate import Answer, Gate, Unauthenticated
from jwtauth.verifier.unavailable import Unavailable
from jwtauth.verifier.verifier import Verifier

MAX_CONNECTIONS: Final = 256
"""Connections served at once, each by a thread; one more waits for QUEUE_IN seconds and is closed then."""

QUEUE_IN: Final = 1

IDLE_IN: Final = 75
"""A connection that sends nothing for so many seconds is closed; longer than web servers keep theirs."""

_PRINTABLE: Final = punctuation.replace("%", "")


class Server(ThreadingHTTPServer):
    """Answers for one gate; bounded, and it stops without breaking off an answer."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], gate: Gate) -> None:
        """Listen at once; nothing is answered before `serve_forever`."""
        self.gate = gate
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._slots = BoundedSemaphore(MAX_CONNECTIONS)
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, as soon as there is room."""
        if not self._slots.acquire(timeout=QUEUE_IN):
            self.shutdown_request(request)
            return
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """A connection from its first to its last request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)
            self._slots.release()

    def stop(self) -> None:
        """Accept nothing any more, finish what was asked, and end every connection."""
        self.shutdown()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_IN
    wbufsize = -1  # an answer leaves in one piece
    server: Server

    def do_GET(self) -> None:
        """Whether whoever sent this may pass."""
        answer = _judge(self.server.gate, self.headers.get_all("authorization", []))
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(answer.body)))
        if self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers:
            self.send_header("connection", "close")  # a body is not read, and must not be taken for a request
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def do_HEAD(self) -> None:
        """The same without a body."""
        self.do_GET()

    def version_string(self) -> str:
        """No banner."""
        return "jwtauth-verify-proxy"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the web server in front has an access log, and tokens belong in none."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        verifier = _verifier(options)
        gate = Gate(verifier, scope=options.scope, authorities=options.authority, resource=options.resource)
    except ValueError as problem:
        parser.error(str(problem))
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with verifier:
        server = Server(options.listen, gate)
        Thread(target=server.serve_forever, name="jwtauth-proxy", daemon=True).start()
        stopping.wait()
        server.stop()


def _judge(gate: Gate, authorization: Sequence[str]) -> Answer:
    try:
        claims = gate.admit(authorization)
    except (OAuthError, Unauthenticated, Unavailable) as problem:
        return gate.refusal(problem)
    return Answer(status=204, headers=_identity(claims), body=b"")


def _identity(claims: Claims) -> list[tuple[str, str]]:
    """Who passed. What a header cannot hold, and a percent sign, is percent-encoded; lists are separated by spaces."""
    return [
        ("x-auth-subject", _header(claims.subject)),
        ("x-auth-client", _header(claims.client_id)),
        ("x-auth-scope", _header(*claims.scope)),
        ("x-auth-authorities", _header(*claims.authorities)),
    ]


def _header(*values: str) -> str:
    return " ".join(quote(value, safe=_PRINTABLE) for value in values)


def _verifier(options: argparse.Namespace) -> Verifier:
    return Verifier(
        options.issuer,
        options.audience,
        jwks_uri=options.jwks_uri,
        status=options.status,
        stale_for=options.stale_for,
        when_unreachable=options.when_unreachable,
        push=options.push,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jwtauth-verify-proxy",
        description="Forward authentication for nginx (auth_request), Caddy (forward_auth) and Traefik (forwardAuth).",
    )
    parser.add_argument("--issuer", required=True, metavar="URL", help="the issuer, exactly as it names itself")
    parser.add_argument("--audience", required=True, metavar="URL", help="what tokens for you carry in aud, exactly")
    parser.add_argument(
        "--require-scope",
        dest="scope",
        action="append",
        default=[],
        metavar="VALUE",
        help="repeatable; all are needed",
    )
    parser.add_argument(
        "--require-authority", dest="authority", action="append", default=[], metavar="ROLE", help="likewise"
    )
    parser.add_argument("--resource", metavar="URL", help="what you protect, as clients know it; named in challenges")
    parser.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 9000), metavar="HOST:PORT", help="default: 127.0.0.1:9000"
    )
    parser.add_argument("--jwks-uri", metavar="URL", help="where the keys are, if not to be looked up")
    parser.add_argument(
        "--stale-for",
        type=float,
        default=3600,
        metavar="SECONDS",
        help="how long keys and lists are used while the issuer cannot be asked; default: 3600",
    )
    parser.add_argument(
        "--when-unreachable", choices=("refuse", "accept"), default="refuse", help="after that; default: refuse"
    )
    parser.add_argument("--push", action="store_true", help="hear of revocations at once, by a stream")
    parser.add_argument("--no-status", dest="status", action="store_false", help="do not see revocations")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("expected HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


if __name__ == "__main__":
    main()
