"""HTTP as bytes, on one connection to a running service."""

import json
import socket

from jwtauth.web.reply import JSON, NO_STORE
from tests.web.site import Site

Answer = tuple[int, bytes]
"""Status and body."""


class Wire:
    """One connection, raw."""

    def __init__(self, site: Site) -> None:
        self.socket = socket.create_connection(("127.0.0.1", site.server.port), timeout=5)
        self.file = self.socket.makefile("rb")
        self.fields: list[tuple[bytes, bytes]] = []
        """Of the last answer."""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *problem: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return  # the server has said what it had to say and closed

    def answer(self, *, has_body: bool = True) -> Answer:
        """The next final answer: status and body."""
        status = 100
        while status < 200:
            status = int(self.file.readline().split()[1])
            self.fields = self._fields()
        return status, self.file.read(int(dict(self.fields).get(b"content-length", b"0"))) if has_body else b""

    def assert_refuses(self, status: int) -> None:
        """The next answer is made by the server itself, as all refusals are (RFC 6749 section 5.2), and the last."""
        answered, body = self.answer()
        assert answered == status
        told = json.loads(body)
        assert told.keys() == {"error", "error_description"}
        assert told["error"] == ("temporarily_unavailable" if status == 503 else "invalid_request")
        assert {*NO_STORE, JSON, (b"connection", b"close")} <= set(self.fields)
        assert status >= 500 or b"date" in dict(self.fields)  # RFC 9110 section 6.6.1

    def is_closed(self) -> bool:
        """Whether the server has closed; waits for it as long as the time limit of the socket."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _fields(self) -> list[tuple[bytes, bytes]]:
        found = []
        while (line := self.file.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.partition(b":")
            found.append((name.lower(), value.strip()))
        return found
