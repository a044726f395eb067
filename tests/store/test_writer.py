"""The one thread that writes: groups, withdrawal, locks and faults (SECURITY S-02, S-03, S-04)."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from jwtauth.errors import ConfigurationError, Overloaded
from jwtauth.store.sqlite import writer as writer_module
from jwtauth.store.sqlite.writer import Writer

Write = Callable[[sqlite3.Connection], int]


class Bench:
    """A writer on a file with one table, and a foreign connection to the same file."""

    def __init__(self, path: Path) -> None:
        self.foreign = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.foreign.execute("PRAGMA journal_mode = WAL").fetchall()
        self.foreign.execute(
            "CREATE TABLE IF NOT EXISTS notes (note INTEGER PRIMARY KEY, about INTEGER REFERENCES notes (note))"
        )
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA foreign_keys = ON").fetchall()
        self.connection = connection
        self.commits: list[str] = []
        connection.set_trace_callback(lambda text: self.commits.append(text) if text == "COMMIT" else None)
        self.told: list[tuple[int, str | None]] = []
        self.writer = Writer(connection, on_commit=lambda writes, _, problem: self.told.append((writes, problem)))

    def notes(self) -> list[int]:
        """What everybody sees."""
        return [note for (note,) in self.foreign.execute("SELECT note FROM notes ORDER BY note").fetchall()]

    def write_in_turn(self, numbers: range) -> None:
        """Write many rows for each of these numbers."""
        for number in numbers:
            asyncio.run(self.writer.run(write_many(number)))

    def close(self) -> None:
        """End the thread, and close both connections."""
        self.writer.close()
        self.foreign.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While another process writes."""
        self.foreign.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            self.foreign.execute("ROLLBACK")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "notes.db")
    yield bench
    bench.close()


def write(note: int) -> Write:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO notes (note) VALUES (?)", (note,))
        return note

    return work


MANY = 500


def write_many(number: int) -> Write:
    """A write of so many rows."""

    def work(connection: sqlite3.Connection) -> int:
        notes = [(number * MANY + offset,) for offset in range(MANY)]
        return connection.executemany("INSERT INTO notes (note) VALUES (?)", notes).rowcount

    return work


class Slow:
    """A write that has started and goes on until it may finish; what comes after it waits in one group."""

    def __init__(self, note: int = 0) -> None:
        self.started = threading.Event()
        self.may_finish = threading.Event()
        self._write = write(note)

    def __call__(self, connection: sqlite3.Connection) -> int:
        self.started.set()
        assert self.may_finish.wait(timeout=10)
        return self._write(connection)

    async def begin(self, writer: Writer) -> asyncio.Task[int]:
        task = asyncio.create_task(writer.run(self))
        assert await asyncio.to_thread(self.started.wait, 10)
        return task


async def pause() -> None:
    """Let the other tasks run until they wait."""
    for _ in range(3):
        await asyncio.sleep(0)


class TestAWrite:
    def test_is_committed_when_it_returns(self, bench: Bench) -> None:
        async def work() -> None:
            assert await bench.writer.run(write(1)) == 1
            assert bench.notes() == [1]

        asyncio.run(work())

    def test_that_raises_leaves_nothing_and_its_caller_hears_why(self, bench: Bench) -> None:
        def refused(connection: sqlite3.Connection) -> int:
            write(1)(connection)
            raise ConfigurationError("no")

        async def work() -> None:
            with pytest.raises(ConfigurationError):
                await bench.writer.run(refused)
            assert bench.notes() == []
            assert await bench.writer.run(write(1)) == 1

        asyncio.run(work())

    def test_serves_several_event_loops(self, bench: Bench) -> None:
        def one(note: int) -> None:
            assert asyncio.run(bench.writer.run(write(note))) == note

        threads = [threading.Thread(target=one, args=(note,)) for note in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bench.notes() == list(range(8))

    def test_is_not_held_up_by_an_event_loop_that_closed(self, bench: Bench) -> None:
        """Its own write was to be handed over by that loop; now it goes along with the next."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)  # nobody waits for the task any more
        task = loop.create_task(bench.writer.run(write(1)))
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        assert asyncio.run(asyncio.wait_for(bench.writer.run(write(2)), timeout=10)) == 2
        assert not task.done()
        assert bench.notes() == [1, 2]


class TestAGroup:
    def test_shares_one_commit(self, bench: Bench) -> None:
        async def work() -> None:
            slow = Slow()
            first = await slow.begin(bench.writer)
            others = [asyncio.create_task(bench.writer.run(write(note))) for note in range(1, 101)]
            await pause()
            bench.commits.clear()
            slow.may_finish.set()
            assert await asyncio.gather(first, *others) == list(range(101))

        asyncio.run(work())
        assert len(bench.commits) == 2
        assert bench.told == [(1, None), (100, None)]
        assert bench.notes() == list(range(101))

    def test_has_the_writes_of_two_turns_of_the_event_loop(self, bench: Bench) -> None:
        async def work() -> None:
            first = asyncio.create_task(bench.writer.run(write(1)))
            await asyncio.sleep(0)  # the first write waits; the second comes one turn later
            second = asyncio.create_task(bench.writer.run(write(2)))
            assert (await first, await second) == (1, 2)

        asyncio.run(work())
        assert bench.told == [(2, None)]

    def test_runs_again_where_one_of_its_writes_is_refused(self, bench: Bench) -> None:
        runs: list[int] = []

        def refused(connection: sqlite3.Connection) -> int:
            runs.append(0)
            return write(1)(connection)

        async def work() -> list[int | BaseException]:
            group = [write(1), write(2), refused]
            return await asyncio.gather(*[bench.writer.run(job) for job in group], return_exceptions=True)

        *kept, problem = asyncio.run(work())
        assert kept == [1, 2]
        assert isinstance(problem, sqlite3.IntegrityError)
        assert len(runs) == 2
        assert bench.notes() == [1, 2]
        assert bench.told == [(3, None)]

    def test_loses_nothing_with_a_write_that_fails(self, bench: Bench) -> None:
        def refused(connection: sqlite3.Connection) -> int:
            write(50)(connection)
            return write(1)(connection)

        async def work() -> list[int | BaseException]:
            slow = Slow()
            first = await slow.begin(bench.writer)
            group = [write(1), refused, write(2), refused, write(3)]
            tasks = [asyncio.create_task(bench.writer.run(job)) for job in group]
            await pause()
            slow.may_finish.set()
            return await asyncio.gather(first, *tasks, return_exceptions=True)

        found = [type(answer) if isinstance(answer, BaseException) else answer for answer in asyncio.run(work())]
        assert found == [0, 1, sqlite3.IntegrityError, 2, sqlite3.IntegrityError, 3]
        assert bench.notes() == [0, 1, 2, 3]
        assert len(bench.commits) == 2

    def test_is_refused_as_a_whole_where_the_commit_fails(self, bench: Bench) -> None:
        def dangling(connection: sqlite3.Connection) -> int:
            connection.execute("PRAGMA defer_foreign_keys = ON").fetchall()
            connection.execute("INSERT INTO notes VALUES (9, 99)")
            return 9

        async def work() -> list[int | BaseException]:
            slow = Slow()
            first = await slow.begin(bench.writer)
            tasks = [asyncio.create_task(bench.writer.run(job)) for job in (write(1), dangling, write(2))]
            await pause()
            slow.may_finish.set()
            return await asyncio.gather(first, *tasks, return_exceptions=True)

        first, *refused = asyncio.run(work())
        assert first == 0
        assert [type(answer) for answer in refused] == [Overloaded] * 3
        assert bench.told == [(1, None), (3, "failed")]
        assert bench.notes() == [0]
        assert asyncio.run(bench.writer.run(write(1))) == 1

    def test_has_a_bound(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "BATCH", 10)

        async def work() -> None:
            slow = Slow()
            first = await slow.begin(bench.writer)
            others = [asyncio.create_task(bench.writer.run(write(note))) for note in range(1, 26)]
            await pause()
            slow.may_finish.set()
            await asyncio.gather(first, *others)

        asyncio.run(work())
        assert len(bench.commits) == 1 + 3


class TestTheLog:
    def test_is_brought_back_into_the_database_before_it_is_long(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many processes write at once: neither leaves it to the other for good."""
        monkeypatch.setattr(writer_module, "CHECKPOINT", 16)
        path = tmp_path / "many.db"
        with closing(Bench(path)) as one, closing(Bench(path)) as other:
            writing = [threading.Thread(target=one.write_in_turn, args=(range(0, 100, 2),))]
            writing.append(threading.Thread(target=other.write_in_turn, args=(range(1, 100, 2),)))
            for thread in writing:
                thread.start()
            for thread in writing:
                thread.join()
            assert len(one.notes()) == 100 * MANY
            assert (tmp_path / "many.db-wal").stat().st_size < 500_000

    def test_grows_while_somebody_reads_and_nothing_is_lost(self, bench: Bench) -> None:
        bench.foreign.execute("BEGIN").fetchall()
        assert bench.notes() == []
        for number in range(6):
            asyncio.run(bench.writer.run(write_many(number)))
        assert bench.notes() == []
        bench.foreign.execute("COMMIT").fetchall()
        assert len(bench.notes()) == 6 * MANY


class TestACallerThatIsCancelled:
    def test_withdraws_a_write_that_has_not_started(self, bench: Bench) -> None:
        async def work() -> None:
            slow = Slow()
            first = await slow.begin(bench.writer)
            waiting = asyncio.create_task(bench.writer.run(write(1)))
            await pause()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            slow.may_finish.set()
            await first
            assert await bench.writer.run(write(2)) == 2

        asyncio.run(work())
        assert bench.notes() == [0, 2]

    def test_waits_for_a_write_that_has_started(self, bench: Bench) -> None:
        async def work() -> None:
            slow = Slow(7)
            caller = await slow.begin(bench.writer)
            caller.cancel()
            await asyncio.wait([caller], timeout=0.05)
            assert not caller.done()
            slow.may_finish.set()
            with pytest.raises(asyncio.CancelledError):
                await caller
            assert bench.notes() == [7]

        asyncio.run(work())

    def test_waits_also_where_that_write_fails(self, bench: Bench) -> None:
        async def work() -> None:
            problems: list[object] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
            await bench.writer.run(write(7))
            slow = Slow(7)
            caller = await slow.begin(bench.writer)
            caller.cancel()
            slow.may_finish.set()
            with pytest.raises(asyncio.CancelledError):
                await caller
            del caller
            await pause()
            assert problems == []

        asyncio.run(work())
        assert bench.notes() == [7]


class TestALock:  # SECURITY S-04
    def test_that_is_short_is_waited_for(self, bench: Bench) -> None:
        async def work() -> None:
            with bench.locked():
                task = asyncio.create_task(bench.writer.run(write(1)))
                await asyncio.sleep(0.05)
                assert not task.done()
            assert await task == 1

        asyncio.run(work())

    def test_that_lasts_refuses_the_writes_and_half_writes_nothing(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer_module, "BUSY_FOR", 0.1)

        async def work() -> None:
            with bench.locked():
                began = time.monotonic()
                answers = await asyncio.gather(
                    *[bench.writer.run(write(note)) for note in range(5)], return_exceptions=True
                )
                assert [type(answer) for answer in answers] == [Overloaded] * 5
                assert 0.1 <= time.monotonic() - began < 1.5
            assert bench.notes() == []
            assert await bench.writer.run(write(1)) == 1

        asyncio.run(work())
        assert bench.told == [(5, "busy"), (1, None)]
        assert bench.notes() == [1]

    def test_tells_when_to_come_again(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "BUSY_FOR", 0.0)
        with bench.locked(), pytest.raises(Overloaded) as refusal:
            asyncio.run(bench.writer.run(write(1)))
        assert refusal.value.code == "temporarily_unavailable"
        assert refusal.value.retry_after_in >= 1


class TestAFullDisk:  # SECURITY S-03
    def test_refuses_and_recovers_by_itself(self, bench: Bench) -> None:
        def big(connection: sqlite3.Connection) -> int:
            connection.execute("CREATE TABLE big AS SELECT randomblob(100000) AS bytes")
            return 0

        async def work() -> None:
            bench.connection.execute("PRAGMA max_page_count = 4").fetchall()
            with pytest.raises(Overloaded):
                await bench.writer.run(big)
            bench.connection.execute("PRAGMA max_page_count = 1000000").fetchall()
            assert await bench.writer.run(big) == 0

        asyncio.run(work())


class TestBacklog:
    def test_has_a_bound(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "BACKLOG", 3)

        async def work() -> None:
            slow = Slow()
            first = await slow.begin(bench.writer)
            waiting = [asyncio.create_task(bench.writer.run(write(note))) for note in (1, 2, 3)]
            await pause()
            with pytest.raises(Overloaded):
                await bench.writer.run(write(4))
            slow.may_finish.set()
            await asyncio.gather(first, *waiting)

        asyncio.run(work())
        assert bench.notes() == [0, 1, 2, 3]


class TestClosing:
    def test_finishes_the_writes_that_wait(self, tmp_path: Path) -> None:
        """SECURITY S-15: a graceful stop loses no write."""
        bench = Bench(tmp_path / "closing.db")

        async def work() -> None:
            slow = Slow()
            first = await slow.begin(bench.writer)
            waiting = [asyncio.create_task(bench.writer.run(write(note))) for note in (1, 2, 3)]
            await pause()
            slow.may_finish.set()
            await asyncio.to_thread(bench.writer.close)
            assert await asyncio.gather(first, *waiting) == [0, 1, 2, 3]

        asyncio.run(work())
        assert bench.notes() == [0, 1, 2, 3]
        bench.foreign.close()

    def test_refuses_writes_that_come_later(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path / "closed.db")
        bench.writer.close()
        with pytest.raises(Overloaded, match="stopping"):
            asyncio.run(bench.writer.run(write(1)))
        bench.foreign.close()


class BrokenConnection:
    """A connection whose COMMIT and first ROLLBACK fail, as a disk does that goes away."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._failures = ["COMMIT", "ROLLBACK"]

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement in self._failures:
            self._failures.remove(statement)
            raise sqlite3.OperationalError(f"{statement} failed")
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


class TestAnUnexpectedFailure:
    def test_of_a_rollback_too_is_answered_and_mended(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bench.writer, "_connection", BrokenConnection(bench.writer._connection))

        async def work() -> list[object]:
            return [await asyncio.gather(bench.writer.run(write(note)), return_exceptions=True) for note in (1, 2, 3)]

        first, second, third = asyncio.run(work())
        assert isinstance(first[0], Overloaded)  # type: ignore[index]
        assert isinstance(second[0], Overloaded)  # type: ignore[index]
        assert third == [3]
        assert bench.notes() == [3]

    def test_answers_everybody_and_leaves_the_thread_alive(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        def break_down() -> None:
            raise MemoryError

        monkeypatch.setattr(bench.writer, "_begin", break_down)
        with pytest.raises(Overloaded, match="MemoryError"):
            asyncio.run(bench.writer.run(write(1)))
        monkeypatch.undo()
        asyncio.run(bench.writer.run(write(2)))
        assert bench.notes() == [2]
