"""What applications get through a real browser: answers in every mode, on devices, and in a page by oidc-client-ts."""

import json
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser import chromium
from tests.browser.application import Application
from tests.browser.chromium import Device, Tab
from tests.browser.conftest import Open
from tests.support.person import request
from tests.web.people import PRIVATE, Service
from tests.web.site import claims_of

chromium.skip_without()

MANIFEST: Final = Path(__file__).parent / "package.json"
INSTALL: Final = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent")
BUNDLE: Final = "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"
INSTALLED: Final = "node_modules/oidc-client-ts/package.json"
PAGE: Final = b"""<!doctype html><html lang="en"><title>Page</title><link rel="icon" href="data:,">
<script src="/oidc-client-ts.js"></script><h1>Page</h1>"""


@pytest.fixture(scope="module")
def bundle(pytestconfig: pytest.Config) -> bytes:
    """oidc-client-ts as its makers publish it, kept between runs."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("oidc-client-ts")
    pinned = json.loads(MANIFEST.read_text())["dependencies"]["oidc-client-ts"]
    if not (folder / INSTALLED).exists() or json.loads((folder / INSTALLED).read_text())["version"] != pinned:
        shutil.copy(MANIFEST, folder)
        _install(folder)
    return (folder / BUNDLE).read_bytes()


class TestFormPost:  # OAuth 2.0 Form Post Response Mode
    def test_sends_itself_with_javascript(self, service: Service, application: Application, tab: Tab) -> None:
        tab.authorize("shop-own", response_mode="form_post", state='"<&')
        tab.sign_in()
        answer = tab.answer(method="POST")
        assert (answer["state"], answer["iss"]) == ('"<&', service.server.url)
        code = answer["code"]
        assert service.redeem(code, client_id="shop-own", redirect_uri=application.callback).status_code == 200

    def test_has_a_button_without(self, open_browser: Open) -> None:
        tab = open_browser(java_script_enabled=False).tab()
        tab.authorize("shop-own", response_mode="form_post")
        tab.sign_in()
        tab.sees("One moment…")
        tab.press("Continue")
        assert tab.answer(method="POST")["state"] == "a-state"

    def test_carries_a_refusal_too(self, tab: Tab) -> None:
        tab.authorize("shop-own", response_mode="form_post", prompt="none")
        assert tab.answer(method="POST")["error"] == "login_required"

    def test_can_be_gone_back_over(self, tab: Tab) -> None:
        tab.authorize("shop-own", response_mode="form_post")
        tab.sign_in()
        code = tab.answer(method="POST")["code"]
        tab.page.go_back()
        assert tab.answer(method="POST")["code"] == code

    def test_may_lead_on_to_another_origin(self, application: Application, tab: Tab) -> None:
        tab.authorize("shop-own", redirect_uri=application.forwarding, response_mode="form_post")
        tab.sign_in()
        assert "code" in tab.answer()


class TestACallback:
    def test_may_send_the_browser_on_to_another_origin(self, application: Application, tab: Tab) -> None:
        """Browsers check all redirects that follow a form against our policy, even those that are not ours."""
        tab.authorize("shop", redirect_uri=application.forwarding)
        tab.sign_in()
        tab.press("Allow")
        assert tab.answer()["state"] == "a-state"
        assert tab.page.url.startswith(application.foreign_url)

    def test_may_send_the_browser_on_straight_from_the_sign_in_form(self, application: Application, tab: Tab) -> None:
        tab.authorize("shop-own", redirect_uri=application.forwarding)
        tab.sign_in()
        assert tab.answer()["state"] == "a-state"


class TestARequestByPost:  # OpenID Connect Core 1.0 section 3.1.2.1
    def test_from_another_site_finds_the_person_signed_in(self, application: Application, tab: Tab) -> None:
        """A browser sends no cookies of ours with it (SameSite=Lax), nor with a redirect that is no GET."""
        tab.authorize("shop-own")
        tab.sign_in()
        tab.answer()
        self.send(tab, application, prompt="none", state="posted")
        answer = tab.answer()
        assert "code" in answer, answer
        assert answer["state"] == "posted"

    def test_in_a_new_browser_leads_to_the_sign_in_page(self, application: Application, tab: Tab) -> None:
        self.send(tab, application)
        tab.sign_in()
        assert "code" in tab.answer()

    def send(self, tab: Tab, application: Application, **changes: str) -> None:
        sent = request("shop-own", redirect_uri=application.callback, **changes)
        to = {"to": f"{tab.issuer}/oauth/authorize"}
        tab.page.goto(f"{application.foreign_url}/send?{urlencode(to | sent)}")
        tab.press("Send")


class TestANativeApplication:  # RFC 8252 section 7
    def test_listens_on_whichever_port_it_was_given(self, service: Service, tab: Tab) -> None:
        with Application() as listening:
            tab.authorize("shop-app", redirect_uri=listening.callback)
            tab.sign_in()
            expect(tab.page.locator("main")).to_contain_text("Did you start this yourself?")
            tab.press("Allow")
            code = tab.answer()["code"]
            assert tab.page.url.startswith(listening.callback)
        response = service.redeem(code, client_id="shop-app", is_public=True, redirect_uri=listening.callback)
        assert response.status_code == 200, response.text

    def test_is_called_by_a_scheme_of_its_own(self, tab: Tab) -> None:
        """No program here answers to it: all that can be seen is that the browser was sent there and did not refuse."""
        tab.authorize("shop-app", redirect_uri=PRIVATE)
        tab.sign_in()
        with tab.page.expect_response(lambda response: response.url.endswith("/consent")) as sent:
            tab.press("Allow")
        assert sent.value.headers["location"].startswith(f"{PRIVATE}?code=")


class TestOidcClientTs:
    """A public client in a page, told nothing but its own registration and the issuer: everything else is found."""

    @pytest.fixture(autouse=True)
    def _page(self, application: Application, bundle: bytes) -> None:
        application.files |= {"/page.html": PAGE, "/oidc-client-ts.js": bundle}

    @pytest.fixture
    def device(self, open_browser: Open) -> Device:
        return open_browser()

    def test_tells_the_whole_story_of_a_person(
        self, service: Service, application: Application, device: Device
    ) -> None:
        tab = device.tab()
        page = tab.page
        self.load(page, service, application)
        page.evaluate("() => { manager.signinRedirect({state: 'where I was'}) }")
        tab.sign_in()
        tab.press("Allow")
        tab.answer()

        arrived = page.url
        self.load(page, service, application)
        user = page.evaluate("(url) => manager.signinCallback(url)", arrived)
        assert user["state"] == "where I was"
        assert user["profile"]["sub"] == "u.ada"
        assert user["profile"]["email"] == "ada@example.org", "asked of userinfo"
        assert claims_of(user["access_token"])["client_id"] == "shop-page"

        refreshed = page.evaluate("() => manager.signinSilent()")
        assert refreshed["access_token"] != user["access_token"]
        assert refreshed["refresh_token"] != user["refresh_token"]
        assert service.userinfo(refreshed["access_token"]).status_code == 200

        page.evaluate("() => manager.revokeTokens()")
        assert service.userinfo(refreshed["access_token"]).status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": refreshed["refresh_token"], "client_id": "shop-page"}
        assert service.token(form, auth=None).json()["error"] == "invalid_grant"

        page.evaluate("() => { manager.signoutRedirect({state: 'leaving'}) }")
        tab.answer()
        assert page.url.startswith(application.goodbye)
        arrived = page.url
        self.load(page, service, application)
        assert page.evaluate("(url) => manager.signoutCallback(url)", arrived)["userState"] == "leaving"
        tab.authorize("shop-page", prompt="none")
        assert tab.answer()["error"] == "login_required"

    def test_understands_that_the_person_said_no(self, service: Service, application: Application, tab: Tab) -> None:
        self.load(tab.page, service, application)
        tab.page.evaluate("() => { manager.signinRedirect() }")
        tab.sign_in()
        tab.press("Deny")
        tab.answer()
        arrived = tab.page.url
        self.load(tab.page, service, application)
        code = "(url) => manager.signinCallback(url).catch((problem) => problem.error)"
        assert tab.page.evaluate(code, arrived) == "access_denied"

    def test_in_a_page_of_another_origin_may_not_read_answers(
        self, service: Service, application: Application, device: Device
    ) -> None:
        """SECURITY H-02: the same script on a site that no client is registered for."""
        tab = device.tab()
        tab.page.goto(f"{application.foreign_url}/page.html")
        code = """(url) => fetch(url, {method: "POST", body: new URLSearchParams({grant_type: "refresh_token"})})
            .then(() => "read", (problem) => problem.name)"""
        assert tab.page.evaluate(code, f"{service.server.url}/oauth/token") == "TypeError"
        assert "has been blocked by CORS policy" in device.complaints[0]
        device.complaints.clear()
        tab.page.goto(f"{application.url}/page.html")
        assert tab.page.evaluate(code, f"{service.server.url}/oauth/token") == "read"

    def load(self, page: Page, service: Service, application: Application) -> None:
        """Open the application's page anew and make a UserManager there."""
        page.goto(f"{application.url}/page.html")
        settings: dict[str, Any] = {
            "authority": service.server.url,
            "client_id": "shop-page",
            "redirect_uri": application.callback,
            "post_logout_redirect_uri": application.goodbye,
            "scope": "openid profile email offline_access",
            "loadUserInfo": True,
        }
        page.evaluate("(settings) => { window.manager = new oidc.UserManager(settings) }", settings)


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        _skip("no npm on this machine")
    try:
        done = subprocess.run([npm, *INSTALL], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        _skip("npm did not install oidc-client-ts within a minute")
    if done.returncode != 0:
        _skip(f"npm could not install oidc-client-ts: {done.stderr.strip()[-200:]}")


def _skip(why: str) -> NoReturn:
    told = f"{why}: the tests with oidc-client-ts are skipped"
    warnings.warn(told, pytest.PytestWarning, stacklevel=1)
    pytest.skip(told)
