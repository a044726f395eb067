"""Letting only so many refusals through: a stranger can cause as many as they like (SECURITY D-06)."""

from collections.abc import Sequence
from typing import Final

from jwtauth.observe.events import REFUSED, Event, Listener

PER_SECOND: Final = 50
"""Refusals of one second that one worker tells one by one; of the others it tells how many there were."""

LATE_IN: Final = 60
"""A refusal tells the second in which its request came; one of longer ago says that the clock was set back."""

LEFT_OUT: Final = "refusals.left_out"


class Sieve:
    """The listener that passes events on to others, but no flood."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._second = 0
        self._passed = 0
        self._left_out = 0

    def hear(self, event: Event) -> None:
        """Pass on what is no refusal, and the first refusals of each second."""
        if event.at > self._second or event.at < self._second - LATE_IN:
            self.flush()
            self._second, self._passed = event.at, 0
        if event.name.endswith(REFUSED):
            if self._passed >= PER_SECOND:
                self._left_out += 1
                return
            self._passed += 1
        self._tell(event)

    def flush(self) -> None:
        """Tell how many refusals of the last busy second were left out, if any were."""
        if self._left_out:
            told = f"{self._left_out} more refusals in the second of {self._second}"
            self._left_out = 0
            self._tell(Event(name=LEFT_OUT, at=self._second, reason=told))

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
