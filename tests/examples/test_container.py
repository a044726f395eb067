"""examples/container beside the real service and a secured resource (SEEDS F13): it renews its token by itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from msgspec import Struct

from jwtauth.protocol.records import AuthMethod, GrantType
from tests.examples import programs
from tests.examples.programs import EXAMPLES, Example
from tests.support.home import SECRET, Home
from tests.support.live import LiveServer
from tests.web.site import Site

BEFORE: Final = "renewed the token before it expired"
REFUSED: Final = "renewed the token after it was refused"
WITHIN: Final = 60.0
LEEWAY_IN: Final = 60
"""The example's: a token of so many seconds more needs to be renewed after those few."""


class Algorithm(Struct, frozen=True):
    """The process, and what it wrote."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def eventually(self, *expected: str) -> None:
        """Wait until lines that begin so have come, in this order, perhaps with others between them."""
        deadline = time.monotonic() + WITHIN
        while not _follow(expected, self.lines):
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with machines whose tokens live long, for seconds, and of another scope."""
    site = Site(tmp_path_factory.mktemp("issuer"), status_list_ttl=1)
    machine = (GrantType.CLIENT_CREDENTIALS,)
    site.home.client("steady", grant_types=machine)
    site.home.client("hasty", grant_types=machine, access_token_in=LEEWAY_IN + 1, auth_method=AuthMethod.POST)
    site.home.client("printer", grant_types=machine, scope=("print",))
    with site:
        yield site


@pytest.fixture(scope="module")
def resource(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The secured resource of examples/infraviewer."""
    environment = {"ISSUER": site.server.url, "AUDIENCE": site.home.realm().audience}
    with programs.infraviewer(tmp_path_factory.mktemp("resource"), environment) as running:
        yield running


@contextmanager
def running(folder: Path, issuer: str, resource: str, client_id: str, **more: str) -> Iterator[Algorithm]:
    """The example, as a container has it: by its command, with nothing but an environment."""
    known = {"ISSUER": issuer, "RESOURCE_URL": f"{resource}/ressource_1", "CLIENT_ID": client_id, "PAUSE": "0.1"}
    environment = {"PATH": os.environ["PATH"], "CLIENT_SECRET": SECRET, **known, **more}
    log = folder / "algorithm.log"
    with log.open("wb") as output:
        command = [sys.executable, str(EXAMPLES / "container" / "algorithm.py")]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        yield Algorithm(process, log)
    finally:
        process.kill()
        process.wait()


def _follow(expected: tuple[str, ...], lines: list[str]) -> bool:
    rest = iter(lines)
    return all(any(line.startswith(start) for line in rest) for start in expected)


class TestTheAlgorithm:
    def test_renews_its_token_before_it_expires(self, site: Site, resource: Example, tmp_path: Path) -> None:
        with running(tmp_path, site.server.url, resource.url, "hasty", AUTH_METHOD="client_secret_post") as algorithm:
            algorithm.eventually("200", BEFORE, "200", BEFORE, "200")
            assert REFUSED not in algorithm.lines
            assert all(line.startswith("200") or line == BEFORE for line in algorithm.lines), algorithm.lines

    def test_gets_another_token_after_a_revocation(self, site: Site, resource: Example, tmp_path: Path) -> None:
        with running(tmp_path, site.server.url, resource.url, "steady") as algorithm:
            algorithm.eventually('200 {"caller":"steady"')
            programs.command_line(site.home.path, "revoke", "--client", "steady", "--yes")
            algorithm.eventually("200", REFUSED, "200")
            assert all(line.startswith("200") or line == REFUSED for line in algorithm.lines), algorithm.lines

    def test_asks_for_one_other_token_where_none_would_do(self, site: Site, resource: Example, tmp_path: Path) -> None:
        with running(tmp_path, site.server.url, resource.url, "printer", SCOPE="print") as algorithm:
            algorithm.eventually(REFUSED, "401", REFUSED, "401")
            assert "Bearer token scope not valid." in algorithm.lines[1]

    def test_goes_on_where_it_was_not_let_in(self, site: Site, resource: Example, tmp_path: Path) -> None:
        with running(tmp_path, site.server.url, resource.url, "steady", CLIENT_SECRET="wrong") as algorithm:
            algorithm.eventually("no answer: invalid_client", "no answer: invalid_client")

    def test_waits_for_an_issuer_that_starts_later(self, home: Home, resource: Example, tmp_path: Path) -> None:
        """To the resource it is a stranger, but a token comes from there."""
        home.client("steady", grant_types=(GrantType.CLIENT_CREDENTIALS,))
        late = LiveServer(home.path)
        with running(tmp_path, late.url, resource.url, "steady") as algorithm:
            algorithm.eventually("no answer: ")
            with late:
                algorithm.eventually("no answer: ", REFUSED)

    def test_ends_when_its_container_is_stopped(self, site: Site, resource: Example, tmp_path: Path) -> None:
        with running(tmp_path, site.server.url, resource.url, "steady") as algorithm:
            algorithm.eventually("200")
            algorithm.process.send_signal(signal.SIGTERM)
            assert algorithm.process.wait(10) == 0
            assert "Traceback" not in algorithm.log.read_text()
