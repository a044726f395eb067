"""Who is the client: RFC 6749 sections 2.3 and 3.2.1, SECURITY C, at every endpoint that asks."""

import time
from base64 import b64encode
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import leaks
from tests.support.canary import Canary
from tests.support.home import PASSWORD, SECRET
from tests.web.site import (
    CHOSEN_SECRET,
    EXPIRED_SECRET,
    FORM,
    ODD_SECRET,
    SECOND_SECRET,
    Site,
    assert_refused,
    basic,
)
from tests.web.test_token_endpoint import ODD_IDS

MACHINE = {"grant_type": "client_credentials"}
ENDPOINTS = ("/oauth/token", "/oauth/introspect", "/oauth/check_token", "/oauth/revoke")
CALL = {**MACHINE, "token": "x"}
"""Parameters that any of them takes, so that only the authentication is in question."""


def encoded(text: str | bytes) -> str:
    return "Basic " + b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.fixture(params=ENDPOINTS)
def endpoint(request: pytest.FixtureRequest) -> str:
    path: str = request.param
    return path


class TestRefusals:
    @pytest.mark.parametrize(
        ("client_id", "secret"),
        [
            pytest.param("service", "wrong", id="wrong secret"),
            pytest.param("service", SECRET + " ", id="space behind"),
            pytest.param("service", SECRET.upper(), id="other case"),
            pytest.param("service", SECRET[:-1], id="one less"),
            pytest.param("nobody", SECRET, id="unknown client"),
            pytest.param("Service", SECRET, id="client in another case"),
            pytest.param("disabled", SECRET, id="disabled client"),
            pytest.param("inside", SECRET, id="disabled realm"),
            pytest.param("poster", SECRET, id="registered for the form"),
            pytest.param("portal", SECRET, id="public client with a secret"),
            pytest.param("portal", "x", id="public client with another secret"),
            pytest.param("two", "a-third-secret", id="neither of two"),
            pytest.param("expired", EXPIRED_SECRET, id="expired secret"),
        ],
    )
    def test_c_02_look_all_alike(self, site: Site, endpoint: str, client_id: str, secret: str) -> None:
        """Where tokens are asked about or revoked as well (I-01, I-07)."""
        with site.writing_nothing():
            response = site.post(endpoint, CALL, auth=(client_id, secret))
        assert_refused(response, 401, "invalid_client")
        assert response.headers["www-authenticate"] == 'Basic realm="jwtauth", charset="UTF-8"'
        assert response.text == site.post(endpoint, CALL, auth=("nobody", "nothing")).text

    @pytest.mark.parametrize(
        "form",
        [
            pytest.param({}, id="C-01 nothing"),
            pytest.param({"client_id": "service"}, id="C-08 no secret"),
            pytest.param({"client_id": "service", "client_secret": ""}, id="C-10 empty secret"),
            pytest.param({"client_id": "", "client_secret": SECRET}, id="empty client_id"),
            pytest.param({"client_secret": SECRET}, id="secret of nobody"),
            pytest.param({"client_id": "service", "client_secret": SECRET}, id="C-09 registered for Basic"),
            pytest.param({"client_id": "poster", "client_secret": "wrong"}, id="wrong secret"),
            pytest.param({"client_id": "poster", "client_secret": "s" * 1025}, id="long secret"),
            pytest.param({"client_id": "nobody", "client_secret": SECRET}, id="unknown client"),
            pytest.param({"client_id": "portal", "client_secret": "x"}, id="public client with a secret"),
        ],
    )
    def test_c_01_c_08_c_09_c_10_by_form_are_401_without_a_challenge(
        self, site: Site, endpoint: str, form: dict[str, str]
    ) -> None:
        with site.writing_nothing():
            response = site.post(endpoint, {**CALL, **form}, auth=None)
        assert_refused(response, 401, "invalid_client")
        assert "www-authenticate" not in response.headers

    @pytest.mark.parametrize("client_id", ODD_IDS)
    def test_c_14_survive_odd_client_ids(self, site: Site, endpoint: str, client_id: str) -> None:
        """Whatever a statement of the database would make of them (S-11)."""
        before = site.dump(("clients", "users"))
        assert_refused(
            site.post(endpoint, {**CALL, "client_id": client_id, "client_secret": "x"}, auth=None),
            401,
            "invalid_client",
        )
        by_basic = site.post(endpoint, CALL, auth=(client_id, SECRET))
        if len(client_id) < 1000:
            assert_refused(by_basic, 401, "invalid_client")
        assert 400 <= by_basic.status_code < 500
        assert site.dump(("clients", "users")) == before

    def test_c_08_keep_public_clients_from_asking_for_themselves(self, site: Site) -> None:
        response = site.token({**MACHINE, "client_id": "portal"}, auth=None)
        assert_refused(response, 400, "unauthorized_client")


class TestTwoMethods:  # RFC 6749 section 2.3
    @pytest.mark.parametrize(
        "form",
        [
            pytest.param({"client_secret": SECRET}, id="secret twice"),
            pytest.param({"client_secret": "other"}, id="another secret"),
            pytest.param({"client_id": "service", "client_secret": SECRET}, id="the whole of both"),
            pytest.param({"client_id": "other"}, id="another client"),
            pytest.param({"client_id": "portal"}, id="a public client"),
            pytest.param({"client_id": "SERVICE"}, id="another spelling"),
        ],
    )
    def test_c_03_c_04_are_an_invalid_request(self, site: Site, endpoint: str, form: dict[str, str]) -> None:
        with site.writing_nothing():
            assert_refused(site.post(endpoint, {**CALL, **form}), 400, "invalid_request")

    def test_c_03_do_not_count_where_they_say_the_same(self, site: Site) -> None:
        assert site.token({**MACHINE, "client_id": "service"}).status_code == 200

    @pytest.mark.parametrize("second", [basic("service", SECRET), basic("other", SECRET), "Bearer x", ""])
    def test_c_04_by_two_headers_are_an_invalid_request(self, site: Site, endpoint: str, second: str) -> None:
        headers = [("Authorization", basic("service", SECRET)), ("authorization", second), ("Content-Type", FORM)]
        response = site.http.post(endpoint, content=b"grant_type=client_credentials&token=x", headers=headers)
        assert_refused(response, 400, "invalid_request")

    def test_c_12_by_form_need_each_parameter_once(self, site: Site) -> None:
        for name in ("client_id", "client_secret"):
            form = [*MACHINE.items(), ("client_id", "poster"), ("client_secret", SECRET), (name, "x")]
            assert_refused(site.token(form, auth=None), 400, "invalid_request")


class TestAnAssertion:  # RFC 7523 section 2.2, RFC 9126
    """SECURITY A-01, A-02, A-03, A-04, A-05, A-06, A-09, A-10, A-11: a client cannot prove itself by a JWT."""

    def test_proves_nobody_and_makes_nothing_be_fetched(self, site: Site, endpoint: str) -> None:
        now = int(time.time())
        claims = {"iss": "service", "sub": "service", "aud": site.server.url, "iat": now, "exp": now + 60, "jti": "1"}
        own = ec.generate_private_key(ec.SECP256R1())
        with Canary() as canary, site.writing_nothing():
            names = {name: f"{canary.url}/{name}" for name in ("jku", "x5u", "kid")}
            for assertion in (
                jwt.encode(claims, "", algorithm="none"),
                jwt.encode(claims, SECRET * 2, algorithm="HS256"),
                jwt.encode(claims, own, algorithm="ES256", headers=names),
                jwt.encode({**claims, "aud": f"{site.server.url}/oauth/token"}, own, algorithm="ES256"),
                site.machine(),
                "e30.e30.e30",
            ):
                for kind in ("jwt-bearer", "saml2-bearer"):
                    form = {
                        "client_assertion": assertion,
                        "client_assertion_type": f"urn:ietf:params:oauth:client-assertion-type:{kind}",
                    }
                    for name in ({}, {"client_id": "service"}):
                        assert_refused(site.post(endpoint, {**CALL, **form, **name}, auth=None), 401, "invalid_client")
            assert not canary.was_asked()

    @pytest.mark.parametrize("name", ["token", "introspection", "revocation"])
    def test_is_not_announced(self, site: Site, name: str) -> None:
        found = site.http.get("/.well-known/oauth-authorization-server").json()
        assert all("jwt" not in method for method in found[f"{name}_endpoint_auth_methods_supported"])

    @pytest.mark.parametrize("path", ["/oauth/par", "/oauth/as/par", "/as/par", "/par"])
    def test_a_07_a_08_a_12_nothing_can_be_pushed(self, site: Site, path: str) -> None:
        """What nobody can push takes no room and cannot be another client's."""
        with site.writing_nothing():
            for method in ("GET", "POST"):
                response = site.http.request(method, path, data=CALL, auth=("service", SECRET))
                assert response.status_code == 404


class TestMalformedBasic:  # RFC 7617 section 2
    @pytest.mark.parametrize(
        "header",
        [
            pytest.param("", id="empty"),
            pytest.param("Basic", id="scheme only"),
            pytest.param("Basic *", id="no base64"),
            pytest.param("Basic YQ", id="base64 without its end"),
            pytest.param("Basic YTpi=", id="base64 with a surplus end"),
            pytest.param("Basic YTpi YTpi", id="two words"),
            pytest.param("Basic,YTpi", id="comma"),
            pytest.param(encoded("service"), id="no colon"),
            pytest.param(encoded(":"), id="both halves empty"),
            pytest.param(encoded("service:"), id="C-10 empty secret"),
            pytest.param(encoded(f":{SECRET}"), id="empty name"),
            pytest.param(encoded(b"service:\xff"), id="no UTF-8"),
            pytest.param(encoded("service:%ff"), id="no UTF-8 behind percent"),
            pytest.param(encoded("%ff:x"), id="no UTF-8 in the name"),
            pytest.param(encoded("serv%00ice:x"), id="NUL behind percent"),
            pytest.param(encoded("service\x00:x"), id="NUL"),
            pytest.param(encoded(f"service:{SECRET}\x00"), id="NUL behind the secret"),
            pytest.param(encoded(f"service:{SECRET}\n"), id="line feed"),
            pytest.param(encoded("service:" + "s" * 1025), id="long secret"),
            pytest.param("Digest username=service", id="Digest"),
            pytest.param(f"Bearer {SECRET}", id="Bearer"),
            pytest.param("Negotiate YTpi", id="Negotiate"),
            pytest.param("é", id="not ASCII"),
        ],
    )
    def test_c_06_is_refused_with_a_challenge(self, site: Site, endpoint: str, header: str) -> None:
        with site.writing_nothing():
            response = site.http.post(
                endpoint,
                content=b"grant_type=client_credentials&token=x",
                headers=[(b"Authorization", header.encode("latin-1")), (b"Content-Type", FORM.encode())],
            )
        assert_refused(response, 401, "invalid_client")
        assert response.headers["www-authenticate"].startswith("Basic ")

    def test_c_06_of_60_kilobytes_is_refused(self, site: Site) -> None:
        response = site.token(MACHINE, auth=None, headers={"Authorization": encoded("service:" + "s" * 45_000)})
        assert 400 <= response.status_code < 500


class TestSpelling:  # RFC 6749 section 2.3.1
    @pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
    def test_of_the_scheme_knows_no_case(self, site: Site, scheme: str) -> None:
        header = basic("service", SECRET).replace("Basic", scheme)
        assert site.token(MACHINE, auth=None, headers={"Authorization": header}).status_code == 200

    def test_c_07_of_the_secret_is_form_encoded(self, site: Site) -> None:
        assert site.token(MACHINE, auth=None, headers={"Authorization": basic("odd", ODD_SECRET)}).status_code == 200

    def test_c_07_of_the_secret_may_be_raw_as_many_clients_send_it(self, site: Site) -> None:
        header = basic("odd", ODD_SECRET, is_encoded=False)
        assert site.token(MACHINE, auth=None, headers={"Authorization": header}).status_code == 200

    @pytest.mark.parametrize("secret", ["a b/c=%é :", "a%2Bb/c=%é :", ODD_SECRET + "x", "a+b/c=%C3%A9 :"])
    def test_c_07_of_the_secret_is_not_guessed_further(self, site: Site, secret: str) -> None:
        header = basic("odd", secret, is_encoded=False)
        assert site.token(MACHINE, auth=None, headers={"Authorization": header}).status_code == 401


class TestSecrets:
    def test_may_come_by_form_where_the_client_registered_it(self, site: Site) -> None:
        form = {**MACHINE, "client_id": "poster", "client_secret": SECRET}
        assert site.token(form, auth=None).status_code == 200

    @pytest.mark.parametrize("secret", [SECRET, SECOND_SECRET])
    def test_may_be_two_at_once(self, site: Site, secret: str) -> None:
        assert site.token(MACHINE, auth=("two", secret)).status_code == 200

    def test_expire_one_by_one(self, site: Site) -> None:
        assert site.token(MACHINE, auth=("expired", EXPIRED_SECRET)).status_code == 401
        assert site.token(MACHINE, auth=("expired", SECRET)).status_code == 200

    def test_may_be_chosen_by_a_human(self, site: Site) -> None:
        for _ in range(3):
            assert site.token(MACHINE, auth=("chosen", CHOSEN_SECRET)).status_code == 200

    def test_are_never_taken_from_the_hash_itself(self, site: Site) -> None:
        stored = site.dump(("clients",))["clients"]
        digest = next(row for row in stored if "service" in row)
        for word in map(leaks.may_be_written, str(digest).replace('"', " ").replace("'", " ").split()):
            if len(word) == 64:
                assert site.token(MACHINE, auth=("service", word)).status_code == 401


class TestAStandingThatChanges:
    def test_f_12_counts_at_once_for_a_client(self, site: Site) -> None:
        client = site.home.client("leaver")
        token = site.machine(auth=("leaver", SECRET))
        person = site.person(auth=("leaver", SECRET))
        site.home.ask(lambda store: store.administration.disable_client(client, now=1))
        assert_refused(site.token(MACHINE, auth=("leaver", SECRET)), 401, "invalid_client")
        assert_refused(site.refresh(person["refresh_token"], auth=("leaver", SECRET)), 401, "invalid_client")
        assert not site.is_active(token)
        assert not site.is_active(person["access_token"])

    def test_f_12_counts_at_once_for_a_person(self, site: Site) -> None:
        user = site.home.user("leaving")
        granted = site.person("leaving")
        site.home.ask(lambda store: store.administration.disable_user(user, now=1))
        assert_refused(site.refresh(granted["refresh_token"]), 400, "invalid_grant")
        assert not site.is_active(granted["access_token"])
        form = {"grant_type": "password", "username": "leaving", "password": PASSWORD}
        assert_refused(site.token(form), 400, "invalid_grant")

    def test_f_12_counts_at_once_for_a_realm(self, site: Site) -> None:
        realm = site.home.realm("brief")
        site.home.client("brief-service", realm=realm)
        auth = ("brief-service", SECRET)
        token = site.machine(auth=auth)
        assert site.is_active(token, auth=auth)
        site.home.ask(lambda store: store.administration.disable_realm(realm, now=1))
        assert_refused(site.token(MACHINE, auth=auth), 401, "invalid_client")
        response: httpx.Response = site.http.get("/oauth/tokeninfo", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401


def test_every_endpoint_that_asks_for_a_client_is_in_the_table(site: Site) -> None:
    """But for the paths of older systems, which tests/dialects has."""
    described: dict[str, Any] = site.http.get("/openapi.json").json()["paths"]
    asking = {
        path
        for path, operations in described.items()
        for operation in operations.values()
        if {"client": []} in operation.get("security", []) and not operation["deprecated"]
    }
    assert asking == set(ENDPOINTS)
