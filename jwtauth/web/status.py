"""Status lists over HTTP: the lists, the list of lists, and news for verifiers that do not want to wait.

Beside Litestar like the machines' endpoints: every verifier asks for a list every few seconds.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import msgspec

from jwtauth.endpoints import status_lists
from jwtauth.errors import Overloaded, WrongMethod
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.metrics import LISTENERS
from jwtauth.protocol import status_list
from jwtauth.web import asgi, cors, errors, reply
from jwtauth.web.asgi import Handler
from jwtauth.web.errors import ErrorAnswer
from jwtauth.web.metrics import Measured
from jwtauth.web.reply import Fields, Headers, Reply
from jwtauth.web.types import HTTPScope, Receive, Send

PATH: Final = status_list.PATH
"""The list of lists; the lists and the news stand below it."""

EACH: Final = f"{PATH}/{{n}}"
NAMES: Final = (PATH, status_list.EVENTS, EACH)

MAX_LISTENERS: Final = 256
"""Verifiers that may listen to one worker; one more is answered 503 and polls."""

TICK_IN: Final = 0.25
"""How often a listener's worker looks for what other processes revoked, in seconds."""

HEARTBEAT: Final = 60
"""Ticks without news after which a line is sent all the same, so that a dead connection is noticed."""

_ANYBODY: Final[Headers] = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"etag, retry-after"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept-encoding"),
]
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"if-none-match"),
    (b"access-control-max-age", b"%d" % cors.MAX_AGE_IN),
]
"""A script may ask whether its copy is still good: browsers ask before they send that header."""
_TAKES_GZIP: Final = re.compile(rb"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
"""RFC 9110 section 12.5.3; a weight of 0 means no."""
_AT_ONCE: Final = (b"cache-control", b"max-age=0")
"""A copy may be kept and must be asked about each time: the ETag makes that cheap."""
_KEPT: Final = Fields([*_ANYBODY, _AT_ONCE])
_LIST: Final = Fields([*_ANYBODY, _AT_ONCE, (b"content-type", b"application/statuslist+jwt")])
_AGGREGATION: Final = Fields([*_ANYBODY, _AT_ONCE, reply.JSON])


def is_below(path: str, home: str = PATH) -> bool:
    """Whether it is the path of the list of lists, or one below it."""
    return f"{path}/".startswith(f"{home}/")


def name_of(path: str) -> str:
    """What a path at or below PATH is called: the names of lists are numbers without end."""
    return path if path in NAMES else EACH


def handler(issuer: Issuer, path: str) -> Handler:
    """The ASGI callable of everything below PATH.

    Args:
        issuer: the service.
        path: PATH below the issuer's own path.
    """
    listeners: set[object] = set()
    issuer.metrics.watch(LISTENERS, lambda: len(listeners))
    counted = {name: issuer.metrics.endpoint(name) for name in NAMES}

    async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
        send = Measured(send, counted[name_of(scope["path"].removeprefix(path.removesuffix(PATH)))])
        try:
            if scope["method"] == "OPTIONS":
                await Reply(204, reply.EMPTY, more=_ANYBODY + _PREFLIGHT).send(send)
                return
            if scope["method"] not in ("GET", "HEAD"):
                await errors.refusal(WrongMethod(("GET", "HEAD", "OPTIONS")), _ANYBODY).send(send)
                return
            name = scope["path"].removeprefix(path).removeprefix("/")
            if not name:
                document = await status_lists.aggregation(issuer)
                await Reply(200, _AGGREGATION, document).send(send)
            elif name == "events":
                await _tell_news(issuer, scope, receive, send, listeners)
            else:
                await _send_list(issuer, scope, send, name)
        except Overloaded as problem:
            await errors.refusal(problem, _ANYBODY).send(send)

    return handle


async def _send_list(issuer: Issuer, scope: HTTPScope, send: Send, name: str) -> None:
    found = await status_lists.document(issuer, name)
    if found is None:
        answer = ErrorAnswer("invalid_request", "there is no such list, or none that a live token names")
        await _refused(404, answer).send(send)
        return
    etag = (b"etag", found.etag.encode("ascii"))
    if found.etag.removeprefix("W/").encode("ascii") in (asgi.header(scope, b"if-none-match") or b""):
        await Reply(304, _KEPT, more=[etag]).send(send)
    elif _TAKES_GZIP.search(asgi.header(scope, b"accept-encoding") or b""):
        await Reply(200, _LIST, found.zipped, [etag, (b"content-encoding", b"gzip")]).send(send)
    else:
        await Reply(200, _LIST, found.body, [etag]).send(send)


def _refused(status: int, answer: ErrorAnswer, *more: tuple[bytes, bytes]) -> Reply:
    return reply.of_json(status, answer, [*_ANYBODY, *more])


async def _tell_news(issuer: Issuer, scope: HTTPScope, receive: Receive, send: Send, listeners: set[object]) -> None:
    """Server-sent events (HTML standard section 9.2): `changed` with a list's URI, until the listener goes away."""
    if len(listeners) >= MAX_LISTENERS:
        answer = ErrorAnswer("temporarily_unavailable", "too many verifiers listen here already; poll instead")
        await _refused(503, answer, (b"retry-after", b"60")).send(send)
        return
    headers: Headers = [*_ANYBODY, (b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    if scope["method"] == "HEAD":
        await Reply(200, Fields(headers)).send(send)
        return
    scope["extensions"] = {**(scope.get("extensions") or {}), asgi.ENDLESS: {}}
    mark = object()
    listeners.add(mark)
    gone = asyncio.ensure_future(_disconnected(receive))

    async def tick() -> bool:
        done, _ = await asyncio.wait([gone], timeout=TICK_IN)
        return not done

    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _send_more(send, b": listening\n\n")
        with suppress(Overloaded):  # too late for a 503: the stream ends, and the listener comes again
            await _send_changes(issuer, send, tick)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        listeners.discard(mark)
        gone.cancel()


async def _send_changes(issuer: Issuer, send: Send, tick: Callable[[], Awaitable[bool]]) -> None:
    quiet = 0
    async for uris in status_lists.changes(issuer, tick):
        quiet = 0 if uris else quiet + 1
        for uri in uris:
            await _send_more(send, b"event: changed\ndata: " + msgspec.json.encode({"uri": uri}) + b"\n\n")
        if quiet and quiet % HEARTBEAT == 0:
            await _send_more(send, b": still here\n\n")


async def _send_more(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
