"""Every row of SkyVault's documentation, sent as printed to a running service (SEEDS S1 to S11)."""

import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from click.testing import CliRunner

from jwtauth.cli.commands import root
from jwtauth.cli.running import with_store
from jwtauth.dialects.skyvault import DIALECT
from jwtauth.protocol import registration
from jwtauth.protocol.records import Client
from jwtauth.settings import load
from tests.dialects.skyvault_service import (
    BASIC,
    CALLBACK,
    EXAMPLE,
    RESOURCE,
    Service,
    carried,
    populate,
    populate_proxy,
    populate_upstream,
    realm_of,
    running,
    until,
)
from tests.support import plain
from tests.support.home import SECRET, Home
from tests.support.person import VERIFIER, Person, has_field
from tests.web.site import Site, assert_refused, basic, claims_of

PASSWORD: Final = "/oauth/token?username=admin&password=tiger&grant_type=password"
MACHINE: Final = "/oauth/token?grant_type=client_credentials"
ASKED: Final = "client_id=alfrescoapp&state=xyz&redirect_uri=https%3A%2F%2Fclient%2Eexample%2Ecom%2Fcb"
AUTHORIZE: Final = f"/authorize?response_type=code&{ASKED}"
IMPLICIT: Final = f"//authorize?response_type=token&{ASKED}"
DEPRECATED: Final = "@1735689600"
STATE: Final = "a b+c&d=e%20ü~/?#'\"<x>"
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "migrating" / "skyvault.md"

Folder = pytest.TempPathFactory


@pytest.fixture(scope="module")
def service(tmp_path_factory: Folder) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("skyvault"), populate, default_realm="skyvault") as service:
        yield service


@pytest.fixture(scope="module")
def present(tmp_path_factory: Folder) -> Iterator[Site]:
    """The server that is already present."""
    site = Site(tmp_path_factory.mktemp("present"))
    populate_upstream(site.home)
    with site:
        yield site


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: Folder, present: Site) -> Iterator[Service]:
    def behind(home: Home) -> None:
        populate_proxy(home, present.server.url)

    with running(tmp_path_factory.mktemp("proxy"), behind, default_realm="skyvault") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def bare(tmp_path_factory: Folder) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("bare"))
    site.home.client("alfrescoapp", redirect_uris=(CALLBACK,))
    with site:
        yield site


def redeem(code: str, redirect_uri: str = CALLBACK, **more: str) -> str:
    """The token request of S3."""
    sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, **more}
    return f"/oauth/token?{httpx.QueryParams({name: value for name, value in sent.items() if value})}"


class TestS1AuthorizationRequest:
    def test_s1_post_with_basic_of_another_client_leads_through_sign_in_to_the_redirect(self, service: Service) -> None:
        with Person(service.server.url) as person:
            begun = person.http.post(AUTHORIZE, headers=BASIC)
            assert begun.status_code == 303
            assert begun.headers["deprecation"] == DEPRECATED
            seen = person.follow(begun)
            assert has_field(seen, "password")
            answer = carried(service.allow(person, seen))
        assert answer["code"]
        assert answer["state"] == "xyz"

    def test_s1_parameters_may_be_in_the_form(self, service: Service) -> None:
        sent = dict(httpx.QueryParams(AUTHORIZE.partition("?")[2]))
        with Person(service.server.url) as person:
            seen = person.follow(person.http.post("/authorize", data=sent, headers=BASIC))
            assert carried(service.allow(person, seen))["state"] == "xyz"

    def test_s1_get_does_the_same(self, service: Service) -> None:
        assert carried(service.visit(AUTHORIZE))["code"]

    def test_s1_state_is_optional(self, service: Service) -> None:
        assert "state" not in carried(service.visit(AUTHORIZE.replace("&state=xyz", "")))

    @pytest.mark.parametrize("query", ["", "response_type=code", "response_type=code&client_id=nobody"])
    def test_s1_client_id_is_required(self, service: Service, query: str) -> None:
        response = service.visit(f"/authorize?{query}")
        assert response.status_code == 400
        assert "location" not in response.headers

    def test_s1_response_type_is_required(self, service: Service) -> None:
        answer = carried(service.visit(AUTHORIZE.replace("response_type=code&", "")))
        assert answer["error"] == "invalid_request"
        assert answer["state"] == "xyz"

    @pytest.mark.parametrize("uri", ["https://evil.example/cb", f"{CALLBACK}/", "http://client.example.com/cb"])
    def test_s1_an_unregistered_redirect_uri_is_never_gone_to(self, service: Service, uri: str) -> None:
        query = httpx.QueryParams({"response_type": "code", "client_id": "alfrescoapp", "redirect_uri": uri})
        response = service.visit(f"/authorize?{query}")
        assert response.status_code == 400
        assert "location" not in response.headers


class TestS2AuthorizationResponse:
    def test_s2_redirects_by_302_with_code_and_state(self, service: Service) -> None:
        asked = {"response_type": "code", "client_id": "alfrescoapp", "state": "xyz", "redirect_uri": EXAMPLE}
        response = service.visit(f"/authorize?{httpx.QueryParams(asked)}")
        assert response.status_code == 302
        assert re.match(r"http://example\.com/cb\?code=[^&]+&state=xyz(&|$)", response.headers["location"])

    def test_s2_state_comes_back_byte_by_byte(self, service: Service) -> None:
        query = httpx.QueryParams(
            {"response_type": "code", "client_id": "alfrescoapp", "state": STATE, "redirect_uri": CALLBACK}
        )
        assert carried(service.visit(f"/authorize?{query}"))["state"] == STATE

    def test_s2_the_person_may_deny(self, service: Service) -> None:
        with Person(service.server.url) as person:
            seen = person.sign_in(person.open(f"{service.server.url}{AUTHORIZE}&prompt=consent"), "admin", "tiger")
            answer = carried(person.deny(seen))
        assert answer["error"] == "access_denied"
        assert answer["state"] == "xyz"
        assert "code" not in answer

    def test_s2_code_lives_ten_minutes_at_most(self, service: Service) -> None:
        service.code()
        with closing(sqlite3.connect(service.home.source.database)) as database:
            lives = database.execute("SELECT code_expires_at - created_at FROM grants WHERE code_expires_at > 0")
            assert all(0 < lives_in <= 600 for (lives_in,) in lives.fetchall())

    def test_s2_code_is_good_for_one_use(self, service: Service) -> None:
        code = service.code()
        first = service.given(redeem(code))
        assert_refused(service.ask(redeem(code)), 400, "invalid_grant")
        assert service.secure(first["access_token"]).status_code == 401


class TestS3AuthorizationCode:
    def test_s3_basic_client_redeems_the_code_of_its_partner(self, service: Service) -> None:
        answer = service.given(redeem(service.code()))
        assert answer["token_type"] == "bearer"
        assert answer["expires_in"] == 3600
        assert answer["scope"] == "read write"
        assert isinstance(answer["access_token"], str)
        assert isinstance(answer["refresh_token"], str)
        assert claims_of(answer["access_token"])["client_id"] == "alfrescoapp"
        assert claims_of(answer["access_token"])["username"] == "admin"

    def test_s3_client_id_may_name_the_partner(self, service: Service) -> None:
        assert service.given(redeem(service.code(), client_id="alfrescoapp"))["token_type"] == "bearer"

    def test_s3_parameters_may_be_in_the_form(self, service: Service) -> None:
        form = {"grant_type": "authorization_code", "code": service.code(), "redirect_uri": CALLBACK}
        answer = service.token({**form, "client_id": "alfrescoapp"}, auth=("SkyVaultapp", "secret"))
        assert answer.json()["token_type"] == "bearer"

    def test_s3_refresh_token_of_the_partner_is_reusable(self, service: Service) -> None:
        first = service.given(redeem(service.code()))
        path = f"/oauth/token?grant_type=refresh_token&refresh_token={first['refresh_token']}"
        for more in ("", "&client_id=alfrescoapp"):
            again = service.given(path + more)
            assert again["refresh_token"] == first["refresh_token"]
            assert again["expires_in"] == 3600
            assert service.secure(again["access_token"]).status_code == 200

    def test_s3_another_client_of_the_realm_gets_nothing(self, service: Service) -> None:
        code = service.code()
        assert_refused(service.ask(redeem(code), auth=("other", SECRET)), 400, "invalid_grant")
        named = redeem(code, client_id="alfrescoapp")
        assert_refused(service.ask(named, auth=("other", SECRET)), 400, "invalid_request")
        assert service.ask(redeem(code)).status_code == 200, "a stranger's attempt costs the code nothing"

    def test_s3_a_partner_in_another_realm_gets_nothing(self, service: Service) -> None:
        code = service.code("betrayed")
        foreigner = ("foreigner", SECRET)
        assert_refused(service.ask(redeem(code), auth=foreigner), 400, "invalid_grant")
        assert_refused(service.ask(redeem(code, client_id="betrayed"), auth=foreigner), 400, "invalid_request")
        assert_refused(service.ask(redeem(service.code()), auth=foreigner), 400, "invalid_grant")

    def test_s3_the_client_itself_gets_nothing_without_its_partner(self, service: Service) -> None:
        code = service.code()
        for query in (redeem(code, client_id="alfrescoapp"), redeem(code, client_id="alfrescoapp", client_secret="x")):
            assert_refused(service.ask(query, auth=None), 401, "invalid_client")
        assert_refused(service.ask(redeem(code), auth=("alfrescoapp", "secret")), 401, "invalid_client")
        assert_refused(service.ask(redeem(code), auth=None), 401, "invalid_client")

    def test_s3_a_stolen_code_is_worth_nothing_without_the_secret(self, service: Service) -> None:
        code = service.code()
        assert_refused(service.ask(redeem(code), auth=("SkyVaultapp", "wrong")), 401, "invalid_client")
        assert_refused(service.ask(redeem(code, client_id="SkyVaultapp"), auth=None), 401, "invalid_client")
        named = redeem(code, client_id="alfrescoapp")
        assert_refused(service.ask(named, auth=("SkyVaultapp", "wrong")), 401, "invalid_client")

    def test_s3_a_stolen_refresh_token_is_worth_nothing_without_the_secret(self, service: Service) -> None:
        token = service.given(redeem(service.code()))["refresh_token"]
        path = f"/oauth/token?grant_type=refresh_token&refresh_token={token}"
        assert_refused(service.ask(path, auth=("other", SECRET)), 400, "invalid_grant")
        assert_refused(service.ask(path, auth=("foreigner", SECRET)), 400, "invalid_grant")
        assert_refused(service.ask(f"{path}&client_id=alfrescoapp", auth=None), 401, "invalid_client")

    def test_s3_the_partner_is_named_only_to_redeem(self, service: Service) -> None:
        assert_refused(service.ask(f"{PASSWORD}&client_id=alfrescoapp"), 400, "invalid_request")

    def test_s3_redirect_uri_must_be_the_same(self, service: Service) -> None:
        code = service.code()
        for other in (EXAMPLE, ""):
            assert_refused(service.ask(redeem(code, redirect_uri=other)), 400, "invalid_grant")

    def test_s3_without_pkce_a_verifier_is_refused(self, service: Service) -> None:
        assert_refused(service.ask(redeem(service.code(), code_verifier=VERIFIER)), 400, "invalid_grant")

    def test_s3_without_redirect_uri_the_default_one_is_used(self, service: Service) -> None:
        code = service.code(redirect_uri="")
        assert service.ask(redeem(code, redirect_uri="")).status_code == 200

    def test_s3_a_parameter_in_both_places_is_refused(self, service: Service) -> None:
        response = service.http.post(redeem(service.code()), data={"redirect_uri": CALLBACK}, headers=BASIC)
        assert_refused(response, 400, "invalid_request")


class TestS4Implicit:
    def test_s4_redirects_by_302_with_the_token_in_the_fragment(self, service: Service) -> None:
        response = service.visit(IMPLICIT)
        assert response.status_code == 302
        printed = r"https://client\.example\.com/cb#access_token=[^&]+&state=xyz&token_type=bearer&expires_in=3600(&|$)"
        assert re.match(printed, response.headers["location"]), response.headers["location"]
        answer = carried(response)
        assert answer["scope"] == "read write"
        assert "refresh_token" not in answer
        assert "code" not in answer
        assert service.secure(answer["access_token"]).text == "Secure Hello!"

    def test_s4_one_slash_does_too(self, service: Service) -> None:
        assert carried(service.visit(IMPLICIT.removeprefix("/")))["token_type"] == "bearer"

    def test_s4_the_double_slash_goes_for_codes_and_posts_too(self, service: Service) -> None:
        assert carried(service.visit(f"/{AUTHORIZE}"))["code"]
        assert service.ask(IMPLICIT).headers["location"].startswith(f"{service.server.url}/oauth/authorize?")

    def test_s4_redirect_uri_is_optional(self, service: Service) -> None:
        response = service.visit("//authorize?response_type=token&client_id=alfrescoapp&state=xyz")
        assert carried(response)["state"] == "xyz"

    def test_s4_state_and_scope_are_optional(self, service: Service) -> None:
        answer = carried(service.visit("//authorize?response_type=token&client_id=alfrescoapp&scope=read"))
        assert answer["scope"] == "read"
        assert "state" not in answer

    def test_s4_is_only_for_clients_that_opted_in(self, service: Service) -> None:
        answer = carried(service.visit(IMPLICIT.replace("alfrescoapp", "other")))
        assert answer["error"] == "unsupported_response_type"
        assert "access_token" not in answer

    def test_s4_a_denial_is_in_the_fragment(self, service: Service) -> None:
        with Person(service.server.url) as person:
            seen = person.sign_in(person.open(f"{service.server.url}{IMPLICIT}&prompt=consent"), "admin", "tiger")
            denied = person.deny(seen)
        assert denied.headers["location"].startswith(f"{CALLBACK}#error=access_denied")


class TestS5Password:
    def test_s5_answers_as_printed(self, service: Service) -> None:
        answer = service.given(PASSWORD)
        assert answer.keys() == {"access_token", "token_type", "refresh_token", "expires_in", "scope"}
        assert answer["token_type"] == "bearer"
        assert answer["expires_in"] == 1800
        assert answer["scope"] == "read write"
        assert isinstance(answer["access_token"], str)
        assert isinstance(answer["refresh_token"], str)

    def test_s5_scope_is_optional(self, service: Service) -> None:
        assert service.given(f"{PASSWORD}&scope=read")["scope"] == "read"

    def test_s5_refuses_a_wrong_password(self, service: Service) -> None:
        wrong = service.ask(PASSWORD.replace("tiger", "lion"))
        assert_refused(wrong, 400, "invalid_grant")
        assert "lion" not in wrong.text

    def test_s5_needs_basic(self, service: Service) -> None:
        assert_refused(service.ask(f"{PASSWORD}&client_id=SkyVaultapp", auth=None), 401, "invalid_client")
        secret = f"{PASSWORD}&client_id=SkyVaultapp&client_secret=secret"
        assert_refused(service.ask(secret, auth=None), 401, "invalid_client")

    def test_s5_does_not_answer_get(self, service: Service) -> None:
        response = service.http.get(PASSWORD, headers=BASIC)
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"


class TestS6Refresh:
    def test_s6_answers_with_the_same_refresh_token(self, service: Service) -> None:
        first = service.password()
        for _ in range(2):
            again = service.given(f"/oauth/token?grant_type=refresh_token&refresh_token={first['refresh_token']}")
            assert again.keys() == first.keys()
            assert again["refresh_token"] == first["refresh_token"]
            assert again["access_token"] != first["access_token"]
            assert (again["token_type"], again["expires_in"], again["scope"]) == ("bearer", 1800, "read write")

    def test_s6_only_clients_that_opted_in_keep_theirs(self, service: Service) -> None:
        first = service.password("other", SECRET)
        path = f"/oauth/token?grant_type=refresh_token&refresh_token={first['refresh_token']}"
        assert service.given(path, auth=("other", SECRET))["refresh_token"] != first["refresh_token"]

    def test_s6_unknown_token_is_refused(self, service: Service) -> None:
        assert_refused(service.ask("/oauth/token?grant_type=refresh_token&refresh_token=x"), 400, "invalid_grant")


class TestS7Secure:
    def test_s7_greets_the_holder_of_a_token(self, service: Service) -> None:
        response = service.secure(service.password()["access_token"])
        assert response.status_code == 200
        assert response.text == "Secure Hello!"
        assert response.headers["content-type"].startswith("text/plain")

    def test_s7_greets_machines(self, service: Service) -> None:
        assert service.secure(service.given(MACHINE)["access_token"]).text == "Secure Hello!"

    @pytest.mark.parametrize("authorization", [None, "Basic U2t5VmF1bHRhcHA6c2VjcmV0", "Bearer", "Bearer x.y.z"])
    def test_s7_challenges_everybody_else(self, service: Service, authorization: str | None) -> None:
        response = service.http.get("/secure", headers={"Authorization": authorization} if authorization else {})
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer ")

    def test_s7_refuses_a_token_that_was_revoked(self, service: Service) -> None:
        token = service.password()["access_token"]
        service.post("/oauth/revoke", {"token": token}, auth=("SkyVaultapp", "secret"))
        assert_refused(service.secure(token), 401, "invalid_token")

    def test_s7_refuses_a_token_in_the_query(self, service: Service) -> None:
        token = service.password()["access_token"]
        assert_refused(service.http.get(f"/secure?access_token={token}"), 400, "invalid_request")

    def test_s7_refuses_a_token_for_another_resource(self, service: Service) -> None:
        token = service.given(f"{MACHINE}&resource={RESOURCE}", auth=("other", SECRET))["access_token"]
        assert_refused(service.secure(token), 401, "invalid_token")

    def test_s7_refuses_a_refresh_token(self, service: Service) -> None:
        assert_refused(service.secure(service.password()["refresh_token"]), 401, "invalid_token")

    def test_s7_answers_only_get(self, service: Service) -> None:
        assert service.ask("/secure").status_code == 405


class TestS8ClientCredentials:
    def test_s8_gives_a_token_and_no_refresh_token(self, service: Service) -> None:
        answer = service.given(MACHINE)
        assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("bearer", 3600, "read write")
        assert claims_of(answer["access_token"])["sub"] == "SkyVaultapp"


class TestS9ExternalToken:
    SENT: Final = "username=admin&password=admin&access_token={access_token}&refresh_token={refresh_token}&grant_type="

    def path(self, present: Site, grant_type: str, owner: str = "admin", secret: str = "admin") -> str:
        """The request as printed, with tokens that the present server gave to somebody."""
        own = present.granted({"grant_type": "password", "username": owner, "password": secret}, auth=("proxy", SECRET))
        return f"/oauth/token?{self.SENT.format(**own)}{grant_type}"

    @pytest.mark.parametrize("grant_type", ["external_token", "external_auth"])
    def test_s9_answers_as_s5(self, proxy: Service, present: Site, grant_type: str) -> None:
        response = proxy.ask(self.path(present, grant_type))
        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer.keys() == {"access_token", "token_type", "refresh_token", "expires_in", "scope"}
        assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("bearer", 1800, "read write")
        assert claims_of(answer["access_token"])["iss"] == proxy.server.url
        assert proxy.secure(answer["access_token"]).text == "Secure Hello!"
        assert response.headers["deprecation"] == DEPRECATED

    def test_s9_both_names_are_counted_as_one(self, proxy: Service, present: Site) -> None:
        def counted() -> int:
            return proxy.uses("SkyVaultapp").get("grant_type external_token", 0)

        before = counted()
        for grant_type in ("external_token", "external_auth"):
            proxy.given(self.path(present, grant_type))
        until(lambda: counted() >= before + 2)

    @pytest.mark.parametrize("grant_type", ["external_token", "external_auth"])
    def test_s9_scope_is_optional(self, proxy: Service, present: Site, grant_type: str) -> None:
        assert proxy.given(f"{self.path(present, grant_type)}&scope=read")["scope"] == "read"

    @pytest.mark.parametrize("grant_type", ["external_token", "external_auth"])
    def test_s9_refuses_what_is_not_that_persons(self, proxy: Service, present: Site, grant_type: str) -> None:
        path = self.path(present, grant_type)
        of_eve = self.path(present, grant_type, "eve", "evening")
        for wrong in (path.replace("password=admin", "password=tiger"), of_eve, path.replace("access_token=", "&x=")):
            assert proxy.ask(wrong).status_code == 400
        assert proxy.ask(path).status_code == 200
        assert_refused(proxy.ask(path), 400, "invalid_grant")

    def test_s9_needs_an_upstream(self, service: Service) -> None:
        response = service.ask(f"/oauth/token?{self.SENT.format(access_token='a', refresh_token='b')}external_token")
        assert_refused(response, 400, "unauthorized_client")


class TestS10CheckToken:
    def test_s10_tells_what_spring_reads(self, service: Service) -> None:
        token = service.password()["access_token"]
        response = service.post("/oauth/check_token", {"token": token}, auth=("SkyVaultapp", "secret"))
        assert response.status_code == 200
        answer = response.json()
        assert answer["active"] is True
        assert answer["client_id"] == "SkyVaultapp"
        assert answer["user_name"] == "admin"
        assert answer["scope"] == ["read", "write"]
        assert answer["authorities"] == []
        assert abs(answer["exp"] - time.time() - 1800) < 60

    def test_s10_the_partner_may_ask_in_the_query(self, service: Service) -> None:
        token = service.given(redeem(service.code()))["access_token"]
        response = service.ask(f"/oauth/check_token?token={token}")
        assert response.json()["client_id"] == "alfrescoapp"
        assert response.headers["deprecation"] == DEPRECATED

    def test_s10_a_dead_token_is_a_bad_request(self, service: Service) -> None:
        response = service.ask("/oauth/check_token?token=x")
        assert_refused(response, 400, "invalid_token")
        assert response.json()["error_description"] == "Token was not recognised"

    def test_s10_needs_basic(self, service: Service) -> None:
        token = service.password()["access_token"]
        assert_refused(service.ask(f"/oauth/check_token?token={token}", auth=None), 401, "invalid_client")


class TestS11Query:
    @pytest.mark.parametrize("path", [PASSWORD, MACHINE])
    def test_s11_query_and_form_say_the_same(self, service: Service, path: str) -> None:
        by_query = service.ask(path)
        by_form = service.token(path.partition("?")[2].encode(), auth=("SkyVaultapp", "secret"))
        assert by_query.json().keys() == by_form.json().keys()
        assert by_query.status_code == by_form.status_code == 200

    def test_s11_part_of_them_may_be_in_the_form(self, service: Service) -> None:
        response = service.http.post(
            "/oauth/token?grant_type=password", data={"username": "admin", "password": "tiger"}, headers=BASIC
        )
        assert response.json()["token_type"] == "bearer"

    def test_s11_a_parameter_twice_is_refused(self, service: Service) -> None:
        assert_refused(service.ask(f"{MACHINE}&grant_type=password"), 400, "invalid_request")


class TestStrictRealm:
    """Clients of a realm that did not opt in are unaffected, on the same server."""

    AUTH: Final = ("strict", SECRET)

    @pytest.mark.parametrize("path", [PASSWORD, MACHINE, redeem("x"), "/oauth/check_token?token=x"])
    def test_refuses_parameters_in_the_query(self, service: Service, path: str) -> None:
        response = service.ask(path, auth=self.AUTH)
        assert_refused(response, 400, "invalid_request")
        assert "was sent in the query" in response.json()["error_description"]

    @pytest.mark.parametrize("path", [AUTHORIZE, IMPLICIT])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_has_no_pages_of_the_dialect(self, service: Service, path: str, method: str) -> None:
        url = service.server.url + path.replace("alfrescoapp", "strict")
        response = service.http.request(method, url, headers={"accept": "text/html"})
        assert response.status_code == 404
        assert "location" not in response.headers

    def test_is_not_greeted(self, service: Service) -> None:
        token = service.machine(auth=self.AUTH)
        assert_refused(service.secure(token), 401, "invalid_token")
        assert service.http.get("/secure", headers={"Authorization": basic(*self.AUTH)}).status_code == 401

    def test_is_not_greeted_in_the_name_of_another(self, service: Service) -> None:
        form = {"access_token": service.machine(auth=self.AUTH), "client_id": "SkyVaultapp"}
        assert_refused(service.http.request("GET", "/secure", data=form), 401, "invalid_token")

    def test_says_bearer_as_ever_and_is_not_deprecated(self, service: Service) -> None:
        response = service.token({"grant_type": "client_credentials"}, auth=self.AUTH)
        assert response.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert response.json()["token_type"] == "Bearer"
        assert "deprecation" not in response.headers

    def test_rotates_refresh_tokens(self, service: Service) -> None:
        form = {"grant_type": "password", "username": "admin", "password": "tiger"}
        first = service.granted(form, auth=self.AUTH)
        assert first["expires_in"] == 3600
        assert service.refresh(first["refresh_token"], auth=self.AUTH).json()["refresh_token"] != first["refresh_token"]

    def test_sends_browsers_by_303_and_no_token(self, service: Service) -> None:
        for response_type, member in (("code", "code"), ("token", "error")):
            asked = {"response_type": response_type, "client_id": "strict", "redirect_uri": CALLBACK, "state": "xyz"}
            response = service.visit(f"/oauth/authorize?{httpx.QueryParams(asked)}")
            assert response.status_code == 303
            assert f"{member}=" in response.headers["location"]
            assert "access_token" not in response.headers["location"]

    def test_may_not_name_a_partner(self, service: Service) -> None:
        form = {"grant_type": "authorization_code", "code": service.code(), "redirect_uri": CALLBACK}
        assert_refused(service.token(form, auth=self.AUTH), 400, "invalid_grant")
        assert_refused(service.token({**form, "client_id": "alfrescoapp"}, auth=self.AUTH), 400, "invalid_request")


class TestServerWithoutTheDialect:
    @pytest.mark.parametrize("path", ["/secure", AUTHORIZE, IMPLICIT, "/authorize"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_has_none_of_its_paths(self, bare: Site, path: str, method: str) -> None:
        assert bare.http.request(method, bare.server.url + path, headers=BASIC).status_code == 404

    def test_exchanges_no_foreign_token(self, bare: Site) -> None:
        for grant_type in ("external_token", "external_auth"):
            form = {"grant_type": grant_type, "username": "admin", "password": "admin", "access_token": "x"}
            assert_refused(bare.token(form, auth=("alfrescoapp", SECRET)), 400, "unsupported_grant_type")


class TestSunset:
    AUTH: Final = ("closer", SECRET)

    def test_closes_every_door(self, service: Service) -> None:
        """One story, as the doors close once and for all."""
        before = service.password(*self.AUTH)
        code = service.code("closer")
        pages = AUTHORIZE.replace("alfrescoapp", "closer"), IMPLICIT.replace("alfrescoapp", "closer")
        assert service.secure(before["access_token"]).status_code == 200
        assert "access_token" in carried(service.visit(pages[1]))

        service.home.realm("closing", sunset_at=int(time.time()) - 1)
        assert_refused(service.secure(before["access_token"]), 410, "invalid_request")
        for path in pages:
            gone = service.http.get(service.server.url + path, headers={"accept": "text/html"})
            assert gone.status_code == 410
            assert "location" not in gone.headers
        for path in (PASSWORD, MACHINE, redeem(code), f"/oauth/check_token?token={before['access_token']}"):
            assert_refused(service.ask(path, auth=self.AUTH), 400, "invalid_request")
        form = {"grant_type": "password", "username": "admin", "password": "tiger"}
        assert_refused(service.token(form, auth=self.AUTH), 400, "unauthorized_client")
        asked = dict(httpx.QueryParams(pages[1].partition("?")[2]))
        refused = service.visit(f"/oauth/authorize?{httpx.QueryParams(asked)}")
        assert refused.status_code == 303
        assert "error=unauthorized_client" in refused.headers["location"]

        machine = service.token({"grant_type": "client_credentials"}, auth=self.AUTH)
        assert machine.json()["token_type"] == "Bearer"
        assert service.refresh(before["refresh_token"], auth=self.AUTH).status_code == 200
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        assert service.token(form, auth=self.AUTH).status_code == 200

    def test_others_of_the_dialect_are_unaffected(self, service: Service) -> None:
        service.home.realm("closing", sunset_at=int(time.time()) - 1)
        assert service.secure(service.password()["access_token"]).text == "Secure Hello!"


class TestLegacyDoors:
    LEAVER: Final = ("leaver", SECRET)

    def test_answers_say_that_they_are_deprecated(self, service: Service) -> None:
        assert service.ask(PASSWORD).headers["deprecation"] == DEPRECATED
        assert service.ask(MACHINE).headers["deprecation"] == DEPRECATED
        assert service.secure(service.machine(auth=("SkyVaultapp", "secret"))).headers["deprecation"] == DEPRECATED
        assert service.http.get(AUTHORIZE).headers["deprecation"] == DEPRECATED
        assert "sunset" not in service.ask(PASSWORD).headers

    def test_answers_say_when_it_is_over(self, service: Service) -> None:
        for response in (
            service.ask(PASSWORD, auth=self.LEAVER),
            service.ask(MACHINE, auth=self.LEAVER),
            service.secure(service.machine(auth=self.LEAVER)),
            service.ask(PASSWORD.replace("tiger", "lion"), auth=self.LEAVER),
            service.http.get(AUTHORIZE.replace("alfrescoapp", "leaver")),
        ):
            assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.headers["sunset"])
            assert response.headers["deprecation"] == DEPRECATED

    def test_what_is_no_legacy_door_says_nothing(self, service: Service) -> None:
        response = service.token({"grant_type": "client_credentials"}, auth=self.LEAVER)
        assert response.status_code == 200
        assert not {"deprecation", "sunset"} & response.headers.keys()

    def test_are_counted_per_client(self, service: Service) -> None:
        before = service.uses("foreigner")
        assert before == {}
        foreigner = ("foreigner", SECRET)
        service.secure(service.password(*foreigner)["access_token"])
        service.http.get(AUTHORIZE.replace("alfrescoapp", "foreigner"))
        counted = {"grant_type password": 1, "parameters in the query": 1, "path /secure": 1, "path /authorize": 1}
        until(lambda: service.uses("foreigner") == counted)

    def test_reusable_refresh_and_implicit_are_counted(self, service: Service) -> None:
        tokens = service.given(redeem(service.code()))
        service.given(f"/oauth/token?grant_type=refresh_token&refresh_token={tokens['refresh_token']}")
        service.visit(IMPLICIT)
        until(lambda: {"reusable refresh token", "response_type token"} <= service.uses("alfrescoapp").keys())


class TestLog:
    def test_holds_no_secret(self, tmp_path: Path) -> None:
        with running(tmp_path / "quiet", populate, default_realm="skyvault") as service:
            code = service.code()
            redeemed = service.given(redeem(code))
            password = service.password()
            service.given(f"/oauth/token?grant_type=refresh_token&refresh_token={password['refresh_token']}")
            implicit = carried(service.visit(IMPLICIT))["access_token"]
            service.secure(implicit)
            service.secure(f"{implicit}x")
            service.ask(f"/oauth/check_token?token={implicit}x")
            service.ask(PASSWORD.replace("tiger", "lion"))
            service.ask(redeem(code))
            service.ask(redeem(code, client_id="alfrescoapp"), auth=("other", SECRET))
            service.ask(PASSWORD, auth=("strict", SECRET))
            service.ask(PASSWORD, auth=("SkyVaultapp", "panther"))
            service.http.post(AUTHORIZE, headers=BASIC)
        log = service.server.log.read_text()
        assert "SkyVaultapp" in log
        tokens = [found[name] for found in (redeemed, password) for name in ("access_token", "refresh_token")]
        for secret in ("tiger", "lion", "panther", SECRET, BASIC["Authorization"][6:], code, implicit, *tokens):
            assert secret not in log


class TestSample:
    def test_may_be_registered(self, home: Home) -> None:
        assert DIALECT.sample is not None
        realm = realm_of(home, "skyvault")
        longest = home.source.settings.max_token_lifetime
        registration.check_realm(realm, [realm], max_token_lifetime=longest, dialects=("skyvault",))
        for client, secret in DIALECT.sample.clients:
            own = Client(**{name: getattr(client, name) for name in Client.__struct_fields__} | {"realm": realm})
            registration.check_client(own, [realm], max_token_lifetime=longest)
            assert client.is_demo
            assert (secret is None) == (client.redeemed_by is not None)
        for person in DIALECT.sample.users:
            registration.check_user(person.user, [realm])
            assert person.user.is_demo

    def test_commands_work_when_pasted(self, service: Service, tmp_path: Path) -> None:
        assert DIALECT.sample is not None
        said: list[str] = []
        for _, command in DIALECT.sample.commands(service.server.url):
            if command.startswith("curl"):
                pasted = command.replace("PASTE-THE-CODE-HERE", carried(service.visit(AUTHORIZE))["code"])
                done = subprocess.run(["sh", "-c", pasted], capture_output=True, cwd=tmp_path, timeout=30, check=True)
                said.append(done.stdout.decode().strip())
            else:
                said.append(service.visit(command.removeprefix(service.server.url)).headers["location"])
        expected = (
            '"expires_in":1800',
            "Secure Hello!",
            '"refresh_token":',
            '"active":true',
            '"expires_in":3600',
            f"{service.server.url}/oauth/authorize?response_type=code",
            f"{CALLBACK}?code=",
            '"refresh_token":',
            f"{CALLBACK}#access_token=",
            '"error":"unauthorized_client"',
        )
        assert len(said) == len(expected)
        for answer, part in zip(said, expected, strict=True):
            assert part in answer


class TestOpenApi:
    def test_describes_the_greeting_as_deprecated(self, service: Service) -> None:
        described: dict[str, Any] = plain.get(f"{service.server.url}/openapi.json").json()["paths"]
        assert described["/secure"]["get"]["deprecated"] is True


class TestMigratingDocument:
    def test_commands_work_in_the_printed_order(self, home: Home, tmp_path: Path) -> None:
        text = DOCUMENT.read_text(encoding="utf-8")
        for name, block in re.findall(r"`([a-z]+\.(?:json|csv))`:\n\n```(?:json|csv)\n(.*?)```", text, re.DOTALL):
            (tmp_path / name).write_text(block)
        commands = re.findall(r"^jwtauth (?!dev)(.+)$", text, re.MULTILINE)
        assert len(commands) >= 6
        for command in commands:
            words = [str(tmp_path / word) if (tmp_path / word).is_file() else word for word in command.split()]
            done = CliRunner().invoke(root, ["--folder", str(home.path), *words])
            assert done.exit_code == 0, f"{command}: {done.output}"
        found = with_store(load(home.path), lambda store: store.administration.clients())
        moved = {client.client_id: client for client in found}
        assert moved["alfrescoapp"].redeemed_by == "SkyVaultapp"
        assert "external_token" in moved["SkyVaultapp"].grant_types
        assert moved["alfrescoapp"].requires_pkce
        assert moved["SkyVaultapp"].realm.sunset_at is not None
