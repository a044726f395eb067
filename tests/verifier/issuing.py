"""An issuer that publishes keys over real HTTP and signs tokens; with every way to misbehave that the tests need."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from jwtauth.keyring import jws
from jwtauth.keyring.jws import SigningKey
from jwtauth.verifier import Verifier

AUDIENCE = "https://reports.example.com"
NOW = 1_900_000_000
METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/jwks.json"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += seconds


class Answer:
    """What the server says instead of the truth."""

    def __init__(self, status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers or {}


class Issuing:
    """An issuer on a free port of 127.0.0.1."""

    def __init__(self, path: str = "", key: SigningKey | None = None) -> None:
        self.path = path
        self.clock = Clock()
        self.monotonic = Clock(1000)
        self.key = key or jws.generate("ES256")
        self.published: list[Any] = [self.key.jwk]
        self.cache_control = "max-age=300"
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        self.drip = False
        self.gate = Event()
        self.gate.set()
        self.requests: list[str] = []
        self._server = self._serve(0)
        self._port = self._server.server_address[1]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def issuer(self) -> str:
        return self.origin + self.path

    @property
    def jwks_uri(self) -> str:
        return self.origin + JWKS

    @property
    def fetches(self) -> int:
        """How often the keys were asked for."""
        return self.requests.count(JWKS)

    def verifier(self, **options: Any) -> Verifier:
        options = {"now": self.clock, "monotonic": self.monotonic, **options}
        return Verifier(options.pop("issuer", self.issuer), options.pop("audience", AUDIENCE), **options)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to `...` leaves one out."""
        claims = {
            "iss": self.issuer,
            "sub": "u-5f1c",
            "aud": AUDIENCE,
            "exp": NOW + 300,
            "iat": NOW,
            "jti": "t-1",
            "client_id": "app",
            "scope": "reports:read reports:write",
            "authorities": ["ROLE_USER"],
            "username": "alice",
            "uid": 7,
            "status": {"status_list": {"idx": 4, "uri": f"{self.issuer}/oauth/status/1-0"}},
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not ...}

    def token(self, *, typ: str = "at+jwt", key: SigningKey | None = None, **changes: Any) -> str:
        return (key or self.key).sign(json.dumps(self.claims(**changes)).encode(), typ=typ)

    def token_of(self, claims: dict[str, Any]) -> str:
        """These claims, truly signed, whatever they are."""
        return self.key.sign(json.dumps(claims).encode(), typ="at+jwt")

    def rotate(self, algorithm: str = "ES256") -> None:
        """Sign with a new key from now on; both are published."""
        self.key = jws.generate(algorithm)
        self.published.append(self.key.jwk)

    def stop(self) -> None:
        """Be unreachable: connections are refused."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def restart(self) -> None:
        """Be reachable again at the same address."""
        self._server = self._serve(self._port)

    def answer(self, path: str) -> Answer:
        if path in self.answers:
            return self.answers[path]
        if path == METADATA + self.path:
            metadata = {"issuer": self.issuer, "jwks_uri": self.jwks_uri, **self.metadata}
            return Answer(body=json.dumps(metadata).encode())
        if path == JWKS:
            body = json.dumps({"keys": self.published}).encode()
            return Answer(body=body, headers={"Cache-Control": self.cache_control})
        return Answer(404)

    def _serve(self, port: int) -> ThreadingHTTPServer:
        issuing = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuing.requests.append(self.path)
                answer = issuing.answer(self.path)
                issuing.gate.wait(10)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self._drip()
                self.end_headers()
                try:
                    self.wfile.write(answer.body)
                except OSError:
                    self.close_connection = True  # the verifier hung up, as it should on too long an answer

            def _drip(self) -> None:
                for number in range(100):
                    if not issuing.drip:
                        return
                    self.send_header(f"X-{number}", "slowly")
                    try:
                        self.flush_headers()
                    except OSError:
                        return
                    time.sleep(0.05)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server


def assemble(header: bytes | dict[str, Any], payload: bytes | dict[str, Any], signature: bytes) -> str:
    """A compact JWS of any parts."""
    segments = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload, signature))
    return ".".join(encode(segment) for segment in segments)


def encode(raw: bytes) -> str:
    """Canonical base64url."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether something that happens in the background happens within 5 seconds."""
    deadline = time.monotonic() + 5
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
