"""A running service whose realms speak as FLARECAST's workflow manager did, with the accounts of its documentation."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec.structs import replace

from jwtauth.dialects.flarecast import DIALECT, REDIRECT_URI, SECRETLESS
from jwtauth.protocol.records import AuthMethod, Client, GrantType, Realm
from tests.support.home import Home, generated_secret
from tests.support.person import Person, answer, has_field
from tests.web.site import Site

NAME: Final = DIALECT.name
PORTAL: Final = "https://portal.example/callback"
OWN: Final = "https://own.example/callback"

F3: Final = "grant_type=client_credentials&scope=read&client_id=1234&client_secret=abcd"
F4: Final = "grant_type=password&scope=read&client_id=1234&username=TestUser1&password=1234"
F5: Final = "grant_type=refresh_token&scope=read&client_id=1234&refresh_token="
"""The requests as they are printed."""


def seed(home: Home) -> Realm:
    """The realm, client and person of the dialect's sample, as accounts in real use: a server takes no others."""
    sample = DIALECT.sample
    assert sample is not None
    realm = home.realm(NAME, **{**DIALECT.realm, "dialect": NAME, "roles": sample.roles})
    for client, secret in sample.clients:
        secrets = () if secret is None else (generated_secret(secret),)
        register(home, replace(client, realm=realm, secrets=secrets, is_demo=False))
    for person in sample.users:
        user = person.user
        home.user(user.username, person.password, id=user.id, sub=user.sub, roles=user.roles)
    return realm


def register(home: Home, client: Client) -> Client:
    """A client as it stands in its record."""
    return home.ask(lambda store: store.administration.create_client(client, now=0))


def old_client(home: Home, client_id: str, realm: Realm, **changes: Any) -> Client:
    """A client with the settings that a new one of such a realm has, changed as told."""
    settings = {
        "realm": realm,
        "grant_types": (*SECRETLESS, GrantType.CLIENT_CREDENTIALS),
        "redirect_uris": (REDIRECT_URI,),
        **DIALECT.client,
        **changes,
    }
    return home.client(client_id, **settings)


def populate(home: Home) -> None:
    """The sample, clients of other kinds beside it, realms that change, and one that is strict."""
    realm = seed(home)
    old_client(home, "portal", realm, name="Portal", redirect_uris=(PORTAL,))
    old_client(home, "own", realm, redirect_uris=(OWN,), asks_consent=False)
    old_client(home, "confidential", realm, secretless_grants=())
    old_client(home, "counted", realm)
    old_client(home, "brief", realm, access_token_in=1)
    home.client(
        "public",
        realm=realm,
        auth_method=AuthMethod.NONE,
        grant_types=(GrantType.PASSWORD, GrantType.REFRESH_TOKEN),
    )
    algorithm = {"auth_method": AuthMethod.POST, "grant_types": (GrantType.CLIENT_CREDENTIALS,)}
    home.client("algorithm", realm=realm, **algorithm)
    now = int(time.time())
    fading = home.realm("fading", dialect=NAME, sunset_at=now + 86_400, **DIALECT.realm)
    ended = home.realm("ended", dialect=NAME, sunset_at=now - 1, **DIALECT.realm)
    old_client(home, "fading", fading)
    old_client(home, "ended", ended)
    strict = home.realm(roles=("ROLE_USER",))
    home.client("strict", realm=strict, auth_method=AuthMethod.POST, redirect_uris=(PORTAL,), requires_pkce=False)
    everywhere: dict[str, tuple[str, ...]] = {NAME: (), "fading": (), "ended": (), "default": ()}
    home.user("ada", roles=everywhere)


class Service(Site):
    """The running service, with what its tests ask again and again."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, default_realm=NAME)

    def printed(self, query: str) -> httpx.Response:
        """A token request as the documentation prints it: a URL."""
        return self.http.get(f"/oauth/token?{query}")

    def earned(self, query: str) -> dict[str, Any]:
        """The answer of one that must succeed."""
        response = self.printed(query)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def info(self, access_token: str) -> httpx.Response:
        """Verify Access Token."""
        return self.http.get("/oauth/tokeninfo", params={"access_token": access_token})

    def browser(self) -> Person:
        """A new browser."""
        return Person(self.server.url)

    def code(self, client_id: str = "1234", redirect_uri: str = REDIRECT_URI, **more: str) -> str:
        """A code that a person allowed."""
        with self.browser() as person:
            page = person.open("/oauth/authorize", asked(client_id, redirect_uri, **more))
            seen = person.sign_in(page, "TestUser1", "1234")
            if has_field(seen, "confirm"):
                seen = confirmed(person, seen)
            return answer(seen, to=redirect_uri)["code"]

    def redeemed(self, form: Mapping[str, str]) -> httpx.Response:
        """The answer to a form at the token endpoint."""
        return self.token(form, auth=None)


def asked(client_id: str = "1234", redirect_uri: str = REDIRECT_URI, **more: str) -> dict[str, str]:
    """An authorization request as flask-oauthlib's clients sent it: without PKCE."""
    usual = {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "scope": "read"}
    return {**usual, "state": "a state", **more}


def confirmed(person: Person, page: httpx.Response, confirm: str = "yes") -> httpx.Response:
    """Press one of the two buttons of the authorization page."""
    return person.submit(page, ("confirm", confirm))


def running(path: Path) -> Iterator[Service]:
    """A populated, running service; at its end its log must not know a traceback."""
    service = Service(path)
    populate(service.home)
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()
