"""Swagger UI beside the resource that it describes: its Authorize button signs people in by code and PKCE.

With `jwtauth dev` running, and `pip install jwtauth flask flask-swagger-ui`, in the folder of `jwtauth dev` once

    jwtauth client change demo-app --redirect-uri http://127.0.0.1:8080/oauth2-redirect.html

so that codes may come back here, and scripts from here may redeem them. Then one command starts it; open
http://127.0.0.1:8080 and sign in as demo with demo-password:

    flask --app examples/swagger_ui/app run --port 8080

Beside `jwtauth dev --dialect flarecast` it is this one, and nothing before it; sign in as TestUser1 with 1234:

    env AUDIENCE=http://127.0.0.1:8000/realms/flarecast CLIENT_ID=1234 \
        flask --app examples/swagger_ui/app run --port 8080

For an issuer of your own: `jwtauth client create docs --public --scope 'read write' --redirect-uri
https://docs.example/oauth2-redirect.html`. ISSUER, AUDIENCE and CLIENT_ID name them, RESOURCE is your own URL.
"""

import os
import secrets
from pathlib import Path

import flask_swagger_ui
from flask import Flask, Response, jsonify, make_response, render_template, request

from jwtauth.errors import OAuthError
from jwtauth.verifier import Unavailable, Verifier
from jwtauth.verifier.gate import Gate, Unauthenticated

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
AUDIENCE = os.environ.get("AUDIENCE", f"{ISSUER}/realms/default")
RESOURCE = os.environ.get("RESOURCE", "http://127.0.0.1:8080")
CLIENT_ID = os.environ.get("CLIENT_ID", "demo-app")

SIGN_IN = {
    "authorizationUrl": f"{ISSUER}/oauth/authorize",
    "tokenUrl": f"{ISSUER}/oauth/token",
    "scopes": {"read": "See your data"},
}
READING = {"summary": "For everybody", "responses": {"200": {"description": "What there is to see"}}}
CHANGING = {
    "summary": "For who has an access token",
    "security": [{"jwtauth": ["read"]}],
    "responses": {"200": {"description": "Done"}, "401": {"description": "No good token"}},
}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Resource 1", "version": "1.0.0", "description": "Authorize needs no client_secret."},
    "paths": {"/ressource_1": {"get": READING, "post": CHANGING}},
    "components": {"securitySchemes": {"jwtauth": {"type": "oauth2", "flows": {"authorizationCode": SIGN_IN}}}},
}
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    f" connect-src 'self' {ISSUER}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""This page holds access tokens: no script but these runs in it, and nothing leaves it but for here and the issuer."""

gate = Gate(Verifier(ISSUER, AUDIENCE), scope=["read"], resource=RESOURCE)
app = Flask(__name__, static_folder=Path(flask_swagger_ui.__file__).parent / "dist", static_url_path="")


@app.get("/")
def documentation() -> Response:
    """Swagger UI; its files, among them the page that codes come back to, are the static ones."""
    nonce = secrets.token_urlsafe()
    answer = make_response(render_template("index.html", nonce=nonce, client_id=CLIENT_ID, resource=RESOURCE))
    answer.headers["Content-Security-Policy"] = POLICY.format(nonce=nonce)
    return answer


@app.get("/openapi.json")
def document() -> Response:
    """What Swagger UI shows."""
    return jsonify(DOCUMENT)


@app.get("/ressource_1")
def read() -> Response:
    """Needs nothing."""
    return jsonify(resource="ressource_1", secured=False)


@app.post("/ressource_1")
def change() -> Response:
    """Needs an access token with the scope `read`, in the Authorization header and nowhere else."""
    claims = gate.admit(request.headers.getlist("Authorization"))
    return jsonify(resource="ressource_1", secured=True, caller=claims.username or claims.client_id)


@app.errorhandler(OAuthError)
@app.errorhandler(Unauthenticated)
@app.errorhandler(Unavailable)
def refuse(problem: OAuthError | Unauthenticated | Unavailable) -> Response:
    """401, 400, 403 or 503, and why."""
    answer = gate.refusal(problem)
    return Response(answer.body, answer.status, answer.headers)
