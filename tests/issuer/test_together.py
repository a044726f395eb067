"""Heavy work of many requests is done in one go, and each gets what came of its own."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

import pytest

from jwtauth.issuer.together import Lookup, Together, Work

T = TypeVar("T")


def test_tasks_get_what_was_computed_for_them_in_the_order_in_which_they_asked() -> None:
    done: list[int] = []

    def compute(number: int) -> int:
        done.append(number)
        return number * number

    async def ask() -> list[int]:
        together = Together()
        return await asyncio.gather(*(_awaited(together.work(partial(compute, n))) for n in range(5)))

    assert asyncio.run(ask()) == [0, 1, 4, 9, 16]
    assert done == [0, 1, 2, 3, 4]


def test_a_problem_is_of_the_one_whose_work_it_was() -> None:
    async def ask() -> list[tuple[int, int] | BaseException]:
        together = Together()
        works: list[Work[tuple[int, int]]] = [together.work(partial(divmod, 12, n)) for n in (3, 0, 4)]
        return await asyncio.gather(*map(_awaited, works), return_exceptions=True)

    first, broken, last = asyncio.run(ask())
    assert (first, last) == ((4, 0), (3, 0))
    assert isinstance(broken, ZeroDivisionError)


def test_a_story_outside_of_any_task_hands_its_work_to_whoever_runs_it() -> None:
    together = Together()

    async def story() -> int:
        return 1 + await together.work(lambda: 41)

    running = story()
    together.is_collecting = True
    work = running.send(None)
    together.is_collecting = False
    work.do()
    with pytest.raises(StopIteration) as ended:
        running.send(None)
    assert ended.value.value == 42


def test_a_story_keeps_step_with_those_that_are_told_together_and_alone_waits_for_nobody() -> None:
    together = Together()

    async def story() -> int:
        await together.keep_step()
        return 7

    running = story()
    together.is_collecting = True
    running.send(None).do()
    together.is_collecting = False
    with pytest.raises(StopIteration) as ended:
        running.send(None)
    assert ended.value.value == 7
    assert asyncio.run(story()) == 7


class _Shelf:
    """Squares; what is asked for is written down, and one of them may be broken."""

    def __init__(self) -> None:
        self.asked: list[set[int]] = []
        self.broken: int | None = None

    def read(self, keys: Collection[int]) -> Mapping[int, int]:
        self.asked.append(set(keys))
        if self.broken in keys:
            raise OSError("broken")
        return {key: key * key for key in keys if key >= 0}


def test_what_stories_look_up_together_is_read_in_one_go() -> None:
    together, shelf = Together(), _Shelf()
    squares = Lookup(together, shelf.read)
    assert _told(together, [squares.get(n) for n in (3, -1, 4, 3)]) == [9, None, 16, 9]
    assert _told(together, [squares.get(5)]) == [25]
    assert asyncio.run(squares.get(6)) == 36
    assert _told(together, [squares.get(3)]) == [9]  # known before, and read again: it may have changed
    assert shelf.asked == [{3, -1, 4}, {5}, {6}, {3}]


def test_a_record_that_cannot_be_read_costs_nobody_else_an_answer() -> None:
    together, shelf = Together(), _Shelf()
    squares = Lookup(together, shelf.read)
    shelf.broken = 4
    first, second, third = _told(together, [squares.get(3), squares.get(4), squares.get(5)])
    assert (first, third) == (9, 25)
    assert isinstance(second, OSError)
    shelf.broken = None
    assert _told(together, [squares.get(4), squares.get(6)]) == [16, 36]
    assert shelf.asked == [{3, 4, 5}, {3}, {4}, {5}, {4, 6}]


def _told(together: Together, stories: list[Coroutine[Any, Any, T]]) -> list[T | Exception]:
    """What stories come to that are told together, each of which waits for one work."""
    together.is_collecting = True
    works = [story.send(None) for story in stories]
    together.is_collecting = False
    for work in works:
        work.do()
    return [_end(story) for story in stories]


def _end(story: Coroutine[Any, Any, T]) -> T | Exception:
    try:
        story.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    except Exception as problem:
        return problem
    raise AssertionError("a story waits for more")


async def _awaited(work: Work[T]) -> T:
    result: T = await work
    return result
