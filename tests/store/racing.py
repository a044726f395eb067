"""Real threads that begin at the same moment, each with a store and an event loop of its own."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Protocol, TypeVar

from jwtauth.store.ports import Store

T = TypeVar("T")


class Ask(Protocol):
    """Runs one coroutine to its end."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T: ...


Racer = Callable[[Store, Ask], T]


def race(open_store: Callable[[], Store], *racers: Racer[T]) -> list[T]:
    """What each racer returned, in their order; all stores are open before the first racer begins."""
    barrier = Barrier(len(racers))

    def run(racer: Racer[T]) -> T:
        store = open_store()
        try:
            with asyncio.Runner() as runner:
                barrier.wait(timeout=10)
                return racer(store, runner.run)
        finally:
            store.close()

    with ThreadPoolExecutor(len(racers)) as threads:
        return list(threads.map(run, racers))
