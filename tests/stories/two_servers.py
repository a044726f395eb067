"""Two services: `there` is the upstream, `here` has realms that trust it, each by another way to prove its tokens."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec.structs import replace

from jwtauth.protocol.records import GrantType, Realm
from jwtauth.protocol.upstream import Upstream, check
from jwtauth.store.ports import Store
from tests.support.home import PASSWORD, SECRET
from tests.support.live import LiveServer, free_port
from tests.web.site import RESOURCE, Site

THERE: Final = "the password that is good there alone"
CALLBACK_PATH: Final = "/login/upstream/callback"
REALMS: Final = ("default", "realm-web", "realm-old", "realm-nameless", "realm-cut-off")
SCOPE: Final = ("openid", "profile", "read")
DIRECT: Final = (GrantType.EXTERNAL_TOKEN, GrantType.REFRESH_TOKEN)
WAYS: Final = ("introspection", "userinfo", "keys")


class TwoServers:
    """Ada and Bob have accounts at both, with different passwords."""

    def __init__(self, path: Path) -> None:
        port = free_port()
        self.path = path
        self.there = Site(path / "there")
        self.here = Site(path / "here")
        self.here.http.close()
        self.here.server = LiveServer(self.here.home.path, port=port)
        self.here.http = httpx.Client(base_url=self.here.server.url, timeout=20, verify=False)
        self.secret = path / "client_secret"
        self.secret.write_text(f"{SECRET}\n", encoding="utf-8")
        self._settle_there()
        self._settle_here()

    def _settle_there(self) -> None:
        home = self.there.home
        home.realm(roles=("ROLE_USER",))
        home.client(
            "jwtauth",
            scope=SCOPE,
            grant_types=(GrantType.AUTHORIZATION_CODE, GrantType.PASSWORD, GrantType.REFRESH_TOKEN),
            redirect_uris=tuple(f"{self.here.server.url}{CALLBACK_PATH}?realm={realm}" for realm in REALMS),
            name="The service here",
        )
        portal: dict[str, Any] = {"scope": SCOPE, "grant_types": (GrantType.PASSWORD, GrantType.REFRESH_TOKEN)}
        home.client("portal", resources=(RESOURCE,), **portal)
        home.client("brief", access_token_in=1, **portal)
        home.client("fleeting", access_token_in=900, **portal)
        home.client("lasting", access_token_in=7_200, **portal)
        home.user("ada", THERE)
        home.user("bob", THERE)
        home.user("mallory", THERE)
        self.audience = home.realm().audience

    def _settle_here(self) -> None:
        home = self.here.home
        home.realm(roles=("ROLE_USER",))
        for way in WAYS:
            self.trust(way, **self.members(way))
        self.trust("there", **self.members("introspection"), checks_passwords=True)
        for username in ("ada", "bob"):
            roles: dict[str, tuple[str, ...]] = dict.fromkeys((*WAYS, "there", "default"), ("ROLE_USER",))
            home.user(username, roles=roles)
        home.client("untrusting", grant_types=DIRECT)
        home.client("plain", realm=home.realm("keys"), grant_types=(GrantType.PASSWORD,))
        for way in WAYS:
            home.client(f"{way}-second", realm=home.realm(way), grant_types=DIRECT)

    def members(self, way: str) -> dict[str, Any]:
        """Those members of an upstream that say how `there` proves its tokens."""
        url = self.there.server.url
        match way:
            case "introspection":
                return {"introspection_uri": f"{url}/oauth/introspect", "audience": self.audience}
            case "userinfo":
                return {"userinfo_uri": f"{url}/oauth/userinfo", "username_claim": "preferred_username"}
            case _:
                keys = f"{url}/.well-known/jwks.json"
                return {"jwks_uri": keys, "issuer": url, "audience": self.audience}

    def trust(self, name: str, *, url: str | None = None, **members: Any) -> Realm:
        """A realm of that name here, with a client of its name, that trusts an upstream."""
        upstream = Upstream(
            **{
                "name": "Example Login",
                "client_id": "jwtauth",
                "client_secret": f"file:{self.secret}",
                "access_token_uri": f"{url or self.there.server.url}/oauth/token",
                **members,
            }
        )
        check(upstream)
        realm = self.here.home.realm(name, upstream=upstream, roles=("ROLE_USER",), access_token_in=1_800)
        self.here.home.client(name, realm=realm, grant_types=DIRECT, scope=("read", "write"))
        return realm

    def join(self, username: str, realm: str) -> None:
        """Make a person here a member of one more realm."""

        async def work(store: Store) -> None:
            user = await store.directory.user_named(username)
            assert user is not None
            joined = replace(user, roles={**user.roles, realm: ("ROLE_USER",)})
            await store.administration.change_user(joined, now=int(time.time()))

        self.here.home.ask(work)

    def foreign(self, username: str = "ada", *, by: str = "portal", **more: str) -> dict[str, Any]:
        """Tokens of `there`."""
        form = {"grant_type": "password", "username": username, "password": THERE, **more}
        return self.there.granted(form, auth=(by, SECRET))

    def foreign_token(self, username: str = "ada", *, by: str = "portal", **more: str) -> str:
        """An access token of `there`."""
        token: str = self.foreign(username, by=by, **more)["access_token"]
        return token

    def exchange(self, realm: str, token: str, username: str = "ada", **more: str) -> httpx.Response:
        """The request that SEEDS.md has, as a form."""
        password = THERE if realm == "there" else PASSWORD
        form = {
            "grant_type": "external_token",
            "username": username,
            "password": password,
            "access_token": token,
            "refresh_token": "a-foreign-refresh-token",
            **more,
        }
        return self.here.token(form, auth=(realm, SECRET))


def running(path: Path) -> Iterator[TwoServers]:
    """Both services, started; at the end neither log must know a traceback."""
    pair = TwoServers(path)
    with pair.there, pair.here:
        yield pair
    for site in (pair.there, pair.here):
        assert "Traceback" not in site.server.log.read_text()
