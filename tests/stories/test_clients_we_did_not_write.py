"""Authlib, requests-oauthlib, PyJWT and joserfc against the running server, and our own verifier beside them."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import httpx
import jwt
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client
from authlib.oauth2.rfc6749.errors import MismatchingStateException
from authlib.oidc.core import CodeIDToken
from authlib.oidc.core import UserInfo as StandardClaims
from joserfc import jwt as jose
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from oauthlib.oauth2.rfc6749.errors import LoginRequired
from requests_oauthlib import OAuth2Session

from jwtauth.errors import InsufficientScope, InvalidToken
from jwtauth.verifier import Verifier
from tests.support import plain
from tests.support.home import PASSWORD, SECRET
from tests.support.person import CALLBACK, VERIFIER, Person, answer
from tests.web import people
from tests.web.people import GOODBYE, Service
from tests.web.site import RESOURCE, Site, populate

USER = "ada"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("foreign"))
    populate(site)
    with site:
        yield site


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server where people sign in to applications."""
    yield from people.running(tmp_path_factory.mktemp("people"))


@pytest.fixture
def person(service: Service) -> Iterator[Person]:
    """A new browser, and who sits before it."""
    with service.browser() as person:
        yield person


@pytest.fixture
def audience(site: Site) -> str:
    return site.home.realm().audience


@pytest.fixture
def endpoints(site: Site) -> dict[str, Any]:
    """The discovery document, which is all that these clients are told."""
    found: dict[str, Any] = site.http.get("/.well-known/oauth-authorization-server").json()
    return found


class TestAuthlib:
    @pytest.fixture
    def client(self, endpoints: dict[str, Any]) -> Iterator[Any]:
        with OAuth2Client("service", SECRET, token_endpoint=endpoints["token_endpoint"]) as client:
            yield client

    def test_gets_a_machines_token(self, client: Any, endpoints: dict[str, Any]) -> None:
        token = client.fetch_token(endpoints["token_endpoint"], grant_type="client_credentials", scope="read")
        assert token["token_type"] == "Bearer"
        assert token["scope"] == "read"
        assert "refresh_token" not in token

    def test_tells_the_whole_story_of_a_person(self, client: Any, endpoints: dict[str, Any]) -> None:
        url = endpoints["token_endpoint"]
        token = client.fetch_token(url, grant_type="password", username=USER, password=PASSWORD)
        asked = client.introspect_token(endpoints["introspection_endpoint"], token=token["access_token"])
        assert asked.json()["username"] == USER
        refreshed = client.refresh_token(url, refresh_token=token["refresh_token"])
        assert refreshed["refresh_token"] != token["refresh_token"]
        revoked = client.revoke_token(
            endpoints["revocation_endpoint"], token=refreshed["refresh_token"], token_type_hint="refresh_token"
        )
        assert revoked.status_code == 200
        asked = client.introspect_token(endpoints["introspection_endpoint"], token=refreshed["access_token"])
        assert asked.json() == {"active": False}
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(url, refresh_token=refreshed["refresh_token"])

    def test_authenticates_by_form_where_registered(self, endpoints: dict[str, Any]) -> None:
        with OAuth2Client("poster", SECRET, token_endpoint_auth_method="client_secret_post") as client:
            assert client.fetch_token(endpoints["token_endpoint"], grant_type="client_credentials")["access_token"]

    def test_needs_no_secret_for_a_public_client(self, endpoints: dict[str, Any]) -> None:
        with OAuth2Client("portal", token_endpoint_auth_method="none") as client:
            url = endpoints["token_endpoint"]
            token = client.fetch_token(url, grant_type="password", username=USER, password=PASSWORD)
            assert client.refresh_token(url, refresh_token=token["refresh_token"])["access_token"]

    def test_understands_a_refusal(self, endpoints: dict[str, Any]) -> None:
        with (
            OAuth2Client("service", "wrong") as client,
            pytest.raises(OAuthError, match="invalid_client"),
        ):
            client.fetch_token(endpoints["token_endpoint"], grant_type="client_credentials")

    def test_refreshes_by_itself_in_many_coroutines_and_stays_signed_in(
        self, site: Site, endpoints: dict[str, Any]
    ) -> None:
        """The classic way to be signed out: several requests see the expired token and all refresh."""
        token = site.person()

        async def refresh() -> str:
            async with AsyncOAuth2Client("service", SECRET, token=dict(token)) as client:
                got = await client.refresh_token(endpoints["token_endpoint"], refresh_token=token["refresh_token"])
                return str(got["refresh_token"])

        async def race() -> list[str]:
            return await asyncio.gather(*(refresh() for _ in range(8)))

        successors = set(asyncio.run(race()))
        assert len(successors) == 1
        assert site.refresh(successors.pop()).status_code == 200


class TestAuthlibSigningPeopleIn:
    """A confidential web application: its registration, and what the issuer's discovery document says."""

    @pytest.fixture
    def provider(self, service: Service) -> dict[str, Any]:
        found: dict[str, Any] = service.http.get("/.well-known/openid-configuration").json()
        assert found["issuer"] == service.server.url
        return found

    @pytest.fixture
    def client(self, provider: dict[str, Any]) -> Iterator[Any]:
        with OAuth2Client(
            "web",
            SECRET,
            redirect_uri=CALLBACK,
            scope="openid profile email offline_access",
            code_challenge_method="S256",
            token_endpoint=provider["token_endpoint"],
            revocation_endpoint_auth_method="client_secret_basic",
        ) as client:
            yield client

    def test_tells_the_whole_story(
        self, client: Any, provider: dict[str, Any], service: Service, person: Person
    ) -> None:
        token = self.signed_in(client, provider, person)
        claims = self.proven(token, provider, service, nonce="n-1")
        assert claims["sub"] == "u.ada"

        told = client.get(provider["userinfo_endpoint"]).json()
        assert told["sub"] == claims["sub"]
        assert StandardClaims(told).email == "ada@example.org"

        refreshed = client.refresh_token(provider["token_endpoint"], refresh_token=token["refresh_token"])
        assert refreshed["refresh_token"] != token["refresh_token"]
        again = self.proven(refreshed, provider, service)
        assert {name: again[name] for name in ("iss", "sub", "aud", "auth_time")} == {
            name: claims[name] for name in ("iss", "sub", "aud", "auth_time")
        }, "OpenID Connect Core 1.0 section 12.2"

        revoked = client.revoke_token(provider["revocation_endpoint"], token=refreshed["refresh_token"])
        assert revoked.status_code == 200
        assert client.get(provider["userinfo_endpoint"]).status_code == 401
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(provider["token_endpoint"], refresh_token=refreshed["refresh_token"])

    def test_signs_the_person_out_by_a_link(
        self, client: Any, provider: dict[str, Any], service: Service, person: Person
    ) -> None:
        token = self.signed_in(client, provider, person)
        leaving = {"id_token_hint": token["id_token"], "post_logout_redirect_uri": GOODBYE, "state": "s"}
        assert answer(person.open(provider["end_session_endpoint"], leaving), to=GOODBYE) == {"state": "s"}
        assert answer(person.authorize(prompt="none"))["error"] == "login_required"

    def test_keeps_a_state_that_is_not_its_own_out(self, client: Any, provider: dict[str, Any], person: Person) -> None:
        arrived = self.arrived(client, provider, person)
        with pytest.raises(MismatchingStateException):
            client.fetch_token(authorization_response=arrived, state="another", code_verifier=VERIFIER)

    def arrived(self, client: Any, provider: dict[str, Any], person: Person) -> str:
        """The URL with which the person came back to the application."""
        url, state = client.create_authorization_url(
            provider["authorization_endpoint"], code_verifier=VERIFIER, nonce="n-1"
        )
        page = person.sign_in(person.open(url))
        response = person.allow(page) if page.status_code == 200 else page
        assert answer(response)["state"] == state
        return str(response.headers["location"])

    def signed_in(self, client: Any, provider: dict[str, Any], person: Person) -> dict[str, Any]:
        """The application's tokens."""
        token: dict[str, Any] = client.fetch_token(
            authorization_response=self.arrived(client, provider, person), code_verifier=VERIFIER
        )
        return token

    def proven(
        self, token: dict[str, Any], provider: dict[str, Any], service: Service, *, nonce: str | None = None
    ) -> dict[str, Any]:
        """The claims of the ID token, once signature and claims are found right (OpenID Connect Core 3.1.3.7)."""
        keys = KeySet.import_key_set(service.http.get(provider["jwks_uri"]).json())
        read = jose.decode(token["id_token"], keys, algorithms=provider["id_token_signing_alg_values_supported"])
        options = {"iss": {"values": [provider["issuer"]]}, "aud": {"values": ["web"]}}
        expected = {"nonce": nonce, "client_id": "web", "access_token": token["access_token"]}
        claims = CodeIDToken(read.claims, read.header, options, expected)
        claims.validate(leeway=0)
        return dict(claims)


class TestRequestsOAuthlib:
    @pytest.fixture
    def session(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuth2Session]:
        monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # or it refuses http even on a loopback address
        with OAuth2Session("web", redirect_uri=CALLBACK, scope="openid profile offline_access", pkce="S256") as session:
            yield session

    def test_tells_the_whole_story_of_a_person(self, session: OAuth2Session, service: Service, person: Person) -> None:
        found = service.http.get("/.well-known/openid-configuration").json()
        url, _ = session.authorization_url(found["authorization_endpoint"])
        page = person.sign_in(person.open(url))
        response = person.allow(page) if page.status_code == 200 else page
        arrived = response.headers["location"]
        token = session.fetch_token(
            found["token_endpoint"], authorization_response=arrived, client_secret=SECRET, timeout=20
        )
        assert session.get(found["userinfo_endpoint"], timeout=20).json()["sub"] == "u.ada"
        refreshed = session.refresh_token(found["token_endpoint"], auth=("web", SECRET), timeout=20)
        assert refreshed["refresh_token"] != token["refresh_token"]
        assert session.get(found["userinfo_endpoint"], timeout=20).status_code == 200

    def test_understands_a_refusal(self, session: OAuth2Session, service: Service, person: Person) -> None:
        url, _ = session.authorization_url(f"{service.server.url}/oauth/authorize", prompt="none")
        arrived = person.open(url).headers["location"]
        with pytest.raises(LoginRequired):
            session.fetch_token(f"{service.server.url}/oauth/token", authorization_response=arrived)


class TestAResourceServer:
    def test_with_pyjwt_verifies_by_the_published_keys(self, site: Site, endpoints: dict[str, Any]) -> None:
        token = site.granted({"grant_type": "client_credentials", "resource": RESOURCE})["access_token"]
        key = jwt.PyJWKClient(endpoints["jwks_uri"]).get_signing_key_from_jwt(token)
        published = site.http.get(endpoints["jwks_uri"]).json()["keys"]
        claims = jwt.decode(
            token,
            key,
            algorithms=[key["alg"] for key in published],
            audience=RESOURCE,
            issuer=endpoints["issuer"],
            options={"require": ["exp", "iat", "jti", "sub", "aud", "iss"]},
        )
        assert claims["client_id"] == "service"

    def test_with_pyjwt_refuses_a_token_for_another(self, site: Site, endpoints: dict[str, Any]) -> None:
        token = site.machine()
        key = jwt.PyJWKClient(endpoints["jwks_uri"]).get_signing_key_from_jwt(token)
        with pytest.raises(jwt.InvalidAudienceError):
            jwt.decode(token, key, algorithms=["ES256"], audience=RESOURCE, issuer=endpoints["issuer"])

    def test_with_joserfc_verifies_by_the_published_keys(
        self, site: Site, endpoints: dict[str, Any], audience: str
    ) -> None:
        keys = KeySet.import_key_set(site.http.get(endpoints["jwks_uri"]).json())
        token = jose.decode(site.person()["access_token"], keys, algorithms=["ES256"])
        assert token.header["typ"] == "at+jwt"
        rules = jose.JWTClaimsRegistry(
            iss={"essential": True, "value": endpoints["issuer"]},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        rules.validate(token.claims)
        assert token.claims["username"] == USER

    def test_with_joserfc_refuses_a_forged_token(self, site: Site, endpoints: dict[str, Any]) -> None:
        keys = KeySet.import_key_set(site.http.get(endpoints["jwks_uri"]).json())
        head, payload, signature = site.machine().split(".")
        with pytest.raises(JoseError):
            jose.decode(f"{head}.{payload}.{signature[::-1]}", keys, algorithms=["ES256"])

    def test_with_our_verifier_verifies_offline(self, site: Site, audience: str) -> None:
        claims = Verifier(site.server.url, audience).verify(site.person()["access_token"])
        claims.require_scope("read")
        with pytest.raises(InsufficientScope):
            claims.require_scope("admin")

    def test_with_our_verifier_refuses_what_is_not_meant_for_it(self, site: Site) -> None:
        verifier = Verifier(site.server.url, RESOURCE)
        token = site.granted({"grant_type": "client_credentials", "resource": RESOURCE})["access_token"]
        verifier.verify(token)
        for wrong in (site.machine(), token + "=", token[:-4] + "AAAA", site.person()["refresh_token"], ""):
            with pytest.raises(InvalidToken):
                verifier.verify(wrong)


class TestTheStandardLibrary:
    """No OAuth library at all: what a script of ten lines does."""

    def test_gets_a_token(self, site: Site) -> None:
        basic = base64.b64encode(f"service:{SECRET}".encode()).decode()
        request = UrlRequest(
            f"{site.server.url}/oauth/token",
            data=b"grant_type=client_credentials",
            headers={"Authorization": f"Basic {basic}"},
        )
        with urlopen(request) as response:
            assert json.load(response)["token_type"] == "Bearer"

    @pytest.mark.parametrize(
        "send",
        [
            pytest.param(lambda url, form: plain.post(url, data=form, auth=("service", SECRET)), id="httpx"),
            pytest.param(lambda url, form: _curl(url, form), id="curl"),
        ],
    )
    def test_or_any_http_client_gets_one(self, site: Site, send: Callable[[str, dict[str, str]], Any]) -> None:
        answer = send(f"{site.server.url}/oauth/token", {"grant_type": "client_credentials"}).json()
        assert answer["access_token"]

    def test_imports_nothing_of_the_server_to_verify(self) -> None:
        """A resource server that imports the verifier loads no web framework, database or password hashing."""
        code = "import sys, jwtauth.verifier; print([n for n in ('litestar', 'sqlite3', 'argon2') if n in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


def _curl(url: str, form: dict[str, str]) -> httpx.Response:
    data = [word for name, value in form.items() for word in ("-d", f"{name}={value}")]
    done = subprocess.run(["curl", "-sS", "-u", f"service:{SECRET}", *data, url], capture_output=True, check=True)
    return httpx.Response(200, content=done.stdout)
