"""A flood of refusals leaves few lines (SECURITY D-06)."""

from jwtauth.observe.events import Event
from jwtauth.observe.sieve import LEFT_OUT, PER_SECOND, Sieve


def refused(at: int) -> Event:
    return Event(name="request.refused", at=at)


class TestAFlood:
    def test_d_06_leaves_as_many_lines_as_are_allowed_and_their_number(self) -> None:
        heard: list[Event] = []
        sieve = Sieve([heard.append])
        for _ in range(PER_SECOND + 7):
            sieve.hear(refused(at=1))
        sieve.hear(refused(at=2))
        assert [event.at for event in heard if event.name == "request.refused"] == [1] * PER_SECOND + [2]
        (told,) = (event for event in heard if event.name == LEFT_OUT)
        assert told.reason == "7 more refusals in the second of 1"

    def test_has_no_more_lines_where_some_refusals_come_late(self) -> None:
        """One that had to wait for a hash tells the second in which it came."""
        heard: list[Event] = []
        sieve = Sieve([heard.append])
        for _ in range(PER_SECOND):
            sieve.hear(refused(at=2))
            sieve.hear(refused(at=1))
        assert len(heard) == PER_SECOND

    def test_goes_on_where_the_clock_was_set_back(self) -> None:
        heard: list[Event] = []
        sieve = Sieve([heard.append])
        for _ in range(PER_SECOND):
            sieve.hear(refused(at=10_000))
        sieve.hear(refused(at=1))
        assert heard[-1].at == 1

    def test_hides_nothing_that_is_no_refusal(self) -> None:
        heard: list[Event] = []
        sieve = Sieve([heard.append])
        for _ in range(PER_SECOND + 7):
            sieve.hear(refused(at=1))
        sieve.hear(Event(name="grant.ended", at=1))
        assert heard[-1].name == "grant.ended"

    def test_is_told_of_at_the_end(self) -> None:
        heard: list[Event] = []
        sieve = Sieve([heard.append])
        for _ in range(PER_SECOND + 1):
            sieve.hear(refused(at=1))
        sieve.flush()
        sieve.flush()
        assert [event.name for event in heard[PER_SECOND:]] == [LEFT_OUT]
