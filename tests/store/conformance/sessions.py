"""`Sessions`: people signed in, and what ends with a session (OpenID Connect Back-Channel Logout 1.0)."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.protocol.records import Grant, LogoutNotice, Session
from jwtauth.store.ports import Ended, Store
from tests.store.conformance.administration import disable
from tests.store.conformance.cast import (
    NOW,
    Cast,
    Conformance,
    OpenStore,
    digest,
    new_grant,
    new_session,
    present,
    session_now,
    signed_in,
    started,
    to_be_told,
    user_now,
    with_code,
)
from tests.store.racing import Ask, race


class SessionsConformance(Conformance):
    """`Sessions.start`, `find`, `get`, `of_user`, `renew`, `touch`"""

    def test_start_gives_the_session_as_it_is_kept(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        answer = ask(store.sessions.start(new_session(cast.ada), replaces=None, lease_in=30, now=NOW))
        assert answer is not None
        session, ended = answer
        assert session == Session(
            id=session.id,
            sid="sid of cookie",
            user_id=cast.ada.id,
            auth_time=NOW - 5,
            created_at=NOW,
            seen_at=NOW,
            expires_at=NOW + 1_800,
            ends_at=NOW + 86_400,
            user_agent="Lynx",
        )
        assert ended == Ended()
        assert ask(other.sessions.get(session.id)) == session
        assert ask(other.sessions.find(digest("cookie"))) == session

    def test_only_the_digest_finds_a_session(self, store: Store, cast: Cast, ask: Ask) -> None:
        session = ask(signed_in(store, cast.ada))
        for other in (b"cookie", session.sid.encode(), digest("Cookie"), digest("cookie")[:-1]):
            assert ask(store.sessions.find(other)) is None
        assert ask(store.sessions.get(session.id + 1)) is None

    @pytest.mark.parametrize("stale", ["epoch", "disabled"])
    def test_start_gives_none_and_ends_nothing_where_the_person_changed(
        self, store: Store, cast: Cast, ask: Ask, stale: str
    ) -> None:
        before = ask(signed_in(store, cast.bob, "before"))
        if stale == "epoch":
            ask(store.administration.change_user(cast.ada, now=NOW))
            new = new_session(cast.ada)
        else:
            ask(store.administration.disable_user(cast.ada, now=NOW))
            new = new_session(ask(user_now(store, cast.ada)))
        assert ask(store.sessions.start(new, replaces=before.id, lease_in=30, now=NOW)) is None
        assert ask(store.sessions.find(digest("cookie"))) is None
        assert ask(session_now(store, before)) == before

    def test_start_ends_the_session_that_it_replaces(self, store: Store, cast: Cast, ask: Ask) -> None:
        player = ask(to_be_told(store, cast.player))
        before = ask(signed_in(store, cast.bob, "before"))
        grant = ask(started(store, player, cast.bob, session_id=before.id))
        answer = ask(store.sessions.start(new_session(cast.ada), replaces=before.id, lease_in=30, now=NOW + 1))
        assert answer is not None
        assert (answer[1].sessions, answer[1].grants) == (1, 1)
        assert [(notice.sub, notice.sid) for notice in answer[1].notices] == [("u.bob", "sid of before")]
        assert ask(session_now(store, before)).ended_at == NOW + 1
        assert ask(present(store, grant)).ended_at == NOW + 1
        assert ask(session_now(store, answer[0])).ended_at is None

    def test_start_that_replaces_an_ended_session_just_starts(self, store: Store, cast: Cast, ask: Ask) -> None:
        before = ask(signed_in(store, cast.ada, "before"))
        ask(store.sessions.end(before.id, lease_in=30, now=NOW))
        answer = ask(store.sessions.start(new_session(cast.ada), replaces=before.id, lease_in=30, now=NOW + 1))
        assert answer is not None
        assert answer[1] == Ended()
        assert ask(session_now(store, before)).ended_at == NOW

    def test_of_user_lists_the_live_ones_the_last_used_first(self, store: Store, cast: Cast, ask: Ask) -> None:
        first, second, third = (ask(signed_in(store, cast.ada, name)) for name in ("first", "second", "third"))
        ended = ask(signed_in(store, cast.ada, "ended"))
        ask(store.sessions.end(ended.id, lease_in=30, now=NOW))
        ask(signed_in(store, cast.ada, "idle", expires_at=NOW + 60))
        ask(signed_in(store, cast.ada, "over", ends_at=NOW + 60))
        ask(signed_in(store, cast.bob, "bob"))
        ask(store.sessions.touch(second.id, expires_at=0, now=NOW + 60))
        found = ask(store.sessions.of_user(cast.ada.id, now=NOW + 60))
        assert [session.id for session in found] == [second.id, third.id, first.id]

    def test_renew_gives_another_cookie(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        """SECURITY B-02: the old cookie is worth nothing afterwards."""
        session = ask(signed_in(store, cast.ada))
        renewed = ask(renewal(store, session, cast))
        assert renewed == replace(session, auth_time=NOW + 9, seen_at=NOW + 10, expires_at=NOW + 5_000)
        assert ask(other.sessions.find(digest("renewed"))) == renewed
        assert ask(other.sessions.find(digest("cookie"))) is None

    def test_renew_says_who_proved_it_last(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        session = ask(signed_in(store, cast.ada))
        assert session.upstream_realm is None
        instants = {"auth_time": NOW, "expires_at": NOW + 9, "now": NOW}
        for number, realm in enumerate(("music", None)):
            new = digest(f"renewed {number}")
            ask(
                store.sessions.renew(
                    session.id, digest=new, user_epoch=cast.ada.epoch, upstream_realm=realm, **instants
                )
            )
            assert ask(session_now(other, session)).upstream_realm == realm

    def test_holding_knows_the_cookie_before_as_well_and_find_does_not(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        session = ask(signed_in(store, cast.ada))
        instants = {"auth_time": NOW, "expires_at": NOW + 9, "now": NOW}
        for number in (1, 2):
            new = digest(f"renewed {number}")
            ask(
                store.sessions.renew(session.id, digest=new, user_epoch=cast.ada.epoch, upstream_realm=None, **instants)
            )
        held = [ask(other.sessions.holding(digest(f"renewed {number}"))) for number in (1, 2)]
        assert [found and found.id for found in held] == [session.id, session.id]
        assert ask(other.sessions.find(digest("renewed 1"))) is None
        assert ask(other.sessions.holding(digest("cookie"))) is None
        assert ask(other.sessions.holding(digest("never seen"))) is None

    @pytest.mark.parametrize("how", ["ended", "idle", "at its end", "epoch", "disabled", "unknown"])
    def test_renew_gives_none_and_writes_nothing_where_it_may_not(
        self, store: Store, cast: Cast, ask: Ask, how: str
    ) -> None:
        lives: dict[str, dict[str, Any]] = {"idle": {"expires_at": NOW + 10}, "at its end": {"ends_at": NOW + 10}}
        session = ask(signed_in(store, cast.ada, **lives.get(how, {})))
        match how:
            case "ended":
                ask(store.sessions.end(session.id, lease_in=30, now=NOW))
            case "epoch":
                ask(store.administration.change_user(cast.ada, now=NOW))
            case "disabled":
                ask(store.administration.disable_user(cast.ada, now=NOW))
        before = ask(session_now(store, session))
        epoch = ask(user_now(store, cast.ada)).epoch if how == "disabled" else cast.ada.epoch
        asked = replace(session, id=session.id + 1) if how == "unknown" else session
        assert ask(renewal(store, asked, cast, epoch)) is None
        assert ask(store.sessions.find(digest("cookie"))) == before

    def test_touch_only_ever_moves_forward(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        session = ask(signed_in(store, cast.ada))
        ask(store.sessions.touch(session.id, expires_at=NOW + 2_000, now=NOW + 100))
        ask(store.sessions.touch(session.id, expires_at=NOW + 1_900, now=NOW + 50))
        assert ask(session_now(other, session)) == replace(session, expires_at=NOW + 2_000, seen_at=NOW + 100)

    @pytest.mark.parametrize("how", ["ended", "idle", "at its end"])
    def test_touch_revives_nothing(self, store: Store, cast: Cast, ask: Ask, how: str) -> None:
        lives: dict[str, dict[str, Any]] = {"idle": {"expires_at": NOW + 10}, "at its end": {"ends_at": NOW + 10}}
        session = ask(signed_in(store, cast.ada, **lives.get(how, {})))
        if how == "ended":
            ask(store.sessions.end(session.id, lease_in=30, now=NOW))
        before = ask(session_now(store, session))
        ask(store.sessions.touch(session.id, expires_at=NOW + 9_999, now=NOW + 10))
        assert ask(session_now(store, session)) == before


async def renewal(store: Store, session: Session, cast: Cast, epoch: int | None = None) -> Session | None:
    return await store.sessions.renew(
        session.id,
        digest=digest("renewed"),
        user_epoch=cast.ada.epoch if epoch is None else epoch,
        auth_time=NOW + 9,
        upstream_realm=None,
        expires_at=NOW + 5_000,
        now=NOW + 10,
    )


class SessionEndConformance(Conformance):
    """`Sessions.end`"""

    def test_ends_the_grants_without_offline_access_and_no_other(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        session, elsewhere = ask(signed_in(store, cast.ada)), ask(signed_in(store, cast.ada, "elsewhere"))
        ending = [
            ask(started(store, cast.player, cast.ada, session_id=session.id, scope=scope))
            for scope in ((), ("openid",), ("offlineXaccess",), ("OFFLINE_ACCESS",), ("offline_access.not",))
        ]
        ending.append(ask(with_code(store, cast.player, cast.ada, session_id=session.id)))
        staying = [
            ask(started(store, cast.player, cast.ada, session_id=session.id, scope=scope))
            for scope in (("offline_access",), ("openid", "offline_access"), ("offline_access", "openid"))
        ]
        staying.append(ask(started(store, cast.player, cast.ada, session_id=elsewhere.id)))
        staying.append(ask(started(store, cast.player, cast.ada)))
        assert ask(store.sessions.end(session.id, lease_in=30, now=NOW + 1)) == Ended(sessions=1, grants=len(ending))
        assert ask(session_now(other, session)) == replace(session, ended_at=NOW + 1)
        assert alive(other, [*ending, *staying], ask) == [grant.id for grant in staying]

    def test_has_exactly_one_winner(self, store: Store, memory: OpenStore, cast: Cast, ask: Ask) -> None:
        player = ask(to_be_told(store, cast.player))
        sessions = [ask(signed_in(store, cast.ada, f"cookie {number}")) for number in range(5)]
        for session in sessions:
            ask(started(store, player, cast.ada, session_id=session.id))

        def racer(store: Store, ask: Ask) -> list[Ended | None]:
            return [ask(store.sessions.end(session.id, lease_in=0, now=NOW)) for session in sessions]

        for found in zip(*race(memory, *[racer] * 20), strict=True):
            (winner,) = [ended for ended in found if ended is not None]
            assert (winner.sessions, winner.grants, len(winner.notices)) == (1, 1, 1)
        assert len(ask(store.logouts.take_due(limit=100, of_one_client=100, lease_in=30, now=NOW))) == len(sessions)

    def test_of_an_unknown_session_is_none(self, store: Store, ask: Ask) -> None:
        assert ask(store.sessions.end(12_345, lease_in=30, now=NOW)) is None

    def test_of_a_session_that_expired_still_ends_its_grants(self, store: Store, cast: Cast, ask: Ask) -> None:
        session = ask(signed_in(store, cast.ada))
        grant = ask(started(store, cast.player, cast.ada, session_id=session.id))
        assert ask(store.sessions.end(session.id, lease_in=30, now=NOW + 2_000)) == Ended(sessions=1, grants=1)
        assert ask(present(store, grant)).ended_at == NOW + 2_000

    def test_notes_each_client_that_wants_to_be_told_once(self, store: Store, cast: Cast, ask: Ask) -> None:
        player, cinema = ask(to_be_told(store, cast.player)), cast.cinema
        session = ask(signed_in(store, cast.ada))
        for client in (player, player, cinema):
            ask(started(store, client, cast.ada, session_id=session.id))
        ended = ask(store.sessions.end(session.id, lease_in=30, now=NOW))
        assert ended is not None
        (notice,) = ended.notices
        assert notice == LogoutNotice(
            id=notice.id, client_id=player.id, sub="u.ada", sid="sid of cookie", attempts=0, created_at=NOW
        )

    def test_notes_a_client_also_when_only_a_grant_that_lives_on_brought_it_here(
        self, store: Store, cast: Cast, ask: Ask
    ) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        ask(started(store, player, cast.ada, session_id=session.id, scope=("offline_access",)))
        ended = ask(store.sessions.end(session.id, lease_in=30, now=NOW))
        assert ended is not None
        assert (ended.grants, len(ended.notices)) == (0, 1)

    @pytest.mark.parametrize("what", ["client", "realm"])
    def test_notes_no_client_that_is_disabled(self, store: Store, cast: Cast, ask: Ask, what: str) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        ask(started(store, player, cast.ada, session_id=session.id))
        ask(disable(store, cast, what))
        assert ask(store.sessions.end(session.id, lease_in=30, now=NOW)) == Ended(sessions=1)

    def test_leases_its_notices_to_who_ended_it(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        ask(started(store, player, cast.ada, session_id=session.id))
        ended = ask(store.sessions.end(session.id, lease_in=30, now=NOW))
        assert ended is not None
        assert ask(other.logouts.take_due(limit=10, of_one_client=100, lease_in=30, now=NOW + 29)) == []
        assert ask(other.logouts.take_due(limit=10, of_one_client=100, lease_in=30, now=NOW + 30)) == list(
            ended.notices
        )


def alive(store: Store, grants: list[Grant], ask: Ask) -> list[int]:
    """The ids of those that have not ended; each of the others, and no other, is denied."""
    store.refresh()
    found = [grant.id for grant in grants if ask(present(store, grant)).ended_at is None]
    assert found == [grant.id for grant in grants if not store.positions.is_denied(grant.position)]
    return found


Everywhere = Callable[[Store, Cast], Coroutine[Any, Any, object]]

EVERYWHERE: dict[str, Everywhere] = {
    "end_all": lambda store, cast: store.sessions.end_all(cast.ada, now=NOW),
    "new password": lambda store, cast: disable(store, cast, "password"),
    "disable_user": lambda store, cast: disable(store, cast, "user"),
}


class EverywhereConformance(Conformance):
    """`Sessions.end_all`, and what `Administration` does to sessions"""

    def test_end_all_tells_what_ended_and_hands_out_no_notice(self, store: Store, cast: Cast, ask: Ask) -> None:
        player = ask(to_be_told(store, cast.player))
        for name in ("one", "two"):
            session = ask(signed_in(store, cast.ada, name))
            ask(started(store, player, cast.ada, session_id=session.id))
        assert ask(store.sessions.end_all(cast.ada, now=NOW)) == Ended(sessions=2, grants=2)
        assert ask(store.sessions.end_all(cast.ada, now=NOW)) == Ended()

    @pytest.mark.parametrize("how", EVERYWHERE.values(), ids=EVERYWHERE)
    def test_ends_all_sessions_and_all_grants_of_one_person(
        self, store: Store, other: Store, cast: Cast, ask: Ask, how: Everywhere
    ) -> None:
        mine = [ask(signed_in(store, cast.ada, name)) for name in ("one", "two")]
        foreign = ask(signed_in(store, cast.bob))
        ending = [
            ask(started(store, cast.player, cast.ada, session_id=mine[0].id)),
            ask(started(store, cast.player, cast.ada, session_id=mine[1].id, scope=("offline_access",))),
            ask(started(store, cast.cinema, cast.ada)),
        ]
        staying = [ask(started(store, cast.player, cast.bob, session_id=foreign.id))]
        ask(how(store, cast))
        assert [ask(session_now(other, session)).ended_at for session in (*mine, foreign)] == [NOW, NOW, None]
        assert alive(other, [*ending, *staying], ask) == [grant.id for grant in staying]

    @pytest.mark.parametrize("how", EVERYWHERE.values(), ids=EVERYWHERE)
    def test_leaves_the_notices_to_whoever_is_first(
        self, store: Store, other: Store, cast: Cast, ask: Ask, how: Everywhere
    ) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        ask(started(store, player, cast.ada, session_id=session.id))
        ask(how(store, cast))
        found = ask(other.logouts.take_due(limit=10, of_one_client=100, lease_in=30, now=NOW))
        assert [(notice.client_id, notice.sub, notice.sid) for notice in found] == [(player.id, "u.ada", session.sid)]

    @pytest.mark.parametrize("how", EVERYWHERE.values(), ids=EVERYWHERE)
    def test_voids_what_began_before_and_every_worker_notices(
        self, store: Store, other: Store, cast: Cast, ask: Ask, how: Everywhere
    ) -> None:
        assert ask(user_now(other, cast.ada)) == cast.ada
        ask(how(store, cast))
        assert ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)) is None
        assert ask(store.sessions.start(new_session(cast.ada), replaces=None, lease_in=30, now=NOW)) is None
        assert ask(user_now(other, cast.ada)).epoch == cast.ada.epoch + 1

    @pytest.mark.parametrize("how", EVERYWHERE.values(), ids=EVERYWHERE)
    def test_no_session_started_in_a_race_is_live_afterwards(
        self, store: Store, memory: OpenStore, cast: Cast, ask: Ask, how: Everywhere
    ) -> None:
        def starter(number: int) -> Callable[[Store, Ask], None]:
            def racer(store: Store, ask: Ask) -> None:
                for cookie in range(10_000):
                    new = new_session(cast.ada, f"{number}.{cookie}")
                    if ask(store.sessions.start(new, replaces=None, lease_in=30, now=NOW)) is None:
                        return

            return racer

        def ender(store: Store, ask: Ask) -> None:
            ask(signed_in(store, cast.ada, "first"))
            ask(how(store, cast))

        race(memory, ender, *[starter(number) for number in range(7)])
        assert ask(store.sessions.of_user(cast.ada.id, now=NOW)) == []

    def test_a_new_profile_or_membership_ends_no_session(self, store: Store, cast: Cast, ask: Ask) -> None:
        session = ask(signed_in(store, cast.ada))
        ask(store.administration.change_user(replace(cast.ada, username="ada2", roles={}), now=NOW))
        assert ask(session_now(store, session)) == session
