"""What is remembered stays below its bound, and what is forgotten is what was learned first."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

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


@pytest.mark.parametrize("most", [16, 1_000])
def test_may_learn_from_many_threads_at_once(request: pytest.FixtureRequest, most: int) -> None:
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    known: Bounded[tuple[int, int], int] = Bounded(most)

    def learn(thread: int) -> None:
        for number in range(2_000):
            known.learn((thread, number), number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(learn, range(8)))
    known.learn((8, 0), 0)
    assert len(known) <= most
