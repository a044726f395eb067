"""Which status lists are held, when each is due, and what a token may do meanwhile (draft-ietf-oauth-status-list-21).

A list is held because a token named it, and asked for again `ttl` seconds after it was last asked for. Nobody who finds
a usable list waits. This module knows the instants; `jwtauth.verifier.poller` does the fetching.
"""

from collections.abc import Callable
from math import inf
from threading import Lock
from typing import Final

from msgspec import Struct

from jwtauth.protocol import status_list
from jwtauth.verifier.flight import Flight
from jwtauth.verifier.lists import HeldList, Listed
from jwtauth.verifier.unavailable import RETRY_IN, StatusUnavailable

MAX_LISTS: Final = 128
"""Lists held at once, 128 KiB and a million tokens each; at the bound the one that was named longest ago goes."""

IDLE_IN: Final = 3600
"""A list that no token has named for `stale_for` and so many seconds is let go."""

PUSH_IN: Final = 0.5
"""However often the issuer announces a change, a list is fetched at most once in so many seconds."""


class Order(Struct, frozen=True, kw_only=True):
    """A list that is to be fetched now, the present one if there is one, and who waits for it."""

    uri: str
    held: Listed | None
    ttl: int
    flight: Flight[Listed | None]


Found = Listed | Flight[Listed | None] | None


class _Entry:
    """What is known about one list; changed under the cache's lock alone, but for `named_at`."""

    def __init__(self, now: float) -> None:
        self.named_at = now
        self.poll_at = now
        self.asked_at = -inf
        self.usable_until = -inf
        self.listed: Listed | None = None
        self.flight: Flight[Listed | None] | None = None
        self.is_ordered = False
        self.is_announced = False
        self.problem = "the token's status list was not fetched"


class StatusCache:
    """The lists of one issuer; safe to be used by many threads and event loops at once."""

    def __init__(
        self, *, stale_for: float, is_open: bool, monotonic: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            stale_for: for how long a list is used after it was due while the issuer cannot be asked, in seconds.
            is_open: whether lists are used for ever in that case, and tokens pass whose list was never there.
            monotonic: the clock by which lists age.
            wake: told when a list is due; called without any lock held.
        """
        self.ttl = status_list.TTL
        """Seconds between two polls, as the list that came last says."""
        self._stale_for = inf if is_open else stale_for
        self._is_open = is_open
        self._monotonic = monotonic
        self._wake = wake
        self._lock = Lock()
        self._entries: dict[str, _Entry] = {}
        self._is_ended = False

    def ready(self, uri: str) -> Listed | None:
        """The list, if it is held and not due: the way of nearly every token, which costs no lock."""
        entry = self._entries.get(uri)
        if entry is None:
            return None
        now = self._monotonic()
        if now >= entry.poll_at or now >= entry.usable_until:
            return None
        entry.named_at = now
        return entry.listed

    def find(self, uri: str, *, is_young: bool) -> Found:
        """The list, the fetch that brings it, or None where the token passes unasked.

        A token that is younger than `ttl` passes while its list is on its way: it is seen no later than others are.

        Raises:
            StatusUnavailable: there is no usable list, and fetching it has just failed.
        """
        with self._lock:
            found, is_due = self._find_slowly(uri, self._monotonic(), is_young=is_young)
        if is_due:
            self._wake()
        return found

    def orders(self) -> list[Order]:
        """What is to be fetched now; whoever takes an order must `land` it. Lists that nobody named for long go."""
        with self._lock:
            if self._is_ended:
                return []
            now = self._monotonic()
            idle_in = self._stale_for + IDLE_IN
            self._entries = {uri: entry for uri, entry in self._entries.items() if now < entry.named_at + idle_in}
            return [self._order(uri, entry, now) for uri, entry in self._entries.items() if _is_due(entry, now)]

    def land(self, order: Order, outcome: Listed | StatusUnavailable, *, asked_at: float, last_for: float) -> None:
        """Take what an order brought, asked for at `asked_at`, to be asked for again `last_for` seconds after that."""
        with self._lock:
            entry = self._entries.get(order.uri)
            if entry is not None and entry.flight is order.flight:
                entry.flight, entry.is_ordered = None, False
                if isinstance(outcome, StatusUnavailable):
                    self._postpone(entry, outcome, order.ttl)
                else:
                    self._keep(entry, outcome, asked_at=asked_at, last_for=last_for)
        self._tell(order.flight, outcome)

    def announce(self, uri: str | None) -> None:
        """A list has changed, or None: any may have. It is due, and once more if it is being fetched already."""
        with self._lock:
            for named, entry in self._entries.items():
                if uri is None or named == uri:
                    _hasten(entry)

    def end(self) -> None:
        """Order nothing any more, and tell those who wait for what was not ordered yet."""
        with self._lock:
            self._is_ended = True
            waiting = [entry for entry in self._entries.values() if entry.flight is not None and not entry.is_ordered]
            flights = [entry.flight for entry in waiting if entry.flight is not None]
            for entry in waiting:
                entry.flight = None
        for flight in flights:
            self._tell(flight, StatusUnavailable("the verifier was closed"))

    def next_in(self) -> float | None:
        """In how many seconds a list is due, or None where none is held."""
        with self._lock:
            now = self._monotonic()
            return min((max(0.0, _next_at(entry) - now) for entry in self._entries.values()), default=None)

    def lag(self) -> float:
        """How old, in seconds, a revocation may be at most that is seen only when the next polls succeed."""
        with self._lock:
            now = self._monotonic()
            return max([float(self.ttl), *(_lag_of(entry, now) for entry in self._entries.values())])

    def _find_slowly(self, uri: str, now: float, *, is_young: bool) -> tuple[Found, bool]:
        entry = self._entries.get(uri) or self._add(uri, now)
        entry.named_at = now
        is_due = _is_due(entry, now) and not self._is_ended
        if is_due:
            _depart(entry, now)
        if entry.listed is not None and now < entry.usable_until:
            return entry.listed, is_due
        if is_young:
            return None, is_due
        if entry.flight is not None:
            return entry.flight, is_due
        if self._is_open:
            return None, is_due
        raise StatusUnavailable(entry.problem)

    def _add(self, uri: str, now: float) -> _Entry:
        if len(self._entries) >= MAX_LISTS:
            del self._entries[min(self._entries, key=lambda held: self._entries[held].named_at)]
        entry = self._entries[uri] = _Entry(now)
        return entry

    def _order(self, uri: str, entry: _Entry, now: float) -> Order:
        flight = _depart(entry, now)
        entry.is_ordered, entry.is_announced = True, False
        ttl = entry.listed.ttl if isinstance(entry.listed, HeldList) else self.ttl
        return Order(uri=uri, held=entry.listed, ttl=ttl, flight=flight)

    def _keep(self, entry: _Entry, listed: Listed, *, asked_at: float, last_for: float) -> None:
        entry.listed, entry.asked_at = listed, asked_at
        entry.poll_at = asked_at + last_for
        entry.usable_until = entry.poll_at + self._stale_for
        if isinstance(listed, HeldList):
            self.ttl = listed.ttl
        if entry.is_announced:
            _hasten(entry)

    def _tell(self, flight: Flight[Listed | None], outcome: Listed | StatusUnavailable) -> None:
        """Let those go on who wait: with the list, with a refusal, or unasked where that was chosen."""
        flight.land(None if self._is_open and isinstance(outcome, StatusUnavailable) else outcome)

    def _postpone(self, entry: _Entry, problem: StatusUnavailable, ttl: int) -> None:
        entry.problem = str(problem)
        entry.poll_at = self._monotonic() + min(ttl, RETRY_IN)


def _depart(entry: _Entry, now: float) -> Flight[Listed | None]:
    """The fetch that the list waits for; a new one where there is none, or where its thread was lost."""
    if entry.flight is None or entry.flight.is_lost(now):
        entry.flight, entry.is_ordered = Flight(started_at=now, failure=StatusUnavailable), False
    return entry.flight


def _is_due(entry: _Entry, now: float) -> bool:
    """Whether it must be fetched and nobody does."""
    if entry.flight is None:
        return now >= entry.poll_at
    return not entry.is_ordered or entry.flight.is_lost(now)


def _next_at(entry: _Entry) -> float:
    """When somebody must look after it; a fetch that is under way looks after itself."""
    if entry.flight is None:
        return entry.poll_at
    return inf if entry.is_ordered else -inf


def _hasten(entry: _Entry) -> None:
    entry.is_announced = entry.flight is not None
    entry.poll_at = min(entry.poll_at, entry.asked_at + PUSH_IN)


def _lag_of(entry: _Entry, now: float) -> float:
    """How old a list can become: until its next poll, or until it is not used any more."""
    if not isinstance(entry.listed, HeldList):
        return 0  # its tokens are refused, or younger than `ttl`
    return min(max(entry.poll_at, now), entry.usable_until) - entry.asked_at
