"""The service's HTTP protocol on a socket pair in this process, so that coverage sees it."""

import asyncio
import socket
from collections.abc import Coroutine
from functools import lru_cache
from typing import Any, Final, TypeVar

import uvicorn
from uvicorn.server import ServerState

from jwtauth.errors import InvalidRequest
from jwtauth.issuer.together import Together
from jwtauth.web import asgi, reply
from jwtauth.web.asgi import BadHttp, Source
from jwtauth.web.http import Http
from jwtauth.web.reply import Reply
from jwtauth.web.turn import Turn
from jwtauth.web.types import HTTPScope, Receive, Scope, Send

T = TypeVar("T")

ANSWER_WITHIN: Final = 30.0
"""A connection that has not closed by then hangs, in seconds."""


def answers(sent: bytes) -> bytes:
    """Everything that is answered to these bytes and an end of input, until the connection closes.

    Raises:
        Exception: whatever the protocol let escape into the event loop.
    """
    return run(asyncio.wait_for(_talk(sent), ANSWER_WITHIN))


def run(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns; always in the same event loop, as a new one for each takes long."""
    return _loop().run_until_complete(work)


async def _talk(sent: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    escaped: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: escaped.append(_escaped(context)))
    near, far = socket.socketpair()
    state = ServerState()
    await loop.connect_accepted_socket(lambda: Http(_config(), state, {}), far)
    reader, writer = await asyncio.open_connection(sock=near)
    try:
        writer.write(sent)
        writer.write_eof()
        answered = await _read(reader)
    finally:
        writer.close()
    if state.tasks:
        await asyncio.wait(state.tasks)
    if escaped:
        raise escaped[0]
    return answered


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:  # it closed before it had read everything
        return b""


def _escaped(context: dict[str, Any]) -> BaseException:
    found: BaseException = context.get("exception") or AssertionError(context["message"])
    return found


class _Echo:
    """An application whose one machines' endpoint is `/`; everything else is asked through ASGI alone."""

    def __init__(self) -> None:
        self.repliers = {"/": _echo}
        self.turn = Turn(Together(), look_again=lambda: None)

    def reply(self, scope: HTTPScope, source: Source) -> Coroutine[Any, Any, Reply]:
        return _echo(scope, source)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        answer = await _echo(scope, receive)
        await answer.send(send)


async def _echo(scope: HTTPScope, source: Source) -> Reply:
    """Reads a request as machines' endpoints do; where that breaks, the answer is 500."""
    try:
        read = await asgi.read(scope, source, max_body=4_096, body_timeout=1, is_raw=True)
    except (InvalidRequest, BadHttp):
        return Reply(400, reply.EMPTY)
    return Reply(200, reply.EMPTY, b"%d" % len(read.query))


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@lru_cache(maxsize=1)
def _config() -> uvicorn.Config:
    config = uvicorn.Config(
        _Echo(), http=Http, ws="none", lifespan="off", log_config=None, log_level="critical", proxy_headers=False
    )
    config.load()
    return config
