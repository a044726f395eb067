"""`Logouts`: the outbox of notices; each is in one pair of hands at a time."""

import pytest
from msgspec.structs import replace

from jwtauth.protocol.records import LogoutNotice
from jwtauth.store.ports import Store
from tests.store.conformance.cast import NOW, Cast, Conformance, OpenStore, signed_in, started, to_be_told
from tests.store.racing import Ask, race


class LogoutsConformance(Conformance):
    """`Logouts`"""

    @pytest.fixture
    def notices(self, store: Store, cast: Cast, ask: Ask) -> list[LogoutNotice]:
        """Thirty of them, the first due at NOW, each of the others a second after the one before."""
        player = ask(to_be_told(store, cast.player))
        found: list[LogoutNotice] = []
        for number in range(30):
            session = ask(signed_in(store, cast.ada, f"cookie {number}"))
            ask(started(store, player, cast.ada, session_id=session.id))
            ended = ask(store.sessions.end(session.id, lease_in=number, now=NOW))
            assert ended is not None
            found += ended.notices
        return found

    def test_take_due_gives_what_is_due_the_oldest_first(
        self, other: Store, notices: list[LogoutNotice], ask: Ask
    ) -> None:
        assert ask(other.logouts.take_due(limit=100, of_one_client=100, lease_in=60, now=NOW - 1)) == []
        assert ask(other.logouts.take_due(limit=3, of_one_client=100, lease_in=60, now=NOW + 9)) == notices[:3]
        assert ask(other.logouts.take_due(limit=100, of_one_client=100, lease_in=60, now=NOW + 9)) == notices[3:10]

    def test_take_due_gives_only_a_few_of_one_client(self, other: Store, notices: list[LogoutNotice], ask: Ask) -> None:
        assert len({notice.client_id for notice in notices}) == 1
        for first in (0, 2, 4):
            found = ask(other.logouts.take_due(limit=100, of_one_client=2, lease_in=60, now=NOW + 9))
            assert found == notices[first : first + 2]

    def test_take_due_gives_nobody_else_a_notice_within_its_lease(
        self, store: Store, other: Store, notices: list[LogoutNotice], ask: Ask
    ) -> None:
        assert ask(store.logouts.take_due(limit=1, of_one_client=100, lease_in=60, now=NOW)) == notices[:1]
        assert notices[0] not in ask(other.logouts.take_due(limit=100, of_one_client=100, lease_in=600, now=NOW + 59))
        assert ask(other.logouts.take_due(limit=100, of_one_client=100, lease_in=60, now=NOW + 60)) == notices[:1]

    def test_take_due_gives_each_notice_to_exactly_one(self, memory: OpenStore, notices: list[LogoutNotice]) -> None:
        def racer(store: Store, ask: Ask) -> list[int]:
            taken: list[int] = []
            while found := ask(store.logouts.take_due(limit=2, of_one_client=100, lease_in=60, now=NOW + 30)):
                taken += [notice.id for notice in found]
            return taken

        taken = [notice_id for found in race(memory, *[racer] * 20) for notice_id in found]
        assert sorted(taken) == [notice.id for notice in notices]

    def test_retry_counts_the_attempt_and_says_when(
        self, store: Store, other: Store, notices: list[LogoutNotice], ask: Ask
    ) -> None:
        first = ask(store.logouts.take_due(limit=1, of_one_client=100, lease_in=60, now=NOW))[0]
        ask(store.logouts.retry(first.id, due_at=NOW + 500))
        assert first not in ask(other.logouts.take_due(limit=100, of_one_client=100, lease_in=600, now=NOW + 499))
        assert ask(other.logouts.take_due(limit=1, of_one_client=100, lease_in=60, now=NOW + 500)) == [
            replace(first, attempts=1)
        ]

    def test_remove_forgets_one(self, store: Store, other: Store, notices: list[LogoutNotice], ask: Ask) -> None:
        ask(store.logouts.remove(notices[4].id))
        found = ask(other.logouts.take_due(limit=100, of_one_client=100, lease_in=60, now=NOW + 100))
        assert found == [notice for notice in notices if notice != notices[4]]
        ask(store.logouts.retry(notices[4].id, due_at=NOW))
        assert ask(other.logouts.take_due(limit=100, of_one_client=100, lease_in=60, now=NOW + 100)) == []

    def test_next_due_at_is_that_of_the_first(
        self, store: Store, other: Store, notices: list[LogoutNotice], ask: Ask
    ) -> None:
        assert ask(other.logouts.next_due_at()) == NOW
        ask(store.logouts.take_due(limit=2, of_one_client=100, lease_in=60, now=NOW + 1))
        assert ask(other.logouts.next_due_at()) == NOW + 2
        for notice in notices[2:]:
            ask(store.logouts.remove(notice.id))
        assert ask(other.logouts.next_due_at()) == NOW + 61

    def test_next_due_at_is_none_where_there_is_none(self, store: Store, ask: Ask) -> None:
        assert ask(store.logouts.next_due_at()) is None
        assert ask(store.logouts.take_due(limit=10, of_one_client=100, lease_in=60, now=NOW)) == []
