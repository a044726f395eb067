"""Somebody else holds the database: bounded waiting, 503, and all is well afterwards (SECURITY S-04, I-15)."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.support.home import PASSWORD
from tests.web.site import Site, assert_refused, populate

PERSON = {"grant_type": "password", "username": "ada", "password": PASSWORD}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("locked"))
    populate(site)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Another process's lock, held until the end."""
    with closing(sqlite3.connect(site.home.source.database, isolation_level=None, timeout=10)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


class TestWhileTheDatabaseIsLocked:
    def test_writes_are_503_and_nothing_of_them_is_kept(self, site: Site) -> None:
        granted, spare, machine = site.person(), site.person(), site.machine()
        before = site.dump()
        with locked(site), ThreadPoolExecutor(8) as pool:
            calls = [
                pool.submit(site.token, PERSON),
                pool.submit(site.refresh, granted["refresh_token"]),
                pool.submit(site.refresh, granted["refresh_token"]),
                pool.submit(site.post, "/oauth/revoke", {"token": machine}),
                pool.submit(site.post, "/oauth/revoke", {"token": spare["refresh_token"]}),
                pool.submit(site.token, {**PERSON, "password": "wrong"}),
            ]
            for call in calls:
                response = call.result()
                assert_refused(response, 503, "temporarily_unavailable")
                assert int(response.headers["retry-after"]) >= 1
            assert site.is_active(machine), "a revocation that answered 503 has not happened"
        assert site.dump() == before
        assert site.refresh(granted["refresh_token"]).status_code == 200
        assert site.post("/oauth/revoke", {"token": machine}).status_code == 200
        assert not site.is_active(machine)
        assert site.token(PERSON).status_code == 200

    def test_what_needs_no_write_is_answered_as_ever(self, site: Site) -> None:
        granted, machine = site.person(), site.machine()
        with locked(site):
            assert site.http.get("/.well-known/jwks.json").json()["keys"]
            assert site.http.get("/readyz").status_code == 200
            for token in (granted["access_token"], machine):
                assert site.is_active(token)
                assert site.post("/oauth/check_token", {"token": token}).status_code == 200
                assert site.http.get("/oauth/tokeninfo", params={"access_token": token}).status_code == 200
            assert site.machine(), "a machine's position was committed long before"
            assert_refused(site.refresh("rt_forged"), 400, "invalid_grant")

    def test_a_short_lock_is_waited_for(self, site: Site) -> None:
        granted = site.person()
        with ThreadPoolExecutor(1) as pool:
            with locked(site):
                call = pool.submit(site.refresh, granted["refresh_token"])
                assert site.http.get("/healthz").status_code == 200
            assert call.result().status_code == 200
