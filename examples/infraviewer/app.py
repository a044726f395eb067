"""InfraViewer: a web application whose people sign in on its own page, by the password grant.

With `jwtauth dev` running, and `pip install jwtauth flask Authlib requests`, one command starts it; sign in
at http://127.0.0.1:8001 as demo with demo-password:

    flask --app examples/infraviewer/app run --port 8001

Beside `jwtauth dev --dialect flarecast` it is this one; sign in as TestUser1 with 1234:

    env AUDIENCE=http://127.0.0.1:8000/realms/flarecast CLIENT_ID=1234 CLIENT_SECRET=abcd \
        AUTH_METHOD=client_secret_post flask --app examples/infraviewer/app run --port 8001

For an issuer of your own give it a client of its own: `jwtauth client create infraviewer --grant-type password --scope
'read write'`. ISSUER, AUDIENCE, CLIENT_ID, CLIENT_SECRET and AUTH_METHOD name them, RESOURCE is your own URL.

Here this application sees people's passwords. Do that only where it always did; what is new sends people to the issuer,
as examples/swagger_ui does.
"""

import os
import secrets
import time
from collections import deque
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from authlib.integrations.requests_client import OAuth2Session, OAuthError
from flask import Flask, abort, jsonify, redirect, render_template, request
from requests import RequestException
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import HTTPException, ServiceUnavailable, Unauthorized
from werkzeug.wrappers import Response

from jwtauth.errors import InvalidRequest
from jwtauth.verifier import Claims, ExpiredToken, InvalidToken, Unavailable, Verifier
from jwtauth.verifier.gate import Gate, Unauthenticated

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
AUDIENCE = os.environ.get("AUDIENCE", f"{ISSUER}/realms/default")
RESOURCE = os.environ.get("RESOURCE", "http://127.0.0.1:8001")
CLIENT_ID = os.environ.get("CLIENT_ID", "demo-service")
CLIENT_SECRET = os.environ.get("CLIENT_SECRET", "demo-secret")
AUTH_METHOD = os.environ.get("AUTH_METHOD", "client_secret_basic")
SCOPES = ("read", "write")
"""What people's tokens are asked for; any one of them opens the secured resource."""

IS_LOOPBACK = urlsplit(RESOURCE).hostname in ("127.0.0.1", "::1", "localhost")
PREFIX = "" if IS_LOOPBACK else "__Host-"
SESSION_ID, ACCESS_TOKEN = f"{PREFIX}infraviewer_session", f"{PREFIX}infraviewer_token"
FLAGS: dict[str, Any] = {"httponly": True, "samesite": "Lax", "secure": not IS_LOOPBACK}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Session(NamedTuple):
    """What this application itself knows of a person who is signed in."""

    username: str
    expires_at: float
    notes: deque[str]


sessions: dict[str, Session] = {}
"""By session ID. In this process alone: where there are several, keep them in a store that all of them see."""

gate = Gate(Verifier(ISSUER, AUDIENCE))
app = Flask(__name__)


@app.before_request
def refuse_other_sites() -> None:
    """Cookies come along whoever made the browser send the request, and browsers name the origin of every POST.

    SameSite is not enough: to it, all ports of a host and all hosts of a domain are one site.
    """
    if request.method == "POST" and request.headers.get("Origin", RESOURCE) != RESOURCE:
        abort(403, f"This was sent from another site. Open {RESOURCE} and try again there.")


@app.get("/")
def viewer() -> str:
    """The page that everybody sees; more of it who is signed in."""
    region = request.args.get("region", 11158, type=int)
    return render_template("viewer.html", session=session(), region=region, back=request.full_path)


@app.get("/login")
def login() -> str:
    """The sign-in form alone, for links that lead here with `next`."""
    return render_template("page.html", title="Sign in", session=None, back=request.args.get("next", "/"))


@app.post("/login")
def sign_in() -> Response:
    """Exchange username and password for a token, and go back: with both cookies, or without them."""
    back = local(request.form.get("next", "/"))
    person = {"username": request.form["username"], "password": request.form["password"]}
    try:
        with issuer() as client:
            token = client.fetch_token(f"{ISSUER}/oauth/token", grant_type="password", **person)
        claims = gate.verifier.verify(token["access_token"])
    except (OAuthError, RequestException, InvalidToken, Unavailable) as problem:
        is_wrong = isinstance(problem, OAuthError) and problem.error == "invalid_grant"
        app.logger.warning("nobody was signed in: %s", problem)
        return redirect(f"{back}#{'wrong' if is_wrong else 'failed'}", 303)
    answer = redirect(back, 303)
    answer.set_cookie(SESSION_ID, begin(claims), max_age=token["expires_in"], **FLAGS)
    answer.set_cookie(ACCESS_TOKEN, token["access_token"], max_age=token["expires_in"], **FLAGS)
    return answer


@app.post("/logout")
def sign_out() -> Response:
    """End the session and revoke the token: a copy of either cookie is worth nothing any more."""
    sessions.pop(request.cookies.get(SESSION_ID, ""), None)
    try:
        with issuer() as client:
            token = request.cookies.get(ACCESS_TOKEN, "")
            client.revoke_token(f"{ISSUER}/oauth/revoke", token=token).raise_for_status()
    except RequestException as problem:
        app.logger.warning("a token was not revoked: %s", problem)
    answer = redirect("/", 303)
    answer.delete_cookie(SESSION_ID, **FLAGS)
    answer.delete_cookie(ACCESS_TOKEN, **FLAGS)
    return answer


@app.post("/notes")
def note() -> Response:
    """A restricted operation of this application itself: the session suffices."""
    person = session()
    if person is None:
        abort(403, "Sign in to keep notes.")
    person.notes.appendleft(request.form["note"][:200])
    return redirect(local(request.form.get("next", "/")), 303)


@app.get("/ressource_1")
@app.get("/resource_1")
def unsecured() -> Response:
    """Needs nothing."""
    return jsonify(resource="ressource_1", secured=False)


@app.post("/ressource_1")
@app.post("/resource_1")
def secured() -> Response:
    """Needs an access token, from whoever it comes."""
    claims = bearer()
    return jsonify(resource="ressource_1", secured=True, caller=claims.username or claims.client_id)


def bearer() -> Claims:
    """The claims of the access token in the Authorization header, or else in the cookie."""
    cookie = request.cookies.get(ACCESS_TOKEN)
    sent = request.headers.getlist("Authorization") or ([f"Bearer {cookie}"] if cookie else [])
    try:
        claims = gate.admit(sent)
    except ExpiredToken:
        raise refused("Bearer token is expired.") from None
    except (InvalidToken, InvalidRequest, Unauthenticated):
        raise refused("Bearer token not found.") from None
    except Unavailable as problem:
        told = "Access tokens cannot be checked at the moment."
        raise ServiceUnavailable(told, retry_after=problem.retry_after_in) from None
    if not {*SCOPES} & {*claims.scope}:
        raise refused("Bearer token scope not valid.")
    return claims


def refused(message: str) -> Unauthorized:
    """401 in flask-oauthlib's words (RFC 6750 section 3)."""
    challenge = WWWAuthenticate("bearer", {"error": "invalid_token", "error_description": message})
    return Unauthorized(message, www_authenticate=challenge)


@app.errorhandler(HTTPException)
def error_page(error: HTTPException) -> Response:
    """A page for browsers, JSON for everybody else."""
    answer = Response(headers=error.get_headers())
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        back = (request.referrer or "/").removeprefix(RESOURCE)
        page = {"title": error.name, "lead": error.description, "session": session(), "back": back}
        answer.data = render_template("page.html", **page)
    else:
        answer.data = jsonify(error=error.name, error_description=error.description).data
        answer.content_type = "application/json"
    answer.status_code = error.code or 500
    return answer


@app.after_request
def harden(answer: Response) -> Response:
    """No other site may frame these pages, no cache keeps them, and nothing but our own style sheet is loaded."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


def issuer() -> OAuth2Session:
    """The token service, to which this application proves who it is."""
    method = {"token_endpoint_auth_method": AUTH_METHOD, "revocation_endpoint_auth_method": AUTH_METHOD}
    return OAuth2Session(CLIENT_ID, CLIENT_SECRET, scope=" ".join(SCOPES), default_timeout=20, **method)


def begin(claims: Claims) -> str:
    """The ID of a new session, never one that the browser brought; what has expired is forgotten."""
    for old, known in list(sessions.items()):
        if known.expires_at <= time.time():
            sessions.pop(old, None)
    name = secrets.token_urlsafe(32)
    sessions[name] = Session(claims.username or claims.subject, claims.expires_at, deque(maxlen=5))
    return name


def session() -> Session | None:
    """The session of the one who asks."""
    found = sessions.get(request.cookies.get(SESSION_ID, ""))
    return found if found is not None and found.expires_at > time.time() else None


def local(path: str) -> str:
    """A path as a URL of this application: behind our own host no path leads to another one."""
    return RESOURCE + path if path.startswith("/") and path.isprintable() else f"{RESOURCE}/"
