"""Answers that get lost, forms that are stale, strangers who keep guessing (SECURITY B-11, B-13, B-14, F-05)."""

import pytest
from msgspec.structs import replace

from jwtauth.endpoints.outcomes import AccountPage, ErrorPage, Fault, Problem, SignInPage
from jwtauth.errors import InvalidGrant, Overloaded
from jwtauth.protocol import throttling
from tests.endpoints.conftest import DAY, Browser, Desk, answer, meanwhile, shown
from tests.support.home import PASSWORD


async def locked() -> None:
    """What a write ends with while another process holds the database."""
    raise Overloaded("SQLITE_BUSY")


class TestSigningInAgain:
    def test_whose_answer_got_lost_goes_on_with_the_session_that_was_there(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        page, held = browser.authorize(prompt="login"), browser.session
        browser.sign_in(page)
        browser.session = held  # the new cookie never arrived
        browser.sign_in(page)
        assert [row.is_current for row in browser.account().sessions] == [True]
        hint = str(granted.id_token)
        browser.open("/oauth/logout", id_token_hint=hint)
        assert not desk.is_active(granted.access_token)
        with pytest.raises(InvalidGrant):
            desk.refresh(granted, "web")

    def test_ends_nothing_for_a_cookie_that_was_replaced_twice(self, browser: Browser) -> None:
        browser.grant()
        old = browser.session
        for _ in range(2):
            browser.sign_in(browser.authorize(prompt="login"))
        present, browser.session = browser.session, old
        assert not browser.is_signed_in()
        browser.open("/oauth/logout")
        browser.session = present
        assert browser.is_signed_in()


class TestALockedDatabase:
    def test_costs_a_strict_client_nothing_once_its_refresh_token_was_rotated(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.home.realm(retry_in=0)
        granted = browser.tokens()
        desk.clock.move(3_600)
        meanwhile(monkeypatch, desk.issuer.store.sessions, "touch", locked)
        rotated = desk.refresh(granted, "web")
        assert desk.refresh(rotated, "web").access_token

    def test_lets_a_page_be_read(self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        browser.sign_in(browser.open("/login"))
        desk.clock.move(3_600)
        meanwhile(monkeypatch, desk.issuer.store.sessions, "touch", locked)
        assert isinstance(browser.open("/account"), AccountPage)

    def test_keeps_the_transaction_of_whoever_pressed_allow(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        question = browser.sign_in(browser.authorize())
        meanwhile(monkeypatch, desk.issuer.store.grants, "start", locked)
        with pytest.raises(Overloaded):
            browser.allow(question)
        assert "code" in answer(browser.allow(question))


class TestAStaleForm:
    def test_of_one_person_does_nothing_to_the_next(self, desk: Desk, browser: Browser) -> None:
        desk.home.user("bob")
        browser.sign_in(browser.open("/login"))
        adas = browser.account()
        browser.send(shown(type(browser.open("/oauth/logout")), browser.open("/oauth/logout")), decision="sign_out")
        browser.sign_in(browser.open("/login"), "bob")
        assert shown(ErrorPage, browser.send(adas, action="end_all")).fault is Fault.FOREIGN_FORM
        assert browser.is_signed_in()

    def test_cannot_be_made_to_say_something_by_a_link(self, browser: Browser) -> None:
        browser.sign_in(browser.open("/login"))
        for name, value in (("done", "password_changed"), ("problem", "overloaded"), ("said", "x" * 80)):
            page = shown(AccountPage, browser.open("/account", **{name: value}))
            assert (page.notice, page.problem, page.retry_after_in) == (None, None, 0)


class TestAKnownBrowser:  # SECURITY B-11
    def test_gets_in_while_a_stranger_keeps_guessing(self, desk: Desk, browser: Browser) -> None:
        browser.sign_in(browser.open("/login"))
        browser.session = None
        stranger = Browser(desk)
        for _ in range(throttling.ACCOUNT.free):
            stranger.sign_in(stranger.open("/login"), password="wrong")
        waiting = shown(SignInPage, stranger.sign_in(stranger.open("/login"), password=PASSWORD))
        assert waiting.problem is Problem.TOO_MANY_ATTEMPTS
        assert isinstance(browser.sign_in(browser.open("/login")), AccountPage)

    def test_of_somebody_else_or_of_nobody_waits_like_any_other(self, desk: Desk, browser: Browser) -> None:
        desk.home.user("bob")
        browser.sign_in(browser.open("/login"), "bob")
        browser.session = None
        for device in (browser.device, "gAAAA-forged", None):
            browser.device = device
            for _ in range(throttling.ACCOUNT.free):
                browser.sign_in(browser.open("/login"), password="wrong")
            page = shown(SignInPage, browser.sign_in(browser.open("/login")))
            assert page.problem is Problem.TOO_MANY_ATTEMPTS

    def test_has_a_patience_of_its_own_that_ends_too(self, browser: Browser) -> None:
        browser.sign_in(browser.open("/login"))
        browser.session = None
        for _ in range(throttling.ACCOUNT.free):
            browser.sign_in(browser.open("/login"), password="wrong")
        assert shown(SignInPage, browser.sign_in(browser.open("/login"))).problem is Problem.TOO_MANY_ATTEMPTS


class TestClaimsByName:
    def test_give_a_client_nothing_that_it_is_not_registered_for(self, desk: Desk, browser: Browser) -> None:
        desk.change_client("web", scope=("openid",), asks_consent=False)
        asked = '{"userinfo": {"email": null, "name": null}, "id_token": {"email": null}}'
        granted = browser.tokens(scope="openid", claims=asked)
        assert "email" not in str(granted)
        user = replace(desk.user("ada"))
        assert user.username == "ada"


class TestAFinishedTransaction:
    def test_is_known_for_a_day_however_short_tokens_live(self, desk: Desk, browser: Browser) -> None:
        page = browser.authorize()
        question = browser.sign_in(page)
        desk.redeem(answer(browser.allow(question))["code"])
        desk.clock.move(1_700)
        desk.person()  # sweeps
        again = browser.allow(question)
        assert type(again).__name__ == "FinishedPage", again
        assert desk.issuer.settings.transaction_in < DAY
