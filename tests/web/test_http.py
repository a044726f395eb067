"""HTTP as attackers and odd clients speak it, byte by byte (RFC 9110, RFC 9112; SECURITY D, H)."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from jwtauth.web import connections, cork, http
from jwtauth.web.connections import Connections
from jwtauth.web.cork import Cork
from jwtauth.web.types import Receive, Scope, Send
from tests.support.home import SECRET
from tests.web.site import FORM, Site, basic
from tests.web.wire import Wire

BODY = b"grant_type=client_credentials"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
HEADERS = f"Host: x\r\nAuthorization: {basic('service', SECRET)}\r\nContent-Type: {FORM}\r\n".encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
TE = b"Transfer-Encoding: chunked\r\n"


def post(more: bytes = LENGTH, body: bytes = BODY) -> bytes:
    return b"POST /oauth/token HTTP/1.1\r\n" + HEADERS + more + b"\r\n" + body


def get(target: bytes, more: bytes = b"", method: bytes = b"GET") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (method, target, more)


@pytest.fixture
def wire(site: Site) -> Callable[[], Wire]:
    return lambda: Wire(site)


@pytest.fixture(autouse=True)
def still_alive(site: Site) -> Iterator[None]:
    """Whatever a test did, the next request is answered as ever (SECURITY D-02)."""
    yield
    assert site.token({"grant_type": "client_credentials"}).status_code == 200


class TestFraming:  # RFC 9112 sections 6 and 7
    """No request hides in another one (H-13)."""

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
            connection.send(request_ + get(b"/healthz"))
            connection.assert_refuses(400)
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

    def test_that_is_broken_is_refused_after_what_came_before_it_is_answered(self, wire: Callable[[], Wire]) -> None:
        """Answers have the order of their requests: a 400 in front would be taken for the first one's."""
        with wire() as connection:
            connection.send(post() + get(b"/healthz") + post(LENGTH + TE, CHUNKED) + post())
            assert [connection.answer()[0] for _ in range(2)] == [200, 200]
            connection.assert_refuses(400)
            assert connection.is_closed()

    def test_that_breaks_in_a_waiting_request_is_refused_after_what_came_before_it(
        self, site: Site, wire: Callable[[], Wire]
    ) -> None:
        with wire() as connection:
            connection.send(post() + post(TE, b"5\r\ngrantXX0\r\n\r\n"))
            assert connection.answer()[0] == 200
            connection.assert_refuses(400)
            assert connection.is_closed()

    def test_that_breaks_behind_an_answer_is_closed_without_another(self, wire: Callable[[], Wire]) -> None:
        with wire() as connection:
            connection.send(get(b"/healthz", TE))
            assert connection.answer() == (200, b"ok")
            connection.send(b"zz\r\n")
            assert connection.is_closed()

    def test_of_more_requests_than_may_wait_is_refused(self, wire: Callable[[], Wire]) -> None:  # D-01
        """Each that waits takes memory; one packet has room for thousands."""
        with wire() as connection:
            connection.send(get(b"/healthz") * (http.MAX_WAITING + 100))
            assert {connection.answer() for _ in range(http.MAX_WAITING + 1)} == {(200, b"ok")}
            connection.assert_refuses(400)
            assert connection.is_closed()

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
        with wire() as connection:
            connection.send(request_)
            try:
                connection.assert_refuses(431)
            except (ConnectionResetError, IndexError):
                assert len(request_) > 1_000_000  # closed while we were still sending
            assert connection.is_closed()

    def test_of_a_head_that_never_ends_is_limited(self, wire: Callable[[], Wire]) -> None:
        with wire() as connection:
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            for _ in range(64):
                connection.send(b"X: " + b"a" * 4096 + b"\r\n")
            connection.assert_refuses(431)
            assert connection.is_closed()

    @pytest.mark.parametrize(
        "endless",
        [
            pytest.param(b"0\r\nX: ", id="trailer"),
            pytest.param(b"1;", id="chunk extension"),
            pytest.param(b"0" * 8, id="chunk size of zeros"),
        ],
    )
    def test_of_what_stands_around_a_body_is_limited(self, wire: Callable[[], Wire], endless: bytes) -> None:
        """None of it counts as body, and a parser that collects it never comes to an end."""
        with wire() as connection:
            connection.send(post(TE, b"%x\r\n%s\r\n" % (len(BODY), BODY)) + endless)
            for _ in range(200):
                connection.send(b"0" * 16_384)
            connection.assert_refuses(431)
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


class TestSpeed:
    """Nobody is waited for longer than a limit says (D-03)."""

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

    @pytest.mark.parametrize("sent", [b"G", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\n"])
    @pytest.mark.parametrize("before", [b"", get(b"/")], ids=["first", "second"])
    def test_of_a_head_has_a_limit(self, monkeypatch: pytest.MonkeyPatch, before: bytes, sent: bytes) -> None:
        """The protocol itself on a socket of its own: the limit as shipped would take longer than all other tests."""
        monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.2)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(before + sent)
            return await reader.read()

        answers = asyncio.run(_served(talk))
        assert answers.count(b"HTTP/1.1 204") == bool(before)
        assert answers.count(b"HTTP/1.1 408") == 1
        assert answers.endswith(b"}")

    @pytest.mark.parametrize("before", [b"", get(b"/")], ids=["first", "second"])
    def test_of_a_request_that_was_never_begun_is_answered_by_nothing(
        self, monkeypatch: pytest.MonkeyPatch, before: bytes
    ) -> None:
        monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.2)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(before)
            return await reader.read()

        assert asyncio.run(_served(talk)).count(b"HTTP/1.1") == bool(before)

    def test_of_a_head_is_measured_from_its_first_byte(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Browsers connect before they know what to ask for."""
        monkeypatch.setattr(http, "HEAD_TIMEOUT", 30)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.2)
            writer.write(b"GET / HTTP/1.1\r\n")
            return await reader.read()

        assert asyncio.run(_served(talk)).startswith(b"HTTP/1.1 408")

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

    @pytest.mark.parametrize("requests", [1, 2])
    def test_of_a_reader_has_a_limit(self, monkeypatch: pytest.MonkeyPatch, requests: int) -> None:
        """Who asks and does not take the answer is cut off, whether the answer is finished or the next is waiting."""
        monkeypatch.setattr(cork, "TAKE_IN", 0.2)
        held = Connections(most=1)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            cast(asyncio.Transport, writer.transport).pause_reading()
            last = get(b"/giant", b"Connection: close\r\n")
            writer.write(get(b"/giant") * (requests - 1) + last)
            await _until(lambda: len(held) == 1)
            await _until(lambda: len(held) == 0)
            return b"cut off"

        assert asyncio.run(_served(talk, held)) == b"cut off"


class TestAClientThatCloses:
    def test_its_own_direction_still_gets_its_answer(self) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(get(b"/body"))
            writer.write_eof()
            return await reader.read()

        for _ in range(20):
            assert asyncio.run(_served(talk)).endswith(b"\r\n\r\nan answer")


class TestClosing:  # RFC 9112 section 9.6
    def test_takes_what_is_still_sent_so_that_the_answer_is_not_lost(self, wire: Callable[[], Wire]) -> None:
        """A connection that is closed with bytes unread is reset, and a reset may overtake the answer."""
        with wire() as connection:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # the server must read it
            connection.socket.sendall(post(b"Content-Length: 3000000\r\n", b"a" * 3_000_000))
            assert connection.answer()[0] == 413
            assert connection.file.read() == b""

    def test_does_not_wait_for_a_client_that_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cork, "LINGER_IN", 0.2)
        held = Connections(most=1)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(b"no request\r\n\r\n")
            said = await reader.readuntil(b"}")
            await _until(lambda: len(held) == 0)
            return said

        assert asyncio.run(_served(talk, held)).startswith(b"HTTP/1.1 400")

    def test_does_not_wait_for_a_client_that_takes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cork, "TAKE_IN", 0.2)

        class Generous(asyncio.Protocol):
            """Says much and closes; nothing but the closing is bounded in time."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                corked = Cork(cast(asyncio.Transport, transport), asyncio.get_running_loop())
                corked.write(b"a" * 30_000_000)
                corked.close()

            def connection_lost(self, exc: Exception | None) -> None:
                lost.set()

        lost = asyncio.Event()

        async def talk() -> None:
            server = await asyncio.get_running_loop().create_server(Generous, "127.0.0.1", 0)
            with socket.create_connection(server.sockets[0].getsockname()):
                async with asyncio.timeout(5):
                    await lost.wait()
            server.close()

        asyncio.run(talk())


class TestMakingRoom:  # SECURITY D-08
    @pytest.mark.parametrize(
        ("sent", "answered"),
        [
            pytest.param(b"", b"", id="that never asked"),
            pytest.param(get(b"/body"), b"an answer", id="that was answered"),
        ],
    )
    def test_closes_an_idle_connection(self, monkeypatch: pytest.MonkeyPatch, sent: bytes, answered: bytes) -> None:
        monkeypatch.setattr(connections, "SPARED_IN", 0)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(sent)
            before = await reader.readuntil(answered) if answered else b""
            return before + await _answer_to_another(writer) + await reader.read()

        assert asyncio.run(_served(talk, Connections(most=1))).count(b"an answer") == bool(answered) + 1

    @pytest.mark.parametrize("before", [b"", get(b"/body")], ids=["first", "second"])
    @pytest.mark.parametrize("more", [b"", b"Content-Length: 9\r\n\r\na"], ids=["head", "body"])
    def test_spares_one_in_the_middle_of_a_request(
        self, monkeypatch: pytest.MonkeyPatch, before: bytes, more: bytes
    ) -> None:
        monkeypatch.setattr(connections, "SPARED_IN", 0)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(before)
            if before:
                await reader.readuntil(b"an answer")
            writer.write(get(b"/whole").removesuffix(b"\r\n") + more)
            told = await _answer_to_another(writer)
            writer.write(b"12345678" if more else b"\r\n")
            return told + await reader.readuntil(b"204")

        assert asyncio.run(_served(talk, Connections(most=1))).startswith(b"HTTP/1.1 503")


async def _answer_to_another(writer: asyncio.StreamWriter) -> bytes:
    """What another connection hears that comes when the server has read what was written to this one."""
    for _ in range(10):  # turns of the loop that both sides live in
        await asyncio.sleep(0)
    reader, another = await asyncio.open_connection(*writer.get_extra_info("peername"))
    another.write(get(b"/body", b"Connection: close\r\n"))
    try:
        return await reader.read()
    finally:
        another.close()


async def _served(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]], held: Connections | None = None
) -> bytes:
    config = uvicorn.Config(_nothing, ws="none", lifespan="off", log_config=None, timeout_keep_alive=1)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: http.Http(config, state, {}, connections=held), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(5):
            return await talk(reader, writer)
    finally:
        writer.close()
        server.close()


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for it; `_served` has the deadline."""
    while not condition():  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.001)


_BODIES = {"/body": b"an answer", "/giant": b"a" * 30_000_000}


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    while scope["path"] == "/whole" and (await receive()).get("more_body"):
        continue
    body = _BODIES.get(scope["path"], b"")
    headers = [(b"content-length", b"%d" % len(body))] if body else []
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

    def test_that_wish_to_upgrade_do_not_swallow_those_behind_them(self, wire: Callable[[], Wire]) -> None:
        wish = get(b"/healthz", b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
        with wire() as connection:
            connection.send(wish + wish + get(b"/healthz"))
            assert [connection.answer() for _ in range(3)] == [(200, b"ok")] * 3

    @pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\nX-Length: %d\r\n"])
    @pytest.mark.parametrize("pause", [0.0, 0.2])
    def test_h_13_that_wish_to_upgrade_have_no_body(
        self, wire: Callable[[], Wire], framing: bytes, pause: float
    ) -> None:
        """The parser would take the body for the next request, and a proxy would not."""
        body = get(b"/.well-known/jwks.json")
        head = b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + framing % len(body)
        with wire() as connection:
            connection.send(get(b"/oauth/token", head, method=b"POST"))
            time.sleep(pause)
            connection.send(body)
            connection.assert_refuses(400)
            assert connection.is_closed()

    def test_d_06_that_are_refused_before_anybody_sees_them_are_not_logged(
        self, wire: Callable[[], Wire], site: Site
    ) -> None:
        before = site.server.log.stat().st_size
        for request in (b"nonsense\r\n\r\n", get(b"/healthz", b"Connection: Upgrade\r\nUpgrade: h2c\r\n")):
            with wire() as connection:
                connection.send(request)
                connection.answer()
        assert site.server.log.stat().st_size == before


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


class TestTheLog:
    """One line per event, and no secret in it (D-06, S-09)."""

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
