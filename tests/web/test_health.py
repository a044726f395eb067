"""/healthz and /readyz: the process answers, and whether tokens can be issued (SECURITY S-03, S-04)."""

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from jwtauth.web.health import PROBE_IN
from tests.support.home import Home
from tests.support.live import LiveServer
from tests.web.site import Site

WITHIN: Final = 60.0
"""Seconds for what happens at once on an idle machine."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("health"))
    site.home.client("service")
    site.home.user("ada")
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_ready(site: Site) -> bool:
    return site.http.get("/readyz").status_code == 200


def assert_says(site: Site, problem: str) -> None:
    """It becomes known, in words that name no place, and the process is alive all the while."""
    deadline = time.monotonic() + WITHIN
    while problem not in (response := site.http.get("/readyz")).text:
        assert time.monotonic() < deadline, response.text
        time.sleep(0.1)
    assert response.status_code == 503
    assert response.text.startswith("not ready: ")
    assert str(site.home.path) not in response.text
    assert "/" not in response.text
    assert response.headers["retry-after"] == "1"
    assert response.headers["cache-control"] == "no-store"
    assert site.http.get("/healthz").text == "ok"


@contextmanager
def moved(path: Path) -> Iterator[None]:
    """Not where it was, until the end."""
    elsewhere = path.with_name(f"{path.name}-elsewhere")
    path.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(path)


class TestReadiness:
    def test_is_told_where_all_is_well(self, site: Site) -> None:
        response = site.http.get("/readyz")
        assert (response.status_code, response.text) == (200, "ready")
        assert response.headers["cache-control"] == "no-store"

    def test_answers_under_every_name(self, site: Site) -> None:
        for path in ("/readyz", "/healthz"):
            assert site.http.get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200

    def test_writes_at_most_once_a_second_however_often_it_is_asked(self, site: Site) -> None:
        def writes() -> float:
            lines = site.http.get("/metrics").text.splitlines()
            (found,) = [line for line in lines if line.startswith("jwtauth_commit_writes_sum ")]
            return float(found.split()[1])

        before, began = writes(), time.monotonic()
        while time.monotonic() - began < 1.5 * PROBE_IN:
            assert is_ready(site)
        assert 1 <= writes() - before <= (time.monotonic() - began) / PROBE_IN + 1

    def test_is_lost_while_another_process_locks_the_database(self, site: Site) -> None:
        with closing(sqlite3.connect(site.home.source.database, isolation_level=None, timeout=10)) as database:
            database.execute("BEGIN EXCLUSIVE")
            assert_says(site, "database: the database could not write: SQLITE_BUSY")
            database.execute("ROLLBACK")
        until(lambda: is_ready(site))

    @pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system lets nobody limit another process")
    def test_is_lost_while_the_disk_takes_no_more(self, site: Site) -> None:
        """A limit of the size of its files is to the process what a full disk is."""
        size = Path(f"{site.home.source.database}-wal").stat().st_size
        before = resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            assert_says(site, "database: the database could not write: SQLITE_")
        finally:
            resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, before)
        until(lambda: is_ready(site))

    def test_is_lost_without_a_database(self, site: Site) -> None:
        with moved(site.home.source.database):
            assert_says(site, "database: the database was moved, deleted or replaced")
        until(lambda: is_ready(site))

    def test_is_lost_without_the_key_that_signs(self, site: Site) -> None:
        (key,) = site.home.source.keys.glob("ES256-*.key.json")
        with moved(key):
            assert_says(site, "keys: there is none that signs")
        until(lambda: is_ready(site))

    def test_is_lost_while_the_audit_log_cannot_be_written(self, site: Site) -> None:
        folder = site.home.source.audit
        assert folder is not None
        with moved(folder):
            folder.write_text("no folder")
            assert site.person()
            assert_says(site, "audit log: cannot be written")
            folder.unlink()
        until(lambda: is_ready(site))


def test_sigterm_sends_load_balancers_elsewhere_before_the_door_closes(tmp_path: Path) -> None:
    """Requests that are still on their way are answered; a second signal ends the waiting."""
    home = Home(tmp_path / "home", drain_in=3_600)
    with LiveServer(home.path) as server, httpx.Client(base_url=server.url, verify=False, timeout=20) as http:
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: http.get("/readyz").status_code == 503)
        assert http.get("/readyz").text == "not ready: stopping"
        assert http.get("/.well-known/jwks.json").json()["keys"]
        assert server.stop() in (0, -signal.SIGTERM)
