"""Opening the file: SECURITY S-02, S-05, S-16; every refusal says what to do."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from jwtauth.errors import ConfigurationError
from jwtauth.store.sqlite.connection import connect, prepare
from jwtauth.store.sqlite.store import SqliteStore
from tests.support.disk import limited


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jwtauth.db"


@pytest.fixture
def database(path: Path) -> Path:
    """A database as `jwtauth init` makes it."""
    prepare(path)
    return path


def run(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchall()[0][0]


class TestPrepare:
    def test_makes_a_file_that_only_its_owner_reads(self, database: Path) -> None:
        assert stat.S_IMODE(database.stat().st_mode) == 0o600

    def test_keeps_the_log_beside_it_as_private(self, database: Path) -> None:
        store = SqliteStore(database, max_token_lifetime=60)
        modes = {stat.S_IMODE(file.stat().st_mode) for file in database.parent.glob("jwtauth.db*")}
        store.close()
        assert modes == {0o600}

    def test_changes_nothing_the_second_time(self, database: Path) -> None:
        run(database, "UPDATE state SET next_position = 77")
        before = run(database, "SELECT * FROM sqlite_schema")
        prepare(database)
        assert run(database, "SELECT next_position FROM state") == [(77,)]
        assert run(database, "SELECT * FROM sqlite_schema") == before

    def test_makes_all_of_the_schema_or_nothing(self, path: Path) -> None:
        run(path, "CREATE TABLE attempts (x)")
        with pytest.raises(ConfigurationError, match="cannot be brought up to date"):
            prepare(path)
        assert "state" not in {name for (name,) in run(path, "SELECT name FROM sqlite_schema")}
        run(path, "DROP TABLE attempts")
        prepare(path)
        connect(path).close()

    def test_finishes_what_an_interrupted_first_start_left(self, path: Path) -> None:
        path.touch(0o600)
        prepare(path)
        connect(path).close()

    def test_says_why_it_cannot_write(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="cannot be opened for writing"):
            prepare(tmp_path / "missing" / "jwtauth.db")

    def test_never_writes_over_another_file(self, path: Path) -> None:
        path.write_text("precious notes\n" * 100)
        with pytest.raises(ConfigurationError, match="not a database; correct the setting database"):
            prepare(path)
        assert path.read_text() == "precious notes\n" * 100


class TestConnect:
    def test_flushes_every_commit_on_both_connections(self, database: Path) -> None:
        store = SqliteStore(database, max_token_lifetime=60)
        for connection in (store._reader, store._writer._connection):
            assert pragma(connection, "journal_mode") == "wal"
            assert pragma(connection, "synchronous") == 2
            assert pragma(connection, "foreign_keys") == 1
        assert pragma(store._reader, "query_only") == 1
        store.close()

    @pytest.mark.parametrize("name", ["a b.db", "50%41.db", "what?.db", "a#b.db", "dätä.db", "a&mode=memory.db"])
    def test_opens_the_very_file_whatever_its_name(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        prepare(path)
        with closing(connect(path)):
            assert {file.name for file in tmp_path.iterdir()} <= {name, f"{name}-wal", f"{name}-shm"}


def missing(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be read as one" * 100)


def older(path: Path) -> None:
    run(path, "DELETE FROM _sqlite_migrations WHERE id = (SELECT max(id) FROM _sqlite_migrations)")


def newer(path: Path) -> None:
    run(path, "INSERT INTO _sqlite_migrations VALUES (99, 'jwtauth', 'm9999_future', '2100-01-01')")


def read_only(path: Path) -> None:
    path.chmod(0o400)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


class TestRefusal:
    @pytest.mark.parametrize(
        ("spoil", "advice"),
        [
            (
                missing,
                "does not exist; run `jwtauth init` for a new one, `jwtauth restore FILE` if it was lost,",
            ),
            (older, "has an older schema; run `jwtauth init`"),
            (newer, r"newer version of jwtauth \(m9999_future\); install that version"),
            (read_only, "is read-only; the service has to write"),
            (garbage, "not a database; correct the setting database, or restore the file from a backup"),
            (directory, "correct the setting database"),
        ],
    )
    def test_says_what_to_do_and_changes_nothing(
        self, database: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], advice: str
    ) -> None:
        spoil(database)
        before = content(database)
        # Root may write to everything: ask the mode bits, as the kernel does for everybody else.
        monkeypatch.setattr(os, "access", lambda file, mode: bool(Path(file).stat().st_mode & 0o200))
        with pytest.raises(ConfigurationError, match=advice) as refusal:
            SqliteStore(database, max_token_lifetime=60)
        assert str(database) in str(refusal.value)
        assert content(database) == before

    def test_for_want_of_room_sends_to_the_disk_and_not_to_a_backup(self, database: Path) -> None:
        """A sound database would be replaced by an older one."""
        with (
            limited(4_096),  # too little for the index of the log
            pytest.raises(ConfigurationError, match="its disk is full or fails") as refusal,
        ):
            SqliteStore(database, max_token_lifetime=60)
        assert f"df -h {database.parent}" in str(refusal.value)
        assert "restore" not in str(refusal.value)
        SqliteStore(database, max_token_lifetime=60).close()

    def test_of_a_locked_database_sends_to_who_holds_it(self, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jwtauth.store.sqlite.connection.OPEN_IN", 0.1)
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(ConfigurationError, match="another process holds it") as refusal:
                SqliteStore(database, max_token_lifetime=60)
        assert f"fuser {database}" in str(refusal.value)
        assert "restore" not in str(refusal.value)

    def test_of_an_empty_file_never_makes_a_database_of_it(self, path: Path) -> None:
        path.touch()
        with pytest.raises(ConfigurationError, match="has an older schema; run `jwtauth init`"):
            SqliteStore(path, max_token_lifetime=60)
        assert run(path, "SELECT * FROM sqlite_schema") == []

    def test_of_a_newer_schema_is_not_mended_by_preparing(self, database: Path) -> None:
        newer(database)
        with pytest.raises(ConfigurationError, match="newer version"):
            prepare(database)

    def test_leaves_no_file_open(self, database: Path) -> None:
        garbage(database)
        before = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else set[str]()
        for _ in range(5):
            with pytest.raises(ConfigurationError):
                connect(database)
        assert not before or len(os.listdir("/proc/self/fd")) <= len(before)


class TestBackup:
    def test_a_copy_with_its_log_has_everything_that_was_committed(self, database: Path, tmp_path: Path) -> None:
        """SECURITY S-02: what was acknowledged is in the file or in its log, whoever dies next."""
        with closing(connect(database)) as connection:
            connection.execute("UPDATE state SET next_position = 5")
            copy = tmp_path / "copy"
            copy.mkdir()
            for file in database.parent.glob("jwtauth.db*"):
                shutil.copy(file, copy)
        assert run(copy / "jwtauth.db", "SELECT next_position FROM state") == [(5,)]


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
