"""The service's HTTP protocol on a socket pair in this process, so that coverage sees it."""

import asyncio
import socket
from functools import lru_cache
from typing import Any, Final

import uvicorn
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send
from uvicorn.server import ServerState

from jwtauth.errors import InvalidRequest
from jwtauth.web import asgi
from jwtauth.web.asgi import BadHttp
from jwtauth.web.http import Http

ANSWER_WITHIN: Final = 30.0
"""A connection that has not closed by then hangs, in seconds."""


def answers(sent: bytes) -> bytes:
    """Everything that is answered to these bytes and an end of input, until the connection closes.

    Raises:
        Exception: whatever the protocol let escape into the event loop.
    """
    return _loop().run_until_complete(asyncio.wait_for(_talk(sent), ANSWER_WITHIN))


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


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads a request as machines' endpoints do; uvicorn answers 500 where that breaks."""
    assert scope["type"] == ScopeType.HTTP
    try:
        read = await asgi.read(scope, receive, max_body=4_096, body_timeout=1, is_raw=True)
    except (InvalidRequest, BadHttp):
        await asgi.write(send, 400, [], b"")
    else:
        await asgi.write(send, 200, [], b"%d" % len(read.query))


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@lru_cache(maxsize=1)
def _config() -> uvicorn.Config:
    config = uvicorn.Config(_echo, http=Http, ws="none", lifespan="off", log_config=None, log_level="critical")
    config.load()
    return config
