"""A person with a browser that has no JavaScript: real HTTP, cookies, forms filled in as the page has them."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.home import PASSWORD

VERIFIER = "a-verifier-of-the-tests-that-is-long-enough-for-pkce"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "https://app.example/callback"

Query = Mapping[str, str | list[str]]


class Person:
    """One browser: cookies of its own, follows redirects within the issuer and stops where it is sent elsewhere."""

    def __init__(self, url: str, **headers: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=20, verify=False, headers={"accept": "text/html", **headers})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def open(self, path: str, query: Query | None = None) -> httpx.Response:
        """Follow a link: the page that is shown at the end, or the redirect that leads away from the issuer."""
        return self.follow(self.http.get(path, params=query))

    def authorize(self, client_id: str = "web", **changes: str | list[str]) -> httpx.Response:
        """An application sends the person here with the usual request, changed as told; "" leaves a parameter out."""
        return self.open("/oauth/authorize", request(client_id, **changes))

    def submit(self, page: httpx.Response, button: tuple[str, str] | None = None, **fields: str) -> httpx.Response:
        """Fill in the page's (first) form that has the fields, press a button, see where it leads."""
        return self.follow(self.post(page, button, **fields))

    def post(self, page: httpx.Response, button: tuple[str, str] | None = None, **fields: str) -> httpx.Response:
        """The same without following where it leads."""
        form = find_form(page, [*fields, *([button[0]] if button else [])])
        sent = {**form.values, **fields, **({button[0]: button[1]} if button else {})}
        return self.http.post(form.action or str(page.url), data=sent, headers={"origin": self.url})

    def sign_in(self, page: httpx.Response, username: str = "ada", password: str = PASSWORD) -> httpx.Response:
        """Fill in a sign-in page."""
        return self.submit(page, username=username, password=password)

    def allow(self, page: httpx.Response) -> httpx.Response:
        """Press Allow on a consent page."""
        return self.submit(page, ("decision", "allow"))

    def deny(self, page: httpx.Response) -> httpx.Response:
        """Press Deny on a consent page."""
        return self.submit(page, ("decision", "deny"))

    def grant(self, client_id: str = "web", **changes: str | list[str]) -> dict[str, str]:
        """Whatever it takes until the application has its answer: sign in, allow; returns the answer's parameters."""
        seen = self.authorize(client_id, **changes)
        if has_field(seen, "password"):
            seen = self.sign_in(seen)
        if has_field(seen, "decision"):
            seen = self.allow(seen)
        return answer(seen)

    def follow(self, response: httpx.Response) -> httpx.Response:
        """Go where the issuer sends, as long as that is the issuer itself."""
        for _ in range(10):
            if response.status_code != 303 or not response.headers["location"].startswith(self.url):
                return response
            response = self.http.get(response.headers["location"])
        raise AssertionError("sent in a circle")


def request(client_id: str = "web", **changes: str | list[str]) -> dict[str, str | list[str]]:
    """The parameters of a good authorization request, changed as told; "" leaves one out."""
    usual: dict[str, str | list[str]] = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile",
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value != ""}


def redemption(code: str, **changes: str) -> dict[str, str]:
    """The token request that redeems a code, changed as told; "" leaves a parameter out."""
    usual = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    return {name: value for name, value in {**usual, **changes}.items() if value != ""}


def answer(response: httpx.Response, *, to: str = CALLBACK) -> dict[str, str]:
    """The parameters with which the browser was sent back to the application."""
    assert response.status_code == 303, f"{response.status_code} {title(response)}"
    location = httpx.URL(response.headers["location"])
    assert str(location).startswith(to), location
    return dict(location.params)


def title(page: httpx.Response) -> str:
    """What the browser's tab says."""
    return _read(page).title.strip()


def has_field(page: httpx.Response, name: str) -> bool:
    """Whether the page has a form with this field or button."""
    return any(name in form.names for form in _read(page).forms)


class Form:
    """One form of a page."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.values: dict[str, str] = {}
        """Hidden and prefilled fields."""
        self.names: set[str] = set()
        """Of all fields and buttons."""


def find_form(page: httpx.Response, names: list[str]) -> Form:
    """The first form of the page that has all these fields."""
    for form in _read(page).forms:
        if form.names.issuperset(names):
            return form
    raise AssertionError(f"no form with {names} on {page.url} ({page.status_code}): {title(page)}")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.title = ""
        self._is_in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        if tag == "title":
            self._is_in_title = not self.title
        elif tag == "form":
            self.forms.append(Form(given.get("action") or ""))
        elif tag in ("input", "button") and self.forms and given.get("name"):
            form = self.forms[-1]
            form.names.add(given["name"])
            if tag == "input" and given.get("type") not in ("submit", "button"):
                form.values[given["name"]] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._is_in_title = False

    def handle_data(self, data: str) -> None:
        if self._is_in_title:
            self.title += data


def _read(page: httpx.Response) -> _Page:
    found = _Page()
    found.feed(page.text)
    return found
