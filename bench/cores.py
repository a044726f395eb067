"""Which core does what: the service on one, those who ask it on others, where the system lets us say so."""

import os
from typing import Final

from msgspec import Struct

NEEDED_FOR_TWO: Final = 4
"""Two workers and two generators each need a core of their own."""


class Cores(Struct, frozen=True, kw_only=True):
    """The cores of a run; empty sets where nothing can be pinned."""

    server: frozenset[int]
    """The one core of the floor and of a service with one worker."""
    two_workers: frozenset[int]
    """The two cores of a service with two workers; empty where there are too few."""
    generators: tuple[frozenset[int], ...]
    """One entry for each generator process."""

    @property
    def are_pinned(self) -> bool:
        """Whether service and generators keep out of each other's way."""
        return bool(self.server) and self.generators[0].isdisjoint(self.server)


def share() -> Cores:
    """Deal out the cores that this process may use."""
    nobody: frozenset[int] = frozenset()
    if not hasattr(os, "sched_getaffinity"):
        return Cores(server=nobody, two_workers=nobody, generators=(nobody,))
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) >= NEEDED_FOR_TWO:
        return Cores(
            server=frozenset(usable[:1]),
            two_workers=frozenset(usable[:2]),
            generators=(frozenset(usable[2:3]), frozenset(usable[3:4])),
        )
    return Cores(server=frozenset(usable[:1]), two_workers=nobody, generators=(frozenset(usable[-1:]),))


def pin(pid: int, cores: frozenset[int]) -> None:
    """Keep a process, and what it will start, on these cores; 0 is this process."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, cores)
