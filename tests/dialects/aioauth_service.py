"""A running service with the sample data of aioauth's example beside a strict realm, and a person who uses it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import httpx
from msgspec.structs import replace

from jwtauth.dialects.aioauth import DIALECT
from jwtauth.passwords import Passwords
from jwtauth.protocol.records import Client, GrantType, Realm
from tests.support.home import Home, generated_secret
from tests.support.person import Person
from tests.web.site import Site

REDIRECT_URI: Final = "https://www.example.com/redirect"
A1: Final = (
    "/oauth/authorize?client_id=test_client&redirect_uri=https%3A%2F%2Fwww.example.com%2Fredirect"
    "&response_type=code&state=somestate&scope=email"
)
"""The request as the example's documentation prints it."""

TEST_CLIENT: Final = ("test_client", "password")
STRICT: Final = ("strict_client", "a-secret-of-the-strict-realm")
IMPLICIT: Final = ("implicit_client", "a-secret-of-the-implicit-client")
OLD: Final = ("old_client", "a-secret-of-the-old-client")
OPEN_ID: Final = ("open_id_client", "a-secret-of-the-open-id-client")


class Example(Site):
    """The service, with what its tests ask again and again."""

    def __init__(self, path: Path, *, sunset_at: int | None = None) -> None:
        super().__init__(path, default_realm=DIALECT.name)
        self.sent: set[str] = set()
        """Every secret, code and token that went over the line."""
        seed(self.home, sunset_at=sunset_at)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def browser(self, **headers: str) -> Person:
        """A new browser."""
        return Person(self.server.url, **headers)

    def tokenize(
        self,
        form: Mapping[str, str],
        *,
        auth: tuple[str, str] | None = TEST_CLIENT,
        path: str = "/oauth/tokenize",
    ) -> httpx.Response:
        """The token request of the example: a form, the client by Basic."""
        response = self.post(path, form, auth=auth)
        self.sent |= {value for name, value in form.items() if name in _SECRET} | {auth[1] if auth else ""} - {""}
        found = response.json()
        self.sent |= {found[name] for name in ("access_token", "refresh_token") if name in found}
        return response

    def tokens(self, person: Person | None = None, *, scope: str = "email") -> dict[str, Any]:
        """A4 and A5 in one: from the person's approval to the tokens."""
        with self.browser() as somebody:
            code = approved(person or somebody, scope=scope)["code"]
        response = self.tokenize(redemption(code))
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


_SECRET: Final = ("code", "refresh_token", "password", "client_secret", "token")


def seed(home: Home, *, sunset_at: int | None = None, is_demo: bool = False) -> Realm:
    """The dialect's own sample; beside it a strict client, and three of the same realm with settings of their own.

    `jwtauth serve` refuses accounts that are marked as demonstration, so mostly they are not.
    """
    sample = DIALECT.sample
    assert sample is not None
    realm = home.realm(
        DIALECT.name, dialect=DIALECT.name, roles=sample.roles, **{**DIALECT.realm, "sunset_at": sunset_at}
    )
    for client, secret in sample.clients:
        _create(home, client, secret, realm=realm, is_demo=is_demo)
    strict = sample.clients[0][0]
    legacy = (GrantType.AUTHORIZATION_CODE, GrantType.PASSWORD, GrantType.REFRESH_TOKEN)
    _create(home, strict, STRICT[1], client_id=STRICT[0], realm=home.realm("default"), is_demo=False)
    _create(home, strict, IMPLICIT[1], client_id=IMPLICIT[0], realm=realm, allows_implicit=True, is_demo=False)
    _create(home, strict, OLD[1], client_id=OLD[0], realm=realm, grant_types=legacy, name="Old one", is_demo=False)
    _create(home, strict, OPEN_ID[1], client_id=OPEN_ID[0], realm=realm, scope=("openid", "email"), is_demo=False)
    passwords = Passwords(memory=8_192, passes=1, threads=1, queue=0)
    for person in sample.users:
        roles = {**person.user.roles, "default": ()}
        user = replace(person.user, password_hash=passwords.hash(person.password), roles=roles, is_demo=is_demo)
        home.ask(lambda store, user=user: store.administration.create_user(user, now=0))  # type: ignore[misc]
    passwords.close()
    return realm


def _create(home: Home, client: Client, secret: str | None, **changes: Any) -> None:
    secrets = (generated_secret(secret),) if secret else ()
    wanted = replace(client, secrets=secrets, **changes)
    home.ask(lambda store: store.administration.create_client(wanted, now=0))


def asked(**changes: str) -> dict[str, str | list[str]]:
    """The parameters of A1, changed as told; "" leaves one out."""
    usual = dict(parse_qsl(urlsplit(A1).query))
    return {name: value for name, value in {**usual, **changes}.items() if value != ""}


def login(person: Person, *, username: str = "admin", password: str = "admin", **changes: str) -> httpx.Response:
    """From the application's link to what follows the login form."""
    return person.submit(person.open("/oauth/authorize", asked(**changes)), username=username, password=password)


def approved(person: Person, **changes: str) -> dict[str, str]:
    """Whatever it takes until the application has its answer; returns the answer's parameters."""
    seen = person.open("/oauth/authorize", asked(**changes))
    if "Login Form" in seen.text:
        seen = person.submit(seen, username="admin", password="admin")
    return dict(carried(person.submit(seen, ("approval", "1"))))


def carried(response: httpx.Response) -> list[tuple[str, str]]:
    """What the browser carries back to the application, in its order."""
    assert response.status_code == 302, response.text
    location = response.headers["location"]
    assert location.startswith(REDIRECT_URI)
    parts = urlsplit(location)
    return parse_qsl(parts.query or parts.fragment, keep_blank_values=True, strict_parsing=True)


def redemption(code: str, **changes: str) -> dict[str, str]:
    """The form of A5, changed as told."""
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, **changes}
