"""A client's web server on a free port of 127.0.0.1, with every way to misbehave that the tests need."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs

from msgspec import Struct

AMPLE_IN: Final = 10
"""What takes longer than this, in seconds, will never happen."""


class Received(Struct, frozen=True, kw_only=True):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    form: dict[str, list[str]]


class Receiver:
    """Takes posted forms. What it does with the next request is in its attributes."""

    def __init__(self, host: str = "127.0.0.1", *, certificate: Path | None = None) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.hangs = False
        """Reads the request and never answers it."""
        self.body: Callable[[], bytes] | None = None
        """Called for one piece of an endless body after the other."""
        self.received: list[Received] = []
        self.released = Event()
        """Lets go of whatever hangs."""
        self.at_once = 0
        """Requests that hang now."""
        self.most_at_once = 0
        self._lock = Lock()
        self._host = host
        self._certificate = certificate
        self._server = self._serve(0)
        self._port: int = self._server.server_address[1]

    @property
    def origin(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._certificate else 'http'}://{host}:{self._port}"

    @property
    def uri(self) -> str:
        return f"{self.origin}/logout"

    @property
    def tokens(self) -> list[str]:
        """The logout tokens received, in order."""
        return [token for request in self.received for token in request.form.get("logout_token", [])]

    def drip(self) -> bytes:
        """A body of one byte now and then: a limit between two bytes would wait for ever."""
        self.released.wait(0.02)
        return b"x"

    def silence(self) -> bytes:
        """A body that was announced and never comes."""
        self.released.wait(30)
        return b""

    def stop(self) -> None:
        """Be unreachable: connections are refused."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def restart(self) -> None:
        """Be reachable again at the same address."""
        self.released.clear()
        self._server = self._serve(self._port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, port: int) -> ThreadingHTTPServer:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                form = parse_qs(self.rfile.read(length).decode(), strict_parsing=True)
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._note(Received(path=self.path, headers=headers, form=form))
                if receiver.hangs:
                    receiver.released.wait(30)
                receiver._forget()
                with suppress(ConnectionError):
                    self._answer()

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

            def _answer(self) -> None:
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                while receiver.body is not None and not receiver.released.is_set():
                    self.wfile.write(receiver.body())

        class Server(ThreadingHTTPServer):
            address_family = AF_INET6 if ":" in receiver._host else ThreadingHTTPServer.address_family
            request_queue_size = 128

        server = Server((self._host, port), Handler)
        if self._certificate:
            context = SSLContext(PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            server.socket = context.wrap_socket(  # who connects and says nothing must not hold up the others
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def _note(self, request: Received) -> None:
        with self._lock:
            self.received.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)

    def _forget(self) -> None:
        with self._lock:
            self.at_once -= 1


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds, which some thread or process will bring about."""
    async with asyncio.timeout(AMPLE_IN):
        while not condition():  # noqa: ASYNC110 - whoever brings it about knows no event of this loop
            await asyncio.sleep(0.01)
