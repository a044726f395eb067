"""An algorithm in a container: it calls a secured resource for itself, and renews its access token by itself.

With `jwtauth dev` and examples/infraviewer running, and `pip install Authlib requests`, one command starts it:

    python examples/container/algorithm.py

Beside `jwtauth dev --dialect flarecast` it is this one:

    env CLIENT_ID=1234 CLIENT_SECRET=abcd AUTH_METHOD=client_secret_post python examples/container/algorithm.py

Everything comes from the environment, as it does in a container: ISSUER, CLIENT_ID, CLIENT_SECRET, AUTH_METHOD, SCOPE,
the resource's URL as RESOURCE_URL, and how many seconds apart its calls are as PAUSE. For an issuer of your own give it
a client of its own: `jwtauth client create algorithm --grant-type client_credentials --scope read`.
"""

import logging
import os
import signal
import sys
import time

from authlib.integrations.requests_client import OAuth2Session, OAuthError
from requests import RequestException, Response

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
RESOURCE_URL = os.environ.get("RESOURCE_URL", "http://127.0.0.1:8001/ressource_1")
PAUSE = float(os.environ.get("PAUSE", "5"))

client = OAuth2Session(
    os.environ.get("CLIENT_ID", "demo-service"),
    os.environ.get("CLIENT_SECRET", "demo-secret"),
    token_endpoint_auth_method=os.environ.get("AUTH_METHOD", "client_secret_basic"),
    token_endpoint=f"{ISSUER}/oauth/token",
    grant_type="client_credentials",
    scope=os.environ.get("SCOPE", "read"),
    update_token=lambda token, access_token: logging.info("renewed the token before it expired"),
    leeway=60,
    default_timeout=20,
)
"""Renews a token that lives for less than `leeway` seconds more, in the call that comes next."""


def call() -> Response:
    """Ask the resource; with a new token where the present one is refused, as after a revocation."""
    if client.token is None:
        client.fetch_token()
    answer: Response = client.post(RESOURCE_URL)
    if answer.status_code == 401:
        client.fetch_token()
        logging.info("renewed the token after it was refused")
        answer = client.post(RESOURCE_URL)
    return answer


def main() -> None:
    """Call again and again; what does not work now may work in the next round."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the first process of a container dies of none by default
    while True:
        try:
            answer = call()
            logging.info("%d %s", answer.status_code, answer.text.strip())
        except (OAuthError, RequestException) as problem:
            logging.warning("no answer: %s", problem)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
