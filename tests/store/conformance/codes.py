"""`Grants` that begin with a code (RFC 6749 section 4.1): started once, redeemed once."""

from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.protocol.records import Consent, Grant, RequestedClaims
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    NOW,
    Cast,
    Conformance,
    OpenStore,
    digest,
    new_grant,
    present,
    rotated,
    signed_in,
    started,
    with_code,
)
from tests.store.racing import Ask, race

TRANSACTION = digest("transaction")
CLAIMS = RequestedClaims(id_token=("email",), userinfo=("name", "picture"))


async def redeemed(store: Store, grant: Grant, *, now: int = NOW + 5) -> Grant | None:
    return await store.grants.redeem(grant.id, expires_at=NOW + 10_000, now=now)


class StartConformance(Conformance):
    """`Grants.start` at the end of an authorization"""

    def test_gives_everything_back(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        session = ask(signed_in(store, cast.ada))
        given: dict[str, Any] = {
            "session_id": session.id,
            "auth_time": NOW - 5,
            "claims": CLAIMS,
            "code_challenge": "challenge",
            "code_expires_at": NOW + 60,
            "redirect_uri": "https://player.example/back",
            "nonce": "n",
        }
        grant = ask(started(store, cast.player, cast.ada, **given))
        assert {name: getattr(grant, name) for name in given} == given
        assert grant.redeemed_at is None
        assert ask(other.grants.get(grant.id)) == grant

    def test_finishes_its_transaction(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        assert ask(store.grants.of_transaction(TRANSACTION)) is None
        grant = ask(with_code(store, cast.player, cast.ada, transaction=TRANSACTION))
        ask(store.grants.end(grant.id, now=NOW + 1))
        assert ask(other.grants.of_transaction(TRANSACTION)) == replace(grant, ended_at=NOW + 1)
        assert ask(other.grants.of_transaction(digest("another"))) is None

    def test_of_a_finished_transaction_is_refused_and_writes_nothing(self, store: Store, cast: Cast, ask: Ask) -> None:
        first = ask(with_code(store, cast.player, cast.ada, transaction=TRANSACTION))
        second = new_grant(cast.cinema, cast.bob, transaction=TRANSACTION, consent=consent(cast))
        assert ask(store.grants.start(second, now=NOW)) is None
        assert ask(store.grants.of_transaction(TRANSACTION)) == first
        assert ask(store.consents.of_user(cast.ada.id)) == []
        assert ask(started(store, cast.player, cast.ada)).position == first.position + 1

    def test_that_is_refused_leaves_its_transaction_open(self, store: Store, cast: Cast, ask: Ask) -> None:
        stale = new_grant(cast.player, replace(cast.ada, epoch=9), transaction=TRANSACTION, consent=consent(cast))
        assert ask(store.grants.start(stale, now=NOW)) is None
        assert ask(store.grants.of_transaction(TRANSACTION)) is None
        assert ask(store.consents.of_user(cast.ada.id)) == []
        assert ask(store.grants.start(new_grant(cast.player, cast.ada, transaction=TRANSACTION), now=NOW)) is not None

    def test_of_one_transaction_has_exactly_one_winner(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        transactions = [digest(f"transaction {number}") for number in range(5)]

        def racer(store: Store, ask: Ask) -> list[Grant | None]:
            offers = [new_grant(cast.player, cast.ada, transaction=transaction) for transaction in transactions]
            return [ask(store.grants.start(offer, now=NOW)) for offer in offers]

        answers = zip(*race(memory, *[racer] * 20), strict=True)
        for transaction, found in zip(transactions, answers, strict=True):
            (winner,) = [grant for grant in found if grant is not None]
            assert ask(store.grants.of_transaction(transaction)) == winner

    @pytest.mark.parametrize("how", ["ended", "idle", "at its end", "unknown", "another's"])
    def test_outside_a_live_session_of_the_person_is_refused(
        self, store: Store, cast: Cast, ask: Ask, how: str
    ) -> None:
        lives: dict[str, dict[str, Any]] = {"idle": {"expires_at": NOW}, "at its end": {"ends_at": NOW}}
        session = ask(signed_in(store, cast.bob if how == "another's" else cast.ada, **lives.get(how, {})))
        if how == "ended":
            ask(store.sessions.end(session.id, lease_in=30, now=NOW))
        session_id = session.id + (how == "unknown")
        assert ask(store.grants.start(new_grant(cast.player, cast.ada, session_id=session_id), now=NOW)) is None

    def test_in_a_session_that_ends_in_a_race_is_never_alive_afterwards(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        session = ask(signed_in(store, cast.ada))

        def starter(store: Store, ask: Ask) -> list[Grant]:
            grants: list[Grant] = []
            offer = new_grant(cast.player, cast.ada, session_id=session.id)
            while grant := ask(store.grants.start(offer, now=NOW)):
                grants.append(grant)
            return grants

        def ender(store: Store, ask: Ask) -> list[Grant]:
            first = ask(started(store, cast.player, cast.ada, session_id=session.id))
            ask(store.sessions.end(session.id, lease_in=30, now=NOW))
            return [first]

        found = [grant for grants in race(memory, ender, *[starter] * 7) for grant in grants]
        store.refresh()
        assert all(ask(present(store, grant)).ended_at is not None for grant in found)
        assert all(store.positions.is_denied(grant.position) for grant in found)

    def test_remembers_the_consent_in_the_place_of_the_one_before(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        first, second = consent(cast), replace(consent(cast), scope=("openid",), claims=RequestedClaims())
        for given in (first, second):
            ask(started(store, cast.player, cast.ada, consent=given))
            assert ask(other.consents.get(cast.ada.id, cast.player.id)) == given


def consent(cast: Cast) -> Consent:
    return Consent(
        user_id=cast.ada.id,
        client_id=cast.player.id,
        scope=("openid", "read"),
        claims=CLAIMS,
        resources=("https://api.example",),
        granted_at=NOW,
    )


class RedeemConformance(Conformance):
    """`Grants.redeem`"""

    def test_gives_the_grant_as_it_was_with_its_nonce(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(with_code(store, cast.player, cast.ada))
        found = ask(redeemed(store, grant))
        assert found == replace(grant, redeemed_at=NOW + 5, expires_at=NOW + 10_000)
        assert found.nonce == "n-0S6_WzA2Mj"

    def test_clears_nonce_and_redirect_uri_and_keeps_the_challenge(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(with_code(store, cast.player, cast.ada))
        found = ask(redeemed(store, grant))
        assert found is not None
        assert ask(other.grants.get(grant.id)) == replace(found, nonce=None, redirect_uri=None)
        assert found.code_challenge == grant.code_challenge

    def test_gives_a_grant_that_is_refreshed_like_any_other(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(with_code(store, cast.player, cast.ada))
        ask(redeemed(store, grant))
        assert ask(rotated(store, grant, now=NOW + 9_999)) == grant.position

    def test_has_exactly_one_winner(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        grants = [ask(with_code(store, cast.player, cast.ada)) for _ in range(5)]

        def racer(store: Store, ask: Ask) -> list[Grant | None]:
            return [ask(redeemed(store, grant)) for grant in grants]

        for found in zip(*race(memory, *[racer] * 20), strict=True):
            (winner,) = [grant for grant in found if grant is not None]
            assert winner.nonce == "n-0S6_WzA2Mj"

    def test_is_refused_the_second_time_and_writes_nothing(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(with_code(store, cast.player, cast.ada))
        ask(redeemed(store, grant))
        before = ask(present(store, grant))
        assert ask(redeemed(store, grant, now=NOW + 6)) is None
        assert ask(present(store, grant)) == before

    @pytest.mark.parametrize(("now", "is_alive"), [(NOW + 59, True), (NOW + 60, False), (NOW + 9_999, False)])
    @pytest.mark.parametrize("shorter", ["expires_at", "code_expires_at"])
    def test_is_refused_once_the_code_or_the_grant_expired(
        self, store: Store, cast: Cast, ask: Ask, now: int, is_alive: bool, shorter: str
    ) -> None:
        lives = {"expires_at": NOW + 99_999, "code_expires_at": NOW + 99_999, shorter: NOW + 60}
        grant = ask(with_code(store, cast.player, cast.ada, **lives))
        assert (ask(redeemed(store, grant, now=now)) is not None) is is_alive

    def test_is_refused_once_the_grant_ended(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(with_code(store, cast.player, cast.ada))
        ask(store.grants.end(grant.id, now=NOW))
        assert ask(redeemed(store, grant)) is None
        assert ask(present(store, grant)).nonce is not None

    def test_is_refused_where_there_is_no_code_or_no_grant(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        assert ask(redeemed(store, grant)) is None
        assert ask(redeemed(store, replace(grant, id=12_345))) is None

    def test_against_an_end_leaves_the_grant_ended_and_denied(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        """A replay that races the exchange: whoever is first, afterwards nothing is alive."""
        grants = [ask(with_code(store, cast.player, cast.ada)) for _ in range(10)]

        def redeemer(store: Store, ask: Ask) -> None:
            for grant in grants:
                ask(redeemed(store, grant))

        def ender(store: Store, ask: Ask) -> None:
            for grant in reversed(grants):
                ask(store.grants.end(grant.id, now=NOW))

        race(memory, redeemer, ender, redeemer, ender)
        store.refresh()
        assert all(ask(present(store, grant)).ended_at is not None for grant in grants)
        assert all(store.positions.is_denied(grant.position) for grant in grants)


class OfUserConformance(Conformance):
    """`Grants.of_user`"""

    def test_lists_what_is_alive_the_newest_first(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        old = ask(started(store, cast.player, cast.ada))
        ended = ask(started(store, cast.player, cast.ada))
        ask(store.grants.end(ended.id, now=NOW))
        ask(started(store, cast.player, cast.ada, expires_at=NOW + 10))
        ask(with_code(store, cast.player, cast.ada, expires_at=NOW + 100))
        ask(started(store, cast.player, cast.bob))
        new = ask(with_code(store, cast.cinema, cast.ada))
        ask(redeemed(store, new))
        assert [grant.id for grant in ask(other.grants.of_user(cast.ada.id, now=NOW + 10))] == [new.id, old.id]
