"""An issuer that publishes keys and status lists over real HTTP and signs tokens; it misbehaves in every way needed."""

import gzip
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from jwtauth.keyring import jws
from jwtauth.keyring.jws import SigningKey
from jwtauth.protocol import status_list
from jwtauth.protocol.status_list import MAX_LENGTH
from jwtauth.verifier import Verifier

AUDIENCE = "https://reports.example.com"
NOW = 1_900_000_000
METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/jwks.json"
LIST = "/oauth/status/1-0"
EVENTS = "/oauth/status/events"


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
    """An issuer on a free port of 127.0.0.1; its clocks stand, unless it is live."""

    def __init__(self, path: str = "", key: SigningKey | None = None, *, is_live: bool = False) -> None:
        self.path = path
        self.clock = Clock()
        self.monotonic = Clock(1000)
        self.clocks: dict[str, Any] = {} if is_live else {"now": self.clock, "monotonic": self.monotonic}
        self.now: Callable[[], float] = time.time if is_live else self.clock
        self.born_at = int(self.now())
        self.key = key or jws.generate("ES256")
        self.published: list[Any] = [self.key.jwk]
        self.cache_control = "max-age=300"
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        self.lists = {LIST: bytearray(MAX_LENGTH)}
        self.ttl = 15
        self.list_claims: dict[str, Any] = {}
        self.list_type = "statuslist+jwt"
        self.list_key: SigningKey | None = None
        self.has_gzip = False
        self.has_events = False
        self._streams: list[SimpleQueue[bytes]] = []
        self.verifiers: list[Verifier] = []
        self.drip = False
        self.gate = Event()
        self.gate.set()
        self.requests: list[str] = []
        self.statuses: list[tuple[str, int]] = []
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

    @property
    def polls(self) -> int:
        """How often the first list was asked for."""
        return self.requests.count(self.path + LIST)

    @property
    def streams(self) -> int:
        """How many verifiers are listening."""
        return len(self._streams)

    def verifier(self, **options: Any) -> Verifier:
        options = {**self.clocks, **options}
        verifier = Verifier(options.pop("issuer", self.issuer), options.pop("audience", AUDIENCE), **options)
        self.verifiers.append(verifier)
        return verifier

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to `...` leaves one out."""
        claims = {
            "iss": self.issuer,
            "sub": "u-5f1c",
            "aud": AUDIENCE,
            "exp": self.born_at + 300,
            "iat": self.born_at,
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

    def old_token(self, idx: int = 4, uri: str = "", **changes: Any) -> str:
        """A good token, older than any `ttl`, with its place in a list."""
        status = {"status_list": {"idx": idx, "uri": uri or f"{self.issuer}{LIST}"}}
        return self.token(**{"iat": self.born_at - 200, "status": status, **changes})

    def revoke(self, idx: int = 4, path: str = LIST) -> None:
        """Set a token's bit, and tell who listens."""
        self.lists[path][idx >> 3] |= 1 << (idx & 7)
        self.tell(f'event: changed\ndata: {{"uri":"{self.issuer}{path}"}}\n\n'.encode())

    def tell(self, text: bytes) -> None:
        """Send something to everybody who listens."""
        for stream in self._streams:
            stream.put(text)

    def token_of(self, claims: dict[str, Any]) -> str:
        """These claims, truly signed, whatever they are."""
        return self.key.sign(json.dumps(claims).encode(), typ="at+jwt")

    def rotate(self, algorithm: str = "ES256") -> None:
        """Sign with a new key from now on; both are published."""
        self.key = jws.generate(algorithm)
        self.published.append(self.key.jwk)

    def stop(self) -> None:
        """Be unreachable: connections are refused, streams end."""
        self.gate.set()
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()

    def end(self) -> None:
        """Close every verifier, and be gone."""
        for verifier in self.verifiers:
            verifier.close()
        self.stop()

    def hang_up(self) -> None:
        """End every stream."""
        self.tell(b"")

    def restart(self) -> None:
        """Be reachable again at the same address."""
        self._server = self._serve(self._port)

    def answer(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        if path in self.answers:
            return self.answers[path]
        if path == METADATA + self.path:
            metadata = {"issuer": self.issuer, "jwks_uri": self.jwks_uri, **self.metadata}
            return Answer(body=json.dumps(metadata).encode())
        if path == JWKS:
            body = json.dumps({"keys": self.published}).encode()
            return Answer(body=body, headers={"Cache-Control": self.cache_control})
        if path.removeprefix(self.path) in self.lists:
            return self._list(path.removeprefix(self.path), headers or {})
        return Answer(404)

    def list_token(self, path: str = LIST, **changes: Any) -> bytes:
        """The Status List Token of a list, as it is now."""
        statuses = bytes(self.lists[path])
        uri, now = self.issuer + path, int(self.now())
        made = status_list.make(statuses, uri=uri, lifetime_in=600, ttl=self.ttl, now=now)
        claims = {
            "sub": made.sub,
            "iat": made.iat,
            "exp": made.exp,
            "ttl": made.ttl,
            "status_list": {"bits": 1, "lst": made.status_list.lst},
            **self.list_claims,
            **changes,
        }
        payload = json.dumps({name: value for name, value in claims.items() if value is not ...}).encode()
        return (self.list_key or self.key).sign(payload, typ=self.list_type).encode()

    def _list(self, path: str, headers: Mapping[str, str]) -> Answer:
        etag = f'"{hash((path, bytes(self.lists[path]), self.key.kid))}"'
        if headers.get("if-none-match") == etag:
            return Answer(304, headers={"ETag": etag})
        body, sent = self.list_token(path), {"ETag": etag, "Cache-Control": "max-age=0"}
        if self.has_gzip and "gzip" in headers.get("accept-encoding", ""):
            return Answer(body=gzip.compress(body), headers={**sent, "Content-Encoding": "gzip"})
        return Answer(body=body, headers=sent)

    def _serve(self, port: int) -> ThreadingHTTPServer:
        issuing = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuing.requests.append(self.path)
                if self.path == EVENTS and issuing.has_events:
                    self._stream()
                    return
                answer = issuing.answer(self.path, {name.lower(): value for name, value in self.headers.items()})
                issuing.gate.wait(10)
                issuing.statuses.append((self.path, answer.status))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self._drip()
                self.end_headers()
                try:
                    self.wfile.write(answer.body)
                except OSError:
                    self.close_connection = True  # the verifier hung up, as it should on too long an answer

            def _stream(self) -> None:
                stream: SimpleQueue[bytes] = SimpleQueue()
                issuing._streams.append(stream)
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                try:
                    while text := self._next(stream):
                        self.wfile.write(text)
                except OSError:
                    self.close_connection = True
                issuing._streams.remove(stream)

            def _next(self, stream: SimpleQueue[bytes]) -> bytes:
                try:
                    return stream.get(timeout=0.2)
                except Empty:
                    return b": still here\n\n"

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
