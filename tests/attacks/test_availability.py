"""Anonymous visitors cost nothing that stays, and little else (SECURITY D-01, D-05)."""

import sqlite3
import time
from contextlib import closing
from typing import Final

import httpx
import pytest

from tests.attacks.forging import cookie_name, hidden
from tests.attacks.pages import assert_stays
from tests.support.person import Person, request
from tests.web.people import Service

VISITS: Final = 2_000


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
    def test_d_01_of_a_body_are_refused_quickly(self, ada: Person, path: str, body: bytes) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": ada.url}
        began = time.monotonic()
        response = ada.follow(ada.http.post(path, content=body, headers=headers))
        assert_stays(response, 200, 400, 413)
        assert time.monotonic() - began < 2

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
    def test_d_01_of_a_query_are_refused_quickly(self, ada: Person, path: str, query: str) -> None:
        began = time.monotonic()
        response = ada.http.get(f"{path}?{query}")
        assert response.status_code in (200, 303, 400, 404, 405, 413)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("name", ["cookie", "accept-language", "user-agent", "referer", "x-forwarded-for"])
def test_d_01_giants_of_headers_are_read_quickly(service: Service, name: str) -> None:
    values = ["a=b; " * 5_000, "a," * 12_000, "x" * 25_000, ";q=1," * 5_000, "en;q=0.5, " * 2_500]
    began = time.monotonic()
    for value in values:
        assert service.http.get("/login", headers={name: value.strip(" ;")}).status_code in (200, 400)
    assert time.monotonic() - began < 2


def test_d_01_a_form_in_pieces_is_bounded_as_well(ada: Person) -> None:
    pieces = (b"a" * 1_000 for _ in range(1_000))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert ada.http.post("/login", content=pieces, headers=headers).status_code == 413


def test_d_02_the_next_visitor_is_served_as_ever(service: Service, ada: Person) -> None:
    assert hidden(ada.authorize("web2"), "csrf")
    assert service.http.get("/readyz").status_code == 200
