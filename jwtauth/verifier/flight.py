"""One fetch under way; whoever needs what it brings waits for it, in a thread or in a coroutine."""

import asyncio
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

from jwtauth.verifier import fetch
from jwtauth.verifier.unavailable import Unavailable

FLIGHT_IN: Final = 2 * fetch.TIMEOUT_IN + 2
"""After so many seconds nobody waits for a fetch any more, and another may start: its thread was lost in a fork."""

Cargo = TypeVar("Cargo")


class Flight(Generic[Cargo]):
    """A fetch that was asked for and has not ended."""

    def __init__(self, *, started_at: float, failure: type[Unavailable]) -> None:
        self.started_at = started_at
        self._failure = failure
        self._outcome: Future[Cargo | Unavailable] = Future()
        self._outcome.set_running_or_notify_cancel()  # a coroutine that gives up waiting cannot cancel it for others

    def is_lost(self, now: float) -> bool:
        """Whether it should have ended long ago."""
        return now >= self.started_at + FLIGHT_IN

    def land(self, outcome: Cargo | Unavailable) -> None:
        """Tell everybody who waits."""
        self._outcome.set_result(outcome)

    def wait(self) -> Cargo:
        """What it brought, once it is there.

        Raises:
            Unavailable: it cannot be had.
        """
        try:
            return _unpack(self._outcome.result(FLIGHT_IN))
        except TimeoutError:
            raise self._failure("what was asked of the issuer did not arrive in time") from None

    async def arrival(self) -> Cargo:
        """What it brought, once it is there; the event loop goes on meanwhile.

        Raises:
            Unavailable: it cannot be had.
        """
        try:
            return _unpack(await asyncio.wait_for(asyncio.wrap_future(self._outcome), FLIGHT_IN))
        except TimeoutError:
            raise self._failure("what was asked of the issuer did not arrive in time") from None


def _unpack(outcome: Cargo | Unavailable) -> Cargo:
    """What arrived. Of a failure a fresh one for each: one object raised in many threads mixes up their tracebacks."""
    if isinstance(outcome, Unavailable):
        raise type(outcome)(str(outcome))
    return outcome
