"""A web server on a free port of 127.0.0.1 that says whatever it is told to say, to GET and POST alike."""

from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs

from msgspec import Struct

JSON: Final = "application/json"


class Saying(Struct, frozen=True, kw_only=True):
    """One answer."""

    status: int = 200
    body: bytes = b"{}"
    media_type: str = JSON
    headers: dict[str, str] = {}


class Asked(Struct, frozen=True, kw_only=True):
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    form: dict[str, list[str]]


class Liar:
    """Says `saying` to everybody; `hangs` makes it read requests and never answer them."""

    def __init__(self, saying: Saying | None = None) -> None:
        self.saying = saying or Saying()
        self.by_path: dict[str, Callable[[Asked], Saying]] = {}
        """What is said at a path instead."""
        self.hangs = False
        self.asked: list[Asked] = []
        self._released = Event()
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("GET")

            def do_POST(self) -> None:
                self._answer("POST")

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

            def _answer(self, method: str) -> None:
                form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(method=method, path=self.path, headers=headers, form=form)
                liar.asked.append(asked)
                if liar.hangs:
                    liar._released.wait(30)
                tell = liar.by_path.get(self.path)
                say = liar.saying if tell is None else tell(asked)
                with suppress(ConnectionError):
                    self.send_response(say.status)
                    for name, value in {"Content-Type": say.media_type, **say.headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(say.body)))
                    self.end_headers()
                    self.wfile.write(say.body)

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def release(self) -> None:
        """Let go of whoever waits, and hang no more."""
        self.hangs = False
        self._released.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
