"""A running onesait platform as its sample has it, with a child realm, and beside it a realm that is strict."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec.structs import replace

from jwtauth.dialects.onesait import CLIENT_ID, DEFAULT_KEY, DIALECT, PASSWORD, USERNAME
from jwtauth.protocol.records import AuthMethod, GrantType, Realm
from tests.support import waiting
from tests.support.home import SECRET, Home, generated_secret
from tests.support.person import Person
from tests.web.site import Form, Site, basic

TOKEN: Final = "/oauth-server/oauth/token"
AUTHORIZE: Final = "/oauth-server/oauth/authorize"
CHECK: Final = "/oauth-server/oauth/check_token"
PLATFORM: Final = "/oauth-server/openplatform-oauth"
CALLBACK: Final = "http://127.0.0.1/callback"
KEY: Final = (CLIENT_ID, DEFAULT_KEY)
POSTING: Final = "strict-posting"
STRICT: Final = ("strict", SECRET)
FORM: Final = "application/x-www-form-urlencoded"

WRITTEN_WITHIN: Final = 60.0
"""Seconds within which what was counted must be in the database."""
wait_until = partial(waiting.wait_until, within=WRITTEN_WITHIN, every=0.05)


class Service(Site):
    """The running service, with the requests that its tests send again and again."""

    secrets: set[str]
    """Every password, secret, code and token of the requests and answers."""

    def __init__(self, path: Path, **settings: Any) -> None:
        super().__init__(path, **{"default_realm": DIALECT.name, **settings})
        self.secrets = {DEFAULT_KEY, PASSWORD, SECRET}

    def ask(
        self,
        path: str,
        form: Form = (),
        *,
        auth: tuple[str, str] | None = KEY,
        query: Mapping[str, str] | None = None,
        method: str = "POST",
    ) -> httpx.Response:
        """A request as the manual prints it: Basic, form content type, parameters in the form or in the query."""
        headers = {} if auth is None else {"Authorization": basic(*auth)}
        body = str(httpx.QueryParams(form)).encode() if form else b""  # type: ignore[arg-type]
        if method == "POST":
            headers["Content-Type"] = FORM
        return self.noted(self.http.request(method, path, params=query, content=body, headers=headers))

    def raw(self, path: str, body: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """A request whose whole body is a token."""
        return self.noted(self.http.post(path, content=body.encode(), headers=headers))

    def held(self, path: str, token: str, method: str = "GET") -> httpx.Response:
        """A request by whoever holds a token."""
        return self.noted(self.http.request(method, path, headers={"Authorization": f"Bearer {token}"}))

    def sign_in(self, auth: tuple[str, str] = KEY, /, **changes: str) -> dict[str, Any]:
        """The tokens of the manual's password request, changed as told; "" leaves a parameter out."""
        response = self.password(auth, **changes)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def password(self, auth: tuple[str, str] | None = KEY, /, **changes: str) -> httpx.Response:
        """The manual's password request, changed as told."""
        usual = {
            "grant_type": "password",
            "username": USERNAME,
            "password": PASSWORD,
            "clientId": CLIENT_ID,
            "scope": "openid",
        }
        return self.ask(TOKEN, {name: value for name, value in {**usual, **changes}.items() if value}, auth=auth)

    def refreshed(self, token: str, *, auth: tuple[str, str] = KEY, **more: str) -> httpx.Response:
        """The manual's refresh."""
        return self.ask(TOKEN, {"grant_type": "refresh_token", "refresh_token": token, **more}, auth=auth)

    def is_live(self, token: str) -> bool:
        """What check_token says."""
        return self.ask(CHECK, {"token": token}).status_code == 200

    def browser(self) -> Person:
        """A new browser."""
        return Person(self.server.url)

    def noted(self, response: httpx.Response) -> httpx.Response:
        """Remember every secret that an answer holds."""
        if response.headers.get("content-type") == "application/json":
            self._note(response.json())
        return response

    def uses(self) -> dict[tuple[str, str], int]:
        """What the database has of uses of legacy doors."""
        with closing(sqlite3.connect(self.home.source.database)) as database:
            rows = database.execute(
                "SELECT clients.client_id, door, count FROM legacy_uses"
                " JOIN clients ON clients.id = legacy_uses.client_id"
            )
            return {(client_id, door): count for client_id, door, count in rows.fetchall()}

    def _note(self, answer: Any) -> None:
        match answer:
            case dict():
                for name, value in answer.items():
                    if name in ("access_token", "refresh_token", "token", "id_token") and value != "-1":
                        self.secrets.add(str(value))
                    self._note(value)
            case _:
                return


def seed(home: Home, **realm: Any) -> Realm:
    """The dialect's sample, by its records; `jwtauth serve` would refuse what is marked as a demonstration."""
    sample = DIALECT.sample
    assert sample is not None
    found = home.realm(DIALECT.name, **{"roles": sample.roles, **DIALECT.realm, "dialect": DIALECT.name, **realm})
    for client, secret in sample.clients:
        assert secret is not None
        record = replace(client, realm=found, secrets=(generated_secret(secret),), is_demo=False)
        home.ask(lambda store, record=record: store.administration.create_client(record, now=0))  # type: ignore[misc]
    for person in sample.users:
        user = person.user
        home.user(user.username, person.password, sub=user.sub, roles=user.roles, profile=user.profile)
    return found


def seed_strict(home: Home) -> None:
    """A client and a person of a realm that speaks the standard, with the same grants and scope."""
    home.client(
        STRICT[0],
        realm=home.realm(),
        grant_types=(GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN, GrantType.PASSWORD),
        scope=("openid", "authorization_code"),
        redirect_uris=("https://strict.example/callback",),
    )
    home.client(POSTING, auth_method=AuthMethod.POST, grant_types=(GrantType.PASSWORD,), scope=("openid",))
    home.user("ada", PASSWORD)


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """While it runs; at its end the log must not know a traceback, nor anything secret."""
    with service:
        yield service
    log = service.server.log.read_text()
    assert "Traceback" not in log
    assert [secret for secret in service.secrets if secret in log] == []


def said(response: httpx.Response) -> tuple[int, str, str]:
    """A refusal: status, code and description."""
    body = json.loads(response.text)
    return response.status_code, body["error"], body["error_description"]
