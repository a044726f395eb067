"""No secret is written down where somebody could read it: log, database, pages (SECURITY S-09 to S-11, P-14, D-06)."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import pytest

from tests.attacks.forging import INJECTIONS, cookie, credentials, hidden, send, tried
from tests.support.home import PASSWORD, SECRET
from tests.support.person import VERIFIER, Person, answer, has_field, redemption, request
from tests.web.people import GOODBYE, Service, running
from tests.web.site import basic

WRONG_PASSWORD: Final = "a wrong password that somebody typed"
NEW_PASSWORD: Final = "a new password that was chosen"
WRONG_SECRET: Final = "a-wrong-secret-of-a-client"
STATE: Final = "state-that-is-the-client's-own-matter"


@pytest.fixture(scope="module", params=["human", "json"])
def service(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Logging in either form."""
    yield from running(tmp_path_factory.mktemp("service"), log_format=request.param)


@pytest.fixture(scope="module")
def used(service: Service) -> dict[str, str]:
    """Every secret that was used in all flows, right and wrong, in its right place and in wrong ones."""
    found = {"password": PASSWORD, "secret": SECRET, "wrong password": WRONG_PASSWORD, "wrong secret": WRONG_SECRET}
    found |= {"verifier": VERIFIER, "new password": NEW_PASSWORD, "state": STATE}
    service.home.user("hugo")
    with service.browser() as person:
        page = person.authorize(state=STATE)
        found["browser cookie"] = cookie(person, "browser")
        tried(person, page, credentials("hugo", WRONG_PASSWORD))
        page = tried(person, page, credentials("hugo"))
        found["session cookie"] = cookie(person, "session")
        found |= {"transaction": hidden(page, "transaction"), "csrf": hidden(page, "csrf")}
        send(person, page, {"decision": "allow", "csrf": found["csrf"][:-1] + "_"})
        found["code"] = answer(person.allow(page))["code"]
        misplaced(service, person, found)
        tokens = service.redeem(found["code"]).json()
        found |= {name: tokens[name] for name in ("access_token", "refresh_token", "id_token")}
        refreshed = service.refresh(tokens["refresh_token"], auth=("web", SECRET)).json()
        found |= {f"second {name}": refreshed[name] for name in ("access_token", "refresh_token")}
        service.userinfo(tokens["access_token"])
        for name in ("access_token", "refresh_token", "id_token"):
            service.http.get("/oauth/userinfo", params={"access_token": tokens[name]})
            service.http.get("/oauth/tokeninfo", params={"access_token": tokens[name]})
            service.post("/oauth/introspect", {"token": tokens[name]}, auth=("web", WRONG_SECRET))
            person.authorize(id_token_hint=tokens[name])
        service.redeem(found["code"])
        found["second code"] = person.grant()["code"]
        change = {
            "new_password": NEW_PASSWORD,
            "repeated_password": NEW_PASSWORD,
            "action": "change_password",
            "sid": "",
        }
        tried(person, person.open("/account"), {**change, "current_password": WRONG_PASSWORD})
        tried(person, person.open("/account"), {**change, "current_password": PASSWORD})
        found["second session cookie"] = cookie(person, "session")
        person.open("/oauth/logout", {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": GOODBYE})
    assert len({*found.values()}) == len(found)
    assert all(len(value) >= 20 for value in found.values())
    return found


def misplaced(service: Service, person: Person, found: dict[str, str]) -> None:
    """Secrets where they do not belong: in queries, in other parameters, in names, in headers."""
    for value in [*found.values()]:
        headers = {"authorization": basic("web", WRONG_SECRET)}
        service.http.post(
            "/oauth/token", params={"code": value, "password": value}, data={value: value}, headers=headers
        )
        service.token({"grant_type": value, "scope": value, "resource": value}, auth=("web", SECRET))
        service.token({**redemption(value), "code_verifier": value}, auth=("web", SECRET))
        service.token({"grant_type": "password", "username": "ada", "password": value}, auth=("web", SECRET))
        service.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {value}"})
        service.http.get("/nope", params={"x": value}, headers={"referer": value, "user-agent": "x"})
        for path in ("/login", "/oauth/logout", "/account", "/oauth/authorize"):
            person.http.get(path, params={"password": value, "transaction": value, "state": value})
            service.http.post(path, data={"password": value, "csrf": value, "transaction": value, "code": value})
        asked = {**request(), "scope": value, "state": value, "claims": value, "max_age": value}
        person.http.get("/oauth/authorize", params=asked)


def test_s_09_p_14_the_log_knows_no_secret(service: Service, used: dict[str, str]) -> None:
    log = service.server.log.read_text()
    assert "sign_in.refused" in log, "nothing was logged at all"
    assert [name for name, value in used.items() if value in log] == []


def test_s_10_p_14_the_database_knows_no_secret(service: Service, used: dict[str, str]) -> None:
    """Neither as text nor what a code's or token's characters stand for; nor the journal beside it."""
    kept = b"".join(path.read_bytes() for path in service.home.path.glob("jwtauth.db*"))
    assert b"hugo" in kept, "this is not the database"
    known = {name: value.encode() for name, value in used.items()}
    known |= {
        f"proof of {name}": value[-30:].encode() for name, value in used.items() if name.endswith(("code", "_token"))
    }
    assert [name for name, value in known.items() if value in kept] == []


def test_s_09_no_page_shows_a_password_or_a_cookie(service: Service) -> None:
    with service.browser() as person:
        page = tried(person, person.authorize(), credentials("ada", WRONG_PASSWORD))
        assert has_field(page, "password")
        assert WRONG_PASSWORD not in page.text
        page = tried(person, page, credentials())
        for shown in (page, person.open("/account"), person.open("/oauth/logout")):
            assert PASSWORD not in shown.text
            for kind in ("session", "browser"):
                assert cookie(person, kind) not in shown.text


def test_d_06_no_line_of_the_log_was_written_by_a_visitor(service: Service) -> None:
    injected = (
        "a\r\nINJECTED line",
        "a\nINJECTED line",
        "\x1b[2JINJECTED",
        "a\u2028INJECTED line",
        "a\x85INJECTED line",
    )
    with service.browser() as person:
        for value in injected:
            for name in ("client_id", "redirect_uri", "scope", "prompt", "response_mode", value):
                person.http.get("/oauth/authorize", params={**request(), name: value})
            tried(person, person.authorize(), credentials(value, value))
            person.http.get(f"/nope/{quote(value)}")
            person.http.get("/oauth/logout", params={"client_id": value})
    log = service.server.log.read_bytes().decode()
    assert not [line for line in log.splitlines() if line.lstrip().startswith("INJECTED")]
    assert "\x1b" not in log


def test_s_11_injected_statements_are_values_everywhere(service: Service) -> None:
    with service.browser() as person:
        for value in INJECTIONS:
            page = tried(person, person.authorize(), credentials(value, value))
            assert has_field(page, "password")
            person.http.get("/oauth/authorize", params={**request(), "client_id": value})
            person.http.get("/oauth/logout", params={"client_id": value, "id_token_hint": value})
        assert "code" in person.grant()
    assert len(service.dump(["users"])["users"]) >= 3
