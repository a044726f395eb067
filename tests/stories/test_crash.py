"""Killed and stopped under load: what was acknowledged is there, nothing is there twice (SECURITY S-01, S-02, S-15)."""

import os
import re
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from errno import ECONNREFUSED
from pathlib import Path
from socket import socket
from threading import Event, Thread
from typing import Any, Final, NoReturn

import httpx
import pytest

from tests.support.halting import family
from tests.support.home import PASSWORD, SECRET
from tests.support.live import LiveServer
from tests.web.site import Site, assert_refused, claims_of, populate

CHAINS = 6
WITHIN: Final = 60.0
"""Seconds for what happens at once on an idle machine."""
WRITING: Final = ("pwrite64", "fsync", "fdatasync", "write", "writev", "sendto", "sendmsg")


class Chain(Thread):
    """One grant that is refreshed without pause; remembers every answer that was read to its end."""

    def __init__(self, url: str, first: dict[str, Any]) -> None:
        super().__init__()
        self.acknowledged = [first]
        self.problems: list[str] = []
        self.stopped = Event()
        self._url = url

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=20, verify=False, auth=("service", SECRET)) as http:
            while not self.stopped.is_set():
                form = {"grant_type": "refresh_token", "refresh_token": self.acknowledged[-1]["refresh_token"]}
                try:
                    response = http.post("/oauth/token", data=form)
                except httpx.TransportError:
                    return
                if response.status_code != 200:
                    self.problems.append(response.text)
                    return
                self.acknowledged.append(response.json())


@contextmanager
def under_load(site: Site, *, at_least: int) -> Iterator[list[Chain]]:
    """Chains that have refreshed so often each; they end when the server does."""
    with ThreadPoolExecutor(CHAINS) as pool:
        grants = list(pool.map(lambda _: site.person(), range(CHAINS)))
    chains = [Chain(site.server.url, grant) for grant in grants]
    for chain in chains:
        chain.start()
    while not all(len(chain.acknowledged) > at_least or not chain.is_alive() for chain in chains):
        chains[0].join(0.005)
    yield chains
    for chain in chains:
        chain.stopped.set()
        chain.join()
        assert chain.problems == []
        assert len(chain.acknowledged) > at_least


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "crash", workers=2)
    populate(site)
    with site:
        yield site


def restart(site: Site) -> None:
    """The same folder on the same port."""
    site.http.close()
    site.server = LiveServer(site.home.path, workers=2, port=site.server.port).start()
    site.http = httpx.Client(base_url=site.server.url, timeout=20, verify=False)


def assert_works_exactly_once(site: Site, acknowledged: list[dict[str, Any]]) -> None:
    """The last acknowledged refresh token has one successor; earlier ones are dead and end everything."""
    last = acknowledged[-1]
    assert site.is_active(last["access_token"])
    successor = site.refresh(last["refresh_token"])
    assert successor.status_code == 200, successor.text
    again = site.refresh(last["refresh_token"])
    assert again.json()["refresh_token"] == successor.json()["refresh_token"], "two successors of one token"
    following = site.refresh(successor.json()["refresh_token"])
    assert following.status_code == 200
    for used in (last, acknowledged[-2], acknowledged[0]):
        assert_refused(site.refresh(used["refresh_token"]), 400, "invalid_grant")
    assert_refused(site.refresh(following.json()["refresh_token"]), 400, "invalid_grant")
    assert not site.is_active(following.json()["access_token"])


class TestKilled:
    """What was acknowledged is there, and there once (S-01, S-02)."""

    def test_under_load_keeps_every_acknowledged_token(self, site: Site) -> None:
        places: list[tuple[str, int]] = []
        revoked: list[str] = []
        ended: list[str] = []
        for _ in range(3):
            with under_load(site, at_least=5) as chains:
                machines = [site.machine() for _ in range(20)]
                assert site.post("/oauth/revoke", {"token": machines[0]}).status_code == 200
                gone = site.person()
                assert site.post("/oauth/revoke", {"token": gone["refresh_token"]}).status_code == 200
                site.server.kill()
            places += [_place(token) for token in machines]
            revoked += [machines[0], gone["access_token"]]
            ended.append(gone["refresh_token"])
            restart(site)
            assert not [token for token in revoked if site.is_active(token)], "a revocation was forgotten"
            assert site.is_active(machines[1])
            for token in ended:
                assert_refused(site.refresh(token), 400, "invalid_grant")
            for chain in chains:
                assert_works_exactly_once(site, chain.acknowledged)
        places += [_place(site.machine()) for _ in range(40)]
        assert len(set(places)) == len(places), "a status position was given twice"

    def test_has_committed_before_it_answered(self, site: Site, tmp_path: Path) -> None:
        """A copy of the files as they were on the disk at that moment knows what was answered (S-02)."""
        with under_load(site, at_least=3) as chains:
            site.server.kill()
        integrity = site.dump(("pragma_integrity_check",))["pragma_integrity_check"]
        assert integrity == [("ok",)]
        generations = sorted(row[6] for row in site.dump(("grants",))["grants"])
        answered = sorted(len(chain.acknowledged) - 1 for chain in chains)
        for stored, known in zip(generations, answered, strict=True):
            assert known <= stored <= known + 1
        restart(site)
        assert site.token({"grant_type": "password", "username": "ada", "password": PASSWORD}).status_code == 200


@contextmanager
def traced(site: Site, path: Path) -> Iterator[None]:
    """While this goes on, the system calls of the workers that write or flush are noted in a file, in their order."""
    strace = shutil.which("strace")
    if strace is None:
        _skip("there is no strace on this machine")
    command = [strace, "-f", "-y", "-e", f"trace={','.join(WRITING)}", "-s", "16", "-o", str(path)]
    pids = [option for pid in family(site.server) for option in ("-p", str(pid))]
    with subprocess.Popen([*command, *pids], stderr=subprocess.PIPE, text=True) as tracing:
        try:
            while not (path.exists() and "HTTP/1.1" in path.read_text()):
                if tracing.poll() is not None:
                    _skip(f"strace may not look: {tracing.stderr.read().strip() if tracing.stderr else ''}")
                assert site.http.get("/healthz").status_code == 200
            yield
        finally:
            tracing.terminate()


def _skip(reason: str) -> NoReturn:
    warnings.warn(f"SKIPPED: whether a commit is flushed before it is answered: {reason}", stacklevel=2)
    pytest.skip(reason)


def steps(trace: str) -> list[str]:
    """What happened to the database's log and to the network: write, flush, answer."""
    found = []
    flushing: dict[str, bool] = {}
    """Whether it is the log that a thread flushes: strace tells of a call that takes long in two lines."""
    for line in trace.splitlines():
        thread = line.partition(" ")[0]
        if re.search(r"(fsync|fdatasync)\(", line):
            flushing[thread] = "-wal>" in line
        if "pwrite64" in line and "-wal>" in line:
            found.append("write")
        elif re.search(r"(fsync|fdatasync)(\(| resumed).*= 0", line) and flushing[thread]:
            found.append("flush")
        elif "HTTP/1.1" in line:
            found.append("answer")
    return found


class TestAnswered:
    def test_only_after_the_commit_was_flushed_to_the_disk(self, site: Site, tmp_path: Path) -> None:
        """SECURITY S-02: a process cannot take the power away, but it can see the order of things."""
        granted, path = site.person(), tmp_path / "trace"
        with traced(site, path):
            assert site.is_active(granted["access_token"])
            for _ in range(5):
                granted = site.refresh(granted["refresh_token"]).json()
            assert site.post("/oauth/revoke", {"token": granted["refresh_token"]}).status_code == 200
        seen = "".join(step[0] for step in steps(path.read_text()))
        assert re.search(r"(w+fa){6}$", seen), seen


class TestStopped:
    """SIGTERM finishes what was begun (S-15)."""

    def test_under_load_loses_nothing(self, site: Site) -> None:
        with under_load(site, at_least=5) as chains:
            assert site.server.stop() == 0
        restart(site)
        for chain in chains:
            assert_works_exactly_once(site, chain.acknowledged)
        assert "Traceback" not in site.server.log.read_text()

    def test_answers_what_it_had_begun(self, site: Site) -> None:
        """No connection breaks off in the middle of an answer: what was not acknowledged was never begun."""
        with under_load(site, at_least=5) as chains:
            site.server.stop()
        assert_kept_what_was_answered(site, chains)


class TestLeftAlone:
    """The supervisor is killed, its workers are not: they finish what they had begun and make room for the next."""

    def test_workers_finish_and_end(self, site: Site) -> None:
        with under_load(site, at_least=5) as chains:
            os.kill(site.server.pid, signal.SIGKILL)
            until_nobody_listens(site)
        assert_kept_what_was_answered(site, chains)
        site.server.kill()
        restart(site)
        for chain in chains:
            assert_works_exactly_once(site, chain.acknowledged)
        assert "Traceback" not in site.server.log.read_text()


def assert_kept_what_was_answered(site: Site, chains: list[Chain]) -> None:
    """No more and no less."""
    generations = sorted(row[6] for row in site.dump(("grants",))["grants"])
    assert generations == sorted(len(chain.acknowledged) - 1 for chain in chains)


def until_nobody_listens(site: Site) -> None:
    """A worker that ends may break off a connection that it has just taken while the other one still listens: only a
    refused connection says that both are gone."""
    deadline = time.monotonic() + WITHIN
    while True:
        with socket() as probe:
            if probe.connect_ex(("127.0.0.1", site.server.port)) == ECONNREFUSED:
                return
        assert time.monotonic() < deadline, "somebody still listens"


def _place(token: str) -> tuple[str, int]:
    status = claims_of(token)["status"]["status_list"]
    return status["uri"], status["idx"]
