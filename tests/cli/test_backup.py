"""`jwtauth backup` and `jwtauth restore`: what is copied, what is refused, what comes back (SECURITY S-07, S-08)."""

import fcntl
import os
import re
import shlex
import shutil
import sqlite3
import stat
import tarfile
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jwtauth.cli import reporting
from jwtauth.cli.commands import root
from jwtauth.cli.running import with_store
from jwtauth.errors import ConfigurationError
from jwtauth.issuer import assembly
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol.records import Consent, Grant, NewGrant, User
from jwtauth.settings import Source
from jwtauth.store.ports import Store
from jwtauth.store.sqlite import backups, connection

Run = Callable[..., Result]
Refused = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "one.backup"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "one.tar"


@pytest.fixture
def copied(people: Run, start_grant: Callable[[], Grant], file: Path, archive: Path) -> Path:
    """A backup with one grant, its secrets in `archive`."""
    start_grant()
    assert people("backup", str(file), "--secrets", str(archive)).exit_code == 0
    return file


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(statement).fetchall()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files_in(folder: Path) -> dict[str, bytes]:
    """All there is, but for what SQLite keeps beside an open database."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


class TestBackup:
    def test_says_what_it_copied(
        self, people: Run, start_grant: Callable[[], Grant], read: Any, source: Source, file: Path
    ) -> None:
        grant = start_grant()
        assert read("backup", str(file)) == {
            "file": str(file),
            "bytes": file.stat().st_size,
            "realms": 1,
            "clients": 1,
            "users": 1,
            "grants": 1,
            "epoch": rows(source.database, "SELECT epoch FROM state")[0][0],
            "newest_grant_at": grant.created_at,
            "secrets_file": None,
            "secrets": [],
        }

    def test_is_one_sound_file_of_its_owner(self, copied: Path) -> None:
        assert mode(copied) == 0o600
        assert rows(copied, "PRAGMA integrity_check") == [("ok",)]
        assert rows(copied, "PRAGMA journal_mode") == [("delete",)]
        assert [path.name for path in copied.parent.glob(f".*{copied.name}*")] == []
        assert [path.name for path in copied.parent.glob(f"{copied.name}?*")] == []

    def test_has_what_is_in_the_log_of_an_open_database(self, people: Run, source: Source, file: Path) -> None:
        """A file copied without its log would lack it."""
        open_: sqlite3.Connection = connection.connect(source.database)
        with closing(open_):
            open_.execute("UPDATE state SET next_position = 77")
            assert people("backup", str(file)).exit_code == 0
        assert rows(file, "SELECT next_position FROM state") == [(77,)]

    def test_waits_for_no_writer_and_copies_nothing_of_what_is_not_committed(
        self, people: Run, source: Source, file: Path
    ) -> None:
        writer: sqlite3.Connection = connection.connect(source.database)
        with closing(writer):
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE state SET next_position = 77")
            assert people("backup", str(file)).exit_code == 0
            writer.execute("COMMIT")
        assert rows(file, "SELECT next_position FROM state") == [(0,)]

    def test_holds_no_secret_and_no_key(self, copied: Path, source: Source) -> None:
        content = copied.read_bytes()
        folder = KeyFolder(source.keys)
        secrets = [secret.secret for secret in folder.read_secrets().secrets]
        assert not [secret for secret in secrets if secret in content or b64encode(secret) in content]
        assert b"PRIVATE KEY" not in content

    def test_of_an_older_schema_is_taken_as_it_is(self, people: Run, source: Source, file: Path) -> None:
        """Before an upgrade is when one wants it."""
        rows(source.database, "DELETE FROM _sqlite_migrations WHERE id = (SELECT max(id) FROM _sqlite_migrations)")
        assert people("backup", str(file)).exit_code == 0

    def test_replaces_nothing_unless_told(self, copied: Path, refused: Refused, run: Run, archive: Path) -> None:
        before = copied.read_bytes(), archive.read_bytes()
        assert "exists already" in refused("backup", str(copied))
        assert "exists already" in refused("backup", f"{copied}2", "--secrets", str(archive))
        assert (copied.read_bytes(), archive.read_bytes()) == before
        assert not Path(f"{copied}2").exists(), "nothing is begun that cannot be ended"
        assert run("backup", str(copied), "--secrets", str(archive), "--force").exit_code == 0

    @pytest.mark.parametrize("name", ["jwtauth.db", "jwtauth.db-wal", "keys/server.secret", "keys/new", "./jwtauth.db"])
    def test_never_overwrites_the_service_itself(self, people: Run, refused: Refused, folder: Path, name: str) -> None:
        before = files_in(folder)
        assert "keeps its own" in refused("backup", f"{folder}/{name}", "--force")
        assert "keeps its own" in refused("backup", f"{folder}/x", "--secrets", f"{folder}/{name}", "--force")
        assert files_in(folder) == before

    def test_of_a_damaged_database_is_refused_and_leaves_the_last_one(
        self, copied: Path, refused: Refused, source: Source
    ) -> None:
        before = copied.read_bytes()
        damage(source.database)
        assert "damaged" in refused("backup", str(copied), "--force")
        assert copied.read_bytes() == before
        assert [path.name for path in copied.parent.glob(".*")] == []

    def test_of_no_database_says_so(self, people: Run, refused: Refused, source: Source, file: Path) -> None:
        source.database.unlink()
        assert "does not exist" in refused("backup", str(file))
        assert not source.database.exists()


class TestTheSecrets:
    def test_are_a_file_of_their_own_that_one_is_warned_of(
        self, people: Run, source: Source, file: Path, archive: Path
    ) -> None:
        done = people("backup", str(file), "--secrets", str(archive))
        assert "whoever reads it can make tokens" in done.stderr
        assert mode(archive) == 0o600
        with tarfile.open(archive) as tar:
            kept = {name: tar.extractfile(name) for name in tar.getnames()}
            assert {name: found.read() for name, found in kept.items() if found} == files_in(source.keys)

    def test_must_be_those_of_the_database(
        self, people: Run, refused: Refused, source: Source, file: Path, archive: Path
    ) -> None:
        """What could never be restored is not called a backup."""
        rows(source.database, "INSERT INTO secrets VALUES (2, 'of another')")
        assert "number 2 is missing" in refused("backup", str(file), "--secrets", str(archive))
        assert not archive.exists()

    def test_are_not_written_into_the_backup_of_the_database(self, people: Run, file: Path) -> None:
        assert people("backup", str(file), "--secrets", str(file)).exit_code == 2


def damage(path: Path) -> None:
    """Overwrite pages in the middle."""
    with path.open("r+b") as content:
        content.seek(4096)
        content.write(os.urandom(8 * 4096))


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def nonsense(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be read as one" * 100)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def of_something_else(path: Path) -> None:
    path.unlink()
    rows(path, "CREATE TABLE notes (note)")


def newer(path: Path) -> None:
    rows(path, "INSERT INTO _sqlite_migrations VALUES (99, 'jwtauth', 'm9999_future', '2100-01-01')")


def orphaned(path: Path) -> None:
    rows(path, "DELETE FROM realms")


def absurd(path: Path) -> None:
    rows(path, "UPDATE state SET epoch = 9223372036854775807")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (nothing, "is no database of jwtauth"),
    "nonsense": (nonsense, "is no database of jwtauth"),
    "cut short": (cut_short, "damaged"),
    "damaged": (damage, "damaged"),
    "rows without their owner": (orphaned, "is damaged: "),
    "an epoch beyond all": (absurd, "is damaged: its epoch"),
    "of something else": (of_something_else, "is no database of jwtauth"),
    "of a newer version": (newer, "newer version of jwtauth (m9999_future); install that version"),
}


class TestRestoreRefuses:
    @pytest.mark.parametrize(
        "what",
        [
            "CREATE TRIGGER back AFTER UPDATE ON state WHEN new.epoch > 1 BEGIN UPDATE state SET epoch = 1; END",
            "CREATE TRIGGER stays BEFORE DELETE ON grants BEGIN SELECT raise(IGNORE); END",
            "CREATE VIEW more AS SELECT * FROM users",
        ],
    )
    def test_a_backup_that_does_more_than_hold_rows(
        self, copied: Path, refused: Refused, source: Source, what: str
    ) -> None:
        """It could take its epoch back, and with it bring used tokens back to life."""
        before = rows(source.database, "SELECT epoch FROM state")
        rows(copied, what)
        assert "none of ours has one" in refused("restore", str(copied), "--yes")
        assert rows(source.database, "SELECT epoch FROM state") == before

    @pytest.mark.parametrize("name", REFUSED)
    def test_what_is_no_sound_backup_and_changes_nothing(
        self, copied: Path, refused: Refused, folder: Path, name: str
    ) -> None:
        spoil, words = REFUSED[name]
        spoil(copied)
        before = files_in(folder)
        line = refused("restore", str(copied), "--yes")
        assert words in line
        assert str(copied) in line
        assert files_in(folder) == before

    def test_to_go_on_unless_told_yes(self, copied: Path, run: Run, folder: Path) -> None:
        before = files_in(folder)
        asked = run("restore", str(copied), text="n\n")
        assert asked.exit_code == 1
        assert "1 users, 1 clients" in asked.stderr
        assert "everybody has to sign in again" in asked.stderr
        assert files_in(folder) == before

    def test_the_database_itself(self, copied: Path, refused: Refused, source: Source) -> None:
        assert "is the database itself" in refused("restore", str(source.database), "--yes")

    def test_while_another_restore_runs(self, copied: Path, refused: Refused, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            assert "another restore" in refused("restore", str(copied), "--yes")
        finally:
            os.close(handle)

    def test_a_backup_put_in_place_by_hand(self, copied: Path, refused: Refused, source: Source) -> None:
        """It would bring used refresh tokens back to life; restoring it is the way out."""
        shutil.copy(copied, source.database)
        for command in (("user", "list"), ("init",), ("serve",)):
            assert "is a backup; move it elsewhere" in refused(*command)
        with pytest.raises(ConfigurationError, match="is a backup"):
            assembly.open_issuer(source)


class TestRestore:
    def test_brings_back_what_was_registered(self, copied: Path, run: Run, read: Any) -> None:
        run("user", "create", "bob", "--realm", "default", "--no-password")
        run("user", "disable", "alice")
        record = read("restore", str(copied), "--yes")
        assert (record["users"], record["ended_grants"], record["secrets"], record["written_keys"]) == (
            1,
            1,
            "kept",
            [],
        )
        (alice,) = read("user", "list")
        assert alice["username"] == "alice"
        assert alice["disabled_at"] is None

    def test_leaves_nothing_that_was_under_way(self, copied: Path, run: Run, source: Source) -> None:
        assert run("restore", str(copied), "--yes").exit_code == 0
        for table in ("grants", "sessions", "session_clients", "blocks", "revocations", "logouts", "finished"):
            assert rows(source.database, f"SELECT * FROM {table}") == []

    def test_migrates_an_older_backup(self, copied: Path, run: Run, source: Source) -> None:
        for statement in (
            "ALTER TABLE sessions DROP COLUMN upstream_realm",
            "DELETE FROM _sqlite_migrations WHERE name = 'm0006_upstream_realms'",
        ):
            rows(copied, statement)
        assert run("restore", str(copied), "--yes").exit_code == 0
        connection.connect(source.database).close()

    @pytest.mark.parametrize(
        "spoil", [Path.unlink, nothing, nonsense, damage], ids=["lost", "empty", "nonsense", "bad"]
    )
    def test_replaces_a_database_that_is_lost_or_damaged(
        self, copied: Path, run: Run, read: Any, source: Source, spoil: Callable[[Path], None]
    ) -> None:
        open_: sqlite3.Connection = connection.connect(source.database)
        with closing(open_):
            open_.execute("UPDATE state SET next_position = 77")
            spoil(source.database)
            assert source.database.with_name("jwtauth.db-wal").exists(), "a log that must not be played back"
            done = run("restore", str(copied), "--yes")
            assert done.exit_code == 0, done.stderr
            assert mode(source.database) == 0o600
            assert rows(source.database, "PRAGMA integrity_check") == [("ok",)]
        assert [user["username"] for user in read("user", "list")] == ["alice"]
        assert [path.name for path in source.folder.glob(".*")] == []

    def test_plays_no_log_of_the_lost_file_back(self, copied: Path, run: Run, source: Source) -> None:
        open_: sqlite3.Connection = connection.connect(source.database)
        with closing(open_):
            open_.execute("UPDATE state SET next_position = 77")
            log = source.database.with_name("jwtauth.db-wal").read_bytes()
        source.database.unlink()
        source.database.with_name("jwtauth.db-wal").write_bytes(log)
        assert run("restore", str(copied), "--yes").exit_code == 0
        assert rows(source.database, "SELECT next_position FROM state") == [(1,)]

    @pytest.mark.parametrize("spoil", [nonsense, of_something_else], ids=["nonsense", "of something else"])
    def test_destroys_nothing_that_it_cannot_read(
        self, copied: Path, read: Any, source: Source, spoil: Callable[[Path], None]
    ) -> None:
        """Perhaps the setting `database` named a wrong file, perhaps somebody can mend it."""
        spoil(source.database)
        before = source.database.read_bytes()
        record = read("restore", str(copied), "--yes")
        assert record["kept"] == f"{source.database}.before-{record['epoch']}"
        assert Path(record["kept"]).read_bytes() == before

    def test_leaves_the_backup_as_it_is(self, copied: Path, run: Run) -> None:
        before = copied.read_bytes()
        for _ in range(2):
            assert run("restore", str(copied), "--yes").exit_code == 0
        assert copied.read_bytes() == before

    def test_is_told_to_the_log(self, copied: Path, run: Run) -> None:
        assert "database.restored" in run("restore", str(copied), "--yes").stderr

    def test_and_backup_are_audited(self, copied: Path, run: Run, read: Any) -> None:
        """Whoever copies the secrets can make tokens."""
        run("restore", str(copied), "--yes")
        found = [(entry["name"], entry["operator"]) for entry in read("audit", "show")]
        names = ("database.copied", "secrets.copied", "database.restored")
        assert found[-3:] == [(name, reporting.operator()) for name in names]


class TestTheSecretsAfterwards:
    """S-08: a database is not restored beside secrets that it was never used with; nothing is made unless told."""

    def remedies(self, refused: Refused, file: Path, folder: Path) -> str:
        before = files_in(folder)
        line = refused("restore", str(file), "--yes")
        assert files_in(folder) == before
        assert "with --secrets, or make a new one with --new-secret" in line
        return line

    def test_that_are_lost_keep_it_from_being_restored(
        self, copied: Path, refused: Refused, folder: Path, source: Source
    ) -> None:
        (source.keys / "server.secret").unlink()
        assert "server.secret is missing" in self.remedies(refused, copied, folder)

    def test_of_another_service_keep_it_from_being_restored(
        self, copied: Path, refused: Refused, folder: Path, source: Source
    ) -> None:
        path = source.keys / "server.secret"
        path.write_text(path.read_text().replace(path.read_text().split('"secret"')[1], ': "' + "A" * 43 + '="\n}]}'))
        assert "number 1 is missing or not the one" in self.remedies(refused, copied, folder)

    def test_come_back_with_their_archive(
        self, copied: Path, archive: Path, run: Run, source: Source, read: Any
    ) -> None:
        before = files_in(source.keys)
        shutil.rmtree(source.keys)
        record = read("restore", str(copied), "--secrets", str(archive), "--yes")
        assert sorted(record["written_keys"]) == sorted(before)
        assert files_in(source.keys) == before
        assert {mode(path) for path in source.keys.iterdir()} == {0o600}
        assembly.open_issuer(source).close()

    def test_a_key_that_was_withdrawn_since_does_not_come_back(
        self, copied: Path, archive: Path, run: Run, source: Source, read: Any
    ) -> None:
        """Whoever stole it could sign tokens again."""
        (lost,) = read("keys", "rotate", "--now", "--yes")["removed_keys"]
        record = read("restore", str(copied), "--secrets", str(archive), "--yes")
        assert record["written_keys"] == ["server.secret"]
        assert lost not in [key["kid"] for key in read("keys", "list")]

    def test_of_another_archive_are_refused(self, copied: Path, archive: Path, refused: Refused, folder: Path) -> None:
        rows(copied, "UPDATE secrets SET fingerprint = 'of another'")
        before = files_in(folder)
        assert "number 1 is missing" in refused("restore", str(copied), "--secrets", str(archive), "--yes")
        assert files_in(folder) == before

    def test_can_be_made_anew_where_they_are_lost_for_good(
        self, copied: Path, run: Run, source: Source, read: Any
    ) -> None:
        (source.keys / "server.secret").unlink()
        assert read("restore", str(copied), "--new-secret", "--yes")["secrets"] == "new"
        assert [secret.number for secret in KeyFolder(source.keys).read_secrets().secrets] == [2]
        assert [number for (number,) in rows(source.database, "SELECT number FROM secrets")] == [2]
        assembly.open_issuer(source).close()

    def test_of_an_emergency_rotation_since_stay_if_told_to_make_new_ones(
        self, copied: Path, run: Run, refused: Refused, source: Source
    ) -> None:
        """The backup knows a secret that leaked and was dropped: it has to be named to come back."""
        run("keys", "rotate", "--secret", "--now", "--yes")
        assert "number 1 is missing" in refused("restore", str(copied), "--yes")
        assert run("restore", str(copied), "--new-secret", "--yes").exit_code == 0
        assembly.open_issuer(source).close()

    @pytest.mark.parametrize("options", [("--new-secret",), ("--secrets", "one.tar")], ids=["new", "of the archive"])
    def test_are_what_they_were_where_the_database_cannot_be_replaced(
        self,
        copied: Path,
        run: Run,
        refused: Refused,
        folder: Path,
        source: Source,
        options: tuple[str, ...],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The database of now works with the secrets of now, and with no others."""
        monkeypatch.chdir(folder)
        monkeypatch.setattr(backups, "LOCKED_FOR", 0.0)
        next(source.keys.glob("RS256-*")).unlink()  # so that the archive has more to bring than a secret
        before = files_in(source.keys)
        writer: sqlite3.Connection = connection.connect(source.database)
        with closing(writer):
            writer.execute("BEGIN IMMEDIATE")
            assert "locked" in refused("restore", str(copied), "--yes", *options)
        assert files_in(source.keys) == before
        assembly.open_issuer(source).close()

    def test_may_have_become_more_since(self, copied: Path, run: Run, source: Source) -> None:
        run("keys", "rotate", "--secret")
        assert run("restore", str(copied), "--yes").exit_code == 0
        assert [number for (number,) in rows(source.database, "SELECT number FROM secrets")] == [1, 2]

    def test_come_from_one_place(self, copied: Path, archive: Path, run: Run) -> None:
        assert run("restore", str(copied), "--new-secret", "--secrets", str(archive)).exit_code == 2

    @pytest.mark.parametrize(
        "name",
        [
            "empty",
            "nonsense",
            "readable by others",
            "with a path",
            "with a link",
            "with a name that moves the cursor",
            "with a hole",
            "without",
        ],
    )
    def test_are_taken_from_no_other_file(
        self, copied: Path, archive: Path, refused: Refused, folder: Path, name: str
    ) -> None:
        SPOILT[name](archive)
        before = files_in(folder.parent)
        line = refused("restore", str(copied), "--secrets", str(archive), "--yes")
        assert "backup --secrets" in line or "can be read by others" in line
        assert files_in(folder.parent) == before


def packed(archive: Path, name: str, kind: bytes = tarfile.REGTYPE) -> None:
    """An archive that has been added to."""
    with tarfile.open(archive, "a") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)


def with_a_hole(archive: Path) -> None:
    """A few bytes that say to be a file of gigabytes (GNU tar's sparse files)."""
    member = tarfile.TarInfo("ES256-x.key.json")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    for start, number in ((386, 0), (398, 0), (483, 1 << 32)):
        header[start : start + 12] = b"%011o\0" % number
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 0x20)
    content = archive.read_bytes()
    with tarfile.open(archive) as tar:
        end = max(found.offset_data + 512 * -(-found.size // 512) for found in tar)
    archive.write_bytes(content[:end] + header + bytes(1024))


def without_secret(archive: Path) -> None:
    archive.unlink()
    packed(archive, "ES256-x.key.json")
    archive.chmod(0o600)


SPOILT: dict[str, Callable[[Path], None]] = {
    "empty": nothing,
    "nonsense": nonsense,
    "readable by others": lambda archive: archive.chmod(0o640),
    "with a path": lambda archive: packed(archive, "../ES256-x.key.json"),
    "with a link": lambda archive: packed(archive, "ES256-x.key.json", tarfile.SYMTYPE),
    "with a name that moves the cursor": lambda archive: packed(archive, "\x1b[2J.key.json"),
    "with a hole": with_a_hole,
    "without": without_secret,
}


@pytest.fixture
def consent(people: Run, source: Source) -> Callable[..., None]:
    """Alice allows the portal what it asks for."""

    async def work(store: Store, scope: tuple[str, ...], granted_at: int) -> None:
        client, user = await store.directory.client("portal"), await store.directory.user_named("alice")
        assert client is not None
        assert user is not None
        new = NewGrant(
            client_id=client.id,
            client_epoch=client.epoch,
            user_id=user.id,
            user_epoch=user.epoch,
            scope=scope,
            secret_number=1,
            expires_at=granted_at + 1_000,
            ends_at=granted_at + 1_000,
            consent=Consent(user_id=user.id, client_id=client.id, scope=scope, granted_at=granted_at),
        )
        assert await store.grants.start(new, now=granted_at) is not None

    return lambda *scope, at=0: with_store(source, lambda store: work(store, scope, at or int(time.time())))


@pytest.fixture
def withdraw(source: Source) -> Callable[[], None]:
    async def work(store: Store) -> None:
        user: User | None = await store.directory.user_named("alice")
        client = await store.directory.client("portal")
        assert user is not None
        assert client is not None
        await store.consents.withdraw(user, client.id, now=int(time.time()))

    return lambda: with_store(source, work)


class TestConsents:
    def scopes(self, source: Source) -> list[str]:
        return [scope for (scope,) in rows(source.database, "SELECT scope FROM consents")]

    def test_come_back(self, consent: Callable[..., None], run: Run, source: Source, file: Path) -> None:
        consent("read")
        run("backup", str(file))
        assert run("restore", str(file), "--yes").exit_code == 0
        assert self.scopes(source) == ["read"]

    def test_that_were_withdrawn_since_do_not(
        self, consent: Callable[..., None], withdraw: Callable[[], None], run: Run, source: Source, file: Path
    ) -> None:
        consent("read")
        run("backup", str(file))
        withdraw()
        assert run("restore", str(file), "--yes").exit_code == 0
        assert self.scopes(source) == []

    def test_that_were_given_anew_since_do_not(
        self, consent: Callable[..., None], withdraw: Callable[[], None], run: Run, source: Source, file: Path
    ) -> None:
        """What the person said last may be less."""
        consent("read", "write")
        run("backup", str(file))
        withdraw()
        consent("read", at=int(time.time()) + 5)
        assert run("restore", str(file), "--yes").exit_code == 0
        assert self.scopes(source) == []

    @pytest.mark.parametrize("spoil", [Path.unlink, nonsense], ids=["lost", "damaged"])
    def test_are_those_of_the_backup_where_nobody_knows_better(
        self, consent: Callable[..., None], run: Run, source: Source, file: Path, spoil: Callable[[Path], None]
    ) -> None:
        consent("read")
        run("backup", str(file))
        spoil(source.database)
        assert run("restore", str(file), "--yes").exit_code == 0
        assert self.scopes(source) == ["read"]

    def test_are_those_of_the_backup_beside_a_database_just_made(
        self, consent: Callable[..., None], run: Run, source: Source, file: Path
    ) -> None:
        """`jwtauth init` on a new machine, then restore: it knows nobody, so it knows nothing of consents."""
        consent("read")
        run("backup", str(file))
        source.database.unlink()
        connection.prepare(source.database)
        assert run("restore", str(file), "--yes").exit_code == 0
        assert self.scopes(source) == ["read"]


class TestTheDrill:
    def test_works_as_it_is_printed_and_touches_nothing_else(
        self, copied: Path, archive: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where the settings name paths that are not below the drill's folder."""
        settings = (folder / "jwtauth.toml").read_text()
        drill = tmp_path / "drill"
        drill.mkdir()
        (drill / "jwtauth.toml").write_text(f"{settings}database = '{folder}/jwtauth.db'\nkeys = '{folder}/keys'\n")
        before = files_in(folder / "keys"), (folder / "jwtauth.db").read_bytes()
        text = (Path(__file__).parents[2] / "docs" / "backup.md").read_text(encoding="utf-8")
        (block,) = re.findall(r"## A drill\n[^#]*?```sh\n(.*?)```", text, re.DOTALL)
        files = {"/backups/monday.backup": str(copied), "/elsewhere/monday.tar": str(archive)}
        inside, _, after = block.removeprefix("(\n").partition("\n)\n")
        assert block.startswith("(\n"), "what it exports must not stay in the operator's shell"
        assert after.startswith("rm -r drill ")
        for line in inside.splitlines():
            match [files.get(word, word) for word in shlex.split(line, comments=True)]:
                case ["export", *variables]:
                    for name, _, value in (variable.partition("=") for variable in variables):
                        monkeypatch.setenv(name, value)
                case ["jwtauth", command, *arguments] if command != "serve":
                    done = CliRunner().invoke(root, ["--folder", str(drill), command, *arguments], input="y\n")
                    assert done.exit_code == 0, done.output
        assert "alice" in CliRunner().invoke(root, ["--folder", str(drill), "user", "list"]).stdout
        assert (files_in(folder / "keys"), (folder / "jwtauth.db").read_bytes()) == before


class TestForeignTokens:
    def test_that_were_exchanged_since_are_not_exchanged_again(self, copied: Path, run: Run, source: Source) -> None:
        rows(source.database, "INSERT INTO exchanged VALUES (x'01', 4000000000)")
        assert run("restore", str(copied), "--yes").exit_code == 0
        assert rows(source.database, "SELECT digest FROM exchanged") == [(b"\x01",)]
