"""Signing in with a browser, and how long it lasts (SECURITY B-02, B-04, B-05, B-08 to B-11, B-14)."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth import settings
from jwtauth.endpoints.outcomes import AccountPage, ConsentPage, ErrorPage, Fault, Problem, SignInPage
from jwtauth.endpoints.visit import session_digest
from jwtauth.errors import ConfigurationError, InvalidGrant
from jwtauth.protocol.records import Session
from jwtauth.store.sqlite.grants import FINISHED_KEPT_IN
from tests.endpoints.conftest import DAY, Browser, Desk, answer, meanwhile, shown
from tests.web.site import claims_of


def session_of(browser: Browser, cookie: str | None = None) -> Session | None:
    """The session that the browser's cookie, or another one, names."""
    desk = browser.desk
    return desk.run(desk.issuer.store.sessions.find(session_digest(cookie or browser.session or "")))


def signed_in(browser: Browser, username: str = "ada") -> Session:
    assert isinstance(browser.sign_in(browser.open("/login"), username), AccountPage)
    session = session_of(browser)
    assert session is not None
    return session


class TestASession:
    def test_begins_with_a_password_and_a_new_cookie(self, desk: Desk, browser: Browser) -> None:
        session = signed_in(browser)
        assert (session.user_id, session.auth_time) == (desk.user().id, desk.clock.at)
        assert (session.expires_at, session.ends_at) == (desk.clock.at + DAY, desk.clock.at + 30 * DAY)
        assert browser.session not in (session.sid, browser.name)

    @pytest.mark.parametrize(("after", "is_live"), [(DAY - 1, True), (DAY, False), (400 * DAY, False)])
    def test_ends_after_a_day_without_use(self, desk: Desk, browser: Browser, after: int, is_live: bool) -> None:
        signed_in(browser)
        desk.clock.move(after)
        assert browser.is_signed_in() is is_live

    def test_that_is_used_ends_after_a_month(self, desk: Desk, browser: Browser) -> None:
        signed_in(browser)
        for _ in range(31):
            desk.clock.move(DAY - 3_600)
            assert browser.is_signed_in()
        desk.clock.move(30 * DAY - 31 * (DAY - 3_600) - 1)
        assert browser.is_signed_in()
        desk.clock.move(1)
        assert not browser.is_signed_in()

    def test_is_not_brought_back_by_a_clock_that_was_set_back(self, desk: Desk, browser: Browser) -> None:
        signed_in(browser)
        cookie = browser.session
        browser.send(browser.account(), action="end_all")
        desk.clock.move(-3_600)
        browser.session = cookie
        assert not browser.is_signed_in()

    def test_is_written_down_as_used_once_a_minute_at_most(self, desk: Desk, browser: Browser) -> None:
        session = signed_in(browser)
        desk.clock.move(59)
        browser.open("/account")
        assert session_of(browser) == session
        desk.clock.move(1)
        browser.open("/account")
        assert session_of(browser) == replace(session, seen_at=desk.clock.at, expires_at=session.expires_at + 60)

    def test_is_used_by_an_application_that_asks_silently(self, desk: Desk, browser: Browser) -> None:
        browser.grant("own")
        for _ in range(3):
            desk.clock.move(DAY - 1)
            assert "code" in answer(browser.authorize("own", prompt="none"))

    def test_of_a_disabled_person_is_none(self, desk: Desk, browser: Browser) -> None:
        signed_in(browser)
        desk.disable_user()
        assert not browser.is_signed_in()
        user = desk.user()
        desk.home.ask(lambda store: store.administration.enable_user(user, now=desk.clock.at))
        assert not browser.is_signed_in(), "what was ended stays ended"


class TestSigningInAgain:
    def test_b_02_changes_the_cookie_and_keeps_the_session(self, desk: Desk, browser: Browser) -> None:
        before, cookie = signed_in(browser), browser.session
        desk.clock.move(100)
        browser.sign_in(browser.authorize("own", prompt="login"))
        after = session_of(browser)
        assert after == replace(
            before, auth_time=desk.clock.at, seen_at=desk.clock.at, expires_at=before.expires_at + 100
        )
        assert browser.session != cookie
        assert session_of(browser, cookie) is None

    def test_keeps_the_sid_that_applications_know(self, desk: Desk, browser: Browser) -> None:
        first = browser.tokens("own")
        second = desk.redeem(answer(browser.sign_in(browser.authorize("own", prompt="login")))["code"], "own")
        assert sid(first) == sid(second)
        assert desk.refresh(first, "own").access_token, "grants of before go on"

    def test_as_somebody_else_ends_the_session_that_was_there(self, desk: Desk, browser: Browser) -> None:
        desk.home.user("bob")
        adas, cookie = browser.tokens("own"), browser.session
        desk.clock.move(100)
        bobs = desk.redeem(
            answer(browser.sign_in(browser.authorize("own", prompt="select_account"), "bob"))["code"], "own"
        )
        assert sid(adas) != sid(bobs)
        ended = session_of(browser, cookie)
        assert ended is not None
        assert ended.ended_at == desk.clock.at
        assert not desk.is_active(adas.access_token)
        with pytest.raises(InvalidGrant):
            desk.refresh(adas, "own")

    def test_in_another_browser_ends_nothing(self, desk: Desk, browser: Browser) -> None:
        first = browser.tokens("own")
        second = Browser(desk).tokens("own")
        assert sid(first) != sid(second)
        assert desk.is_active(first.access_token)

    def test_after_the_session_was_over_begins_another(self, desk: Desk, browser: Browser) -> None:
        first = browser.tokens("own")
        desk.clock.move(DAY)
        assert sid(browser.tokens("own")) != sid(first)

    def test_with_a_password_that_is_wrong_leaves_the_session_alone(self, browser: Browser) -> None:
        before, cookie = signed_in(browser), browser.session
        page = browser.sign_in(browser.authorize("own", prompt="login"), password="wrong")
        assert shown(SignInPage, page).problem is Problem.WRONG_PASSWORD
        assert (session_of(browser), browser.session) == (before, cookie)


class TestARefusal:
    @pytest.mark.parametrize(
        ("username", "password"),
        [
            pytest.param("ada", "wrong", id="wrong"),
            pytest.param("ada", "", id="empty"),
            pytest.param("nobody", "wrong", id="unknown"),
            pytest.param("", "", id="nothing"),
            pytest.param("ada", "x" * 1_025, id="B-09 a giant password"),
            pytest.param("x" * 257, "wrong", id="a giant username"),
            pytest.param("ADA", "correct horse battery staple", id="another case"),
        ],
    )
    def test_b_08_says_the_same_whichever_of_the_two_is_wrong(
        self, browser: Browser, username: str, password: str
    ) -> None:
        page = shown(SignInPage, browser.sign_in(browser.authorize(), username, password))
        assert (page.problem, page.username, browser.session) == (Problem.WRONG_PASSWORD, username[:256], None)

    def test_says_that_the_account_may_not_use_the_application_only_to_its_owner(
        self, desk: Desk, browser: Browser
    ) -> None:
        desk.home.realm("abroad")
        desk.home.user("eve", roles={"abroad": ()})
        wrong = shown(SignInPage, browser.sign_in(browser.authorize(), "eve", "wrong"))
        assert wrong.problem is Problem.WRONG_PASSWORD
        page = shown(SignInPage, browser.sign_in(browser.authorize(), "eve"))
        assert page.problem is Problem.NO_MEMBER
        assert browser.is_signed_in(), "she has an account here"

    def test_is_forgotten_once_the_password_was_right(self, desk: Desk, browser: Browser) -> None:
        again = browser.sign_in(browser.authorize(), password="wrong")
        question = shown(ConsentPage, browser.sign_in(again))
        desk.disable_user()
        assert shown(SignInPage, browser.allow(question)).problem is None

    def test_b_10_b_11_makes_the_account_wait_but_not_for_good(self, desk: Desk, browser: Browser) -> None:
        page = browser.authorize()
        for _ in range(5):
            page = browser.sign_in(page, password="wrong")
        waiting = shown(SignInPage, browser.sign_in(page))
        assert (waiting.problem, waiting.retry_after_in) == (Problem.TOO_MANY_ATTEMPTS, 1)
        assert browser.session is None, "a right password is not even looked at"
        assert {event.uid for event in desk.events if event.name == "sign_in.refused"} == {desk.user().id}
        desk.clock.move(1)
        assert isinstance(browser.sign_in(waiting), ConsentPage)

    @pytest.mark.parametrize("changes", [{"csrf": ""}, {"csrf": "forged"}, {"transaction": ""}, {"transaction": "x"}])
    def test_b_04_is_an_error_page_for_a_form_that_is_not_ours(self, browser: Browser, changes: dict[str, str]) -> None:
        fields = {"username": "ada", "password": "correct horse battery staple"}
        assert isinstance(browser.send(browser.authorize(), **fields, **changes), ErrorPage)
        assert browser.session is None

    def test_of_the_person_to_sign_in_is_told_to_the_client(self, desk: Desk, browser: Browser) -> None:
        told = answer(browser.send(browser.authorize(), cancel="1"))
        assert (told["error"], told["state"]) == ("access_denied", "a-state")
        (refusal,) = [event for event in desk.events if event.name == "authorization.refused"]
        assert (refusal.endpoint, refusal.code) == ("/oauth/authorize", "access_denied")


class TestWhatIsToldOfARefusedRequest:
    @pytest.mark.parametrize(
        "changes",
        [
            {"client_id": "nobody"},
            {"client_id": ""},
            {"redirect_uri": "https://elsewhere.example/"},
            {"state": "x" * 20_000},
            {"scope": "no-such-scope"},
        ],
    )
    def test_is_where_it_was_sent_with_a_code_and_a_reason(
        self, desk: Desk, browser: Browser, changes: dict[str, str]
    ) -> None:
        browser.authorize(**changes)
        (told,) = [event for event in desk.events if event.name == "authorization.refused"]
        assert told.endpoint == "/oauth/authorize"
        assert told.code
        assert told.reason or told.check
        assert "elsewhere.example/?" not in str(told)

    def test_s_09_is_no_word_of_it(self, desk: Desk, browser: Browser) -> None:
        browser.authorize(scope="pasted-here")
        browser.open("/oauth/authorize", **{"pasted here": "twice", "client_id": "pasted-here"})
        assert "pasted" not in str(desk.events)


class TestSwitching:
    def test_lets_another_person_sign_in_and_keeps_the_request(self, desk: Desk, browser: Browser) -> None:
        desk.home.user("bob")
        browser.grant("own")
        question = shown(ConsentPage, browser.authorize())
        page = shown(SignInPage, browser.send(question, switch="1"))
        assert (page.username, page.is_username_known) == ("", False)
        question = shown(ConsentPage, browser.sign_in(page, "bob"))
        assert question.username == "bob"
        granted = desk.redeem(answer(browser.allow(question))["code"])
        assert claims_of(granted.access_token)["username"] == "bob"

    def test_and_signing_in_as_the_same_person_after_all_goes_on(self, browser: Browser) -> None:
        page = browser.send(browser.sign_in(browser.authorize()), switch="1")
        assert shown(ConsentPage, browser.sign_in(page)).username == "ada"


class TestAPageThatStaysOpen:
    @pytest.mark.parametrize(("after", "is_good"), [(1_799, True), (1_800, False), (90 * DAY, False)])
    def test_is_good_for_half_an_hour(self, desk: Desk, browser: Browser, after: int, is_good: bool) -> None:
        page = browser.authorize()
        desk.clock.move(after)
        assert isinstance(browser.sign_in(page), ConsentPage if is_good else ErrorPage)

    def test_too_long_begins_anew_with_the_same_request(self, desk: Desk, browser: Browser) -> None:
        page = browser.authorize(scope="openid email", ui_locales="de")
        desk.clock.move(DAY)
        expired = shown(ErrorPage, browser.sign_in(page))
        assert (expired.fault, expired.ui_locales, browser.session) == (Fault.EXPIRED, ("de",), None)
        assert expired.restart is not None
        question = shown(ConsentPage, browser.sign_in(browser.open(expired.restart)))
        assert question.scope == ("openid", "email")
        assert desk.redeem(answer(browser.allow(question))["code"]).access_token

    def test_begun_anew_asks_for_consent_anew(self, desk: Desk, browser: Browser) -> None:
        question = browser.sign_in(browser.authorize())
        desk.clock.move(1_800)
        expired = shown(ErrorPage, browser.allow(question))
        assert expired.restart is not None
        assert isinstance(browser.open(expired.restart), ConsentPage)
        assert desk.reasons_of("grant.started") == []

    def test_survives_a_clock_that_was_set_back(self, desk: Desk, browser: Browser) -> None:
        page = browser.authorize()
        desk.clock.move(-DAY)
        assert isinstance(browser.sign_in(page), ConsentPage)

    def test_is_never_good_for_longer_than_it_is_known_to_be_finished(self, tmp_path: Path) -> None:
        """SECURITY B-13: a consent replayed after that would bring a second code."""
        longest = settings.load(tmp_path, {}, transaction_in=FINISHED_KEPT_IN)
        assert longest.settings.transaction_in == FINISHED_KEPT_IN
        with pytest.raises(ConfigurationError, match="transaction_in"):
            settings.load(tmp_path, {}, transaction_in=FINISHED_KEPT_IN + 1)


class TestTheAccountPage:
    def test_is_where_a_sign_in_without_an_application_leads(self, browser: Browser) -> None:
        page = shown(SignInPage, browser.open("/account"))
        assert page.client_name is None
        assert isinstance(browser.sign_in(page), AccountPage)
        assert isinstance(browser.open("/login"), AccountPage)


class TestARace:
    def test_lost_to_whoever_disables_the_person_signs_nobody_in(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada, store, page = desk.user(), desk.issuer.store, browser.authorize()
        meanwhile(
            monkeypatch, store.sessions, "start", lambda: store.administration.disable_user(ada, now=desk.clock.at)
        )
        assert shown(SignInPage, browser.sign_in(page)).problem is Problem.OVERLOADED
        assert browser.session is None
        assert desk.reasons_of("session.started") == []

    @pytest.mark.parametrize("method", ["start", "renew"])
    def test_lost_to_a_changed_password_signs_nobody_in(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch, method: str
    ) -> None:
        if method == "renew":
            signed_in(browser)
        ada, store = desk.user(), desk.issuer.store
        page, before = browser.authorize(prompt="login"), len(desk.reasons_of("session.started"))

        async def change_password() -> Any:
            return await store.administration.change_password(ada, "another hash", now=desk.clock.at)

        meanwhile(monkeypatch, store.sessions, method, change_password)
        assert shown(SignInPage, browser.sign_in(page)).problem is Problem.OVERLOADED
        assert len(desk.reasons_of("session.started")) == before
        assert not browser.is_signed_in()

    def test_lost_to_a_logout_in_another_tab_may_be_tried_again(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session, store = signed_in(browser), desk.issuer.store
        page = browser.authorize(prompt="login")
        meanwhile(
            monkeypatch, store.sessions, "renew", lambda: store.sessions.end(session.id, lease_in=0, now=desk.clock.at)
        )
        again = browser.sign_in(page)
        assert isinstance(again, ConsentPage) or isinstance(browser.sign_in(again), ConsentPage)
        found = session_of(browser)
        assert found is not None
        assert found.sid != session.sid


def sid(granted: object) -> str:
    return str(claims_of(granted.id_token)["sid"])  # type: ignore[attr-defined]
