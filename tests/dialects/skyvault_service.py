"""A running service with the very sample of SkyVault's documentation, and what its clients send."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec.structs import replace

from jwtauth.dialects.dialect import Dialect
from jwtauth.dialects.skyvault import DIALECT
from jwtauth.protocol.records import Client, GrantType, Realm
from jwtauth.protocol.upstream import Upstream
from jwtauth.store.ports import Store
from tests.support.home import SECRET, Home, generated_secret
from tests.support.person import Person, has_field
from tests.web.site import Site, basic

CALLBACK: Final = "https://client.example.com/cb"
EXAMPLE: Final = "http://example.com/cb"
BASIC: Final = {"Authorization": basic("SkyVaultapp", "secret")}
RESOURCE: Final = "https://reports.example"
GRANTS: Final = tuple(grant_type for grant_type in GrantType if grant_type is not GrantType.EXTERNAL_TOKEN)
REALMS: Final = ("skyvault", "default", "abroad", "leaving", "closing")
TOMORROW: Final = int(time.time()) + 86_400


class Service(Site):
    """The running service, with what its tests ask again and again."""

    def ask(self, path: str, *, auth: tuple[str, str] | None = ("SkyVaultapp", "secret")) -> httpx.Response:
        """A POST without a body: everything is in the query, as the documentation prints it."""
        headers = {} if auth is None else {"Authorization": basic(*auth)}
        return self.http.post(self.server.url + path, headers=headers)

    def given(self, path: str, *, auth: tuple[str, str] = ("SkyVaultapp", "secret")) -> dict[str, Any]:
        """The tokens of such a request, which must succeed."""
        response = self.ask(path, auth=auth)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def password(self, client_id: str = "SkyVaultapp", secret: str = "secret") -> dict[str, Any]:
        """The tokens of S5."""
        return self.given("/oauth/token?username=admin&password=tiger&grant_type=password", auth=(client_id, secret))

    def secure(self, access_token: str, path: str = "/secure") -> httpx.Response:
        """S7."""
        return self.http.get(path, headers={"Authorization": f"Bearer {access_token}"})

    def visit(self, path: str) -> httpx.Response:
        """A new browser opens a link, and admin signs in and allows what is asked for."""
        with Person(self.server.url) as person:
            return self.allow(person, person.open(self.server.url + path))

    def allow(self, person: Person, seen: httpx.Response) -> httpx.Response:
        """Whatever the pages ask of admin until the browser is sent away."""
        if has_field(seen, "password"):
            seen = person.sign_in(seen, "admin", "tiger")
        return person.allow(seen) if has_field(seen, "decision") else seen

    def code(self, client_id: str = "alfrescoapp", **changes: str) -> str:
        """A code that admin has just given to a client."""
        asked = {"response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "state": "xyz", **changes}
        query = httpx.QueryParams({name: value for name, value in asked.items() if value})
        return carried(self.visit(f"/authorize?{query}"))["code"]

    def uses(self, client_id: str) -> dict[str, int]:
        """What was counted of a client, by door."""
        found = self.home.ask(lambda store: store.legacy_uses.all())
        return {use.door: use.count for use in found if use.client_id == client_id}


def carried(response: httpx.Response, to: str = CALLBACK) -> dict[str, str]:
    """The parameters with which a browser was sent back, in the query or the fragment."""
    assert response.status_code == 302, (response.status_code, response.text)
    location = response.headers["location"]
    assert re.match(re.escape(to) + "[?#]", location), location
    return dict(httpx.QueryParams(re.split("[?#]", location, maxsplit=1)[1]))


def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so; twenty seconds at most."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@contextmanager
def running(path: Path, populate: Callable[[Home], None], **settings: Any) -> Iterator[Service]:
    """A populated service; at its end its log must not know a traceback."""
    service = Service(path, **settings)
    populate(service.home)
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


def populate(home: Home) -> None:
    """The sample, a strict realm, another of this dialect, and two that are about to leave it."""
    strict = home.realm(roles=("ROLE_USER",))
    abroad = realm_of(home, "abroad")
    leaving = realm_of(home, "leaving", sunset_at=TOMORROW)
    closing = realm_of(home, "closing")
    skyvault = seed(home, DIALECT)
    common: dict[str, Any] = {"grant_types": GRANTS, "redirect_uris": (CALLBACK,), "requires_pkce": False}
    home.client("strict", realm=strict, **common)
    home.client("foreigner", realm=abroad, **common)
    home.client("leaver", realm=leaving, **common)
    home.client("closer", realm=closing, allows_implicit=True, **common)
    home.client("other", realm=skyvault, resources=(RESOURCE,), **common)
    home.client("betrayed", realm=skyvault, secrets=(), redeemed_by="foreigner", **common)


async def _create(store: Store, *, client: Client) -> Client:
    return await store.administration.create_client(client, now=0)


def seed(home: Home, dialect: Dialect) -> Realm:
    """The dialect's sample in a realm of its name; its people are members of the other realms too."""
    assert dialect.sample is not None
    realm = realm_of(home, dialect.name, roles=dialect.sample.roles)
    for client, secret in dialect.sample.clients:
        secrets = () if secret is None else (generated_secret(secret),)
        own = replace(client, realm=realm, secrets=secrets, is_demo=False)
        home.ask(partial(_create, client=own))
    for person in dialect.sample.users:
        roles: dict[str, tuple[str, ...]] = dict.fromkeys(REALMS, ())
        home.user(person.user.username, person.password, sub=person.user.sub, roles={**roles, **person.user.roles})
    return realm


def realm_of(home: Home, name: str, **changes: Any) -> Realm:
    """A new realm as the command line makes one that speaks this dialect."""
    return home.realm(name, dialect=DIALECT.name, **{**DIALECT.realm, **changes})


def populate_upstream(home: Home) -> None:
    """The server that is already present: strict, with a person, and a client that may ask it about tokens."""
    home.realm(roles=("ROLE_USER",))
    home.client("proxy", grant_types=(GrantType.PASSWORD, GrantType.REFRESH_TOKEN, GrantType.CLIENT_CREDENTIALS))
    home.user("admin", "admin")
    home.user("eve", "evening")


def populate_proxy(home: Home, upstream: str) -> None:
    """A realm that accepts that server's tokens and passwords."""
    (home.path / "upstream.secret").write_text(SECRET)
    realm = realm_of(
        home,
        "skyvault",
        upstream=Upstream(
            name="The present server",
            client_id="proxy",
            client_secret=f"file:{home.path / 'upstream.secret'}",
            access_token_uri=f"{upstream}/oauth/token",
            introspection_uri=f"{upstream}/oauth/introspect",
            checks_passwords=True,
        ),
    )
    home.client("SkyVaultapp", realm=realm, refresh_token_is_reusable=True, secrets=(generated_secret("secret"),))
    home.user("admin", "tiger", roles={"skyvault": ()})
