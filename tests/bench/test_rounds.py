"""What is computed from rounds: each is held against the reference around it, and the medians are told."""

import pytest

from bench import rounds
from bench.rounds import Spread
from tests.bench import made


class TestRatios:
    def test_compare_each_round_with_the_reference_just_before_and_just_after_it(self) -> None:
        """The machine becomes half as fast from the second round on; the ratio stays."""
        references = [made.turn(1_000), made.turn(1_000), made.turn(500), made.turn(500)]
        found = rounds.summary([made.turn(300), made.turn(225), made.turn(150)], references)
        assert found.ratio == Spread(min=0.3, median=0.3, max=0.3)
        assert found.rate == Spread(min=150, median=225, max=300)
        assert found.reference_rate == Spread(min=500, median=750, max=1_000)

    def test_of_computing_time_do_not_depend_on_who_else_used_the_core(self) -> None:
        references = [made.turn(1_000, cpu_us=50), made.turn(500, cpu_us=50)]
        found = rounds.summary([made.turn(10, cpu_us=200)], references)
        assert found.cpu_ratio == Spread(min=0.25, median=0.25, max=0.25)

    def test_come_with_the_share_of_its_core_that_the_reference_had(self) -> None:
        references = [made.turn(20_000, cpu_us=50), made.turn(10_000, cpu_us=50)]
        assert rounds.summary([made.turn(1, cpu_us=50)], references).reference_busy == 0.5

    def test_are_told_without_computing_times_where_the_system_has_none(self) -> None:
        found = rounds.summary([made.turn(1)], [made.turn(1), made.turn(1)])
        assert (found.cpu_us, found.cpu_ratio, found.reference_busy) == (None, None, None)


class TestLatencies:
    @pytest.mark.parametrize(("share", "rank"), [(0.50, 50), (0.99, 99), (1.0, 100)])
    def test_are_told_by_nearest_rank(self, share: float, rank: int) -> None:
        outcome = made.outcome(latencies=[number / 1000 for number in range(100, 0, -1)])
        assert rounds.percentile_ms(outcome, share) == rank

    def test_are_those_of_the_median_round(self) -> None:
        """Not of all answers together, among which the round that answered most would count most."""
        turns = [made.turn(1) for _ in range(3)]
        slow = rounds.Round(outcome=made.outcome(latencies=[1.0] * 1_000), cpu_us=None)
        found = rounds.summary([slow, *turns[:2]], [*turns, turns[0]])
        assert found.p99_ms == Spread(min=1, median=1, max=1_000)
