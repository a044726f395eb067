"""The walk through aioauth's example, in a browser: authorize, log in, approve or deny, tokenize, refresh.

With `jwtauth dev --dialect aioauth` running, register this client in the same folder; that prints its secret once:

    jwtauth client create walk --realm aioauth --scope email --redirect-uri http://127.0.0.1:8001/redirect

Then, with `pip install flask httpx`, one command starts it, and http://127.0.0.1:8001/ is where the walk begins:

    CLIENT_SECRET=THE-SECRET flask --app examples/aioauth_walk run --port 8001

ISSUER, CLIENT_ID and REDIRECT_URI in the environment name others. The page shows tokens, as it is there for looking at
them; an application of yours has no reason to.
"""

import os
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
from flask import Flask, Response, redirect, render_template_string, request, session, url_for
from flask.typing import ResponseReturnValue

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
CLIENT_ID = os.environ.get("CLIENT_ID", "walk")
CLIENT_SECRET = os.environ["CLIENT_SECRET"]
REDIRECT_URI = os.environ.get("REDIRECT_URI", "http://127.0.0.1:8001/redirect")

PAGE = """<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<title>The walk</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; accent-color: #2f6fde }
  body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
  h2 { margin: 2rem 0 0; font-size: 1.1rem }
  pre { margin: .5rem 0; padding: .75rem 1rem; border-radius: .5rem; font-size: .85rem;
        white-space: pre-wrap; overflow-wrap: anywhere; background: color-mix(in srgb, CanvasText 7%, Canvas) }
  pre.answer { border-left: .25rem solid #2f6fde }
  form { display: inline }
  a.button, button { display: inline-block; margin: 1rem .5rem 0 0; padding: .5rem 1rem; font: inherit; cursor: pointer;
        border: 1px solid #2f6fde; border-radius: .5rem; color: CanvasText; background: Canvas; text-decoration: none }
  a.next, button.next { color: #fff; background: #2f6fde }
</style>
<h1>The walk</h1>
{% for step in walk.steps %}
<h2>{{ loop.index }}. {{ step.title }}</h2>
<pre>{{ step.request }}</pre>
<pre class="answer">{{ step.answer }}</pre>
{% endfor %}
{% if walk.refresh_token %}
<form method="post" action="{{ url_for('refresh') }}"><button class="next">Refresh</button></form>
{% elif walk.code and walk.steps|length == 1 %}
<form method="post" action="{{ url_for('tokenize') }}"><button class="next">Tokenize</button></form>
{% elif not walk.steps %}
<p>Ask for the scope email at {{ issuer }}, where somebody logs in, and approves or denies.</p>
<pre>GET {{ link }}</pre>
<a class="button next" href="{{ link }}">Authorize</a>
{% endif %}
{% if walk.steps %}
<form method="post" action="{{ url_for('again') }}"><button>Begin again</button></form>
{% endif %}
</html>"""


@dataclass
class Step:
    """What was asked, and what was answered."""

    title: str
    request: str
    answer: str


@dataclass
class Walk:
    """How far somebody has come. It stays here; the browser has only a number for it."""

    state: str = field(default_factory=secrets.token_urlsafe)
    steps: list[Step] = field(default_factory=list)
    code: str = ""
    refresh_token: str = ""


app = Flask(__name__)
app.secret_key = secrets.token_bytes()
app.config.update(SESSION_COOKIE_NAME="aioauth_walk", SESSION_COOKIE_SAMESITE="Lax")  # other sites' forms lack it
walks: dict[str, Walk] = {}


def current() -> Walk:
    """The walk of this browser; a new one where there is none."""
    number = session.setdefault("walk", secrets.token_urlsafe())
    return walks.setdefault(number, Walk())


@app.after_request
def keep_nothing(response: Response) -> Response:
    """Pages with tokens are not for caches."""
    response.headers["Cache-Control"] = "no-store"
    return response


@app.get("/")
def show() -> str:
    """All steps so far, and a button for the next one."""
    walk = current()
    return render_template_string(PAGE, walk=walk, link=authorization_url(walk), issuer=ISSUER)


def authorization_url(walk: Walk) -> str:
    """Where the person is sent to log in; the state says later that it was this browser which was sent."""
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "state": walk.state,
        "scope": "email",
    }
    return f"{ISSUER}/oauth/authorize?{urlencode(asked)}"


@app.get("/redirect")
def come_back() -> ResponseReturnValue:
    """The person comes back with a code, or with `access_denied`; whoever was not sent from here, does not."""
    walk = current()
    if request.args.get("state") != walk.state or request.args.get("iss") != ISSUER or walk.steps:
        return "This answers no request of this browser.", 400
    walk.steps.append(Step("Authorize", f"GET {authorization_url(walk)}", f"Location: {request.url}"))
    walk.code = request.args.get("code", "")
    return redirect(url_for("show"), 303)


@app.post("/tokenize")
def tokenize() -> ResponseReturnValue:
    """The code for tokens."""
    walk = current()
    return ask(walk, "Tokenize", {"grant_type": "authorization_code", "code": walk.code, "redirect_uri": REDIRECT_URI})


@app.post("/refresh")
def refresh() -> ResponseReturnValue:
    """The refresh token for new tokens, and for the next refresh token."""
    walk = current()
    return ask(walk, "Refresh", {"grant_type": "refresh_token", "refresh_token": walk.refresh_token})


def ask(walk: Walk, title: str, form: dict[str, str]) -> ResponseReturnValue:
    """Ask the token endpoint as the client; its secret is sent, and shown to nobody."""
    url = f"{ISSUER}/oauth/tokenize"
    answer = httpx.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=10)
    asked = f"POST {url}\nAuthorization: Basic {CLIENT_ID}:********\n\n{urlencode(form)}"
    walk.steps.append(Step(title, asked, f"{answer.status_code} {answer.reason_phrase}\n\n{answer.text}"))
    walk.refresh_token = answer.json()["refresh_token"] if answer.is_success else ""
    return redirect(url_for("show"), 303)


@app.post("/again")
def again() -> ResponseReturnValue:
    """Forget this walk."""
    walks.pop(session.pop("walk", ""), None)
    return redirect(url_for("show"), 303)
