"""SIGHUP: each worker in turn is replaced by one with the settings of now, and no client notices (SECURITY S-15)."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Final

import httpx
import pytest

from tests.support.halting import family
from tests.support.home import SECRET
from tests.support.live import LiveServer
from tests.support.waiting import wait_until
from tests.web.site import Site, populate

JWKS: Final = "/.well-known/jwks.json"
WITHIN: Final = 60.0
"""Seconds; a worker begins in one on an idle machine."""
PAUSES_IN: Final = (0.0, 0.02, 0.1)
"""Between two requests of a client, in seconds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two workers; each test leaves the settings as they were."""
    site = Site(tmp_path_factory.mktemp("reloaded"), workers=2)
    populate(site)
    with site:
        yield site


class Client(Thread):
    """Asks again and again on one kept connection, with pauses in which it is idle; repeats nothing that failed."""

    def __init__(self, url: str, pause_in: float, ask: Callable[[httpx.Client], httpx.Response]) -> None:
        super().__init__()
        self.answered = 0
        self.problems: list[str] = []
        self.stopped = Event()
        self._url, self._pause_in, self._ask = url, pause_in, ask

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, verify=False) as http:
            while not self.stopped.wait(self._pause_in):
                try:
                    response = self._ask(http)
                except httpx.TransportError as problem:
                    self.problems.append(repr(problem))
                    return
                if response.status_code != 200:
                    self.problems.append(response.text)
                self.answered += 1


class Refreshing:
    """One grant that goes on and on."""

    def __init__(self, site: Site) -> None:
        self._token = site.person()["refresh_token"]

    def __call__(self, http: httpx.Client) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": self._token}
        response = http.post("/oauth/token", data=form, auth=("service", SECRET))
        self._token = response.json().get("refresh_token", self._token)
        return response


def issuing(http: httpx.Client) -> httpx.Response:
    return http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=("service", SECRET))


@contextmanager
def unnoticed(site: Site) -> Iterator[None]:
    """While this goes on, clients ask; none of them is refused or cut off."""
    clients = [
        Client(site.server.url, pause_in, ask)
        for pause_in in PAUSES_IN
        for ask in (issuing, Refreshing(site), lambda http: http.get(JWKS))
    ]
    for client in clients:
        client.start()
    try:
        yield
        seen = [(client, client.answered) for client in clients]
        wait_until(lambda: all(client.answered > had + 5 for client, had in seen), within=WITHIN)
    finally:
        for client in clients:
            client.stopped.set()
            client.join()
    assert [problem for client in clients for problem in client.problems] == []


def reload(site: Site, *, expected: Callable[[], bool]) -> None:
    os.kill(site.server.pid, signal.SIGHUP)
    wait_until(expected, within=WITHIN)


def refusals(site: Site) -> int:
    """How often the log says that the settings of then would not do."""
    return site.server.log.read_text().count("not reloaded, the workers go on as they were")


def workers(site: Site) -> set[int]:
    return set(family(site.server)) - {site.server.pid}


@contextmanager
def changed(site: Site, line: str) -> Iterator[None]:
    """While the settings begin with this line."""
    path = site.home.path / "jwtauth.toml"
    text = path.read_text() if path.exists() else ""
    path.write_text(f"{line}\n{text}")
    try:
        yield
    finally:
        path.write_text(text)


class TestReloading:
    """Nothing that is under way is lost (S-15)."""

    def test_replaces_every_worker_and_no_client_notices(self, site: Site) -> None:
        before = workers(site)
        with unnoticed(site):
            reload(site, expected=lambda: len(workers(site)) == 2 and workers(site).isdisjoint(before))
        assert "Traceback" not in site.server.log.read_text()

    def test_reads_the_settings_anew_but_for_what_listens(self, site: Site) -> None:
        before = workers(site)
        with changed(site, 'jwks_max_age = 77\nhost = "127.0.0.2"'):
            reload(site, expected=lambda: len(workers(site)) == 2 and workers(site).isdisjoint(before))
        with httpx.Client(base_url=site.server.url, verify=False) as http:
            assert http.get(JWKS).headers["cache-control"] == "public, max-age=77"
        assert "127.0.0.2" not in site.server.log.read_text()

    @pytest.mark.parametrize("line", ["jwks_max_age = -1", "no toml", 'keys = "elsewhere"'])
    def test_with_settings_that_will_not_do_changes_nothing_and_says_so(self, site: Site, line: str) -> None:
        before, told = workers(site), refusals(site)
        with changed(site, line):
            reload(site, expected=lambda: refusals(site) > told)
        assert workers(site) == before
        assert site.token({"grant_type": "client_credentials"}).status_code == 200

    def test_while_the_database_cannot_be_read_changes_nothing_and_says_so(self, site: Site) -> None:
        before, told = workers(site), refusals(site)
        site.execute("ALTER TABLE users RENAME TO lost")
        try:
            reload(site, expected=lambda: refusals(site) > told)
        finally:
            site.execute("ALTER TABLE lost RENAME TO users")
        assert workers(site) == before
        assert site.token({"grant_type": "client_credentials"}).status_code == 200


def test_one_worker_alone_stops_in_order(tmp_path: Path) -> None:
    site = Site(tmp_path / "alone")
    populate(site)
    server = LiveServer(site.home.path).start()
    os.kill(server.pid, signal.SIGHUP)
    assert server.wait() == -signal.SIGTERM  # as after that: who waits for the process learns why it ended
    assert "Finished server process" in server.log.read_text()
