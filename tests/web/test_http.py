"""HTTP as attackers and odd clients speak it, byte by byte (RFC 9110, RFC 9112; SECURITY D, H)."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import uvicorn
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send
from uvicorn.server import ServerState

from jwtauth.web import http
from tests.support.home import SECRET
from tests.web.site import FORM, Site, basic

BODY = b"grant_type=client_credentials"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
HEADERS = f"Host: x\r\nAuthorization: {basic('service', SECRET)}\r\nContent-Type: {FORM}\r\n".encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
TE = b"Transfer-Encoding: chunked\r\n"

Answer = tuple[int, bytes]


def post(more: bytes = LENGTH, body: bytes = BODY) -> bytes:
    return b"POST /oauth/token HTTP/1.1\r\n" + HEADERS + more + b"\r\n" + body


def get(target: bytes, more: bytes = b"", method: bytes = b"GET") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (method, target, more)


class Wire:
    """One connection, raw."""

    def __init__(self, site: Site) -> None:
        self.socket = socket.create_connection(("127.0.0.1", site.server.port), timeout=5)
        self.file = self.socket.makefile("rb")

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
            fields = dict(self._fields())
        return status, self.file.read(int(fields.get(b"content-length", b"0"))) if has_body else b""

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


@pytest.fixture
def wire(site: Site) -> Callable[[], Wire]:
    return lambda: Wire(site)


@pytest.fixture(autouse=True)
def still_alive(site: Site) -> Iterator[None]:
    """Whatever a test did, the next request is answered as ever (SECURITY D-02)."""
    yield
    assert site.token({"grant_type": "client_credentials"}).status_code == 200


class TestFraming:  # RFC 9112 sections 6 and 7, SECURITY H-13
    @pytest.mark.parametrize(
        "request_",
        [
            pytest.param(post(LENGTH + TE, CHUNKED), id="length and chunks"),
            pytest.param(post(TE + LENGTH, CHUNKED), id="chunks and length"),
            pytest.param(post(LENGTH + LENGTH), id="length twice"),
            pytest.param(post(LENGTH + b"Content-Length: 5\r\n"), id="two lengths"),
            pytest.param(post(b"Content-Length: 29, 29\r\n"), id="list of lengths"),
            pytest.param(post(b"Content-Length: -1\r\n"), id="length below zero"),
            pytest.param(post(b"Content-Length: +29\r\n"), id="length with a sign"),
            pytest.param(post(b"Content-Length: 0x1d\r\n"), id="hexadecimal length"),
            pytest.param(post(b"Content-Length: 99999999999999999999999\r\n"), id="length beyond 64 bits"),
            pytest.param(post(b"Content-Length:\r\n"), id="length of nothing"),
            pytest.param(post(b"Content-Length : 29\r\n"), id="space before the colon"),
            pytest.param(post(b"Transfer-Encoding: xchunked\r\n", CHUNKED), id="unknown coding"),
            pytest.param(post(b"Transfer-Encoding: chunked, identity\r\n", CHUNKED), id="chunked not last"),
            pytest.param(post(b"Transfer-Encoding:\x0bchunked\r\n", CHUNKED), id="vertical tab"),
            pytest.param(post(TE + b"Transfer-Encoding: identity\r\n", CHUNKED), id="two codings"),
            pytest.param(post(TE, b"zz\r\n"), id="chunk of no size"),
            pytest.param(post(TE, b"-5\r\n"), id="chunk below zero"),
            pytest.param(post(TE, b"fffffffffffffffff\r\n"), id="chunk beyond 64 bits"),
            pytest.param(post(TE, b"5\r\ngrantXX0\r\n\r\n"), id="chunk without its end"),
            pytest.param(post().replace(b"\r\n", b"\n"), id="bare line feeds"),
            pytest.param(post(b"X: a\nContent-Length: 29\r\n"), id="one bare line feed"),
            pytest.param(post(b"X: a\r b\r\n" + LENGTH), id="bare carriage return"),
            pytest.param(post(b"X: a\r\n b\r\n" + LENGTH), id="folded line"),
            pytest.param(post(b"X: a\x00b\r\n" + LENGTH), id="NUL in a field"),
            pytest.param(post(b"X\x00: a\r\n" + LENGTH), id="NUL in a name"),
            pytest.param(post(b": a\r\n" + LENGTH), id="field without a name"),
            pytest.param(b"POST /oauth/token HTTP/9.9\r\n" + HEADERS + LENGTH + b"\r\n" + BODY, id="HTTP/9.9"),
            pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 by prior knowledge"),
            pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, id="TLS"),
            pytest.param(b"FOO /oauth/token HTTP/1.1\r\nHost: x\r\n\r\n", id="unknown method"),
            pytest.param(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
        ],
    )
    def test_that_can_be_read_in_two_ways_is_refused_and_closed(
        self, site: Site, wire: Callable[[], Wire], request_: bytes
    ) -> None:
        with site.writing_nothing(), wire() as connection:
            connection.send(request_ + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.answer()[0] == 400
            assert connection.is_closed(), "what follows must not be read as another request"

    @pytest.mark.parametrize(
        "request_",
        [
            pytest.param(post(), id="length"),
            pytest.param(post(TE, CHUNKED), id="chunks"),
            pytest.param(post(TE, b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"), id="many chunks"),
            pytest.param(post(TE, CHUNKED.replace(b"1d\r\n", b"1D;a=b\r\n")), id="chunk extension"),
            pytest.param(post(LENGTH + b"Expect: 100-continue\r\n"), id="100-continue"),
            pytest.param(post().replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
            pytest.param(post().replace(b" /oauth", b" http://evil.example/oauth"), id="absolute form"),
            pytest.param(post().replace(b"Host: x\r\n", b""), id="no Host"),
        ],
    )
    def test_that_is_clear_is_understood(self, wire: Callable[[], Wire], request_: bytes) -> None:
        with wire() as connection:
            connection.send(request_)
            status, body = connection.answer()
            assert status == 200
            assert "access_token" in json.loads(body)

    def test_of_requests_in_a_row_is_answered_in_their_order(self, wire: Callable[[], Wire]) -> None:
        with wire() as connection:
            connection.send(post() + get(b"/healthz") + post(body=BODY[:-1] + b"x") + post(TE, CHUNKED))
            assert [connection.answer()[0] for _ in range(4)] == [200, 200, 400, 200]

    def test_keeps_what_stands_behind_the_body_out_of_the_headers(self, wire: Callable[[], Wire]) -> None:
        """A trailer must not authenticate anybody: proxies that check headers do not look there."""
        trailing = CHUNKED.removesuffix(b"\r\n") + f"Authorization: {basic('service', SECRET)}\r\n\r\n".encode()
        anonymous = post(TE, trailing).replace(HEADERS, f"Host: x\r\nContent-Type: {FORM}\r\n".encode())
        with wire() as connection:
            connection.send(anonymous)
            assert connection.answer()[0] == 401
            connection.send(post(TE, trailing))
            assert connection.answer()[0] == 200


class TestSize:  # SECURITY D-01, J-11
    @pytest.mark.parametrize(
        "request_",
        [
            pytest.param(post(b"X: " + b"a" * 60_000 + b"\r\n" + LENGTH), id="60 kB field"),
            pytest.param(post(b"X: " + b"a" * 10_000_000 + b"\r\n" + LENGTH), id="10 MB field"),
            pytest.param(post(b"X" * 60_000 + b": a\r\n" + LENGTH), id="60 kB name"),
            pytest.param(post(b"X: a\r\n" * 100_000 + LENGTH), id="100,000 fields"),
            pytest.param(get(b"/healthz?" + b"a" * 60_000), id="60 kB query"),
            pytest.param(get(b"/" + b"a" * 10_000_000), id="10 MB path"),
        ],
    )
    def test_of_a_head_is_limited(self, wire: Callable[[], Wire], request_: bytes) -> None:
        began = time.monotonic()
        with wire() as connection:
            connection.send(request_)
            try:
                status = connection.answer()[0]
            except (ConnectionResetError, IndexError):
                status = 400  # closed while we were still sending
            assert status == 400
            assert connection.is_closed()
        assert time.monotonic() - began < 2

    def test_of_a_head_that_never_ends_is_limited(self, wire: Callable[[], Wire]) -> None:
        with wire() as connection:
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            for _ in range(64):
                connection.send(b"X: " + b"a" * 4096 + b"\r\n")
            assert connection.answer()[0] == 400
            assert connection.is_closed()

    def test_of_a_head_fits_the_longest_token(self, site: Site) -> None:
        response = site.http.get("/oauth/tokeninfo", params={"access_token": "a" * 16_384})
        assert response.status_code == 401

    def test_of_long_bodies_in_a_row_is_not_counted_as_head(self, wire: Callable[[], Wire]) -> None:
        body = BODY + b"&padding=" + b"a" * 60_000
        request = post(b"Content-Length: %d\r\n" % len(body), body)
        with wire() as connection:
            for _ in range(3):
                connection.send(request)
                assert connection.answer()[0] == 200
            connection.send(request + request)
            assert [connection.answer()[0] for _ in range(2)] == [200, 200]

    @pytest.mark.parametrize("more", [b"Content-Length: 70000\r\n", TE], ids=["length", "chunks"])
    def test_of_a_body_is_limited(self, site: Site, wire: Callable[[], Wire], more: bytes) -> None:
        body = b"a" * 70_000
        with site.writing_nothing(), wire() as connection:
            connection.send(post(more, body if more is not TE else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)))
            assert connection.answer()[0] == 413

    def test_of_a_body_that_never_comes_is_known_before_it_is_sent(self, wire: Callable[[], Wire]) -> None:
        with wire() as connection:
            connection.send(post(b"Content-Length: 1000000000\r\nExpect: 100-continue\r\n", b""))
            assert connection.answer()[0] == 413


class TestSpeed:  # SECURITY D-03
    def test_of_a_body_has_a_limit(self, site: Site, wire: Callable[[], Wire]) -> None:
        with site.writing_nothing(), wire() as connection:
            connection.send(post(b"Content-Length: 100\r\n"))
            status, body = connection.answer()
            assert (status, json.loads(body)["error"]) == (408, "invalid_request")
            assert connection.is_closed()

    def test_of_a_dripping_body_has_the_same_limit(self, wire: Callable[[], Wire]) -> None:
        with wire() as connection:
            connection.send(post(b"Content-Length: 100\r\n", b""))
            connection.socket.settimeout(0.2)
            began = time.monotonic()
            while time.monotonic() - began < 4:
                connection.send(b"a")
                try:
                    assert connection.socket.recv(12) == b"HTTP/1.1 408"
                    return
                except TimeoutError:
                    continue
            pytest.fail("a dripping body was waited for")

    def test_of_one_does_not_slow_the_others(self, site: Site, wire: Callable[[], Wire]) -> None:
        slow = [wire() for _ in range(50)]
        try:
            for connection in slow:
                connection.send(post(b"Content-Length: 100\r\n"))
            assert site.http.get("/.well-known/jwks.json").status_code == 200
        finally:
            for connection in slow:
                connection.__exit__()

    @pytest.mark.parametrize("sent", [b"", b"G", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\n"])
    @pytest.mark.parametrize("before", [b"", get(b"/")], ids=["first", "second"])
    def test_of_a_head_has_a_limit(self, monkeypatch: pytest.MonkeyPatch, before: bytes, sent: bytes) -> None:
        """The protocol itself on a socket of its own: the limit as shipped would take longer than all other tests."""
        monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.2)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(before + sent)
            return await reader.read()

        assert asyncio.run(_served(talk)).startswith(b"HTTP/1.1 204" if before else b"")

    def test_of_stray_bytes_after_an_answer_has_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:  # D-08
        """They begin no message, and uvicorn's own timer for idle connections stops at any byte."""
        monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.2)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(get(b"/"))
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\r\n")
            return await reader.read()

        assert asyncio.run(_served(talk)) == b""

    def test_of_a_body_that_nobody_reads_any_more_has_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:  # D-08
        monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.2)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(get(b"/").replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"))
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"a")
            return await reader.read()

        assert asyncio.run(_served(talk)) == b""


class TestAClientThatCloses:
    def test_its_own_direction_still_gets_its_answer(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(get(b"/body"))
            writer.write_eof()
            return await reader.read()

        for _ in range(20):
            assert asyncio.run(_served(talk)).endswith(b"\r\n\r\nan answer")


async def _served(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]) -> bytes:
    config = uvicorn.Config(_nothing, ws="none", lifespan="off", log_config=None, timeout_keep_alive=1)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: http.Http(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(5):
            return await talk(reader, writer)
    finally:
        writer.close()
        server.close()


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == ScopeType.HTTP
    body = b"an answer" if scope["path"] == "/body" else b""
    headers = [(b"content-length", b"9")] if body else []
    await send({"type": "http.response.start", "status": 200 if body else 204, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class TestTargets:  # SECURITY H-11
    @pytest.mark.parametrize(
        "target",
        [
            b"/oauth/token%00",
            b"/oauth/token/",
            b"//oauth/token",
            b"/oauth//token",
            b"/oauth/./token",
            b"/oauth/../oauth/token",
            b"/OAUTH/TOKEN",
            b"/oauth/token;a=b",
            b"/oauth/token%20",
            b"/oauth/token%0d%0a",
            b"/%2e%2e/%2e%2e/etc/passwd",
            b"/..%2f..%2fetc/passwd",
            b"/style.css/../../pyproject.toml",
            b"/%ff%c0%af",
            b"/%c0%ae%c0%ae/",
            b"/oauth/statuses",
            b"/oauth/status/no-such-list",
            b"/oauth/status/../token",
            b"/oauth/status/0-0/../../token",
            b"/admin",
            b"/.git/config",
            b"/keys/server.secret",
            b"/jwtauth.db",
            b"*",
        ],
    )
    def test_that_nobody_routed_are_404(self, wire: Callable[[], Wire], target: bytes) -> None:
        method = b"OPTIONS" if target == b"*" else b"GET"
        with wire() as connection:
            connection.send(get(target, method=method))
            status, body = connection.answer()
            assert status == 404
            assert b"Traceback" not in body
            assert b"root:" not in body

    @pytest.mark.parametrize(
        "target", ["/é".encode(), b"/\xff", b"http://evil.example", b"http://x:99999/", b"http://["]
    )
    def test_that_are_no_target_are_400(self, wire: Callable[[], Wire], target: bytes) -> None:
        with wire() as connection:
            connection.send(get(target))
            assert connection.answer()[0] == 400

    def test_in_another_spelling_meet_the_same_rules(self, wire: Callable[[], Wire]) -> None:
        with wire() as connection:
            connection.send(get(b"/%6fauth%2ftoken"))
            assert connection.answer()[0] == 405

    @pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"TRACE", b"DELETE", b"PROPFIND", b"PATCH"])
    @pytest.mark.parametrize("target", [b"/", b"/oauth/token", b"/.well-known/jwks.json", b"/healthz", b"/nope"])
    def test_meet_odd_methods_calmly(self, wire: Callable[[], Wire], method: bytes, target: bytes) -> None:
        with wire() as connection:
            connection.send(get(target, method=method))
            assert connection.answer(has_body=method != b"HEAD")[0] in (200, 204, 404, 405)
            connection.send(get(b"/healthz"))
            assert connection.answer() == (200, b"ok")

    @pytest.mark.parametrize("upgrade", [b"websocket", b"h2c", b"TLS/1.0"])
    def test_are_not_upgraded(self, wire: Callable[[], Wire], upgrade: bytes) -> None:
        with wire() as connection:
            connection.send(get(b"/healthz", b"Connection: Upgrade\r\nUpgrade: %s\r\n" % upgrade))
            assert connection.answer() == (200, b"ok")


class TestHeaders:  # SECURITY H-03 to H-07
    @pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/style.css", "/openapi.json", "/nope", "/oauth/x"])
    def test_of_pages_let_nobody_frame_sniff_or_script(self, site: Site, path: str) -> None:
        headers = site.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]

    @pytest.mark.parametrize("path", ["/", "/oauth/token", "/.well-known/jwks.json", "/nope"])
    def test_name_no_software(self, site: Site, path: str) -> None:
        headers = site.http.get(path).headers
        assert "server" not in headers
        assert "x-powered-by" not in headers
        assert not [value for value in headers.values() if "uvicorn" in value or "litestar" in value.lower()]

    @pytest.mark.parametrize("path", ["/", "/oauth/token", "/oauth/tokeninfo", "/login"])
    def test_h_02_open_no_credentialed_door_to_other_origins(self, site: Site, path: str) -> None:
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for method in ("OPTIONS", "GET", "POST"):
            answered = site.http.request(method, path, headers=headers).headers
            assert "access-control-allow-origin" not in answered
            assert "access-control-allow-credentials" not in answered


class TestTheLog:  # SECURITY D-06, S-09
    def test_has_one_line_per_event_whatever_a_parameter_says(self, site: Site) -> None:
        for text in ("a\r\nforged line", "a\nforged line", "a\x1b[31mforged line", "a\u2028forged line"):
            site.token({text: "1", "grant_type": text})
            site.token([(text, "1"), (text, "2")])
        lines = site.server.log.read_text().splitlines()
        assert not [line for line in lines if line.startswith("forged line")]
        assert "\x1b" not in site.server.log.read_text()
        assert max(map(len, lines)) < 2_000

    def test_and_the_database_know_no_secret_password_or_token(self, site: Site) -> None:
        granted = site.person()
        refreshed = site.refresh(granted["refresh_token"]).json()
        machine = site.machine()
        site.refresh(granted["refresh_token"])
        site.post("/oauth/revoke", {"token": refreshed["refresh_token"]})
        site.token({"grant_type": "client_credentials"}, auth=("service", "a-wrong-secret"))
        site.token({"grant_type": "password", "username": "ada", "password": "a-wrong-password"})
        kept = site.server.log.read_bytes()
        for path in site.home.path.glob("jwtauth.db*"):
            kept += path.read_bytes()
        secrets = [SECRET, "correct horse battery staple", "a-wrong-secret", "a-wrong-password", machine]
        for answer in (granted, refreshed):
            secrets += [answer["access_token"], answer["refresh_token"], answer["refresh_token"].removeprefix("rt_")]
        for secret in secrets:
            assert secret.encode() not in kept
