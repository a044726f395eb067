"""`Consents`: what people allowed clients, until they take it back."""

from typing import Any

from jwtauth.protocol.records import Client, Consent, RequestedClaims, User
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    NOW,
    Cast,
    Conformance,
    OpenStore,
    new_grant,
    present,
    session_now,
    signed_in,
    started,
    user_now,
)
from tests.store.racing import Ask, race


def a_consent(user: User, client: Client, **changes: Any) -> Consent:
    return Consent(**{"user_id": user.id, "client_id": client.id, "scope": ("openid",), "granted_at": NOW, **changes})


class ConsentsConformance(Conformance):
    """`Consents`"""

    def test_gives_everything_back(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        given = a_consent(
            cast.ada,
            cast.player,
            scope=("openid", "read"),
            claims=RequestedClaims(userinfo=("email",)),
            resources=("https://a.example", "https://b.example"),
        )
        ask(started(store, cast.player, cast.ada, consent=given))
        assert ask(other.consents.get(cast.ada.id, cast.player.id)) == given
        assert ask(other.consents.get(cast.bob.id, cast.player.id)) is None
        assert ask(other.consents.get(cast.ada.id, cast.cinema.id)) is None

    def test_lists_a_persons_the_newest_first(self, store: Store, cast: Cast, ask: Ask) -> None:
        old, new = a_consent(cast.ada, cast.player), a_consent(cast.ada, cast.cinema, granted_at=NOW + 1)
        for consent in (old, new, a_consent(cast.bob, cast.player)):
            ask(started(store, cast.player, cast.ada, consent=consent))
        assert ask(store.consents.of_user(cast.ada.id)) == [new, old]

    def test_withdraw_forgets_it_and_ends_the_grants_of_the_two(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        session = ask(signed_in(store, cast.ada))
        for client in (cast.player, cast.cinema):
            ask(started(store, client, cast.bob, consent=a_consent(cast.ada, client)))
        ending = [
            ask(started(store, cast.player, cast.ada, session_id=session.id)),
            ask(started(store, cast.player, cast.ada, scope=("offline_access",))),
        ]
        staying = [ask(started(store, cast.cinema, cast.ada)), ask(started(store, cast.player, cast.bob))]
        assert ask(store.consents.withdraw(cast.ada, cast.player.id, now=NOW + 1)) == 2
        other.refresh()
        assert [consent.client_id for consent in ask(other.consents.of_user(cast.ada.id))] == [cast.cinema.id]
        assert [ask(present(other, grant)).ended_at for grant in (*ending, *staying)] == [NOW + 1, NOW + 1, None, None]
        denied = [other.positions.is_denied(grant.position) for grant in (*ending, *staying)]
        assert denied == [True, True, False, False]
        assert ask(session_now(other, session)) == session

    def test_withdraw_voids_what_began_before_and_every_worker_notices(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        assert ask(user_now(other, cast.ada)) == cast.ada
        assert ask(store.consents.withdraw(cast.ada, cast.player.id, now=NOW)) == 0
        assert ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)) is None
        assert ask(user_now(other, cast.ada)).epoch == cast.ada.epoch + 1

    def test_no_consent_given_in_a_race_outlives_the_withdrawal(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask
    ) -> None:
        offer = new_grant(cast.player, cast.ada, consent=a_consent(cast.ada, cast.player))

        def starter(store: Store, ask: Ask) -> None:
            while ask(store.grants.start(offer, now=NOW)) is not None:
                continue

        def withdrawer(store: Store, ask: Ask) -> None:
            assert ask(store.grants.start(offer, now=NOW)) is not None
            assert ask(store.consents.withdraw(cast.ada, cast.player.id, now=NOW)) > 0

        race(memory, withdrawer, *[starter] * 7)
        assert ask(store.consents.of_user(cast.ada.id)) == []
        assert ask(store.grants.of_user(cast.ada.id, now=NOW)) == []
