"""Redeeming codes over minutes and days: RFC 6749 sections 4.1.3 and 10.5, OpenID Connect Core 1.0 section 3.1.3."""

import pytest

from jwtauth.errors import InvalidClient, InvalidGrant, InvalidScope, InvalidTarget
from tests.endpoints.conftest import DAY, Browser, Desk, meanwhile
from tests.web.people import RESOURCE
from tests.web.site import claims_of

OFFLINE = {"scope": "openid offline_access"}


class TestACode:
    def test_brings_tokens_about_the_person(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        access, identity = claims_of(granted.access_token), claims_of(str(granted.id_token))
        assert (access["sub"], access["client_id"], access["scope"]) == ("u.ada", "web", "openid profile")
        assert (identity["sub"], identity["aud"], identity["nonce"]) == ("u.ada", "web", "a-nonce")
        assert identity["auth_time"] == desk.clock.at
        assert desk.refresh(granted, "web").access_token

    @pytest.mark.parametrize(("after", "is_good"), [(0, True), (59, True), (60, False), (DAY, False)])
    def test_p_10_lives_a_minute(self, desk: Desk, browser: Browser, after: int, is_good: bool) -> None:
        code = browser.grant(**OFFLINE)["code"]
        desk.clock.move(after)
        if is_good:
            assert desk.redeem(code).access_token
        else:
            with pytest.raises(InvalidGrant):
                desk.redeem(code)

    def test_without_openid_brings_no_id_token(self, browser: Browser) -> None:
        assert not isinstance(browser.tokens(scope="read").id_token, str)

    def test_that_was_refused_to_others_is_still_good_for_its_owner(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        for client_id, changes in (
            ("own", {}),
            ("web", {"code_verifier": "x" * 43}),
            ("web", {"code_verifier": ""}),
            ("web", {"redirect_uri": "https://app.example/other"}),
            ("web", {"redirect_uri": ""}),
        ):
            with pytest.raises(InvalidGrant):
                desk.redeem(code, client_id, **changes)
        assert desk.redeem(code).access_token
        assert desk.reasons_of("grant.ended") == []

    @pytest.mark.parametrize("code", ["x", "ac_", "ac_" + "A" * 48, "' OR 1=1 --", "rt_" + "A" * 48])
    def test_p_08_that_was_never_given_is_refused(self, desk: Desk, code: str) -> None:
        with pytest.raises(InvalidGrant):
            desk.redeem(code)

    def test_is_no_refresh_token_nor_the_other_way_round(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        with pytest.raises(InvalidGrant):
            desk.token("web", grant_type="refresh_token", refresh_token=code)
        with pytest.raises(InvalidGrant):
            desk.redeem(str(desk.redeem(code).refresh_token))


class TestASecondUse:  # RFC 6749 section 10.5
    @pytest.mark.parametrize("after", [0, 30, 61, 20 * DAY])
    def test_p_06_ends_the_grant_however_late_it_comes(self, desk: Desk, browser: Browser, after: int) -> None:
        others = browser.tokens("own", **OFFLINE)
        code = browser.grant(**OFFLINE)["code"]
        granted = desk.redeem(code)
        desk.clock.move(after)
        with pytest.raises(InvalidGrant):
            desk.redeem(code)
        assert desk.reasons_of("grant.ended") == ["code redeemed twice"]
        assert not desk.is_active(granted.access_token)
        with pytest.raises(InvalidGrant):
            desk.refresh(granted, "web")
        assert desk.refresh(others, "own").access_token, "others live"

    def test_ends_it_after_refreshes_too(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        refreshed = desk.refresh(desk.refresh(desk.redeem(code), "web"), "web")
        with pytest.raises(InvalidGrant):
            desk.redeem(code)
        assert not desk.is_active(refreshed.access_token)

    def test_by_a_stranger_ends_nothing(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        granted = desk.redeem(code)
        for client_id, changes in (("own", {}), ("web", {"code_verifier": "x" * 43}), ("web", {"code_verifier": ""})):
            with pytest.raises(InvalidGrant):
                desk.redeem(code, client_id, **changes)
        assert desk.is_active(granted.access_token)
        assert desk.reasons_of("grant.ended") == []


class TestWhatHappenedBefore:
    """A code is worth nothing once what it stands on has gone."""

    def test_a_logout_ends_it_unless_it_is_for_offline_access(self, desk: Desk, browser: Browser) -> None:
        online, offline = browser.grant()["code"], browser.grant(**OFFLINE)["code"]
        browser.send(browser.open("/oauth/logout"), decision="sign_out")
        with pytest.raises(InvalidGrant):
            desk.redeem(online)
        assert desk.redeem(offline).access_token

    def test_an_end_everywhere_ends_it(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant(**OFFLINE)["code"]
        browser.send(browser.account(), action="end_all")
        with pytest.raises(InvalidGrant):
            desk.redeem(code)

    def test_a_consent_that_was_withdrawn_ends_it(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        browser.send(browser.account(), action="end_application", client_id="web")
        with pytest.raises(InvalidGrant):
            desk.redeem(code)

    def test_a_disabled_person_ends_it(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant(**OFFLINE)["code"]
        desk.disable_user()
        with pytest.raises(InvalidGrant):
            desk.redeem(code)

    def test_a_disabled_client_cannot_even_ask(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        desk.disable_client()
        with pytest.raises(InvalidClient):
            desk.redeem(code)

    def test_scope_that_the_client_lost_is_left_out(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant(scope="openid read write")["code"]
        desk.change_client(scope=("openid", "read"))
        granted = desk.redeem(code)
        assert claims_of(granted.access_token)["scope"] == "openid read"
        with pytest.raises(InvalidScope):
            desk.token("web", grant_type="refresh_token", refresh_token=str(granted.refresh_token), scope="write")

    def test_a_resource_that_the_client_lost_brings_no_token_for_another(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant(resource=RESOURCE)["code"]
        desk.change_client(resources=())
        with pytest.raises(InvalidTarget):
            desk.redeem(code)

    def test_a_rotated_server_secret_does_not_matter(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        desk.rotate_secret()
        granted = desk.redeem(code)
        assert desk.refresh(desk.refresh(granted, "web"), "web").access_token

    def test_a_dropped_server_secret_ends_it(self, desk: Desk, browser: Browser) -> None:
        code = browser.grant()["code"]
        desk.rotate_secret(at_once=True)
        with pytest.raises(InvalidGrant):
            desk.redeem(code)


class TestARace:
    def test_p_11_lost_to_another_who_redeemed_it_ends_the_grant(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, grants = browser.grant()["code"], desk.issuer.store.grants
        redeem = grants.redeem

        async def second(grant_id: int, *, expires_at: int, now: int) -> object:
            await redeem(grant_id, expires_at=expires_at, now=now)
            return await redeem(grant_id, expires_at=expires_at, now=now)

        monkeypatch.setattr(grants, "redeem", second)
        with pytest.raises(InvalidGrant):
            desk.redeem(code)
        assert desk.reasons_of("grant.ended") == ["code redeemed twice"]

    def test_lost_to_the_end_of_the_session_is_a_refusal(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, ada, store = browser.grant()["code"], desk.user(), desk.issuer.store
        meanwhile(monkeypatch, store.grants, "redeem", lambda: store.sessions.end_all(ada, now=desk.clock.at))
        with pytest.raises(InvalidGrant):
            desk.redeem(code)
        assert desk.reasons_of("code.redeemed") == []
