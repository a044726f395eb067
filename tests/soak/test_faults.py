"""Killed at any instant, and without power at any instant: SECURITY S-01, S-02, S-13 at length."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from jwtauth.protocol import status_list
from tests.soak import load
from tests.soak.ledger import Ledger, place
from tests.soak.load import Load
from tests.soak.power_cut import Disk, Known, folder_with
from tests.support.halting import halted
from tests.web.site import Site, assert_refused, decoded

ROUNDS = 2
"""How often the service is killed, times `--soak`."""

BETWEEN = (30, 150)
"""After so many acknowledged answers it is killed, drawn anew in each round."""

TEARS = 12
"""In so many places the end of the log is torn, times `--soak`."""

REFUSALS = 6
"""So many requests are refused before the lock goes, times `--soak` up to 5: each has waited for two seconds."""

ASKED_ABOUT = 60
"""Of all revoked tokens, so many of the last are introspected; all are looked up in the published lists."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site", workers=2)
    load.populate(site.home)
    with site:
        yield site


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def working(site: Site, ledger: Ledger) -> Iterator[Load]:
    working = Load(site, ledger)
    yield working
    working.close()


def published(site: Site) -> dict[str, bytes]:
    """Every status list that the service publishes, unpacked, by its URI."""
    uris = site.http.get("/oauth/status").json()["status_lists"]
    lists = {uri: site.http.get(httpx.URL(uri).path).text for uri in uris}
    return {
        uri: status_list.decode(status_list.read(decoded(token.split(".")[1])).status_list.lst)
        for uri, token in lists.items()
    }


def assert_stays_revoked(site: Site, revoked: Sequence[str], ended: Sequence[str]) -> None:
    """Nothing that was revoked works, neither here nor for verifiers that only read the lists."""
    lists = published(site)
    positions = [place(token) for token in revoked]
    assert [at for uri, at in positions if status_list.status_of(lists[uri], at) != 1] == []
    assert [token for token in revoked[-ASKED_ABOUT:] if site.is_active(token)] == []
    for token in ended[-ASKED_ABOUT:]:
        assert_refused(site.refresh(token), 400, "invalid_grant")


def assert_goes_on(site: Site, working: Load) -> None:
    """What was acknowledged last works, and once."""
    for chain in working.chains:
        if chain.last is None or chain.is_ending:
            continue
        assert site.is_active(chain.last["access_token"])
        successor = site.refresh(chain.last["refresh_token"])
        assert successor.status_code == 200, successor.text
        working.ledger.note_refresh(chain.last["refresh_token"], successor.json()["refresh_token"])
        chain.last = successor.json()


def assert_redeemed_once(site: Site, working: Load) -> None:
    """A code that brought tokens brings none again; trying it once more ends the grant."""
    for application in working.applications:
        for code, tokens in application.redeemed:
            assert site.is_active(tokens["access_token"])
            assert application.replay(code) == 400
            assert not site.is_active(tokens["access_token"])
            working.ledger.note_revocation(tokens["access_token"], tokens["refresh_token"])
        application.redeemed.clear()


def assert_whole(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


class TestKilled:  # SECURITY S-01
    def test_at_any_instant_it_loses_nothing_and_issues_nothing_twice(
        self, site: Site, working: Load, ledger: Ledger, scale: int
    ) -> None:
        for _ in range(ROUNDS * scale):
            with working.running():
                ledger.wait_for(random.randint(*BETWEEN))
                site.server.kill()
            site.server.start()
            assert_stays_revoked(site, ledger.revoked, ledger.ended)
            assert_goes_on(site, working)
            assert_redeemed_once(site, working)
            assert ledger.double_issues() == []
        site.server.kill()
        assert_whole(site.home.source.database)
        assert "Traceback" not in site.server.log.read_text()
        print(f"{ROUNDS * scale} rounds, {ledger.acknowledged} acknowledged answers, none lost, none given twice")


class TestLocked:  # SECURITY S-04
    def test_by_another_process_it_refuses_for_now_and_then_goes_on(
        self, site: Site, working: Load, ledger: Ledger, scale: int
    ) -> None:
        with working.running():
            ledger.wait_for(BETWEEN[0])
            with closing(sqlite3.connect(site.home.source.database, isolation_level=None, timeout=30)) as other:
                other.execute("BEGIN EXCLUSIVE")
                ledger.wait_for_refusals(REFUSALS * min(scale, 5))
                other.execute("ROLLBACK")
            ledger.wait_for(BETWEEN[1])
        assert_stays_revoked(site, ledger.revoked, ledger.ended)
        assert_goes_on(site, working)
        assert_redeemed_once(site, working)
        assert ledger.double_issues() == []
        assert "Traceback" not in site.server.log.read_text()


class TestWithoutPower:  # SECURITY S-02
    """What was flushed is on the disk, of what was written after that any part may be missing or nonsense.

    A process cannot take the power away. The files are copied while every process of the service is halted: whatever
    was acknowledged by then is in the copy. Then the service goes on, and its log is torn anywhere behind that place.
    """

    def test_at_any_instant_it_holds_what_it_had_acknowledged(
        self, site: Site, working: Load, ledger: Ledger, tmp_path: Path, scale: int
    ) -> None:
        with working.running():
            ledger.wait_for(BETWEEN[0])
            with halted(site.server):
                known = Known.of(working)
                early = Disk.read(site.home.source.database)
            ledger.wait_for(BETWEEN[0])
            with halted(site.server):
                late = Disk.read(site.home.source.database)
            site.server.kill()
        for tear in range(TEARS * scale):
            torn = early.torn(late, at=random.randint(early.committed, len(late.log)), way=tear)
            known.assert_held(folder_with(torn, like=site.home.path, at=tmp_path / f"torn-{tear}"))
        early.torn(late, at=early.committed, way=2).write(site.home.source.database)
        site.server.start()
        assert_stays_revoked(site, known.revoked, known.ended)
        for tokens in known.going_on:
            assert site.is_active(tokens["access_token"])
            assert site.refresh(tokens["refresh_token"]).status_code == 200
