"""The walk through aioauth's example in a real browser, as a person takes it (SEEDS A1 to A8)."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.examples.conftest import OpenPage
from tests.examples.walking import Walk, walking

ANSWERS: Final = "pre.answer"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The example and its issuer."""
    with walking(tmp_path_factory.mktemp("walk")) as walk:
        yield walk


@pytest.fixture
def page(walk: Walk, open_page: OpenPage) -> Iterator[Page]:
    """The application in a new browser, which may not complain of anything until the end."""
    complaints: list[str] = []
    page = open_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda problem: complaints.append(str(problem)))
    page.goto(walk.url)
    yield page
    assert complaints == []


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()


def log_in(page: Page) -> None:
    """From the application's link to the question."""
    page.get_by_role("link", name="Authorize", exact=True).click()
    expect(page.get_by_role("heading", level=3)).to_have_text("Login Form")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    press(page, "Login")
    expect(page.get_by_role("heading", level=3)).to_have_text("walk would like permissions.")


class TestTheWalk:
    def test_leads_who_approves_to_tokens_and_to_fresh_ones(self, walk: Walk, page: Page) -> None:
        log_in(page)
        press(page, "Approve")
        expect(page).to_have_url(f"{walk.url}/")
        expect(page.locator(ANSWERS)).to_contain_text([f"Location: {walk.redirect_uri}?state="])
        press(page, "Tokenize")
        expect(page.locator(ANSWERS).nth(1)).to_contain_text('"refresh_token_expires_in":900')
        press(page, "Refresh")
        expect(page.locator(ANSWERS).nth(2)).to_contain_text('"scope":"email"')
        expect(page.get_by_role("heading", level=2)).to_have_text(["1. Authorize", "2. Tokenize", "3. Refresh"])
        assert walk.client_secret not in page.content()

    def test_leads_who_denies_back_without_a_code(self, walk: Walk, page: Page) -> None:
        log_in(page)
        press(page, "Deny")
        expect(page).to_have_url(f"{walk.url}/")
        expect(page.locator(ANSWERS)).to_contain_text(
            ["error=access_denied&error_description=User%20rejected%20scopes"]
        )
        expect(page.get_by_role("button")).to_have_text(["Begin again"])

    def test_asks_again_whoever_has_denied(self, page: Page) -> None:
        log_in(page)
        press(page, "Deny")
        press(page, "Begin again")
        page.get_by_role("link", name="Authorize", exact=True).click()
        press(page, "Approve")
        expect(page.get_by_role("button", name="Tokenize")).to_be_visible()
