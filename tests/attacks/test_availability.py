"""Anonymous visitors cost nothing that stays, and little else (SECURITY D-01, D-02, D-05, D-08)."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.attacks.forging import cookie_name, hidden
from tests.attacks.pages import assert_stays
from tests.support.home import SECRET
from tests.support.person import Person, request
from tests.web.people import Service
from tests.web.site import FORM, Site, basic

VISITS: Final = 2_000
COMPUTED: Final = 2.0
"""Most seconds that the service may compute for one giant: by its own clock, which stands still while others run."""


def computed(service: Service) -> float:
    """Seconds that the server has computed since it started; 0 where the system does not say."""
    threads = Path(f"/proc/{service.server.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@pytest.fixture
def cheaply(service: Service) -> Iterator[None]:
    """Whatever is asked, the answer does not take long to compute."""
    before = computed(service)
    yield
    assert computed(service) - before < COMPUTED


def sizes(service: Service) -> dict[str, int]:
    """How many rows every table has."""
    with closing(sqlite3.connect(service.home.source.database)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


def test_d_05_visitors_leave_nothing_behind(service: Service) -> None:
    """The sign-in page, with and without transaction, errors, and cookies that somebody made up; no table grows."""
    tables = sizes(service)
    with service.browser() as person:
        sign_in = str(person.authorize().url)
        asked = httpx.QueryParams(dict(request()))
        paths = [
            f"/oauth/authorize?{asked}",
            f"/oauth/authorize?{asked.set('prompt', 'none')}",
            "/login",
            sign_in.removeprefix(person.url),
            "/account",
            "/oauth/authorize?client_id=web",
            "/oauth/logout",
            "/nope",
        ]
        with httpx.Client(base_url=person.url, timeout=20, verify=False) as visitors:
            for number in range(VISITS):
                visitors.cookies.clear()
                made_up = f"{cookie_name(person, 'session')}=made-up-{number:040}"
                response = visitors.get(paths[number % len(paths)], headers={"cookie": made_up} if number % 2 else {})
                assert response.status_code in (200, 303, 400, 404)
        assert len(tables) > 10
    assert sizes(service) == tables


@pytest.mark.usefixtures("cheaply")
@pytest.mark.parametrize("path", ["/oauth/authorize", "/login", "/consent", "/account", "/oauth/logout"])
class TestGiants:  # SECURITY D-01
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"a" * 10_000_000, id="10 MB"),
            pytest.param(b"a=1&" * 20_000, id="20,000 parameters"),
            pytest.param(b"&".join(b"p%d=1" % number for number in range(5_000)), id="5,000 names"),
            pytest.param(b"resource=https://r.example/&" * 2_000, id="2,000 resources"),
            pytest.param(b"csrf=" + b"x" * 60_000, id="long csrf"),
            pytest.param(b"transaction=" + b"A" * 60_000, id="long transaction"),
            pytest.param(b"transaction=gAAAAA" + b"A" * 60_000, id="long sealed transaction"),
            pytest.param(b"id_token_hint=" + b"A" * 60_000, id="long token"),
            pytest.param(b"&" * 60_000, id="separators"),
            pytest.param(b"%" * 60_000, id="broken percent signs"),
            pytest.param(b"\xff" * 60_000, id="no UTF-8"),
            pytest.param(b"redirect_uri=http://[" + b":" * 60_000, id="broken IPv6"),
        ],
    )
    def test_d_01_of_a_body_are_refused_cheaply(self, ada: Person, path: str, body: bytes) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": ada.url}
        response = ada.follow(ada.http.post(path, content=body, headers=headers))
        assert_stays(response, 200, 400, 413)

    @pytest.mark.parametrize(
        "query",
        [
            pytest.param("a=1&" * 5_000, id="5,000 parameters"),
            pytest.param("client_id=web&scope=" + "read%20" * 4_000, id="long scope"),
            pytest.param("id_token_hint=" + "a." * 10_000, id="long token"),
            pytest.param("transaction=" + "A" * 28_000, id="long transaction"),
            pytest.param("%" * 20_000, id="broken percent signs"),
            pytest.param("=" * 20_000, id="equal signs"),
        ],
    )
    def test_d_01_of_a_query_are_refused_cheaply(self, ada: Person, path: str, query: str) -> None:
        response = ada.http.get(f"{path}?{query}")
        assert response.status_code in (200, 303, 400, 404, 405, 413)


@pytest.mark.usefixtures("cheaply")
class TestGiantsForMachines:  # SECURITY D-01, J-11
    @pytest.mark.parametrize(
        "path", ["/oauth/token", "/oauth/introspect", "/oauth/check_token", "/oauth/revoke", "/oauth/userinfo"]
    )
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            pytest.param(b"token=" + b"a" * 10_000_000, 413, id="10 MB"),
            pytest.param(b"a=1&" * 20_000, 413, id="20,000 parameters"),
            pytest.param(b"token=" + b"a" * 1_000_000, 413, id="1 MB token"),
            pytest.param(b"&".join(b"p%d=1" % number for number in range(5_000)), 400, id="5,000 parameters"),
            pytest.param(b"resource=https://r.example/&" * 2_000, 400, id="2,000 resources"),
            pytest.param(b"token=" + b"%61" * 20_000 + b"%", 400, id="broken at the end"),
        ],
    )
    def test_d_01_are_refused_cheaply(self, service: Service, path: str, body: bytes, status: int) -> None:
        response = service.post(path, body, auth=("web", SECRET))
        assert (response.status_code, response.json()["error"]) == (status, "invalid_request")

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            pytest.param({"scope": "read " * 10_000}, "invalid_scope", id="long scope"),
            pytest.param({"scope": "a" * 60_000}, "invalid_scope", id="long scope value"),
            pytest.param({"resource": "http://[" + ":" * 20_000}, "invalid_target", id="broken IPv6"),
            pytest.param({"grant_type": "a" * 60_000}, "unsupported_grant_type", id="long grant type"),
            pytest.param({"client_id": "a" * 60_000}, "invalid_request", id="long client_id"),
            pytest.param({"grant_type": "refresh_token", "refresh_token": "a" * 60_000}, "invalid_grant", id="refresh"),
            pytest.param({"grant_type": "authorization_code", "code": "a" * 60_000}, "invalid_grant", id="code"),
        ],
    )
    def test_d_01_of_a_token_request_are_refused_cheaply(
        self, service: Service, form: dict[str, str], error: str
    ) -> None:
        is_machine = "grant_type" not in form
        sent = {"grant_type": "client_credentials", **form} if is_machine else form
        response = service.token(sent, auth=("machine" if is_machine else "web", SECRET))
        assert response.status_code in (400, 401)
        assert response.json()["error"] == error

    @pytest.mark.parametrize("token", ["a" * 60_000, "a." * 30_000, "eyJ" + "A" * 59_000 + ".e30.", "." * 60_000])
    def test_d_01_as_tokens_are_those_of_nobody(self, service: Service, token: str) -> None:
        answers = [service.post(path, {"token": token}, auth=("web", SECRET)) for path in ("/oauth/introspect",)]
        assert [answer.json() for answer in answers] == [{"active": False}]
        assert service.post("/oauth/revoke", {"token": token}, auth=("web", SECRET)).status_code == 200

    @pytest.mark.parametrize("value", ["Bearer " + "a" * 25_000, "Basic " + "QTpB" * 6_000, "Basic " + "=" * 25_000])
    def test_d_01_of_an_authorization_header_are_refused_cheaply(self, service: Service, value: str) -> None:
        headers = {"authorization": value}
        assert service.http.get("/oauth/userinfo", headers=headers).status_code in (400, 401)
        assert service.post("/oauth/introspect", {"token": "a"}, auth=None, headers=headers).status_code in (400, 401)

    def test_d_01_of_a_header_are_refused_before_anything_is_read(self, service: Service) -> None:
        response = service.post("/oauth/introspect", {"token": "a"}, headers={"x-padding": "a" * 60_000})
        assert (response.status_code, response.json()["error"]) == (431, "invalid_request")


@pytest.mark.usefixtures("cheaply")
@pytest.mark.parametrize("name", ["cookie", "accept-language", "user-agent", "referer", "x-forwarded-for"])
def test_d_01_giants_of_headers_are_read_cheaply(service: Service, name: str) -> None:
    values = ["a=b; " * 5_000, "a," * 12_000, "x" * 25_000, ";q=1," * 5_000, "en;q=0.5, " * 2_500]
    for value in values:
        assert service.http.get("/login", headers={name: value.strip(" ;")}).status_code in (200, 400)


def test_d_01_a_form_in_pieces_is_bounded_as_well(ada: Person) -> None:
    pieces = (b"a" * 1_000 for _ in range(1_000))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert ada.http.post("/login", content=pieces, headers=headers).status_code == 413


def test_d_02_the_next_visitor_is_served_as_ever(service: Service, ada: Person) -> None:
    assert hidden(ada.authorize("web2"), "csrf")
    assert service.http.get("/readyz").status_code == 200


MOST: Final = 24
OF_ONE_ADDRESS: Final = 8


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with room for few connections; this computer reaches it from many addresses."""
    path = tmp_path_factory.mktemp("narrow")
    with Site(path, max_connections=MOST, max_connections_per_address=OF_ONE_ADDRESS) as site:
        site.home.client("service")
        yield site


class TestConnections:  # SECURITY D-08
    def test_d_08_beyond_the_bound_of_an_address_hear_to_come_again(self, narrow: Site) -> None:
        with ExitStack() as stack:
            for _ in range(OF_ONE_ADDRESS):
                assert asked(stack.enter_context(connected(narrow, "127.0.0.2"))) == 200
            with connected(narrow, "127.0.0.2") as surplus:
                assert_turned_away(surplus)
            with connected(narrow, "127.0.0.3") as another:
                assert asked(another) == 200

    def test_d_08_beyond_the_bound_of_all_hear_to_come_again_while_the_others_are_served(self, narrow: Site) -> None:
        """All are in the middle of a request, so none makes room; then each gets its answer all the same."""
        with ExitStack() as stack:
            busy = [stack.enter_context(connected(narrow, f"127.0.0.{10 + number}")) for number in range(MOST)]
            for connection in busy:
                assert asked(connection) == 200
            for connection in busy:
                connection.sendall(INTROSPECTION[:-1])
            with connected(narrow, "127.0.0.9") as surplus:
                assert_turned_away(surplus)
            for connection in busy:
                connection.sendall(INTROSPECTION[-1:])
                assert answer(connection)[0] == 200
        assert narrow.http.get("/readyz").status_code == 200

    def test_d_08_are_let_in_again_once_others_are_closed(self, narrow: Site) -> None:
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(OF_ONE_ADDRESS):
                    connection = stack.enter_context(connected(narrow, "127.0.0.4"))
                    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    assert answer(connection)[0] == 200
                    assert connection.recv(1) == b""

    def test_d_08_are_counted_and_told(self, narrow: Site) -> None:
        before = numbers(narrow)
        with ExitStack() as stack:
            for _ in range(OF_ONE_ADDRESS):
                assert asked(stack.enter_context(connected(narrow, "127.0.0.5"))) == 200
            for _ in range(2):
                with connected(narrow, "127.0.0.5") as surplus:
                    assert_turned_away(surplus)
        after = numbers(narrow)
        away = "jwtauth_connections_turned_away_total"
        assert after[f'{away}{{reason="address"}}'] - before[f'{away}{{reason="address"}}'] == 2
        assert after[f'{away}{{reason="total"}}'] == before[f'{away}{{reason="total"}}']
        assert after["jwtauth_connections_limit"] == MOST
        assert "WARNING connections turned away: " in narrow.server.log.read_text()


INTROSPECTION: Final = (
    f"POST /oauth/introspect HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {basic('service', SECRET)}\r\n"
    f"Content-Type: {FORM}\r\nContent-Length: 7\r\n\r\ntoken=a"
).encode()


def connected(site: Site, address: str) -> socket.socket:
    """A connection from one of this computer's own addresses."""
    return socket.create_connection(("127.0.0.1", site.server.port), timeout=10, source_address=(address, 0))


def asked(connection: socket.socket) -> int:
    """The status of an answer."""
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return answer(connection)[0]


def answer(connection: socket.socket) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, fields and body of the next answer."""
    with connection.makefile("rb") as file:
        status = int(file.readline().split()[1])
        lines = iter(lambda: file.readline().rstrip(), b"")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        return status, fields, file.read(int(fields[b"content-length"]))


def numbers(site: Site) -> dict[str, float]:
    """What /metrics tells, by name and labels."""
    text = httpx.get(f"{site.server.url}/metrics", timeout=20, verify=False).text
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(number) for name, _, number in lines}


def assert_turned_away(connection: socket.socket) -> None:
    """It hears so at once, in the words of all refusals, and is closed."""
    status, fields, body = answer(connection)
    assert (status, fields[b"retry-after"], fields[b"connection"]) == (503, b"1", b"close")
    assert json.loads(body)["error"] == "temporarily_unavailable"
    assert connection.recv(1) == b""
