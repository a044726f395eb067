"""Asking about a token: RFC 7662, Spring's check_token, tokeninfo (SECURITY I-01 to I-05, I-16)."""

from typing import Any

import pytest

from tests.support.home import SECRET
from tests.web.site import RESOURCE, Site, assert_refused, basic, claims_of

INACTIVE = b'{"active":false}'
DEAD = ("x", "a.b.c", "..", "é", "null", "e30.e30.e30", "rt_" + "A" * 48, "A" * 60_000, "' OR 1=1 --")


class TestAnActiveToken:  # RFC 7662 section 2.2
    def test_of_a_person_has_exactly_these_members(self, site: Site) -> None:
        token = site.person()["access_token"]
        response = site.post("/oauth/introspect", {"token": token})
        claims = claims_of(token)
        assert response.json() == {
            "active": True,
            "scope": "read write",
            "client_id": "service",
            "username": "ada",
            "token_type": "Bearer",
            "exp": claims["exp"],
            "iat": claims["iat"],
            "sub": "u.ada",
            "aud": claims["aud"],
            "iss": site.server.url,
            "jti": claims["jti"],
            "authorities": ["ROLE_USER"],
            "uid": claims["uid"],
        }
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "application/json"

    def test_of_a_machine_knows_no_person(self, site: Site) -> None:
        answer = site.post("/oauth/introspect", {"token": site.machine()}).json()
        assert not {"username", "uid"} & set(answer)
        assert answer["sub"] == answer["client_id"] == "service"

    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "saml2", "", "' OR 1=1"])
    def test_is_found_whatever_the_hint(self, site: Site, hint: str) -> None:
        answer = site.post("/oauth/introspect", {"token": site.machine(), "token_type_hint": hint}).json()
        assert answer["active"] is True

    def test_writes_nothing(self, site: Site) -> None:
        token = site.machine()
        with site.writing_nothing():
            site.is_active(token)


class TestWhoMayAsk:  # RFC 7662 section 4
    @pytest.mark.parametrize(
        ("client_id", "is_told"),
        [("service", True), ("other", True), ("auditor", True), ("foreigner", False)],
    )
    def test_i_02_about_a_token_for_the_realm(self, site: Site, client_id: str, is_told: bool) -> None:
        token = site.person()["access_token"]
        response = site.post("/oauth/introspect", {"token": token}, auth=(client_id, SECRET))
        assert response.status_code == 200
        assert response.json()["active"] is is_told
        assert is_told or response.content == INACTIVE

    @pytest.mark.parametrize(
        ("client_id", "is_told"), [("service", True), ("reports", True), ("other", False), ("foreigner", False)]
    )
    def test_i_02_about_a_token_for_one_resource(self, site: Site, client_id: str, is_told: bool) -> None:
        token = site.granted({"grant_type": "client_credentials", "resource": RESOURCE})["access_token"]
        assert site.is_active(token, auth=(client_id, SECRET)) is is_told

    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/check_token"])
    def test_i_01_no_public_client(self, site: Site, path: str) -> None:
        form = {"token": site.machine(), "client_id": "portal"}
        assert_refused(site.post(path, form, auth=None), 401, "invalid_client")

    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/check_token"])
    def test_i_01_nobody_with_a_bearer_token(self, site: Site, path: str) -> None:
        token = site.machine()
        response = site.post(path, {"token": token}, auth=None, headers={"Authorization": f"Bearer {token}"})
        assert_refused(response, 401, "invalid_client")


class TestEveryOtherToken:  # RFC 7662 section 2.2
    @pytest.mark.parametrize("token", DEAD)
    def test_i_04_is_inactive_and_nothing_more(self, site: Site, token: str) -> None:
        response = site.post("/oauth/introspect", {"token": token})
        assert (response.status_code, response.content) == (200, INACTIVE)

    def test_i_05_is_inactive_where_it_is_a_refresh_token(self, site: Site) -> None:
        form = {"token": site.person()["refresh_token"], "token_type_hint": "refresh_token"}
        assert site.post("/oauth/introspect", form).content == INACTIVE

    def test_is_inactive_once_revoked(self, site: Site) -> None:
        token = site.machine()
        assert site.post("/oauth/revoke", {"token": token}).status_code == 200
        assert site.post("/oauth/introspect", {"token": token}).content == INACTIVE


class TestTheRequest:
    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/check_token", "/oauth/revoke"])
    @pytest.mark.parametrize("form", [[], [("token", "")], [("token", "x"), ("token", "x")], [("Token", "x")]])
    def test_i_04_i_08_needs_one_token(self, site: Site, path: str, form: list[tuple[str, str]]) -> None:
        with site.writing_nothing():
            assert_refused(site.post(path, form), 400, "invalid_request")

    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/check_token", "/oauth/revoke"])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "TRACE"])
    def test_i_03_is_a_post(self, site: Site, path: str, method: str) -> None:
        response = site.http.request(method, path, params={"token": "x"}, auth=("service", SECRET))
        assert (response.status_code, response.headers["allow"]) == (405, "POST")

    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/check_token", "/oauth/revoke"])
    def test_has_its_token_in_the_body_only(self, site: Site, path: str) -> None:
        assert_refused(site.post(f"{path}?token={site.machine()}", {"token": "x"}), 400, "invalid_request")

    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/check_token", "/oauth/revoke"])
    def test_j_11_of_a_megabyte_is_not_read(self, site: Site, path: str) -> None:
        assert_refused(site.post(path, {"token": "a" * 1_000_000}), 413, "invalid_request")


class TestCaching:  # RFC 9111 section 5.2.2
    def test_i_16_h_03_no_answer_about_a_token_is_kept(self, site: Site) -> None:
        """Kept by a proxy, it would be given when the token is revoked, or to somebody else."""
        token = site.machine()
        bearer = {"Authorization": f"Bearer {token}"}
        answers = [
            site.post(path, {"token": sent}, auth=auth)
            for path in ("/oauth/introspect", "/oauth/check_token")
            for sent in (token, "x", "")
            for auth in (("service", SECRET), ("service", "wrong"))
        ]
        answers += [
            site.http.get(path, headers=headers)
            for path in ("/oauth/tokeninfo", "/oauth/userinfo")
            for headers in (bearer, {"Authorization": "Bearer x"}, {})
        ]
        answers.append(site.post("/oauth/revoke", {"token": token}))
        assert {answer.status_code for answer in answers} == {200, 400, 401, 403}
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}

    def test_i_16_keys_and_lists_are_kept_for_a_stated_time(self, site: Site) -> None:
        status = claims_of(site.machine())["status"]["status_list"]["uri"]
        assert site.http.get("/.well-known/jwks.json").headers["cache-control"] == "public, max-age=300"
        assert "max-age=0" in site.http.get(status).headers["cache-control"]
        assert site.http.get("/oauth/status/no-such-list").headers["cache-control"] == "no-store"


class TestCheckToken:  # Spring Security OAuth 2.x, CheckTokenEndpoint
    def test_of_a_person_has_exactly_these_members(self, site: Site) -> None:
        token = site.person()["access_token"]
        claims = claims_of(token)
        response = site.post("/oauth/check_token", {"token": token})
        assert response.json() == {
            "active": True,
            "user_name": "ada",
            "scope": ["read", "write"],
            "exp": claims["exp"],
            "authorities": ["ROLE_USER"],
            "jti": claims["jti"],
            "client_id": "service",
            "aud": [claims["aud"]],
        }
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")

    def test_of_a_machine_has_no_user_name(self, site: Site) -> None:
        assert "user_name" not in site.post("/oauth/check_token", {"token": site.machine()}).json()

    @pytest.mark.parametrize("token", DEAD)
    def test_of_a_dead_token_is_springs_refusal(self, site: Site, token: str) -> None:
        response = site.post("/oauth/check_token", {"token": token})
        assert_refused(response, 400, "invalid_token")
        assert response.json() == {"error": "invalid_token", "error_description": "Token was not recognised"}

    def test_of_a_token_that_is_none_of_ones_business_looks_the_same(self, site: Site) -> None:
        response = site.post("/oauth/check_token", {"token": site.machine()}, auth=("foreigner", SECRET))
        assert response.text == site.post("/oauth/check_token", {"token": "x"}).text


class TestTokeninfo:
    def test_of_a_person_has_exactly_these_members(self, site: Site) -> None:
        token = site.person()["access_token"]
        claims = claims_of(token)
        answer: dict[str, Any] = site.http.get("/oauth/tokeninfo", params={"access_token": token}).json()
        assert 0 < answer.pop("expires_in") <= 3600
        assert answer == {
            "id": claims["uid"],
            "uid": claims["uid"],
            "sub": "u.ada",
            "scope": ["read", "write"],
            "client_id": "service",
            "exp": claims["exp"],
        }

    def test_of_a_machine_has_no_id(self, site: Site) -> None:
        answer = site.http.get("/oauth/tokeninfo", params={"access_token": site.machine()}).json()
        assert answer["id"] is None
        assert answer["uid"] is None

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
    def test_takes_the_header_in_any_case(self, site: Site, scheme: str) -> None:
        response = site.http.get("/oauth/tokeninfo", headers={"Authorization": f"{scheme} {site.machine()}"})
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        ("query", "headers"),
        [
            pytest.param([], [], id="no token"),
            pytest.param([("access_token", "")], [], id="empty token"),
            pytest.param([("access_token", "T")], [("Authorization", "Bearer T")], id="both"),
            pytest.param([("access_token", "T"), ("access_token", "T")], [], id="query twice"),
            pytest.param([], [("Authorization", "Bearer T"), ("Authorization", "Bearer T")], id="header twice"),
            pytest.param([], [("Authorization", "Bearer")], id="scheme only"),
            pytest.param([], [("Authorization", "T")], id="token only"),
            pytest.param([], [("Authorization", basic("service", SECRET))], id="Basic"),
            pytest.param([("token", "T")], [], id="another name"),
            pytest.param([("Access_Token", "T")], [], id="another case"),
        ],
    )
    def test_wants_one_token_in_one_place(
        self, site: Site, query: list[tuple[str, str]], headers: list[tuple[str, str]]
    ) -> None:
        token = site.machine()
        response = site.http.get(
            "/oauth/tokeninfo",
            params=[(name, value.replace("T", token)) for name, value in query],
            headers=[(name, value.replace("T", token)) for name, value in headers],
        )
        assert_refused(response, 400, "invalid_request")
        assert token not in response.text

    @pytest.mark.parametrize("token", [token for token in DEAD if len(token) < 1000])
    def test_of_a_dead_token_is_401_with_a_challenge(self, site: Site, token: str) -> None:
        response = site.http.get("/oauth/tokeninfo", params={"access_token": token})
        assert_refused(response, 401, "invalid_token")
        assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')

    @pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE", "OPTIONS"])
    def test_is_a_get(self, site: Site, method: str) -> None:
        response = site.http.request(method, "/oauth/tokeninfo", headers={"Authorization": f"Bearer {site.machine()}"})
        assert (response.status_code, response.headers["allow"]) == (405, "GET")

    def test_never_logs_the_token(self, site: Site) -> None:
        token = site.machine()
        for sent in (token, token + "x"):
            site.http.get("/oauth/tokeninfo", params={"access_token": sent})
        assert token not in site.server.log.read_text()
        assert token.rsplit(".", 1)[1] not in site.server.log.read_text()
