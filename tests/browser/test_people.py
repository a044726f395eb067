"""What people see and do: sign in, allow or deny, change their mind, come back, sign out. In a real browser."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium, looks
from tests.browser.application import Application
from tests.browser.chromium import Tab
from tests.browser.conftest import Open, register
from tests.support.home import PASSWORD, SECRET
from tests.web.people import Service
from tests.web.site import bucket, claims_of

chromium.skip_without()

WRONG = "not the password"
NEW_PASSWORD = "an entirely different staple"


@pytest.fixture(scope="module")
def hasty(application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with which a sign-in takes too long after two seconds."""
    hasty = Service(tmp_path_factory.mktemp("hasty"), transaction_in=2)
    register(hasty.home, application)
    hasty.home.user("ada")
    with hasty:
        yield hasty


@pytest.fixture(scope="module")
def browser(hasty: Service, browser: Browser) -> Browser:
    """Chromium, once both services are there."""
    return browser


def focused(page: Page) -> str:
    """What has the keyboard: a button's text, or the name of a field."""
    found: str = page.evaluate("() => document.activeElement.innerText || document.activeElement.name || ''")
    return found


class TestSigningIn:
    def test_leads_back_to_the_application_with_a_code_that_it_can_redeem(
        self, service: Service, application: Application, tab: Tab
    ) -> None:
        tab.authorize()
        tab.sees("Sign in")
        expect(tab.page.locator(".lead")).to_have_text("to continue to Corner Shop")
        tab.sign_in()
        tab.press("Allow")
        answer = tab.answer()
        assert (answer["state"], answer["iss"]) == ("a-state", service.server.url)
        response = service.redeem(answer["code"], client_id="shop", redirect_uri=application.callback)
        assert response.status_code == 200, response.text
        assert claims_of(response.json()["id_token"])["sub"] == "u.ada"

    def test_says_that_something_was_wrong_and_keeps_the_username(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in(password=WRONG)
        expect(tab.page.get_by_role("alert")).to_contain_text("Wrong username or password")
        expect(tab.page.get_by_label("Username")).to_have_value("ada")
        expect(tab.page.get_by_label("Password")).to_have_value("")
        assert focused(tab.page) == "password"
        tab.prove()
        tab.sees("Allow access?")

    def test_says_the_same_of_a_person_who_does_not_exist(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in("nobody", WRONG)
        expect(tab.page.get_by_role("alert")).to_contain_text("Wrong username or password")

    def test_can_be_cancelled_with_empty_fields(self, tab: Tab) -> None:
        tab.authorize()
        tab.press("Cancel")
        answer = tab.answer()
        assert (answer["error"], answer["state"]) == ("access_denied", "a-state")

    def test_begins_with_the_username_that_the_application_knows(self, tab: Tab) -> None:
        tab.authorize(login_hint="bob")
        expect(tab.page.get_by_label("Username")).to_have_value("bob")
        assert focused(tab.page) == "password"

    def test_is_done_by_keyboard_alone(self, tab: Tab) -> None:
        tab.authorize()
        expect(tab.page.get_by_label("Username")).to_be_focused()
        keyboard = tab.page.keyboard
        keyboard.type("ada")
        keyboard.press("Tab")
        keyboard.type(PASSWORD)
        keyboard.press("Enter")
        tab.sees("Allow access?")
        keyboard.press("Tab")
        assert focused(tab.page) == "Allow"
        keyboard.press("Tab")
        assert focused(tab.page) == "Deny"
        keyboard.press("Shift+Tab")
        keyboard.press("Enter")
        assert "code" in tab.answer()

    def test_is_not_asked_for_again_in_the_same_browser(self, tab: Tab) -> None:
        tab.authorize("shop-own")
        tab.sign_in()
        first = tab.answer()["code"]
        tab.authorize("shop-own")
        assert tab.answer()["code"] != first


class TestProvingItAgain:  # OpenID Connect Core 1.0 section 3.1.2.1
    def test_prompt_login_shows_who_is_signed_in_and_asks_for_the_password(self, tab: Tab) -> None:
        tab.authorize("shop-own")
        tab.sign_in()
        tab.answer()
        tab.authorize("shop-own", prompt="login")
        username = tab.page.get_by_label("Username")
        expect(username).to_have_value("ada")
        assert not username.is_editable()
        assert focused(tab.page) == "password"
        tab.prove()
        assert "code" in tab.answer()

    def test_a_wrong_password_there_does_not_end_the_session(self, tab: Tab) -> None:
        tab.authorize("shop-own")
        tab.sign_in()
        tab.answer()
        tab.authorize("shop-own", prompt="login")
        tab.prove(WRONG)
        expect(tab.page.get_by_role("alert")).to_contain_text("Wrong username or password")
        expect(tab.page.get_by_label("Username")).to_have_value("ada")
        tab.open("/account")
        tab.sees("Your account")

    def test_another_account_is_one_button_away(self, service: Service, application: Application, tab: Tab) -> None:
        tab.authorize("shop-own")
        tab.sign_in()
        tab.answer()
        tab.authorize("shop-own", prompt="login")
        tab.press("Not you? Use another account")
        username = tab.page.get_by_label("Username")
        expect(username).to_be_editable()
        tab.sign_in("bob")
        code = tab.answer()["code"]
        token = service.redeem(code, client_id="shop-own", redirect_uri=application.callback).json()
        assert claims_of(token["id_token"])["sub"] == "u.bob"


class TestConsent:
    def test_names_who_asks_for_what_and_where_the_person_goes(self, application: Application, tab: Tab) -> None:
        tab.authorize(scope="openid profile email offline_access read")
        tab.sign_in()
        tab.sees("Allow access?")
        shown = tab.page.locator("main")
        expect(shown).to_contain_text("Corner Shop asks for access to your account.")
        expect(shown).to_contain_text("Signed in as ada")
        expect(shown).to_contain_text(f"you go on to 127.0.0.1:{application.port}")
        assert shown.locator(".permissions li").all_inner_texts() == [
            "Recognise you when you return",
            "See your profile, such as your name and picture",
            "See your email address",
            "Stay connected while you are away",
            "read",
        ]

    def test_denied_tells_the_application_so(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in()
        tab.press("Deny")
        answer = tab.answer()
        assert (answer["error"], answer["state"]) == ("access_denied", "a-state")

    def test_can_be_given_with_another_account(self, service: Service, application: Application, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in()
        tab.press("Use another account")
        tab.sees("Sign in")
        tab.sign_in("bob")
        expect(tab.page.locator("main")).to_contain_text("Signed in as bob")
        tab.press("Allow")
        code = tab.answer()["code"]
        token = service.redeem(code, client_id="shop", redirect_uri=application.callback).json()
        assert claims_of(token["id_token"])["sub"] == "u.bob"

    def test_pressed_twice_leads_back_once_and_well(self, service: Service, application: Application, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in()
        tab.page.get_by_role("button", name="Allow").dblclick()
        code = tab.answer()["code"]
        assert service.redeem(code, client_id="shop", redirect_uri=application.callback).status_code == 200


class TestTwoTabs:  # SECURITY B-14
    def test_of_one_browser_both_finish(self, open_browser: Open) -> None:
        device = open_browser()
        one, two = device.tab(), device.tab()
        one.authorize(state="one")
        two.authorize(state="two")
        one.sign_in()
        two.sign_in()
        one.press("Allow")
        two.press("Allow")
        answers = one.answer(), two.answer()
        assert [answer["state"] for answer in answers] == ["one", "two"]
        assert answers[0]["code"] != answers[1]["code"]

    def test_a_form_that_was_open_before_does_not_cross_over_to_the_other_person(
        self, service: Service, application: Application, open_browser: Open
    ) -> None:
        """What ada was asked in one tab, bob must not answer because he signed in at the other."""
        device = open_browser()
        one, two = device.tab(), device.tab()
        one.authorize(state="one")
        two.authorize(state="two")
        one.sign_in()
        one.sees("Allow access?")
        two.sign_in("bob")
        two.sees("Allow access?")
        one.press("Allow")
        if one.page.url.startswith(service.server.url):
            expect(one.page.locator("main")).to_contain_text("Signed in as bob")
            return
        token = service.redeem(one.answer()["code"], client_id="shop", redirect_uri=application.callback).json()
        assert claims_of(token["id_token"])["sub"] == "u.ada"

    def test_signed_in_at_one_the_other_goes_on_by_a_reload(self, open_browser: Open) -> None:
        device = open_browser()
        one, two = device.tab(), device.tab()
        one.authorize("shop-own", state="one")
        two.authorize("shop-own", state="two")
        one.sign_in()
        one.answer()
        two.page.reload()
        assert two.answer()["state"] == "two"


class TestReloadAndBack:
    """Neither a page of ours about an error, nor one of the browser's, such as "Confirm form resubmission"."""

    def test_reload_shows_the_sign_in_page_again(self, tab: Tab) -> None:
        tab.authorize()
        tab.page.reload()
        tab.sees("Sign in")
        tab.sign_in()
        tab.sees("Allow access?")

    def test_reload_shows_the_consent_page_again(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in()
        tab.sees("Allow access?")
        tab.page.reload()
        tab.sees("Allow access?")
        tab.press("Allow")
        assert "code" in tab.answer()

    def test_reload_after_a_wrong_password_shows_the_sign_in_page(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in("nobody", WRONG)
        expect(tab.page.get_by_role("alert")).to_be_visible()
        tab.page.reload()
        tab.sees("Sign in")

    def test_back_from_consent_goes_on(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in()
        tab.sees("Allow access?")
        tab.page.go_back()
        tab.sees("Allow access?")
        tab.press("Allow")
        assert "code" in tab.answer()

    def test_back_from_consent_after_a_wrong_password_goes_on(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in("ada", WRONG)
        expect(tab.page.get_by_role("alert")).to_be_visible()
        tab.prove()
        tab.sees("Allow access?")
        tab.page.go_back()
        expect(tab.page.get_by_role("heading", level=1)).to_have_text(re.compile("Sign in|Allow access"))

    def test_back_from_the_application_leads_there_again(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in()
        tab.press("Allow")
        code = tab.answer()["code"]
        tab.page.go_back()
        assert tab.answer()["code"] == code

    def test_back_after_the_code_was_redeemed_says_that_it_is_done(
        self, service: Service, application: Application, tab: Tab
    ) -> None:
        tab.authorize()
        tab.sign_in()
        tab.press("Allow")
        code = tab.answer()["code"]
        assert service.redeem(code, client_id="shop", redirect_uri=application.callback).status_code == 200
        tab.page.go_back()
        tab.sees("Already done")

    def test_back_after_denying_asks_again(self, tab: Tab) -> None:
        tab.authorize()
        tab.sign_in()
        tab.press("Deny")
        tab.answer()
        tab.page.go_back()
        tab.sees("Allow access?")

    def test_back_after_signing_out_does_not_show_the_account(self, tab: Tab) -> None:
        tab.open("/account")
        tab.sign_in()
        tab.sees("Your account")
        tab.open("/oauth/logout")
        tab.press("Sign out")
        tab.sees("Signed out")
        tab.page.go_back()
        tab.sees("Signed out")
        tab.page.go_back()
        tab.sees("Sign in")

    def test_back_from_the_account_after_a_refused_change_is_no_error(self, tab: Tab) -> None:
        tab.open("/account")
        tab.sign_in("judy")
        change_password(tab, WRONG, NEW_PASSWORD)
        expect(tab.page.get_by_role("alert")).to_contain_text("current password is wrong")
        change_password(tab, PASSWORD, NEW_PASSWORD)
        expect(tab.page.get_by_role("status")).to_have_text("Your password has been changed.")
        tab.page.go_back()
        tab.sees("Your account")


class TestATransactionThatTookTooLong:
    def test_says_so_and_starts_again_where_it_was(self, hasty: Service, open_browser: Open) -> None:
        tab = open_browser(hasty.server.url).tab()
        tab.authorize("shop-own", state="kept")
        deadline = time.monotonic() + 10
        while tab.page.get_by_role("heading", level=1).inner_text() != "That took too long":
            assert time.monotonic() < deadline
            tab.page.reload()
        assert looks.faults(tab.page, "took too long") == []
        tab.page.get_by_role("link", name="Start again").click()
        tab.sign_in()
        assert tab.answer()["state"] == "kept"


class TestSigningOut:  # OpenID Connect RP-Initiated Logout 1.0
    def test_asks_first_where_nobody_proves_who_asks(self, tab: Tab) -> None:
        tab.open("/account")
        tab.sign_in()
        tab.sees("Your account")
        tab.open("/oauth/logout?client_id=shop")
        tab.sees("Sign out?")
        expect(tab.page.locator(".lead")).to_have_text("Corner Shop asks to sign you out.")
        tab.press("Stay signed in")
        tab.sees("Your account")
        tab.open("/oauth/logout")
        tab.press("Sign out")
        tab.sees("Signed out")
        tab.open("/account")
        tab.sees("Sign in")

    def test_ends_the_session_and_not_just_the_cookie(self, tab: Tab) -> None:
        tab.open("/account")
        tab.sign_in()
        tab.sees("Your account")
        kept = tab.page.context.storage_state()["cookies"]
        tab.open("/oauth/logout")
        tab.press("Sign out")
        tab.sees("Signed out")
        tab.page.context.add_cookies(kept)  # type: ignore[arg-type]  # the same, as Playwright reads and writes them
        tab.open("/account")
        tab.sees("Sign in")

    def test_with_a_hint_leads_back_to_the_application_at_once(
        self, service: Service, application: Application, tab: Tab
    ) -> None:
        tab.authorize("shop-own")
        tab.sign_in()
        code = tab.answer()["code"]
        token = service.redeem(code, client_id="shop-own", redirect_uri=application.callback).json()
        tab.open(
            f"/oauth/logout?id_token_hint={token['id_token']}&state=s&post_logout_redirect_uri={application.goodbye}"
        )
        assert tab.answer() == {"state": "s"}
        tab.authorize("shop-own", prompt="none")
        assert tab.answer()["error"] == "login_required"


def change_password(tab: Tab, current: str, new: str) -> None:
    tab.page.get_by_label("Current password").fill(current)
    tab.page.get_by_label("New password", exact=True).fill(new)
    tab.page.get_by_label("New password, once more").fill(new)
    tab.press("Change password")


class TestTheAccountPage:
    def test_ends_the_session_of_another_browser(self, open_browser: Open) -> None:
        here, there = open_browser().tab(), open_browser(user_agent="Mozilla/5.0 (iPhone) FxiOS/99").tab()
        for tab in (there, here):
            tab.open("/account")
            tab.sign_in("carol")
            tab.sees("Your account")
        row = here.page.get_by_role("listitem").filter(has_text="Firefox on iPhone")
        row.get_by_role("button", name="Sign out").click()
        expect(here.page.get_by_role("status")).to_have_text("That browser has been signed out.")
        expect(row).to_have_count(0)
        there.page.reload()
        there.sees("Sign in")
        here.page.reload()
        here.sees("Your account")

    def test_takes_access_away_from_an_application(self, service: Service, application: Application, tab: Tab) -> None:
        tab.authorize(scope="openid offline_access")
        tab.sign_in("dave")
        tab.press("Allow")
        code = tab.answer()["code"]
        token = service.redeem(code, client_id="shop", redirect_uri=application.callback).json()
        tab.open("/account")
        row = tab.page.get_by_role("listitem").filter(has_text="Corner Shop")
        expect(row).to_contain_text("Stay connected while you are away")
        row.get_by_role("button", name="Remove access").click()
        expect(tab.page.get_by_role("status")).to_have_text("The application no longer has access.")
        expect(row).to_have_count(0)
        assert service.refresh(token["refresh_token"], auth=("shop", SECRET)).status_code == 400

    def test_changes_the_password_and_signs_every_other_browser_out(self, open_browser: Open) -> None:
        here, there = open_browser().tab(), open_browser().tab()
        for tab in (there, here):
            tab.open("/account")
            tab.sign_in("frank")
            tab.sees("Your account")
        change_password(here, PASSWORD, NEW_PASSWORD)
        expect(here.page.get_by_role("status")).to_have_text("Your password has been changed.")
        there.page.reload()
        there.sees("Sign in")
        there.sign_in("frank")
        expect(there.page.get_by_role("alert")).to_contain_text("Wrong username or password")
        there.prove(NEW_PASSWORD)
        there.sees("Your account")

    def test_signs_out_everywhere(self, open_browser: Open) -> None:
        here, there = open_browser().tab(), open_browser().tab()
        for tab in (there, here):
            tab.open("/account")
            tab.sign_in("grace")
            tab.sees("Your account")
        here.press("Sign out everywhere")
        here.sees("Signed out")
        there.page.reload()
        there.sees("Sign in")

    def test_has_names_for_its_buttons_that_tell_them_apart(self, open_browser: Open) -> None:
        """To who cannot see the row beside it, a button says which browser it signs out."""
        here, there = open_browser().tab(), open_browser(user_agent="Mozilla/5.0 (iPhone) FxiOS/99").tab()
        for tab in (there, here):
            tab.open("/account")
            tab.sign_in("heidi")
            tab.sees("Your account")
        described = here.page.get_by_role("button", name="Sign out", exact=True).evaluate_all(
            "(all) => all.map((one) => document.getElementById(one.getAttribute('aria-describedby')).innerText)"
        )
        assert len(set(described)) == 2


def wrong_too_often(tab: Tab, service: Service) -> None:
    tab.open("/login")
    tab.sign_in("mallory", WRONG)
    expect(tab.page.get_by_role("alert")).to_be_visible()
    service.execute("UPDATE attempts SET count = 20 WHERE bucket = ?", bucket("user mallory"))
    tab.prove(WRONG)
    expect(tab.page.get_by_role("alert")).to_contain_text("Too many attempts")


def finished(tab: Tab, service: Service) -> None:
    tab.authorize("shop-own")
    tab.sign_in()
    code = tab.answer()["code"]
    response = service.redeem(code, client_id="shop-own", redirect_uri=tab.application.callback)
    assert response.status_code == 200, response.text
    tab.page.go_back()


def account(tab: Tab, service: Service) -> None:
    tab.authorize(scope="openid profile email offline_access read")
    tab.sign_in()
    tab.press("Allow")
    tab.answer()
    tab.open("/account")


def refused_change(tab: Tab, service: Service) -> None:
    tab.open("/account")
    tab.sign_in()
    change_password(tab, WRONG, NEW_PASSWORD)
    expect(tab.page.get_by_role("alert")).to_be_visible()


def of_another_browser(tab: Tab, service: Service) -> None:
    tab.authorize()
    tab.page.context.clear_cookies()
    tab.page.reload()


def asked_by_anybody(tab: Tab, service: Service) -> None:
    """An application that cannot prove who it is, and wants everything."""
    tab.authorize(
        "shop-app",
        scope="openid profile email address phone offline_access read write",
        resource="https://reports.example",
        claims='{"userinfo": {"birthdate": null, "picture": {"essential": true}}}',
    )
    tab.sign_in()


def wrong_password(tab: Tab, service: Service) -> None:
    tab.authorize()
    tab.sign_in("nobody", WRONG)
    expect(tab.page.get_by_role("alert")).to_be_visible()


def no_member(tab: Tab, service: Service) -> None:
    tab.authorize()
    tab.sign_in("eve")
    expect(tab.page.get_by_role("alert")).to_be_visible()


def prove_it_again(tab: Tab, service: Service) -> None:
    tab.open("/login")
    tab.sign_in()
    tab.sees("Your account")
    tab.authorize(prompt="login")


def consent(tab: Tab, service: Service) -> None:
    tab.authorize()
    tab.sign_in()


def sign_out(tab: Tab, service: Service) -> None:
    tab.open("/login")
    tab.sign_in()
    tab.sees("Your account")
    tab.open("/oauth/logout?client_id=shop")


def form_post(tab: Tab, service: Service) -> None:
    """Stopped on its way, as on a slow line: the script that sends it does not arrive."""
    tab.page.route("**/submit.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    tab.authorize(response_mode="form_post", prompt="none")


SCENES: Final[dict[str, tuple[str, Callable[[Tab, Service], None]]]] = {
    "front": ("jwtauth", lambda tab, _: tab.open("")),
    "sign in": ("Sign in", lambda tab, _: tab.authorize()),
    "wrong password": ("Sign in", wrong_password),
    "too many attempts": ("Sign in", wrong_too_often),
    "no member": ("Sign in", no_member),
    "prove it again": ("Sign in", prove_it_again),
    "consent": ("Allow access?", consent),
    "consent to anybody": ("Allow access?", asked_by_anybody),
    "form post": ("One moment…", form_post),
    "finished": ("Already done", finished),
    "unknown application": ("Unknown application", lambda tab, _: tab.authorize("unknown")),
    "no way back": (
        "No safe way back to the application",
        lambda tab, _: tab.authorize(redirect_uri="https://b.example/"),
    ),
    "bad request": ("This request cannot be understood", lambda tab, _: tab.open("/login?transaction=x")),
    "other browser": ("This sign-in was started elsewhere", of_another_browser),
    "not found": ("Page not found", lambda tab, _: tab.open("/nowhere")),
    "sign out": ("Sign out?", sign_out),
    "signed out": ("Signed out", lambda tab, _: tab.open("/oauth/logout?client_id=shop")),
    "account": ("Your account", account),
    "refused change": ("Your account", refused_change),
}
"""The title of every page, and the way to it in a new browser."""


@pytest.mark.parametrize("name", SCENES)
class TestEveryPage:
    def test_is_readable_in_every_size_and_colour_and_usable_by_keyboard(
        self, name: str, service: Service, tab: Tab
    ) -> None:
        heading, walk = SCENES[name]
        walk(tab, service)
        tab.sees(heading)
        assert looks.faults(tab.page, name) == []


@pytest.mark.parametrize(
    ("options", "changes", "heading", "language"),
    [
        pytest.param({"locale": "de-CH"}, {}, "Anmelden", "de", id="the browser's"),
        pytest.param({"locale": "ja"}, {}, "Sign in", "en", id="English where we have no other"),
        pytest.param({"locale": "de"}, {"ui_locales": "tlh fr"}, "Se connecter", "fr", id="the application's wish"),
    ],
)
def test_the_language_is(
    options: dict[str, str], changes: dict[str, str], heading: str, language: str, open_browser: Open
) -> None:
    tab = open_browser(**options).tab()
    tab.authorize(**changes)
    tab.sees(heading)
    assert tab.page.locator("html").get_attribute("lang") == language


class TestSpeed:
    PAGES = 50

    def test_a_page_is_there_before_anybody_notices(self, service: Service) -> None:
        """The whole way over a kept connection, which is more than the server's own time."""
        with service.browser() as person:
            person.open("/login")
            took = sorted(person.http.get("/login").elapsed.total_seconds() for _ in range(self.PAGES))
        median = took[self.PAGES // 2] * 1000
        print(f"GET /login: {median:.1f} ms (median of {self.PAGES})")
        assert median < 50
