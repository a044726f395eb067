"""What is over is deleted inside normal writes, and never before nothing can name it (SECURITY S-14)."""

import pytest
from msgspec.structs import replace

from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    KEPT_IN,
    NOW,
    Cast,
    Conformance,
    OpenStore,
    denied,
    digest,
    present,
    rotated,
    signed_in,
    span,
    started,
    taken,
    to_be_told,
    with_code,
)
from tests.store.racing import Ask


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

    def test_a_redeemed_code_is_known_for_as_long_as_its_grant_may_live(
        self, store: Store, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(with_code(store, cast.player, cast.ada))
        ask(store.grants.redeem(grant.id, expires_at=NOW + 100_000, now=NOW + 5))
        ask(self.busy(store, cast, now=NOW + 100_000 + KEPT_IN - 1))
        assert ask(present(store, grant)).redeemed_at == NOW + 5
        ask(self.busy(store, cast, now=NOW + 100_000 + KEPT_IN))
        assert ask(store.grants.get(grant.id)) is None

    def test_a_code_that_nobody_redeemed_is_swept(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(with_code(store, cast.player, cast.ada))
        ask(self.busy(store, cast, now=NOW + 60 + KEPT_IN - 1))
        assert ask(store.grants.get(grant.id)) == grant
        ask(self.busy(store, cast, now=NOW + 60 + KEPT_IN))
        assert ask(store.grants.get(grant.id)) is None

    def test_a_finished_transaction_is_known_for_a_day(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada, transaction=digest("t"), expires_at=NOW + 900_000))
        ask(self.busy(store, cast, now=NOW + 86_399))
        assert ask(store.grants.of_transaction(digest("t"))) == grant
        ask(self.busy(store, cast, now=NOW + 86_400))
        assert ask(store.grants.of_transaction(digest("t"))) is None
        assert ask(store.grants.get(grant.id)) == grant

    @pytest.mark.parametrize(
        ("how", "ends_in", "over_at"),
        [
            ("idle", 86_400, NOW + 1_800),
            ("at its end", 900, NOW + 900),
            ("ended", 86_400, NOW + 20),
            ("touched", 86_400, NOW + 5_000),
        ],
    )
    def test_a_session_is_swept_once_its_last_access_token_is_over(
        self, store: Store, cast: Cast, ask: Ask, how: str, ends_in: int, over_at: int
    ) -> None:
        session = ask(signed_in(store, cast.ada, ends_at=NOW + ends_in))
        ask(started(store, cast.player, cast.ada, session_id=session.id, expires_at=NOW + 900_000))
        if how == "ended":
            ask(store.sessions.end(session.id, lease_in=30, now=NOW + 20))
        if how == "touched":
            ask(store.sessions.touch(session.id, expires_at=NOW + 5_000, now=NOW + 20))
        ask(self.busy(store, cast, now=over_at + KEPT_IN - 1))
        assert ask(store.sessions.get(session.id)) is not None
        ask(self.busy(store, cast, now=over_at + KEPT_IN))
        assert ask(store.sessions.get(session.id)) is None
        assert ask(store.sessions.end(session.id, lease_in=30, now=over_at + KEPT_IN)) is None

    def test_a_logout_reaches_a_client_whose_grant_was_swept(self, store: Store, cast: Cast, ask: Ask) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada, expires_at=NOW + 86_400))
        grant = ask(started(store, player, cast.ada, session_id=session.id))
        late = grant.expires_at + KEPT_IN
        ask(self.busy(store, replace(cast, player=player), now=late))
        assert ask(store.grants.get(grant.id)) is None
        ended = ask(store.sessions.end(session.id, lease_in=30, now=late))
        assert ended is not None
        assert [notice.client_id for notice in ended.notices] == [player.id]

    def test_a_logout_notice_is_only_removed_by_who_sends_it(self, store: Store, cast: Cast, ask: Ask) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        ask(started(store, player, cast.ada, session_id=session.id))
        ask(store.sessions.end(session.id, lease_in=30, now=NOW))
        ask(self.busy(store, replace(cast, player=player), now=NOW + 9_000_000))
        assert ask(store.logouts.next_due_at()) == NOW + 30

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
