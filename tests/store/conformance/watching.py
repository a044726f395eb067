"""What `Store` tells those who watch it: how much there is, and whether it can be written to."""

from jwtauth.store.ports import Store
from tests.store.conformance.cast import NOW, Cast, Conformance, started
from tests.store.racing import Ask


class WatchingConformance(Conformance):
    """`Store.waiting`, `Store.prove_writable`, `Store.figures`"""

    def test_counts_grants_that_live_and_positions_that_are_denied(self, store: Store, cast: Cast, ask: Ask) -> None:
        ended, lives = (ask(started(store, cast.player, cast.ada, expires_at=NOW + 60)) for _ in range(2))
        ask(store.grants.end(ended.id, now=NOW))
        found = ask(store.figures(now=NOW))
        assert (found.grants, found.denied) == (1, 1)
        assert ask(store.figures(now=lives.expires_at)).grants == 0
        assert found.size > 0
        assert found.free >= 0

    def test_a_proof_changes_nothing_that_is_remembered(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        before = other.refresh()
        for now in (NOW, NOW + 1, 1 << 40):
            ask(store.prove_writable(now=now))
        assert other.refresh() == before
        assert store.epoch == other.epoch
        assert store.waiting == 0
