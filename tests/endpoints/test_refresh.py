"""Refreshing what was given in a browser: OpenID Connect Core 1.0 sections 11 and 12, SECURITY F-11 and F-12."""

from collections.abc import Callable

import pytest

from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import InvalidGrant
from jwtauth.protocol.records import Grant, Session
from tests.endpoints.conftest import DAY, Browser, Desk, meanwhile
from tests.web.site import claims_of

OFFLINE = {"scope": "openid offline_access"}


def session(desk: Desk) -> Session:
    """Ada's only one."""
    (found,) = desk.run(desk.issuer.store.sessions.of_user(desk.user().id, now=desk.clock.at))
    return found


def log_out(browser: Browser) -> None:
    browser.send(browser.open("/oauth/logout"), decision="sign_out")


def assert_over(desk: Desk, granted: TokenAnswer) -> None:
    with pytest.raises(InvalidGrant):
        desk.refresh(granted, "web")


class TestWithoutOfflineAccess:
    def test_a_grant_ends_with_its_session(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        log_out(browser)
        assert_over(desk, granted)
        assert not desk.is_active(granted.access_token)
        assert desk.reasons_of("grant.ended") == [], "nobody is called a thief"

    def test_a_grant_ends_when_the_session_was_not_used_for_a_day(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        desk.clock.move(DAY)
        assert_over(desk, granted)

    def test_refreshing_is_a_use_of_the_session(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        for _ in range(3):
            desk.clock.move(DAY - 1)
            granted = desk.refresh(granted, "web")
        assert browser.is_signed_in()

    def test_refreshing_never_prolongs_the_session_past_its_end(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        for _ in range(31):
            desk.clock.move(DAY - 3_600)
            granted = desk.refresh(granted, "web")
        desk.clock.move(30 * DAY - 31 * (DAY - 3_600))
        assert_over(desk, granted)
        assert not browser.is_signed_in()

    def test_refreshing_writes_a_use_down_once_a_minute_at_most(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        before = session(desk)
        desk.clock.move(59)
        granted = desk.refresh(granted, "web")
        assert session(desk) == before
        desk.clock.move(1)
        desk.refresh(granted, "web")
        assert session(desk).expires_at == desk.clock.at + DAY

    def test_refreshing_for_offline_access_is_no_use_of_the_session(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens(scope="openid offline_access")
        desk.clock.move(DAY - 1)
        desk.refresh(granted, "web")
        desk.clock.move(1)
        assert not browser.is_signed_in()

    def test_a_refresh_that_is_refused_is_no_use(self, desk: Desk, browser: Browser) -> None:
        first = browser.tokens()
        desk.refresh(first, "web")
        before = session(desk)
        desk.clock.move(3_600)
        assert_over(desk, first)
        assert session(desk) == before

    def test_a_grant_given_in_another_browser_lives_on(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        elsewhere = Browser(desk).tokens()
        log_out(browser)
        assert_over(desk, granted)
        assert desk.refresh(elsewhere, "web").access_token

    def test_a_scope_value_narrowed_away_does_not_matter(self, desk: Desk, browser: Browser) -> None:
        """What was granted decides, not what one refresh asked for."""
        granted = browser.tokens(**OFFLINE)
        token = str(granted.refresh_token)
        granted = desk.token("web", grant_type="refresh_token", refresh_token=token, scope="openid")
        log_out(browser)
        assert desk.refresh(granted, "web").access_token


class TestWithOfflineAccess:
    @pytest.mark.parametrize("end", [log_out, lambda browser: browser.desk.clock.move(DAY)], ids=["ended", "idle"])
    def test_a_grant_outlives_its_session(self, desk: Desk, browser: Browser, end: Callable[[Browser], None]) -> None:
        granted = browser.tokens(**OFFLINE)
        end(browser)
        assert not browser.is_signed_in()
        refreshed = desk.refresh(granted, "web")
        assert desk.is_active(refreshed.access_token)
        assert claims_of(str(refreshed.id_token))["sub"] == "u.ada"

    def test_a_grant_outlives_the_memory_of_its_session(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens(**OFFLINE)
        log_out(browser)
        for _ in range(3):
            desk.clock.move(29 * DAY)
            Browser(desk).grant("own")  # writes sweep
            granted = desk.refresh(granted, "web")
        assert "sid" not in claims_of(str(granted.id_token)), "the session was forgotten"

    def test_a_grant_that_is_not_refreshed_ends_after_a_month(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens(**OFFLINE)
        desk.clock.move(30 * DAY - 1)
        granted = desk.refresh(granted, "web")
        desk.clock.move(30 * DAY)
        assert_over(desk, granted)

    def test_a_grant_that_is_refreshed_ends_after_a_year(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens(**OFFLINE)
        for _ in range(12):
            desk.clock.move(30 * DAY - 1)
            granted = desk.refresh(granted, "web")
        desk.clock.move(5 * DAY + 12)
        assert_over(desk, granted)

    @pytest.mark.parametrize(
        "end",
        [
            pytest.param(lambda browser: browser.send(browser.account(), action="end_all"), id="everywhere"),
            pytest.param(
                lambda browser: browser.send(browser.account(), action="end_application", client_id="web"),
                id="the application's",
            ),
            pytest.param(lambda browser: browser.desk.disable_user(), id="the person was disabled"),
            pytest.param(lambda browser: browser.desk.change_user(password_hash="another"), id="the password changed"),
        ],
    )
    def test_f_12_a_grant_ends_all_the_same_with_what_ends_everything(
        self, desk: Desk, browser: Browser, end: Callable[[Browser], object]
    ) -> None:
        granted = browser.tokens(**OFFLINE)
        end(browser)
        assert_over(desk, granted)
        assert not desk.is_active(granted.access_token)


class TestTheIdToken:  # OpenID Connect Core 1.0 section 12.2
    def test_says_the_same_as_the_first_but_when_it_was_made(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        first = claims_of(str(granted.id_token))
        desk.clock.move(1_000)
        again = claims_of(str(desk.refresh(granted, "web").id_token))
        assert again["iat"] == first["iat"] + 1_000
        assert "nonce" not in again
        for name in ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr"):
            assert again[name] == first[name]

    def test_keeps_auth_time_although_the_person_signed_in_again(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        first = claims_of(str(granted.id_token))
        desk.clock.move(100)
        browser.sign_in(browser.authorize(prompt="login"))
        assert claims_of(str(desk.refresh(granted, "web").id_token))["auth_time"] == first["auth_time"]

    def test_is_not_given_where_openid_was_narrowed_away(self, desk: Desk, browser: Browser) -> None:
        token = str(browser.tokens().refresh_token)
        narrowed = desk.token("web", grant_type="refresh_token", refresh_token=token, scope="profile")
        assert not isinstance(narrowed.id_token, str)

    def test_comes_with_a_retry_too(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        desk.refresh(granted, "web")
        assert isinstance(desk.refresh(granted, "web").id_token, str)


class TestARace:
    def test_lost_to_the_end_of_the_session_is_a_refusal(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        granted, store = browser.tokens(), desk.issuer.store
        number = session(desk).id
        meanwhile(
            monkeypatch, store.grants, "rotate", lambda: store.sessions.end(number, lease_in=0, now=desk.clock.at)
        )
        assert_over(desk, granted)
        assert desk.reasons_of("grant.ended") == []

    def test_lost_to_the_same_token_earns_the_same_successor(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        granted, grants = browser.tokens(), desk.issuer.store.grants
        rotate = grants.rotate

        async def second(grant: Grant, **values: object) -> object:
            await rotate(grant, **values)  # type: ignore[arg-type]
            return await rotate(grant, **values)  # type: ignore[arg-type]

        monkeypatch.setattr(grants, "rotate", second)
        successor = desk.refresh(granted, "web").refresh_token
        monkeypatch.undo()
        assert desk.refresh(granted, "web").refresh_token == successor
