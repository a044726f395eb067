"""The SQLite adapter: every guarantee of the ports, and how little it costs to keep them."""

import shutil
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from jwtauth.protocol.records import Client
from jwtauth.store.sqlite import sweep
from jwtauth.store.sqlite.connection import prepare
from jwtauth.store.sqlite.store import SqliteStore
from tests.store import conformance
from tests.store.conformance import KEPT_IN, MAX_TOKEN_LIFETIME, NOW, Cast, OpenStore, rotated, started, taken
from tests.store.racing import Ask


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as `jwtauth init` makes it, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "jwtauth.db"
    prepare(path)
    return path


class OnSqlite(conformance.Conformance):
    """Stores on one file."""

    @pytest.fixture
    def path(self, prepared: Path, tmp_path: Path) -> Path:
        return Path(shutil.copy(prepared, tmp_path / "jwtauth.db"))

    @pytest.fixture
    def memory(self, path: Path) -> OpenStore:
        return partial(SqliteStore, path, max_token_lifetime=MAX_TOKEN_LIFETIME)


class TestGrants(OnSqlite, conformance.GrantsConformance):
    pass


class TestPositions(OnSqlite, conformance.PositionsConformance):
    pass


class TestAttempts(OnSqlite, conformance.AttemptsConformance):
    pass


class TestDirectory(OnSqlite, conformance.DirectoryConformance):
    pass


class TestAdministration(OnSqlite, conformance.AdministrationConformance):
    pass


class TestEnding(OnSqlite, conformance.EndingConformance):
    pass


class TestKeeping(OnSqlite, conformance.KeepingConformance):
    pass


class TestRefresh(OnSqlite):
    """`Store.refresh` is nearly free when nothing changed."""

    @pytest.fixture
    def other(self, memory: OpenStore) -> Iterator[SqliteStore]:
        store = memory()
        assert isinstance(store, SqliteStore)
        yield store
        store.close()

    def statements(self, store: SqliteStore) -> list[str]:
        """What one refresh runs on the reader."""
        seen: list[str] = []
        store._reader.set_trace_callback(seen.append)
        store.refresh()
        store._reader.set_trace_callback(None)
        return seen

    def test_runs_one_pragma_where_nothing_was_committed(self, other: SqliteStore) -> None:
        assert [self.statements(other) for _ in range(3)] == [["PRAGMA data_version"]] * 3

    def test_runs_one_pragma_where_only_the_reader_was_busy(self, other: SqliteStore, cast: Cast, ask: Ask) -> None:
        other.refresh()
        ask(other.directory.client("player"))
        ask(other.grants.get(1))
        assert self.statements(other) == ["PRAGMA data_version"]

    def test_reads_one_row_after_a_commit_that_moved_no_counter(
        self, store: SqliteStore, other: SqliteStore, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        other.refresh()
        ask(rotated(store, grant))
        pragma, row = self.statements(other)
        assert pragma == "PRAGMA data_version"
        assert row.endswith("FROM state")
        assert self.statements(other) == ["PRAGMA data_version"]

    def test_sees_the_commits_of_its_own_process_too(self, other: SqliteStore, cast: Cast, ask: Ask) -> None:
        grant = ask(started(other, cast.player, cast.ada))
        ask(other.grants.end(grant.id, now=NOW))
        other.refresh()
        assert other.positions.is_denied(grant.position)

    def test_reads_only_the_denials_that_are_new(
        self, store: SqliteStore, other: SqliteStore, cast: Cast, ask: Ask
    ) -> None:
        first, second = (ask(started(store, cast.player, cast.ada)) for _ in range(2))
        ask(store.grants.end(first.id, now=NOW))
        other.refresh()
        ask(store.grants.end(second.id, now=NOW))
        *_, query = self.statements(other)
        assert "FROM revocations WHERE id > 1 " in query

    def test_forgets_denials_that_were_swept_away_once_there_were_many(
        self, store: SqliteStore, other: SqliteStore, cast: Cast, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("jwtauth.store.sqlite.positions.REBUILD_AFTER", 3)
        early = ask(taken(store, cast.player, 1))
        ask(store.positions.deny(early.position, now=NOW))
        other.refresh()
        block = ask(taken(store, cast.player, 8, now=NOW + KEPT_IN))
        for position in conformance.span(block):
            ask(store.positions.deny(position, now=NOW + KEPT_IN))
            other.refresh()
        assert not other.positions.is_denied(early.position)
        assert conformance.denied(other, conformance.span(block)) == {True}


class TestSweep(OnSqlite):
    """Small bites, and no backlog."""

    @pytest.fixture
    def reader(self, path: Path, cast: Cast) -> Iterator[sqlite3.Connection]:
        reader = sqlite3.connect(path)
        yield reader
        reader.close()

    def count(self, reader: sqlite3.Connection, table: str) -> int:
        count: int = reader.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
        return count

    def test_takes_a_few_rows_at_a_time(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        for _ in range(20):
            ask(started(store, cast.player, cast.ada))
        late = NOW + 3_600 + KEPT_IN
        left = []
        for _ in range(6):
            ask(taken(store, cast.player, now=late))
            left.append(self.count(reader, "grants"))
        assert left == [max(0, 20 - sweep.BITE * bites) for bites in range(1, 7)]

    def test_takes_more_than_sign_ins_add(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        for day in range(100):
            now = NOW + day * 86_400
            grant = ask(started(store, cast.player, cast.ada, now=now, expires_at=now + 3_600))
            ask(store.grants.end(grant.id, now=now))
        assert self.count(reader, "grants") <= 2
        assert self.count(reader, "revocations") <= 2

    def test_takes_more_than_machines_and_their_revocations_add(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        block = ask(taken(store, cast.player, 100))
        for day, position in enumerate(conformance.span(block)):
            ask(store.positions.deny(position, now=NOW + day * 86_400))
        assert self.count(reader, "revocations") <= 2

    def test_takes_more_than_refreshes_that_renew_the_position_add(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada, expires_at=NOW + 100_000_000))
        for day in range(100):
            now = NOW + day * 86_400
            ask(rotated(store, grant, day, renews_position=True, now=now, expires_at=now + 100_000_000))
        assert self.count(reader, "revocations") <= 2

    def test_one_row_per_sign_in_however_often_it_is_refreshed(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        for generation in range(20):
            ask(rotated(store, grant, generation))
        assert self.count(reader, "grants") == 1
        assert self.count(reader, "revocations") == 0


class TestDirectoryCache(OnSqlite):
    def test_is_bounded(self, store: SqliteStore, cast: Cast, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jwtauth.store.sqlite.directory.REMEMBERED", 1)
        for client_id in ("player", "cinema", "player", "nobody"):
            found = ask(store.directory.client(client_id))
            assert isinstance(found, Client) is (client_id != "nobody")
        assert len(store.directory._clients) == 1


class TestRefusedStart(OnSqlite):
    def test_takes_no_row_and_no_position(self, store: SqliteStore, path: Path, cast: Cast, ask: Ask) -> None:
        ask(store.administration.disable_user(cast.ada, now=NOW))
        assert ask(store.grants.start(conformance.new_grant(cast.player, cast.ada), now=NOW)) is None
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT count(*) FROM grants").fetchall() == [(0,)]
        assert reader.execute("SELECT next_position FROM state").fetchall() == [(0,)]
        reader.close()
