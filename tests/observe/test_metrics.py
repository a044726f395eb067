"""What is counted, and how the numbers of several workers become one."""

import tempfile
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jwtauth.observe import metrics, worker_files
from jwtauth.observe.events import REUSED, Event
from jwtauth.observe.metrics import (
    CONNECTIONS,
    DURATIONS,
    EVENTS,
    MOST_EVENTS,
    OTHER,
    PASSWORDS_REFUSED,
    REFRESHES,
    REQUEST_SECONDS,
    REQUESTS,
    REVOCATIONS,
    SIGN_INS,
    TOKENS,
    WORKERS,
    Histogram,
    Metrics,
    Snapshot,
)
from jwtauth.observe.worker_files import Ended, WorkerFiles


def counted(*events: Event) -> Snapshot:
    found = Metrics()
    for event in events:
        found.count(event)
    return found.snapshot()


def told(name: str, **changes: Any) -> Event:
    return Event(name=name, at=1_700_000_000, **changes)


class TestRequests:
    def test_are_counted_by_endpoint_and_class_of_status(self) -> None:
        found = Metrics()
        for status in (200, 204, 303, 400, 401, 503):
            found.endpoint("/oauth/token").note(status, 0.001)
        found.endpoint("/login").note(200, 0.001)
        found.endpoint("/consent")
        assert found.snapshot().counters[REQUESTS] == {
            ("/oauth/token", "2xx"): 2,
            ("/oauth/token", "3xx"): 1,
            ("/oauth/token", "4xx"): 2,
            ("/oauth/token", "5xx"): 1,
            ("/login", "2xx"): 1,
        }

    def test_are_sorted_by_how_long_they_took(self) -> None:
        found = Metrics()
        for seconds in (0.0, DURATIONS[0], DURATIONS[0] * 1.01, DURATIONS[-1], 3_600.0):
            found.endpoint("/login").note(200, seconds)
        seen = found.snapshot().distributions[REQUEST_SECONDS]["/login",]
        assert (seen.counts[0], seen.counts[1], seen.counts[-2], seen.counts[-1]) == (2, 1, 1, 1)
        assert sum(seen.counts) == 5
        assert seen.total == pytest.approx(3_600 + DURATIONS[-1] + DURATIONS[0] * 2.01)


class TestHistogram:
    def test_counts_a_value_at_a_bound_below_it(self) -> None:
        histogram = Histogram((1.0, 2.0))
        for value in (0.5, 1.0, 1.5, 2.0, 2.5):
            histogram.add(value)
        assert list(accumulate(histogram.seen().counts)) == [2, 4, 5]
        assert histogram.seen().total == 7.5


class TestEvents:
    def test_are_counted_by_name_and_code(self) -> None:
        refused = told("request.refused", code="invalid_client")
        found = counted(refused, refused, told("session.started"))
        assert found.counters[EVENTS] == {("request.refused", "invalid_client"): 2, ("session.started", ""): 1}

    @pytest.mark.parametrize(
        ("event", "metric", "label"),
        [
            (told("token.issued", grant_type="client_credentials"), TOKENS, "client_credentials"),
            (told("token.issued", grant_type="a-grant-of-a-realm"), TOKENS, "custom"),
            (told("grant.started", grant_type="password"), TOKENS, "password"),
            (told("grant.started", grant_type="external_token"), TOKENS, "external_token"),
            (told("grant.started", grant_type="implicit"), TOKENS, "implicit"),
            (told("code.redeemed"), TOKENS, "authorization_code"),
            (told("refresh_token.rotated"), TOKENS, "refresh_token"),
            (told("refresh_token.rotated"), REFRESHES, "rotated"),
            (told("refresh_token.retried"), REFRESHES, "retried"),
            (told("refresh_token.used"), REFRESHES, "used"),
            (told("grant.ended", reason=REUSED), REFRESHES, "reused"),
            (told("session.started"), SIGN_INS, "ok"),
            (told("sign_in.refused", reason="wrong password"), SIGN_INS, "refused"),
            (told("sign_in.refused", code="temporarily_unavailable"), SIGN_INS, "throttled"),
        ],
    )
    def test_are_counted_by_what_they_mean(self, event: Event, metric: str, label: str) -> None:
        found = counted(event).counters[metric]
        assert {labels[0] for labels, count in found.items() if count} == {label}
        assert found[label,] == 1

    @pytest.mark.parametrize(
        "event", [told("grant.started"), told("request.refused", code="invalid_grant"), told("grant.ended")]
    )
    def test_that_issue_no_token_count_as_none(self, event: Event) -> None:
        assert not any(counted(event).counters[TOKENS].values())

    @pytest.mark.parametrize("name", ["grant.ended", "token.revoked", "tokens.revoked"])
    def test_of_ends_are_revocations(self, name: str) -> None:
        assert counted(told(name)).counters[REVOCATIONS] == {(): 1}

    def test_have_a_bounded_number_of_series_and_none_is_lost(self) -> None:
        found = counted(*(told(f"event.{number}") for number in range(MOST_EVENTS + 100))).counters[EVENTS]
        assert len(found) == MOST_EVENTS + 1
        assert found[OTHER, ""] == 100

    def test_have_every_outcome_before_anything_happened(self) -> None:
        """Else the first one would be no rise for whoever watches, but a number out of nowhere."""
        found = counted().counters
        assert {labels[0] for labels in found[SIGN_INS]} == {"ok", "refused", "throttled"}
        assert {labels[0] for labels in found[REFRESHES]} == {"rotated", "retried", "used", "reused"}


def numbers(connections: int, refused: int, asked: int = 0) -> Snapshot:
    """A worker's numbers."""
    one = Metrics()
    one.watch(CONNECTIONS, lambda: connections)
    one.watch(PASSWORDS_REFUSED, lambda: refused)
    for _ in range(asked):
        one.endpoint("/login").note(200, 0.001)
    return one.snapshot()


class TestWorkers:
    """One folder, several workers: here all in one process, as each holds its lock by a file of its own."""

    @staticmethod
    def total(files: WorkerFiles) -> tuple[float, float, float]:
        """Connections, refused hashes, live workers, as one of them says it."""
        found = metrics.together(files.read())
        return (
            found.gauges.get(CONNECTIONS, {}).get((), 0),
            found.counters.get(PASSWORDS_REFUSED, {}).get((), 0),
            found.gauges[WORKERS][()],
        )

    def test_tell_the_sum_of_all(self, tmp_path: Path) -> None:
        first, second = WorkerFiles(tmp_path), WorkerFiles(tmp_path)
        first.write(numbers(3, 10, asked=2))
        second.write(numbers(4, 20, asked=5))
        assert self.total(first) == self.total(second) == (7, 30, 2)
        together = metrics.together(first.read())
        assert together.counters[REQUESTS]["/login", "2xx"] == 7
        assert sum(together.distributions[REQUEST_SECONDS]["/login",].counts) == 7

    def test_that_are_dead_still_count_but_hold_nothing(self, tmp_path: Path) -> None:
        first, second = WorkerFiles(tmp_path), WorkerFiles(tmp_path)
        first.write(numbers(3, 10))
        second.write(numbers(4, 20))
        second.close()
        assert self.total(first) == (3, 30, 1)
        assert [snapshot.pid for snapshot in first.read() if snapshot.pid] == [numbers(0, 0).pid]

    def test_that_begin_add_up_the_dead_and_take_their_files_away(self, tmp_path: Path) -> None:
        first = WorkerFiles(tmp_path)
        first.write(numbers(0, 1))
        for _ in range(20):
            worker = WorkerFiles(tmp_path)
            worker.write(numbers(1, 1))
            worker.close()
        last = WorkerFiles(tmp_path)
        last.write(numbers(0, 0))
        assert self.total(first) == (0, 21, 2)
        assert len(list(tmp_path.iterdir())) <= 6

    def test_count_once_also_where_one_was_killed_while_adding_up(self, tmp_path: Path) -> None:
        first, second = WorkerFiles(tmp_path), WorkerFiles(tmp_path)
        second.write(numbers(0, 20))
        (left,) = tmp_path.glob("*.numbers")
        first.write(numbers(0, 1))
        second.close()
        ended = Ended(names=(left.stem,), sum=numbers(0, 20))
        (tmp_path / "ended").write_bytes(msgspec.msgpack.encode(ended))
        assert self.total(first)[1] == 21
        WorkerFiles(tmp_path)
        assert self.total(first)[1] == 21

    def test_write_nothing_where_nothing_changed(self, tmp_path: Path) -> None:
        files = WorkerFiles(tmp_path)
        files.write(numbers(1, 1))
        (path,) = tmp_path.glob("*.numbers")
        before = path.stat().st_ino
        files.write(numbers(1, 1))
        assert path.stat().st_ino == before
        files.write(numbers(1, 2))
        assert path.stat().st_ino != before


class TestTheFolder:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Temporary files of this test alone."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def test_is_private_and_gone_with_its_supervisor(self) -> None:
        with worker_files.folder() as shared:
            assert shared.stat().st_mode & 0o777 == 0o700
            WorkerFiles(shared).write(numbers(1, 1))
        assert not shared.exists()

    def test_that_a_killed_supervisor_left_is_cleared_away_by_the_next(self, tmp_path: Path) -> None:
        left, foreign = tmp_path / "jwtauth-left", tmp_path / "jwtauth-of-something-else"
        for path, name in ((left, "supervisor.alive"), (foreign, "notes")):
            path.mkdir()
            (path / name).touch()
        with worker_files.folder() as shared, worker_files.folder():
            assert (left.exists(), foreign.exists(), shared.exists()) == (False, True, True)

    def test_stays_while_a_worker_outlives_its_supervisor(self, tmp_path: Path) -> None:
        left = tmp_path / "jwtauth-left"
        left.mkdir()
        (left / "supervisor.alive").touch()
        worker = WorkerFiles(left)
        with worker_files.folder():
            assert left.exists()
        worker.close()
        with worker_files.folder():
            assert not left.exists()
