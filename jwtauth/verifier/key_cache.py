"""When keys are fetched: at first use, in the background once they expire, and for an unknown kid once a minute.

However many threads and coroutines wait, one fetch is under way. It runs in a thread of its own, so that whoever
holds usable keys never waits and no event loop is blocked.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Final

from msgspec import Struct

from jwtauth.errors import InvalidToken
from jwtauth.keyring.jws import VerifyingKey
from jwtauth.verifier import fetch
from jwtauth.verifier.fetch import KeysUnavailable

UNKNOWN_KID_IN: Final = 60
"""An unknown kid makes us fetch at most once in so many seconds: a flood of them costs the issuer nothing."""

FLIGHT_IN: Final = 2 * fetch.TIMEOUT_IN + 2
"""After so many seconds nobody waits for a fetch any more, and another may start: its thread was lost in a fork."""

_LOGGER: Final = logging.getLogger(__name__)


class KeySet(Struct, frozen=True, kw_only=True):
    """Keys with the instants, by the monotonic clock, until which they are fresh and until which they may be used."""

    keys: dict[str, VerifyingKey]
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


class Flight:
    """One fetch under way; whoever needs it waits here."""

    def __init__(self, *, started_at: float) -> None:
        self.started_at = started_at
        self._outcome: Future[KeySet | KeysUnavailable] = Future()
        self._outcome.set_running_or_notify_cancel()  # a coroutine that gives up waiting cannot cancel it for others

    def land(self, outcome: KeySet | KeysUnavailable) -> None:
        """Tell everybody who waits."""
        self._outcome.set_result(outcome)

    def wait(self) -> KeySet:
        """The keys, once they are there.

        Raises:
            KeysUnavailable: they cannot be had.
        """
        try:
            return _unpack(self._outcome.result(FLIGHT_IN))
        except TimeoutError:
            raise KeysUnavailable("the issuer's keys did not arrive in time") from None

    async def arrival(self) -> KeySet:
        """The keys, once they are there; the event loop goes on meanwhile.

        Raises:
            KeysUnavailable: they cannot be had.
        """
        try:
            return _unpack(await asyncio.wait_for(asyncio.wrap_future(self._outcome), FLIGHT_IN))
        except TimeoutError:
            raise KeysUnavailable("the issuer's keys did not arrive in time") from None


class KeyCache:
    """The keys of one issuer; safe to be used by many threads and event loops at once."""

    def __init__(self, issuer: str, *, jwks_uri: str | None, stale_for: float, monotonic: Callable[[], float]) -> None:
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._stale_for = stale_for
        self._monotonic = monotonic
        self._lock = Lock()
        self._held = KeySet(keys={}, fresh_until=float("-inf"), stale_until=float("-inf"))
        self._flight: Flight | None = None
        self._problem: KeysUnavailable | None = None
        self._retry_at = float("-inf")
        self._unknown_kid_at = float("-inf")

    def find(self, kid: str) -> VerifyingKey | Flight:
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

    def _find_slowly(self, kid: str, now: float) -> VerifyingKey | Flight:
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

    def _fetch_for_unknown(self, now: float) -> Flight:
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

    def _refresh(self, now: float) -> Flight | None:
        """The fetch that is under way or starts now, or None where one has just failed."""
        flight = self._under_way(now)
        if flight is not None or now < self._retry_at:
            return flight
        return self._start(now)

    def _under_way(self, now: float) -> Flight | None:
        flight = self._flight
        return flight if flight is not None and now < flight.started_at + FLIGHT_IN else None

    def _start(self, now: float) -> Flight:
        flight = Flight(started_at=now)
        Thread(target=self._fly, args=(flight,), name="jwtauth-keys", daemon=True).start()
        self._flight = flight
        return flight

    def _fly(self, flight: Flight) -> None:
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
        return KeySet(keys=published.keys, fresh_until=fresh_until, stale_until=fresh_until + self._stale_for)

    def _land(self, flight: Flight, outcome: KeySet | KeysUnavailable) -> None:
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
                self._problem, self._retry_at = outcome, self._monotonic() + fetch.RETRY_IN

    def _unavailable(self) -> KeysUnavailable:
        """A fresh exception for each caller: one object raised in many threads would mix up their tracebacks."""
        return KeysUnavailable(str(self._problem))


def _unpack(outcome: KeySet | KeysUnavailable) -> KeySet:
    if isinstance(outcome, KeysUnavailable):
        raise KeysUnavailable(str(outcome))
    return outcome
