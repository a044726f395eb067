"""SkyVault's secure resource in Flask: `GET /secure` greets whoever holds a good token, and is 401 for all others.

With `jwtauth dev --dialect skyvault` running, and `pip install jwtauth flask`, one command starts it:

    flask --app examples/secure_resource run --port 8001

Then, with an access token that one of the commands of `jwtauth dev` has got:

    curl -i http://127.0.0.1:8001/secure -H "Authorization: Bearer $TOKEN"

ISSUER and AUDIENCE in the environment name another issuer, and what its tokens for you carry in `aud`.
"""

import os

from flask import Flask

from jwtauth.verifier import Verifier
from jwtauth.verifier.gate import Gate
from jwtauth.verifier.wsgi import ProtectedResource

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
AUDIENCE = os.environ.get("AUDIENCE", f"{ISSUER}/realms/skyvault")

app = Flask(__name__)
app.wsgi_app = ProtectedResource(app.wsgi_app, Gate(Verifier(ISSUER, AUDIENCE), public=["/healthz"]))


@app.get("/healthz")
def healthz() -> str:
    """Needs no token."""
    return "ok"


@app.get("/secure")
def secure() -> tuple[str, dict[str, str]]:
    """Needs a good token, of any client and any scope."""
    return "Secure Hello!", {"Content-Type": "text/plain"}
