"""Requests that arrived in one turn of the event loop are answered together at its end."""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any, Protocol

from jwtauth.issuer.together import Together, Work
from jwtauth.observe.log import LOGGER


class Asked(Protocol):
    """A request that has arrived as a whole."""

    def step(self) -> Work[Any] | None:
        """Go on with its answer: the heavy work that it waits for, or None where nobody has to come back to it."""

    def deliver(self) -> None:
        """Send its answer, if it has one by now."""


class Turn:
    """The requests of one worker that wait for the end of this turn.

    Each could be answered as soon as it is read; but they share one look at what other processes have committed, which
    is right only where all had arrived before the first of them looked (`Issuer.begin`). And work that is done for many
    in a row is done faster.
    """

    def __init__(self, together: Together, look_again: Callable[[], None]) -> None:
        """Answer nothing yet.

        Args:
            together: what does the heavy work.
            look_again: makes the first story that is begun look afresh (`Issuer.look_again`).
        """
        self._together = together
        self._look_again = look_again
        self._waiting: list[Asked] = []

    def take(self, asked: Asked, loop: AbstractEventLoop) -> None:
        """Answer at the end of this turn."""
        if not self._waiting:
            loop.call_soon(self._answer)
        self._waiting.append(asked)

    def _answer(self) -> None:
        """Take all of them one step further, do what they wait for, and so on.

        A story that came back may have asked for this turn before somebody else looked, and a request may have arrived
        after that look.
        """
        waiting, self._waiting = self._waiting, []
        self._look_again()
        while waiting:
            self._together.is_collecting = True
            works = [_step(asked) for asked in waiting]
            self._together.is_collecting = False
            further: list[tuple[Asked, Work[Any]]] = []
            for asked, work in zip(waiting, works, strict=True):
                if work is None:
                    _deliver(asked)  # what is ready does not wait for the others' work
                else:
                    further.append((asked, work))
            for _, work in further:
                work.do()
            waiting = [asked for asked, _ in further]


def _step(asked: Asked) -> Work[Any] | None:
    try:
        return asked.step()
    except Exception:  # a defect, which must not cost all others their answers
        LOGGER.exception("a request could not be answered")
        return None


def _deliver(asked: Asked) -> None:
    try:
        asked.deliver()
    except Exception:
        LOGGER.exception("an answer could not be sent")
