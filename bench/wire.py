"""Requests as bytes, made before anything is measured, and single requests for everything that is not."""

from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

FORM: Final = "application/x-www-form-urlencoded"
TIMEOUT_IN: Final = 30.0


class Message(Struct, frozen=True, kw_only=True):
    """One HTTP request."""

    method: str = "GET"
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def encode(self) -> bytes:
        """The request as it goes over the wire, on a connection that is kept."""
        head = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.method == "POST":
            head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + self.body


def post(path: str, *, authorization: str | None = None, **form: str) -> Message:
    """A form."""
    headers = {"Content-Type": FORM}
    if authorization is not None:
        headers["Authorization"] = authorization
    return Message(method="POST", path=path, headers=headers, body=urlencode(form).encode("ascii"))


def basic(client_id: str, secret: str) -> str:
    """The Authorization header of a client."""
    return "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode("ascii")


def ask(port: int, message: Message) -> bytes:
    """The body of one answer.

    Raises:
        OSError: nobody answers.
        AssertionError: the answer is not 2xx.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_IN)
    try:
        connection.request(message.method, message.path, message.body, dict(message.headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    assert 200 <= response.status < 300, f"{message.path} answered {response.status}: {body[:300]!r}"
    return body
