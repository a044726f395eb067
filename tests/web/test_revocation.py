"""Token revocation (RFC 7009 section 2; SECURITY I-06 to I-09, I-14)."""

import pytest

from tests.support.home import SECRET
from tests.web.site import Site, assert_refused

OTHERS = [("other", SECRET), ("foreigner", SECRET), ("auditor", SECRET)]


def revoke(site: Site, token: str, *, hint: str = "", auth: tuple[str, str] | None = ("service", SECRET)) -> None:
    response = site.post("/oauth/revoke", {"token": token, "token_type_hint": hint}, auth=auth)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["cache-control"] == "no-store"


class TestAnAccessToken:
    @pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "nonsense"])
    def test_of_a_machine_is_dead_everywhere_at_once(self, site: Site, hint: str) -> None:
        token, sibling = site.machine(), site.machine()
        revoke(site, token, hint=hint)
        assert not site.is_active(token)
        assert site.post("/oauth/check_token", {"token": token}).status_code == 400
        assert site.http.get("/oauth/tokeninfo", params={"access_token": token}).status_code == 401
        assert site.is_active(sibling)

    def test_i_14_takes_its_grant_with_it(self, site: Site) -> None:
        first = site.person()
        second = site.refresh(first["refresh_token"]).json()
        revoke(site, first["access_token"])
        assert not site.is_active(second["access_token"])
        assert_refused(site.refresh(second["refresh_token"]), 400, "invalid_grant")


class TestARefreshToken:
    @pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "nonsense"])
    def test_i_09_takes_its_access_tokens_with_it(self, site: Site, hint: str) -> None:
        first = site.person()
        second = site.refresh(first["refresh_token"]).json()
        revoke(site, second["refresh_token"], hint=hint)
        assert not site.is_active(first["access_token"])
        assert not site.is_active(second["access_token"])
        assert_refused(site.refresh(second["refresh_token"]), 400, "invalid_grant")

    def test_of_an_earlier_generation_ends_the_grant_too(self, site: Site) -> None:
        first = site.person()
        second = site.refresh(first["refresh_token"]).json()
        revoke(site, first["refresh_token"])
        assert not site.is_active(second["access_token"])

    def test_ends_one_grant_and_no_other_of_the_same_person(self, site: Site) -> None:
        ended, kept = site.person(), site.person()
        revoke(site, ended["refresh_token"])
        assert site.is_active(kept["access_token"])
        assert site.refresh(kept["refresh_token"]).status_code == 200

    def test_of_a_public_client_needs_no_secret(self, site: Site) -> None:
        form = {"grant_type": "password", "username": "ada", "password": "correct horse battery staple"}
        granted = site.granted({**form, "client_id": "portal"}, auth=None)
        response = site.post("/oauth/revoke", {"token": granted["refresh_token"], "client_id": "portal"}, auth=None)
        assert response.status_code == 200
        assert not site.is_active(granted["access_token"])


class TestEveryOtherToken:
    @pytest.mark.parametrize("auth", OTHERS)
    def test_i_06_of_another_client_lives_on(self, site: Site, auth: tuple[str, str]) -> None:
        granted, machine = site.person(), site.machine()
        with site.writing_nothing():
            for token in (granted["refresh_token"], granted["access_token"], machine):
                revoke(site, token, auth=auth)
        assert site.is_active(granted["access_token"])
        assert site.is_active(machine)
        assert site.refresh(granted["refresh_token"]).status_code == 200

    @pytest.mark.parametrize("token", ["x", "a.b.c", "rt_" + "A" * 48, "é", "A" * 60_000, "' OR 1=1 --"])
    def test_i_08_is_unknown_and_that_is_fine(self, site: Site, token: str) -> None:
        with site.writing_nothing():
            revoke(site, token)

    def test_may_be_revoked_again(self, site: Site) -> None:
        granted = site.person()
        revoke(site, granted["access_token"])
        with site.writing_nothing():
            revoke(site, granted["access_token"])
            revoke(site, granted["refresh_token"])

    @pytest.mark.parametrize("auth", [None, ("service", "wrong"), ("disabled", SECRET), ("portal", SECRET)])
    def test_i_07_needs_its_client(self, site: Site, auth: tuple[str, str] | None) -> None:
        token = site.machine()
        with site.writing_nothing():
            assert_refused(site.post("/oauth/revoke", {"token": token}, auth=auth), 401, "invalid_client")
        assert site.is_active(token)
