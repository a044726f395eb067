"""Fetching status lists in the background: one thread, started by the first token, that asks for what is due.

The thread ends when it is told to, or when no list is held any more; the next token starts another.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from threading import RLock, Thread, current_thread
from typing import Final

import httpx

from jwtauth.errors import InvalidToken
from jwtauth.verifier import events, fetch, lists
from jwtauth.verifier.fetch import ListDocument, Missing, Unchanged
from jwtauth.verifier.flight import Flight
from jwtauth.verifier.key_cache import KeyCache
from jwtauth.verifier.lists import HeldList, Listed, NoList
from jwtauth.verifier.status_cache import Order, StatusCache
from jwtauth.verifier.unavailable import KeysUnavailable, StatusUnavailable

STOP_IN: Final = 5
"""For how long stopping waits for the thread, in seconds."""

_NAP_IN: Final = 60

_LOGGER: Final = logging.getLogger(__name__)


class Poller:
    """Keeps the lists of one issuer as fresh as they say."""

    def __init__(
        self,
        issuer: str,
        keys: KeyCache,
        *,
        stale_for: float,
        is_open: bool,
        push: bool,
        leeway_in: int,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.lists = StatusCache(stale_for=stale_for, is_open=is_open, monotonic=monotonic, wake=self.wake)
        self._issuer = issuer
        self._keys = keys
        self._push = push
        self._leeway_in = leeway_in
        self._now = now
        self._monotonic = monotonic
        self._lock = RLock()  # a garbage collection while it is held may call `stop` in the same thread
        self._run: _Run | None = None
        self._is_stopped = False

    def wake(self) -> None:
        """Look at once whether a list is due; start the thread where there is none, as after a fork."""
        with self._lock:
            if self._is_stopped:
                return
            if self._run is None or not self._run.thread.is_alive():
                self._run = _Run(self._work)
                self._run.thread.start()
            else:
                self._run.wake()

    def stop(self) -> None:
        """Fetch nothing any more. Whoever waits for a list is told that it cannot be had."""
        with self._lock:
            self._is_stopped = True
            if self._run is not None:
                self._run.cancel()
        self.lists.end()

    def join(self) -> None:
        """Wait until the thread has ended, for a moment."""
        run = self._run
        if run is not None and run.thread.is_alive() and run.thread is not current_thread():
            run.thread.join(STOP_IN)

    def _work(self, run: "_Run") -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._serve(run))

    async def _serve(self, run: "_Run") -> None:
        run.begin()
        try:
            if not self._is_stopped:
                await self._keep_fresh(run)
        finally:
            run.end()

    async def _keep_fresh(self, run: "_Run") -> None:
        async with fetch.client(self._issuer) as http, asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(run, http)) if self._push else None
            await self._poll(run, http, tasks)
            if listening is not None:
                listening.cancel()

    async def _poll(self, run: "_Run", http: httpx.AsyncClient, tasks: asyncio.TaskGroup) -> None:
        """Order what is due, sleep until something is, and so on until no list is held."""
        while not self._is_idle(run):
            run.due.clear()
            for order in self.lists.orders():
                tasks.create_task(self._execute(run, http, order))
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self.lists.next_in() or 0, _NAP_IN)):
                    await run.due.wait()

    def _is_idle(self, run: "_Run") -> bool:
        """Whether nothing is left to do; then the next one who wakes us starts another thread."""
        with self._lock:
            is_idle = self.lists.next_in() is None
            if is_idle and self._run is run:
                self._run = None
            return is_idle

    async def _execute(self, run: "_Run", http: httpx.AsyncClient, order: Order) -> None:
        """Fetch one list and hand it over, whatever happens."""
        asked_at = self._monotonic()
        outcome: Listed | StatusUnavailable = StatusUnavailable(f"fetching the status list {order.uri} broke off")
        try:
            outcome = await self._load(http, order)
        except StatusUnavailable as problem:
            _LOGGER.warning("%s", problem)
            outcome = problem
        finally:
            self.lists.land(order, outcome, asked_at=asked_at, last_for=self._last_for(outcome, order))
            run.due.set()

    async def _load(self, http: httpx.AsyncClient, order: Order) -> Listed:
        """What the issuer says now. The keys are fetched beside it, unless that was just done.

        Raises:
            StatusUnavailable: it says nothing, or nothing that can be believed.
        """
        held = order.held if isinstance(order.held, HeldList) else None
        etag = held.etag if held is not None and self._may_stay(held) else ""
        fetched, _ = await asyncio.gather(
            fetch.status_list(http, order.uri, etag=etag), self._keys.refresh(older_than=order.ttl / 2)
        )
        match fetched:
            case Missing():
                return NoList()
            case Unchanged() if held is not None and self._may_stay(held):
                return held
            case Unchanged():
                raise StatusUnavailable(
                    f"the status list {order.uri} was not sent, though none is held that still counts"
                )
            case ListDocument():
                return await self._accept(fetched, order.uri, held)

    async def _accept(self, fetched: ListDocument, uri: str, held: HeldList | None) -> HeldList:
        try:
            signed = lists.take_apart(fetched.body)
            found = self._keys.find(signed.header.kid)
            key = (await found.arrival()).key(signed.header.kid) if isinstance(found, Flight) else found
            return lists.accept(
                signed,
                key,
                uri=uri,
                issuer=self._issuer,
                etag=fetched.etag,
                now=int(self._now()),
                leeway_in=self._leeway_in,
                held=held,
            )
        except (InvalidToken, KeysUnavailable) as problem:
            raise StatusUnavailable(f"the status list {uri} is refused: {problem}") from problem

    def _may_stay(self, held: HeldList) -> bool:
        """Whether a list goes on counting if the issuer says that nothing changed: not expired, its key still there."""
        return held.left_in(int(self._now()), leeway_in=self._leeway_in) > 0 and self._keys.has(held.kid)

    def _last_for(self, outcome: Listed | StatusUnavailable, order: Order) -> float:
        if not isinstance(outcome, HeldList):
            return order.ttl
        return min(outcome.ttl, max(1, outcome.left_in(int(self._now()), leeway_in=self._leeway_in)))

    async def _listen(self, run: "_Run", http: httpx.AsyncClient) -> None:
        def announce(uri: str | None) -> None:
            self.lists.announce(uri)
            run.due.set()

        await events.follow(http, self._issuer, announce=announce)


class _Run:
    """One life of the thread."""

    def __init__(self, work: "Callable[[_Run], None]") -> None:
        self.thread = Thread(target=work, args=(self,), name="jwtauth-status", daemon=True)
        self.due = asyncio.Event()
        self._lock = RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Called in the thread: from now on it can be woken and cancelled."""
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()

    def end(self) -> None:
        """Called in the thread: from now on nobody hears."""
        with self._lock:
            self._loop = None

    def wake(self) -> None:
        """Let it look again; if it has not begun, it will look anyway."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.due.set)

    def cancel(self) -> None:
        """End it; if it has not begun, it will see that it need not."""
        with self._lock:
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
