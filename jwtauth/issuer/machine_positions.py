"""Status positions of machine tokens, taken from blocks so that a token costs no write."""

import asyncio
from typing import Final

from jwtauth.bounded import Bounded
from jwtauth.protocol.records import Client
from jwtauth.store.ports import Positions

FIRST_SIZE: Final = 64
LARGEST_SIZE: Final = 65_536
USE_IN: Final = 3_600
"""A block is used for so many seconds at most."""
REMEMBERED: Final = 10_000
"""Clients whose block is held in memory; what is forgotten is never used again."""


class _Run:
    """A client's block in this process: committed before its first use, private to the process."""

    __slots__ = ("end", "epoch", "next", "size", "use_until")

    def __init__(self, epoch: int, position: int, size: int, use_until: int) -> None:
        self.epoch = epoch
        self.next = position
        self.end = position + size
        self.size = size
        self.use_until = use_until


class MachinePositions:
    """Hands out each position once; asks the store for a block when a client has none left."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._runs: Bounded[int, _Run] = Bounded(REMEMBERED)
        self._locks: dict[int, asyncio.Lock] = {}

    async def take(self, client: Client, *, now: int) -> int | None:
        """A position of this client's own, or None where the client changed since it was read."""
        position = self._from_run(client, now=now)
        if position is not None:
            return position
        async with self._locks.setdefault(client.id, asyncio.Lock()):
            position = self._from_run(client, now=now)
            if position is None:
                position = await self._from_new_block(client, now=now)
        self._locks.pop(client.id, None)
        return position

    def _from_run(self, client: Client, *, now: int) -> int | None:
        run = self._runs.get(client.id)
        if run is None or run.epoch != client.epoch or run.next >= run.end or now >= run.use_until:
            return None
        run.next += 1
        return run.next - 1

    async def _from_new_block(self, client: Client, *, now: int) -> int | None:
        used_up = self._runs.get(client.id)
        is_full = used_up is not None and used_up.next >= used_up.end
        size = min(used_up.size * 2, LARGEST_SIZE) if used_up is not None and is_full else FIRST_SIZE
        block = await self._positions.take_block(client, size=size, use_until=now + USE_IN, now=now)
        if block is None:
            return None
        self._runs.learn(client.id, _Run(client.epoch, block.position, block.size, block.use_until))
        return self._from_run(client, now=now)
