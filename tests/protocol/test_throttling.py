"""Waiting after wrong secrets: SECURITY B-10, B-11, S-06."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.protocol.throttling import FORGET_IN, FREE_FAILURES, LONGEST_WAIT_IN, wait_in
from tests.protocol.records import NOW


class TestWait:
    @pytest.mark.parametrize(
        ("failures", "wait"),
        [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (10, 32), (14, 512), (15, 900), (16, 900), (10_000_000, 900)],
    )
    def test_doubles_with_each_failure_up_to_a_bound(self, failures: int, wait: int) -> None:
        assert wait_in(failures, last_at=NOW, now=NOW) == wait

    def test_is_over_once_it_has_passed(self) -> None:
        assert [wait_in(7, last_at=NOW, now=NOW + passed) for passed in (0, 1, 3, 4, 5)] == [4, 3, 1, 0, 0]

    def test_is_forgotten_after_a_quiet_day(self) -> None:
        assert wait_in(10**6, last_at=NOW, now=NOW + FORGET_IN) == 0

    @pytest.mark.parametrize("back", [1, 3_600, 10**9])
    def test_is_never_longer_because_the_clock_was_set_back(self, back: int) -> None:
        assert wait_in(7, last_at=NOW, now=NOW - back) == 4

    @given(st.integers(0, 10**9), st.integers(0, 2**40), st.integers(0, 2**40))
    def test_is_never_negative_never_endless(self, failures: int, last_at: int, now: int) -> None:
        wait = wait_in(failures, last_at=last_at, now=now)
        assert 0 <= wait <= LONGEST_WAIT_IN
        assert not (wait and failures < FREE_FAILURES)
