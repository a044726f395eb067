"""A resource server in Flask: every request needs a token, some need more.

With `jwtauth dev` running, and `pip install jwtauth flask`, one command starts it:

    flask --app examples/flask_resource_server run --port 8001

Then, with a token that `jwtauth dev` printed:

    curl -i http://127.0.0.1:8001/me -H "Authorization: Bearer $TOKEN"

ISSUER, AUDIENCE and RESOURCE in the environment name another issuer, what its tokens for you carry in `aud`, and your
own URL. PUSH=1 hears of revocations at once instead of within `ttl` seconds. The verifier's thread starts with the
first token, hence in each worker that a server forks, and ends with its process.
"""

import os

from flask import Flask, Response, request

from jwtauth.verifier import Claims, InsufficientScope, Verifier
from jwtauth.verifier.gate import Gate
from jwtauth.verifier.wsgi import CLAIMS, ProtectedResource

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
AUDIENCE = os.environ.get("AUDIENCE", f"{ISSUER}/realms/default")
RESOURCE = os.environ.get("RESOURCE", "http://127.0.0.1:8001")

gate = Gate(
    Verifier(ISSUER, AUDIENCE, push=os.environ.get("PUSH") == "1"),
    public=["/healthz"],
    resource=RESOURCE,
)
app = Flask(__name__)
app.wsgi_app = ProtectedResource(app.wsgi_app, gate)


def caller() -> Claims:
    """Who asks; the middleware has made sure that there is somebody."""
    return request.environ[CLAIMS]


@app.errorhandler(InsufficientScope)
def refuse(error: InsufficientScope) -> Response:
    """The answer of the middleware, for what a view requires beyond it."""
    answer = gate.refusal(error)
    return Response(answer.body, answer.status, answer.headers)


@app.get("/healthz")
def healthz() -> str:
    """Needs no token."""
    return "ok"


@app.get("/me")
def me() -> dict[str, object]:
    """Needs a good token."""
    return {"subject": caller().subject, "client": caller().client_id, "scope": caller().scope}


@app.get("/reports")
def reports() -> list[str]:
    """Needs `read` too."""
    caller().require_scope("read")
    return ["January", "February"]
