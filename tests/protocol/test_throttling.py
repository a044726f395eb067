"""Waiting after wrong secrets: SECURITY B-10, B-11, S-06."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.protocol.throttling import ACCOUNT, ADDRESS, Patience, wait_in
from tests.protocol.records import NOW

BOTH = pytest.mark.parametrize("patience", [ACCOUNT, ADDRESS], ids=["account", "address"])


class TestWait:
    @pytest.mark.parametrize(
        ("failures", "wait"),
        [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (10, 32), (14, 512), (15, 900), (16, 900), (10_000_000, 900)],
    )
    def test_for_an_account_doubles_with_each_failure_up_to_a_quarter_of_an_hour(
        self, failures: int, wait: int
    ) -> None:
        assert wait_in(failures, last_at=NOW, now=NOW) == wait

    @pytest.mark.parametrize(
        ("failures", "wait"),
        [(0, 0), (5, 0), (99, 0), (100, 1), (101, 2), (104, 16), (105, 30), (106, 30), (10_000_000, 30)],
    )
    def test_for_an_address_begins_late_and_is_short(self, failures: int, wait: int) -> None:
        """A whole office may share one address: whoever guesses there must not keep the others out."""
        assert wait_in(failures, ADDRESS, last_at=NOW, now=NOW) == wait

    def test_is_over_once_it_has_passed(self) -> None:
        assert [wait_in(7, last_at=NOW, now=NOW + passed) for passed in (0, 1, 3, 4, 5)] == [4, 3, 1, 0, 0]

    @BOTH
    def test_is_over_before_it_is_forgotten(self, patience: Patience) -> None:
        """Else waiting would be for nothing, or end by forgetting: the next guess would be free again."""
        passed = patience.longest_wait_in
        assert wait_in(10**6, patience, last_at=NOW, now=NOW + passed - 1) == 1
        assert wait_in(10**6, patience, last_at=NOW, now=NOW + passed) == 0
        assert patience.forget_in > patience.longest_wait_in

    @pytest.mark.parametrize(("patience", "quiet"), [(ACCOUNT, 86_400), (ADDRESS, 900)], ids=["account", "address"])
    def test_is_forgotten_after_a_quiet_time(self, patience: Patience, quiet: int) -> None:
        assert patience.forget_in == quiet
        assert wait_in(10**6, patience, last_at=NOW, now=NOW + quiet) == 0

    @pytest.mark.parametrize("back", [1, 60])
    def test_is_never_longer_because_the_clock_was_set_back(self, back: int) -> None:
        assert wait_in(7, last_at=NOW, now=NOW - back) == 4

    @pytest.mark.parametrize("back", [61, 3_600, 10**9])
    def test_does_not_last_until_a_clock_that_was_set_back_far_is_there_again(self, back: int) -> None:
        assert wait_in(7, last_at=NOW, now=NOW - back) == 0

    @BOTH
    @given(st.integers(0, 10**9), st.integers(0, 2**40), st.integers(0, 2**40))
    def test_is_never_negative_never_endless(self, patience: Patience, failures: int, last_at: int, now: int) -> None:
        wait = wait_in(failures, patience, last_at=last_at, now=now)
        assert 0 <= wait <= patience.longest_wait_in
        assert not (wait and failures < patience.free)
