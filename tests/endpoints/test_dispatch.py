"""What comes next in an authorization request: sign in, consent, done; asked afresh at each visit.

OpenID Connect Core 1.0 sections 3.1.2.1 to 3.1.2.6, SECURITY B-07, B-12 to B-14 and R-04.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest

from jwtauth.endpoints.outcomes import Carry, ConsentPage, ErrorPage, Fault, FinishedPage, Problem, SignInPage
from jwtauth.errors import Overloaded
from jwtauth.protocol.authorization import ResponseMode
from jwtauth.protocol.records import RequestedClaims
from tests.endpoints.conftest import DAY, Browser, Desk, Seen, answer, meanwhile, shown
from tests.support.person import CALLBACK
from tests.web.people import RESOURCE
from tests.web.site import claims_of

ELSEWHERE = "https://elsewhere.example/callback"


def consent_page(browser: Browser) -> ConsentPage:
    """The question whether `web` may, put to ada."""
    return shown(ConsentPage, browser.sign_in(browser.authorize()))


class TestAnAuthorizationRequest:
    def test_leads_to_a_sign_in_then_to_a_question_then_back(self, browser: Browser) -> None:
        page = shown(SignInPage, browser.authorize(login_hint="ada"))
        assert (page.client_name, page.username, page.problem) == ("Example Web", "ada", None)
        question = shown(ConsentPage, browser.sign_in(page))
        assert (question.client_name, question.username, question.scope) == (
            "Example Web",
            "ada",
            ("openid", "profile"),
        )
        assert (question.destination, question.is_identity_proven) == ("app.example", True)
        told = answer(browser.allow(question))
        assert told.pop("code").startswith("ac_")
        assert told == {"state": "a-state", "iss": browser.desk.issuer.settings.issuer}

    def test_of_an_application_of_ones_own_leads_back_at_once(self, browser: Browser) -> None:
        browser.grant("own")
        assert "code" in answer(browser.authorize("own"))

    def test_b_07_goes_on_in_the_browser_that_began_it_and_in_no_other(self, desk: Desk, browser: Browser) -> None:
        page = shown(SignInPage, browser.authorize())
        other = Browser(desk)
        stolen = other.open("/login", transaction=page.form.transaction)
        assert shown(ErrorPage, stolen).fault is Fault.OTHER_BROWSER
        assert shown(ErrorPage, other.sign_in(page)).fault is Fault.FOREIGN_FORM
        assert other.session is None

    def test_b_07_that_was_allowed_elsewhere_brings_no_code_here(self, desk: Desk, browser: Browser) -> None:
        question, other = consent_page(browser), Browser(desk)
        other.grant("own")
        mine = shown(ConsentPage, other.authorize())
        page = other.send(mine, transaction=question.form.transaction, decision="allow")
        assert shown(ErrorPage, page).fault is Fault.OTHER_BROWSER


class TestConsent:
    def test_is_remembered(self, desk: Desk, browser: Browser) -> None:
        browser.grant()
        desk.clock.move(DAY // 2)
        assert "code" in answer(browser.authorize())

    @pytest.mark.parametrize(
        "more",
        [{"scope": "openid email"}, {"resource": RESOURCE}, {"claims": '{"userinfo":{"email":null}}'}],
        ids=["scope", "resource", "claims"],
    )
    def test_is_asked_for_what_is_new_and_then_covers_both(self, browser: Browser, more: dict[str, str]) -> None:
        browser.grant()
        assert isinstance(browser.authorize(**more), ConsentPage)
        browser.grant(**more)
        assert "code" in answer(browser.authorize(**more))
        assert "code" in answer(browser.authorize()), "what was allowed before stays allowed"

    def test_is_stored_with_everything_that_was_allowed(self, desk: Desk, browser: Browser) -> None:
        browser.grant(scope="openid email", resource=RESOURCE)
        browser.grant(scope="openid read", claims='{"userinfo":{"name":null}}')
        consent = desk.run(desk.issuer.store.consents.get(desk.user().id, desk.client().id))
        assert consent is not None
        told = [event for event in desk.events if event.name == "consent.given"]
        assert {(event.client_id, event.uid) for event in told} == {("web", desk.user().id)}
        assert [event.reason for event in told] == ["scope email openid", "scope openid read"]
        assert {*consent.scope} == {"openid", "email", "read"}
        assert consent.resources == (RESOURCE,)
        assert consent.claims == RequestedClaims(userinfo=("name",))

    def test_of_one_person_is_not_anothers(self, desk: Desk, browser: Browser) -> None:
        browser.grant()
        desk.home.user("bob")
        other = Browser(desk)
        assert isinstance(other.sign_in(other.authorize(), "bob"), ConsentPage)

    def test_that_was_refused_is_told_to_the_client_and_not_remembered(self, browser: Browser) -> None:
        told = answer(browser.send(consent_page(browser), decision="deny"))
        assert (told["error"], told["state"]) == ("access_denied", "a-state")
        assert isinstance(browser.authorize(), ConsentPage)

    def test_b_14_counts_for_the_person_to_whom_the_question_was_put(self, desk: Desk, browser: Browser) -> None:
        desk.home.user("bob")
        adas = consent_page(browser)
        browser.sign_in(browser.authorize(prompt="select_account"), "bob")
        bobs = shown(ConsentPage, browser.allow(adas))
        assert bobs.username == "bob"
        assert "grant.started" not in [event.name for event in desk.events]
        assert claims_of(desk.redeem(answer(browser.allow(bobs))["code"]).access_token)["username"] == "bob"

    def test_counts_although_the_same_person_signed_in_again_meanwhile(self, browser: Browser) -> None:
        question = consent_page(browser)
        browser.sign_in(browser.authorize(prompt="login"))
        assert "code" in answer(browser.allow(question))

    def test_b_13_scope_comes_from_us_and_not_from_the_form(self, desk: Desk, browser: Browser) -> None:
        told = answer(browser.send(consent_page(browser), decision="allow", scope="openid email write"))
        assert desk.redeem(told["code"]).scope == "openid profile"

    @pytest.mark.parametrize("decision", ["", "yes", "ALLOW"])
    def test_is_one_of_two_words(self, desk: Desk, browser: Browser, decision: str) -> None:
        assert shown(ErrorPage, browser.send(consent_page(browser), decision=decision)).fault is Fault.BAD_REQUEST
        assert desk.reasons_of("grant.started") == []


class TestAFinishedTransaction:  # SECURITY B-13
    def test_gives_the_same_code_while_it_is_on_its_way(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        first = answer(browser.allow(question))
        desk.clock.move(59)
        assert answer(browser.allow(question)) == first
        assert len(desk.reasons_of("grant.started")) == 1
        assert desk.redeem(first["code"]).access_token

    def test_gives_no_other_code_later(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        browser.allow(question)
        desk.clock.move(60)
        assert shown(FinishedPage, browser.allow(question)).client_name == "Example Web"
        assert len(desk.reasons_of("grant.started")) == 1

    def test_gives_no_code_again_once_it_was_redeemed(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        granted = desk.redeem(answer(browser.allow(question))["code"])
        assert isinstance(browser.allow(question), FinishedPage)
        assert isinstance(browser.open("/login", transaction=question.form.transaction), FinishedPage)
        assert desk.is_active(granted.access_token), "going back ends nothing"

    def test_gives_no_code_once_its_grant_ended(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        browser.allow(question)
        browser.send(browser.account(), action="end_application", client_id="web")
        assert isinstance(browser.allow(question), FinishedPage)

    def test_is_not_begun_twice_by_two_tabs(self, desk: Desk, browser: Browser) -> None:
        first, second = browser.authorize(), browser.authorize()
        codes = {answer(browser.allow(browser.sign_in(first)))["code"]}
        codes.add(answer(browser.sign_in(second))["code"])
        assert len(codes) == len(desk.reasons_of("grant.started")) == 2, "two requests of the application are two codes"


class TestPrompt:  # OpenID Connect Core 1.0 section 3.1.2.1
    def test_login_asks_again_and_changes_auth_time(self, desk: Desk, browser: Browser) -> None:
        before = browser.tokens()
        desk.clock.move(100)
        page = shown(SignInPage, browser.authorize(prompt="login"))
        assert (page.username, page.is_username_known) == ("ada", True)
        after = desk.redeem(answer(browser.sign_in(page))["code"])
        assert auth_time(after) - auth_time(before) == 100

    def test_login_is_not_met_by_the_cookie_that_was_there(self, browser: Browser) -> None:
        browser.grant()
        page = shown(SignInPage, browser.authorize(prompt="login"))
        assert isinstance(browser.open("/login", transaction=page.form.transaction), SignInPage)
        browser.authorize()
        assert isinstance(browser.open("/login", transaction=page.form.transaction), SignInPage)

    def test_select_account_lets_another_person_sign_in(self, desk: Desk, browser: Browser) -> None:
        desk.home.user("bob")
        browser.grant()
        page = shown(SignInPage, browser.authorize(prompt="select_account"))
        assert (page.username, page.is_username_known) == ("", False)
        assert shown(ConsentPage, browser.sign_in(page, "bob")).username == "bob"

    def test_consent_asks_again_each_time(self, browser: Browser) -> None:
        for client_id in ("web", "own"):
            browser.grant(client_id)
            assert isinstance(browser.authorize(client_id, prompt="consent"), ConsentPage)
            browser.grant(client_id, prompt="consent")
            assert isinstance(browser.authorize(client_id, prompt="consent"), ConsentPage)

    def test_none_shows_nothing(self, browser: Browser) -> None:
        assert answer(browser.authorize(prompt="none"))["error"] == "login_required"
        browser.grant("own")
        assert answer(browser.authorize(prompt="none"))["error"] == "consent_required"
        browser.grant()
        assert "code" in answer(browser.authorize(prompt="none"))

    def test_none_is_refused_once_the_session_is_over(self, desk: Desk, browser: Browser) -> None:
        browser.grant()
        desk.clock.move(DAY)
        assert answer(browser.authorize(prompt="none"))["error"] == "login_required"

    def test_none_is_refused_to_somebody_who_may_not_use_the_application(self, desk: Desk, browser: Browser) -> None:
        browser.grant()
        desk.home.realm("abroad")
        desk.change_user(roles={"abroad": ()})
        assert answer(browser.authorize(prompt="none"))["error"] == "account_selection_required"


class TestMaxAge:  # OpenID Connect Core 1.0 section 3.1.2.1
    @pytest.mark.parametrize(("after", "is_asked"), [(99, False), (100, False), (101, True)])
    def test_asks_for_a_sign_in_that_is_recent_enough(
        self, desk: Desk, browser: Browser, after: int, is_asked: bool
    ) -> None:
        browser.grant()
        desk.clock.move(after)
        assert isinstance(browser.authorize(max_age="100"), SignInPage if is_asked else Carry)
        silent = answer(browser.authorize(max_age="100", prompt="none"))
        assert silent.get("error") == ("login_required" if is_asked else None)

    def test_is_not_asked_twice_of_a_slow_reader(self, desk: Desk, browser: Browser) -> None:
        question = shown(ConsentPage, browser.sign_in(browser.authorize(max_age="10")))
        desk.clock.move(1_000)
        assert "code" in answer(browser.allow(question))

    @pytest.mark.parametrize("asked", [{"max_age": "10"}, {"prompt": "login"}])
    def test_counts_anew_in_a_transaction_that_begins_anew(
        self, desk: Desk, browser: Browser, asked: dict[str, str]
    ) -> None:
        """Otherwise an old page would be worth any session that is younger than itself."""
        browser.desk.change_client(asks_consent=False)
        old = shown(SignInPage, browser.authorize(**asked))
        desk.clock.move(5)
        browser.grant("own")
        desk.clock.move(DAY // 2)
        expired = shown(ErrorPage, browser.open("/login", transaction=old.form.transaction))
        assert expired.fault is Fault.EXPIRED
        assert expired.restart is not None
        assert isinstance(browser.open(expired.restart), SignInPage)


Change = Callable[[Desk], None]


class TestWhatChangedMeanwhile:
    """Between the page and its button."""

    CLOSED: tuple[tuple[Change, Fault], ...] = (
        (lambda desk: desk.disable_client(), Fault.UNKNOWN_CLIENT),
        (lambda desk: desk.change_client(redirect_uris=(ELSEWHERE,)), Fault.BAD_REDIRECT_URI),
        (lambda desk: desk.change_client(redirect_uris=()), Fault.BAD_REDIRECT_URI),
    )

    @pytest.mark.parametrize(("change", "fault"), CLOSED, ids=["disabled", "moved", "without a redirect URI"])
    @pytest.mark.parametrize("decision", ["allow", "deny"])
    def test_r_04_a_client_to_which_nobody_may_be_sent_any_more_hears_nothing(
        self, desk: Desk, browser: Browser, change: Change, fault: Fault, decision: str
    ) -> None:
        question = consent_page(browser)
        change(desk)
        assert shown(ErrorPage, browser.send(question, decision=decision)).fault is fault
        assert shown(ErrorPage, browser.open("/login", transaction=question.form.transaction)).fault is fault
        assert desk.reasons_of("grant.started") == []

    @pytest.mark.parametrize(("change", "fault"), CLOSED, ids=["disabled", "moved", "without a redirect URI"])
    def test_r_04_nor_does_it_hear_that_the_person_would_not_sign_in(
        self, desk: Desk, browser: Browser, change: Change, fault: Fault
    ) -> None:
        page = browser.authorize()
        change(desk)
        assert shown(ErrorPage, browser.send(page, cancel="1")).fault is fault

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"scope": ("openid",)}, "invalid_scope"),
            ({"grant_types": ("refresh_token",)}, "unauthorized_client"),
        ],
    )
    def test_a_client_that_lost_what_it_asked_for_is_told_so(
        self, desk: Desk, browser: Browser, changes: dict[str, Any], error: str
    ) -> None:
        question = consent_page(browser)
        desk.change_client(**changes)
        told = answer(browser.allow(question))
        assert (told["error"], told["state"]) == (error, "a-state")

    def test_a_resource_that_it_lost_too(self, desk: Desk, browser: Browser) -> None:
        question = browser.sign_in(browser.authorize(resource=RESOURCE))
        desk.change_client(resources=())
        assert answer(browser.allow(question))["error"] == "invalid_target"

    def test_a_person_who_was_disabled_has_to_sign_in_and_cannot(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        desk.disable_user()
        page = shown(SignInPage, browser.allow(question))
        assert shown(SignInPage, browser.sign_in(page)).problem is Problem.WRONG_PASSWORD
        assert desk.reasons_of("grant.started") == []

    def test_a_person_whose_password_was_changed_has_to_sign_in(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        desk.change_user(password_hash="$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHQ$AAAA")
        assert isinstance(browser.allow(question), SignInPage)

    def test_a_person_who_is_no_member_any_more_may_sign_in_as_somebody_else(
        self, desk: Desk, browser: Browser
    ) -> None:
        question = consent_page(browser)
        desk.home.realm("abroad")
        desk.change_user(roles={"abroad": ()})
        assert shown(SignInPage, browser.allow(question)).problem is Problem.NO_MEMBER

    def test_a_person_who_signed_out_in_another_tab_has_to_sign_in(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        browser.send(browser.open("/oauth/logout"), decision="sign_out")
        page = shown(SignInPage, browser.allow(question))
        assert isinstance(browser.sign_in(page), ConsentPage), "the yes was of a session that is over"

    def test_a_client_that_wants_no_consent_any_more_gets_its_answer(self, desk: Desk, browser: Browser) -> None:
        question = consent_page(browser)
        desk.change_client(asks_consent=False)
        assert "code" in answer(browser.open("/login", transaction=question.form.transaction))


class TestARace:
    """What changes between a decision and its write: the store refuses, and everything is asked again."""

    def test_lost_to_the_same_button_brings_the_same_code(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        question = consent_page(browser)
        grants = desk.issuer.store.grants
        begin = grants.start

        async def twice(new: object, *, now: int) -> object:
            await begin(new, now=now)  # type: ignore[arg-type]
            return await begin(new, now=now)  # type: ignore[arg-type]

        monkeypatch.setattr(grants, "start", twice)
        code = answer(browser.allow(question))["code"]
        monkeypatch.undo()
        assert answer(browser.allow(question))["code"] == code
        assert desk.redeem(code).access_token

    def test_lost_to_the_end_of_the_session_asks_for_a_sign_in(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        question, ada, store = consent_page(browser), desk.user(), desk.issuer.store
        meanwhile(monkeypatch, store.grants, "start", lambda: store.sessions.end_all(ada, now=desk.clock.at))
        assert isinstance(browser.allow(question), SignInPage)

    def test_lost_to_a_consent_that_was_withdrawn_asks_again(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser.grant()
        ada, web, store = desk.user(), desk.client(), desk.issuer.store
        meanwhile(monkeypatch, store.grants, "start", lambda: store.consents.withdraw(ada, web.id, now=desk.clock.at))
        assert isinstance(browser.authorize(), ConsentPage)

    def test_lost_to_whoever_disables_the_client_tells_it_nothing(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        question, web, store = consent_page(browser), desk.client(), desk.issuer.store
        meanwhile(
            monkeypatch, store.grants, "start", lambda: store.administration.disable_client(web, now=desk.clock.at)
        )
        assert shown(ErrorPage, browser.allow(question)).fault is Fault.UNKNOWN_CLIENT

    @pytest.mark.parametrize("times", [1, 2])
    def test_lost_to_a_change_that_does_not_matter_is_run_again(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch, times: int
    ) -> None:
        question, web, store = consent_page(browser), desk.client(), desk.issuer.store
        meanwhile(
            monkeypatch,
            store.grants,
            "start",
            lambda: store.administration.change_client(web, now=desk.clock.at),
            times,
        )
        assert "code" in answer(browser.allow(question))

    def test_lost_three_times_asks_the_person_to_press_again(
        self, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        question, web, store = consent_page(browser), desk.client(), desk.issuer.store
        meanwhile(
            monkeypatch, store.grants, "start", lambda: store.administration.change_client(web, now=desk.clock.at), 3
        )
        with pytest.raises(Overloaded):
            browser.allow(question)
        assert "code" in answer(browser.allow(question)), "and then it works"


class TestServerSecrets:
    def test_may_be_rotated_while_a_page_is_open(self, desk: Desk, browser: Browser) -> None:
        page = browser.authorize()
        desk.rotate_secret()
        question = browser.sign_in(page)
        desk.rotate_secret()
        assert desk.redeem(answer(browser.allow(question))["code"]).access_token

    def test_that_were_dropped_make_an_open_page_begin_anew(self, desk: Desk, browser: Browser) -> None:
        page = shown(SignInPage, browser.authorize())
        desk.rotate_secret(at_once=True)
        assert isinstance(browser.sign_in(page), ErrorPage)
        assert shown(ErrorPage, browser.open("/login", transaction=page.form.transaction)).fault is Fault.BAD_REQUEST
        assert "code" in browser.grant()


class TestATokenInFront:  # RFC 6749 section 4.2, for clients that opted in
    IMPLICIT: Final = {"response_type": "token", "code_challenge": "", "code_challenge_method": "", "scope": "read"}

    def granted(self, browser: Browser) -> Seen:
        return browser.allow(browser.sign_in(browser.authorize("old", **self.IMPLICIT)))

    def test_is_for_an_hour_and_cannot_be_refreshed(self, desk: Desk, browser: Browser) -> None:
        seen = shown(Carry, self.granted(browser))
        assert (seen.answer.redirect_uri, seen.answer.mode) == (CALLBACK, ResponseMode.FRAGMENT)
        told = answer(seen)
        assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", "3600", "read")
        assert {"refresh_token", "id_token", "code"}.isdisjoint(told)
        assert desk.is_active(told["access_token"])

    def test_ends_with_the_session(self, desk: Desk, browser: Browser) -> None:
        token = answer(self.granted(browser))["access_token"]
        browser.send(browser.account(), action="end_all")
        assert not desk.is_active(token)

    def test_is_given_once(self, browser: Browser) -> None:
        question = browser.sign_in(browser.authorize("old", **self.IMPLICIT))
        assert isinstance(browser.allow(question), Carry)
        assert isinstance(browser.allow(question), FinishedPage)

    def test_has_no_scope_parameter_where_it_has_no_scope(self, desk: Desk, browser: Browser) -> None:
        """Section 3.3 has no spelling for none."""
        desk.change_client("old", scope=())
        page = browser.authorize("old", **{**self.IMPLICIT, "scope": ""})
        assert "scope" not in answer(browser.allow(browser.sign_in(page)))


def auth_time(granted: object) -> int:
    return int(claims_of(granted.id_token)["auth_time"])  # type: ignore[attr-defined]
