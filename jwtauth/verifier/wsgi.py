"""Middleware that protects a WSGI application: Flask, Django and whatever else speaks WSGI (PEP 3333).

    app.wsgi_app = ProtectedResource(app.wsgi_app, Gate(verifier, scope=["reports:read"], public=["/healthz"]))

The claims are in `environ["jwtauth.claims"]`. Preflight requests carry no token: answer CORS outside of this one.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from jwtauth.errors import OAuthError
from jwtauth.verifier.gate import Answer, Gate, Unauthenticated
from jwtauth.verifier.unavailable import Unavailable

CLAIMS: Final = "jwtauth.claims"
"""Where the claims are in the environ."""


class ProtectedResource:
    """Lets through what carries a good token, with its claims in the environ; answers everything else."""

    def __init__(self, app: WSGIApplication, gate: Gate) -> None:
        self._gate = gate
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        answer = self._judge(environ)
        if answer is None:
            return self._app(environ, start_response)
        length = ("content-length", str(len(answer.body)))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", [*answer.headers, length])
        return [answer.body]

    def _judge(self, environ: WSGIEnvironment) -> Answer | None:
        """What is answered in the application's place, or None where it is the application's turn."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        published = self._gate.publication(path)
        if published is not None or self._gate.is_public(path):
            return published
        authorization = environ.get("HTTP_AUTHORIZATION")  # a second one is joined to the first and makes it unreadable
        try:
            environ[CLAIMS] = self._gate.admit([] if authorization is None else [authorization])
        except (OAuthError, Unauthenticated, Unavailable) as problem:
            return self._gate.refusal(problem)
        return None
