"""An ASGI application behind the middleware: plain, and Litestar's."""

import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, get
from litestar.middleware import DefineMiddleware
from litestar.testing import TestClient

from jwtauth.verifier import Claims
from jwtauth.verifier.asgi import Message, ProtectedResource, Receive, Scope, Send
from jwtauth.verifier.gate import Gate
from tests.verifier.issuing import Issuing

RESOURCE = "https://reports.example.com"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells who asks."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    claims = scope.get("state", {}).get("claims")
    body = claims.subject.encode() if isinstance(claims, Claims) else b"nobody"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(app: Any, path: str = "/reports", headers: list[tuple[str, str]] | None = None) -> httpx.Response:
    async def story() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=RESOURCE) as client:
            return await client.get(path, headers=headers)

    return asyncio.run(story())


def protected(issuing: Issuing, **requirements: Any) -> ProtectedResource:
    return ProtectedResource(echo, Gate(issuing.verifier(), **requirements))


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


class TestHttp:
    def test_passes_with_a_good_token_and_its_claims(self, issuing: Issuing) -> None:
        answer = ask(protected(issuing, scope=["reports:read"]), headers=bearer(issuing.token()))
        assert (answer.status_code, answer.text) == (200, "u-5f1c")

    def test_is_challenged_without(self, issuing: Issuing) -> None:
        answer = ask(protected(issuing, resource=RESOURCE))
        assert answer.status_code == 401
        assert "/.well-known/oauth-protected-resource" in answer.headers["www-authenticate"]
        assert answer.headers["content-length"] == str(len(answer.content))
        assert answer.json()["error"] == "invalid_token"

    def test_is_refused_with_a_revoked_token(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        assert ask(protected(issuing), headers=bearer(issuing.old_token(4))).status_code == 401

    def test_is_refused_without_the_scope(self, issuing: Issuing) -> None:
        answer = ask(protected(issuing, scope=["reports:delete"]), headers=bearer(issuing.token()))
        assert answer.status_code == 403

    def test_is_refused_with_two_tokens(self, issuing: Issuing) -> None:
        answer = ask(protected(issuing), headers=bearer(issuing.token()) * 2)
        assert answer.status_code == 400

    def test_takes_no_token_from_the_query(self, issuing: Issuing) -> None:
        assert ask(protected(issuing), f"/reports?access_token={issuing.token()}").status_code == 401

    def test_is_unavailable_while_the_issuer_is(self, issuing: Issuing) -> None:
        issuing.stop()
        answer = ask(protected(issuing), headers=bearer(issuing.token()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        issuing.restart()

    def test_passes_to_a_public_path_as_nobody(self, issuing: Issuing) -> None:
        app = protected(issuing, public=["/healthz"])
        assert ask(app, "/healthz").text == "nobody"
        assert ask(app, "/healthz", bearer(issuing.token())).text == "nobody"
        assert issuing.requests == []

    def test_finds_the_metadata(self, issuing: Issuing) -> None:
        answer = ask(protected(issuing, resource=RESOURCE), "/.well-known/oauth-protected-resource")
        assert answer.json()["authorization_servers"] == [issuing.issuer]


class TestWebSocket:
    def test_passes_with_a_good_token_only(self, issuing: Issuing) -> None:
        app = protected(issuing)
        assert self.connect(app, [(b"authorization", f"Bearer {issuing.token()}".encode())]) == "websocket.accept"
        assert self.connect(app, []) == "websocket.close"

    def connect(self, app: ProtectedResource, headers: list[tuple[bytes, bytes]]) -> str:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(app({"type": "websocket", "path": "/live", "headers": headers}, receive, send))
        return str(sent[0]["type"])


class TestLitestar:
    @pytest.fixture
    def client(self, issuing: Issuing) -> TestClient[Litestar]:
        @get("/reports")
        async def reports(request: Request[Any, Any, Any]) -> str:
            claims: Claims = request.state.claims
            return claims.client_id

        gate = Gate(issuing.verifier(), scope=["reports:read"])
        return TestClient(Litestar([reports], middleware=[DefineMiddleware(ProtectedResource, gate=gate)]))

    def test_has_the_claims_in_its_state(self, issuing: Issuing, client: TestClient[Litestar]) -> None:
        with client:
            answer = client.get("/reports", headers={"Authorization": f"Bearer {issuing.token()}"})
            assert (answer.status_code, answer.text) == (200, "app")

    def test_is_not_reached_without_a_token(self, client: TestClient[Litestar]) -> None:
        with client:
            assert client.get("/reports").status_code == 401
