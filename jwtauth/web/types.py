"""ASGI as it is spoken here, HTTP and the life of the process, in types (ASGI 3.0).

Litestar has these types too, but whoever takes one loads all of Litestar, which no machine needs (docs/decisions/0019).
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, NotRequired, TypedDict


class HTTPScope(TypedDict):
    """What is known of a request before its body, as far as it is read here."""

    type: Literal["http"]
    method: str
    scheme: str
    path: str
    query_string: bytes
    headers: Iterable[tuple[bytes, bytes]]
    client: tuple[str, int] | None
    state: NotRequired[dict[str, Any]]
    extensions: NotRequired[dict[str, Any]]


class LifespanScope(TypedDict):
    """What is known of the process."""

    type: Literal["lifespan"]
    state: NotRequired[dict[str, Any]]


Scope = HTTPScope | LifespanScope
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
