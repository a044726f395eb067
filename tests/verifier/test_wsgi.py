"""A WSGI application behind the middleware; the standard library checks that both keep to PEP 3333."""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.validate import validator

import httpx

from jwtauth.verifier import Claims
from jwtauth.verifier.gate import Gate
from jwtauth.verifier.wsgi import CLAIMS, ProtectedResource
from tests.verifier.issuing import Issuing

RESOURCE = "https://reports.example.com"


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Tells who asks."""
    claims = environ.get(CLAIMS)
    start_response("200 OK", [("content-type", "text/plain")])
    return [claims.subject.encode() if isinstance(claims, Claims) else b"nobody"]


def ask(issuing: Issuing, path: str = "/reports", *, token: str = "", **requirements: Any) -> httpx.Response:
    app = validator(ProtectedResource(validator(echo), Gate(issuing.verifier(), **requirements)))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(transport=httpx.WSGITransport(app), base_url=RESOURCE) as client:
        return client.get(path, headers=headers)


class TestRequest:
    def test_passes_with_a_good_token_and_its_claims(self, issuing: Issuing) -> None:
        answer = ask(issuing, token=issuing.token(), scope=["reports:read"], authorities=["ROLE_USER"])
        assert (answer.status_code, answer.text) == (200, "u-5f1c")

    def test_is_challenged_without(self, issuing: Issuing) -> None:
        answer = ask(issuing, resource=RESOURCE)
        assert answer.status_code == 401
        assert "/.well-known/oauth-protected-resource" in answer.headers["www-authenticate"]
        assert answer.json()["error"] == "invalid_token"

    def test_is_refused_with_a_revoked_token(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        assert ask(issuing, token=issuing.old_token(4)).status_code == 401

    def test_is_refused_without_the_scope(self, issuing: Issuing) -> None:
        assert ask(issuing, token=issuing.token(), scope=["reports:delete"]).status_code == 403

    def test_is_unavailable_while_the_issuer_is(self, issuing: Issuing) -> None:
        issuing.stop()
        answer = ask(issuing, token=issuing.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        issuing.restart()

    def test_passes_to_a_public_path_as_nobody(self, issuing: Issuing) -> None:
        assert ask(issuing, "/healthz", token=issuing.token(), public=["/healthz"]).text == "nobody"
        assert issuing.requests == []

    def test_finds_the_metadata(self, issuing: Issuing) -> None:
        answer = ask(issuing, "/.well-known/oauth-protected-resource", resource=RESOURCE)
        assert answer.json()["resource"] == RESOURCE
