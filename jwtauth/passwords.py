"""Slow hashes of what humans choose: argon2id in a bounded pool of threads (RFC 9106). argon2's only door."""

import asyncio
import hmac
import os
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jwtauth.errors import Overloaded

T = TypeVar("T")

REMEMBERED: Final = 10_000
"""Verified client secrets held in memory, as keyed digests; at the bound the one remembered first is forgotten."""


class Passwords:
    """Hashes and verifies, a few at once; a flood is refused instead of queued without end."""

    def __init__(self, *, memory: int, passes: int, threads: int, queue: int) -> None:
        """Start the pool.

        Args:
            memory: of one hash, in KiB.
            passes: over that memory.
            threads: hashes computed at once.
            queue: hashes that may wait.
        """
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=1)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="jwtauth-argon2")
        self._room = threads + queue
        self._dummy = _unmatchable(memory=memory, passes=passes)
        self._key = os.urandom(32)
        self._verified: dict[bytes, None] = {}

    def hash(self, password: str) -> str:
        """The hash to store; takes tens of milliseconds in the calling thread."""
        return self._hasher.hash(_normalised(password))

    async def hash_in_pool(self, password: str) -> str:
        """The hash to store, computed in the pool.

        Raises:
            Overloaded: too many hashes wait already.
        """
        return await self._queued(self.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the stored one; an account without a hash costs the same time and never matches.

        Raises:
            Overloaded: too many hashes wait already.
        """
        return await self._queued(self._verify, stored, password)

    def remembers(self, owner: str, stored: Sequence[str], presented: Sequence[str]) -> bool:
        """Whether one of the presented client secrets was verified before.

        The memory is keyed by a random key of this process, the owner, the stored hash and the secret: a changed hash
        or another secret is never found in it.
        """
        return any(self._note(owner, hashed, secret) in self._verified for hashed in stored for secret in presented)

    async def verify_secret(self, owner: str, stored: Sequence[str], presented: Sequence[str]) -> bool:
        """Whether one of the presented client secrets is one of the stored; a success is remembered.

        Raises:
            Overloaded: too many hashes wait already.
        """
        for hashed, secret in product(stored, presented):
            if await self._queued(self._verify, hashed, secret):
                if len(self._verified) >= REMEMBERED:
                    del self._verified[next(iter(self._verified))]
                self._verified[self._note(owner, hashed, secret)] = None
                return True
        return False

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _queued(self, work: Callable[..., T], *arguments: str | None) -> T:
        if self._room <= 0:
            raise Overloaded("too many passwords are being checked; try again in a second")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._room += 1

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(stored or self._dummy, _normalised(password)) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    def _note(self, owner: str, stored: str, secret: str) -> bytes:
        parts = b"\x00".join(part.encode() for part in (owner, stored, secret))
        return hmac.digest(self._key, parts, "sha256")


def _normalised(password: str) -> str:
    """The same password however a keyboard composed its letters (NIST SP 800-63B section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _unmatchable(*, memory: int, passes: int) -> str:
    """A well-formed argon2id hash of nothing: checking a password against it costs what any check costs, and fails."""
    salt, tag = (b64encode(os.urandom(size)).decode("ascii").rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory},t={passes},p=1${salt}${tag}"
