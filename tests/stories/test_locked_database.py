"""The database is locked, moved or damaged, or the keys are gone: 503, and all is well afterwards.

SECURITY S-04, S-05, I-15. Nothing is acknowledged that the service would not know after its next start.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.home import PASSWORD, SECRET, Home
from tests.web.site import Site, assert_refused, populate

WITHIN: Final = 60.0

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
    """A bounded wait, then 503 with Retry-After, and nothing is half done (S-04, I-15)."""

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
            assert site.http.get("/healthz").status_code == 200
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


@contextmanager
def moved_away(site: Site) -> Iterator[None]:
    """As long as this goes on, the database and the files beside it have other names."""
    files = list(site.home.path.glob("jwtauth.db*"))
    for file in files:
        file.rename(file.with_name(f"old-{file.name}"))
    yield
    for file in files:
        file.with_name(f"old-{file.name}").rename(file)


class TestWhileTheDatabaseIsElsewhere:
    """S-05: the process could go on writing into the file that it has open; the next start would not know of it."""

    def test_nothing_is_acknowledged_that_the_next_start_would_not_know(self, site: Site) -> None:
        granted, machine = site.person(), site.machine()
        before = site.dump()
        with moved_away(site):
            assert_refuses_to_write(site, granted["refresh_token"], machine)
            assert site.is_active(machine)
            assert site.http.get("/.well-known/jwks.json").json()["keys"]
            until(lambda: site.http.get("/readyz").status_code == 503)
        assert site.dump() == before
        assert site.refresh(granted["refresh_token"]).status_code == 200
        assert site.post("/oauth/revoke", {"token": machine}).status_code == 200

    def test_another_database_of_its_name_is_left_alone(self, site: Site, tmp_path: Path) -> None:
        granted, machine = site.person(), site.machine()
        other = Home(tmp_path / "other").source.database.read_bytes()
        path = site.home.source.database
        with moved_away(site):
            path.write_bytes(other)
            assert_refuses_to_write(site, granted["refresh_token"], machine)
            assert path.read_bytes() == other
            path.unlink()
        assert site.refresh(granted["refresh_token"]).status_code == 200


class TestWhileTheKeysAreElsewhere:
    def test_the_keys_read_before_stay_in_use(self, site: Site) -> None:
        """A volume that is not mounted is no decision to withdraw a key: `jwtauth revoke --key` is."""
        keys = site.home.source.keys
        before = site.http.get("/.well-known/jwks.json").content
        keys.rename(keys.with_name("elsewhere"))
        keys.mkdir(mode=0o700)
        try:
            until(lambda: _has_looked_for_keys(site))
            assert "jwtauth_keys_readable 0.0" in site.http.get("/metrics").text
            assert site.is_active(site.machine())
            granted = site.person()
            assert site.refresh(granted["refresh_token"]).status_code == 200
            assert site.http.get("/.well-known/jwks.json").content == before
        finally:
            keys.rmdir()
            keys.with_name("elsewhere").rename(keys)
        assert site.is_active(site.machine())
        until(lambda: "jwtauth_keys_readable 1.0" in site.http.get("/metrics").text)


def test_what_is_damaged_is_503_and_never_500(tmp_path: Path) -> None:
    """Only a backup helps then. What SQLite holds in memory is still answered."""
    with Site(tmp_path / "damaged") as site:
        site.home.client("service")
        site.home.user("ada")
        granted, machine = site.person(), site.machine()
        for file in site.home.path.glob("jwtauth.db*"):
            if not file.name.endswith("-shm"):
                overwrite(file, os.urandom(file.stat().st_size))
        answers = [
            site.post("/oauth/introspect", {"token": machine}),
            site.refresh(granted["refresh_token"]),
            site.http.get("/.well-known/jwks.json"),
            site.http.get("/oauth/status"),
            site.http.get("/login", headers={"accept": "text/html"}),
        ]
        assert {answer.status_code for answer in answers} - {200} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 503)
        assert site.http.get("/readyz").status_code == 503
        assert site.http.get("/healthz").status_code == 200
    assert "Traceback" not in site.server.log.read_text()


def assert_refuses_to_write(site: Site, refresh_token: str, machine: str) -> None:
    """Nothing that would have to be written is acknowledged."""
    for response in (
        site.token(PERSON),
        site.refresh(refresh_token),
        site.post("/oauth/revoke", {"token": machine}),
        site.token({"grant_type": "client_credentials"}, auth=("other", SECRET)),
    ):
        assert_refused(response, 503, "temporarily_unavailable")
        assert int(response.headers["retry-after"]) >= 1


def _has_looked_for_keys(site: Site) -> bool:
    """Each request looks, at most every few seconds."""
    assert site.http.get("/.well-known/jwks.json").status_code == 200
    return "the keys read before stay in use" in site.server.log.read_text()


def overwrite(path: Path, content: bytes) -> None:
    """Write into the file that everybody has open."""
    with path.open("r+b") as file:
        file.write(content)


def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline
