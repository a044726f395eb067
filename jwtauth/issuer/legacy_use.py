"""Counting who still uses legacy doors, in memory, and adding it to what the store knows every few seconds.

A request is never slower for being counted. What a worker counted since its last flush is lost where it is killed with
no chance to finish (`kill -9`, power), so the numbers are at least what they say; an orderly stop loses nothing.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from jwtauth.observe.log import LOGGER
from jwtauth.protocol.records import Client
from jwtauth.store.ports import LegacyUses

FLUSH_IN: Final = 2
"""How often a worker adds what it counted to the store, in seconds: what a killed worker loses at most."""

REMEMBERED: Final = 4_096
"""Pairs of client and door that are counted between two flushes; half of it already brings the next flush forward."""


class LegacyUse:
    """Uses of legacy doors since the last flush, by client and door."""

    def __init__(self, uses: LegacyUses) -> None:
        self._uses = uses
        self._counted: dict[tuple[int, str], int] = {}
        self._dropped = 0
        self._is_filling = asyncio.Event()
        self._flushing = asyncio.Lock()

    def count(self, client: Client, door: str) -> None:
        """Count one use. `door` is one of `jwtauth.protocol.legacy`, never text that a stranger sent."""
        self._add((client.id, door), 1)

    async def flush(self, *, now: int) -> None:
        """Add what was counted to the store; where that fails, it is kept for the next time.

        One flush at a time: the one that comes second finds what the first could not write.

        Raises:
            Overloaded: the database could not be written.
        """
        async with self._flushing:
            counted, self._counted = self._counted, {}
            self._is_filling.clear()
            self._report_dropped()
            if not counted:
                return
            try:
                await self._uses.add(counted, now=now)
            except Exception:  # nothing of it was written
                for key, uses in counted.items():
                    self._add(key, uses)
                self._is_filling.clear()  # however much it is: the next attempt is not due at once
                raise

    async def run(self, now: Callable[[], int]) -> None:
        """The loop of one worker: flush every FLUSH_IN seconds until cancelled, then once more."""
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(FLUSH_IN):
                        await self._is_filling.wait()
                # Broken off in the middle of a write nobody could tell whether it counted, so it goes on to its end.
                await asyncio.shield(self._try_to_flush(now))
        finally:
            await self._try_to_flush(now)

    async def _try_to_flush(self, now: Callable[[], int]) -> None:
        try:
            await self.flush(now=now())
        except Exception as problem:
            LOGGER.error("uses of legacy doors could not be stored and are kept: %s", problem)

    def _add(self, key: tuple[int, str], uses: int) -> None:
        known = self._counted.get(key)
        if known is not None:
            self._counted[key] = known + uses
        elif len(self._counted) < REMEMBERED:
            self._counted[key] = uses
            if len(self._counted) == REMEMBERED // 2:
                self._is_filling.set()
        else:
            self._dropped += uses

    def _report_dropped(self) -> None:
        if self._dropped:
            LOGGER.warning("%d uses of legacy doors were not counted: too many clients at once", self._dropped)
            self._dropped = 0
