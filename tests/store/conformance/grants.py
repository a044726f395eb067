"""`Grants`: started, rotated and ended, each by exactly one."""

import asyncio
from itertools import chain

import pytest
from msgspec.structs import replace

from jwtauth.protocol.records import (
    Grant,
)
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    NOW,
    THREADS,
    Cast,
    Conformance,
    OpenStore,
    new_grant,
    present,
    rotated,
    started,
)
from tests.store.racing import Ask, race


class GrantsConformance(Conformance):
    """`Grants`"""

    def test_start_gives_the_grant_as_it_is_kept(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada, resources=("https://api.example",), secret_number=7))
        assert grant == Grant(
            id=grant.id,
            client_id=cast.player.id,
            user_id=cast.ada.id,
            scope=("read", "write"),
            resources=("https://api.example",),
            position=grant.position,
            secret_number=7,
            created_at=NOW,
            expires_at=NOW + 3_600,
            ends_at=NOW + 1_000_000,
        )
        assert ask(other.grants.get(grant.id)) == grant

    def test_get_gives_none_for_an_id_that_was_never_given(self, store: Store, ask: Ask) -> None:
        assert ask(store.grants.get(12_345)) is None

    def test_of_ids_gives_what_get_would_find_of_each(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        first, second, third = (ask(started(store, cast.player, cast.ada)) for _ in range(3))
        assert ask(store.grants.end(third.id, now=NOW))
        found = other.grants.of_ids([third.id, 12_345, first.id])
        assert found == {first.id: first, third.id: ask(store.grants.get(third.id))}
        assert store.grants.of_ids([second.id]) == {second.id: second}
        assert store.grants.of_ids([]) == {}

    def test_of_position_gives_the_grant_that_holds_it(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant, another = ask(started(store, cast.player, cast.ada)), ask(started(store, cast.player, cast.ada))
        assert ask(store.grants.of_position(grant.position)) == grant
        assert ask(store.grants.end(another.id, now=NOW))
        ended = ask(store.grants.of_position(another.position))
        assert ended is not None
        assert (ended.id, ended.ended_at) == (another.id, NOW)

    def test_of_position_gives_none_for_one_that_was_given_up_or_is_a_machines(
        self, store: Store, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        fresh = ask(rotated(store, grant, renews_position=True))
        assert fresh is not None
        assert ask(store.grants.of_position(grant.position)) is None
        holder = ask(store.grants.of_position(fresh))
        assert holder is not None
        assert holder.id == grant.id
        block = ask(store.positions.take_block(cast.player, size=64, use_until=NOW + 60, now=NOW))
        assert block is not None
        assert ask(store.grants.of_position(block.position)) is None

    @pytest.mark.parametrize("stale", ["client", "user"])
    def test_start_gives_none_where_an_epoch_has_moved(self, store: Store, cast: Cast, ask: Ask, stale: str) -> None:
        if stale == "client":
            ask(store.administration.change_client(cast.player, now=NOW))
        else:
            ask(store.administration.change_user(cast.ada, now=NOW))
        assert ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)) is None

    @pytest.mark.parametrize("disabled", ["client", "user"])
    def test_start_gives_none_where_one_is_disabled_whatever_the_epoch(
        self, store: Store, cast: Cast, ask: Ask, disabled: str
    ) -> None:
        if disabled == "client":
            ask(store.administration.disable_client(cast.player, now=NOW))
        else:
            ask(store.administration.disable_user(cast.ada, now=NOW))
        store.refresh()
        client, user = ask(store.directory.client("player")), ask(store.directory.user(cast.ada.id))
        assert client is not None
        assert user is not None
        assert ask(store.grants.start(new_grant(client, user), now=NOW)) is None

    def test_start_gives_each_grant_a_position_of_its_own(self, memory: OpenStore, cast: Cast) -> None:
        def racer(store: Store, ask: Ask) -> list[int]:
            return [ask(started(store, cast.player, cast.ada)).position for _ in range(10)]

        positions = list(chain(*race(memory, *[racer] * THREADS)))
        assert len(positions) == len(set(positions)) == 10 * THREADS

    def test_rotate_swaps_the_generation(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        assert ask(rotated(store, grant, secret_number=2, now=NOW + 5)) == grant.position
        expected = replace(grant, generation=1, secret_number=2, rotated_at=NOW + 5, expires_at=NOW + 7_200)
        assert ask(other.grants.get(grant.id)) == expected

    def test_rotate_gives_none_to_who_was_not_first(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        assert ask(rotated(store, grant)) is not None
        before = ask(present(store, grant))
        assert ask(rotated(store, grant)) is None
        assert ask(present(store, grant)) == before

    def test_rotate_gives_none_for_a_generation_not_reached(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        assert ask(rotated(store, grant, 1)) is None
        assert ask(present(store, grant)) == grant

    def test_rotate_gives_none_for_another_position(self, store: Store, cast: Cast, ask: Ask) -> None:
        """Nobody gets a token that names a position which is not the grant's."""
        grant = ask(started(store, cast.player, cast.ada))
        assert ask(rotated(store, replace(grant, position=grant.position + 1))) is None
        assert ask(present(store, grant)) == grant

    def test_rotate_gives_none_for_an_unknown_grant(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        assert ask(rotated(store, replace(grant, id=grant.id + 1))) is None

    def test_rotate_gives_none_once_the_grant_ended(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(store.grants.end(grant.id, now=NOW))
        assert ask(rotated(store, grant)) is None

    @pytest.mark.parametrize(("now", "is_alive"), [(NOW + 3_599, True), (NOW + 3_600, False), (NOW + 9_999, False)])
    def test_rotate_gives_none_once_the_grant_expired(
        self, store: Store, cast: Cast, ask: Ask, now: int, is_alive: bool
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        assert (ask(rotated(store, grant, now=now)) is not None) is is_alive

    def test_rotate_with_renewal_denies_the_old_position_in_the_same_write(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        fresh = ask(rotated(store, grant, renews_position=True))
        other.refresh()
        assert fresh is not None
        assert fresh == ask(present(other, grant)).position != grant.position
        assert other.positions.is_denied(grant.position)
        assert not other.positions.is_denied(fresh)

    def test_rotate_has_exactly_one_winner(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        grants = [ask(started(store, cast.player, cast.ada)) for _ in range(10)]

        def racer(store: Store, ask: Ask) -> list[bool]:
            return [ask(rotated(store, grant, renews_position=True)) is not None for grant in grants]

        winners = [sum(won) for won in zip(*race(memory, *[racer] * THREADS), strict=True)]
        assert winners == [1] * len(grants)
        assert {ask(present(store, grant)).generation for grant in grants} == {1}

    def test_rotate_has_exactly_one_winner_in_one_process_too(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))

        async def work() -> list[int | None]:
            return await asyncio.gather(*[rotated(store, grant) for _ in range(50)])

        assert len([position for position in ask(work()) if position is not None]) == 1

    def test_end_ends_and_denies(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        assert ask(store.grants.end(grant.id, now=NOW + 5))
        other.refresh()
        assert ask(present(other, grant)).ended_at == NOW + 5
        assert other.positions.is_denied(grant.position)

    def test_end_of_an_unknown_grant_is_false(self, store: Store, ask: Ask) -> None:
        assert not ask(store.grants.end(12_345, now=NOW))

    def test_end_leaves_other_grants_alone(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant, neighbour = ask(started(store, cast.player, cast.ada)), ask(started(store, cast.player, cast.ada))
        ask(store.grants.end(grant.id, now=NOW))
        store.refresh()
        assert ask(store.grants.get(neighbour.id)) == neighbour
        assert not store.positions.is_denied(neighbour.position)

    def test_end_is_true_exactly_once(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        grants = [ask(started(store, cast.player, cast.ada)) for _ in range(10)]

        def racer(store: Store, ask: Ask) -> list[bool]:
            return [ask(store.grants.end(grant.id, now=NOW)) for grant in grants]

        assert [sum(won) for won in zip(*race(memory, *[racer] * THREADS), strict=True)] == [1] * len(grants)

    def test_nobody_rotates_after_the_end_and_every_position_is_denied(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        """SECURITY F-12: also for tokens won in a race."""
        grant = ask(started(store, cast.player, cast.ada))

        def refresher(store: Store, ask: Ask) -> list[int]:
            won: list[int] = []
            while (now := ask(present(store, grant))).ended_at is None:
                position = ask(rotated(store, now, renews_position=True))
                won += [] if position is None else [position]
            return won

        def ender(store: Store, ask: Ask) -> list[int]:
            while ask(present(store, grant)).generation < 5:
                continue
            assert ask(store.grants.end(grant.id, now=NOW))
            assert ask(rotated(store, ask(present(store, grant)))) is None
            return []

        named = [grant.position, *chain(*race(memory, ender, *[refresher] * 7))]
        store.refresh()
        assert len(named) == len(set(named)) == ask(present(store, grant)).generation + 1
        assert all(store.positions.is_denied(position) for position in named)

    def test_oldest_secret_number_is_the_lowest_of_live_grants(self, store: Store, cast: Cast, ask: Ask) -> None:
        assert ask(store.grants.oldest_secret_number()) is None
        first = ask(started(store, cast.player, cast.ada, secret_number=1))
        ask(started(store, cast.player, cast.bob, secret_number=2))
        assert ask(store.grants.oldest_secret_number()) == 1
        ask(rotated(store, first, secret_number=3))
        assert ask(store.grants.oldest_secret_number()) == 2
        ask(store.administration.disable_realm(cast.music, now=NOW))
        assert ask(store.grants.oldest_secret_number()) is None
