"""When keys are fetched: at first use, in the background once they expire, and for an unknown kid once a minute.

Where status lists are polled the keys are fetched with them: an emergency rotation is seen as soon as a revocation.
However many threads and coroutines wait, one fetch is under way. It runs in a thread of its own, so that whoever
holds usable keys never waits and no event loop is blocked.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Lock, Thread
from typing import Final

from msgspec import Struct

from jwtauth.errors import InvalidToken
from jwtauth.keyring.jws import VerifyingKey
from jwtauth.verifier import fetch
from jwtauth.verifier.flight import Flight
from jwtauth.verifier.unavailable import RETRY_IN, KeysUnavailable

UNKNOWN_KID_IN: Final = 60
"""An unknown kid makes us fetch at most once in so many seconds: a flood of them costs the issuer nothing."""

_LOGGER: Final = logging.getLogger(__name__)


class KeySet(Struct, frozen=True, kw_only=True):
    """Keys and, by the monotonic clock, when they were asked for and until when they are fresh and may be used."""

    keys: dict[str, VerifyingKey]
    asked_at: float
    fresh_until: float
    stale_until: float

    def key(self, kid: str) -> VerifyingKey:
        """The key of that name.

        Raises:
            InvalidToken: none is published.
        """
        key = self.keys.get(kid)
        if key is None:
            raise InvalidToken("the token was not signed by a published key of the issuer")
        return key


class KeyCache:
    """The keys of one issuer; safe to be used by many threads and event loops at once."""

    def __init__(self, issuer: str, *, jwks_uri: str | None, stale_for: float, monotonic: Callable[[], float]) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            issuer: whose keys they are.
            jwks_uri: where they are, if that shall not be asked.
            stale_for: for how long expired keys are used while others cannot be had, in seconds; may be infinite.
            monotonic: the clock by which keys age.
        """
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._stale_for = stale_for
        self._monotonic = monotonic
        self._lock = Lock()
        self._held = KeySet(keys={}, asked_at=-inf, fresh_until=-inf, stale_until=-inf)
        self._flight: Flight[KeySet] | None = None
        self._problem: KeysUnavailable | None = None
        self._retry_at = -inf
        self._unknown_kid_at = -inf

    def find(self, kid: str) -> VerifyingKey | Flight[KeySet]:
        """The key of that name, or the fetch that may bring it.

        Raises:
            InvalidToken: it is not published, as far as we may ask.
            KeysUnavailable: there are no usable keys, and fetching them has just failed.
        """
        now = self._monotonic()
        held = self._held
        key = held.keys.get(kid)
        if key is not None and now < held.fresh_until:
            return key
        with self._lock:
            return self._find_slowly(kid, now)

    async def refresh(self, *, older_than: float) -> None:
        """Fetch the keys if they are older than so many seconds, unless that has just failed; end when it is done."""
        with self._lock:
            now = self._monotonic()
            flight = self._refresh(now) if now >= self._held.asked_at + older_than else None
        if flight is not None:
            with suppress(KeysUnavailable):  # the log has it, and who needs the keys will hear it
                await flight.arrival()

    def has(self, kid: str) -> bool:
        """Whether a key of that name was published when we last looked."""
        return kid in self._held.keys

    def _find_slowly(self, kid: str, now: float) -> VerifyingKey | Flight[KeySet]:
        held = self._held
        if now < held.fresh_until:
            return held.keys.get(kid) or self._fetch_for_unknown(now)
        flight = self._refresh(now)
        key = held.keys.get(kid)
        if key is not None and now < held.stale_until:
            return key
        if flight is None:
            raise self._unavailable()
        return flight

    def _fetch_for_unknown(self, now: float) -> Flight[KeySet]:
        """The fetch that may bring a kid that fresh keys do not have."""
        flight = self._under_way(now)
        if flight is not None:
            return flight
        if now >= self._unknown_kid_at:
            self._unknown_kid_at = now + UNKNOWN_KID_IN
            return self._start(now)
        if self._problem is not None:
            raise self._unavailable()
        raise InvalidToken("the token was not signed by a published key of the issuer")

    def _refresh(self, now: float) -> Flight[KeySet] | None:
        """The fetch that is under way or starts now, or None where one has just failed."""
        flight = self._under_way(now)
        if flight is not None or now < self._retry_at:
            return flight
        return self._start(now)

    def _under_way(self, now: float) -> Flight[KeySet] | None:
        flight = self._flight
        return None if flight is None or flight.is_lost(now) else flight

    def _start(self, now: float) -> Flight[KeySet]:
        flight = Flight[KeySet](started_at=now, failure=KeysUnavailable)
        Thread(target=self._fly, args=(flight,), name="jwtauth-keys", daemon=True).start()
        self._flight = flight
        return flight

    def _fly(self, flight: Flight[KeySet]) -> None:
        outcome: KeySet | KeysUnavailable = KeysUnavailable("fetching the issuer's keys broke off")
        try:
            outcome = self._fetch(started_at=flight.started_at)
        except KeysUnavailable as problem:
            _LOGGER.warning("%s", problem)
            outcome = problem
        finally:
            self._land(flight, outcome)

    def _fetch(self, *, started_at: float) -> KeySet:
        published = asyncio.run(fetch.published_keys(self._issuer, jwks_uri=self._jwks_uri))
        fresh_until = started_at + published.lifetime_in
        return KeySet(
            keys={kid: self._kept(kid, key) for kid, key in published.keys.items()},
            asked_at=started_at,
            fresh_until=fresh_until,
            stale_until=fresh_until + self._stale_for,
        )

    def _kept(self, kid: str, fetched: VerifyingKey) -> VerifyingKey:
        """The key that is held where the same was fetched: tokens that it has proven stay proven."""
        held = self._held.keys.get(kid)
        return held if held is not None and held.is_same_as(fetched) else fetched

    def _land(self, flight: Flight[KeySet], outcome: KeySet | KeysUnavailable) -> None:
        with self._lock:
            if self._flight is flight:
                self._flight = None
                self._accept(outcome)
        flight.land(outcome)

    def _accept(self, outcome: KeySet | KeysUnavailable) -> None:
        match outcome:
            case KeySet():
                self._held, self._problem = outcome, None
            case KeysUnavailable():
                self._problem, self._retry_at = outcome, self._monotonic() + RETRY_IN

    def _unavailable(self) -> KeysUnavailable:
        """A fresh exception for each caller: one object raised in many threads would mix up their tracebacks."""
        return KeysUnavailable(str(self._problem))
