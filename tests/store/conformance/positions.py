"""`Positions`: nobody gets one twice, and what was denied stays so."""

from functools import partial
from itertools import chain, pairwise

import pytest

from jwtauth.protocol.status_list import LIST_SIZE
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    KEPT_IN,
    NOW,
    THREADS,
    Cast,
    Conformance,
    OpenStore,
    denied,
    present,
    rotated,
    span,
    started,
    taken,
)
from tests.store.racing import Ask, Racer, race


class PositionsConformance(Conformance):
    """`Positions`"""

    def test_take_block_gives_what_was_asked_for(self, store: Store, cast: Cast, ask: Ask) -> None:
        block = ask(taken(store, cast.player, 64))
        assert (block.size, block.use_until) == (64, NOW + 3_600)
        assert denied(store, span(block)) == {False}

    def test_take_block_gives_none_where_the_epoch_has_moved(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(store.administration.change_client(cast.player, now=NOW))
        assert ask(store.positions.take_block(cast.player, size=64, use_until=NOW + 1, now=NOW)) is None

    def test_take_block_gives_none_to_a_disabled_client(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(store.administration.disable_client(cast.player, now=NOW))
        store.refresh()
        client = ask(store.directory.client("player"))
        assert client is not None
        assert ask(store.positions.take_block(client, size=64, use_until=NOW + 1, now=NOW)) is None

    def test_nobody_else_gets_a_position_of_a_block(self, memory: OpenStore, cast: Cast) -> None:
        def machines(size: int, store: Store, ask: Ask) -> list[range]:
            return [span(ask(taken(store, cast.player, size))) for _ in range(6)]

        def people(store: Store, ask: Ask) -> list[range]:
            positions = [ask(started(store, cast.player, cast.ada)).position for _ in range(6)]
            return [range(position, position + 1) for position in positions]

        racers: list[Racer[list[range]]] = [partial(machines, size) for size in (1, 2, 64, 100, 65_536)]
        spans = sorted(chain(*race(memory, *racers, *[people] * 3)), key=lambda found: found.start)
        assert len(spans) == 6 * 8
        assert all(before.stop <= after.start for before, after in pairwise(spans))
        assert all(found.start // LIST_SIZE == (found.stop - 1) // LIST_SIZE for found in spans)

    @pytest.mark.parametrize(
        ("left", "size", "begins_next_list"),
        [(100, 64, False), (100, 100, False), (100, 101, True), (1, 1, False), (1, 2, True), (65_535, 65_536, True)],
    )
    def test_a_block_never_straddles_two_lists(
        self, store: Store, cast: Cast, ask: Ask, left: int, size: int, begins_next_list: bool
    ) -> None:
        ask(taken(store, cast.player, LIST_SIZE - left))
        block = ask(taken(store, cast.player, size))
        assert block.position == (LIST_SIZE if begins_next_list else LIST_SIZE - left)
        assert ask(taken(store, cast.player, 1)).position == block.position + size

    def test_grants_cross_from_one_list_into_the_next(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(taken(store, cast.player, LIST_SIZE - 1))
        positions = [ask(started(store, cast.player, cast.ada)).position for _ in range(3)]
        assert positions == [LIST_SIZE - 1, LIST_SIZE, LIST_SIZE + 1]

    def test_deny_denies_one_position(self, store: Store, cast: Cast, ask: Ask) -> None:
        block = ask(taken(store, cast.player))
        assert ask(store.positions.deny(block.position + 5, now=NOW))
        store.refresh()
        assert [position for position in span(block) if store.positions.is_denied(position)] == [block.position + 5]

    def test_deny_ends_the_grant_that_holds_the_position(self, store: Store, cast: Cast, ask: Ask) -> None:
        """SECURITY I-14: revoking an access token ends its grant."""
        grant, neighbour = ask(started(store, cast.player, cast.ada)), ask(started(store, cast.player, cast.ada))
        assert ask(store.positions.deny(grant.position, now=NOW + 5))
        assert ask(present(store, grant)).ended_at == NOW + 5
        assert ask(present(store, neighbour)).ended_at is None
        assert ask(rotated(store, grant)) is None

    def test_deny_of_a_position_that_the_grant_has_left_ends_nothing(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(rotated(store, grant, renews_position=True))
        assert not ask(store.positions.deny(grant.position, now=NOW))
        assert ask(present(store, grant)).ended_at is None

    def test_deny_is_false_where_the_position_was_denied_before(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(store.grants.end(grant.id, now=NOW))
        assert not ask(store.positions.deny(grant.position, now=NOW))

    def test_deny_is_false_where_the_whole_block_was_denied_before(self, store: Store, cast: Cast, ask: Ask) -> None:
        blocks = [ask(taken(store, cast.player)), ask(taken(store, cast.cinema)), ask(taken(store, cast.player))]
        ask(store.administration.disable_client(cast.player, now=NOW))
        edges = [position for block in blocks for position in (block.position, block.position + block.size - 1)]
        answers = [ask(store.positions.deny(position, now=NOW)) for position in edges]
        assert answers == [False, False, True, True, False, False]

    def test_deny_is_true_exactly_once(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        block = ask(taken(store, cast.player, 10))

        def racer(store: Store, ask: Ask) -> list[bool]:
            return [ask(store.positions.deny(position, now=NOW)) for position in span(block)]

        assert [sum(won) for won in zip(*race(memory, *[racer] * THREADS), strict=True)] == [1] * 10

    def test_is_denied_is_as_of_the_last_refresh(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        """SECURITY S-13: revoked by one worker, seen by another at its next request."""
        grant = ask(started(store, cast.player, cast.ada))
        other.refresh()
        ask(store.positions.deny(grant.position, now=NOW))
        assert not other.positions.is_denied(grant.position)
        other.refresh()
        assert other.positions.is_denied(grant.position)

    def test_is_denied_knows_at_once_what_was_denied_before_the_store_was_opened(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        block = ask(taken(store, cast.player))
        ask(store.administration.disable_client(cast.player, now=NOW))
        late = memory()
        assert {late.positions.is_denied(position) for position in span(block)} == {True}
        late.close()

    def test_denied_in_lays_a_list_out_as_it_is_published(self, store: Store, cast: Cast, ask: Ask) -> None:
        block = ask(taken(store, cast.player, 16))
        for position in (block.position, block.position + 9):
            ask(store.positions.deny(position, now=NOW))
        assert not any(store.positions.denied_in(0))
        store.refresh()
        statuses = store.positions.denied_in(0)
        assert len(statuses) == LIST_SIZE // 8
        assert statuses.rstrip(b"\0") == bytes([0b0000_0001, 0b0000_0010])
        assert not any(store.positions.denied_in(1))

    def test_version_of_moves_for_the_list_in_which_something_was_denied(
        self, store: Store, cast: Cast, ask: Ask
    ) -> None:
        blocks = [ask(taken(store, cast.player, LIST_SIZE)) for _ in range(2)]
        seen = [versions_of(store)]
        for position in (blocks[0].position, blocks[0].position + 1, blocks[1].position):
            ask(store.positions.deny(position, now=NOW))
            assert versions_of(store) == seen[-1]
            store.refresh()
            seen.append(versions_of(store))
        moved = [tuple(old != new for old, new in zip(*pair, strict=True)) for pair in pairwise(seen)]
        assert moved == [(True, False), (True, False), (False, True)]
        assert store.positions.versions() == {0: seen[-1][0], 1: seen[-1][1]}

    def test_version_of_stays_where_nothing_new_was_denied(self, store: Store, cast: Cast, ask: Ask) -> None:
        block = ask(taken(store, cast.player))
        ask(store.positions.deny(block.position, now=NOW))
        store.refresh()
        before = versions_of(store)
        ask(store.positions.deny(block.position, now=NOW))
        ask(started(store, cast.player, cast.ada))
        store.refresh()
        assert versions_of(store) == before

    def test_version_of_is_alike_in_all_workers(
        self, store: Store, other: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        """Whether one saw every denial as it came, or all of them at once when it started."""
        block = ask(taken(store, cast.player))
        for writer, position in zip([store, other] * 5, span(block), strict=False):
            ask(writer.positions.deny(position, now=NOW))
            store.refresh()
        other.refresh()
        late = memory()
        assert versions_of(store) == versions_of(other) == versions_of(late)
        assert store.positions.versions() == late.positions.versions()
        late.close()

    def test_has_list_counts_those_with_a_grant_a_block_or_the_next_position(
        self, store: Store, cast: Cast, ask: Ask
    ) -> None:
        assert ask(lists_of(store)) == [0]
        ask(started(store, cast.player, cast.ada))
        ask(taken(store, cast.player, LIST_SIZE - 1))
        assert ask(lists_of(store)) == [0, 1]
        ask(taken(store, cast.player, LIST_SIZE))
        assert ask(lists_of(store)) == [0, 1, 2]

    def test_has_list_is_over_with_the_last_token_that_may_name_it(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(started(store, cast.player, cast.ada))
        ask(taken(store, cast.player, LIST_SIZE - 1))
        ask(taken(store, cast.player, LIST_SIZE, use_in=KEPT_IN))
        ask(taken(store, cast.player, now=NOW + 3_600 + KEPT_IN - 1, use_in=1))
        assert ask(lists_of(store)) == [0, 1, 2]
        ask(taken(store, cast.player, now=NOW + 3_600 + KEPT_IN, use_in=1))
        assert ask(lists_of(store)) == [1, 2]
        ask(taken(store, cast.player, now=NOW + 3 * KEPT_IN, use_in=1))
        assert ask(lists_of(store)) == [2]

    def test_has_list_no_longer_because_something_in_it_was_denied(self, store: Store, cast: Cast, ask: Ask) -> None:
        """Whoever still had a denied token cannot tell it from an expired one."""
        block = ask(taken(store, cast.player, LIST_SIZE))
        ask(store.positions.deny(block.position, now=NOW + 3_600))
        ask(taken(store, cast.player, now=NOW + 3_600 + KEPT_IN))
        assert ask(lists_of(store)) == [1]


def versions_of(store: Store) -> tuple[int, ...]:
    """The versions of the first two lists."""
    return tuple(store.positions.version_of(number) for number in range(2))


async def lists_of(store: Store) -> list[int]:
    """The lists that a token may name; both questions say the same."""
    found = list(await store.positions.lists())
    assert [number for number in range(9) if await store.positions.has_list(number)] == found
    return found
