"""What is remembered stays below its bound, and what is forgotten is what was learned first."""

import pytest

from jwtauth.bounded import SHARE, Bounded


@pytest.mark.parametrize("most", [1, 2, SHARE - 1, SHARE, 1_000])
def test_never_holds_more_than_it_may(most: int) -> None:
    known: Bounded[int, int] = Bounded(most)
    for number in range(3 * most + 2):
        assert known.learn(number, -number) == -number
        assert len(known) <= most
        assert known[number] == -number


def test_forgets_what_it_learned_first_and_not_much_of_it() -> None:
    known: Bounded[int, int] = Bounded(SHARE * 10)
    for number in range(SHARE * 10 + 1):
        known.learn(number, number)
    assert list(known) == list(range(10, SHARE * 10 + 1))


def test_makes_no_room_for_what_it_knows() -> None:
    known: Bounded[str, int] = Bounded(2)
    known.learn("a", 1)
    known.learn("b", 2)
    known.learn("a", 3)
    assert known == {"a": 3, "b": 2}
