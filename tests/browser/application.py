"""The application that people sign in to: a real HTTP server on a loopback port, which shows what it was sent."""

import json
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit


class Application:
    """Listens from the start, on a port that the system chooses."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        """By path: what is served beside its pages."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.files))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.foreign_url = f"http://localhost:{self.port}"
        """The same server as another site, which browsers tell apart by the host."""
        self.callback = f"{self.url}/callback"
        self.forwarding = f"{self.url}/forward"
        """A callback that sends the browser on to another origin, as many applications do."""
        self.goodbye = f"{self.url}/goodbye"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """What was sent is shown as JSON; /send is a page whose button posts its query to the URL `to`."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/forward":
                self._forward(parts.query)
            elif parts.path == "/send":
                self._answer(200, _form(parse_qsl(parts.query)))
            elif parts.path in files:
                self._answer(200, files[parts.path], kind=_TYPES[parts.path.rpartition(".")[2]])
            else:
                self._show(parts.query)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"])).decode()
            if self.path == "/forward":
                self._forward(sent)
            else:
                self._show(sent)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is logged."""

        def _forward(self, encoded: str) -> None:
            host = str(self.headers["host"]).replace("127.0.0.1", "localhost")
            self._answer(303, b"", location=f"http://{host}/callback?{encoded}")

        def _show(self, encoded: str) -> None:
            sent = {name: values if len(values) > 1 else values[0] for name, values in parse_qs(encoded).items()}
            shown = json.dumps({"method": self.command, "sent": sent})
            self._answer(200, _page("The application", f"<pre>{escape(shown)}</pre>"))

        def _answer(self, status: int, body: bytes, *, kind: str = "text/html", location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

    return Handler


_TYPES = {"js": "text/javascript", "html": "text/html"}


def _page(title: str, body: str) -> bytes:
    head = f'<!doctype html><html lang="en"><title>{title}</title><link rel="icon" href="data:,">'
    return f"{head}<h1>{title}</h1>{body}".encode()


def _form(pairs: list[tuple[str, str]]) -> bytes:
    to = dict(pairs)["to"]
    hidden = [
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in pairs if name != "to"
    ]
    return _page("Sending", f'<form method="post" action="{escape(to)}">{"".join(hidden)}<button>Send</button></form>')
