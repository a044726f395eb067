"""How many connections a worker holds: who is let in, who makes room, who is told to come again (SECURITY D-08)."""

import resource
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal, Protocol

from jwtauth.observe.log import LOGGER

TURNED_AWAY: Final = 256
"""Connections that were refused and may still say what they wanted to, so that they hear why; others are closed at
once."""

RESERVED: Final = 256
"""File descriptors for everything that is no connection: database, keys, log, calls to others."""

SPARED_IN: Final = 1.0
"""A connection that has been idle for less is not closed for the sake of another, in seconds: a request may be on its
way."""

UNREADABLE: Final = ("400", "408", "431")
"""The statuses by which the HTTP server itself refuses a request."""

TOLD_IN: Final = 60.0
"""The log says at most once in so many seconds that connections are turned away."""


class Connection(Protocol):
    """What is held."""

    def make_room(self) -> None:
        """Close: nothing is being answered."""


def everybody(_: str) -> str:
    """Counts nobody's connections together."""
    return ""


class Connections:
    """The connections of one worker, and those of them that are idle in the order in which they became so."""

    def __init__(
        self, *, most: int | None = None, most_of_one: int = 0, counted_as: Callable[[str], str] = everybody
    ) -> None:
        """Hold none yet.

        Args:
            most: held at once; None for no bound.
            most_of_one: held at once that are counted together; 0 for no bound.
            counted_as: by the peer's address, what its connections are counted together under; empty for not at all.
        """
        self._most = most
        self._most_of_one = most_of_one
        self._counted_as = counted_as
        self._held: dict[Connection, str] = {}
        self._of_one: dict[str, int] = {}
        self._silent: dict[Connection, float] = {}
        """Those that have asked for nothing yet."""
        self._resting: dict[Connection, float] = {}
        """Those that have been answered and are kept."""
        self._turned_away: set[Connection] = set()
        self._told = 0
        self._told_at = -TOLD_IN
        self.turned_away: dict[str, int] = {"total": 0, "address": 0}
        """How many were not admitted: as there are too many altogether, or of their address."""
        self.unreadable = dict.fromkeys(UNREADABLE, 0)
        """Requests that no application saw, by the status of their refusal."""

    def admit(self, connection: Connection, address: str, *, now: float) -> bool:
        """Whether one more connection is held. An idle one makes room: first one that never asked for anything."""
        one = self._counted_as(address)
        if one and self._most_of_one and self._of_one.get(one, 0) >= self._most_of_one:
            return self._turn_away("address", now)
        if self._most is not None and len(self._held) >= self._most and not self._make_room(now):
            return self._turn_away("total", now)
        self._held[connection] = one
        if one:
            self._of_one[one] = self._of_one.get(one, 0) + 1
        self._silent[connection] = now
        return True

    def may_linger(self, connection: Connection) -> bool:
        """Whether a connection that was not admitted may stay for a moment."""
        if len(self._turned_away) >= TURNED_AWAY:
            return False
        self._turned_away.add(connection)
        return True

    def wake(self, connection: Connection) -> None:
        """A request begins."""
        self._silent.pop(connection, None)
        self._resting.pop(connection, None)

    def rest(self, connection: Connection, *, now: float) -> None:
        """Everything is answered."""
        if connection in self._held:
            self._resting[connection] = now

    def leave(self, connection: Connection) -> None:
        """It is closed; nothing happens where that was known."""
        self.wake(connection)
        self._turned_away.discard(connection)
        one = self._held.pop(connection, "")
        if not one:
            return
        self._of_one[one] -= 1
        if not self._of_one[one]:
            del self._of_one[one]

    def refuse(self, status: int) -> None:
        """Count a request that no application sees."""
        self.unreadable[str(status)] += 1

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def _turn_away(self, reason: Literal["total", "address"], now: float) -> Literal[False]:
        self.turned_away[reason] += 1
        if now - self._told_at >= TOLD_IN:
            told, self._told = self._told, sum(self.turned_away.values())
            self._told_at = now
            LOGGER.warning(
                "connections turned away: %d since this was said last; too many were open %s",
                self._told - told,
                _BOUNDS[reason],
            )
        return False

    def _make_room(self, now: float) -> bool:
        for idle in (self._silent, self._resting):
            connection = next(iter(idle), None)
            if connection is not None and now - idle[connection] >= SPARED_IN:
                self.leave(connection)
                connection.make_room()
                return True
        return False


_BOUNDS: Final = {
    "total": "in this worker (setting max_connections)",
    "address": "from one address (setting max_connections_per_address)",
}


def room(most: int) -> int:
    """For how many of so many connections the system has file descriptors; asks it for more where it lets us."""
    needed = most + TURNED_AWAY + RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(ValueError, OSError):  # some systems have another limit above the one that they tell
            wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        return most
    return max(allowed - TURNED_AWAY - RESERVED, allowed // 2)
