"""Signing out: OpenID Connect RP-Initiated Logout 1.0, SECURITY R-06 and B-15."""

import pytest

from jwtauth.endpoints import log_out
from jwtauth.endpoints.outcomes import (
    AccountPage,
    ConfirmLogoutPage,
    ErrorPage,
    Fault,
    GoOn,
    Redirect,
    SignedOutPage,
)
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.endpoints.visit import Visit
from jwtauth.errors import InvalidGrant
from jwtauth.protocol.parameters import Pairs
from tests.endpoints.conftest import DAY, Browser, Desk, Seen, answer, shown
from tests.web.people import GOODBYE

PATH = "/oauth/logout"


def log_out_with(browser: Browser, granted: TokenAnswer, **query: str) -> Seen:
    return browser.open(PATH, id_token_hint=str(granted.id_token), **query)


class TestWithAHint:  # section 2
    def test_signs_out_and_ends_what_was_given_in_the_session(self, desk: Desk, browser: Browser) -> None:
        granted, others = browser.tokens(), browser.tokens("own")
        assert shown(SignedOutPage, log_out_with(browser, granted)).client_name == "Example Web"
        assert (browser.session, browser.is_signed_in()) == (None, False)
        for tokens, client_id in ((granted, "web"), (others, "own")):
            assert not desk.is_active(tokens.access_token)
            with pytest.raises(InvalidGrant):
                desk.refresh(tokens, client_id)
        assert answer(browser.authorize(prompt="none"))["error"] == "login_required"

    @pytest.mark.parametrize(("state", "url"), [({}, GOODBYE), ({"state": "a b"}, f"{GOODBYE}?state=a%20b")])
    def test_leads_back_where_the_client_registered(self, browser: Browser, state: dict[str, str], url: str) -> None:
        seen = log_out_with(browser, browser.tokens(), post_logout_redirect_uri=GOODBYE, **state)
        assert shown(Redirect, seen).url == url

    @pytest.mark.parametrize("after", [3_600, DAY, 20 * DAY])
    def test_that_has_expired_leads_back_too(self, desk: Desk, browser: Browser, after: int) -> None:
        granted = browser.tokens()
        desk.clock.move(after)
        assert shown(Redirect, log_out_with(browser, granted, post_logout_redirect_uri=GOODBYE)).url == GOODBYE

    def test_about_somebody_else_asks_first(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        desk.home.user("bob")
        browser.sign_in(browser.authorize(prompt="select_account"), "bob")
        page = shown(ConfirmLogoutPage, log_out_with(browser, granted, post_logout_redirect_uri=GOODBYE))
        assert page.username == "bob"
        assert browser.is_signed_in()

    @pytest.mark.parametrize("query", [{"client_id": "own"}, {"client_id": "no-such-client"}])
    def test_of_another_client_than_the_request_names_asks_first(self, browser: Browser, query: dict[str, str]) -> None:
        granted = browser.tokens()
        page = log_out_with(browser, granted, post_logout_redirect_uri=GOODBYE, **query)
        assert isinstance(page, ConfirmLogoutPage)

    def test_of_a_client_that_was_disabled_leads_nowhere(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        desk.disable_client()
        assert isinstance(log_out_with(browser, granted, post_logout_redirect_uri=GOODBYE), SignedOutPage)

    def test_r_06_never_leads_where_the_client_did_not_register(self, browser: Browser) -> None:
        granted = browser.tokens()
        for uri in ("https://evil.example", GOODBYE + "?a=b", GOODBYE + "/"):
            assert isinstance(log_out_with(browser, granted, post_logout_redirect_uri=uri), SignedOutPage)

    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_that_is_another_kind_of_token_is_none(self, browser: Browser, kind: str) -> None:
        granted = browser.tokens()
        page = browser.open(PATH, id_token_hint=getattr(granted, kind), post_logout_redirect_uri=GOODBYE)
        assert isinstance(page, ConfirmLogoutPage)

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_that_was_changed_is_none(self, browser: Browser, place: int) -> None:
        parts = str(browser.tokens().id_token).split(".")
        parts[place] = parts[place][:-2] + ("AA" if parts[place][-2:] != "AA" else "BB")
        page = browser.open(PATH, id_token_hint=".".join(parts), post_logout_redirect_uri=GOODBYE)
        assert isinstance(page, ConfirmLogoutPage)


class TestWithoutAHint:
    def test_b_15_asks_first_and_then_signs_out(self, browser: Browser) -> None:
        browser.grant()
        page = shown(ConfirmLogoutPage, browser.open(PATH, client_id="web", post_logout_redirect_uri=GOODBYE))
        assert (page.username, page.client_name) == ("ada", "Example Web")
        assert browser.is_signed_in(), "asking ends nothing"
        assert isinstance(browser.send(page, decision="sign_out"), SignedOutPage)
        assert not browser.is_signed_in()

    def test_lets_the_person_stay(self, browser: Browser) -> None:
        browser.grant()
        assert isinstance(browser.send(browser.open(PATH), decision="stay"), AccountPage)

    def test_says_that_it_is_done_where_nobody_was_signed_in(self, browser: Browser) -> None:
        assert isinstance(browser.open(PATH), SignedOutPage)

    def test_b_15_ignores_an_answer_that_is_not_from_our_page(self, desk: Desk, browser: Browser) -> None:
        browser.grant()
        page = browser.open(PATH)
        assert shown(ErrorPage, browser.send(page, decision="sign_out", csrf="forged")).fault is Fault.FOREIGN_FORM
        assert browser.is_signed_in()

    def test_refuses_what_was_sent_twice(self, browser: Browser) -> None:
        browser.grant()
        page = browser.open(f"{PATH}?state=a&state=b")
        assert shown(ErrorPage, page).fault is Fault.BAD_REQUEST
        assert browser.is_signed_in()


class TestAPostFromAnotherSite:  # section 2: MUST support POST; browsers send no cookies of ours with it
    def post(self, browser: Browser, form: Pairs) -> str:
        """Where it leads: to the same request by GET, as which it brings the cookies along."""
        visit = Visit(form=form, browser="a browser without cookies", is_from_here=False)
        outcome = browser.desk.run(log_out.answer(browser.desk.issuer, visit))
        assert outcome.session is None, "the cookie is not its to delete"
        assert isinstance(outcome.then, GoOn)
        return outcome.then.path

    def test_b_15_signs_nobody_out_without_asking(self, browser: Browser) -> None:
        browser.grant()
        path = self.post(browser, (("post_logout_redirect_uri", GOODBYE),))
        assert isinstance(browser.open(path), ConfirmLogoutPage)
        assert browser.is_signed_in()

    def test_with_a_hint_signs_out_for_good(self, desk: Desk, browser: Browser) -> None:
        granted = browser.tokens()
        form = (("id_token_hint", str(granted.id_token)), ("post_logout_redirect_uri", GOODBYE), ("state", "a b&c"))
        seen = shown(Redirect, browser.open(self.post(browser, form)))
        assert seen.url == f"{GOODBYE}?state=a%20b%26c"
        assert not desk.is_active(granted.access_token)
        assert not browser.is_signed_in()


class TestOtherBrowsers:
    def test_stay_signed_in(self, desk: Desk, browser: Browser) -> None:
        granted, other = browser.tokens(), Browser(desk)
        elsewhere = other.tokens()
        log_out_with(browser, granted)
        assert other.is_signed_in()
        assert desk.is_active(elsewhere.access_token)

    def test_cannot_use_the_cookie_of_a_session_that_was_ended(self, desk: Desk, browser: Browser) -> None:
        granted, other = browser.tokens(), Browser(desk)
        other.session = browser.session
        log_out_with(browser, granted)
        assert not other.is_signed_in()
