"""Heavy work of many requests is done in one go, and each gets what came of its own."""

import asyncio
from functools import partial
from typing import TypeVar

import pytest

from jwtauth.issuer.together import Together, Work

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


async def _awaited(work: Work[T]) -> T:
    result: T = await work
    return result
