"""`Grants` that a foreign token is exchanged for: of any number of callers one, and nobody again."""

import pytest

from jwtauth.protocol.records import Exchanged
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    NOW,
    THREADS,
    Cast,
    Conformance,
    OpenStore,
    digest,
    new_grant,
    started,
)
from tests.store.racing import Ask, race

TOKEN = Exchanged(digest=digest("foreign token"), forget_at=NOW + 100)


class ExchangedConformance(Conformance):
    """`Grants.start` with a foreign token, and `Grants.was_exchanged`"""

    def test_start_remembers_the_foreign_token(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        assert not ask(store.grants.was_exchanged(TOKEN.digest))
        ask(started(store, cast.player, cast.ada, exchanged=TOKEN))
        assert ask(other.grants.was_exchanged(TOKEN.digest))
        assert not ask(other.grants.was_exchanged(digest("another token")))

    @pytest.mark.parametrize("who", ["the same client", "another client", "another person"])
    def test_start_gives_none_to_who_comes_second(self, store: Store, cast: Cast, ask: Ask, who: str) -> None:
        ask(started(store, cast.player, cast.ada, exchanged=TOKEN))
        client = cast.cinema if who == "another client" else cast.player
        user = cast.bob if who == "another person" else cast.ada
        assert ask(store.grants.start(new_grant(client, user, exchanged=TOKEN), now=NOW)) is None
        assert len(ask(store.grants.of_user(user.id, now=NOW))) == (1 if user is cast.ada else 0)

    def test_start_that_fails_does_not_use_the_foreign_token_up(self, store: Store, cast: Cast, ask: Ask) -> None:
        stale = new_grant(cast.player, cast.ada, user_epoch=cast.ada.epoch + 1, exchanged=TOKEN)
        assert ask(store.grants.start(stale, now=NOW)) is None
        assert not ask(store.grants.was_exchanged(TOKEN.digest))
        ask(started(store, cast.player, cast.ada, exchanged=TOKEN))

    def test_the_end_of_the_grant_does_not_make_it_exchangeable_again(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada, exchanged=TOKEN))
        ask(store.grants.end(grant.id, now=NOW + 1))
        assert ask(store.grants.start(new_grant(cast.player, cast.ada, exchanged=TOKEN), now=NOW + 2)) is None

    def test_start_has_exactly_one_winner(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        tokens = [Exchanged(digest=digest(f"token {number}"), forget_at=NOW + 100) for number in range(10)]

        def racer(store: Store, ask: Ask) -> list[bool]:
            starts = [new_grant(cast.player, cast.ada, exchanged=token) for token in tokens]
            return [ask(store.grants.start(new, now=NOW)) is not None for new in starts]

        winners = [sum(won) for won in zip(*race(memory, *[racer] * THREADS), strict=True)]
        assert winners == [1] * len(tokens)
        assert len(ask(store.grants.of_user(cast.ada.id, now=NOW))) == len(tokens)

    @pytest.mark.parametrize(("now", "is_known"), [(NOW + 99, True), (NOW + 100, False)])
    def test_it_is_forgotten_when_it_is_over_and_not_before(
        self, store: Store, cast: Cast, ask: Ask, now: int, is_known: bool
    ) -> None:
        """Not even where its grant is long gone."""
        ends = {"expires_at": NOW + 1, "ends_at": NOW + 1}
        ask(started(store, cast.player, cast.ada, exchanged=TOKEN, **ends))
        ask(started(store, cast.player, cast.bob, now=now, expires_at=now + 3_600))
        assert ask(store.grants.was_exchanged(TOKEN.digest)) is is_known
