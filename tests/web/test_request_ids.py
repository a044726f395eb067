"""One request id through answer, log, audit log and error page; nobody but a trusted proxy chooses it."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jwtauth.observe import audit_chain
from tests.support.home import SECRET
from tests.web.people import Service
from tests.web.site import Site, basic

HEADER = "x-request-id"
GENERATED = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{19}")
WITHIN = 20.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("ids"), log_format="json")
    service.home.client("own")
    service.home.user("ada")
    with service:
        yield service


@pytest.fixture(scope="module")
def behind_a_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("proxied"), trusted_proxies=["127.0.0.1"])
    site.home.client("own")
    with site:
        yield site


def audited(site: Site | Service, request_id: str) -> dict[str, Any]:
    """The entry of the audit log about a request, once it is written."""
    deadline = time.monotonic() + WITHIN
    folder = site.home.source.audit
    assert folder is not None
    while time.monotonic() < deadline:
        for entry in audit_chain.entries(folder):
            if entry.get("request_id") == request_id:
                return entry
    raise AssertionError("the audit log has no such request")


def logged(site: Site | Service, request_id: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in site.server.log.read_text().splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("request_id") == request_id]


class TestEveryAnswer:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/oauth/token"),
            ("POST", "/oauth/introspect"),
            ("GET", "/oauth/userinfo"),
            ("OPTIONS", "/oauth/token"),
            ("GET", "/oauth/token"),
            ("GET", "/oauth/authorize"),
            ("GET", "/login"),
            ("GET", "/nowhere"),
            ("GET", "/readyz"),
        ],
    )
    def test_names_its_request(self, service: Service, method: str, path: str) -> None:
        first, second = (service.http.request(method, path).headers[HEADER] for _ in range(2))
        assert GENERATED.fullmatch(first)
        assert first != second

    def test_never_names_it_as_an_option_of_a_command_is_named(self, service: Service) -> None:
        named = [service.http.get("/healthz/nowhere").headers[HEADER] for _ in range(300)]  # one in 32 was
        assert all(GENERATED.fullmatch(one) for one in named)

    def test_has_the_id_of_its_line_in_the_log_and_in_the_audit_log(self, service: Service) -> None:
        refused = httpx.post(
            f"{service.server.url}/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"authorization": basic("own", "wrong")},
        )
        request_id = refused.headers[HEADER]
        (line,) = logged(service, request_id)
        entry = audited(service, request_id)
        assert line["name"] == entry["name"] == "request.refused"
        assert (entry["client_id"], entry["code"], entry["check"]) == ("own", "invalid_client", "client_secret")
        assert entry["address"] == "127.0.0.1"

    @pytest.mark.parametrize("sent", ["pasted-here", "https://u:pasted-here@own.example/back", "//pasted-here@x:y"])
    def test_s_09_has_no_line_with_what_was_pasted_into_a_redirect_uri(self, service: Service, sent: str) -> None:
        asked = {"client_id": "own", "response_type": "code", "redirect_uri": sent}
        entry = audited(service, service.http.get("/oauth/authorize", params=asked).headers[HEADER])
        assert entry["check"] == "redirect_uri"
        assert "pasted-here" not in str(entry)

    def test_s_09_has_no_line_with_what_was_pasted_into_a_scope(self, service: Service) -> None:
        refused = service.token({"grant_type": "client_credentials", "scope": "pasted-here"}, auth=("own", SECRET))
        assert refused.json()["error"] == "invalid_scope"
        entry = audited(service, refused.headers[HEADER])
        assert (entry["code"], entry["reason"]) == ("invalid_scope", "scope")
        assert "pasted-here" not in str(entry)

    def test_b_10_that_was_throttled_is_told_with_the_account_that_waits(self, service: Service) -> None:
        guess = {"grant_type": "password", "username": "ada", "password": "wrong"}
        guesses = (service.token(guess, auth=("own", SECRET)) for _ in range(12))
        throttled = next(answer for answer in guesses if answer.status_code == 429)
        entry = audited(service, throttled.headers[HEADER])
        (ada,) = service.dump(("users",))["users"]
        assert (entry["client_id"], entry["uid"]) == ("own", ada[0])
        assert "uid" not in throttled.text

    def test_that_gives_a_token_is_in_the_audit_log_alone(self, service: Service) -> None:
        given = service.token({"grant_type": "client_credentials"}, auth=("own", SECRET))
        entry = audited(service, given.headers[HEADER])
        assert (entry["name"], entry["client_id"]) == ("token.issued", "own")
        assert logged(service, given.headers[HEADER]) == []

    def test_that_is_an_error_page_shows_it(self, service: Service) -> None:
        page = service.http.get("/oauth/authorize", params={"client_id": "nobody"})
        assert page.headers[HEADER] in page.text
        assert audited(service, page.headers[HEADER])["check"] == "client_id"


class TestAProxy:
    def test_that_is_trusted_names_the_request(self, behind_a_proxy: Site) -> None:
        answer = behind_a_proxy.http.get("/oauth/userinfo", headers={HEADER: "edge-0123456789"})
        assert answer.headers[HEADER] == "edge-0123456789"

    @pytest.mark.parametrize("sent", ["short", "a" * 65, "has space in it", "semi;colon;here", "<script>alert"])
    def test_d_06_cannot_name_it_anything(self, behind_a_proxy: Site, sent: str) -> None:
        answer = behind_a_proxy.http.get("/oauth/userinfo", headers={HEADER: sent})
        assert GENERATED.fullmatch(answer.headers[HEADER])

    def test_that_is_not_trusted_is_not_heeded(self, service: Service) -> None:
        answer = service.http.get("/oauth/userinfo", headers={HEADER: "edge-0123456789"})
        assert GENERATED.fullmatch(answer.headers[HEADER])


class TestDocuments:
    """May be kept by caches: the id of one request would be that of many."""

    @pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/oauth/status"])
    def test_name_no_request(self, service: Service, path: str) -> None:
        assert HEADER not in service.http.get(path).headers


def test_the_audit_log_of_a_running_service_is_whole(service: Service, tmp_path: Path) -> None:
    folder = service.home.source.audit
    assert folder is not None
    chain = audit_chain.verify(folder)
    assert chain.lines > 0
    assert chain.damage == ()
