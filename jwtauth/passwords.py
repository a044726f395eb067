"""Slow hashes of what humans choose: argon2id in a bounded pool of threads (RFC 9106). argon2's only door.

Hashes that other systems made are verified too, until the next sign-in replaces them (`jwtauth.legacy_hashes`).
"""

import asyncio
import hmac
import importlib
import logging
import os
import re
import sys
import threading
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from typing import Any, Final, TypeVar

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Struct

from jwtauth.bounded import Bounded
from jwtauth.errors import ConfigurationError, Overloaded

T = TypeVar("T")

REMEMBERED: Final = 10_000
"""Verified client secrets held in memory, as keyed digests; at the bound those remembered first are forgotten."""

NICE: Final = 10
"""By so much the threads that hash are nicer to others than the rest of the process, on Linux."""

MAX_ARGON2_MEMORY: Final = 256 * 1024
"""Of one hash made elsewhere, in KiB; every attempt at it needs so much."""

MAX_ARGON2_WORK: Final = 4 * MAX_ARGON2_MEMORY
"""Memory times passes over it."""

MAX_ARGON2_LANES: Final = 16

_LOGGER: Final = logging.getLogger("jwtauth")
_ARGON2 = "$argon2"
_ARGON2_FORM: Final = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=[1-9][0-9]{0,8},t=[1-9][0-9]{0,8},p=[1-9][0-9]{0,2}"
    r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,128})",
    re.ASCII,
)
_ARGON2_LENGTHS: Final = range(12, 97, 4)
"""Of digests, in bytes; nobody asks for another, but a hash that was cut off mostly has one."""
_SPRING_ARGON2 = ("{argon2}", "{argon2@SpringSecurity_v5_8}")
_PLAIN = "{noop}"


class MissingExtra(ConfigurationError):
    """The packages that verify hashes of other systems are not installed."""


class Taken(Struct, frozen=True):
    """A hash or a password that comes from elsewhere, checked and ready for `Passwords.settle`."""

    stored: str
    """What is stored of it, in front of the argon2id hash where there is to be one."""
    hashed: str = ""
    """What argon2id has to be put over first: a plain password, or the digest of another hash. A secret."""


def take(text: str) -> Taken:
    """A hash that another system made, if it can be verified here; or what it marked as plain.

    Raises:
        ConfigurationError: its form is not known, or each attempt at it would cost too much.
        MissingExtra: nothing can be said of it.
    """
    if text.startswith(_PLAIN):
        return take_plain(text.removeprefix(_PLAIN))
    for mark in _SPRING_ARGON2:
        text = text.removeprefix(mark)
    if text.startswith(_ARGON2):
        return _take_argon2(text)
    return Taken(*_legacy_hashes().take(text))


def take_plain(password: str) -> Taken:
    """A plain password, to be hashed.

    Raises:
        ConfigurationError: it is empty.
    """
    if not password:
        raise ConfigurationError("is empty")
    return Taken("", _normalised(password))


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
        self._pool = ThreadPoolExecutor(
            max_workers=threads, thread_name_prefix="jwtauth-argon2", initializer=_let_others_go_first
        )
        self._threads = threads
        self._most = threads + queue
        self._room = self._most
        self.refused = 0
        """Hashes that were not computed, as too many waited."""
        self._dummy = _unmatchable(memory=memory, passes=passes)
        self._key = os.urandom(32)
        self._verified: Bounded[bytes, None] = Bounded(REMEMBERED)

    @property
    def in_progress(self) -> int:
        """Hashes that are being computed."""
        return min(self._most - self._room, self._threads)

    @property
    def waiting(self) -> int:
        """Hashes that wait for a thread."""
        return self._most - self._room - self.in_progress

    def hash(self, password: str) -> str:
        """The hash to store; takes tens of milliseconds in the calling thread."""
        return self._hasher.hash(_normalised(password))

    def settle(self, taken: Taken) -> str:
        """What to store of a hash or a password from elsewhere; tens of milliseconds where something is hashed."""
        return taken.stored + self._hasher.hash(taken.hashed) if taken.hashed else taken.stored

    def is_outdated(self, stored: str) -> bool:
        """Whether the next right password should be hashed anew: another system's hash, or another cost than ours."""
        return not stored.startswith("$argon2id$") or self._hasher.check_needs_rehash(stored)

    async def settle_in_pool(self, taken: Taken) -> str:
        """`settle`, computed in the pool.

        Raises:
            Overloaded: too many hashes wait already.
        """
        return await self._queued(self.settle, taken)

    async def hash_in_pool(self, password: str) -> str:
        """The hash to store, computed in the pool.

        Raises:
            Overloaded: too many hashes wait already.
        """
        return await self._queued(self.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the stored one; an account without a hash costs the same time and never matches.

        A hash of another system costs what that system made it cost. So until its owner has signed in once, the time of
        an answer may tell that there is an account and which system it came from, as it did over there.

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
                self._verified.learn(self._note(owner, hashed, secret), None)
                return True
        return False

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _queued(self, work: Callable[..., T], *arguments: object) -> T:
        if self._room <= 0:
            self.refused += 1
            raise Overloaded("too many passwords are being checked; try again in a second")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._room += 1

    def _verify(self, stored: str | None, password: str) -> bool:
        """Each form of the password that may have been hashed is tried: ours is normalised, that of others was not."""
        forms = dict.fromkeys((_normalised(password), password))
        if stored is None or stored.startswith(_ARGON2):
            return any(self._is(stored or self._dummy, form) for form in forms) and stored is not None
        return any(self._is_legacy(stored, form) for form in reversed(forms))

    def _is(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeError):
            return False

    def _is_legacy(self, stored: str, password: str) -> bool:
        """The same for another system's hash; one that cannot be verified costs what any check costs, and fails."""
        try:
            covered = _legacy_hashes().uncover(stored, password)
        except MissingExtra as problem:
            _LOGGER.error("a password was refused because its hash came from another system: %s", problem)
            covered = None
        return self._is(*(covered or (self._dummy, password)))

    def _note(self, owner: str, stored: str, secret: str) -> bytes:
        parts = b"\x00".join(part.encode() for part in (owner, stored, secret))
        return hmac.digest(self._key, parts, "sha256")


def _let_others_go_first() -> None:
    """Lower this thread's priority where the system has one for each thread (docs/limits.md has the figures).

    On equal terms two threads that hash take two thirds of a core from the one thread that answers everything else.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # some sandboxes know no priorities
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + NICE)


def _take_argon2(text: str) -> Taken:
    """A hash in the format of the password hashing competition, whoever made it."""
    found = _ARGON2_FORM.fullmatch(text)
    if found is None or not _decoded(found[1]) or len(_decoded(found[2])) not in _ARGON2_LENGTHS:
        raise ConfigurationError("the argon2 hash is damaged; was it cut off?")
    costs = extract_parameters(text)
    if costs.memory_cost < 8 * costs.parallelism:
        raise ConfigurationError("the argon2 hash names less memory than there can be (RFC 9106 section 3.1)")
    is_too_much = costs.memory_cost > MAX_ARGON2_MEMORY or costs.memory_cost * costs.time_cost > MAX_ARGON2_WORK
    if is_too_much or costs.parallelism > MAX_ARGON2_LANES:
        raise ConfigurationError("the argon2 hash costs too much; every attempt at it would stop the service")
    return Taken(text)


def _decoded(text: str) -> bytes:
    """The bytes of base64 without padding; none where something is left over, as behind a cut."""
    try:
        decoded = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""
    return decoded if b64encode(decoded).decode().rstrip("=") == text else b""


def _legacy_hashes() -> Any:
    """The module that knows other systems' hashes, loaded when the first one is met.

    Raises:
        MissingExtra: bcrypt is not installed.
    """
    try:
        return importlib.import_module("jwtauth.legacy_hashes")
    except ImportError:
        raise MissingExtra(
            "hashes of other systems need one more package; run: pip install 'jwtauth[legacy]'"
        ) from None


def _normalised(password: str) -> str:
    """The same password however a keyboard composed its letters (NIST SP 800-63B section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _unmatchable(*, memory: int, passes: int) -> str:
    """A well-formed argon2id hash of nothing: checking a password against it costs what any check costs, and fails."""
    salt, tag = (b64encode(os.urandom(size)).decode("ascii").rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory},t={passes},p=1${salt}${tag}"
