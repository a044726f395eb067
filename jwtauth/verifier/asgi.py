"""Middleware that protects an ASGI application: Litestar, Starlette, FastAPI and whatever else speaks ASGI.

    gate = Gate(verifier, scope=["reports:read"], public=["/healthz"])
    app.add_middleware(ProtectedResource, gate=gate)                    # Starlette, FastAPI
    Litestar(..., middleware=[DefineMiddleware(ProtectedResource, gate=gate)])

The claims are in `request.state.claims`. Preflight requests carry no token: put CORS middleware outside of this one.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from jwtauth.errors import OAuthError
from jwtauth.verifier.gate import Answer, Gate, Unauthenticated
from jwtauth.verifier.unavailable import Unavailable

Scope = Any
Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""ASGI's own words, as loose as each framework needs them."""

_REFUSED: Final = 1008
"""The WebSocket close code for a broken policy (RFC 6455 section 7.4); before the handshake, servers answer 403."""


class ProtectedResource:
    """Lets through what carries a good token, with its claims in `scope["state"]["claims"]`; answers all else."""

    def __init__(self, app: Any, gate: Gate) -> None:
        self._gate = gate
        self._app: Application = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, WebSocket or lifespan."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = await self._judge(scope)
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _REFUSED})
        else:
            await _write(send, answer)

    async def _judge(self, scope: Scope) -> Answer | None:
        """What is answered in the application's place, or None where it is the application's turn."""
        path = scope["path"]
        published = self._gate.publication(path)
        if published is not None or self._gate.is_public(path):
            return published
        sent = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
        try:
            claims = await self._gate.aadmit(sent)
        except (OAuthError, Unauthenticated, Unavailable) as problem:
            return self._gate.refusal(problem)
        scope.setdefault("state", {})["claims"] = claims
        return None


async def _write(send: Send, answer: Answer) -> None:
    headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in answer.headers]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
