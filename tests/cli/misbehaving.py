"""A proxy before a service, on a port of 127.0.0.1: it passes everything on as it is, but for what a test has it do."""

import http.client
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Event, Thread
from typing import Final, Self

from msgspec import Struct

Headers = dict[str, str]

_OF_ONE_HOP: Final = {"connection", "transfer-encoding", "content-length"}


class Passed(Struct, kw_only=True):
    """A request on its way to the service, or the answer on its way back; hooks change it."""

    method: str
    path: str
    headers: Headers
    """By their names in lower case."""
    body: bytes
    status: int = 0
    """0 until there is an answer: a request that has one is not passed on."""


Hook = Callable[[Passed], None]


def leave(passed: Passed) -> None:
    """The hook that changes nothing."""


class Proxy:
    """Passes requests on to `target`."""

    def __init__(self, *, certificate: Path | None = None) -> None:
        self.target = 0
        """The port of the service on 127.0.0.1."""
        self.request: Hook = leave
        self.answer: Hook = leave
        self.holds_streams_back = False
        self._released = Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65_537)
                if self.raw_requestline and self.parse_request():
                    with suppress(OSError):
                        proxy._pass_on(self)

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Silent: who asks may hang up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = SSLContext(PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(  # who connects and says nothing must not hold up the others
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def behave(self) -> None:
        """Pass everything on as it is again."""
        self.request = self.answer = leave
        self.holds_streams_back = False

    def _pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.pop("content-length", "0")))
        passed = Passed(method=handler.command, path=handler.path, headers=headers, body=body)
        self.request(passed)
        if passed.status:
            _send(handler, passed)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=30)
        sent = {name: value for name, value in passed.headers.items() if name not in _OF_ONE_HOP}
        connection.request(passed.method, passed.path, passed.body or None, sent)
        response = connection.getresponse()
        passed.status = response.status
        passed.headers = {name.lower(): value for name, value in response.getheaders()}
        if passed.headers.get("content-type") == "text/event-stream":
            if self.holds_streams_back:
                self._released.wait(30)
            passed.body = response.read1()
        else:
            passed.body = response.read()
        connection.close()
        self.answer(passed)
        _send(handler, passed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


def _send(handler: BaseHTTPRequestHandler, passed: Passed) -> None:
    handler.send_response_only(passed.status)
    for name, value in passed.headers.items():
        if name not in _OF_ONE_HOP:
            handler.send_header(name, value)
    handler.send_header("content-length", str(len(passed.body)))
    handler.send_header("connection", "close")
    handler.end_headers()
    handler.wfile.write(passed.body)
