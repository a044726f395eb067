"""The processes that generate load, each on a core of its own; several together count as one."""

from array import array
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from bench import cores, load
from bench.load import CONNECTIONS, Outcome, Plan, Timing


class Generators:
    """Waiting processes, so that starting them is in no figure."""

    def __init__(self, places: Sequence[frozenset[int]]) -> None:
        """Start one process for each set of cores."""
        context = get_context("spawn")
        self._processes = [
            ProcessPoolExecutor(1, mp_context=context, initializer=cores.pin, initargs=(0, place)) for place in places
        ]

    def measure(self, port: int, plan: Plan, timing: Timing, *, processes: int = 1) -> Outcome:
        """Ask the server on a port with so many processes, each over `CONNECTIONS` connections.

        Raises:
            LoadFailed: an answer was not 2xx, lacked the marker, or never came.
        """
        used = self._processes[:processes]
        under_way = [
            process.submit(load.measure, port, plan, timing, CONNECTIONS, share, len(used))
            for share, process in enumerate(used)
        ]
        return _together([future.result() for future in under_way])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.shutdown(cancel_futures=True)


def latencies(outcomes: Sequence[Outcome]) -> list[float]:
    """Every latency of some outcomes, in ascending order, in seconds."""
    found = array("d")
    for outcome in outcomes:
        found.frombytes(outcome.latencies)
    return sorted(found)


def _together(parts: list[Outcome]) -> Outcome:
    if len(parts) == 1:
        return parts[0]
    return Outcome(
        requests=sum(part.requests for part in parts),
        measured=sum(part.measured for part in parts),
        seconds=max(part.seconds for part in parts),
        latencies=b"".join(part.latencies for part in parts),
        bodies=tuple(body for part in parts for body in part.bodies),
        tokens=tuple(token for part in parts for token in part.tokens),
        busy=max(part.busy for part in parts),
    )
