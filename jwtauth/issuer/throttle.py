"""Guessing costs time: wrong secrets are counted per account, in every worker's sight (SECURITY B-10, B-11)."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

from jwtauth.errors import Overloaded, TooManyAttempts
from jwtauth.protocol import throttling
from jwtauth.protocol.throttling import Patience
from jwtauth.store.ports import Attempts, Failures

WAITING: Final = 64
"""Guesses for one account that may wait for each other in one worker; one more is answered 503."""


class _Queue:
    """The guesses for one account in this process."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Throttle:
    """Lets one guess per account be checked at a time, so that a burst cannot slip through together."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._queues: dict[int, _Queue] = {}

    async def guess(
        self,
        account: str,
        check: Callable[[], Awaitable[bool]],
        *,
        address: str = "",
        uid: int | None = None,
        now: int,
    ) -> bool:
        """Whether `check` accepts a secret for an account; a wrong one is counted against account and address.

        An account that nobody has is counted like any other: waiting tells nothing about who exists.

        Raises:
            TooManyAttempts: the account or the address has to wait; nothing was checked. It names `uid`, whose account
                it is, to the operator's log.
            Overloaded: too many guesses for the account wait already.
        """
        if address:
            await self._wait(_bucket(f"address {address}"), throttling.ADDRESS, uid=uid, now=now)
        is_right = await self._guess_for(_bucket(account), check, uid=uid, now=now)
        if address and not is_right:
            await self._count(_bucket(f"address {address}"), throttling.ADDRESS, now=now)
        return is_right

    async def forgive(self, account: str) -> None:
        """Count anew: an operator says that the wrong secrets were the owner's own, or nobody's business."""
        await self._attempts.clear(_bucket(account))

    async def _guess_for(self, bucket: int, check: Callable[[], Awaitable[bool]], *, uid: int | None, now: int) -> bool:
        queue = self._queues.setdefault(bucket, _Queue())
        if queue.waiting >= WAITING:
            raise Overloaded("too many attempts for this account are waiting; try again in a second")
        queue.waiting += 1
        try:
            async with queue.lock:
                return await self._check(bucket, check, uid=uid, now=now)
        finally:
            queue.waiting -= 1
            if queue.waiting == 0:
                self._queues.pop(bucket, None)

    async def _check(self, bucket: int, check: Callable[[], Awaitable[bool]], *, uid: int | None, now: int) -> bool:
        failures = await self._wait(bucket, throttling.ACCOUNT, uid=uid, now=now)
        is_right = await check()
        if is_right and failures.count:
            await self._attempts.clear(bucket)
        if not is_right:
            await self._count(bucket, throttling.ACCOUNT, now=now)
        return is_right

    async def _wait(self, bucket: int, patience: Patience, *, uid: int | None, now: int) -> Failures:
        failures = await self._attempts.failures(bucket)
        wait = throttling.wait_in(failures.count, patience, last_at=failures.last_at, now=now)
        if wait:
            raise TooManyAttempts(f"too many wrong secrets; try again in {wait} s", retry_after_in=wait, uid=uid)
        return failures

    async def _count(self, bucket: int, patience: Patience, *, now: int) -> None:
        await self._attempts.record_failure(bucket, now=now, forget_before=now - patience.forget_in)


def of_user(username: str) -> str:
    """The account of whoever signs in by this name, whether or not anybody has it."""
    return f"user {username}"


def _bucket(account: str) -> int:
    return int.from_bytes(sha256(account.encode()).digest()[:8], "big") % throttling.BUCKETS
