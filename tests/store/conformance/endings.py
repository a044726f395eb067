"""`Administration`: what a change makes untrue ends in the same transaction (SECURITY F-12)."""

from itertools import chain
from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.protocol.profile import Profile
from jwtauth.protocol.records import (
    Block,
    Grant,
)
from jwtauth.store.ports import Ended, Store
from tests.store.conformance.administration import disable, enable
from tests.store.conformance.cast import (
    NOW,
    Cast,
    Conformance,
    OpenStore,
    denied,
    new_grant,
    present,
    span,
    started,
    taken,
)
from tests.store.racing import Ask, Racer, race


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
            pytest.param({"profile": Profile(name="Ada"), "updated_at": NOW}, set[str](), id="profile"),
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

    def test_change_password_ends_all_that_the_person_has(
        self, store: Store, other: Store, cast: Cast, grants: dict[str, Grant], ask: Ask
    ) -> None:
        ended = ask(store.administration.change_password(cast.ada, "$new", now=NOW))
        assert ended is not None
        assert ended.grants == 2
        assert self.ended(other, grants, ask) == {"ada at player", "ada at cinema"}
        expected = replace(cast.ada, password_hash="$new", epoch=cast.ada.epoch + 1)
        assert ask(other.directory.user(cast.ada.id)) == expected

    @pytest.mark.parametrize("what", ["changed", "disabled"])
    def test_change_password_of_somebody_who_changed_meanwhile_is_none(
        self, store: Store, cast: Cast, grants: dict[str, Grant], ask: Ask, what: str
    ) -> None:
        if what == "changed":
            ask(store.administration.change_user(replace(cast.ada, roles={"music": (), "films": ()}), now=NOW))
        else:
            ask(store.administration.disable_user(cast.ada, now=NOW))
        before = self.ended(store, grants, ask)
        stale = replace(cast.ada, epoch=cast.ada.epoch + (what == "disabled"))
        assert ask(store.administration.change_password(stale, "$new", now=NOW)) is None
        assert self.ended(store, grants, ask) == before
        found = ask(store.directory.user(cast.ada.id))
        assert found is not None
        assert found.password_hash == cast.ada.password_hash

    def test_change_password_has_exactly_one_winner(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        def change(number: int) -> Racer[Ended | None]:
            return lambda own, run: run(own.administration.change_password(cast.ada, f"${number}", now=NOW))

        winners = [number for number, ended in enumerate(race(memory, *map(change, range(8)))) if ended is not None]
        store.refresh()
        found = ask(store.directory.user(cast.ada.id))
        assert found is not None
        assert [found.password_hash] == [f"${number}" for number in winners]

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
