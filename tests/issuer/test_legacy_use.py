"""Uses of legacy doors, counted in memory and added to a real database while the service runs and when it stops."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Final

import pytest

from jwtauth.errors import Overloaded
from jwtauth.issuer import legacy_use
from jwtauth.issuer.legacy_use import REMEMBERED, LegacyUse
from jwtauth.protocol.legacy import NO_SECRET, QUERY
from jwtauth.protocol.records import Client
from jwtauth.store.ports import LegacyUse as Use
from jwtauth.store.sqlite import writer
from jwtauth.store.sqlite.store import SqliteStore
from tests.support.home import Home

NOW: Final = 1_800_000_000


def noon() -> int:
    """Time stands still."""
    return NOW


@pytest.fixture
def client(home: Home) -> Client:
    return home.client("old-portal")


@pytest.fixture
def store(home: Home, client: Client) -> Iterator[SqliteStore]:
    store = SqliteStore(home.source.database, max_token_lifetime=60)
    yield store
    store.close()


@pytest.fixture
def counter(store: SqliteStore) -> LegacyUse:
    return LegacyUse(store.legacy_uses)


async def stored(store: SqliteStore) -> dict[str, int]:
    return {use.door: use.count for use in await store.legacy_uses.all()}


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so; ten seconds at most."""
    async with asyncio.timeout(10):
        while not await is_so():  # noqa: ASYNC110 - whoever brings it about knows no event of this loop
            await asyncio.sleep(0.01)


async def stop(loop: asyncio.Task[None]) -> None:
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop


class TestFlush:
    def test_adds_what_was_counted_once(self, counter: LegacyUse, store: SqliteStore, client: Client) -> None:
        async def story() -> list[Use]:
            for door in (QUERY, QUERY, NO_SECRET):
                counter.count(client, door)
            await counter.flush(now=NOW)
            await counter.flush(now=NOW + 60)
            return list(await store.legacy_uses.all())

        assert asyncio.run(story()) == [
            Use(client_id="old-portal", realm="default", door=door, count=count, first_at=NOW, last_at=NOW)
            for door, count in ((NO_SECRET, 1), (QUERY, 2))
        ]

    def test_keeps_what_could_not_be_written(
        self, home: Home, counter: LegacyUse, store: SqliteStore, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "BUSY_FOR", 0.05)

        async def story() -> dict[str, int]:
            counter.count(client, QUERY)
            with closing(sqlite3.connect(home.source.database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(Overloaded):
                    await counter.flush(now=NOW)
            counter.count(client, QUERY)
            await counter.flush(now=NOW)
            return await stored(store)

        assert asyncio.run(story()) == {QUERY: 2}

    def test_loses_nothing_that_is_counted_meanwhile(
        self, counter: LegacyUse, store: SqliteStore, client: Client
    ) -> None:
        async def story() -> dict[str, int]:
            for _ in range(200):
                counter.count(client, QUERY)
                flushing = asyncio.create_task(counter.flush(now=NOW))
                await asyncio.sleep(0)
                counter.count(client, QUERY)
                await flushing
            await counter.flush(now=NOW)
            return await stored(store)

        assert asyncio.run(story()) == {QUERY: 400}


class TestBound:
    def test_drops_other_doors_and_says_so(
        self, counter: LegacyUse, store: SqliteStore, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def story() -> dict[str, int]:
            for number in range(REMEMBERED + 3):
                counter.count(client, f"door {number}")
            counter.count(client, "door 0")
            await counter.flush(now=NOW)
            return await stored(store)

        found = asyncio.run(story())
        assert len(found) == REMEMBERED
        assert found["door 0"] == 2
        assert "3 uses of legacy doors were not counted" in caplog.text

    def test_holds_while_the_database_is_locked(
        self, home: Home, counter: LegacyUse, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "BUSY_FOR", 0.01)

        async def story() -> None:
            with closing(sqlite3.connect(home.source.database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                for batch in range(3):
                    for number in range(REMEMBERED):
                        counter.count(client, f"door {batch} {number}")
                    with pytest.raises(Overloaded):
                        await counter.flush(now=NOW)
            assert len(counter._counted) == REMEMBERED

        asyncio.run(story())


class TestRun:
    def test_flushes_while_it_runs(
        self, counter: LegacyUse, store: SqliteStore, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(legacy_use, "FLUSH_IN", 0.01)

        async def story() -> None:
            loop = asyncio.create_task(counter.run(noon))
            for expected in (1, 2):
                counter.count(client, QUERY)
                await until(partial(_is, store, {QUERY: expected}))
            await stop(loop)

        asyncio.run(story())

    def test_flushes_at_once_where_much_was_counted(
        self, counter: LegacyUse, store: SqliteStore, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(legacy_use, "FLUSH_IN", 3_600)

        async def story() -> None:
            loop = asyncio.create_task(counter.run(noon))
            for number in range(REMEMBERED // 2):
                counter.count(client, f"door {number}")
            await until(lambda: _has(store, REMEMBERED // 2))
            await stop(loop)

        asyncio.run(story())

    def test_flushes_once_more_when_it_is_stopped(self, counter: LegacyUse, store: SqliteStore, client: Client) -> None:
        async def story() -> dict[str, int]:
            loop = asyncio.create_task(counter.run(noon))
            await asyncio.sleep(0)
            counter.count(client, QUERY)
            await stop(loop)
            return await stored(store)

        assert asyncio.run(story()) == {QUERY: 1}

    def test_counts_once_what_waits_to_be_written_when_it_is_stopped(
        self, home: Home, counter: LegacyUse, store: SqliteStore, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(legacy_use, "FLUSH_IN", 0.001)

        async def story() -> dict[str, int]:
            with closing(sqlite3.connect(home.source.database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                first = asyncio.create_task(store.legacy_uses.add({(client.id, NO_SECRET): 1}, now=NOW))
                await asyncio.sleep(0.05)  # the writer has begun it, and whatever comes next has to wait
                counter.count(client, QUERY)
                loop = asyncio.create_task(counter.run(noon))
                await until(lambda: _is_empty(counter))
                counter.count(client, QUERY)
                loop.cancel()
                await asyncio.sleep(0)
                other.execute("COMMIT")
            with suppress(asyncio.CancelledError):
                await loop
            await first
            return await stored(store)

        assert asyncio.run(story()) == {QUERY: 2, NO_SECRET: 1}

    def test_keeps_what_could_not_be_written_while_it_is_stopped(
        self,
        home: Home,
        counter: LegacyUse,
        store: SqliteStore,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(legacy_use, "FLUSH_IN", 0.001)
        monkeypatch.setattr(writer, "BUSY_FOR", 0.5)

        async def story() -> dict[str, int]:
            with closing(sqlite3.connect(home.source.database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                counter.count(client, QUERY)
                loop = asyncio.create_task(counter.run(noon))
                await until(lambda: _is_empty(counter))
                loop.cancel()
                await until(lambda: _was_reported(caplog))
                other.execute("COMMIT")
            with suppress(asyncio.CancelledError):
                await loop
            return await stored(store)

        assert asyncio.run(story()) == {QUERY: 1}

    def test_goes_on_after_a_failure(
        self,
        home: Home,
        counter: LegacyUse,
        store: SqliteStore,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(legacy_use, "FLUSH_IN", 0.01)
        monkeypatch.setattr(writer, "BUSY_FOR", 0.01)

        async def story() -> None:
            with closing(sqlite3.connect(home.source.database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                loop = asyncio.create_task(counter.run(noon))
                counter.count(client, QUERY)
                await until(lambda: _was_reported(caplog))
            await until(lambda: _is(store, {QUERY: 1}))
            await stop(loop)

        asyncio.run(story())

    def test_ends_in_time_when_it_is_stopped(self, counter: LegacyUse) -> None:
        async def story() -> None:
            loop = asyncio.create_task(counter.run(noon))
            await asyncio.sleep(0)
            began = time.monotonic()
            await stop(loop)
            assert time.monotonic() - began < legacy_use.FLUSH_IN / 2

        asyncio.run(story())


async def _is(store: SqliteStore, expected: dict[str, int]) -> bool:
    return await stored(store) == expected


async def _has(store: SqliteStore, doors: int) -> bool:
    return len(await stored(store)) == doors


async def _is_empty(counter: LegacyUse) -> bool:
    return not counter._counted


async def _was_reported(caplog: pytest.LogCaptureFixture) -> bool:
    return "are kept" in caplog.text
