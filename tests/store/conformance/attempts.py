"""`Attempts`: wrong secrets, counted for all workers."""

import pytest

from jwtauth.store.ports import Failures, Store
from tests.store.conformance.cast import (
    NOW,
    THREADS,
    Conformance,
    OpenStore,
)
from tests.store.racing import Ask, race


class AttemptsConformance(Conformance):
    """`Attempts`"""

    def test_nothing_was_counted_at_first(self, store: Store, ask: Ask) -> None:
        assert ask(store.attempts.failures(5)) == Failures(0, 0)

    def test_counts_per_bucket_in_every_workers_sight(self, store: Store, other: Store, ask: Ask) -> None:
        for now in (NOW, NOW + 1):
            ask(store.attempts.record_failure(5, now=now, forget_before=0))
        assert ask(other.attempts.failures(5)) == Failures(2, NOW + 1)
        assert ask(other.attempts.failures(6)) == Failures()

    @pytest.mark.parametrize(("forget_before", "count"), [(NOW, 3), (NOW + 1, 1)])
    def test_forgets_what_was_last_counted_before(self, store: Store, ask: Ask, forget_before: int, count: int) -> None:
        for _ in range(2):
            ask(store.attempts.record_failure(5, now=NOW, forget_before=0))
        ask(store.attempts.record_failure(5, now=NOW + 10, forget_before=forget_before))
        assert ask(store.attempts.failures(5)) == Failures(count, NOW + 10)

    def test_clears_one_bucket(self, store: Store, ask: Ask) -> None:
        for bucket in (5, 6):
            ask(store.attempts.record_failure(bucket, now=NOW, forget_before=0))
        ask(store.attempts.clear(5))
        assert [ask(store.attempts.failures(bucket)).count for bucket in (5, 6)] == [0, 1]

    def test_loses_no_failure_in_a_burst(self, store: Store, memory: OpenStore, ask: Ask) -> None:
        def racer(store: Store, ask: Ask) -> None:
            for _ in range(10):
                ask(store.attempts.record_failure(5, now=NOW, forget_before=0))

        race(memory, *[racer] * THREADS)
        assert ask(store.attempts.failures(5)).count == 10 * THREADS
