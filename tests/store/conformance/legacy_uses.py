"""`LegacyUses`: how often clients went through legacy doors, added up for all workers."""

import pytest

from jwtauth.protocol.legacy import NO_SECRET, QUERY
from jwtauth.store.ports import LegacyUse, Store
from tests.store.conformance.cast import NOW, THREADS, Cast, Conformance, OpenStore
from tests.store.racing import Ask, race


class LegacyUsesConformance(Conformance):
    """`LegacyUses`"""

    def test_nothing_was_counted_at_first(self, store: Store, cast: Cast, ask: Ask) -> None:
        assert ask(store.legacy_uses.all()) == []

    def test_adds_up_per_client_and_door_and_knows_the_first_and_the_last_use(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        ask(store.legacy_uses.add({(cast.player.id, QUERY): 3, (cast.player.id, NO_SECRET): 1}, now=NOW))
        ask(other.legacy_uses.add({(cast.player.id, QUERY): 4}, now=NOW + 10))
        assert ask(other.legacy_uses.all()) == [
            LegacyUse(client_id="player", realm="music", door=QUERY, count=7, first_at=NOW, last_at=NOW + 10),
            LegacyUse(client_id="player", realm="music", door=NO_SECRET, count=1, first_at=NOW, last_at=NOW),
        ]

    def test_knows_first_and_last_whoever_comes_first(self, store: Store, cast: Cast, ask: Ask) -> None:
        for now in (NOW + 5, NOW, NOW + 2):
            ask(store.legacy_uses.add({(cast.player.id, QUERY): 1}, now=now))
        (found,) = ask(store.legacy_uses.all())
        assert (found.first_at, found.last_at) == (NOW, NOW + 5)

    def test_gives_those_of_one_realm_or_of_all_the_last_used_first(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(store.legacy_uses.add({(cast.player.id, QUERY): 1}, now=NOW))
        ask(store.legacy_uses.add({(cast.cinema.id, QUERY): 1}, now=NOW + 1))
        assert [use.client_id for use in ask(store.legacy_uses.all())] == ["cinema", "player"]
        assert [use.client_id for use in ask(store.legacy_uses.all("music"))] == ["player"]
        assert ask(store.legacy_uses.all("nowhere")) == []

    def test_adds_all_or_nothing(self, store: Store, cast: Cast, ask: Ask) -> None:
        with pytest.raises(OverflowError):
            ask(store.legacy_uses.add({(cast.player.id, QUERY): 1, (cast.cinema.id, QUERY): 1 << 63}, now=NOW))
        assert ask(store.legacy_uses.all()) == []

    def test_passes_over_a_client_that_is_not_there(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(store.legacy_uses.add({(999, QUERY): 1, (cast.player.id, QUERY): 1}, now=NOW))
        assert [use.client_id for use in ask(store.legacy_uses.all())] == ["player"]

    def test_loses_no_use_in_a_burst(self, store: Store, cast: Cast, memory: OpenStore, ask: Ask) -> None:
        def racer(store: Store, ask: Ask) -> None:
            for _ in range(10):
                ask(store.legacy_uses.add({(cast.player.id, QUERY): 2, (cast.cinema.id, NO_SECRET): 1}, now=NOW))

        race(memory, *[racer] * THREADS)
        assert {use.client_id: use.count for use in ask(store.legacy_uses.all())} == {
            "player": 20 * THREADS,
            "cinema": 10 * THREADS,
        }
