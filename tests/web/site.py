"""One running service with clients and users of every kind, shared by the tests of a module."""

import json
import sqlite3
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from msgspec.structs import replace

from jwtauth.passwords import Passwords
from jwtauth.protocol import throttling
from jwtauth.protocol.records import AuthMethod, ClientSecret, GrantType, SecretKind
from tests.support.home import PASSWORD, SECRET, Home, generated_secret
from tests.support.live import LiveServer
from tests.support.neighbours import neighbours

FORM = "application/x-www-form-urlencoded"
RESOURCE = "https://reports.example"
ODD_SECRET = "a+b/c=%é :"
SECOND_SECRET = "the-other-secret-that-is-valid-too"
EXPIRED_SECRET = "the-secret-that-was-valid-once"
CHOSEN_SECRET = "summer of 69"
WRITTEN = ("grants", "attempts", "revocations")
"""The tables that a refused request must leave alone."""

Form = Mapping[str, str] | Sequence[tuple[str, str]] | bytes


class Site:
    """A folder with its server, and an HTTP client that speaks to it."""

    def __init__(self, path: Path, *, workers: int = 1, **settings: Any) -> None:
        self.home = Home(path, **settings)
        self.server = LiveServer(path, workers=workers)
        self.http = httpx.Client(base_url=self.server.url, timeout=20, verify=False)

    def __enter__(self) -> "Site":
        self.server.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.http.close()
        self.server.stop()

    def token(
        self,
        form: Form = (),
        *,
        auth: tuple[str, str] | None = ("service", SECRET),
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A POST to the token endpoint; the client authenticates by Basic, its halves form-encoded."""
        return self.post("/oauth/token", form, auth=auth, headers=headers)

    def post(
        self,
        path: str,
        form: Form = (),
        *,
        auth: tuple[str, str] | None = ("service", SECRET),
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A POST of a form to any path."""
        sent = {"Content-Type": FORM, **(headers or {})}
        if auth is not None:
            sent["Authorization"] = basic(*auth)
        body = form if isinstance(form, bytes) else str(httpx.QueryParams(_pairs(form))).encode()
        return self.http.post(path, content=body, headers=sent)

    def granted(
        self,
        form: Form = (),
        *,
        auth: tuple[str, str] | None = ("service", SECRET),
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer of a token request that must succeed."""
        response = self.token(form, auth=auth, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def machine(self, *, auth: tuple[str, str] = ("service", SECRET)) -> str:
        """A machine's access token."""
        token: str = self.granted({"grant_type": "client_credentials"}, auth=auth)["access_token"]
        return token

    def person(self, username: str = "ada", *, auth: tuple[str, str] = ("service", SECRET)) -> dict[str, Any]:
        """A person's tokens."""
        return self.granted({"grant_type": "password", "username": username, "password": PASSWORD}, auth=auth)

    def refresh(self, token: str, *, auth: tuple[str, str] | None = ("service", SECRET), **more: str) -> httpx.Response:
        """A refresh."""
        return self.token({"grant_type": "refresh_token", "refresh_token": token, **more}, auth=auth)

    def is_active(self, token: str, *, auth: tuple[str, str] = ("service", SECRET)) -> bool:
        """What introspection says."""
        response = self.post("/oauth/introspect", {"token": token}, auth=auth)
        assert response.status_code == 200, response.text
        return bool(response.json()["active"])

    def dump(self, tables: Sequence[str] = WRITTEN) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of these tables, as committed."""
        with closing(sqlite3.connect(self.home.source.database)) as database:
            return {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}

    def execute(self, statement: str, *values: object) -> int:
        """Change the database behind the server's back; returns how many rows changed."""
        with closing(sqlite3.connect(self.home.source.database, timeout=10)) as database, database:
            return database.execute(statement, values).rowcount

    def let_wait_pass(self, account: str) -> None:
        """Write the account's last wrong secret an hour into the past: what an hour's wait would do."""
        changed = self.execute("UPDATE attempts SET last_at = last_at - 3600 WHERE bucket = ?", bucket(account))
        assert changed == 1

    @contextmanager
    def writing_nothing(self) -> Iterator[None]:
        """Whatever happens inside must leave no trace in the database."""
        before = self.dump()
        yield
        assert self.dump() == before


def populate(site: Site) -> None:
    """Clients and users of every kind, beside a realm of each older system."""
    home = site.home
    home.realm(roles=("ROLE_USER",))
    home.client("service", resources=(RESOURCE, "https://bills.example/api"), authorities=("ROLE_SERVICE",))
    home.client("other")
    home.client("poster", auth_method=AuthMethod.POST)
    home.client("portal", auth_method=AuthMethod.NONE, grant_types=(GrantType.PASSWORD, GrantType.REFRESH_TOKEN))
    home.client("batch", grant_types=(GrantType.CLIENT_CREDENTIALS,), default_scope=("read",))
    home.client("oneshot", grant_types=(GrantType.PASSWORD,))
    home.client("odd", secrets=(generated_secret(ODD_SECRET),))
    home.client("chosen", secrets=(chosen_secret(CHOSEN_SECRET),))
    expired = replace(generated_secret(EXPIRED_SECRET), expires_at=int(time.time()) - 1)
    home.client("two", secrets=(generated_secret(), generated_secret(SECOND_SECRET)))
    home.client("expired", secrets=(expired, generated_secret()))
    home.client("u-reusing", refresh_token_is_reusable=True)
    disabled = home.client("disabled")
    closed = home.realm("closed")
    home.client("inside", realm=closed)
    abroad = home.realm("abroad")
    home.client("foreigner", realm=abroad)
    home.client("auditor", realm=abroad, introspects_realms=("default",))
    home.client("reports", resources=(RESOURCE,))
    home.user("ada")
    home.user("o'brien; DROP TABLE users --")
    home.user("münchen")
    eve = home.user("eve")
    home.user("bob", roles={"abroad": ()})
    neighbours(home)
    now = int(time.time())
    home.ask(lambda store: store.administration.disable_client(disabled, now=now))
    home.ask(lambda store: store.administration.disable_realm(closed, now=now))
    home.ask(lambda store: store.administration.disable_user(eve, now=now))


def chosen_secret(secret: str) -> ClientSecret:
    """A stored secret as if a human had chosen it."""
    passwords = Passwords(memory=8_192, passes=1, threads=1, queue=0)
    digest = passwords.hash(secret)
    passwords.close()
    return ClientSecret(kind=SecretKind.CHOSEN, digest=digest, created_at=0)


def basic(client_id: str, secret: str, *, is_encoded: bool = True) -> str:
    """An Authorization header as RFC 6749 section 2.3.1 wants it, or raw as many clients send it."""
    halves = [str(httpx.QueryParams({"": text}))[1:] if is_encoded else text for text in (client_id, secret)]
    return "Basic " + b64encode(":".join(halves).encode()).decode()


def bucket(account: str) -> int:
    """Where an account's wrong secrets are counted: `user NAME` or `client CLIENT_ID`."""
    return int.from_bytes(sha256(account.encode()).digest()[:8], "big") % throttling.BUCKETS


def claims_of(token: str) -> dict[str, Any]:
    """A token's claims, unverified."""
    claims: dict[str, Any] = json.loads(decoded(token.split(".")[1]))
    return claims


def decoded(segment: str) -> bytes:
    """One segment of a token as bytes."""
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def assert_refused(response: httpx.Response, status: int, code: str) -> None:
    """The answer is a refusal as RFC 6749 section 5.2 writes them."""
    assert (response.status_code, response.json()["error"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    description = response.json()["error_description"]
    assert all(0x20 <= ord(character) <= 0x7E and character not in '"\\' for character in description)


def _pairs(form: Mapping[str, str] | Sequence[tuple[str, str]]) -> list[tuple[str, str | int | float | None]]:
    return [*form.items()] if isinstance(form, Mapping) else [*form]
