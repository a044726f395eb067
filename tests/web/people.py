"""One running service with people and the applications that they sign in to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from jwtauth.protocol.profile import Address, Profile
from jwtauth.protocol.records import ApplicationType, AuthMethod, GrantType
from tests.support.home import SECRET
from tests.support.neighbours import neighbours
from tests.support.person import CALLBACK, Person, redemption
from tests.web.site import Site

OIDC = ("openid", "profile", "email", "address", "phone", "offline_access", "read", "write")
CODE = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN)
RESOURCE = "https://reports.example"
GOODBYE = "https://app.example/goodbye"
LOOPBACK = "http://127.0.0.1:7777/callback"
PRIVATE = "com.example.app:/callback"

FULL = Profile(
    name="Ada Lovelace",
    given_name="Ada",
    family_name="Lovelace",
    middle_name="Augusta",
    nickname="Countess",
    profile="https://ada.example/",
    picture="https://ada.example/ada.png",
    website="https://ada.example/engine",
    gender="female",
    birthdate="1815-12-10",
    zoneinfo="Europe/London",
    locale="en-GB",
    email="ada@example.org",
    email_verified=True,
    phone_number="+44 20 7946 0000",
    phone_number_verified=False,
    address=Address(formatted="12 St James's Square\nLondon", locality="London", country="GB"),
)


def populate(site: Site) -> None:
    """Applications of every kind, and two people with every claim, beside a realm of each older system."""
    home = site.home
    home.realm(roles=("ROLE_USER",))
    common: dict[str, Any] = {
        "scope": OIDC,
        "grant_types": CODE,
        "redirect_uris": (CALLBACK,),
        "post_logout_redirect_uris": (GOODBYE,),
        "resources": (RESOURCE,),
    }
    home.client("web", name="Example Web", **common)
    home.client("web2", name="Second Web", **common)
    home.client("exempt", requires_pkce=False, **common)
    home.client("poster", auth_method=AuthMethod.POST, requires_pkce=False, **common)
    home.client("own", name="Our Own", asks_consent=False, **common)
    home.client("spa", auth_method=AuthMethod.NONE, **common)
    home.client(
        "native",
        auth_method=AuthMethod.NONE,
        application_type=ApplicationType.NATIVE,
        **{**common, "redirect_uris": (LOOPBACK, PRIVATE)},
    )
    home.client("loopback", **{**common, "redirect_uris": (LOOPBACK,)})
    home.client("old", allows_implicit=True, **common)
    home.client("queried", **{**common, "redirect_uris": ("https://app.example/callback?tenant=7",)})
    home.client("two", **{**common, "redirect_uris": (CALLBACK, "https://app.example/other")})
    home.client("machine", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read",), redirect_uris=(CALLBACK,))
    home.client("bare", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read",))
    home.user("ada", profile=FULL, updated_at=1_700_000_000)
    home.user("bob")
    home.realm("abroad")
    home.user("eve", roles={"abroad": ()})
    neighbours(home)


class Service(Site):
    """The running service, with what its tests ask again and again."""

    def browser(self, **headers: str) -> Person:
        """A new browser."""
        return Person(self.server.url, **headers)

    def redeem(self, code: str, *, client_id: str = "web", is_public: bool = False, **changes: str) -> httpx.Response:
        """The application redeems a code."""
        if is_public:
            return self.token({**redemption(code, **changes), "client_id": client_id}, auth=None)
        return self.token(redemption(code, **changes), auth=(client_id, SECRET))

    def tokens(self, person: Person, client_id: str = "web", **changes: str | list[str]) -> dict[str, Any]:
        """Everything from the application's link to its tokens."""
        code = person.grant(client_id, **changes)["code"]
        response = self.redeem(code, client_id=client_id, is_public=client_id in ("spa", "native"))
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def userinfo(self, access_token: str) -> httpx.Response:
        """What the service tells about the person."""
        return self.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {access_token}"})


def running(path: Path, **settings: Any) -> Iterator[Service]:
    """A populated, running service; at its end its log must not know a traceback."""
    service = Service(path, **settings)
    populate(service)
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()
