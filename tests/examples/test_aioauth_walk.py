"""The walk through aioauth's example by plain HTTP (SEEDS A1 to A6): with our example, and with the sample's client."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.dialects.aioauth_service import A1, REDIRECT_URI, TEST_CLIENT
from tests.examples.walking import Walk, walking
from tests.support import plain
from tests.support.person import Person

ANSWER: Final = {
    "expires_in": 300,
    "refresh_token_expires_in": 900,
    "scope": "email",
    "token_type": "Bearer",
}
"""What A5 and A6 print besides the tokens."""

TOKENS: Final = {"access_token", "refresh_token"}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The example and its issuer."""
    with walking(tmp_path_factory.mktemp("walk")) as walk:
        yield walk


@pytest.fixture
def person(walk: Walk) -> Iterator[Person]:
    """Somebody's browser, at the issuer."""
    with Person(walk.issuer) as person:
        yield person


@pytest.fixture
def application(walk: Walk) -> Iterator[httpx.Client]:
    """The same browser, at the application."""
    with visiting(walk) as browser:
        yield browser


def visiting(walk: Walk) -> httpx.Client:
    return httpx.Client(base_url=walk.url, follow_redirects=True, timeout=20, verify=False)


def link(page: httpx.Response) -> str:
    """Where the button Authorize leads."""
    (found,) = re.findall(r'href="([^"]+)">Authorize<', page.text)
    return unescape(found)


def steps(page: httpx.Response) -> list[tuple[str, str, str]]:
    """What the page shows: titles, requests and answers."""
    shown = r"<h2>\d+\. (\w+)</h2>\n<pre>(.*?)</pre>\n<pre class=\"answer\">(.*?)</pre>"
    return [
        (title, unescape(asked), unescape(answer)) for title, asked, answer in re.findall(shown, page.text, re.DOTALL)
    ]


def buttons(page: httpx.Response) -> list[str]:
    return re.findall(r"<button[^>]*>([^<]+)</button>", page.text)


def decided(person: Person, url: str, approval: str) -> str:
    """Log in and decide; where the browser is sent then."""
    page = person.submit(person.open(url), username="admin", password="admin")
    answer = person.submit(page, ("approval", approval))
    assert answer.status_code == 302, answer.text
    location: str = answer.headers["location"]
    return location


def tokens(shown: str) -> dict[str, Any]:
    """The JSON in an answer as the page shows it."""
    status, _, body = shown.partition("\n\n")
    assert status == "200 OK"
    found: dict[str, Any] = json.loads(body)
    return found


class TestTheExample:
    def test_begins_with_the_request_that_aioauth_documents(self, walk: Walk, application: httpx.Client) -> None:
        sent = dict(parse_qsl(urlsplit(link(application.get("/"))).query, strict_parsing=True))
        assert len(sent.pop("state")) > 40
        documented = dict(parse_qsl(urlsplit(A1).query)) | {"client_id": "walk", "redirect_uri": walk.redirect_uri}
        assert sent == {name: value for name, value in documented.items() if name != "state"}

    def test_comes_to_tokens_and_refreshes_them(self, walk: Walk, person: Person, application: httpx.Client) -> None:
        page = application.get(decided(person, link(application.get("/")), "1"))
        ((title, asked, came),) = steps(page)
        assert (title, page.url.path, buttons(page)) == ("Authorize", "/", ["Tokenize", "Begin again"])
        assert asked.startswith(f"GET {walk.issuer}/oauth/authorize?")
        carried = parse_qsl(urlsplit(came.removeprefix("Location: ")).query)
        assert [name for name, _ in carried[:3]] == ["state", "code", "scope"]
        page = application.post("/tokenize")
        _, (title, asked, answer) = steps(page)
        assert title == "Tokenize"
        assert f"POST {walk.issuer}/oauth/tokenize\n" in asked
        assert f"code={dict(carried)['code']}" in asked
        first = tokens(answer)
        assert {name: value for name, value in first.items() if name not in TOKENS} == ANSWER
        assert buttons(page) == ["Refresh", "Begin again"]
        page = application.post("/refresh")
        title, asked, answer = steps(page)[2]
        assert (title, f"refresh_token={first['refresh_token']}" in asked) == ("Refresh", True)
        second = tokens(answer)
        assert second.keys() == first.keys()
        assert all(second[name] != first[name] for name in TOKENS)
        assert application.post("/refresh").text.count("<h2>") == 4

    def test_shows_a_refusal_and_nothing_to_redeem(self, person: Person, application: httpx.Client) -> None:
        page = application.get(decided(person, link(application.get("/")), "0"))
        ((_, _, answer),) = steps(page)
        carried = parse_qsl(urlsplit(answer.removeprefix("Location: ")).query)
        assert carried[:2] == [("error", "access_denied"), ("error_description", "User rejected scopes")]
        assert buttons(page) == ["Begin again"]
        assert steps(application.post("/again")) == []
        assert "Authorize" in application.get("/").text

    def test_shows_what_comes_of_a_code_that_is_redeemed_twice(self, person: Person, application: httpx.Client) -> None:
        application.get(decided(person, link(application.get("/")), "1"))
        application.post("/tokenize")
        page = application.post("/tokenize")
        assert '"error":"invalid_grant"' in steps(page)[2][2]
        assert buttons(page) == ["Begin again"]

    def test_never_shows_its_secret(self, walk: Walk, person: Person, application: httpx.Client) -> None:
        pages = [application.get("/"), application.get(decided(person, link(application.get("/")), "1"))]
        pages += [application.post("/tokenize"), application.post("/refresh")]
        for page in pages:
            assert walk.client_secret not in page.text
            assert walk.client_secret not in str(page.headers)
            assert page.headers["cache-control"] == "no-store"
        assert "Authorization: Basic walk:********" in pages[-1].text

    def test_takes_no_answer_of_another_browser(self, walk: Walk, person: Person, application: httpx.Client) -> None:
        came = decided(person, link(application.get("/")), "1")
        with visiting(walk) as other:
            other.get("/")
            assert other.get(came).status_code == 400
            assert steps(other.get("/")) == []
        assert application.get(came).status_code == 200
        assert application.get(came).status_code == 400

    @pytest.mark.parametrize("changed", [{"iss": "https://evil.example"}, {"state": "guessed"}])
    def test_takes_no_answer_of_another_server(
        self, person: Person, application: httpx.Client, changed: dict[str, str]
    ) -> None:
        came = httpx.URL(decided(person, link(application.get("/")), "1"))
        assert application.get(came.copy_merge_params(changed)).status_code == 400

    def test_gives_a_cookie_that_other_sites_cannot_use(self, application: httpx.Client) -> None:
        assert {"HttpOnly", "SameSite=Lax"} <= set(application.get("/").headers["set-cookie"].split("; "))


class TestTheSamplesClient:
    """As A1 to A6 print it: nothing is followed that was not looked at."""

    def test_walks_from_the_link_to_fresh_tokens(self, walk: Walk, person: Person) -> None:
        asked = person.http.get(walk.issuer + A1)
        login = self.sent(asked, 303, f"{walk.issuer}/login?transaction=")
        form = person.http.get(login)
        assert (form.status_code, "<h3>Login Form</h3>" in form.text) == (200, True)
        approve = self.sent(
            person.post(form, username="admin", password="admin"), 303, f"{walk.issuer}/approve?transaction="
        )
        question = person.http.get(approve)
        assert (question.status_code, "test_client would like permissions." in question.text) == (200, True)
        back = self.sent(person.post(question, ("approval", "1")), 302, f"{REDIRECT_URI}?state=somestate&code=")
        carried = parse_qsl(urlsplit(back).query)
        assert carried[0] == ("state", "somestate")
        assert carried[2:] == [("scope", "email"), ("iss", walk.issuer)]
        redemption = {"grant_type": "authorization_code", "code": carried[1][1], "redirect_uri": REDIRECT_URI}
        first = self.tokenize(walk, redemption)
        second = self.tokenize(walk, {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})
        assert all(second[name] != first[name] for name in TOKENS)

    def test_walks_to_a_refusal(self, walk: Walk, person: Person) -> None:
        back = decided(person, walk.issuer + A1, "0")
        assert back.startswith(f"{REDIRECT_URI}?error=access_denied&")
        assert dict(parse_qsl(urlsplit(back).query)) == {
            "error": "access_denied",
            "error_description": "User rejected scopes",
            "state": "somestate",
            "iss": walk.issuer,
        }

    def sent(self, answer: httpx.Response, status: int, to: str) -> str:
        assert answer.status_code == status, answer.text
        location: str = answer.headers["location"]
        assert location.startswith(to), location
        return location

    def tokenize(self, walk: Walk, form: dict[str, str]) -> dict[str, Any]:
        answer = plain.post(f"{walk.issuer}/oauth/tokenize", data=form, auth=TEST_CLIENT, timeout=20)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert {name: value for name, value in found.items() if name not in TOKENS} == ANSWER
        assert found.keys() >= TOKENS
        return found
