"""Whatever is sent over a connection, the service says no and goes on (SECURITY D-01, D-02, D-06, H-05, H-06, H-11)."""

import random
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import pytest

from tests.support.home import SECRET
from tests.web.people import Service, populate
from tests.web.site import FORM, basic

REQUESTS: Final = 300
"""Connections, times `--soak`."""

TIMEOUT_IN: Final = 30.0
"""An answer that takes longer is a hang, in seconds."""

METHODS: Final = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "PRI", "\x00")
FIELDS: Final = (
    "Host",
    "Authorization",
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "Cookie",
    "Origin",
    "Accept-Language",
    "Accept-Encoding",
    "If-None-Match",
    "Sec-Fetch-Site",
    "X-Forwarded-For",
    "Expect",
    "Connection",
    "Upgrade",
    "Range",
)
PAGES: Final = ("/", "/login", "/account", "/oauth/authorize", "/oauth/logout", "/oauth/status", "/oauth/status/1-0")
NAMES: Final = (
    *(
        "grant_type",
        "client_id",
        "client_secret",
        "code",
        "refresh_token",
        "token",
        "scope",
        "resource",
        "redirect_uri",
    ),
    *("response_type", "state", "claims", "prompt", "max_age", "id_token_hint", "ui_locales", "request", "said"),
)
VALUES: Final = (
    *("", "authorization_code", "client_credentials", "refresh_token", "password", "code", "web", "service", "openid"),
    *("https://app.example/callback", "a.b.c", "rt_" + "A" * 48, "ac_" + "A" * 48, "-1", "9" * 5_000, "none login"),
    *('{"id_token":{"sub":{"value":1}}}', "[" * 3_000, "\x00", "%", "é\u2028\r\nX: y", "' OR 1=1 --", "a" * 20_000),
)
WORDS: Final = (
    *("", "*", "chunked", "identity", "100-continue", "close", "keep-alive, Upgrade", "websocket", "gzip;q=0, *", "W/"),
    *("x", "127.0.0.1", "evil.example", "application/json", "multipart/form-data; boundary=x", FORM, "0", "5", "-1"),
    *(
        "Basic",
        "Basic !!!",
        "Bearer a.b.c",
        basic("service", SECRET),
        "bytes=0-",
        "null",
        "de-CH,*;q=0",
        "a=b; c" * 400,
    ),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("raw"), body_timeout=1)
    populate(service)
    service.home.client("service")
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


class Sender:
    """Makes requests up, always the same ones in the same order."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = [*paths, *PAGES]
        self._chance = random.Random(2)

    def request(self) -> bytes:
        """Mostly one that is nearly right; sometimes with bytes changed at random."""
        body = self._form() if self._chance.random() < 0.6 else self._chance.randbytes(self._chance.randint(0, 300))
        head = f"{self._chance.choice(METHODS)} {self._target()} HTTP/1.1\r\n{self._fields(len(body))}\r\n"
        sent = bytearray(head.encode("utf-8", "replace") + body)
        for _ in range(self._chance.choice((0, 0, 0, 1, 5))):
            sent[self._chance.randrange(len(sent))] = self._chance.randrange(256)
        return bytes(sent)

    def _target(self) -> str:
        path = self._chance.choice(self._paths)
        if self._chance.random() < 0.2:
            path = self._chance.choice((f"/{path}", path.upper(), f"{path}/..", f"{path}%00", quote(path, safe="")))
        return path if self._chance.random() < 0.5 else f"{path}?{self._form().decode()[:4_000]}"

    def _form(self) -> bytes:
        names = self._chance.choices(NAMES, k=self._chance.randint(0, 8))
        pairs = [f"{name}={self._quoted(self._chance.choice(VALUES))}" for name in names]
        return "&".join(pairs).encode("utf-8", "replace")

    def _quoted(self, value: str) -> str:
        return value.replace("\r", "").replace("\n", "") if self._chance.random() < 0.1 else quote(value, safe="")

    def _fields(self, length: int) -> str:
        fields = {"Host": "127.0.0.1", "Content-Type": FORM, "Content-Length": str(length)}
        for name in self._chance.choices(FIELDS, k=self._chance.choice((0, 1, 1, 3))):
            fields[name] = self._chance.choice(WORDS)
        return "".join(f"{name}: {value}\r\n" for name, value in fields.items())


def answered(service: Service, sent: bytes) -> int:
    """The status of the first answer; 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", service.server.port), timeout=TIMEOUT_IN) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            line = connection.makefile("rb").readline()
        except (BrokenPipeError, ConnectionResetError):
            return 0
    return int(line.split()[1]) if line else 0


def test_no_bytes_break_the_service(service: Service, scale: int) -> None:
    """No 5xx but 503, no traceback in the log, and ready for the next one."""
    sender = Sender(list(service.http.get("/openapi.json").json()["paths"]))
    statuses: Counter[int] = Counter()
    for _ in range(REQUESTS * scale):
        sent = sender.request()
        status = answered(service, sent)
        assert status < 500 or status == 503, (status, sent)
        statuses[status] += 1
    assert service.http.get("/readyz").status_code == 200
    assert {200, 400, 401, 404, 405} <= statuses.keys(), "what is sent is not varied enough to mean anything"
    lines = service.server.log.read_text().splitlines()
    assert max(map(len, lines)) < 2_000
