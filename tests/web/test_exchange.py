"""A machine's request is answered alike whether it came whole, and so directly, or in pieces, and so through ASGI."""

import asyncio
import gc
import re
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Any, Final
from weakref import ref

import pytest
import uvicorn
from uvicorn.server import ServerState

from jwtauth.issuer import assembly
from jwtauth.issuer.together import Together
from jwtauth.web import app, reply, server
from jwtauth.web.app import Application
from jwtauth.web.asgi import Replier
from jwtauth.web.http import Http
from jwtauth.web.reply import Reply
from jwtauth.web.turn import Turn
from jwtauth.web.types import HTTPScope, Receive, Scope, Send
from tests.support.home import SECRET, Home
from tests.web.site import FORM, Site, basic
from tests.web.wire import Wire

_OWN: Final = re.compile(rb"[A-Za-z0-9_-]{20,}")
"""What no two answers have in common: tokens."""


def request(
    method: str, target: str, body: bytes = b"", *, headers: str = f"Authorization: {basic('service', SECRET)}\r\n"
) -> bytes:
    length = f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n".encode() + body


REQUESTS: Final = {
    "token": request("POST", "/oauth/token", b"grant_type=client_credentials"),
    "token for nothing": request("POST", "/oauth/token", b"grant_type=nothing"),
    "token for nobody": request("POST", "/oauth/token", b"grant_type=client_credentials", headers=""),
    "token twice": request("POST", "/oauth/token", b"grant_type=client_credentials&scope=a&scope=b"),
    "token in the query": request("POST", "/oauth/token?token=x", b"grant_type=client_credentials"),
    "no form": request("POST", "/oauth/token", b"{}").replace(FORM.encode(), b"application/json"),
    "broken form": request("POST", "/oauth/token", b"grant_type=%"),
    "introspection": request("POST", "/oauth/introspect", b"token=x"),
    "wrong method": request("GET", "/oauth/token"),
    "preflight": request("OPTIONS", "/oauth/token", headers="Origin: https://app.example\r\n"),
    "keys": request("GET", "/.well-known/jwks.json"),
    "head of keys": request("HEAD", "/.well-known/jwks.json"),
    "keys by POST": request("POST", "/.well-known/jwks.json"),
    "foreign name": request("GET", "/.well-known/jwks.json").replace(b"127.0.0.1", b"evil.example"),
    "userinfo": request("GET", "/oauth/userinfo", headers="Authorization: Bearer x\r\n"),
    "too long": request("POST", "/oauth/token", b"a=" + b"b" * 70_000),
}


class TestTheTwoWays:
    @pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
    def test_say_the_same(self, site: Site, sent: bytes) -> None:
        assert answers(site, [sent]) == answers(site, [sent], in_pieces=True)

    def test_are_both_open_as_the_service_is_run(self, home: Home) -> None:
        """A layer between HTTP server and application would close the direct one, and nothing but speed would tell."""
        issuer = assembly.open_issuer(home.source)
        config = uvicorn.Config(app.create(issuer), **server._options(home.source))
        config.load()
        issuer.close()
        assert isinstance(config.loaded_app, Application)

    def test_keep_the_order_of_requests_in_a_row(self, site: Site) -> None:
        """A direct one, those that wait behind it, and one of which a piece is missing."""
        token, keys = REQUESTS["token"], REQUESTS["keys"]
        bodies = [body for _, _, body in answers(site, [token, keys, token, keys], in_pieces=True)]
        assert [b'"access_token"' in body for body in bodies] == [True, False, True, False]
        assert [b'"keys"' in body for body in bodies] == [False, True, False, True]

    @pytest.mark.parametrize(
        ("line", "more"), [(b"HTTP/1.1", b"Connection: close\r\n"), (b"HTTP/1.0", b"")], ids=["asked for", "HTTP/1.0"]
    )
    def test_close_where_the_client_wants_it(self, site: Site, line: bytes, more: bytes) -> None:
        with Wire(site) as wire:
            wire.send(REQUESTS["keys"].replace(b"HTTP/1.1", line).replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n"))
            assert wire.answer()[0] == 200
            assert (b"connection", b"close") in wire.fields
            assert wire.is_closed()


class TestAStory:
    def test_that_fails_is_500_and_the_next_one_is_answered(self, caplog: pytest.LogCaptureFixture) -> None:
        async def break_down(_: HTTPScope, __: object) -> Reply:
            raise LookupError("no such thing")

        said = asyncio.run(talked({"/": break_down, "/well": well}, get("/") + get("/well")))
        assert re.findall(rb"HTTP/1.1 [^\r]+", said) == [b"HTTP/1.1 500 Internal Server Error", b"HTTP/1.1 200 OK"]
        assert b"no such thing" not in said
        assert "LookupError" in caplog.text

    def test_that_fails_after_it_waited_is_500(self, caplog: pytest.LogCaptureFixture) -> None:
        async def break_down(_: HTTPScope, __: object) -> Reply:
            await asyncio.sleep(0)
            raise LookupError

        assert b"HTTP/1.1 500 " in asyncio.run(talked({"/": break_down}, get("/")))
        assert "LookupError" in caplog.text

    def test_whose_answer_cannot_be_sent_is_500(self, caplog: pytest.LogCaptureFixture) -> None:  # H-06
        async def split(_: HTTPScope, __: object) -> Reply:
            return Reply(200, reply.EMPTY, more=[(b"x-odd", b"a\r\nset-cookie: b=c")])

        said = asyncio.run(talked({"/": split}, get("/")))
        assert said.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in said

    def test_stays_the_story_of_its_request_while_others_are_told(self) -> None:
        """What a story notes about itself is not what another one noted while it waited."""
        noted: ContextVar[str] = ContextVar("noted")
        seen: list[tuple[str, str]] = []
        begun = {name: asyncio.Event() for name in ("first", "second")}

        async def wait(scope: HTTPScope, __: object) -> Reply:
            name = scope["query_string"].decode()
            noted.set(name)
            begun[name].set()
            await begun["second"].wait()
            await asyncio.sleep(0)
            seen.append((name, noted.get()))
            return await well(scope, __)

        async def ask() -> None:
            async with serving({"/": wait}) as connect:
                streams = [await connect() for _ in range(2)]
                for (_, writer), name in zip(streams, begun, strict=True):
                    writer.write(get(f"/?{name}"))
                    await begun[name].wait()
                for reader, writer in streams:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.close()

        asyncio.run(ask())
        assert sorted(seen) == [("first", "first"), ("second", "second")]

    def test_whose_wait_was_given_up_is_500(self) -> None:
        async def wait(_: HTTPScope, __: object) -> Reply:
            given_up = asyncio.get_running_loop().create_future()
            given_up.get_loop().call_soon(given_up.cancel)
            await given_up
            return await well(_, __)

        assert asyncio.run(talked({"/": wait}, get("/"))).startswith(b"HTTP/1.1 500 ")

    def test_hears_of_a_body_only_as_a_whole(self) -> None:
        bodies: list[object] = []

        async def keep(_: HTTPScope, source: object) -> Reply:
            bodies.append(source)
            return await well(_, source)

        chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        asyncio.run(talked({"/": keep}, chunked))
        assert bodies == [b"abcde"]


class TestATurn:
    def test_begins_all_stories_before_it_signs_for_the_first_and_signs_for_all_before_it_ends_one(self) -> None:
        steps: list[str] = []
        together = Together()

        async def sign(scope: HTTPScope, __: object) -> Reply:
            name = scope["query_string"].decode()
            steps.append(f"begin {name}")
            await together.work(lambda: steps.append(f"sign {name}"))
            steps.append(f"end {name}")
            return await well(scope, __)

        async def ask() -> None:
            async with serving({"/": sign}, together) as connect:
                streams = [await connect() for _ in range(3)]
                for number, (_, writer) in enumerate(streams):
                    writer.write(get(f"/?{number}"))  # all leave before the server's part of the loop comes
                for reader, writer in streams:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.close()

        asyncio.run(ask())
        kinds = [step.partition(" ")[0] for step in steps]
        assert sorted(steps) == sorted(f"{kind} {number}" for kind in ("begin", "sign", "end") for number in range(3))
        assert kinds == ["begin"] * 3 + ["sign"] * 3 + ["end"] * 3

    def test_sees_what_was_revoked_before_its_last_request_came(self, home: Home) -> None:
        """A story that came back wants the turn, a page looks at the database, another worker says that a token is
        revoked, and then the token is asked about in that very turn."""

        class Nothing:
            def step(self) -> None:
                """It has come back and wants nothing any more."""

            def deliver(self) -> None:
                """There is nothing to send."""

        class Question:
            def __init__(self) -> None:
                self.is_denied: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

            def step(self) -> None:
                issuer.begin()
                self.is_denied.set_result(issuer.store.positions.is_denied(7))

            def deliver(self) -> None:
                """Whoever waits for the future has the answer."""

        def revoke_elsewhere() -> None:
            with ThreadPoolExecutor() as another_worker:
                denied = another_worker.submit(home.ask, lambda store: store.positions.deny(7, now=issuer.now()))
                assert denied.result()

        async def ask() -> bool:
            loop, turn, question = asyncio.get_running_loop(), Turn(issuer.together, issuer.look_again), Question()
            loop.call_soon(turn.take, Nothing(), loop)
            loop.call_soon(issuer.begin)
            loop.call_soon(revoke_elsewhere)
            loop.call_soon(turn.take, question, loop)
            return await question.is_denied

        issuer = assembly.open_issuer(home.source)
        try:
            assert asyncio.run(asyncio.wait_for(ask(), 20))
        finally:
            issuer.close()


class TestAnIdleConnection:
    def test_is_closed_after_a_while(self) -> None:
        assert asyncio.run(talked({"/": well}, get("/"))).startswith(b"HTTP/1.1 200 ")

    def test_is_kept_when_it_was_used_since_the_timer_was_set(self) -> None:
        async def ask() -> tuple[bytes, bytes]:
            async with serving({"/": well}, keep_alive_in=60) as connect:
                before = set(STATE.connections)
                reader, writer = await connect()
                writer.write(get("/"))
                await reader.readuntil(b"\r\n\r\n")
                (connection,) = STATE.connections - before
                assert isinstance(connection, Http)
                connection._end_rest()  # as the timer does
                writer.write(get("/"))
                kept = await reader.readuntil(b"\r\n\r\n")
                connection._rested_at -= 61
                connection._end_rest()
                rest = await reader.read()
                writer.close()
                return kept, rest

        kept, rest = asyncio.run(ask())
        assert kept.startswith(b"HTTP/1.1 200 ")
        assert rest == b""

    def test_that_was_reset_is_forgotten_at_once(self) -> None:
        """With the head of its last request: whoever resets many would fill the memory, and no bound counts them."""

        async def ask() -> None:
            async with serving({"/": well}, keep_alive_in=600) as connect:
                reader, writer = await connect()
                writer.write(get("/"))
                await reader.readuntil(b"\r\n\r\n")
                held = [ref(connection) for connection in STATE.connections]
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
                writer.close()
                while STATE.connections:  # noqa: ASYNC110 - nobody says when it is gone
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)
                gc.collect()
                assert [connection() for connection in held] == [None]

        asyncio.run(ask())


class TestAServerThatStops:
    def test_closes_with_the_answer_that_it_had_begun(self) -> None:
        async def ask() -> bytes:
            async with serving({"/": patient}) as connect:
                reader, writer = await connect()
                writer.write(get("/"))
                await begun.wait()
                for connection in list(STATE.connections):
                    connection.shutdown()  # as uvicorn does when it is told to stop
                go_on.set()
                said = await reader.read()
                writer.close()
                return said

        begun, go_on = asyncio.Event(), asyncio.Event()

        async def patient(_: HTTPScope, __: object) -> Reply:
            begun.set()
            await go_on.wait()
            return await well(_, __)

        said = asyncio.run(ask())
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in said

    def test_finishes_what_it_had_begun_for_a_client_that_is_gone(self) -> None:
        """It may have been committed, and is then told of: uvicorn waits for its connections, and then for tasks."""

        async def ask() -> None:
            async with serving({"/": patient}) as connect:
                _, writer = await connect()
                writer.write(get("/"))
                await begun.wait()
                writer.close()
                while STATE.connections:  # noqa: ASYNC110 - nobody says when it is gone
                    await asyncio.sleep(0.01)
                assert len(STATE.tasks) == 1
                go_on.set()
                while STATE.tasks:  # noqa: ASYNC110 - as uvicorn does
                    await asyncio.sleep(0.01)

        begun, go_on = asyncio.Event(), asyncio.Event()

        async def patient(_: HTTPScope, __: object) -> Reply:
            begun.set()
            await go_on.wait()
            return await well(_, __)

        asyncio.run(ask())


STATE = ServerState()


class App:
    """An application of one's own making."""

    def __init__(self, repliers: dict[str, Replier], together: Together) -> None:
        self.repliers = repliers
        self.turn = Turn(together, look_again=lambda: None)

    def reply(self, scope: HTTPScope, source: bytes) -> Coroutine[Any, Any, Reply]:
        return self.repliers[scope["path"]](scope, source)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        answer = await self.repliers[scope["path"]](scope, receive)
        await answer.send(send)


async def well(_: HTTPScope, __: object) -> Reply:
    return Reply(200, reply.EMPTY)


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class serving:  # noqa: N801 - reads as a statement
    """Our protocol around an application on a port of its own."""

    def __init__(
        self, repliers: dict[str, Replier], together: Together | None = None, *, keep_alive_in: float = 5
    ) -> None:
        app = App(repliers, Together() if together is None else together)
        self._config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, proxy_headers=False)
        self._config.timeout_keep_alive = keep_alive_in  # type: ignore[assignment]  # whole seconds are long
        self._config.load()

    async def __aenter__(self) -> Connect:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Http(self._config, STATE, {}), "127.0.0.1", 0)
        self._limit = asyncio.timeout(20)
        await self._limit.__aenter__()
        return lambda: asyncio.open_connection(*self._server.sockets[0].getsockname())

    async def __aexit__(self, *problem: Any) -> None:
        await self._limit.__aexit__(*problem)
        self._server.close()


async def talked(repliers: dict[str, Replier], sent: bytes) -> bytes:
    """What is answered to these bytes, sent at once, until nothing comes any more."""
    async with serving(repliers, keep_alive_in=0.2) as connect:
        reader, writer = await connect()
        writer.write(sent)
        said = await reader.read()
        writer.close()
        return said


def answers(
    site: Site, requests: list[bytes], *, in_pieces: bool = False
) -> list[tuple[int, list[tuple[bytes, bytes]], bytes]]:
    """Status, fields and body of every answer to these requests, without what no two answers have in common."""
    sent = b"".join(requests)
    with Wire(site) as wire:
        if in_pieces:
            head, sent = sent[:-3], sent[-3:]
            wire.send(head)
            assert site.http.get("/healthz").status_code == 200  # by then it has read what came before
        wire.send(sent)
        found = []
        for each in requests:
            status, body = wire.answer(has_body=not each.startswith(b"HEAD"))
            fields = [(name, value) for name, value in wire.fields if name not in (b"date", b"x-request-id")]
            found.append((status, fields, _OWN.sub(b"", body)))
        return found
