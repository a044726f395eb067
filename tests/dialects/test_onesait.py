"""The dialect of the onesait platform, row by row of SEEDS: the requests as its manual and its source have them."""

import json
import re
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from msgspec.structs import replace

from jwtauth.dialects.onesait import CLIENT_ID, DEFAULT_KEY, DIALECT, PASSWORD, ROLES, USERNAME, check_key
from jwtauth.errors import ConfigurationError
from jwtauth.protocol import legacy
from jwtauth.protocol.records import GrantType
from tests.dialects.onesait_service import (
    AUTHORIZE,
    CALLBACK,
    CHECK,
    FORM,
    KEY,
    PLATFORM,
    POSTING,
    STRICT,
    TOKEN,
    Service,
    running,
    said,
    seed,
    seed_strict,
    wait_until,
)
from tests.support.home import SECRET, Home, generated_secret
from tests.support.person import answer, find_form, has_field
from tests.web.site import claims_of

REALM: Final = DIALECT.name
GRANTS: Final = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN, GrantType.PASSWORD)
SCOPE: Final = ("openid", "authorization_code")
DENIED: Final = ("onesait-demo", "a-wrong-key")
CHILD: Final = ("child", SECRET)
NOT_A_TOKEN: Final = "no.such.token"
DAY: Final = 86_400
SUNSET: Final = int(time.time()) + 30 * DAY
OWN_MACHINE_PATHS: Final = tuple(endpoint.path for endpoint in DIALECT.endpoints)
OWN_PAGES: Final = tuple(page.path for page in DIALECT.pages if page.path != "/login")


def populate(home: Home) -> None:
    """The sample; below its realm another one; beside them one that leaves, one to be changed and a strict one."""
    realm = seed(home)
    home.client(CLIENT_ID + "-2", realm=realm, grant_types=GRANTS, scope=SCOPE)
    home.client("brief", realm=realm, grant_types=GRANTS, scope=SCOPE, access_token_in=1)
    home.client("machine", realm=realm, grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=SCOPE, authorities=("R",))
    own = {**DIALECT.realm, "dialect": REALM}
    child = home.realm("child", parent=REALM, roles=("ROLE_CHILD",), **own)
    home.client(CHILD[0], realm=child, grant_types=GRANTS, scope=SCOPE)
    leaving = home.realm("leaving", sunset_at=SUNSET, **own)
    home.client("leaving", realm=leaving, grant_types=GRANTS, scope=SCOPE)
    portal = home.realm("portal", **own)
    home.client("portal", realm=portal, grant_types=GRANTS, scope=SCOPE, secrets=(generated_secret(DEFAULT_KEY),))
    seed_strict(home)
    home.user("kim", PASSWORD, roles={REALM: ("ROLE_USER",), "child": ("ROLE_CHILD",), "portal": (), "leaving": ()})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("onesait"))
    populate(service.home)
    with running(service):
        yield service


class TestO1Realm:
    def test_o1_validity_is_43200_seconds_and_refresh_30_days_unless_told(self, service: Service) -> None:
        realm = service.home.realm(REALM)
        assert (realm.access_token_in, realm.refresh_token_in) == (43_200, 2_592_000)
        assert service.sign_in()["expires_in"] == 43_200

    def test_o1_key_is_onesaitplatform_unless_told(self, service: Service) -> None:
        assert DIALECT.default_key == "onesaitplatform"
        assert service.password((CLIENT_ID, "onesaitplatform")).status_code == 200

    def test_o1_both_can_be_changed(self, service: Service) -> None:
        portal = ("portal", DEFAULT_KEY)
        assert service.sign_in(portal, username="kim", clientId="portal")["expires_in"] == 43_200
        service.home.realm("portal", access_token_in=600)
        assert service.sign_in(portal, username="kim", clientId="portal")["expires_in"] == 600
        client = service.home.ask(lambda store: store.directory.client("portal"))
        assert client is not None
        secrets = (generated_secret("another_key"),)
        service.home.ask(lambda store: store.administration.replace_secrets(client, secrets, now=0))
        assert service.password(portal, username="kim", clientId="portal").status_code == 401
        changed = service.password(("portal", "another_key"), username="kim", clientId="portal")
        assert changed.status_code == 200

    @pytest.mark.parametrize("key", ["onesaitplatform", "a_B_1", "x" * 50])
    def test_o1_a_key_that_the_platform_took_is_taken(self, key: str) -> None:
        check_key(key)

    @pytest.mark.parametrize("key", ["", "four", "x" * 51, "with space", "with-dash", "ümlaut", "line\nbreak"])
    def test_o1_no_other_is_taken_and_none_is_repeated(self, key: str) -> None:
        assert DIALECT.check_key is not None
        with pytest.raises(ConfigurationError) as refused:
            DIALECT.check_key(key)
        assert not key or key not in str(refused.value)


class TestO2PasswordRequest:
    def test_o2_as_the_manual_prints_it(self, service: Service) -> None:
        """Header by header and parameter by parameter."""
        credentials = b64encode(f"{CLIENT_ID}:{DEFAULT_KEY}".encode()).decode()
        response = service.http.post(
            "/oauth-server/oauth/token",
            headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"},
            content=f"grant_type=password&username={USERNAME}&password={PASSWORD}&clientId={CLIENT_ID}&scope=openid",
        )
        assert service.noted(response).status_code == 200
        assert response.json()["parameters"]["clientId"] == CLIENT_ID

    @pytest.mark.parametrize("changes", [{"clientId": "", "client_id": CLIENT_ID}, {"client_id": CLIENT_ID}])
    def test_o2_client_id_means_the_same(self, service: Service, changes: dict[str, str]) -> None:
        assert service.sign_in(**changes)["parameters"]["client_id"] == CLIENT_ID

    def test_o2_neither_is_needed(self, service: Service) -> None:
        assert service.password(clientId="").status_code == 200

    def test_o2_parameters_in_the_query_are_refused(self, service: Service) -> None:
        response = service.ask(TOKEN, {"username": USERNAME}, query={"grant_type": "password"})
        assert said(response)[:2] == (400, "invalid_request")


class TestO3TokenAnswer:
    def test_o3_members_types_and_order(self, service: Service) -> None:
        body = service.sign_in()
        assert list(body) == [
            "access_token",
            "token_type",
            "refresh_token",
            "expires_in",
            "scope",
            "name",
            "principal",
            "parameters",
            "clientId",
            "grantType",
            "authorities",
            "apps",
            "jti",
        ]
        access_token, refresh_token = body.pop("access_token"), body.pop("refresh_token")
        claims = claims_of(access_token)
        assert isinstance(refresh_token, str)
        assert body == {
            "token_type": "bearer",
            "expires_in": 43_200,
            "scope": "openid",
            "name": USERNAME,
            "principal": USERNAME,
            "parameters": {
                "grant_type": "password",
                "username": USERNAME,
                "clientId": CLIENT_ID,
                "client_id": CLIENT_ID,
                "scope": "openid",
            },
            "clientId": CLIENT_ID,
            "grantType": "password",
            "authorities": list(ROLES),
            "apps": {},
            "jti": claims["jti"],
        }

    def test_o3_is_never_kept(self, service: Service) -> None:
        response = service.password()
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")

    def test_o3_apps_are_the_roles_in_child_realms(self, service: Service) -> None:
        body = service.sign_in(username="kim")
        assert (body["authorities"], body["apps"]) == (["ROLE_USER"], {"child": ["ROLE_CHILD"]})

    def test_o3_no_scope_asked_gets_all_of_the_clients(self, service: Service) -> None:
        assert service.sign_in(scope="")["scope"] == "openid authorization_code"

    def test_o3_no_secret_is_repeated(self, service: Service) -> None:
        body = service.sign_in(client_id=CLIENT_ID)
        again = service.refreshed(body["refresh_token"]).json()
        assert again["parameters"] == {"grant_type": "refresh_token"}
        for text in (json.dumps(body), json.dumps(again)):
            assert PASSWORD not in text
            assert DEFAULT_KEY not in text
        assert body["refresh_token"] not in json.dumps(again)

    def test_o3_a_machine_is_its_own_principal(self, service: Service) -> None:
        body = service.ask(TOKEN, {"grant_type": "client_credentials"}, auth=("machine", SECRET)).json()
        assert (body["name"], body["principal"], body["grantType"]) == ("machine", "machine", "client_credentials")
        assert (body["authorities"], body["apps"]) == (["R"], {})
        assert "refresh_token" not in body


@pytest.fixture(scope="module")
def tokens(service: Service) -> dict[str, Any]:
    """Tokens that nobody revokes."""
    return service.sign_in()


class TestO4CheckToken:
    @pytest.mark.parametrize(("method", "is_in_query"), [("POST", False), ("POST", True), ("GET", True)])
    def test_o4_spring_members(self, service: Service, tokens: dict[str, Any], method: str, is_in_query: bool) -> None:
        sent = {"token": tokens["access_token"]}
        response = service.ask(CHECK, () if is_in_query else sent, query=sent if is_in_query else None, method=method)
        assert response.status_code == 200
        claims = claims_of(tokens["access_token"])
        assert response.json() == {
            "active": True,
            "user_name": USERNAME,
            "scope": ["openid"],
            "exp": claims["exp"],
            "authorities": list(ROLES),
            "jti": tokens["jti"],
            "client_id": CLIENT_ID,
            "aud": [claims["aud"]],
            "name": USERNAME,
            "principal": USERNAME,
            "clientId": CLIENT_ID,
            "grantType": "password",
        }

    def test_o4_dead_tokens_are_not_recognised(self, service: Service) -> None:
        response = service.ask(CHECK, {"token": NOT_A_TOKEN})
        assert said(response) == (400, "invalid_token", "Token was not recognised")
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")

    def test_o4_its_own_client_is_told_that_one_has_expired(self, service: Service) -> None:
        brief = ("brief", SECRET)
        token = service.sign_in(brief, clientId="")["access_token"]
        wait_until(lambda: service.ask(CHECK, {"token": token}, auth=brief).status_code != 200)
        assert said(service.ask(CHECK, {"token": token}, auth=brief)) == (400, "invalid_token", "Token has expired")
        assert said(service.ask(CHECK, {"token": token})) == (400, "invalid_token", "Token was not recognised")

    @pytest.mark.parametrize("auth", [DENIED, ("nobody", DEFAULT_KEY), None])
    def test_o4_only_clients_may_ask(
        self, service: Service, tokens: dict[str, Any], auth: tuple[str, str] | None
    ) -> None:
        assert service.ask(CHECK, {"token": tokens["access_token"]}, auth=auth).status_code == 401

    def test_o4_a_request_without_token_is_refused(self, service: Service) -> None:
        assert said(service.ask(CHECK))[:2] == (400, "invalid_request")
        assert "token" in said(service.ask(CHECK))[2]


class TestO4wPlatformCheckToken:
    @pytest.mark.parametrize("path", [f"{PLATFORM}/check_token", "/openplatform-oauth/check_token"])
    @pytest.mark.parametrize("is_in_query", [False, True])
    def test_o4w_members(self, service: Service, tokens: dict[str, Any], path: str, is_in_query: bool) -> None:
        sent = {"token": tokens["access_token"]}
        response = service.ask(path, () if is_in_query else sent, query=sent if is_in_query else None)
        assert response.status_code == 200
        claims = claims_of(tokens["access_token"])
        assert response.json() == {
            "scope": [CLIENT_ID],
            "name": USERNAME,
            "user_name": USERNAME,
            "principal": USERNAME,
            "jti": tokens["jti"],
            "exp": claims["exp"],
            "grant_type": "password",
            "client_id": CLIENT_ID,
            "aud": [claims["aud"]],
            "authorities": list(ROLES),
        }

    def test_o4w_a_dead_token_is_refused_with_the_status_of_success(self, service: Service) -> None:
        response = service.ask(f"{PLATFORM}/check_token", {"token": NOT_A_TOKEN})
        assert said(response) == (200, "invalid_token", f"Invalid access token: {NOT_A_TOKEN}")

    @pytest.mark.parametrize("auth", [DENIED, ("nobody", DEFAULT_KEY)])
    def test_o4w_a_wrong_client_is_denied_with_the_status_of_success(
        self, service: Service, tokens: dict[str, Any], auth: tuple[str, str]
    ) -> None:
        sent = {"token": tokens["access_token"]}
        for response in (
            service.ask(f"{PLATFORM}/check_token", sent, auth=auth),
            service.ask(f"{PLATFORM}/check_token", query=sent, auth=auth),
        ):
            assert said(response) == (200, "access_denied", tokens["access_token"])

    def test_o4w_who_says_nothing_of_itself_gets_401(self, service: Service, tokens: dict[str, Any]) -> None:
        response = service.ask(f"{PLATFORM}/check_token", {"token": tokens["access_token"]}, auth=None)
        assert said(response)[:2] == (401, "unauthorized")

    def test_o4w_a_child_realm_sees_its_own_roles_alone(self, service: Service) -> None:
        token = service.sign_in(username="kim")["access_token"]
        body = service.ask(f"{PLATFORM}/check_token", {"token": token}, auth=CHILD).json()
        assert (body["authorities"], body["scope"], body["client_id"]) == (["ROLE_CHILD"], ["child"], "child")
        assert service.ask(CHECK, {"token": token}, auth=CHILD).json()["authorities"] == ["ROLE_CHILD"]

    def test_o4w_a_parent_learns_nothing_of_its_childs_tokens(self, service: Service) -> None:
        token = service.sign_in(CHILD, username="kim", clientId="child")["access_token"]
        assert said(service.ask(f"{PLATFORM}/check_token", {"token": token}))[:2] == (200, "invalid_token")


class TestO5Refresh:
    def test_o5_gives_the_same_members_and_both_tokens_anew(self, service: Service) -> None:
        first = service.sign_in()
        response = service.refreshed(first["refresh_token"])
        assert response.status_code == 200
        second = response.json()
        assert list(second) == list(first)
        assert second["access_token"] != first["access_token"]
        assert second["refresh_token"] != first["refresh_token"]
        same = (
            "token_type",
            "expires_in",
            "scope",
            "name",
            "principal",
            "clientId",
            "grantType",
            "authorities",
            "apps",
        )
        assert {name: second[name] for name in same} == {name: first[name] for name in same}

    def test_o5_ends_the_old_access_token(self, service: Service) -> None:
        first = service.sign_in()
        assert service.is_live(first["access_token"])
        second = service.refreshed(first["refresh_token"]).json()
        assert not service.is_live(first["access_token"])
        assert service.is_live(second["access_token"])

    def test_o5_a_refresh_token_is_for_one_use(self, service: Service) -> None:
        first = service.sign_in()
        second = service.refreshed(first["refresh_token"]).json()
        assert said(service.refreshed(first["refresh_token"])) == (
            400,
            "invalid_grant",
            f"Invalid refresh token: {first['refresh_token']}",
        )
        assert not service.is_live(second["access_token"])  # one of the two who used it is a thief


class TestO6Revoke:
    @pytest.mark.parametrize("path", [f"{PLATFORM}/revoke_token", "/openplatform-oauth/revoke_token"])
    def test_o6_token_in_the_query_is_not_valid_any_more(self, service: Service, path: str) -> None:
        token = service.sign_in()["access_token"]
        response = service.ask(path, query={"token": token})
        assert response.status_code == 200
        assert response.json() == {"access_token": token, "state": "invalid_token"}
        assert not service.is_live(token)

    def test_o6_token_in_the_form_too(self, service: Service) -> None:
        token = service.sign_in()["access_token"]
        response = service.ask(f"{PLATFORM}/revoke_token", {"token": token})
        assert response.json() == {"access_token": token, "state": "invalid_token"}
        assert not service.is_live(token)


class TestO6wRevokeRefusals:
    def test_o6w_the_paired_refresh_token_dies_too(self, service: Service) -> None:
        body = service.sign_in()
        service.ask(f"{PLATFORM}/revoke_token", query={"token": body["access_token"]})
        assert said(service.refreshed(body["refresh_token"]))[:2] == (400, "invalid_grant")

    @pytest.mark.parametrize("auth", [DENIED, ("nobody", DEFAULT_KEY)])
    def test_o6w_a_wrong_client_is_denied_with_the_status_of_success(
        self, service: Service, tokens: dict[str, Any], auth: tuple[str, str]
    ) -> None:
        response = service.ask(f"{PLATFORM}/revoke_token", query={"token": tokens["access_token"]}, auth=auth)
        assert said(response) == (200, "access_denied", tokens["access_token"])
        assert service.is_live(tokens["access_token"])

    def test_o6w_an_unknown_token_is_invalid_with_the_status_of_success(self, service: Service) -> None:
        response = service.ask(f"{PLATFORM}/revoke_token", query={"token": NOT_A_TOKEN})
        assert said(response) == (200, "invalid_token", NOT_A_TOKEN)

    def test_o6w_another_clients_token_is_as_unknown(self, service: Service, tokens: dict[str, Any]) -> None:
        other = (CLIENT_ID + "-2", SECRET)
        response = service.ask(f"{PLATFORM}/revoke_token", query={"token": tokens["access_token"]}, auth=other)
        assert said(response) == (200, "invalid_token", tokens["access_token"])
        assert service.is_live(tokens["access_token"])


class TestO7TokenErrors:
    @pytest.mark.parametrize(
        "changes",
        [{"password": "wrong"}, {"password": ""}, {"username": "nobody"}, {"username": "ada"}],
        ids=["wrong password", "no password", "unknown user", "user not in realm"],
    )
    def test_o7_who_is_not_let_in_is_told_one_thing(self, service: Service, changes: dict[str, str]) -> None:
        assert said(service.password(**changes)) == (400, "invalid_grant", "Password incorrect")

    def test_o7_no_basic_is_401(self, service: Service) -> None:
        response = service.password(None)
        text = "Full authentication is required to access this resource"
        assert said(response) == (401, "unauthorized", text)
        assert response.headers["www-authenticate"] == f'Bearer error="unauthorized", error_description="{text}"'

    @pytest.mark.parametrize("auth", [DENIED, ("nobody", DEFAULT_KEY)])
    def test_o7_a_wrong_client_is_401(self, service: Service, auth: tuple[str, str]) -> None:
        response = service.password(auth, clientId="")
        assert said(response) == (401, "invalid_client", "Bad client credentials")
        challenge = 'Bearer error="invalid_client", error_description="Bad client credentials"'
        assert response.headers["www-authenticate"] == challenge


class TestO8OtherEndpoints:
    @pytest.mark.parametrize("prefix", ["", "/oauth-server"])
    def test_o8_userinfo(self, service: Service, tokens: dict[str, Any], prefix: str) -> None:
        response = service.held(f"{prefix}/oidc/userinfo", tokens["access_token"])
        assert response.status_code == 200
        assert response.json() == {
            "mail": "demo@example.com",
            "username": USERNAME,
            "sub": USERNAME,
            "name": "Demo User",
            "role": "ROLE_USER",
            "userid": f"({USERNAME})",
            "extra_fields": None,
        }

    def test_o8_userinfo_of_somebody_without_mail_and_name(self, service: Service) -> None:
        body = service.held("/oidc/userinfo", service.sign_in(username="kim")["access_token"]).json()
        assert (body["mail"], body["name"]) == (None, "kim")

    @pytest.mark.parametrize("prefix", ["", "/oauth-server"])
    def test_o8_user(self, service: Service, tokens: dict[str, Any], prefix: str) -> None:
        body = service.held(f"{prefix}/user", tokens["access_token"]).json()
        expected = {
            "mail": "demo@example.com",
            "username": USERNAME,
            "sub": USERNAME,
            "name": USERNAME,
            "principal": USERNAME,
            "role": "ROLE_USER",
            "userid": f"({USERNAME})",
            "extra_fields": None,
            "clientId": CLIENT_ID,
            "authorities": list(ROLES),
        }
        assert {name: body[name] for name in expected} == expected

    def test_o8_without_openid_nothing_is_told_about_the_person(self, service: Service) -> None:
        token = service.sign_in(scope="authorization_code")["access_token"]
        assert service.held("/oidc/userinfo", token).status_code == 403
        body = service.held("/user", token).json()
        assert body["name"] == USERNAME
        assert "mail" not in body

    @pytest.mark.parametrize("path", ["/user", "/oidc/userinfo"])
    def test_o8_both_want_a_live_token(self, service: Service, path: str) -> None:
        assert said(service.held(path, NOT_A_TOKEN))[:2] == (401, "invalid_token")
        response = service.http.get(path)
        assert said(response)[:2] == (401, "unauthorized")
        assert response.headers["www-authenticate"].startswith('Bearer error="unauthorized"')

    @pytest.mark.parametrize("path", [f"{PLATFORM}/tokenInfo", "/openplatform-oauth/tokenInfo"])
    @pytest.mark.parametrize("content_type", ["application/json;charset=UTF-8", FORM, "text/plain"])
    def test_o8_token_info(self, service: Service, tokens: dict[str, Any], path: str, content_type: str) -> None:
        response = service.raw(path, tokens["access_token"], headers={"Content-Type": content_type})
        assert response.status_code == 200
        body = response.json()
        assert list(body) == ["token", "expirationTimestamp", "expirationFormatted", "authorities", "oauthInfo"]
        exp = claims_of(tokens["access_token"])["exp"]
        assert (body["token"], body["expirationTimestamp"]) == (tokens["access_token"], exp * 1000)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000\+0000", body["expirationFormatted"])
        assert datetime.strptime(body["expirationFormatted"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() == exp
        assert body["authorities"] == list(ROLES)
        info = body["oauthInfo"]
        assert 0 < info["expires_in"] <= 43_200
        assert info["parameters"]["username"] == USERNAME
        same = set(tokens) - {"refresh_token", "expires_in", "parameters"}
        assert {name: info[name] for name in same} == {name: tokens[name] for name in same}
        assert "refresh_token" not in info

    @pytest.mark.parametrize("body", [NOT_A_TOKEN, ""])
    def test_o8_token_info_of_no_token(self, service: Service, body: str) -> None:
        response = service.raw(f"{PLATFORM}/tokenInfo", body)
        assert (response.status_code, response.json()) == (200, {"token": "-1"})

    def test_o8_token_info_of_a_revoked_token(self, service: Service) -> None:
        """The platform's own test: 401 where the dead token also stands in the header."""
        token = service.sign_in()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert service.raw(f"{PLATFORM}/tokenInfo", token, headers=headers).json()["token"] == token
        service.ask(f"{PLATFORM}/revoke_token", {"token": token})
        assert said(service.raw(f"{PLATFORM}/tokenInfo", token, headers=headers))[:2] == (401, "invalid_token")
        assert service.raw(f"{PLATFORM}/tokenInfo", token).json() == {"token": "-1"}

    @pytest.mark.parametrize("path", [f"{PLATFORM}/renewToken", "/openplatform-oauth/renewToken", "/renewToken"])
    def test_o8_renew_token(self, service: Service, path: str) -> None:
        first = service.sign_in()
        response = service.raw(path, first["access_token"], headers=_basic(*KEY))
        assert response.status_code == 200
        body = response.json()
        assert list(body) == ["token", "expirationTimestamp", "expirationFormatted", "authorities", "oauthInfo"]
        assert body["token"] != first["access_token"]
        assert body["oauthInfo"]["access_token"] == body["token"]
        assert body["oauthInfo"]["scope"] == "openid"
        assert service.is_live(body["token"])
        assert not service.is_live(first["access_token"])
        assert service.refreshed(body["oauthInfo"]["refresh_token"]).status_code == 200

    @pytest.mark.parametrize("auth", [None, DENIED, (CLIENT_ID + "-2", SECRET), CHILD])
    def test_o8_renew_token_is_for_the_tokens_own_client(
        self, service: Service, tokens: dict[str, Any], auth: tuple[str, str] | None
    ) -> None:
        headers = {} if auth is None else _basic(*auth)
        response = service.raw(f"{PLATFORM}/renewToken", tokens["access_token"], headers=headers)
        assert (response.status_code, response.json()) == (200, {"token": "-1"})
        assert service.is_live(tokens["access_token"])

    def test_o8_renew_token_by_the_token_itself_gives_nothing(self, service: Service, tokens: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        response = service.raw(f"{PLATFORM}/renewToken", tokens["access_token"], headers=headers)
        assert response.json() == {"token": "-1"}
        assert service.is_live(tokens["access_token"])

    def test_o8_renew_token_gives_no_more_than_the_token_had(self, service: Service) -> None:
        wide = service.sign_in(scope="openid authorization_code")
        narrow = service.refreshed(wide["refresh_token"], scope="authorization_code").json()
        body = service.raw("/renewToken", narrow["access_token"], headers=_basic(*KEY)).json()
        assert body["oauthInfo"]["scope"] == "authorization_code"

    def test_o8_renew_token_of_a_dead_or_a_machines_token_gives_nothing(self, service: Service) -> None:
        first = service.sign_in()
        assert service.raw("/renewToken", first["access_token"], headers=_basic(*KEY)).json()["token"] != "-1"
        again = service.raw("/renewToken", first["access_token"], headers=_basic(*KEY))
        assert again.json() == {"token": "-1"}
        machine = ("machine", SECRET)
        token = service.ask(TOKEN, {"grant_type": "client_credentials"}, auth=machine).json()["access_token"]
        assert service.raw("/renewToken", token, headers=_basic(*machine)).json() == {"token": "-1"}

    def test_o8_old_login_and_logout_links_lead_to_the_pages(self, service: Service) -> None:
        with service.browser() as person:
            page = person.open("/oauth-server/login")
            assert page.status_code == 200
            assert has_field(page, "username")
            assert has_field(page, "password")
            assert person.open("/oauth-server/logout").status_code == 200

    @pytest.mark.parametrize("language", ["en", "es", "fr"])
    def test_o8_login_page_speaks_the_platforms_languages(self, service: Service, language: str) -> None:
        page = service.http.get("/login", headers={"accept": "text/html", "accept-language": language})
        assert page.headers["content-language"] == language


class TestSpringRefusals:
    def test_spring_missing_grant_type(self, service: Service) -> None:
        assert said(service.ask(TOKEN, {"scope": "openid"})) == (400, "invalid_request", "Missing grant type")

    def test_spring_unsupported_grant_type(self, service: Service) -> None:
        response = service.ask(TOKEN, {"grant_type": "x"})
        assert said(response) == (400, "unsupported_grant_type", "Unsupported grant type: x")

    def test_spring_implicit_at_the_token_endpoint(self, service: Service) -> None:
        response = service.ask(TOKEN, {"grant_type": "implicit"})
        text = "Implicit grant type not supported from token endpoint"
        assert said(response) == (400, "invalid_grant", text)

    @pytest.mark.parametrize("changes", [{"clientId": "other"}, {"client_id": "other", "clientId": ""}])
    def test_spring_client_mismatch(self, service: Service, changes: dict[str, str]) -> None:
        response = service.password(**changes)
        text = "Given client ID does not match authenticated client"
        assert said(response) == (401, "invalid_client", text)
        assert response.headers["www-authenticate"] == f'Bearer error="invalid_client", error_description="{text}"'

    def test_spring_refresh_unknown_and_of_another_client_are_alike(
        self, service: Service, tokens: dict[str, Any]
    ) -> None:
        sent = tokens["refresh_token"]
        assert said(service.refreshed(NOT_A_TOKEN)) == (
            400,
            "invalid_grant",
            f"Invalid refresh token: {NOT_A_TOKEN}",
        )
        other = service.refreshed(sent, auth=(CLIENT_ID + "-2", SECRET))
        assert said(other) == (400, "invalid_grant", f"Invalid refresh token: {sent}")

    def test_spring_refresh_of_a_wider_scope(self, service: Service) -> None:
        token = service.sign_in()["refresh_token"]
        response = service.refreshed(token, scope="openid authorization_code")
        text = "Unable to narrow the scope of the client authentication to [openid, authorization_code]"
        assert said(response) == (400, "invalid_scope", text)
        assert service.refreshed(token).status_code == 200

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_spring_wrong_method(self, service: Service, method: str) -> None:
        response = service.http.request(method, TOKEN)
        assert said(response) == (405, "method_not_allowed", "Request method not supported")
        assert response.headers["allow"] == "POST"


class TestSpringApprovalPage:
    REQUEST: Final = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "xyz",
        "prompt": "consent",  # the tests before may have approved already
    }

    def _asked(self, service: Service, person: Any) -> httpx.Response:
        seen = person.open(AUTHORIZE, self.REQUEST)
        assert has_field(seen, "password")
        page: httpx.Response = person.sign_in(seen, USERNAME, PASSWORD)
        return page

    def test_approval_page_has_springs_sentence_and_forms(self, service: Service) -> None:
        with service.browser() as person:
            page = self._asked(service, person)
            assert page.status_code == 200
            assert page.url.path == "/oauth-server/oauth/confirm_access"
            text = page.text.replace("&#39;", "'")
            assert f"Do you authorize '{CLIENT_ID}' to access your protected resources?" in text
            assert page.text.count('method="post" action="/oauth-server/oauth/authorize"') == 2
            assert find_form(page, ["authorize"]).values["user_oauth_approval"] == "true"
            assert find_form(page, ["deny"]).values["user_oauth_approval"] == "false"

    def test_approval_leads_back_with_a_code_and_tokens(self, service: Service) -> None:
        with service.browser() as person:
            back = answer(person.submit(self._asked(service, person), ("authorize", "Authorize")), to=CALLBACK)
        assert back["state"] == "xyz"
        service.secrets.add(back["code"])
        sent = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": CALLBACK}
        response = service.ask(TOKEN, sent)
        assert response.status_code == 200
        body = response.json()
        assert (body["grantType"], body["name"], body["token_type"]) == ("authorization_code", USERNAME, "bearer")
        assert body["parameters"] == {"grant_type": "authorization_code"}
        again = service.ask(TOKEN, sent)
        assert said(again)[:2] == (400, "invalid_grant")
        assert back["code"] not in again.text

    def test_denial_leads_back_with_access_denied(self, service: Service) -> None:
        with service.browser() as person:
            back = answer(person.submit(self._asked(service, person), ("deny", "Deny")), to=CALLBACK)
        assert (back["error"], back["state"]) == ("access_denied", "xyz")
        assert "code" not in back

    @pytest.mark.parametrize("said_", ["", "TRUE", "yes", "1"])
    def test_whatever_is_not_true_is_no_approval(self, service: Service, said_: str) -> None:
        with service.browser() as person:
            page = self._asked(service, person)
            form = find_form(page, ["authorize"]).values | {"user_oauth_approval": said_, "decision": "allow"}
            response = person.http.post(AUTHORIZE, data=form, headers={"origin": person.url})
            assert "code=" not in response.headers.get("location", "")

    def test_an_approval_from_another_site_is_refused(self, service: Service) -> None:
        with service.browser() as person:
            form = find_form(self._asked(service, person), ["authorize"]).values
            foreign = person.http.post(AUTHORIZE, data=form, headers={"origin": "https://evil.example"})
            assert foreign.status_code == 400
            forged = person.http.post(AUTHORIZE, data={**form, "csrf": "x"}, headers={"origin": person.url})
            assert forged.status_code == 400

    def test_another_account_may_be_used(self, service: Service) -> None:
        with service.browser() as person:
            page = person.submit(self._asked(service, person), ("switch", "1"))
            assert has_field(page, "password")

    def test_a_request_by_post_is_one_too(self, service: Service) -> None:
        with service.browser() as person:
            page = person.follow(person.http.post(AUTHORIZE, data=self.REQUEST))
            assert has_field(page, "password")

    def test_a_client_name_is_text(self, service: Service) -> None:
        client = service.home.ask(lambda store: store.directory.client(CLIENT_ID))
        assert client is not None
        named = replace(client, name="<script>alert(1)</script>")
        service.home.ask(lambda store: store.administration.change_client(named, now=0))
        try:
            with service.browser() as person:
                assert "<script>alert" not in self._asked(service, person).text
        finally:
            service.home.ask(lambda store: store.administration.change_client(client, now=0))

    def test_the_page_carries_deprecation(self, service: Service) -> None:
        with service.browser() as person:
            assert self._asked(service, person).headers["deprecation"] == f"@{legacy.DEPRECATED_AT}"

    def test_a_strict_realm_has_the_standard_page(self, service: Service) -> None:
        strict = {**self.REQUEST, "client_id": STRICT[0], "redirect_uri": "https://strict.example/callback"}
        with service.browser() as person:
            assert person.open(AUTHORIZE, strict).status_code == 404
            challenge = {"code_challenge": "x" * 43, "code_challenge_method": "S256"}
            seen = person.open("/oauth/authorize", {**strict, **challenge})
            page = person.sign_in(seen, "ada", PASSWORD)
            assert has_field(page, "decision")
            assert not has_field(page, "user_oauth_approval")


class TestAStrictRealmBesideIt:
    def test_has_none_of_the_paths(self, service: Service) -> None:
        assert service.password(STRICT, username="ada", clientId="").status_code == 401
        token = _strict_token(service)
        assert service.ask(CHECK, {"token": token}, auth=STRICT).status_code == 401
        for name in ("check_token", "revoke_token"):
            refused = service.ask(f"{PLATFORM}/{name}", {"token": token}, auth=STRICT)
            assert said(refused) == (200, "access_denied", token)
        assert service.raw("/renewToken", token, headers=_basic(*STRICT)).status_code == 401

    def test_is_not_let_in_by_the_platforms_name_for_client_id(self, service: Service) -> None:
        sent = {"grant_type": "password", "username": "ada", "password": PASSWORD, "clientId": POSTING}
        refused = service.ask(TOKEN, {**sent, "client_secret": SECRET}, auth=None)
        assert said(refused)[:2] == (401, "invalid_client")
        used = service.ask("/oauth/token", {**sent, "client_id": POSTING, "client_secret": SECRET}, auth=None)
        assert used.status_code == 200, "the client itself is good"

    @pytest.mark.parametrize("path", ["/user", "/oidc/userinfo", "/oauth-server/user", "/oauth-server/oidc/userinfo"])
    def test_its_tokens_open_none_of_them(self, service: Service, path: str) -> None:
        assert said(service.held(path, _strict_token(service)))[:2] == (401, "invalid_token")

    def test_its_tokens_say_nothing_there(self, service: Service) -> None:
        token = _strict_token(service)
        assert service.raw(f"{PLATFORM}/tokenInfo", token).json() == {"token": "-1"}
        assert service.ask(CHECK, {"token": token}).status_code == 400
        assert said(service.ask(f"{PLATFORM}/check_token", {"token": token}))[:2] == (200, "invalid_token")
        assert said(service.ask(f"{PLATFORM}/revoke_token", {"token": token}))[:2] == (200, "invalid_token")

    def test_its_answers_have_no_member_more(self, service: Service) -> None:
        sent = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "openid"}
        body = service.ask("/oauth/token", sent, auth=STRICT).json()
        assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert body["token_type"] == "Bearer"

    def test_its_parameters_do_not_belong_into_the_query(self, service: Service) -> None:
        token = _strict_token(service)
        for path in ("/oauth/check_token", "/oauth/revoke", "/oauth/introspect"):
            assert said(service.ask(path, query={"token": token}, auth=STRICT))[:2] == (400, "invalid_request")
        assert service.ask("/oauth/check_token", query={"token": token}, auth=STRICT, method="GET").status_code == 405

    def test_client_id_is_not_camel_case_there(self, service: Service) -> None:
        sent = {"grant_type": "password", "username": "ada", "password": PASSWORD, "clientId": "whatever"}
        assert service.ask("/oauth/token", sent, auth=STRICT).status_code == 200


class TestAClientThatMovedOn:
    def test_uses_the_standard_paths_of_the_same_realm_in_the_standards_words(self, service: Service) -> None:
        sent = {"grant_type": "password", "username": USERNAME, "password": PASSWORD}
        body = service.ask("/oauth/token", sent).json()
        assert body["token_type"] == "Bearer"
        assert "principal" not in body
        assert service.ask("/oauth/introspect", {"token": body["access_token"]}).json()["active"]


class TestLegacyDoors:
    def test_answers_carry_deprecation_and_no_sunset_where_none_is_set(
        self, service: Service, tokens: dict[str, Any]
    ) -> None:
        for response in (
            service.password(),
            service.ask(CHECK, {"token": tokens["access_token"]}),
            service.ask(f"{PLATFORM}/revoke_token", query={"token": NOT_A_TOKEN}),
            service.raw(f"{PLATFORM}/tokenInfo", tokens["access_token"]),
            service.held("/user", tokens["access_token"]),
        ):
            assert response.headers["deprecation"] == f"@{legacy.DEPRECATED_AT}"
            assert "sunset" not in response.headers

    def test_answers_carry_the_sunset_of_the_realm(self, service: Service) -> None:
        response = service.password(("leaving", SECRET), username="kim", clientId="")
        assert response.status_code == 200
        assert parsedate_to_datetime(response.headers["sunset"]).timestamp() == SUNSET

    def test_uses_are_counted_per_client_and_door(self, service: Service) -> None:
        token = service.sign_in(("leaving", SECRET), username="kim", clientId="")["access_token"]
        service.ask(f"{PLATFORM}/check_token", query={"token": token}, auth=("leaving", SECRET))
        service.held("/oidc/userinfo", token)
        service.held("/oauth-server/user", token)
        service.raw(f"{PLATFORM}/tokenInfo", token)
        doors = {
            f"path {TOKEN}",
            "grant_type password",
            f"path {PLATFORM}/check_token",
            legacy.QUERY,
            "path /oidc/userinfo",
            "path /oauth-server/user",
            f"path {PLATFORM}/tokenInfo",
        }
        wait_until(lambda: {("leaving", door) for door in doors} <= service.uses().keys())


class TestTheOpenApiDocument:
    def test_describes_every_own_path_as_deprecated(self, service: Service) -> None:
        paths = service.http.get("/openapi.json").json()["paths"]
        described = {path: operation for path, operations in paths.items() for operation in operations.values()}
        assert [path for path in OWN_MACHINE_PATHS if not described[path].get("deprecated")] == []


class TestWithoutSuchARealm:
    def test_there_are_no_such_paths(self, tmp_path: Path) -> None:
        with Service(tmp_path, default_realm="default") as service:
            found = {path: service.http.post(path).status_code for path in OWN_MACHINE_PATHS}
            assert found == dict.fromkeys(OWN_MACHINE_PATHS, 404)
            pages = {path: service.http.get(path, headers={"accept": "text/html"}).status_code for path in OWN_PAGES}
            assert pages == dict.fromkeys(OWN_PAGES, 404)
            document = service.http.get("/openapi.json").json()
            assert not [path for path in document["paths"] if "oauth-server" in path or "openplatform" in path]


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, Any]]]:
    """A platform whose sunset has passed, and tokens from before."""
    service = Service(tmp_path_factory.mktemp("over"))
    seed(service.home)
    with running(service):
        tokens = service.sign_in()
        service.home.realm(REALM, sunset_at=int(time.time()) - 1)
        yield service, tokens


Over = tuple[Service, dict[str, Any]]


class TestAfterTheSunset:
    @pytest.mark.parametrize("path", OWN_MACHINE_PATHS)
    def test_own_paths_are_gone_for_the_realms_client(self, over: Over, path: str) -> None:
        service, _ = over
        methods = next(endpoint.methods for endpoint in DIALECT.endpoints if endpoint.path == path)
        for method in methods:
            response = service.http.request(method, path, headers=_basic(*KEY))
            assert (response.status_code, response.json()["error"]) == (410, "invalid_request")

    @pytest.mark.parametrize("path", ["/user", "/oidc/userinfo", "/oauth-server/user", "/oauth-server/oidc/userinfo"])
    def test_own_paths_are_gone_for_who_holds_a_token(self, over: Over, path: str) -> None:
        service, tokens = over
        assert service.held(path, tokens["access_token"]).status_code == 410

    def test_token_info_is_gone(self, over: Over) -> None:
        service, tokens = over
        assert service.raw(f"{PLATFORM}/tokenInfo", tokens["access_token"]).status_code == 410

    def test_the_password_grant_is_refused(self, over: Over) -> None:
        service, _ = over
        sent = {"grant_type": "password", "username": USERNAME, "password": PASSWORD}
        assert said(service.ask("/oauth/token", sent))[:2] == (400, "unauthorized_client")

    def test_parameters_in_the_query_are_refused(self, over: Over) -> None:
        service, tokens = over
        sent = {"token": tokens["access_token"]}
        assert said(service.ask("/oauth/check_token", query=sent))[:2] == (400, "invalid_request")

    def test_what_is_standard_goes_on(self, over: Over) -> None:
        service, tokens = over
        assert service.ask("/oauth/check_token", {"token": tokens["access_token"]}).status_code == 200
        sent = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert service.ask("/oauth/token", sent).status_code == 200


class TestTheSample:
    def test_its_commands_work_in_their_order(self, service: Service, tmp_path: Path) -> None:
        assert DIALECT.sample is not None
        answers = {}
        for purpose, command in DIALECT.sample.commands(service.server.url):
            done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, f"{purpose}: {done.stderr}"
            answers[purpose] = json.loads(done.stdout)
            service.noted(httpx.Response(200, json=answers[purpose]))
        assert answers["get tokens for a person"]["authorities"] == list(ROLES)
        assert answers["check the token"]["active"] is True
        assert answers["the same in the platform's own form"]["scope"] == [CLIENT_ID]
        assert answers["read what it says"]["oauthInfo"]["name"] == USERNAME
        assert answers["read who signed in"]["userid"] == f"({USERNAME})"
        assert answers["refresh: the old tokens are over"]["token_type"] == "bearer"
        assert answers["revoke the new token"]["state"] == "invalid_token"
        assert answers["check it again"]["error"] == "invalid_token"

    def test_has_the_accounts_of_the_manual(self) -> None:
        sample = DIALECT.sample
        assert sample is not None
        ((client, secret),) = sample.clients
        (person,) = sample.users
        assert (client.client_id, secret) == ("onesait-demo", "onesaitplatform")
        assert (person.user.username, person.password) == ("demo", "demo1234")
        assert sample.roles == ("ROLE_USER", "ROLE_ADMIN")
        assert client.is_demo
        assert person.user.is_demo


def _basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()}


def _strict_token(service: Service) -> str:
    sent = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "openid"}
    token: str = service.ask("/oauth/token", sent, auth=STRICT).json()["access_token"]
    return token
