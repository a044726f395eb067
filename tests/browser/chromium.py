"""Chromium on this machine, and people who use it."""

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    expect,
    sync_playwright,
)

from tests.browser.application import Application
from tests.support import leaks
from tests.support.home import PASSWORD
from tests.support.person import request

NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The same engine under all of them; the first draws no windows and so takes a third of the time."""

QUIET: Final = (
    "--no-sandbox",  # Chromium's own does not start for root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE: Final = 60_000
"""For how long a page may take to do what is expected of it, in milliseconds."""

_ABOUT_STATUS: Final = "Failed to load resource: the server responded with a status"
"""How Chromium comments on every page whose status is not 200, which a refused form has not."""

_TELL_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (seen) => {
  console.error(`policy violated: ${seen.violatedDirective} by ${seen.blockedURI}`);
});
"""


def skip_without() -> None:
    """Skip the module that calls this where there is no Chromium, and say so."""
    if _executable() is None:
        told = f"no Chromium on this machine ({', '.join(NAMES)}): what people see is not tested"
        warnings.warn(told, pytest.PytestWarning, stacklevel=2)
        pytest.skip(told, allow_module_level=True)


@contextmanager
def running() -> Iterator[Browser]:
    """One Chromium for many people."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_executable(), args=QUIET)
        yield browser
        browser.close()


def _executable() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Device:
    """One browser with cookies of its own. What it complains about is kept: scripts, styles, forms it blocked."""

    def __init__(self, context: BrowserContext, issuer: str, application: Application) -> None:
        self.context = context
        self.complaints: list[str] = []
        self._issuer, self._application = issuer, application
        context.set_default_timeout(PATIENCE)
        context.add_init_script(_TELL_VIOLATIONS)
        context.on("console", self._listen)
        context.on("weberror", self._note)
        context.on("request", self._hear)

    def tab(self) -> "Tab":
        """A new tab."""
        return Tab(self.context.new_page(), self._issuer, self._application)

    def close(self) -> None:
        """Close all tabs; what the cookies held must not have been written down."""
        cookies = [cookie.get("value", "") for cookie in self.context.cookies(self._issuer)]
        leaks.hear_browser(self._issuer, self._issuer, None, cookies)
        self.context.close()

    def _hear(self, request: Request) -> None:
        leaks.hear_browser(self._issuer, request.url, request.post_data)

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_ABOUT_STATUS):
            self.complaints.append(message.text)

    def _note(self, problem: WebError) -> None:
        self.complaints.append(str(problem.error))


class Tab:
    """What a person sees and does in one tab."""

    def __init__(self, page: Page, issuer: str, application: Application) -> None:
        self.page = page
        self.application = application
        self.issuer = issuer

    def open(self, path: str) -> None:
        """Type an address of the issuer."""
        self.page.goto(self.issuer + path)

    def authorize(self, client_id: str = "shop", **changes: str | list[str]) -> None:
        """Follow the application's link: the usual request, changed as told; "" leaves a parameter out."""
        sent = request(client_id, **{"redirect_uri": self.application.callback, **changes})
        self.open(f"/oauth/authorize?{urlencode(sent, doseq=True)}")

    def sign_in(self, username: str = "ada", password: str = PASSWORD) -> None:
        """Fill in the sign-in page and send it."""
        self.page.get_by_label("Username").fill(username)
        self.prove(password)

    def prove(self, password: str = PASSWORD) -> None:
        """Fill in nothing but the password."""
        self.page.get_by_label("Password").fill(password)
        self.press("Sign in")

    def press(self, button: str) -> None:
        """Press the button that is called so."""
        self.page.get_by_role("button", name=button, exact=True).click()

    def sees(self, heading: str) -> None:
        """The page that is called so is there, or will be in a moment."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading, timeout=PATIENCE)

    def answer(self, *, method: str = "GET") -> dict[str, Any]:
        """What the application was sent, now that the person is back there."""
        self.sees("The application")
        shown = json.loads(self.page.locator("pre").inner_text())
        assert shown["method"] == method
        sent: dict[str, Any] = shown["sent"]
        return sent
