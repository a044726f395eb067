"""/metrics: what two workers counted together, and who may read it (SECURITY S-09)."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from jwtauth.settings import Settings
from jwtauth.web.http import MAX_HEAD
from jwtauth.web.metrics import Readers
from jwtauth.web.types import HTTPScope
from tests.support.home import PASSWORD, SECRET
from tests.web.people import Service, populate

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "observing.md"
WITHIN: Final = 60.0
"""Seconds for what happens at once on an idle machine."""

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("metrics"), workers=2)
    populate(service)
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


def families(service: Service) -> list[Metric]:
    """Everything that is told, read by the library that made it; a connection of its own reaches any worker."""
    response = httpx.get(f"{service.server.url}/metrics", timeout=20, verify=False)
    assert response.status_code == 200, response.text
    return list(text_string_to_metric_families(response.text))


def values(service: Service) -> Values:
    """Every sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(service)
        for sample in family.samples
    }


def value(found: Values, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Rise:
    """How much every number rises between two looks. The other worker's may come a second late."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._before = values(service)

    def of(self, name: str, **labels: str) -> float:
        return value(values(self._service), name, **labels) - value(self._before, name, **labels)

    def reaches(self, expected: float, name: str, **labels: str) -> None:
        """It is this, and no more."""
        until(lambda: self.of(name, **labels) >= expected)
        assert self.of(name, **labels) == expected


class TestNumbers:
    def test_rise_with_what_happens(self, service: Service) -> None:
        rise = Rise(service)
        with service.browser() as person:
            service.token({"grant_type": "client_credentials"}, auth=("machine", SECRET))
            tokens = service.tokens(person, scope="openid offline_access")
            first = tokens["refresh_token"]
            second = service.refresh(first, auth=("web", SECRET)).json()["refresh_token"]
            assert service.refresh(first, auth=("web", SECRET)).status_code == 200
            service.refresh(second, auth=("web", SECRET))
            assert service.refresh(first, auth=("web", SECRET)).status_code == 400
        with service.browser() as stranger:
            stranger.sign_in(stranger.authorize(), "ada", "a wrong password")
        machine = service.token({"grant_type": "client_credentials"}, auth=("bare", SECRET)).json()["access_token"]
        service.post("/oauth/revoke", {"token": machine}, auth=("bare", SECRET))
        service.token({"grant_type": "client_credentials"}, auth=("bare", "wrong"))
        rise.reaches(2, "jwtauth_tokens_issued_total", grant_type="client_credentials")
        rise.reaches(1, "jwtauth_tokens_issued_total", grant_type="authorization_code")
        rise.reaches(3, "jwtauth_tokens_issued_total", grant_type="refresh_token")
        rise.reaches(2, "jwtauth_refresh_tokens_total", outcome="rotated")
        rise.reaches(1, "jwtauth_refresh_tokens_total", outcome="retried")
        rise.reaches(1, "jwtauth_refresh_tokens_total", outcome="reused")
        rise.reaches(1, "jwtauth_sign_ins_total", outcome="ok")
        rise.reaches(1, "jwtauth_sign_ins_total", outcome="refused")
        rise.reaches(2, "jwtauth_revocations_total")
        rise.reaches(1, "jwtauth_events_total", event="request.refused", code="invalid_client")
        rise.reaches(6, "jwtauth_http_requests_total", endpoint="/oauth/token", status="2xx")
        rise.reaches(2, "jwtauth_http_requests_total", endpoint="/oauth/token", status="4xx")
        rise.reaches(8, "jwtauth_http_request_duration_seconds_count", endpoint="/oauth/token")
        assert rise.of("jwtauth_commit_writes_sum") >= rise.of("jwtauth_commit_duration_seconds_count") > 0

    def test_of_throttled_sign_ins_rise(self, service: Service) -> None:
        rise = Rise(service)
        with service.browser() as person:
            for _ in range(7):
                person.sign_in(person.authorize(), "somebody-guessed", "a wrong password")
        until(lambda: rise.of("jwtauth_sign_ins_total", outcome="throttled") >= 1)
        assert rise.of("jwtauth_sign_ins_total", outcome="refused") >= 5

    def test_of_the_database_and_the_keys_are_true(self, service: Service) -> None:
        found = values(service)
        assert value(found, "jwtauth_database_bytes") > 100_000
        assert value(found, "jwtauth_database_free_bytes") > 0
        for algorithm in ("ES256", "RS256"):
            assert 0 <= value(found, "jwtauth_signing_key_age_seconds", algorithm=algorithm) < 3_600
        assert value(found, "jwtauth_workers") == 2

    def test_of_what_is_open_rise_and_fall(self, service: Service) -> None:
        def listeners() -> float:
            return value(values(service), "jwtauth_status_listeners")

        with httpx.stream("GET", f"{service.server.url}/oauth/status/events", timeout=20, verify=False) as stream:
            lines = stream.iter_lines()  # to let go of it would close the connection
            assert next(lines)
            until(lambda: listeners() == 1)
            assert value(values(service), "jwtauth_connections") >= 2
        until(lambda: listeners() == 0)

    def test_of_what_no_application_saw_rise_by_status(self, service: Service) -> None:
        rise = Rise(service)
        for _ in range(2):
            assert raw(service, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert raw(service, b"GET / HTTP/1.1\r\nx: " + b"x" * MAX_HEAD + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
        rise.reaches(2, "jwtauth_requests_unreadable_total", status="400")
        rise.reaches(1, "jwtauth_requests_unreadable_total", status="431")
        rise.reaches(0, "jwtauth_requests_unreadable_total", status="408")

    def test_of_what_there_may_be_are_those_of_both_workers(self, service: Service) -> None:
        found = values(service)
        assert value(found, "jwtauth_connections_limit") == 2 * service.home.source.settings.max_connections
        assert value(found, "jwtauth_keys_readable") == 1

    def test_of_paths_are_under_names_of_our_own(self, service: Service) -> None:
        rise = Rise(service)
        for path in ("/nope", "/oauth/token/nope", "/login/../../etc", "/oauth/status/0-0", "/style.css", "/"):
            service.http.get(path)
        service.http.get("/login", headers={"host": "elsewhere.example"})
        rise.reaches(4, "jwtauth_http_requests_total", endpoint="other", status="4xx")
        rise.reaches(1, "jwtauth_http_requests_total", endpoint="/oauth/status/{n}", status="4xx")
        rise.reaches(1, "jwtauth_http_requests_total", endpoint="/style.css", status="2xx")
        rise.reaches(1, "jwtauth_http_requests_total", endpoint="/", status="2xx")


def test_s_09_no_label_is_what_a_stranger_sent(service: Service) -> None:
    sent = "sent-by-a-stranger"
    for path in ("/oauth/token", "/oauth/introspect", "/oauth/revoke", "/login", f"/{sent}"):
        names = ("grant_type", "scope", "client_id", "username", "password", "code", "refresh_token", "token")
        for name in names:
            service.post(path, {name: sent, "grant_type": "password"} if name != "grant_type" else {name: sent})
        service.http.request(sent, path)
        service.http.get(path, headers={"x-request-id": sent, "user-agent": sent}, params={sent: sent})
    for page in ("/oauth/authorize", "/oauth/logout"):
        service.http.get(page, params={"client_id": sent, "redirect_uri": sent, "response_type": sent})
    text = "\n".join(str(family) for family in families(service))
    assert "invalid_client" in text
    assert sent not in text
    for secret in (SECRET, PASSWORD, "ada", "web"):
        assert f"'{secret}'" not in text


def test_never_fall_when_a_worker_is_killed(service: Service) -> None:
    """The numbers of a worker that dies at once go on to count, and the one in its place begins beside them."""
    for _ in range(20):
        service.token({"grant_type": "client_credentials"}, auth=("machine", SECRET))
    told = [values(service)]
    assert value(told[0], "jwtauth_worker_deaths_total") == 0
    killed, survivor = workers(told[0])
    os.kill(killed, signal.SIGKILL)

    def is_whole() -> bool:
        with suppress(httpx.TransportError):  # it went to the one that was killed
            told.append(values(service))
        found = workers(told[-1])
        return len(found) == 2 and killed not in found and survivor in found

    until(is_whole)
    assert value(told[-1], "jwtauth_workers") == 2
    until(lambda: value(values(service), "jwtauth_worker_deaths_total") == 1)
    assert [falls(earlier, later) for earlier, later in pairwise(told)] == [{}] * (len(told) - 1)


def raw(service: Service, sent: bytes) -> bytes:
    """What comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", service.server.port), timeout=WITHIN) as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as file:
            return file.read()


def workers(found: Values) -> list[int]:
    """The process ids of those that are alive."""
    return [int(dict(labels)["pid"]) for name, labels in found if name == "process_start_time_seconds"]


def falls(before: Values, after: Values) -> dict[Any, Any]:
    """The counters of the service that were more before; those of a process end with it."""
    return {
        key: (number, after.get(key))
        for key, number in before.items()
        if key[0].startswith("jwtauth_")
        and key[0].endswith(("_total", "_count", "_sum", "_bucket"))
        and after.get(key, -1) < number - 1e-9
    }


class TestWhoMayRead:
    def test_is_told_not_to_keep_it(self, service: Service) -> None:
        response = service.http.get("/metrics")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"].startswith("text/plain; version=")

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-forwarded-for": "127.0.0.1"},
            {"x-forwarded-proto": "https"},
            {"forwarded": "for=127.0.0.1"},
            {"via": "1.1 proxy"},
            {"x-real-ip": "127.0.0.1"},
        ],
    )
    def test_is_nobody_behind_an_unknown_proxy(self, service: Service, headers: dict[str, str]) -> None:
        response, unknown = (service.http.get(path, headers=headers) for path in ("/metrics", "/nope"))
        assert response.status_code == unknown.status_code == 404
        assert response.text.replace("/metrics", "/nope") == unknown.text

    @pytest.mark.parametrize(
        ("settings", "peer", "headers", "may"),
        [
            pytest.param({}, "127.0.0.1", {}, True, id="this machine"),
            pytest.param({}, "::1", {}, True, id="this machine by IPv6"),
            pytest.param({}, "::ffff:127.0.0.1", {}, True, id="this machine by IPv4 in IPv6"),
            pytest.param({}, "10.0.0.9", {}, False, id="another machine"),
            pytest.param({"metrics_from": ("10.0.0.0/8",)}, "10.0.0.9", {}, True, id="a network that is named"),
            pytest.param({"metrics_from": ("10.0.0.0/8",)}, "127.0.0.1", {}, False, id="then no longer this one"),
            pytest.param({"metrics_from": ()}, "127.0.0.1", {}, False, id="nobody"),
            pytest.param({}, "127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, False, id="a proxy that is not named"),
            pytest.param(
                {"trusted_proxies": ("127.0.0.1",)},
                "127.0.0.1",
                {"x-forwarded-for": "203.0.113.7"},
                False,
                id="the world behind a proxy that is named",
            ),
            pytest.param(
                {"trusted_proxies": ("127.0.0.1",), "metrics_from": ("10.0.0.0/8",)},
                "127.0.0.1",
                {"x-forwarded-for": "203.0.113.7, 10.0.0.9"},
                True,
                id="a network behind a proxy that is named",
            ),
            pytest.param(
                {"trusted_proxies": ("127.0.0.1",), "metrics_from": ("10.0.0.0/8",)},
                "127.0.0.1",
                {"x-forwarded-for": "10.0.0.9, 203.0.113.7"},
                False,
                id="who says to be of that network",
            ),
            pytest.param(
                {"issuer": "https://issuer.example"}, "127.0.0.1", {"host": "127.0.0.1:8000"}, True, id="beside a proxy"
            ),
            pytest.param(
                {"issuer": "https://issuer.example"},
                "127.0.0.1",
                {"host": "issuer.example"},
                False,
                id="through a proxy that leaves no mark but the name",
            ),
            pytest.param(
                {"issuer": "https://issuer.example", "trusted_proxies": ("127.0.0.1",)},
                "127.0.0.1",
                {"host": "issuer.example", "x-real-ip": "203.0.113.7"},
                False,
                id="through a proxy that is named and does not say for whom",
            ),
            pytest.param(
                {"trusted_proxies": ("127.0.0.1",), "metrics_from": ("10.0.0.0/8",)},
                "::ffff:127.0.0.1",
                {"x-forwarded-for": "10.0.0.9"},
                True,
                id="a network behind a proxy by IPv4 in IPv6",
            ),
            pytest.param({}, None, {}, False, id="a socket without an address"),
        ],
    )
    def test_is_decided_by_the_address_behind_known_proxies(
        self, settings: dict[str, Any], peer: str | None, headers: dict[str, str], may: bool
    ) -> None:
        assert Readers(Settings(**settings)).include(scope(peer, headers)) is may


def scope(peer: str | None, headers: dict[str, str]) -> HTTPScope:
    found: Any = {
        "client": (peer, 50_000) if peer else None,
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    request: HTTPScope = found
    return request


def test_docs_have_a_row_for_every_metric(service: Service) -> None:
    """And none for one that there is not; with its labels."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \|([^|]*)\|", DOCUMENT.read_text(), re.MULTILINE)
    written = {name: (kind, set(re.findall("`([a-z_]+)`", labels))) for name, kind, labels in rows}
    told = {name_of(family): family for family in families(service)}
    assert written.keys() == told.keys()
    assert {name: kind for name, (kind, _) in written.items()} == {name: told[name].type for name in told}
    for name, (_, labels) in written.items():
        assert {label for sample in told[name].samples for label in sample.labels} - {"le"} <= labels


def test_docs_watch_for_nothing_that_is_not_told(service: Service) -> None:
    told = {name_of(family) for family in families(service)}
    named = set(re.findall(r"\bjwtauth_[a-z_]+", DOCUMENT.read_text()))
    assert {name for name in named if re.sub("_(count|sum|bucket)$", "", name) not in told} == set()


def name_of(family: Metric) -> str:
    """As it is told: the library takes the ending off."""
    return f"{family.name}_total" if family.type == "counter" else family.name
