"""aioauth's FastAPI example, request for request (SEEDS A1 to A10), and what nobody else may notice of it."""

import json
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from msgspec.structs import replace

from jwtauth.dialects.aioauth import DIALECT, commands
from jwtauth.endpoints.outcomes import ConsentPage, ErrorPage, Fault, FinishedPage, Form, Page, Problem, SignInPage
from jwtauth.protocol.records import GrantType
from jwtauth.web.pages import templates
from jwtauth.web.render import Renderer
from tests.dialects.aioauth_service import (
    A1,
    IMPLICIT,
    OLD,
    OPEN_ID,
    REDIRECT_URI,
    STRICT,
    TEST_CLIENT,
    Example,
    approved,
    asked,
    carried,
    login,
    redemption,
    seed,
)
from tests.dialects.in_thread import serving
from tests.support.home import Home
from tests.support.person import CHALLENGE, VERIFIER, Person, has_field, title
from tests.web.site import Site, basic, claims_of

ANSWER: Final = ["access_token", "expires_in", "refresh_token", "refresh_token_expires_in", "scope", "token_type"]
WORDS: Final = {"admin", "password"}
"""Secrets of the example that are also words, which a log may well have."""

PAST: Final = 1_700_000_000
FUTURE: Final = 4_000_000_000


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The running example; at its end its log knows neither a traceback nor anything secret."""
    with Example(tmp_path_factory.mktemp("example"), sunset_at=FUTURE) as example:
        yield example
    assert "Traceback" not in example.server.log.read_text()
    assert logged(example) == []


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The same after its realm's sunset."""
    with Example(tmp_path_factory.mktemp("closed"), sunset_at=PAST) as example:
        yield example


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(templates(), base="", issuer="https://id.example")


@pytest.fixture
def person(example: Example) -> Iterator[Person]:
    with example.browser() as person:
        yield person


def logged(example: Example) -> list[str]:
    """What should be secret and stands in the log."""
    log = example.server.log.read_text()
    return [secret for secret in example.sent - WORDS if re.search(rf"(?<![\w.-]){re.escape(secret)}(?![\w.-])", log)]


def heading(page: httpx.Response) -> str:
    """The page's h3."""
    (found,) = re.findall(r"<h3>(.*?)</h3>", page.text)
    return str(found)


def buttons(page: httpx.Response) -> list[tuple[str, str]]:
    """The page's buttons: their attributes, as they stand there, and what is written on them."""
    return re.findall(r"<button([^>]*)>(.*?)</button>", page.text)


def uses(example: Example) -> dict[tuple[str, str], int]:
    """How often each client used each legacy door, as the database knows it."""
    with closing(sqlite3.connect(example.home.source.database)) as database:
        rows = database.execute(
            "SELECT clients.client_id, door, count FROM legacy_uses JOIN clients ON clients.id = legacy_uses.client_id"
        )
        return {(client_id, door): count for client_id, door, count in rows}


class TestA1AuthorizationRequest:
    def test_a1_leads_whoever_is_not_signed_in_to_the_login_form(self, example: Example, person: Person) -> None:
        response = person.http.get(A1)
        assert response.status_code == 303
        assert response.headers["location"].startswith(f"{example.server.url}/login")
        assert heading(person.follow(response)) == "Login Form"

    def test_a1_leads_whoever_is_signed_in_to_the_question(self, person: Person) -> None:
        approved(person)
        page = person.open(A1)
        assert page.url.path == "/approve"
        assert heading(page) == "test_client would like permissions."

    def test_a1_asks_again_however_often_it_was_approved(self, person: Person) -> None:
        for _ in range(3):
            assert "code" in approved(person)
            assert has_field(person.open(A1), "approval")

    def test_a1_may_still_be_sent_with_a_prompt(self, person: Person) -> None:
        silent = dict(carried(person.open("/oauth/authorize", asked(prompt="none"))))
        assert silent["error"] == "login_required"

    def test_a1_is_never_sent_to_a_foreign_redirect_uri(self, person: Person) -> None:
        page = person.open("/oauth/authorize", asked(redirect_uri="https://evil.example/"))
        assert (page.status_code, title(page).partition(" ·")[0]) == (400, "No safe way back to the application")


class TestA2Screens:
    def test_a2_are_login_then_approve_then_redirect(self, example: Example, person: Person) -> None:
        form = person.open(A1)
        assert form.url.path == "/login"
        question = person.submit(form, username="admin", password="admin")
        assert question.url.path == "/approve"
        back = person.post(question, ("approval", "1"))
        assert back.status_code == 302
        assert back.headers["location"].startswith(f"{REDIRECT_URI}?")

    def test_a2_say_what_is_asked_for_and_where_it_leads(self, person: Person) -> None:
        page = login(person)
        for told in ("See your email address", "www.example.com", "admin"):
            assert told in page.text


class TestA3Denied:
    def test_a3_says_that_the_user_rejected_it(self, example: Example, person: Person) -> None:
        assert carried(person.submit(login(person), ("approval", "0"))) == [
            ("error", "access_denied"),
            ("error_description", "User rejected scopes"),
            ("state", "somestate"),
            ("iss", example.server.url),
        ]

    def test_a3_has_no_state_where_none_was_sent(self, person: Person) -> None:
        assert "state" not in dict(carried(person.submit(login(person, state=""), ("approval", "0"))))

    def test_a3_other_refusals_keep_their_words(self, person: Person) -> None:
        told = carried(person.open("/oauth/authorize", asked(scope="everything")))
        assert [name for name, _ in told] == ["error", "error_description", "state", "iss"]
        assert dict(told)["error"] == "invalid_scope"
        assert "scope" in dict(told)["error_description"]


class TestA4Approved:
    def test_a4_carries_state_code_and_scope_in_this_order(self, example: Example, person: Person) -> None:
        names, values = zip(*carried(person.submit(login(person), ("approval", "1"))), strict=True)
        assert names == ("state", "code", "scope", "iss")
        assert (values[0], values[2], values[3]) == ("somestate", "email", example.server.url)
        assert len(values[1]) >= 42

    def test_a4_echoes_what_the_client_gets_that_asks_for_no_scope(self, person: Person) -> None:
        assert approved(person, scope="")["scope"] == "email"


class TestA5Code:
    def test_a5_is_exchanged_for_what_the_example_prints(self, example: Example, person: Person) -> None:
        response = example.tokenize(redemption(approved(person)["code"]))
        assert response.status_code == 200
        answer = response.json()
        assert sorted(answer) == ANSWER
        expected = {"expires_in": 300, "refresh_token_expires_in": 900, "scope": "email", "token_type": "Bearer"}
        assert {name: answer[name] for name in expected} == expected
        assert isinstance(answer["access_token"], str)
        assert isinstance(answer["refresh_token"], str)
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"

    def test_a5_gives_a_token_that_lives_as_long_as_it_says(self, example: Example) -> None:
        claims = claims_of(example.tokens()["access_token"])
        assert claims["exp"] - claims["iat"] == 300
        assert (claims["client_id"], claims["username"], claims["scope"]) == ("test_client", "admin", "email")

    def test_a5_is_refused_the_second_time(self, example: Example, person: Person) -> None:
        form = redemption(approved(person)["code"])
        assert example.tokenize(form).status_code == 200
        assert_refused(example.tokenize(form), 400, "invalid_grant")

    def test_a5_is_refused_with_another_redirect_uri(self, example: Example, person: Person) -> None:
        form = redemption(approved(person)["code"], redirect_uri="https://www.example.com/other")
        assert_refused(example.tokenize(form), 400, "invalid_grant")

    def test_a5_is_refused_with_a_wrong_secret(self, example: Example, person: Person) -> None:
        form = redemption(approved(person)["code"])
        assert_refused(example.tokenize(form, auth=("test_client", "wrong-secret")), 401, "invalid_client")
        assert example.tokenize(form).status_code == 200

    def test_a5_takes_nothing_from_the_query(self, example: Example, person: Person) -> None:
        form = redemption(approved(person)["code"])
        example.sent.add(form["code"])
        response = example.http.post("/oauth/tokenize", params=form, headers={"authorization": basic(*TEST_CLIENT)})
        assert_refused(response, 400, "invalid_request")
        assert "was sent in the query" in response.json()["description"]
        assert example.tokenize(form).status_code == 200  # and was worth what it says where it belongs

    def test_a5_carries_an_id_token_where_one_was_asked_for(self, example: Example, person: Person) -> None:
        code = approved(person, client_id=OPEN_ID[0], scope="openid email")["code"]
        answer = example.tokenize(redemption(code), auth=OPEN_ID).json()
        assert sorted(answer) == sorted([*ANSWER, "id_token"])
        assert claims_of(answer["id_token"])["aud"] == OPEN_ID[0]


class TestA6Refresh:
    def test_a6_gives_the_same_members_with_new_tokens(self, example: Example) -> None:
        first = example.tokens()
        response = example.tokenize({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})
        assert response.status_code == 200
        second = response.json()
        assert sorted(second) == ANSWER
        assert second["access_token"] != first["access_token"]
        assert second["refresh_token"] != first["refresh_token"]
        assert {**second, "access_token": "", "refresh_token": ""} == {**first, "access_token": "", "refresh_token": ""}

    def test_a6_leaves_nothing_of_the_old_token(self, example: Example) -> None:
        first = example.tokens()["refresh_token"]
        second = self.refresh(example, first).json()["refresh_token"]
        assert self.refresh(example, second).status_code == 200
        assert_refused(self.refresh(example, first), 400, "invalid_grant")

    def test_a6_may_narrow_the_scope(self, example: Example, person: Person) -> None:
        code = approved(person, client_id=OPEN_ID[0], scope="openid email")["code"]
        token = example.tokenize(redemption(code), auth=OPEN_ID).json()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token, "scope": "email"}
        assert example.tokenize(form, auth=OPEN_ID).json()["scope"] == "email"

    def refresh(self, example: Example, token: str) -> httpx.Response:
        return example.tokenize({"grant_type": "refresh_token", "refresh_token": token})


class TestA7Login:
    def test_a7_shows_the_form(self, person: Person) -> None:
        page = person.open(A1)
        assert page.status_code == 200
        assert heading(page) == "Login Form"
        assert [text for _, text in buttons(page)] == ["Login"]
        for label in ("Username", "Password"):
            assert f'<label for="{label.lower()}">{label}</label>' in page.text
            assert has_field(page, label.lower())

    def test_a7_fills_nothing_in_for_a_client_in_real_use(self, person: Person) -> None:
        assert 'value="admin"' not in person.open(A1).text

    def test_a7_fills_in_the_sample_account_for_the_sample_client(self, tmp_path: Path) -> None:
        home = Home(tmp_path, default_realm=DIALECT.name)
        seed(home, is_demo=True)
        with serving(home) as url, Person(url) as person:
            form = person.open(A1)
            assert form.text.count('value="admin"') == 2
            question = person.submit(form, username="admin")  # the password as it stands there
            assert heading(question) == "test_client would like permissions."

    def test_a7_is_a_bad_request_without_an_oauth_session(self, person: Person) -> None:
        page = person.open("/login")
        assert page.status_code == 400
        assert "<h1>Cannot Login without OAuth Session</h1>" in page.text

    @pytest.mark.parametrize(
        ("username", "password"), [("admin", "wrong-password"), ("nobody", "admin"), ("admin", "x")]
    )
    def test_a7_says_on_the_page_itself_that_either_is_wrong(
        self, example: Example, person: Person, username: str, password: str
    ) -> None:
        example.sent.add(password) if len(password) > 5 else None
        page = person.post(person.open(A1), username=username, password=password)
        assert page.status_code == 400
        assert "Invalid Username or Password" in page.text
        assert heading(page) == "Login Form"
        assert person.submit(page, username="admin", password="admin").url.path == "/approve"

    def test_a7_goes_on_to_the_question(self, example: Example, person: Person) -> None:
        response = person.post(person.open(A1), username="admin", password="admin")
        assert response.status_code == 303
        assert response.headers["location"].startswith(f"{example.server.url}/approve?")

    def test_a7_takes_no_form_of_another_site(self, person: Person) -> None:
        person.open(A1)
        response = person.http.post("/login", data={"username": "admin", "password": "admin"})
        assert response.status_code == 400
        assert "set-cookie" not in response.headers

    def test_a7_still_lets_people_in_who_want_to_see_their_account(self, person: Person) -> None:
        form = person.open("/account")
        assert heading(form) == "Login Form"
        assert person.submit(form, username="admin", password="admin").url.path == "/account"

    def test_a7_takes_no_form_of_the_account_page_from_whoever_is_not_signed_in(self, person: Person) -> None:
        person.open("/account")
        assert heading(person.follow(person.http.post("/account", data={"action": "end_all"}))) == "Login Form"


class TestA8Approve:
    def test_a8_asks(self, person: Person) -> None:
        page = login(person)
        assert page.status_code == 200
        assert heading(page) == "test_client would like permissions."
        deny, approve = buttons(page)
        assert 'name="approval" value="0"' in deny[0]
        assert 'name="approval" value="1"' in approve[0]
        assert (deny[1], approve[1]) == ("Deny", "Approve")

    def test_a8_names_the_client_by_its_id(self, person: Person) -> None:
        assert heading(login(person, client_id=OLD[0])) == f"{OLD[0]} would like permissions."

    def test_a8_greets_where_nothing_is_pending(self, person: Person) -> None:
        login(person)
        page = person.open("/approve")
        assert (page.status_code, heading(page)) == (200, "Hello, admin.")

    def test_a8_greets_once_the_tokens_were_fetched(self, example: Example, person: Person) -> None:
        question = login(person)
        code = dict(carried(person.submit(question, ("approval", "1"))))["code"]
        assert example.tokenize(redemption(code)).status_code == 200
        assert heading(person.open(str(question.url))) == "Hello, admin."

    def test_a8_sends_whoever_is_not_signed_in_to_the_login(self, example: Example, person: Person) -> None:
        response = person.http.get("/approve")
        assert (response.status_code, response.headers["location"]) == (303, f"{example.server.url}/login")

    def test_a8_sends_back_to_the_login_form_with_what_is_pending(self, person: Person) -> None:
        pending = str(person.open(A1).url).replace("/login?", "/approve?")
        page = person.open(pending)
        assert (page.url.path, heading(page)) == ("/login", "Login Form")

    @pytest.mark.parametrize("approval", ["0", "1"])
    def test_a8_answers_the_client_with_302(self, person: Person, approval: str) -> None:
        assert person.post(login(person), ("approval", approval)).status_code == 302

    @pytest.mark.parametrize("approval", ["", "2", "yes"])
    def test_a8_takes_no_other_answer(self, person: Person, approval: str) -> None:
        assert person.post(login(person), ("approval", approval)).status_code == 400

    def test_a8_cannot_be_answered_by_the_words_of_the_standard(self, person: Person) -> None:
        question = login(person)
        response = person.http.post(
            "/approve",
            data={**hidden(question), "approval": "0", "decision": "allow"},
            headers={"origin": person.url},
        )
        assert dict(carried(response))["error"] == "access_denied"

    def test_a8_takes_no_form_of_another_site(self, person: Person) -> None:
        question = login(person)
        sent = {**hidden(question), "approval": "1"}
        foreign = person.http.post("/approve", data=sent, headers={"origin": "https://evil.example"})
        forged = person.http.post("/approve", data={**sent, "csrf": "forged"}, headers={"origin": person.url})
        assert (foreign.status_code, forged.status_code) == (400, 400)


def hidden(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of a page."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))


class TestA9Fixtures:
    def test_a9_are_the_sample(self) -> None:
        assert DIALECT.sample is not None
        ((client, secret),) = DIALECT.sample.clients
        assert (client.client_id, secret) == TEST_CLIENT
        assert client.grant_types == (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN)
        assert (client.scope, client.redirect_uris, client.allows_implicit) == (("email",), (REDIRECT_URI,), False)
        (person,) = DIALECT.sample.users
        assert (person.user.username, person.password) == ("admin", "admin")

    def test_a9_lifetimes_are_those_of_the_example(self) -> None:
        assert DIALECT.realm == {"access_token_in": 300, "refresh_token_in": 900}

    def test_a9_commands_work_when_pasted(self, example: Example, person: Person) -> None:
        (_, link), (_, redeem), (_, refresh) = commands(example.server.url)
        assert link == example.server.url + A1
        page = person.submit(person.open(link), username="admin", password="admin")
        code = dict(carried(person.submit(page, ("approval", "1"))))["code"]
        assert sorted(run(redeem.replace("PASTE-THE-CODE-HERE", code), example.home.path)) == ANSWER
        assert sorted(run(refresh, example.home.path)) == ANSWER


def run(command: str, folder: Path) -> dict[str, Any]:
    """What a command prints that was pasted into a shell."""
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class TestA10Introspection:
    def test_a10_says_scope_client_type_and_for_how_long(self, example: Example) -> None:
        token = example.tokens()["access_token"]
        response = example.tokenize({"token": token}, path="/oauth/introspect")
        assert response.status_code == 200
        answer = response.json()
        expected = {"active": True, "scope": "email", "client_id": "test_client", "token_type": "Bearer"}
        assert {name: answer[name] for name in expected} == expected
        assert 290 <= answer["expires_in"] <= 300
        assert answer["username"] == "admin"

    def test_a10_says_nothing_of_a_dead_token(self, example: Example) -> None:
        response = example.tokenize({"token": "no-token-of-ours"}, path="/oauth/introspect")
        assert (response.status_code, response.json()) == (200, {"active": False})


class TestA10Revocation:
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", ""])
    def test_a10_ends_the_token_whatever_the_hint(self, example: Example, kind: str, hint: str) -> None:
        tokens = example.tokens()
        form = {"token": tokens[kind], **({"token_type_hint": hint} if hint else {})}
        assert example.post("/oauth/revoke", form, auth=TEST_CLIENT).status_code == 200
        active = example.tokenize({"token": tokens["access_token"]}, path="/oauth/introspect").json()
        assert active == {"active": False}
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert_refused(example.tokenize(form), 400, "invalid_grant")

    def test_a10_refuses_a_hint_at_what_there_is_not(self, example: Example) -> None:
        token = example.tokens()["access_token"]
        form = {"token": token, "token_type_hint": "id_token"}
        assert_refused(example.tokenize(form, path="/oauth/revoke"), 400, "unsupported_token_type")
        assert example.tokenize({"token": token}, path="/oauth/introspect").json()["active"] is True


class TestA10Errors:
    @pytest.mark.parametrize(
        ("form", "status", "code"),
        [
            ({}, 400, "invalid_request"),
            ({"grant_type": "authorization_code"}, 400, "invalid_request"),
            ({"grant_type": "authorization_code", "code": "no-code-of-ours"}, 400, "invalid_grant"),
            ({"grant_type": "refresh_token", "refresh_token": "no-token-of-ours"}, 400, "invalid_grant"),
            ({"grant_type": "made_up"}, 400, "unsupported_grant_type"),
            ({"grant_type": "client_credentials"}, 400, "unauthorized_client"),
            (
                {"grant_type": "password", "username": "admin", "password": "a-password-typed"},
                400,
                "unauthorized_client",
            ),
        ],
    )
    def test_a10_have_error_description_and_uri(
        self, example: Example, form: dict[str, str], status: int, code: str
    ) -> None:
        assert_refused(example.tokenize(form), status, code)

    def test_a10_invalid_scope(self, example: Example) -> None:
        token = example.tokens()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token, "scope": "everything"}
        assert_refused(example.tokenize(form), 400, "invalid_scope")

    @pytest.mark.parametrize("path", ["/oauth/tokenize", "/oauth/introspect", "/oauth/revoke"])
    def test_a10_challenge_whoever_does_not_prove_who_it_is(self, example: Example, path: str) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": "no-token-of-ours", "token": "no-token-of-ours"}
        refused = [example.tokenize(form, auth=("test_client", "wrong-secret"), path=path)]
        refused.append(example.tokenize({**form, "client_id": "test_client"}, auth=None, path=path))
        for response in refused:
            assert_refused(response, 401, "invalid_client")
            challenge = response.headers["www-authenticate"]
            assert challenge.startswith("Basic error=invalid_client, error_description=")
            assert challenge.endswith('realm="jwtauth", charset="UTF-8"')

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_a10_method_is_not_allowed(self, example: Example, method: str) -> None:
        response = example.http.request(method, "/oauth/tokenize")
        assert_refused(response, 405, "method_is_not_allowed")
        assert response.headers["allow"] == "POST"
        assert response.json()["description"] == "HTTP method is not allowed."


class TestA10ResponseTypes:
    def test_a10_token_comes_in_the_fragment_to_a_client_that_may(self, example: Example, person: Person) -> None:
        page = login(person, client_id=IMPLICIT[0], response_type="token")
        response = person.submit(page, ("approval", "1"))
        names, values = zip(*carried(response), strict=True)
        assert "?" not in response.headers["location"]
        assert sorted(names) == ["access_token", "expires_in", "iss", "scope", "state", "token_type"]
        assert names[0] == "state"
        assert dict(zip(names, values, strict=True)) | {"access_token": ""} == {
            "state": "somestate",
            "scope": "email",
            "access_token": "",
            "token_type": "Bearer",
            "expires_in": "300",
            "iss": example.server.url,
        }

    @pytest.mark.parametrize("response_type", ["token", "none", "id_token", "code token", "code id_token"])
    def test_a10_others_are_not_built(self, person: Person, response_type: str) -> None:
        told = dict(carried(person.open("/oauth/authorize", asked(response_type=response_type))))
        assert told["error"] == "unsupported_response_type"
        assert told["state"] == "somestate"


class TestA10Pkce:
    def test_a10_s256(self, example: Example, person: Person) -> None:
        changes = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        code = approved(person, **changes)["code"]
        assert_refused(example.tokenize(redemption(code)), 400, "invalid_grant")
        assert example.tokenize(redemption(code, code_verifier=VERIFIER)).status_code == 200

    @pytest.mark.parametrize("method", ["plain", ""])
    def test_a10_plain_is_not_built(self, person: Person, method: str) -> None:
        told = carried(person.open("/oauth/authorize", asked(code_challenge=VERIFIER, code_challenge_method=method)))
        assert dict(told)["error"] == "invalid_request"


def assert_refused(response: httpx.Response, status: int, code: str) -> None:
    """The answer is a refusal as aioauth writes them."""
    assert (response.status_code, response.json().get("error")) == (status, code), response.text
    assert list(response.json()) == ["error", "description", "error_uri"]
    assert response.json()["error_uri"] == ""
    assert response.json()["description"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"


class TestLog:
    def test_has_nothing_secret(self, example: Example, person: Person) -> None:
        tokens, before = example.tokens(person), len(example.sent)
        example.tokenize({"grant_type": "refresh_token", "refresh_token": "a-refresh-token-that-is-none"})
        example.tokenize(
            {"token": tokens["access_token"]}, auth=("test_client", "a-wrong-secret"), path="/oauth/revoke"
        )
        query = {"refresh_token": tokens["refresh_token"], "client_secret": "a-secret-in-the-query"}
        example.http.post("/oauth/tokenize", params=query)
        example.sent.add("a-secret-in-the-query")
        person.post(
            person.open("/oauth/authorize", asked(prompt="login")), username="admin", password="a-wrong-password"
        )
        example.sent.add("a-wrong-password")
        assert len(example.sent) >= before + 4
        assert "wrong password" in example.server.log.read_text()  # it has been written up to here
        assert logged(example) == []


class TestStrictRealm:
    """A client of another realm in the same service notices nothing."""

    def test_has_no_tokenize(self, example: Example) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": "no-token-of-ours"}
        assert example.tokenize(form, auth=STRICT).status_code == 401

    def test_refuses_parameters_in_the_query(self, example: Example) -> None:
        response = example.http.post(
            "/oauth/token", params={"grant_type": "refresh_token"}, headers={"authorization": basic(*STRICT)}
        )
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
        assert "error_description" in response.json()

    def test_has_the_pages_and_the_members_of_the_standard(self, example: Example, person: Person) -> None:
        page = person.open("/oauth/authorize", asked(client_id=STRICT[0]))
        assert title(page).startswith("Sign in")
        page = person.submit(page, username="admin", password="admin")
        assert page.url.path == "/login"
        response = person.allow(page)
        assert response.status_code == 303
        sent_back = httpx.URL(response.headers["location"]).params
        assert sorted(sent_back) == ["code", "iss", "state"]
        granted = example.tokenize(redemption(sent_back["code"]), auth=STRICT, path="/oauth/token").json()
        assert sorted(granted) == ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
        found = example.tokenize({"token": granted["access_token"]}, auth=STRICT, path="/oauth/introspect").json()
        assert found["active"] is True
        assert "expires_in" not in found
        again = person.open("/oauth/authorize", asked(client_id=STRICT[0]))
        assert again.status_code == 303  # the consent is remembered

    def test_cannot_be_approved_in_the_other_way(self, person: Person) -> None:
        question = person.open("/oauth/authorize", asked(client_id=STRICT[0]))
        question = person.submit(question, username="admin", password="admin")
        pending = str(question.url).replace("/login?", "/approve?")
        assert person.open(pending).status_code == 404

    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
    def test_hears_refusals_as_ever(self, example: Example, path: str) -> None:
        response = example.post(path, {"token_type_hint": "id_token"}, auth=STRICT)
        assert sorted(response.json()) == ["error", "error_description"]


class TestWithoutSuchARealm:
    def test_there_are_no_such_paths(self, tmp_path: Path) -> None:
        with Site(tmp_path) as site:
            assert site.post("/oauth/tokenize", {"grant_type": "refresh_token"}).status_code == 404
            assert site.http.get("/approve").status_code == 404
            assert title(site.http.get("/login")).startswith("Sign in")


class TestWhereAnotherRealmIsTheDefault:
    def test_pages_without_a_request_are_those_of_everybody(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        seed(home)
        with serving(home) as url, Person(url) as person:
            assert title(person.open("/login")).startswith("Sign in")
            assert title(person.open("/approve")).startswith("Sign in")
            login(person)
            page = person.open("/approve")
            assert (page.status_code, title(page).partition(" ·")[0]) == (200, "Hello")


class TestTemplates:
    FORM: Final = Form(csrf="the-csrf", transaction="the-transaction", targets=("https://www.example.com",))
    SIGN_IN: Final = SignInPage(form=FORM, client_name="Shop", username="ada")
    CONSENT: Final = ConsentPage(
        form=FORM, client_name="shop", username="ada", scope=("email",), destination="a.example"
    )

    @pytest.mark.parametrize("language", ["en", "de", "fr"])
    @pytest.mark.parametrize(
        ("page", "told"),
        [
            (SIGN_IN, "Login Form"),
            (replace(SIGN_IN, problem=Problem.WRONG_PASSWORD), "Invalid Username or Password"),
            (replace(SIGN_IN, problem=Problem.TOO_MANY_ATTEMPTS, retry_after_in=60), 'id="problem"'),
            (replace(SIGN_IN, is_username_known=True, is_demo=True), 'name="switch"'),
            (replace(SIGN_IN, upstream_name="Elsewhere"), 'action="/login/upstream"'),
            (CONSENT, "shop would like permissions."),
            (replace(CONSENT, is_identity_proven=False, resources=("https://r.example",)), 'class="box warning"'),
            (replace(CONSENT, client_name="<script>"), "&lt;script&gt; would like permissions."),
            (FinishedPage(client_name="Shop", username="ada"), "<h3>Hello, ada.</h3>"),
            (FinishedPage(client_name="Shop"), "<h1>"),
            (ErrorPage(fault=Fault.EXPIRED, restart="/login?transaction=x"), 'href="/login?transaction=x"'),
            (ErrorPage(fault=Fault.BAD_REQUEST, details="state: is odd"), "<pre"),
        ],
    )
    def test_can_be_shown_in_every_language(self, renderer: Renderer, page: Page, told: str, language: str) -> None:
        rendered = renderer.render(page, accept_language=language, now=0, templates=DIALECT.templates)
        assert told in rendered.html.decode()


class TestAfterTheSunset:
    def test_tokenize_is_gone(self, closed: Example) -> None:
        response = closed.tokenize({"grant_type": "refresh_token", "refresh_token": "no-token-of-ours"})
        assert response.status_code == 410
        assert response.json()["error"] == "invalid_request"

    def test_the_question_is_asked_as_by_everybody(self, closed: Example) -> None:
        with closed.browser() as person:
            question = person.submit(person.open(A1), username="admin", password="admin")
            assert title(question).startswith("Allow access?")
            assert person.open(str(question.url).replace("/login?", "/approve?")).status_code == 410
            response = person.allow(question)
            assert response.status_code == 303
            code = httpx.URL(response.headers["location"]).params["code"]
        granted = closed.tokenize(redemption(code), path="/oauth/token")
        assert sorted(granted.json()) == ["access_token", "expires_in", "refresh_token", "scope", "token_type"]

    def test_legacy_grants_are_closed(self, closed: Example) -> None:
        form = {"grant_type": "password", "username": "admin", "password": "admin"}
        response = closed.tokenize(form, auth=OLD, path="/oauth/token")
        assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")

    def test_parameters_in_the_query_are_refused(self, closed: Example) -> None:
        response = closed.http.post(
            "/oauth/token", params={"grant_type": "refresh_token"}, headers={"authorization": basic(*TEST_CLIENT)}
        )
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


class TestLegacyDoors:
    def test_say_that_they_are_deprecated_and_until_when_they_are_open(self, example: Example, person: Person) -> None:
        question = login(person)
        back = person.post(question, ("approval", "1"))
        tokens = example.tokenize(redemption(dict(carried(back))["code"]))
        refused = example.tokenize({"grant_type": "made_up"})
        password = example.tokenize(
            {"grant_type": "password", "username": "admin", "password": "admin"}, auth=OLD, path="/oauth/token"
        )
        assert password.status_code == 200
        for response in (question, back, tokens, refused, password):
            assert response.headers["deprecation"] == "@1735689600"
            assert response.headers["sunset"] == "Tue, 02 Oct 2096 07:06:40 GMT"

    def test_of_the_standard_say_nothing(self, example: Example) -> None:
        token = example.tokens()["access_token"]
        response = example.tokenize({"token": token}, path="/oauth/introspect")
        assert "deprecation" not in response.headers

    def test_are_counted(self, tmp_path: Path) -> None:
        with Example(tmp_path) as example:
            tokens = example.tokens()
            form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
            assert example.tokenize(form).status_code == 200
            deadline = time.monotonic() + 15
            while not uses(example) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert uses(example)  # while it runs
            password = {"grant_type": "password", "username": "admin", "password": "admin"}
            assert example.tokenize(password, auth=OLD).status_code == 200
        assert uses(example) == {
            ("test_client", "path /oauth/tokenize"): 2,
            ("test_client", "path /approve"): 2,
            (OLD[0], "path /oauth/tokenize"): 1,
            (OLD[0], "grant_type password"): 1,
        }
