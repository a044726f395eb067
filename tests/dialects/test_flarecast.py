"""What FLARECAST's clients send is answered as it always was (SEEDS F1 to F8, F13), and to nobody else."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx
import pytest

from jwtauth.dialects.flarecast import DIALECT, REDIRECT_URI
from jwtauth.endpoints.outcomes import Fault
from jwtauth.protocol import legacy
from jwtauth.protocol.records import GrantType
from tests.dialects.flarecast_service import F3, F4, F5, NAME, OWN, PORTAL, Service, asked, confirmed, running, seed
from tests.support.home import PASSWORD, SECRET
from tests.support.person import Person, answer, find_form, has_field, title
from tests.web.site import Site, assert_refused, basic, claims_of

F3_MEMBERS: Final = {"access_token", "token_type", "version", "expires_in", "scope"}
F4_MEMBERS: Final = {"token_type", "version", "access_token", "scope", "expires_in", "refresh_token"}

WAYS: Final = ("GET, query", "POST, query", "POST, form")
STRICT: Final = f"client_id=strict&client_secret={SECRET}"
STRICT_REQUESTS: Final = (
    f"grant_type=client_credentials&scope=read&{STRICT}",
    f"grant_type=password&scope=read&{STRICT}&username=ada&password={PASSWORD}",
    f"grant_type=refresh_token&scope=read&{STRICT}&refresh_token=whatever",
    f"grant_type=authorization_code&scope=read&{STRICT}&code=whatever&redirect_uri={PORTAL}",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from running(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on which no realm speaks this dialect."""
    site = Site(tmp_path_factory.mktemp("foreign"))
    site.home.client("strict", redirect_uris=(PORTAL,))
    with site:
        yield site


@pytest.fixture
def person(service: Service) -> Iterator[Person]:
    with service.browser() as browser:
        yield browser


def sent(service: Service, way: str, query: str) -> httpx.Response:
    """The same parameters in one of the ways that flask-oauthlib's clients have."""
    method, where = way.split(", ")
    if where == "query":
        return service.http.request(method, f"/oauth/token?{query}")
    return service.redeemed(dict(parse_qsl(query)))


def signed_in(person: Person, **more: str) -> httpx.Response:
    """The authorization page of the sample's client, before the sample's user."""
    return person.sign_in(person.open("/oauth/authorize", asked(**more)), "TestUser1", "1234")


def assert_answered(found: dict[str, Any], members: set[str]) -> None:
    """Exactly the printed members, with the printed types and defaults."""
    assert set(found) == members
    assert {name: found[name] for name in ("token_type", "version", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "version": "1.0.0",
        "expires_in": 86_400,
        "scope": "read",
    }
    assert type(found["expires_in"]) is int
    assert type(found["access_token"]) is str


def assert_misplaced(response: httpx.Response) -> None:
    """What was sent in the query is refused because of that."""
    assert_refused(response, 400, "invalid_request")
    assert "was sent in the query" in response.json()["error_description"]


class TestF1AuthorizationCode:
    def test_f1_whoever_has_no_session_is_sent_to_the_login_form(self, person: Person) -> None:
        response = person.http.get("/oauth/authorize", params=asked())
        assert response.status_code == 303
        assert response.headers["location"].startswith(f"{person.url}/login?")
        page = person.follow(response)
        assert page.status_code == 200
        assert {"username", "password"} <= find_form(page, ["username"]).names

    def test_f1_and_then_to_the_authorization_page(self, person: Person) -> None:
        page = signed_in(person)
        assert (page.status_code, title(page)) == (200, f"Allow access? · {person.url.removeprefix('http://')}")
        assert "Swagger UI" in page.text
        form = find_form(page, ["confirm"])
        assert form.action == "/oauth/authorize"
        assert re.findall(r'name="confirm" value="(\w+)"', page.text) == ["yes", "no"]

    @pytest.mark.parametrize(("client_id", "redirect_uri"), [("1234", REDIRECT_URI), ("portal", PORTAL)])
    def test_f1_whoever_has_a_session_sees_the_authorization_page_each_time(
        self, person: Person, client_id: str, redirect_uri: str
    ) -> None:
        signed_in(person)
        for _ in range(2):
            page = person.open("/oauth/authorize", asked(client_id, redirect_uri))
            assert has_field(page, "confirm")
            assert "code" in answer(confirmed(person, page), to=redirect_uri)

    def test_f1_unless_the_client_is_one_that_does_not_ask(self, person: Person) -> None:
        signed_in(person)
        assert "code" in answer(person.open("/oauth/authorize", asked("own", OWN)), to=OWN)

    def test_f1_a_client_may_still_say_itself_whether_it_wants_the_page(self, person: Person) -> None:
        signed_in(person)
        confirmed(person, person.open("/oauth/authorize", asked("portal", PORTAL)))
        seen = person.open("/oauth/authorize", asked("portal", PORTAL, prompt="none"))
        assert "code" in answer(seen, to=PORTAL)

    def test_f1_yes_leads_back_with_a_code_and_the_state(self, person: Person) -> None:
        found = answer(confirmed(person, signed_in(person)), to=REDIRECT_URI)
        assert found.keys() == {"code", "state", "iss"}
        assert found["state"] == "a state"

    def test_f1_no_leads_back_with_access_denied(self, person: Person) -> None:
        found = answer(confirmed(person, signed_in(person), "no"), to=REDIRECT_URI)
        assert (found["error"], found["state"]) == ("access_denied", "a state")
        assert "code" not in found

    def test_f1_another_account_may_be_chosen(self, person: Person) -> None:
        page = person.submit(signed_in(person), ("switch", "1"))
        assert has_field(page, "password")

    def test_f1_swagger_ui_may_listen_on_any_port(self, person: Person) -> None:
        other = REDIRECT_URI.replace("8080", "49152")
        found = answer(confirmed(person, signed_in(person, redirect_uri=other)), to=other)
        assert "code" in found

    def test_f1_the_request_may_come_as_a_form(self, person: Person) -> None:
        page = person.follow(person.http.post("/oauth/authorize", data=asked()))
        assert has_field(page, "password")

    @pytest.mark.parametrize("form", [{"confirm": "yes"}, {"confirm": "yes", "csrf": "x"}, {"decision": "allow"}])
    def test_f1_a_yes_that_is_not_of_our_page_is_worth_nothing(self, person: Person, form: dict[str, str]) -> None:
        signed_in(person)
        seen = person.follow(person.http.post("/oauth/authorize", data={**asked(), **form}))
        assert has_field(seen, "confirm"), "the person was not asked"
        page = person.open("/oauth/authorize", asked())
        forged = {"transaction": find_form(page, ["confirm"]).values["transaction"], **form}
        seen = person.http.post("/oauth/authorize", data=forged)
        assert seen.headers["location"] == f"{person.url}/oauth/errors?error=foreign_form"

    def test_f1_any_other_word_is_no_yes(self, person: Person) -> None:
        seen = person.post(signed_in(person), ("confirm", "perhaps"))
        assert seen.headers["location"] == f"{person.url}/oauth/errors?error=bad_request"


class TestF2CodeRedemption:
    def printed(self, service: Service) -> dict[str, str]:
        """The parameters that the documentation lists."""
        return {"scope": "read", "code": service.code(), "client_id": "1234", "redirect_uri": REDIRECT_URI}

    def test_f2_with_the_four_parameters(self, service: Service) -> None:
        response = service.redeemed(self.printed(service))
        assert response.status_code == 200, response.text
        assert_answered(response.json(), F4_MEMBERS)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_f2_with_the_grant_type_too_and_in_the_query(self, service: Service, method: str) -> None:
        parameters = {"grant_type": "authorization_code", **self.printed(service)}
        response = service.http.request(method, "/oauth/token", params=parameters)
        assert response.status_code == 200, response.text
        assert_answered(response.json(), F4_MEMBERS)

    def test_f2_the_token_is_the_persons(self, service: Service) -> None:
        found = service.redeemed(self.printed(service)).json()
        assert service.info(found["access_token"]).json()["id"] == 42

    def test_f2_a_code_is_good_once(self, service: Service) -> None:
        form = self.printed(service)
        assert service.redeemed(form).status_code == 200
        assert_refused(service.redeemed(form), 400, "invalid_grant")

    def test_f2_not_with_another_redirect_uri_nor_for_another_client(self, service: Service) -> None:
        form = self.printed(service)
        assert_refused(service.redeemed({**form, "redirect_uri": PORTAL}), 400, "invalid_grant")
        assert_refused(service.redeemed({**form, "client_id": "portal"}), 400, "invalid_grant")
        assert service.redeemed(form).status_code == 200

    def test_f2_a_wrong_secret_is_refused_though_none_is_needed(self, service: Service) -> None:
        form = self.printed(service)
        assert_refused(service.redeemed({**form, "client_secret": "wrong"}), 401, "invalid_client")
        assert service.redeemed({**form, "client_secret": "abcd"}).status_code == 200

    def test_f2_another_grant_type_is_not_made_a_code(self, service: Service) -> None:
        form = {**self.printed(service), "grant_type": "code"}
        assert_refused(service.redeemed({**form, "client_secret": "abcd"}), 400, "unsupported_grant_type")


class TestF3ClientCredentials:
    def test_f3_the_printed_request(self, service: Service) -> None:
        response = service.printed(F3)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        assert_answered(response.json(), F3_MEMBERS)

    def test_f3_the_token_is_the_clients(self, service: Service) -> None:
        claims = claims_of(service.earned(F3)["access_token"])
        assert (claims["sub"], claims["scope"]) == ("1234", "read")

    @pytest.mark.parametrize(
        "query", [F3.replace("abcd", "wrong"), F3.replace("&client_secret=abcd", ""), F3.replace("1234", "4321")]
    )
    def test_f3_not_without_the_secret(self, service: Service, query: str) -> None:
        assert_refused(service.printed(query), 401, "invalid_client")


class TestF4Password:
    def test_f4_the_printed_request(self, service: Service) -> None:
        response = service.printed(F4)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        assert_answered(response.json(), F4_MEMBERS)

    def test_f4_without_a_scope_it_is_read(self, service: Service) -> None:
        assert service.earned(F4.replace("scope=read&", ""))["scope"] == "read"

    def test_f4_several_scopes_are_separated_by_spaces(self, service: Service) -> None:
        assert service.earned(F4.replace("scope=read", "scope=read+write"))["scope"] == "read write"

    @pytest.mark.parametrize("change", [("password=1234", "password=12345"), ("TestUser1", "TestUser2")])
    def test_f4_wrong_password_and_unknown_user_are_refused_alike(
        self, service: Service, change: tuple[str, str]
    ) -> None:
        response = service.printed(F4.replace(*change))
        assert_refused(response, 400, "invalid_grant")
        assert response.json()["error_description"] == "username or password is wrong"
        assert "12345" not in response.text

    def test_f4_a_wrong_secret_is_refused_though_none_is_needed(self, service: Service) -> None:
        assert_refused(service.printed(f"{F4}&client_secret=wrong"), 401, "invalid_client")
        assert_answered(service.earned(f"{F4}&client_secret=abcd"), F4_MEMBERS)

    def test_f4_a_confidential_client_needs_its_secret(self, service: Service) -> None:
        query = F4.replace("client_id=1234", "client_id=confidential")
        assert_refused(service.printed(query), 401, "invalid_client")
        assert_answered(service.earned(f"{query}&client_secret={SECRET}"), F4_MEMBERS)

    def test_f4_a_public_client_has_none(self, service: Service) -> None:
        assert_answered(service.earned(F4.replace("client_id=1234", "client_id=public")), F4_MEMBERS)


class TestF5Refresh:
    def test_f5_the_printed_request(self, service: Service) -> None:
        before = service.earned(F4)
        response = service.printed(F5 + before["refresh_token"])
        assert response.status_code == 200, response.text
        after = response.json()
        assert_answered(after, F4_MEMBERS)
        assert after["access_token"] != before["access_token"]
        assert after["refresh_token"] != before["refresh_token"]

    def test_f5_the_new_one_is_good_and_the_old_one_then_ends_the_grant(self, service: Service) -> None:
        first = service.earned(F4)["refresh_token"]
        second = service.earned(F5 + first)["refresh_token"]
        third = service.earned(F5 + second)["refresh_token"]
        assert_refused(service.printed(F5 + first), 400, "invalid_grant")
        assert_refused(service.printed(F5 + third), 400, "invalid_grant")

    def test_f5_not_for_another_client(self, service: Service) -> None:
        token = service.earned(F4)["refresh_token"]
        other = F5.replace("client_id=1234", "client_id=portal")
        assert_refused(service.printed(other + token), 400, "invalid_grant")
        service.earned(F5 + token)

    def test_f5_a_wrong_secret_is_refused_though_none_is_needed(self, service: Service) -> None:
        token = service.earned(F4)["refresh_token"]
        assert_refused(service.printed(f"{F5}{token}&client_secret=wrong"), 401, "invalid_client")
        service.earned(F5 + token)


class TestF6VerifyAccessToken:
    def test_f6_the_printed_request(self, service: Service) -> None:
        response = service.info(service.earned(F4)["access_token"])
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        found = response.json()
        assert {"id": found["id"], "scope": found["scope"]} == {"id": 42, "scope": ["read"]}

    def test_f6_connexion_sends_it_in_the_header_and_reads_sub_or_uid(self, service: Service) -> None:
        token = service.earned(F4)["access_token"]
        found = service.http.get("/oauth/tokeninfo", headers={"authorization": f"Bearer {token}"}).json()
        assert found.keys() == {"id", "uid", "sub", "scope", "client_id", "exp", "expires_in"}
        assert (found["uid"], found["client_id"], found["scope"]) == (42, "1234", ["read"])

    def test_f6_a_token_that_another_client_obtained(self, service: Service) -> None:
        token = service.earned(F4.replace("client_id=1234", "client_id=portal"))["access_token"]
        assert service.info(token).json()["id"] == 42

    def test_f6_a_machine_has_no_id(self, service: Service) -> None:
        found = service.info(service.earned(F3)["access_token"]).json()
        assert (found["id"], found["sub"], found["scope"]) == (None, "1234", ["read"])

    def test_f6_a_missing_token_is_not_found(self, service: Service) -> None:
        self.assert_unauthorized(service.http.get("/oauth/tokeninfo"), "Bearer token not found.")

    @pytest.mark.parametrize("token", ["nonsense", "a.b.c"])
    def test_f6_an_unknown_token_is_not_found(self, service: Service, token: str) -> None:
        self.assert_unauthorized(service.info(token), "Bearer token not found.")

    def test_f6_a_changed_or_refresh_token_is_not_found(self, service: Service) -> None:
        found = service.earned(F4)
        self.assert_unauthorized(service.info(found["access_token"] + "A"), "Bearer token not found.")
        self.assert_unauthorized(service.info(found["refresh_token"]), "Bearer token not found.")

    def test_f6_a_token_that_was_good_once_is_expired(self, service: Service) -> None:
        token = service.earned(F4.replace("client_id=1234", "client_id=brief"))["access_token"]
        deadline = time.monotonic() + 10
        while (response := service.info(token)).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assert_unauthorized(response, "Bearer token is expired.")

    def test_f6_a_token_in_two_places_is_a_bad_request(self, service: Service) -> None:
        token = service.earned(F4)["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        response = service.http.get("/oauth/tokeninfo", params={"access_token": token}, headers=headers)
        assert_refused(response, 400, "invalid_request")

    def assert_unauthorized(self, response: httpx.Response, message: str) -> None:
        assert_refused(response, 401, "invalid_token")
        assert response.json()["error_description"] == message
        assert response.headers["www-authenticate"] == f'Bearer error="invalid_token", error_description="{message}"'


class TestF7Lifetime:
    @pytest.mark.parametrize("query", [F3, F4])
    def test_f7_a_token_lives_a_day_and_says_so(self, service: Service, query: str) -> None:
        found = service.earned(query)
        claims = claims_of(found["access_token"])
        assert claims["exp"] - claims["iat"] == found["expires_in"] == 86_400

    def test_f7_it_is_what_a_new_realm_begins_with(self) -> None:
        assert DIALECT.realm == {"access_token_in": 86_400}


class TestF8Query:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("query", "members"), [(F3, F3_MEMBERS), (F4, F4_MEMBERS)], ids=["F3", "F4"])
    def test_f8_in_the_query_or_the_form_by_get_or_post(
        self, service: Service, way: str, query: str, members: set[str]
    ) -> None:
        response = sent(service, way, query)
        assert response.status_code == 200, response.text
        assert_answered(response.json(), members)

    @pytest.mark.parametrize("way", WAYS)
    def test_f8_refreshing_alike(self, service: Service, way: str) -> None:
        response = sent(service, way, F5 + service.earned(F4)["refresh_token"])
        assert response.status_code == 200, response.text
        assert_answered(response.json(), F4_MEMBERS)

    def test_f8_part_in_the_query_and_part_in_the_form(self, service: Service) -> None:
        form = {"username": "TestUser1", "password": "1234"}
        response = service.post("/oauth/token?grant_type=password&scope=read&client_id=1234", form, auth=None)
        assert response.status_code == 200, response.text
        assert_answered(response.json(), F4_MEMBERS)

    def test_f8_nothing_twice(self, service: Service) -> None:
        assert_refused(service.printed(f"{F3}&scope=write"), 400, "invalid_request")
        assert_refused(service.post(f"/oauth/token?{F3}", {"scope": "read"}, auth=None), 400, "invalid_request")

    def test_f8_no_other_method(self, service: Service) -> None:
        response = service.http.put(f"/oauth/token?{F3}")
        assert response.status_code == 405


class TestF13Algorithms:
    def test_f13_a_machine_in_a_container_gets_its_token_alike(self, service: Service) -> None:
        query = F3.replace("1234", "algorithm").replace("abcd", SECRET)
        found = service.earned(query)
        assert_answered(found, F3_MEMBERS)
        assert service.info(found["access_token"]).json()["client_id"] == "algorithm"

    def test_f13_and_nothing_else(self, service: Service) -> None:
        query = F4.replace("client_id=1234", f"client_id=algorithm&client_secret={SECRET}")
        assert_refused(service.printed(query), 400, "unauthorized_client")


class TestUiErrors:
    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"client_id": "nobody"}, Fault.UNKNOWN_CLIENT),
            ({"client_id": ""}, Fault.BAD_REQUEST),
            ({"redirect_uri": "https://evil.example/"}, Fault.BAD_REDIRECT_URI),
        ],
    )
    def test_ui_what_cannot_be_answered_leads_to_the_error_page(
        self, person: Person, changes: dict[str, str], fault: Fault
    ) -> None:
        response = person.http.get("/oauth/authorize", params={**asked(), **changes})
        assert response.status_code == 303
        assert response.headers["location"] == f"{person.url}/oauth/errors?error={fault}"
        page = person.follow(response)
        assert page.status_code == 400
        assert "evil" not in page.text

    def test_ui_what_can_be_answered_does_not(self, person: Person) -> None:
        found = answer(person.open("/oauth/authorize", asked(scope="admin")), to=REDIRECT_URI)
        assert found["error"] == "invalid_scope"

    @pytest.mark.parametrize("fault", Fault)
    def test_ui_the_error_page_has_a_text_for_each_of_our_words(self, person: Person, fault: Fault) -> None:
        page = person.http.get("/oauth/errors", params={"error": fault})
        assert page.status_code >= 400
        assert len(title(page)) > 20

    @pytest.mark.parametrize("word", ["<script>alert(1)</script>", "Call 0900-1234 now", "invalid_client_id", ""])
    def test_ui_the_error_page_shows_nothing_that_was_sent(self, person: Person, word: str) -> None:
        page = person.http.get("/oauth/errors", params={"error": word, "error_description": "Call 0900-1234 now"})
        assert page.status_code == 400
        assert title(page).startswith("This request cannot be understood")
        assert not [text for text in ("0900", "alert", "invalid_client_id") if text in page.text]

    def test_ui_two_words_are_none(self, person: Person) -> None:
        page = person.http.get("/oauth/errors?error=expired&error=server")
        assert title(page).startswith("This request cannot be understood")


class TestRevoke:
    """flask-oauthlib's revoke handler: `token` and `token_type_hint`."""

    CREDENTIALS: Final = {"client_id": "1234", "client_secret": "abcd"}

    @pytest.mark.parametrize("hint", ["access_token", "refresh_token"])
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    @pytest.mark.parametrize("where", ["data", "params"])
    def test_ends_the_token_and_its_grant(self, service: Service, where: str, kind: str, hint: str) -> None:
        found = service.earned(F4)
        parameters = {"token": found[kind], "token_type_hint": hint, **self.CREDENTIALS}
        response = service.http.post("/oauth/revoke", **{where: parameters})  # type: ignore[arg-type]
        assert (response.status_code, response.content) == (200, b"")
        assert service.info(found["access_token"]).status_code == 401
        assert_refused(service.printed(F5 + found["refresh_token"]), 400, "invalid_grant")

    def test_needs_the_secret(self, service: Service) -> None:
        found = service.earned(F4)
        for credentials in ({"client_id": "1234"}, {"client_id": "1234", "client_secret": "wrong"}, {}):
            response = service.http.post("/oauth/revoke", data={"token": found["access_token"], **credentials})
            assert_refused(response, 401, "invalid_client")
        assert service.info(found["access_token"]).status_code == 200

    def test_a_public_client_says_who_it_is(self, service: Service) -> None:
        found = service.earned(F4.replace("client_id=1234", "client_id=public"))
        response = service.http.post("/oauth/revoke", data={"token": found["access_token"], "client_id": "public"})
        assert response.status_code == 200
        assert service.info(found["access_token"]).status_code == 401

    def test_leaves_the_tokens_of_others_alone(self, service: Service) -> None:
        token = service.earned(F4.replace("client_id=1234", "client_id=portal"))["access_token"]
        assert service.http.post("/oauth/revoke", data={"token": token, **self.CREDENTIALS}).status_code == 200
        assert service.info(token).status_code == 200


class TestSwaggerUi:
    """F12: a script in the browser redeems the code."""

    ORIGIN: Final = {"origin": "http://127.0.0.1:8080"}

    def test_f12_its_origin_may_call_the_token_endpoint(self, service: Service) -> None:
        asking = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        response = service.http.options("/oauth/token", headers={**self.ORIGIN, **asking})
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == self.ORIGIN["origin"]

    def test_f12_and_read_what_it_earns(self, service: Service) -> None:
        form = {"grant_type": "authorization_code", "code": service.code(), "redirect_uri": REDIRECT_URI}
        response = service.token({**form, "client_id": "1234"}, auth=None, headers=self.ORIGIN)
        assert response.headers["access-control-allow-origin"] == self.ORIGIN["origin"]
        assert_answered(response.json(), F4_MEMBERS)


class TestStrictRealm:
    """A client of a realm beside it is refused as ever."""

    @pytest.mark.parametrize("query", STRICT_REQUESTS)
    def test_no_parameters_in_the_query(self, service: Service, query: str) -> None:
        assert_misplaced(service.http.post(f"/oauth/token?{query}"))

    @pytest.mark.parametrize("query", STRICT_REQUESTS)
    def test_no_get(self, service: Service, query: str) -> None:
        assert_refused(service.printed(query), 405, "invalid_request")

    def test_no_version(self, service: Service) -> None:
        response = sent(service, "POST, form", STRICT_REQUESTS[0])
        assert response.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert response.json()["expires_in"] == 3_600

    def test_no_grant_without_the_secret_or_the_grant_type(self, service: Service) -> None:
        form = dict(parse_qsl(STRICT_REQUESTS[1]))
        del form["client_secret"]
        assert_refused(service.redeemed(form), 401, "invalid_client")
        form = dict(parse_qsl(STRICT_REQUESTS[3]))
        del form["grant_type"]
        assert_refused(service.redeemed(form), 400, "invalid_request")

    def test_no_revocation_in_the_query(self, service: Service) -> None:
        assert_misplaced(service.http.post(f"/oauth/revoke?token=x&{STRICT}"))

    def test_no_way_to_the_error_page_and_none_such(self, person: Person) -> None:
        page = person.http.get("/oauth/authorize", params=asked("strict", "https://evil.example/"))
        assert (page.status_code, "location" in page.headers) == (400, False)
        assert person.http.get("/oauth/errors", params={"client_id": "strict"}).status_code == 404

    def test_its_authorization_page_and_its_memory_are_the_standards(self, person: Person) -> None:
        page = person.sign_in(person.open("/oauth/authorize", asked("strict", PORTAL)), "ada")
        assert find_form(page, ["decision"]).action == "/consent"
        forged = {**find_form(page, ["decision"]).values, "confirm": "yes"}
        seen = person.http.post("/oauth/authorize", data=forged)
        assert "code=" not in seen.headers["location"]
        assert "code" in answer(person.allow(page), to=PORTAL)
        assert "code" in answer(person.open("/oauth/authorize", asked("strict", PORTAL)), to=PORTAL)


class TestWithoutSuchARealm:
    def test_its_own_path_is_not_there(self, foreign: Site) -> None:
        assert foreign.http.get("/oauth/errors?error=expired").status_code == 404

    def test_the_token_endpoint_is_the_standards(self, foreign: Site) -> None:
        assert foreign.http.get(f"/oauth/token?{F3}").status_code == 405
        assert_misplaced(foreign.http.post(f"/oauth/token?{F3}"))
        assert "version" not in foreign.granted({"grant_type": "client_credentials"}, auth=("strict", SECRET))

    def test_tokeninfo_and_the_error_page_are_the_standards(self, foreign: Site) -> None:
        assert_refused(foreign.http.get("/oauth/tokeninfo"), 400, "invalid_request")
        assert foreign.http.get("/oauth/authorize", params=asked("nobody")).status_code == 400


class TestSunset:
    FADING: Final = (
        F4.replace("client_id=1234", "client_id=fading")
        .replace("TestUser1", "ada")
        .replace("password=1234", f"password={PASSWORD}")
    )
    ENDED: Final = FADING.replace("client_id=fading", "client_id=ended")

    def test_every_answer_through_a_legacy_door_says_when_it_was_deprecated(self, service: Service) -> None:
        for query in (F3, F4):
            response = service.printed(query)
            assert response.headers["deprecation"] == f"@{legacy.DEPRECATED_AT}"
            assert "sunset" not in response.headers

    def test_and_until_when_it_is_there(self, service: Service) -> None:
        response = service.printed(self.FADING)
        assert response.status_code == 200, response.text
        assert response.headers["deprecation"] == f"@{legacy.DEPRECATED_AT}"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.headers["sunset"])

    def test_refusals_say_so_too(self, service: Service) -> None:
        response = service.printed(F4.replace("password=1234", "password=12345"))
        assert response.status_code == 400
        assert "deprecation" in response.headers

    def test_what_is_no_legacy_is_not_deprecated(self, service: Service) -> None:
        response = sent(service, "POST, form", F3)
        assert response.status_code == 200
        assert "deprecation" not in response.headers

    def test_afterwards_no_parameters_in_the_query(self, service: Service) -> None:
        for query in (self.ENDED, F3.replace("1234", "ended").replace("abcd", SECRET)):
            assert_misplaced(service.http.post(f"/oauth/token?{query}"))
            assert service.printed(query).status_code == 405

    def test_afterwards_no_legacy_grant_and_none_without_a_secret(self, service: Service) -> None:
        form = dict(parse_qsl(self.ENDED))
        assert_refused(service.redeemed(form), 401, "invalid_client")
        assert_refused(service.redeemed({**form, "client_secret": SECRET}), 400, "unauthorized_client")

    def test_afterwards_the_rest_works_as_the_standard_has_it(self, service: Service) -> None:
        form = {"grant_type": "client_credentials", "client_id": "ended", "client_secret": SECRET}
        response = service.redeemed(form)
        assert response.status_code == 200
        assert "version" not in response.json()

    def test_afterwards_no_error_page(self, person: Person) -> None:
        assert person.http.get("/oauth/errors", params={"client_id": "ended"}).status_code == 410
        page = person.http.get("/oauth/authorize", params=asked("ended", "https://evil.example/"))
        assert (page.status_code, "location" in page.headers) == (400, False)

    def test_without_any_realm_left_the_error_page_is_gone(self, tmp_path: Path) -> None:
        site = Site(tmp_path, default_realm=NAME)
        seed(site.home)
        with site:
            assert site.http.get("/oauth/errors?error=expired").status_code == 400
            site.home.realm(NAME, sunset_at=int(time.time()) - 1)
            assert site.http.get("/oauth/errors?error=expired").status_code == 404
            assert_misplaced(site.http.post(f"/oauth/token?{F3}"))


class TestCounted:
    def test_every_use_is_counted_per_client_and_door(self, service: Service) -> None:
        found = self.used(service)
        service.earned(F5.replace("1234", "counted") + found["refresh_token"])
        service.printed(F4.replace("client_id=1234", "client_id=counted").replace("password=1234", "password=no"))
        code = service.code("counted")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "client_id": "counted"}
        assert service.redeemed(form).status_code == 200
        expected = {
            legacy.QUERY: 4,
            legacy.NO_SECRET: 3,
            legacy.of_grant_type(GrantType.PASSWORD): 2,
        }
        deadline = time.monotonic() + 15
        while self.counted(service) != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.counted(service) == expected

    def used(self, service: Service) -> dict[str, Any]:
        """Through the doors once each, and one grant that is deprecated whatever is sent with it."""
        service.earned(F3.replace("1234", "counted").replace("abcd", SECRET))
        query = F4.replace("client_id=1234", "client_id=counted")
        service.earned(f"{query}&client_secret={SECRET}")
        return service.earned(query)

    def counted(self, service: Service) -> dict[str, int]:
        async def uses(store: Any) -> dict[str, int]:
            return {use.door: use.count for use in await store.legacy_uses.all(NAME) if use.client_id == "counted"}

        return service.home.ask(uses)


class TestLog:
    def test_it_knows_nothing_that_was_sent_as_a_secret(self, service: Service) -> None:
        service.home.user("grace", "a password that nobody else has", roles={NAME: ()})
        query = F4.replace("TestUser1", "grace").replace("client_id=1234", f"client_id=portal&client_secret={SECRET}")
        right = query.replace("password=1234", "password=a password that nobody else has")
        found = service.earned(right)
        values = {"password": "a password that nobody else has", "secret": SECRET}
        values |= {name: found[name] for name in ("access_token", "refresh_token")}
        values |= {"wrong password": "a-password-that-is-wrong", "wrong secret": "a-secret-that-is-wrong"}
        values["code"] = service.code("portal", PORTAL)
        service.printed(right.replace(SECRET, values["wrong secret"]))
        service.printed(query.replace("password=1234", f"password={values['wrong password']}"))
        for name, value in values.items():
            service.printed(f"grant_type={value}&client_id=1234&client_secret={value}&{name.replace(' ', '_')}={value}")
            service.printed(F5.replace("1234", "portal") + value)
            service.info(value)
            service.http.get("/oauth/errors", params={"error": value})
            service.http.get("/oauth/authorize", params={**asked(), "state": value, "code": value})
            service.http.post("/oauth/authorize", data={**asked(), "confirm": value, "transaction": value})
            service.http.post("/oauth/revoke", params={"token": value, "client_id": "portal", "client_secret": value})
            service.redeemed({"code": value, "client_id": "portal", "redirect_uri": PORTAL})
        log = service.server.log.read_text()
        assert "request.refused" in log, "nothing was logged at all"
        assert [name for name, value in values.items() if value in log] == []


class TestSample:
    def test_it_is_for_demonstration(self) -> None:
        sample = DIALECT.sample
        assert sample is not None
        assert [(client.client_id, secret, client.is_demo) for client, secret in sample.clients] == [
            ("1234", "abcd", True)
        ]
        assert [(one.user.username, one.user.id, one.password, one.user.is_demo) for one in sample.users] == [
            ("TestUser1", 42, "1234", True)
        ]

    def test_its_commands_work_in_their_order(self, service: Service, tmp_path: Path) -> None:
        sample = DIALECT.sample
        assert sample is not None
        *commands, (_, page), (_, exchange) = sample.commands(service.server.url)
        assert page in commands[-1][1]
        told = [
            subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
            for command in (
                *(command for _, command in commands),
                exchange.replace("PASTE-THE-CODE-HERE", service.code()),
            )
        ]
        assert ['"version":"1.0.0"' in text for text in told] == [True, True, False, True, False, False, True]
        assert '"refresh_token":' in told[6]
        assert '"id":42' in told[2]
        assert told[4].endswith("HTTP 200\n")
        assert told[5].startswith(f"{service.server.url}/login?")


def test_a_client_authenticates_by_the_one_method_it_is_registered_with(service: Service) -> None:
    """Not a row: flask-oauthlib took Basic too; here a client has one method (SECURITY C-10)."""
    headers = {"authorization": basic("1234", "abcd")}
    response = service.http.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert_refused(response, 401, "invalid_client")
