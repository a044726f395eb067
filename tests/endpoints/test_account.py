"""The account page: what a person sees and ends there (SECURITY B-04, B-09, B-10, F-12)."""

import pytest

from jwtauth.endpoints.outcomes import (
    AccountPage,
    ApplicationRow,
    ConsentPage,
    ErrorPage,
    Fault,
    Notice,
    Problem,
    SignedOutPage,
    SignInPage,
)
from jwtauth.errors import InvalidGrant
from tests.endpoints.conftest import DAY, Browser, Desk, answer, meanwhile, shown
from tests.support.home import PASSWORD

OFFLINE = {"scope": "openid offline_access"}
NEW = "another battery staple"


@pytest.fixture
def at_home(browser: Browser) -> Browser:
    """A browser in which ada is signed in."""
    browser.sign_in(browser.open("/login"))
    return browser


def change_password(browser: Browser, **changes: str) -> AccountPage:
    fields = {"current_password": PASSWORD, "new_password": NEW, "repeated_password": NEW, **changes}
    return shown(AccountPage, browser.send(browser.account(), action="change_password", **fields))


class TestThePage:
    def test_is_for_people_who_are_signed_in(self, browser: Browser) -> None:
        page = shown(SignInPage, browser.open("/account"))
        assert shown(AccountPage, browser.sign_in(page)).username == "ada"

    def test_shows_in_which_browsers_the_person_is_signed_in(self, desk: Desk, at_home: Browser) -> None:
        desk.clock.move(100)
        desk.home.user("bob")
        other, bobs = Browser(desk), Browser(desk)
        other.grant("own")
        bobs.sign_in(bobs.open("/login"), "bob")
        rows = at_home.account().sessions
        assert {(row.is_current, row.created_at) for row in rows} == {
            (True, desk.clock.at - 100),
            (False, desk.clock.at),
        }
        assert [row.user_agent for row in rows] == ["Lynx", "Lynx"]
        assert len(bobs.account().sessions) == 1

    def test_shows_no_session_that_is_over(self, desk: Desk, at_home: Browser) -> None:
        desk.clock.move(DAY)
        at_home.sign_in(at_home.open("/login"))
        assert len(at_home.account().sessions) == 1

    def test_shows_what_applications_may_do(self, desk: Desk, at_home: Browser) -> None:
        at_home.grant(**OFFLINE)
        at_home.tokens("own", scope="openid email")
        since = desk.clock.at
        desk.clock.move(100)
        at_home.tokens("own", scope="openid read")
        assert at_home.account().applications == (
            ApplicationRow(
                client_id="web", name="Example Web", scope=("openid", "offline_access"), since=since, is_offline=True
            ),
            ApplicationRow(
                client_id="own", name="own", scope=("openid", "read", "email"), since=since, is_offline=False
            ),
        )

    def test_shows_no_application_whose_grants_are_over_and_that_asked_for_no_consent(
        self, desk: Desk, at_home: Browser
    ) -> None:
        at_home.tokens("own")
        desk.clock.move(DAY)
        at_home.sign_in(at_home.open("/login"))
        desk.clock.move(30 * DAY)
        at_home.sign_in(at_home.open("/login"))
        assert at_home.account().applications == ()

    @pytest.mark.parametrize("done", ["", "password_changed&done=x", "<script>", "odd"])
    def test_says_nothing_that_a_link_made_up(self, at_home: Browser, done: str) -> None:
        assert shown(AccountPage, at_home.open(f"/account?done={done}&problem=odd&wait=9999999")).notice is None
        assert shown(AccountPage, at_home.open("/account?problem=odd&wait=9999999")).retry_after_in == 0


class TestAForm:  # SECURITY B-04
    @pytest.mark.parametrize("action", ["end_session", "end_application", "end_all", "change_password"])
    def test_that_is_not_ours_changes_nothing(self, desk: Desk, at_home: Browser, action: str) -> None:
        granted, sid = at_home.tokens(**OFFLINE), at_home.account().sessions[0].sid
        fields = {"sid": sid, "client_id": "web", "current_password": PASSWORD, "new_password": NEW}
        page = at_home.send(at_home.account(), action=action, **fields, repeated_password=NEW, csrf="forged")
        assert shown(ErrorPage, page).fault is Fault.FOREIGN_FORM
        assert at_home.is_signed_in()
        assert desk.refresh(granted, "web").access_token

    def test_with_an_unknown_action_is_an_error(self, at_home: Browser) -> None:
        assert shown(ErrorPage, at_home.send(at_home.account(), action="drop_tables")).fault is Fault.BAD_REQUEST

    def test_sent_when_nobody_is_signed_in_any_more_asks_for_a_sign_in(self, desk: Desk, at_home: Browser) -> None:
        page = at_home.account()
        desk.clock.move(DAY)
        assert isinstance(at_home.send(page, action="end_all"), SignInPage)


class TestEndingASession:
    def test_of_another_browser_ends_that_one_alone(self, desk: Desk, at_home: Browser) -> None:
        other = Browser(desk)
        granted = other.tokens()
        (sid,) = (row.sid for row in at_home.account().sessions if not row.is_current)
        page = shown(AccountPage, at_home.send(at_home.account(), action="end_session", sid=sid))
        assert page.notice is Notice.SESSION_ENDED
        assert not other.is_signed_in()
        assert not desk.is_active(granted.access_token)

    def test_of_this_browser_signs_out(self, at_home: Browser) -> None:
        sid = at_home.account().sessions[0].sid
        assert isinstance(at_home.send(at_home.account(), action="end_session", sid=sid), SignedOutPage)
        assert at_home.session is None

    def test_of_somebody_else_ends_nothing(self, desk: Desk, at_home: Browser) -> None:
        desk.home.user("bob")
        bobs = Browser(desk)
        bobs.sign_in(bobs.open("/login"), "bob")
        at_home.send(at_home.account(), action="end_session", sid=bobs.account().sessions[0].sid)
        assert bobs.is_signed_in()


class TestEndingAnApplication:
    def test_ends_its_grants_here_and_elsewhere_and_forgets_the_consent(self, desk: Desk, at_home: Browser) -> None:
        here, elsewhere = at_home.tokens(), Browser(desk).tokens(**OFFLINE)
        others = at_home.tokens("own")
        page = shown(AccountPage, at_home.send(at_home.account(), action="end_application", client_id="web"))
        assert page.notice is Notice.APPLICATION_ENDED
        assert [row.client_id for row in page.applications] == ["own"]
        for granted in (here, elsewhere):
            assert not desk.is_active(granted.access_token)
            with pytest.raises(InvalidGrant):
                desk.refresh(granted, "web")
        assert desk.refresh(others, "own").access_token
        assert isinstance(at_home.authorize(), ConsentPage)

    def test_of_another_person_ends_nothing(self, desk: Desk, at_home: Browser) -> None:
        desk.home.user("bob")
        bobs = Browser(desk)
        code = answer(bobs.allow(bobs.sign_in(bobs.authorize(), "bob")))["code"]
        at_home.send(at_home.account(), action="end_application", client_id="web")
        assert desk.redeem(code).access_token

    @pytest.mark.parametrize("client_id", ["", "no-such-client", "web' OR 1=1 --"])
    def test_that_nobody_knows_ends_nothing(self, desk: Desk, at_home: Browser, client_id: str) -> None:
        granted = at_home.tokens()
        at_home.send(at_home.account(), action="end_application", client_id=client_id)
        assert desk.refresh(granted, "web").access_token


class TestEndingEverything:
    def test_ends_every_session_and_every_grant(self, desk: Desk, at_home: Browser) -> None:
        other = Browser(desk)
        granted = [at_home.tokens(**OFFLINE), other.tokens("own"), desk.person()]
        assert isinstance(at_home.send(at_home.account(), action="end_all"), SignedOutPage)
        assert (at_home.session, at_home.is_signed_in(), other.is_signed_in()) == (None, False, False)
        assert not any(desk.is_active(each.access_token) for each in granted)

    def test_ends_nothing_of_others_and_lets_the_person_come_back(self, desk: Desk, at_home: Browser) -> None:
        desk.home.user("bob")
        bobs = Browser(desk)
        bobs.sign_in(bobs.open("/login"), "bob")
        at_home.send(at_home.account(), action="end_all")
        assert bobs.is_signed_in()
        assert isinstance(at_home.sign_in(at_home.open("/login")), AccountPage)


class TestANewPassword:
    def test_takes_the_place_of_the_old_one(self, desk: Desk, at_home: Browser) -> None:
        assert change_password(at_home).notice is Notice.PASSWORD_CHANGED
        other = Browser(desk)
        refused = other.sign_in(other.open("/login"))
        assert shown(SignInPage, refused).problem is Problem.WRONG_PASSWORD
        assert isinstance(other.sign_in(refused, password=NEW), AccountPage)

    def test_f_12_ends_everything_that_began_under_the_old_one_but_here(self, desk: Desk, at_home: Browser) -> None:
        other, before, cookie = Browser(desk), at_home.account().sessions[0].sid, at_home.session
        granted = [at_home.tokens(**OFFLINE), other.tokens("own"), desk.person()]
        page = change_password(at_home)
        assert not other.is_signed_in()
        assert not any(desk.is_active(each.access_token) for each in granted)
        assert [row.sid == before for row in page.sessions] == [False]
        assert at_home.session != cookie
        assert len(desk.reasons_of("password.changed")) == 1

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"current_password": "wrong"}, Problem.WRONG_CURRENT_PASSWORD),
            ({"current_password": ""}, Problem.WRONG_CURRENT_PASSWORD),
            ({"current_password": "x" * 1_025}, Problem.WRONG_CURRENT_PASSWORD),
            ({"repeated_password": "something else"}, Problem.PASSWORDS_DIFFER),
            ({"new_password": "short", "repeated_password": "short"}, Problem.PASSWORD_TOO_SHORT),
            ({"new_password": "x" * 1_025, "repeated_password": "x" * 1_025}, Problem.PASSWORD_TOO_LONG),
        ],
    )
    def test_that_is_refused_changes_nothing(
        self, desk: Desk, at_home: Browser, changes: dict[str, str], problem: Problem
    ) -> None:
        cookie, granted = at_home.session, at_home.tokens()
        assert change_password(at_home, **changes).problem is problem
        assert at_home.session == cookie
        assert desk.refresh(granted, "web").access_token

    def test_b_10_is_not_a_way_around_the_throttle(self, desk: Desk, at_home: Browser) -> None:
        for _ in range(5):
            change_password(at_home, current_password="wrong")
        waiting = change_password(at_home)
        assert (waiting.problem, waiting.retry_after_in) == (Problem.TOO_MANY_ATTEMPTS, 1)
        same = Browser(desk)
        same.device = at_home.device
        assert shown(SignInPage, same.sign_in(same.open("/login"))).problem is Problem.TOO_MANY_ATTEMPTS
        elsewhere = Browser(desk)
        assert isinstance(elsewhere.sign_in(elsewhere.open("/login")), AccountPage), "a stranger"
        desk.clock.move(1)
        assert change_password(at_home).notice is Notice.PASSWORD_CHANGED


class TestARace:
    def test_lost_to_whoever_changed_the_password_first_changes_nothing(
        self, desk: Desk, at_home: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada, administration = desk.user(), desk.issuer.store.administration
        change = administration.change_password

        async def too_late(user: object, password_hash: str, *, now: int) -> object:
            await change(ada, "what somebody else chose", now=now)
            return await change(user, password_hash, now=now)  # type: ignore[arg-type]

        monkeypatch.setattr(administration, "change_password", too_late)
        fields = {"current_password": PASSWORD, "new_password": NEW, "repeated_password": NEW}
        assert isinstance(at_home.send(at_home.account(), action="change_password", **fields), SignInPage)
        assert desk.user().password_hash == "what somebody else chose"
        assert desk.reasons_of("password.changed") == []

    def test_lost_to_whoever_disables_the_person_leaves_nobody_signed_in(
        self, desk: Desk, at_home: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = desk.issuer.store

        async def disable() -> None:
            store.refresh()
            ada = await store.directory.user_named("ada")
            assert ada is not None
            await store.administration.disable_user(ada, now=desk.clock.at)

        meanwhile(monkeypatch, store.sessions, "start", disable)
        fields = {"current_password": PASSWORD, "new_password": NEW, "repeated_password": NEW}
        assert isinstance(at_home.send(at_home.account(), action="change_password", **fields), SignInPage)
        assert at_home.session is None
