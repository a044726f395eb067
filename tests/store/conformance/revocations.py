"""`Revocations`: what a selection names ends, all of it at once, and nothing else does."""

from functools import partial

import pytest

from jwtauth.issuer import machine_positions
from jwtauth.protocol import blast_radius
from jwtauth.protocol.blast_radius import Interval, Radius, Selection
from jwtauth.protocol.records import Client, Grant
from jwtauth.protocol.status_list import LIST_SIZE
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    KEPT_IN,
    NOW,
    THREADS,
    Cast,
    Conformance,
    OpenStore,
    a_client,
    denied,
    new_grant,
    new_session,
    present,
    rotated,
    session_now,
    signed_in,
    span,
    started,
    taken,
    to_be_told,
    user_now,
    with_code,
)
from tests.store.racing import Ask, race


def interval(from_at: int, until_at: int) -> Interval:
    return Interval(from_at=NOW + from_at, until_at=NOW + until_at)


async def revoked(store: Store, selection: Selection, *, now: int = NOW) -> Radius:
    """Revoke what was counted before: both say the same."""
    counted = await store.revocations.measure(selection, now=now)
    done = await store.revocations.revoke(selection, now=now)
    assert done == counted
    store.refresh()
    return done


async def is_over(store: Store, grant: Grant) -> bool:
    """Whether a grant has ended and its access tokens are refused; one without the other is a fault."""
    store.refresh()
    has_ended = (await present(store, grant)).ended_at is not None
    assert store.positions.is_denied(grant.position) is has_ended
    return has_ended


class RevocationsConformance(Conformance):
    """`Revocations`"""

    def test_of_a_grant_ends_that_one(self, store: Store, cast: Cast, ask: Ask) -> None:
        grants = [ask(started(store, cast.player, cast.ada)) for _ in range(3)]
        assert ask(revoked(store, Selection(grant_id=grants[1].id))) == Radius(grants=1, positions=1)
        assert [ask(is_over(store, grant)) for grant in grants] == [False, True, False]
        assert ask(rotated(store, grants[1])) is None

    def test_of_a_grants_position_ends_the_grant(self, store: Store, cast: Cast, ask: Ask) -> None:
        grants = [ask(started(store, cast.player, cast.ada)) for _ in range(2)]
        assert ask(revoked(store, Selection(position=grants[1].position))) == Radius(grants=1, positions=1)
        assert [ask(is_over(store, grant)) for grant in grants] == [False, True]

    def test_of_a_machine_tokens_position_denies_that_one(self, store: Store, cast: Cast, ask: Ask) -> None:
        block = ask(taken(store, cast.player))
        assert ask(revoked(store, Selection(position=block.position + 3))) == Radius(positions=1)
        assert [position for position in span(block) if store.positions.is_denied(position)] == [block.position + 3]

    def test_of_a_position_that_its_grant_has_left_ends_nothing(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(rotated(store, grant, renews_position=True))
        assert ask(revoked(store, Selection(position=grant.position))) == Radius()
        assert ask(present(store, grant)).ended_at is None

    def test_of_a_user_ends_grants_and_sessions(self, store: Store, cast: Cast, ask: Ask) -> None:
        sessions = [ask(signed_in(store, cast.ada)), ask(signed_in(store, cast.bob, "other"))]
        of_ada = [
            ask(started(store, cast.player, cast.ada)),
            ask(started(store, cast.cinema, cast.ada, scope=("offline_access",))),
            ask(with_code(store, cast.player, cast.ada, session_id=sessions[0].id)),
        ]
        of_bob = ask(started(store, cast.player, cast.bob))
        block = ask(taken(store, cast.player))
        found = ask(revoked(store, Selection(user_id=cast.ada.id)))
        assert found == Radius(sessions=1, grants=3, positions=3)
        assert [ask(is_over(store, grant)) for grant in (*of_ada, of_bob)] == [True, True, True, False]
        assert [ask(session_now(store, session)).ended_at for session in sessions] == [NOW, None]
        assert denied(store, span(block)) == {False}

    def test_of_a_user_tells_clients_that_the_session_ended(self, store: Store, cast: Cast, ask: Ask) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        ask(started(store, player, cast.ada, session_id=session.id))
        ask(revoked(store, Selection(user_id=cast.ada.id)))
        (notice,) = ask(store.logouts.take_due(limit=5, of_one_client=100, lease_in=30, now=NOW))
        assert (notice.client_id, notice.sid) == (player.id, session.sid)

    def test_of_a_user_voids_what_began_before(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(revoked(store, Selection(user_id=cast.ada.id)))
        assert ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)) is None
        assert ask(store.sessions.start(new_session(cast.ada), replaces=None, lease_in=30, now=NOW)) is None
        assert ask(started(store, cast.player, ask(user_now(store, cast.ada))))

    def test_of_a_client_ends_grants_and_machine_tokens(self, store: Store, cast: Cast, ask: Ask) -> None:
        grants = [ask(started(store, client, cast.ada)) for client in (cast.player, cast.cinema)]
        blocks = [ask(taken(store, client, 100)) for client in (cast.player, cast.cinema, cast.player)]
        session = ask(signed_in(store, cast.ada))
        found = ask(revoked(store, Selection(client_id=cast.player.id)))
        assert found == Radius(grants=1, blocks=2, positions=201, machines=("player",))
        assert [ask(is_over(store, grant)) for grant in grants] == [True, False]
        assert [denied(store, span(block)) for block in blocks] == [{True}, {False}, {True}]
        assert ask(session_now(store, session)).ended_at is None

    def test_of_a_client_voids_what_began_before(self, store: Store, cast: Cast, ask: Ask) -> None:
        """Its machines leave the block they are in: what they got from it now would be dead."""
        ask(revoked(store, Selection(client_id=cast.player.id)))
        assert ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)) is None
        assert ask(store.positions.take_block(cast.player, size=64, use_until=NOW + 9, now=NOW)) is None
        client = ask(store.directory.client("player"))
        assert client is not None
        assert client.epoch > cast.player.epoch
        assert denied(store, span(ask(taken(store, client)))) == {False}

    def test_of_a_client_and_a_user_spares_sessions_and_machines(self, store: Store, cast: Cast, ask: Ask) -> None:
        session = ask(signed_in(store, cast.ada))
        pairs = [(cast.player, cast.ada), (cast.player, cast.bob), (cast.cinema, cast.ada)]
        grants = [ask(started(store, client, user)) for client, user in pairs]
        block = ask(taken(store, cast.player))
        found = ask(revoked(store, Selection(client_id=cast.player.id, user_id=cast.ada.id)))
        assert found == Radius(grants=1, positions=1)
        assert [ask(is_over(store, grant)) for grant in grants] == [True, False, False]
        assert ask(session_now(store, session)).ended_at is None
        assert denied(store, span(block)) == {False}

    @pytest.mark.parametrize(
        ("scope", "is_hit"),
        [
            (("pay_all",), True),
            (("read", "pay_all", "write"), True),
            (("read", "pay_all"), True),
            (("payXall",), False),
            (("pay_all_", "_pay_all", "PAY_ALL"), False),
            ((), False),
        ],
    )
    def test_of_a_scope_ends_grants_with_exactly_that_value(
        self, store: Store, cast: Cast, ask: Ask, scope: tuple[str, ...], is_hit: bool
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada, scope=scope))
        assert ask(revoked(store, Selection(scope="pay_all"))).grants == is_hit
        assert ask(is_over(store, grant)) is is_hit

    def test_of_a_scope_denies_the_blocks_of_clients_that_may_ask_for_it(
        self, store: Store, cast: Cast, ask: Ask
    ) -> None:
        def create(client: Client) -> Client:
            return ask(store.administration.create_client(client, now=NOW))

        payer = create(a_client("payer", cast.music, scope=("read", "pay")))
        people_only = create(a_client("shop", cast.music, scope=("pay",), grant_types=("password",)))
        blocks = [ask(taken(store, client)) for client in (payer, people_only, cast.player)]
        found = ask(revoked(store, Selection(scope="pay")))
        assert found == Radius(blocks=1, positions=64, machines=("payer",))
        assert [denied(store, span(block)) for block in blocks] == [{True}, {False}, {False}]

    def test_of_an_interval_ends_what_was_begun_redeemed_or_last_refreshed_in_it(
        self, store: Store, cast: Cast, ask: Ask
    ) -> None:
        long = {"expires_at": NOW + 9_000, "ends_at": NOW + 9_000}
        before, after = (ask(started(store, cast.player, cast.ada, now=NOW + at, **long)) for at in (99, 201))
        first, last = (ask(started(store, cast.player, cast.ada, now=NOW + at, **long)) for at in (100, 200))
        refreshed = ask(started(store, cast.player, cast.ada, **long))
        ask(rotated(store, refreshed, now=NOW + 150))
        redeemed = ask(with_code(store, cast.player, cast.ada, expires_at=NOW + 300, code_expires_at=NOW + 300))
        ask(store.grants.redeem(redeemed.id, expires_at=NOW + 9_000, now=NOW + 150))
        found = ask(revoked(store, Selection(issued=interval(100, 200)), now=NOW + 300))
        assert found == Radius(grants=4, positions=4)
        assert [ask(is_over(store, grant)) for grant in (first, last, refreshed, redeemed)] == [True] * 4
        assert [ask(is_over(store, grant)) for grant in (before, after)] == [False] * 2

    def test_of_an_interval_counts_the_grants_of_which_nobody_knows(self, store: Store, cast: Cast, ask: Ask) -> None:
        reusing = a_client("reusing", cast.music, refresh_token_is_reusable=True)
        client = ask(store.administration.create_client(reusing, now=NOW))
        silent, twice = ask(started(store, client, cast.ada)), ask(started(store, cast.player, cast.ada))
        ask(rotated(store, twice, now=NOW + 300))
        ask(started(store, cast.player, cast.bob))
        found = ask(revoked(store, Selection(issued=interval(100, 200)), now=NOW + 400))
        assert found == Radius(spared=2)
        assert not ask(is_over(store, silent))
        assert ask(revoked(store, Selection(issued=interval(100, 400)), now=NOW + 400)).grants == 1

    @pytest.mark.parametrize(
        ("at", "is_hit"), [(100, False), (101, True), (3_000, True), (3_800, True), (3_801, False)]
    )
    def test_of_an_interval_denies_blocks_in_use_in_it(
        self, store: Store, cast: Cast, ask: Ask, at: int, is_hit: bool
    ) -> None:
        """A block that may be used until `use_until` was in use for an hour before."""
        block = ask(taken(store, cast.player, now=NOW + at - 100))
        found = ask(revoked(store, Selection(issued=interval(3_600, 3_700)), now=NOW + 3_700))
        assert found == (Radius(blocks=1, positions=64, machines=("player",)) if is_hit else Radius())
        assert denied(store, span(block)) == {is_hit}

    def test_knows_for_how_long_a_block_is_used(self) -> None:
        assert blast_radius.BLOCK_USE_IN == machine_positions.USE_IN

    def test_hits_only_what_matches_all_criteria(self, store: Store, cast: Cast, ask: Ask) -> None:
        wanted = ask(started(store, cast.player, cast.ada, scope=("pay",), now=NOW + 5))
        others = [
            ask(started(store, cast.player, cast.ada, scope=("pay",))),
            ask(started(store, cast.player, cast.ada, scope=("read",), now=NOW + 5)),
            ask(started(store, cast.player, cast.bob, scope=("pay",), now=NOW + 5)),
            ask(started(store, cast.cinema, cast.ada, scope=("pay",), now=NOW + 5)),
        ]
        found = ask(
            revoked(
                store,
                Selection(user_id=cast.ada.id, client_id=cast.player.id, scope="pay", issued=interval(5, 5)),
                now=NOW + 9,
            )
        )
        assert found == Radius(grants=1, positions=1)
        assert [ask(is_over(store, grant)) for grant in (wanted, *others)] == [True, False, False, False, False]

    def test_counts_nothing_twice(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(started(store, cast.player, cast.ada))
        ask(taken(store, cast.player))
        selection = Selection(client_id=cast.player.id)
        assert ask(revoked(store, selection)).positions == 65
        assert ask(revoked(store, selection)) == Radius()

    def test_counts_nothing_of_which_no_token_can_be_alive(self, store: Store, cast: Cast, ask: Ask) -> None:
        ask(started(store, cast.player, cast.ada))
        ask(taken(store, cast.player))
        count = partial(store.revocations.measure, Selection(client_id=cast.player.id))
        assert ask(count(now=NOW + 3_600 + KEPT_IN - 1)).positions == 65
        assert ask(count(now=NOW + 3_600 + KEPT_IN)) == Radius()

    def test_measuring_changes_nothing(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant, block = ask(started(store, cast.player, cast.ada)), ask(taken(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        versions = store.refresh()
        for selection in (Selection(client_id=cast.player.id), Selection(user_id=cast.ada.id)):
            assert ask(store.revocations.measure(selection, now=NOW)).grants == 1
        assert store.refresh() == versions
        assert not ask(is_over(store, grant))
        assert denied(store, span(block)) == {False}
        assert ask(session_now(store, session)).ended_at is None

    def test_denies_across_the_end_of_a_list_and_moves_both_lists_versions(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        """Neighbours are denied as one run, which must not hide in the list where it begins."""
        ask(taken(store, cast.cinema, LIST_SIZE - 3))
        grants = [ask(started(store, cast.player, cast.ada)) for _ in range(6)]
        assert {grant.position // LIST_SIZE for grant in grants} == {0, 1}
        other.refresh()
        ask(revoked(store, Selection(client_id=cast.player.id)))
        assert [ask(is_over(other, grant)) for grant in grants] == [True] * 6
        assert [other.positions.version_of(number) > 0 for number in (0, 1, 2)] == [True, True, False]
        assert not other.positions.is_denied(grants[0].position - 1)
        assert not other.positions.is_denied(grants[-1].position + 1)

    def test_what_many_lost_at_once_is_not_denied_again(self, store: Store, cast: Cast, ask: Ask) -> None:
        grants = [ask(started(store, cast.player, cast.ada)) for _ in range(5)]
        ask(revoked(store, Selection(user_id=cast.ada.id)))
        spared = ask(started(store, cast.player, cast.bob))
        assert [ask(store.positions.deny(grant.position, now=NOW)) for grant in grants] == [False] * 5
        assert ask(store.positions.deny(spared.position, now=NOW))

    def test_exactly_one_of_many_hits_each_grant(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        for user in (cast.ada, cast.bob) * 5:
            ask(started(store, cast.player, user))
        block = ask(taken(store, cast.player))

        def racer(number: int, store: Store, ask: Ask) -> Radius:
            user = (cast.ada, cast.bob)[number % 2]
            selection = Selection(client_id=cast.player.id) if number % 3 else Selection(user_id=user.id)
            return ask(store.revocations.revoke(selection, now=NOW))

        found = race(memory, *[partial(racer, number) for number in range(THREADS)])
        assert sum(radius.grants for radius in found) == 10
        assert sum(radius.positions for radius in found) == 10 + block.size

    def test_no_refresh_outlives_it(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        """A refresh that won is dead, and so is its new position; one that lost gets nothing."""
        grants = [ask(started(store, cast.player, cast.ada)) for _ in range(20)]

        def refresher(store: Store, ask: Ask) -> list[int]:
            positions = [ask(rotated(store, grant, renews_position=True)) for grant in grants]
            return [position for position in positions if position is not None]

        def revoker(store: Store, ask: Ask) -> list[int]:
            ask(store.revocations.revoke(Selection(client_id=cast.player.id), now=NOW))
            return []

        won, _ = race(memory, refresher, revoker)
        store.refresh()
        assert all(store.positions.is_denied(position) for position in won)
        assert all(ask(present(store, grant)).ended_at is not None for grant in grants)
