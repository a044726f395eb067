"""What `jwtauth.store.ports` guarantees, for every adapter; where a port says "one", threads race.

An adapter's tests subclass each class here and give the fixture `memory`: where stores are opened.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from itertools import chain, pairwise
from typing import Any, Final

import pytest
from msgspec import Struct
from msgspec.structs import replace

from jwtauth.errors import ConfigurationError
from jwtauth.protocol.claims import GRACE_IN
from jwtauth.protocol.records import (
    AuthMethod,
    Block,
    Client,
    ClientSecret,
    Grant,
    GrantType,
    NewGrant,
    Realm,
    SecretKind,
    User,
)
from jwtauth.protocol.status_list import LIST_SIZE
from jwtauth.store.ports import Failures, Store
from tests.store.racing import Ask, Racer, race

NOW: Final = 1_800_000_000
MAX_TOKEN_LIFETIME: Final = 3_600
KEPT_IN: Final = MAX_TOKEN_LIFETIME + GRACE_IN
"""For so long after a token's last use nothing about it is forgotten."""
THREADS: Final = 10

OpenStore = Callable[[], Store]
"""Opens one more store on the same memory, as another process would."""


class Cast(Struct, frozen=True):
    """Two realms with a client each, and two people who are members of both."""

    music: Realm
    films: Realm
    player: Client
    cinema: Client
    ada: User
    bob: User


class Conformance:
    """The fixtures that all sections share."""

    @pytest.fixture
    def memory(self) -> OpenStore:
        """Given by the adapter's tests."""
        raise NotImplementedError

    @pytest.fixture
    def ask(self) -> Iterator[Ask]:
        """Run one coroutine after another in one event loop."""
        with asyncio.Runner() as runner:
            yield runner.run

    @pytest.fixture
    def store(self, memory: OpenStore) -> Iterator[Store]:
        """The store that most of a test talks to."""
        store = memory()
        yield store
        store.close()

    @pytest.fixture
    def other(self, memory: OpenStore) -> Iterator[Store]:
        """Another process on the same memory."""
        store = memory()
        yield store
        store.close()

    @pytest.fixture
    def cast(self, store: Store, ask: Ask) -> Cast:
        """Who is there when the test begins."""

        async def work() -> Cast:
            create = store.administration
            music = await create.create_realm(a_realm("music"), now=NOW)
            films = await create.create_realm(a_realm("films"), now=NOW)
            return Cast(
                music,
                films,
                await create.create_client(a_client("player", music), now=NOW),
                await create.create_client(a_client("cinema", films), now=NOW),
                await create.create_user(a_user("ada"), now=NOW),
                await create.create_user(a_user("bob"), now=NOW),
            )

        return ask(work())


def a_realm(name: str, **changes: Any) -> Realm:
    return Realm(**{"id": 0, "name": name, "audience": f"https://{name}.example", **changes})


def a_client(client_id: str, realm: Realm, **changes: Any) -> Client:
    return Client(**{"id": 0, "client_id": client_id, "realm": realm, "grant_types": tuple(GrantType), **changes})


def a_user(username: str, **changes: Any) -> User:
    roles = {"music": ("ROLE_USER",), "films": ()}
    return User(**{"id": 0, "sub": f"u.{username}", "username": username, "roles": roles, **changes})


def new_grant(client: Client, user: User, **changes: Any) -> NewGrant:
    """A grant that lives an hour unless refreshed."""
    settings = {
        "client_id": client.id,
        "client_epoch": client.epoch,
        "user_id": user.id,
        "user_epoch": user.epoch,
        "scope": ("read", "write"),
        "secret_number": 1,
        "expires_at": NOW + 3_600,
        "ends_at": NOW + 1_000_000,
    }
    return NewGrant(**{**settings, **changes})


async def started(store: Store, client: Client, user: User, *, now: int = NOW, **changes: Any) -> Grant:
    grant = await store.grants.start(new_grant(client, user, **changes), now=now)
    assert grant is not None
    return grant


async def rotated(store: Store, grant: Grant, generation: int | None = None, **changes: Any) -> int | None:
    """Rotate from the generation that the grant has, or from another."""
    options = {"secret_number": 1, "expires_at": NOW + 7_200, "renews_position": False, "now": NOW, **changes}
    return await store.grants.rotate(grant.id, grant.generation if generation is None else generation, **options)


async def present(store: Store, grant: Grant) -> Grant:
    found = await store.grants.get(grant.id)
    assert found is not None
    return found


async def taken(store: Store, client: Client, size: int = 64, *, now: int = NOW, use_in: int = 3_600) -> Block:
    block = await store.positions.take_block(client, size=size, use_until=now + use_in, now=now)
    assert block is not None
    return block


def span(block: Block) -> range:
    return range(block.position, block.position + block.size)


def denied(store: Store, positions: range) -> set[bool]:
    """Whether the positions are denied: {True}, {False}, or both where they differ."""
    store.refresh()
    return {store.positions.is_denied(position) for position in positions}


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


class DirectoryConformance(Conformance):
    """`Directory`, and what `Administration` lists and creates."""

    def test_gives_none_for_whom_nobody_knows(self, store: Store, cast: Cast, ask: Ask) -> None:
        assert ask(store.directory.client("Player")) is None
        assert ask(store.directory.user(12_345)) is None
        assert ask(store.directory.user_named("Ada")) is None

    def test_gives_every_setting_of_a_realm_and_a_client_back(self, store: Store, other: Store, ask: Ask) -> None:
        realm = ask(
            store.administration.create_realm(
                a_realm(
                    "films",
                    dialect="standard",
                    roles=("ROLE_A", "ROLE_B"),
                    access_token_in=1,
                    refresh_token_in=2,
                    grant_in=3,
                    retry_in=0,
                    renews_position=True,
                    is_demo=True,
                ),
                now=NOW,
            )
        )
        client = ask(
            store.administration.create_client(
                a_client(
                    "cinema",
                    realm,
                    name="Cinéma",
                    auth_method=AuthMethod.POST,
                    secrets=(
                        ClientSecret(kind=SecretKind.GENERATED, digest="d", created_at=1, expires_at=2),
                        ClientSecret(kind=SecretKind.CHOSEN, digest="$h", created_at=3),
                    ),
                    scope=("a", "b"),
                    default_scope=("a",),
                    resources=("https://r",),
                    authorities=("ROLE_C",),
                    redirect_uris=("https://c/cb",),
                    access_token_in=4,
                    refresh_token_is_reusable=True,
                    introspects_realms=("music",),
                    is_demo=True,
                ),
                now=NOW,
            )
        )
        assert ask(other.directory.client("cinema")) == client
        assert ask(other.administration.clients()) == [client]
        assert ask(other.administration.realms()) == [realm]

    def test_gives_every_setting_of_a_user_back(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        roles: dict[str, tuple[str, ...]] = {"music": ("ROLE_B", "ROLE_A"), "films": ()}
        given = a_user("eve", sub="u.x", password_hash="$h", roles=roles, is_demo=True)
        user = ask(store.administration.create_user(given, now=NOW))
        assert user == replace(given, id=user.id)
        assert ask(other.directory.user(user.id)) == ask(other.directory.user_named("eve")) == user

    def test_gives_the_disabled_too(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        ask(store.administration.disable_client(cast.player, now=NOW + 1))
        ask(store.administration.disable_user(cast.ada, now=NOW + 2))
        ask(store.administration.disable_realm(cast.films, now=NOW + 3))
        other.refresh()
        player, cinema = ask(other.directory.client("player")), ask(other.directory.client("cinema"))
        by_name = ask(other.directory.user_named("ada"))
        assert player is not None
        assert cinema is not None
        assert by_name is not None
        assert player.disabled_at == NOW + 1
        assert by_name.disabled_at == NOW + 2
        assert cinema.realm.disabled_at == NOW + 3
        assert ask(other.directory.user(cast.ada.id)) == by_name

    def test_lists_by_name_and_by_realm(self, store: Store, cast: Cast, ask: Ask) -> None:
        admin = store.administration
        ask(admin.change_user(replace(cast.bob, roles={"films": ()}), now=NOW))
        assert [realm.name for realm in ask(admin.realms())] == ["films", "music"]
        assert [client.client_id for client in ask(admin.clients())] == ["cinema", "player"]
        assert [client.client_id for client in ask(admin.clients("music"))] == ["player"]
        assert [user.username for user in ask(admin.users())] == ["ada", "bob"]
        assert [user.username for user in ask(admin.users("music"))] == ["ada"]
        assert ask(admin.users("nowhere")) == []

    def test_gives_each_user_an_id_unless_one_is_asked_for(self, store: Store, cast: Cast, ask: Ask) -> None:
        asked = ask(store.administration.create_user(a_user("eve", id=777), now=NOW))
        given = ask(store.administration.create_user(a_user("joe"), now=NOW))
        assert asked.id == 777
        assert given.id > 0
        assert len({cast.ada.id, cast.bob.id, asked.id, given.id}) == 4

    @pytest.mark.parametrize(
        "refused",
        [
            pytest.param(
                lambda a, c: a.create_realm(a_realm("music", audience="https://new"), now=NOW), id="realm name"
            ),
            pytest.param(lambda a, c: a.create_realm(a_realm("x", audience=c.music.audience), now=NOW), id="audience"),
            pytest.param(
                lambda a, c: a.change_realm(replace(c.films, audience=c.music.audience), now=NOW), id="changed audience"
            ),
            pytest.param(lambda a, c: a.change_realm(a_realm("none", id=99), now=NOW), id="no such realm"),
            pytest.param(lambda a, c: a.create_client(a_client("player", c.films), now=NOW), id="client_id"),
            pytest.param(lambda a, c: a.create_client(a_client("u.ada", c.films), now=NOW), id="client_id of a sub"),
            pytest.param(lambda a, c: a.create_user(a_user("ada", sub="u.new"), now=NOW), id="username"),
            pytest.param(lambda a, c: a.create_user(a_user("new", id=c.ada.id), now=NOW), id="user id"),
            pytest.param(lambda a, c: a.create_user(a_user("new", sub="player"), now=NOW), id="sub of a client_id"),
            pytest.param(lambda a, c: a.create_user(a_user("new", roles={"x": ()}), now=NOW), id="unknown realm"),
            pytest.param(lambda a, c: a.change_user(replace(c.ada, username="bob"), now=NOW), id="changed username"),
            pytest.param(lambda a, c: a.change_user(replace(c.ada, roles={"x": ()}), now=NOW), id="changed realm"),
        ],
    )
    def test_refuses_what_is_taken_or_unknown_and_writes_nothing(
        self, store: Store, other: Store, cast: Cast, ask: Ask, refused: Callable[..., Coroutine[Any, Any, object]]
    ) -> None:
        """SECURITY J-13 among them: a user's sub can never equal a client_id."""
        other.refresh()
        before = other.refresh()
        with pytest.raises(ConfigurationError):
            ask(refused(store.administration, cast))
        assert other.refresh() == before
        assert ask(other.administration.realms()) == [cast.films, cast.music]
        assert ask(other.administration.clients()) == [cast.cinema, cast.player]
        assert ask(other.administration.users()) == [cast.ada, cast.bob]

    def test_a_sub_and_a_client_id_never_meet_even_in_a_race(self, memory: OpenStore, cast: Cast) -> None:
        def machine(store: Store, ask: Ask) -> bool:
            return is_done(ask, store.administration.create_client(a_client("same", cast.music), now=NOW))

        def person(store: Store, ask: Ask) -> bool:
            return is_done(ask, store.administration.create_user(a_user("new", sub="same"), now=NOW))

        assert sum(race(memory, machine, person, machine, person)) == 1


def is_done(ask: Ask, work: Coroutine[Any, Any, object]) -> bool:
    try:
        ask(work)
    except ConfigurationError:
        return False
    return True


Change = Callable[[Store, Cast], Coroutine[Any, Any, object]]

CHANGES: Final[dict[str, Change]] = {
    "create_realm": lambda store, cast: store.administration.create_realm(a_realm("new"), now=NOW),
    "change_realm": lambda store, cast: store.administration.change_realm(replace(cast.music, retry_in=0), now=NOW),
    "disable_realm": lambda store, cast: store.administration.disable_realm(cast.music, now=NOW),
    "create_client": lambda store, cast: store.administration.create_client(a_client("new", cast.music), now=NOW),
    "change_client": lambda store, cast: store.administration.change_client(cast.player, now=NOW),
    "disable_client": lambda store, cast: store.administration.disable_client(cast.player, now=NOW),
    "replace_secrets": lambda store, cast: store.administration.replace_secrets(cast.player, (), now=NOW),
    "create_user": lambda store, cast: store.administration.create_user(a_user("new"), now=NOW),
    "change_user": lambda store, cast: store.administration.change_user(cast.ada, now=NOW),
    "disable_user": lambda store, cast: store.administration.disable_user(cast.ada, now=NOW),
}


class AdministrationConformance(Conformance):
    """`Administration`"""

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_every_change_is_noticed_by_every_worker(
        self, store: Store, other: Store, cast: Cast, ask: Ask, change: Change
    ) -> None:
        before = other.refresh()
        ask(change(store, cast))
        after = other.refresh()
        assert after.directory > before.directory
        assert after.keys == before.keys

    @pytest.mark.parametrize("what", ["user", "client", "realm"])
    def test_enabling_is_noticed_too(self, store: Store, other: Store, cast: Cast, ask: Ask, what: str) -> None:
        ask(disable(store, cast, what))
        before = other.refresh()
        ask(enable(store, cast, what))
        assert other.refresh().directory > before.directory

    def test_a_client_in_memory_is_read_anew_after_a_change(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        other.refresh()
        assert ask(other.directory.client("player")) == cast.player
        ask(store.administration.change_client(replace(cast.player, scope=("new",)), now=NOW))
        ask(store.administration.change_realm(replace(cast.music, retry_in=0), now=NOW))
        other.refresh()
        client = ask(other.directory.client("player"))
        assert client is not None
        assert (client.scope, client.realm.retry_in) == (("new",), 0)
        assert client.epoch > cast.player.epoch

    def test_a_clients_grants_live_on_when_it_is_changed(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(store.administration.change_client(replace(cast.player, scope=()), now=NOW))
        assert ask(rotated(store, grant)) == grant.position

    def test_replaced_secrets_are_the_only_ones(self, store: Store, cast: Cast, ask: Ask) -> None:
        secrets = (ClientSecret(kind=SecretKind.GENERATED, digest="new", created_at=NOW),)
        ask(store.administration.replace_secrets(cast.player, secrets, now=NOW))
        store.refresh()
        client = ask(store.directory.client("player"))
        assert client is not None
        assert client.secrets == secrets

    def test_announced_keys_are_noticed_and_nothing_else_is(self, store: Store, other: Store, ask: Ask) -> None:
        before = other.refresh()
        ask(store.administration.announce_keys())
        assert other.refresh() == replace(before, keys=before.keys + 1)

    def test_fingerprints_are_remembered_and_forgotten_by_number(self, store: Store, other: Store, ask: Ask) -> None:
        for number in (1, 2, 3):
            ask(store.administration.remember_secret(number, f"print {number}"))
        ask(store.administration.forget_secrets([1, 3, 9]))
        assert other.administration.fingerprints() == {2: "print 2"}


class EndingConformance(Conformance):
    """`Administration`: what a change makes untrue ends in the same transaction (SECURITY F-12)."""

    @pytest.fixture
    def grants(self, store: Store, cast: Cast, ask: Ask) -> dict[str, Grant]:
        """One grant of each person to each client."""
        return {
            f"{user.username} at {client.client_id}": ask(started(store, client, user))
            for user in (cast.ada, cast.bob)
            for client in (cast.player, cast.cinema)
        }

    def ended(self, store: Store, grants: dict[str, Grant], ask: Ask) -> set[str]:
        """The names of the grants that ended; each of them, and no other, is denied."""
        store.refresh()
        ended = {name for name, grant in grants.items() if ask(present(store, grant)).ended_at is not None}
        assert ended == {name for name, grant in grants.items() if store.positions.is_denied(grant.position)}
        return ended

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            pytest.param({"password_hash": "$new"}, {"ada at player", "ada at cinema"}, id="password"),
            pytest.param({"password_hash": "$new", "roles": {}}, {"ada at player", "ada at cinema"}, id="both"),
            pytest.param({"roles": {"films": ()}}, {"ada at player"}, id="one membership"),
            pytest.param({"roles": {}}, {"ada at player", "ada at cinema"}, id="all memberships"),
            pytest.param({"roles": {"music": (), "films": ("ROLE_NEW",)}}, set[str](), id="roles"),
            pytest.param({"username": "ada2"}, set[str](), id="username"),
        ],
    )
    def test_change_user_ends_what_it_must(
        self,
        store: Store,
        other: Store,
        cast: Cast,
        grants: dict[str, Grant],
        ask: Ask,
        changes: dict[str, Any],
        expected: set[str],
    ) -> None:
        count = ask(store.administration.change_user(replace(cast.ada, **changes), now=NOW))
        assert self.ended(other, grants, ask) == expected
        assert count == len(expected)
        other_user = ask(other.directory.user(cast.ada.id))
        assert other_user == replace(cast.ada, **changes, epoch=cast.ada.epoch + 1)

    @pytest.mark.parametrize(
        ("what", "expected"),
        [
            ("user", {"ada at player", "ada at cinema"}),
            ("client", {"ada at player", "bob at player"}),
            ("realm", {"ada at player", "bob at player"}),
        ],
    )
    def test_disabling_ends_exactly_what_belongs_to_it(
        self, store: Store, other: Store, cast: Cast, grants: dict[str, Grant], ask: Ask, what: str, expected: set[str]
    ) -> None:
        assert ask(disable(store, cast, what)) == len(expected)
        assert self.ended(other, grants, ask) == expected

    @pytest.mark.parametrize("what", ["user", "client", "realm"])
    def test_enabling_revives_nothing(
        self, store: Store, cast: Cast, grants: dict[str, Grant], ask: Ask, what: str
    ) -> None:
        block = ask(taken(store, cast.player))
        ask(disable(store, cast, what))
        before = self.ended(store, grants, ask)
        ask(enable(store, cast, what))
        assert self.ended(store, grants, ask) == before
        assert denied(store, span(block)) == {what != "user"}
        assert ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)) is None

    @pytest.mark.parametrize("what", ["client", "realm"])
    def test_disabling_denies_every_block_of_its_clients_and_no_other(
        self, store: Store, other: Store, cast: Cast, ask: Ask, what: str
    ) -> None:
        own = [ask(taken(store, cast.player, 64)), ask(taken(store, cast.player, 5_000))]
        foreign = ask(taken(store, cast.cinema))
        ask(disable(store, cast, what))
        assert [denied(other, span(block)) for block in own] == [{True}, {True}]
        assert denied(other, span(foreign)) == {False}

    def test_ended_grants_are_not_counted_again(
        self, store: Store, cast: Cast, grants: dict[str, Grant], ask: Ask
    ) -> None:
        ask(store.grants.end(grants["ada at player"].id, now=NOW))
        assert ask(store.administration.disable_user(cast.ada, now=NOW)) == 1

    @pytest.mark.parametrize("what", ["user", "client", "realm", "password"])
    def test_no_grant_started_in_a_race_is_alive_afterwards(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask, what: str
    ) -> None:
        def starter(store: Store, ask: Ask) -> list[Grant]:
            grants: list[Grant] = []
            while grant := ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)):
                grants.append(grant)
            return grants

        def disabler(store: Store, ask: Ask) -> list[Grant]:
            first = ask(started(store, cast.player, cast.ada))
            ask(disable(store, cast, what))
            return [first]

        grants = list(chain(*race(memory, disabler, *[starter] * 7)))
        store.refresh()
        assert all(ask(present(store, grant)).ended_at is not None for grant in grants)
        assert all(store.positions.is_denied(grant.position) for grant in grants)

    @pytest.mark.parametrize("what", ["client", "realm"])
    def test_no_block_taken_in_a_race_is_good_afterwards(
        self, store: Store, memory: OpenStore, cast: Cast, what: str
    ) -> None:
        def taker(store: Store, ask: Ask) -> list[Block]:
            blocks: list[Block] = []
            while block := ask(store.positions.take_block(cast.player, size=64, use_until=NOW + 60, now=NOW)):
                blocks.append(block)
            return blocks

        def disabler(store: Store, ask: Ask) -> list[Block]:
            first = ask(taken(store, cast.player))
            ask(disable(store, cast, what))
            return [first]

        blocks = list(chain(*race(memory, disabler, *[taker] * 7)))
        assert [denied(store, span(block)) for block in blocks] == [{True}] * len(blocks)


def disable(store: Store, cast: Cast, what: str) -> Coroutine[Any, Any, int]:
    match what:
        case "user":
            return store.administration.disable_user(cast.ada, now=NOW)
        case "client":
            return store.administration.disable_client(cast.player, now=NOW)
        case "realm":
            return store.administration.disable_realm(cast.music, now=NOW)
        case _:
            return store.administration.change_user(replace(cast.ada, password_hash="$new"), now=NOW)


def enable(store: Store, cast: Cast, what: str) -> Coroutine[Any, Any, None]:
    match what:
        case "user":
            return store.administration.enable_user(cast.ada, now=NOW)
        case "client":
            return store.administration.enable_client(cast.player, now=NOW)
        case _:
            return store.administration.enable_realm(cast.music, now=NOW)


class KeepingConformance(Conformance):
    """What is over is deleted inside normal writes, and never before nothing can name it (SECURITY S-14)."""

    async def busy(self, store: Store, cast: Cast, *, now: int) -> None:
        """Normal writes, enough of them to sweep away what is due."""
        for _ in range(6):
            await taken(store, cast.player, now=now)

    def test_a_grant_is_swept_once_its_last_access_token_is_over(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(self.busy(store, cast, now=grant.expires_at + KEPT_IN - 1))
        assert ask(store.grants.get(grant.id)) == grant
        ask(self.busy(store, cast, now=grant.expires_at + KEPT_IN))
        assert ask(store.grants.get(grant.id)) is None

    def test_a_grant_that_was_refreshed_is_kept(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(rotated(store, grant, now=NOW + 3_000, expires_at=NOW + 100_000))
        ask(self.busy(store, cast, now=grant.expires_at + KEPT_IN))
        assert ask(rotated(store, grant, 1, now=NOW + 50_000, expires_at=NOW + 200_000)) == grant.position
        ask(self.busy(store, cast, now=NOW + 100_000 + KEPT_IN))
        assert ask(present(store, grant)).generation == 2
        ask(self.busy(store, cast, now=NOW + 200_000 + KEPT_IN))
        assert ask(store.grants.get(grant.id)) is None

    def test_an_ended_grant_is_kept_so_that_a_replay_is_refused(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(store.grants.end(grant.id, now=NOW))
        ask(self.busy(store, cast, now=grant.expires_at + KEPT_IN - 1))
        assert ask(present(store, grant)).ended_at == NOW

    @pytest.mark.parametrize("how", ["grant", "position", "renewal"])
    def test_a_denial_is_kept_until_no_token_can_name_it(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask, how: str
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada, expires_at=NOW + 1_000_000))
        match how:
            case "grant":
                ask(store.grants.end(grant.id, now=NOW))
            case "position":
                ask(store.positions.deny(grant.position, now=NOW))
            case _:
                ask(rotated(store, grant, renews_position=True, expires_at=NOW + 1_000_000))
        assert self.is_remembered(memory, store, cast, ask, grant.position, now=NOW + KEPT_IN - 1)
        assert not self.is_remembered(memory, store, cast, ask, grant.position, now=NOW + KEPT_IN)

    def test_a_blocks_denial_is_kept_from_the_last_instant_at_which_it_may_be_used(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        block = ask(taken(store, cast.cinema, use_in=500))
        ask(store.administration.disable_client(cast.cinema, now=NOW))
        last = NOW + 500 + KEPT_IN
        assert self.is_remembered(memory, store, cast, ask, block.position + 9, now=last - 1)
        assert not self.is_remembered(memory, store, cast, ask, block.position + 9, now=last)

    def test_a_block_can_be_denied_for_as_long_as_its_tokens_live(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        block = ask(taken(store, cast.cinema, use_in=500))
        late = NOW + 500 + KEPT_IN - 1
        ask(self.busy(store, cast, now=late))
        ask(store.administration.disable_client(cast.cinema, now=late))
        assert denied(other, span(block)) == {True}

    def is_remembered(self, memory: OpenStore, store: Store, cast: Cast, ask: Ask, position: int, *, now: int) -> bool:
        """Whether a worker that starts at this instant, after some normal writes, knows the denial."""
        ask(self.busy(store, cast, now=now))
        late = memory()
        try:
            return late.positions.is_denied(position)
        finally:
            late.close()
