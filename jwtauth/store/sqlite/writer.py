"""The one thread of a process that writes: all writes that wait become one transaction and one flush to the disk.

Where a write is refused, the group begins anew with a savepoint for each, so that it takes nothing with it
(docs/decisions/0017-groups-of-writes.md); an answer leaves only after the commit.
"""

import asyncio
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, Literal, TypeVar

from jwtauth.errors import Overloaded
from jwtauth.store.ports import OnCommit
from jwtauth.store.sqlite.connection import are_in_place, files_of, is_fault, name_of

T = TypeVar("T")

BATCH: Final = 256
"""Most writes in one transaction."""

BUSY_FOR: Final = 2.0
"""For how long a lock held by another process is waited for, in seconds; then the writes are refused."""

BACKLOG: Final = 4_096
"""Most writes that may wait; one more is refused at once."""

CHECKPOINT: Final = 8_000
"""Pages in the log, 33 MB, from which on a COMMIT brings it back into the database. Whoever shares that COMMIT waits:
four refreshes of a thousand, with a million grants and under full load."""

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


class _Job:
    """One write on its way through the thread."""

    __slots__ = ("claim", "error", "future", "is_delivered", "loop", "result", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.claim = threading.Lock()
        """Taken once: by the thread when the write starts, or by a caller that gives up before."""
        self.result: Any = None
        self.error: Exception | None = None
        self.is_delivered = False

    def deliver(self) -> None:
        self.is_delivered = True
        if self.future.cancelled():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)

    async def give_up(self) -> None:
        """Withdraw the write if it has not started, else wait until it is over."""
        if self.claim.acquire(blocking=False) or self.is_delivered:
            return
        self.future = self.loop.create_future()  # the one before was cancelled and can tell nothing any more
        while not self.future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([self.future])
        self.future.exception()  # nobody is left to hear of it


class Writer:
    """Runs writes in the order they came, in groups. Used from one event loop at a time."""

    def __init__(self, connection: sqlite3.Connection, *, on_commit: OnCommit | None = None) -> None:
        """Take over a connection; `close` closes it. `on_commit` is told of every transaction."""
        connection.execute("PRAGMA busy_timeout = 0").fetchall()
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}").fetchall()
        self._connection = connection
        self._files = files_of(connection)
        self._on_commit = on_commit
        self._is_closed = False
        self._jobs: deque[_Job] = deque()
        self._gathering: asyncio.AbstractEventLoop | None = None
        """The event loop that will hand over what waits by then."""
        self._news: SimpleQueue[bool] = SimpleQueue()
        """An item for each hand-over; False for the last."""
        self._thread = threading.Thread(target=self._work, name="jwtauth-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Writes that wait for their turn."""
        return len(self._jobs)

    @property
    def is_alive(self) -> bool:
        """Whether the thread is there: without it every write would wait for ever."""
        return self._thread.is_alive()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, once its writes are on the disk. It does nothing but write, as it may have to run again.

        The writes of two turns of the event loop go to the thread together: under load a group fills up by itself, and
        when idle nothing waits. A caller that is cancelled withdraws a write that has not started, and waits for one
        that has.

        Raises:
            Overloaded: the database stayed locked, could not write, or is no longer where it was; nothing of this
                write was kept.
        """
        if self._is_closed:
            raise Overloaded("the service is stopping; try again")
        if self.waiting >= BACKLOG:
            raise Overloaded("too many writes are waiting; try again")
        job = _Job(work, asyncio.get_running_loop())
        self._jobs.append(job)
        if self._gathering is not job.loop:
            self._gathering = job.loop
            # After the next turn, not this one: under load twice as many share a flush, and when idle it comes at once.
            job.loop.call_soon(job.loop.call_soon, self._hand_over)
        try:
            result: T = await job.future
        except asyncio.CancelledError:
            await job.give_up()
            raise
        return result

    def close(self) -> None:
        """Finish what waits, then close the connection."""
        self._is_closed = True
        self._news.put(False)
        self._thread.join()
        self._connection.close()

    def _hand_over(self) -> None:
        self._gathering = None
        self._news.put(True)

    def _work(self) -> None:
        while self._news.get():
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        """Write what waits now; what comes meanwhile waits for its turn to end."""
        left = len(self._jobs)
        while left:
            group = [self._jobs.popleft() for _ in range(min(BATCH, left))]
            left -= len(group)
            started = [job for job in group if job.claim.acquire(blocking=False)]
            if started:
                self._commit(started)
                _deliver(started)

    def _commit(self, jobs: list[_Job]) -> None:
        began = time.perf_counter()
        fault: Literal["busy", "failed"] | None = None
        try:
            self._begin()
            self._run(jobs)
            self._connection.execute("COMMIT")
        except Exception as problem:  # whatever it is, somebody waits for an answer and the thread must go on
            with suppress(sqlite3.Error):  # where even this fails, the next BEGIN does too and comes back here
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            for job in jobs:
                job.error = _refusal(problem)
            fault = "busy" if name_of(problem).startswith(_BUSY) else "failed"
        if self._on_commit is not None:
            self._on_commit(len(jobs), time.perf_counter() - began, fault)

    def _begin(self) -> None:
        if not are_in_place(self._files):
            raise Overloaded("the database was moved, deleted or replaced under the running service")
        deadline = time.monotonic() + BUSY_FOR
        pause = 0.0005
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as problem:
                if name_of(problem).startswith(_BUSY) and time.monotonic() < deadline:
                    time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the waiting
                    pause = min(pause * 2, 0.02)
                    continue
                raise
            return

    def _run(self, jobs: list[_Job]) -> None:
        """Run a group; where one of its writes is refused, which is rare, all begin anew, each in a savepoint."""
        try:
            for job in jobs:
                job.result = job.work(self._connection)
        except Exception as problem:
            if is_fault(problem):
                raise
        else:
            return
        self._connection.execute("ROLLBACK")
        self._begin()
        for job in jobs:
            self._run_apart(job)

    def _run_apart(self, job: _Job) -> None:
        self._connection.execute("SAVEPOINT one_write")
        try:
            job.result = job.work(self._connection)
        except Exception as problem:
            if is_fault(problem):
                raise
            self._connection.execute("ROLLBACK TO one_write")
            job.error = problem
        self._connection.execute("RELEASE one_write")


def _deliver(jobs: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver_here, group)
        except RuntimeError:
            continue  # the loop is closed: nobody waits any more


def _deliver_here(jobs: list[_Job]) -> None:
    for job in jobs:
        job.deliver()


def _refusal(problem: Exception) -> Overloaded:
    if isinstance(problem, Overloaded):
        return problem
    return Overloaded(f"the database could not write: {name_of(problem)}")
