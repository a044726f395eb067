"""The SQLite adapter: every guarantee of the ports, and how little it costs to keep them."""

import shutil
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from jwtauth.bounded import Bounded
from jwtauth.protocol.blast_radius import Selection
from jwtauth.protocol.records import Client
from jwtauth.store.sqlite import sweep
from jwtauth.store.sqlite.connection import prepare
from jwtauth.store.sqlite.store import SqliteStore
from tests.store.conformance import (
    administration,
    attempts,
    codes,
    consents,
    directory,
    endings,
    exchanged,
    grants,
    keeping,
    legacy_uses,
    logouts,
    positions,
    revocations,
    sessions,
    watching,
)
from tests.store.conformance.cast import (
    KEPT_IN,
    MAX_TOKEN_LIFETIME,
    NOW,
    Cast,
    Conformance,
    OpenStore,
    denied,
    digest,
    new_grant,
    new_session,
    rotated,
    signed_in,
    span,
    started,
    taken,
    to_be_told,
    with_code,
)
from tests.store.racing import Ask

SMALL: Final = ("SCAN state", "SCAN CONSTANT ROW")
"""How SQLite says that it reads a table of one row."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as `jwtauth init` makes it, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "jwtauth.db"
    prepare(path)
    return path


class OnSqlite(Conformance):
    """Stores on one file."""

    @pytest.fixture
    def path(self, prepared: Path, tmp_path: Path) -> Path:
        return Path(shutil.copy(prepared, tmp_path / "jwtauth.db"))

    @pytest.fixture
    def memory(self, path: Path) -> OpenStore:
        return partial(SqliteStore, path, max_token_lifetime=MAX_TOKEN_LIFETIME)


class TestGrants(OnSqlite, grants.GrantsConformance):
    pass


class TestStart(OnSqlite, codes.StartConformance):
    pass


class TestRedeem(OnSqlite, codes.RedeemConformance):
    pass


class TestExchanged(OnSqlite, exchanged.ExchangedConformance):
    """`Grants` that a foreign token is exchanged for"""


class TestOfUser(OnSqlite, codes.OfUserConformance):
    pass


class TestSessions(OnSqlite, sessions.SessionsConformance):
    pass


class TestSessionEnd(OnSqlite, sessions.SessionEndConformance):
    pass


class TestEverywhere(OnSqlite, sessions.EverywhereConformance):
    pass


class TestConsents(OnSqlite, consents.ConsentsConformance):
    pass


class TestLogouts(OnSqlite, logouts.LogoutsConformance):
    pass


class TestPositions(OnSqlite, positions.PositionsConformance):
    pass


class TestRevocations(OnSqlite, revocations.RevocationsConformance):
    pass


class TestAttempts(OnSqlite, attempts.AttemptsConformance):
    pass


class TestWatching(OnSqlite, watching.WatchingConformance):
    def test_a_proof_is_a_write_to_the_disk(self, store: SqliteStore, path: Path, ask: Ask) -> None:
        """Not one that SQLite leaves out, as nothing would change by it."""
        log = path.with_name(f"{path.name}-wal")
        before = log.stat().st_size
        ask(store.prove_writable(now=NOW))
        assert log.stat().st_size > before


class TestLegacyUses(OnSqlite, legacy_uses.LegacyUsesConformance):
    def test_are_counted_since_the_table_is_there(self, store: SqliteStore, prepared: Path) -> None:
        assert abs(store.legacy_uses.since() - int(prepared.stat().st_mtime)) < 60


class TestDirectory(OnSqlite, directory.DirectoryConformance):
    pass


class TestOrigins(OnSqlite, directory.OriginsConformance):
    pass


class TestAdministration(OnSqlite, administration.AdministrationConformance):
    pass


class TestEnding(OnSqlite, endings.EndingConformance):
    pass


class TestKeeping(OnSqlite, keeping.KeepingConformance):
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
        for position in span(block):
            ask(store.positions.deny(position, now=NOW + KEPT_IN))
            other.refresh()
        assert not other.positions.is_denied(early.position)
        assert denied(other, span(block)) == {True}


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
        for day, position in enumerate(span(block)):
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

    def test_takes_more_than_sign_ins_of_people_add(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        for day in range(50):
            now = NOW + day * 86_400
            new = new_session(cast.ada, f"cookie {day}", expires_at=now + 60, ends_at=now + 60)
            answer = ask(store.sessions.start(new, replaces=None, lease_in=30, now=now))
            assert answer is not None
            lives = {"expires_at": now + 60, "session_id": answer[0].id, "transaction": digest(f"t {day}")}
            ask(started(store, cast.player, cast.ada, now=now, **lives))
        for table in ("sessions", "session_clients", "finished", "grants"):
            assert 1 <= self.count(reader, table) <= 2

    def test_takes_more_than_people_add_who_only_look_at_their_account(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        for day in range(50):
            now = NOW + day * 86_400
            new = new_session(cast.ada, f"cookie {day}", expires_at=now + 60, ends_at=now + 60)
            ask(store.sessions.start(new, replaces=None, lease_in=30, now=now))
        assert self.count(reader, "sessions") <= 2

    def test_one_row_per_sign_in_however_often_it_is_refreshed(
        self, store: SqliteStore, reader: sqlite3.Connection, cast: Cast, ask: Ask
    ) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        for generation in range(20):
            ask(rotated(store, grant, generation))
        assert self.count(reader, "grants") == 1
        assert self.count(reader, "revocations") == 0


class TestDirectoryCache(OnSqlite):
    def test_is_bounded(self, store: SqliteStore, cast: Cast, ask: Ask) -> None:
        store.directory._clients = Bounded(1)
        for client_id in ("player", "cinema", "player", "nobody"):
            found = ask(store.directory.client(client_id))
            assert isinstance(found, Client) is (client_id != "nobody")
        assert len(store.directory._clients) == 1

    def test_is_bounded_for_numbers_and_for_origins_known_or_not(
        self, store: SqliteStore, cast: Cast, ask: Ask
    ) -> None:
        store.directory._numbered, store.directory._origins = Bounded(2), Bounded(2)
        for number in range(5):
            ask(store.directory.client_numbered(cast.player.id + number % 2))
            assert not ask(store.directory.has_origin(f"https://{number}.example"))
        assert not ask(store.directory.has_origin("https://" + "a" * 1_000))
        assert list(store.directory._numbered) == [cast.player.id, cast.cinema.id]
        assert list(store.directory._origins) == ["https://3.example", "https://4.example"]

    def test_asks_the_file_once_for_an_origin(self, store: SqliteStore, cast: Cast, ask: Ask) -> None:
        seen: list[str] = []
        store.refresh()
        ask(store.directory.has_origin("https://nobody.example"))
        store._reader.set_trace_callback(seen.append)
        assert not ask(store.directory.has_origin("https://nobody.example"))
        assert seen == []


class TestRefusedStart(OnSqlite):
    def test_takes_no_row_and_no_position(self, store: SqliteStore, path: Path, cast: Cast, ask: Ask) -> None:
        ask(store.administration.disable_user(cast.ada, now=NOW))
        assert ask(store.grants.start(new_grant(cast.player, cast.ada), now=NOW)) is None
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT count(*) FROM grants").fetchall() == [(0,)]
        assert reader.execute("SELECT next_position FROM state").fetchall() == [(0,)]
        reader.close()


class TestSecrets(OnSqlite):
    """SECURITY S-10: a leaked database lets nobody in."""

    def dump(self, path: Path) -> str:
        with closing(sqlite3.connect(path)) as reader:
            return "\n".join(reader.iterdump())

    def test_of_a_session_is_there_as_its_digest_and_leaves_with_a_new_one(
        self, store: SqliteStore, path: Path, cast: Cast, ask: Ask
    ) -> None:
        session = ask(signed_in(store, cast.ada, sid="public name"))
        assert digest("cookie").hex().upper() in self.dump(path)
        instants = {"auth_time": NOW, "expires_at": NOW + 9, "now": NOW}
        ask(
            store.sessions.renew(
                session.id, digest=digest("renewed"), user_epoch=cast.ada.epoch, upstream_realm=None, **instants
            )
        )
        dump = self.dump(path)
        assert digest("renewed").hex().upper() in dump
        assert digest("cookie").hex().upper() in dump, "whose answer gets lost still holds it"
        ask(
            store.sessions.renew(
                session.id, digest=digest("again"), user_epoch=cast.ada.epoch, upstream_realm=None, **instants
            )
        )
        assert digest("cookie").hex().upper() not in self.dump(path)
        assert "cookie" not in dump

    def test_of_a_code_leave_when_it_is_redeemed(self, store: SqliteStore, path: Path, cast: Cast, ask: Ask) -> None:
        grant = ask(with_code(store, cast.player, cast.ada, nonce="the nonce", redirect_uri="https://back.example"))
        assert {"the nonce", "https://back.example"} <= set(self.dump(path).split("'"))
        ask(store.grants.redeem(grant.id, expires_at=NOW + 99, now=NOW))
        assert not {"the nonce", "https://back.example"} & set(self.dump(path).split("'"))


class TestPlans(OnSqlite):
    """Questions asked at every sign-in, and sweeps, find their rows by an index."""

    def plans(self, store: SqliteStore, work: Coroutine[Any, Any, object], path: Path, ask: Ask) -> list[str]:
        """How each statement of one write finds its rows."""
        seen: list[str] = []
        store._writer._connection.set_trace_callback(seen.append)
        ask(work)
        store._writer._connection.set_trace_callback(None)
        questions = [text for text in seen if text.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
        with closing(sqlite3.connect(path)) as reader:
            return [row[3] for text in questions for row in reader.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()]

    @pytest.mark.parametrize("what", ["start", "sign in", "end", "end_all", "withdraw", "take_due", "change_client"])
    def test_scan_no_table(self, store: SqliteStore, path: Path, cast: Cast, ask: Ask, what: str) -> None:
        player = ask(to_be_told(store, cast.player))
        session = ask(signed_in(store, cast.ada))
        offer = new_grant(player, cast.ada, session_id=session.id, transaction=digest("t"))
        work: Coroutine[Any, Any, object]
        match what:
            case "start":
                work = store.grants.start(offer, now=NOW)
            case "sign in":
                new = new_session(cast.ada, "another")
                work = store.sessions.start(new, replaces=session.id, lease_in=30, now=NOW)
            case "end":
                work = store.sessions.end(session.id, lease_in=30, now=NOW)
            case "end_all":
                work = store.sessions.end_all(cast.ada, now=NOW)
            case "withdraw":
                work = store.consents.withdraw(cast.ada, player.id, now=NOW)
            case "change_client":
                work = store.administration.change_client(player, now=NOW)
            case _:
                work = store.logouts.take_due(limit=10, of_one_client=8, lease_in=30, now=NOW)
        plans = self.plans(store, work, path, ask)
        assert plans
        assert [
            plan for plan in plans if plan.startswith("SCAN") and plan not in SMALL and "subquery" not in plan
        ] == []
        assert not [plan for plan in plans if "grants_client_id" in plan]

    @pytest.mark.parametrize(
        "names", [["grant_id"], ["position"], ["user_id"], ["client_id"], ["user_id", "client_id"]]
    )
    def test_scan_no_grants_to_revoke_some(
        self, store: SqliteStore, path: Path, cast: Cast, ask: Ask, names: list[str]
    ) -> None:
        ask(started(store, cast.player, cast.ada))
        every = Selection(grant_id=1, position=0, user_id=cast.ada.id, client_id=cast.player.id)
        selection = Selection(**{name: getattr(every, name) for name in names})
        plans = self.plans(store, store.revocations.revoke(selection, now=NOW), path, ask)
        assert [plan for plan in plans if plan.startswith("SEARCH grants")]
        assert not [plan for plan in plans if plan.startswith(("SCAN grants", "SCAN blocks", "SCAN revocations"))]
        assert "user_id" not in names or not [plan for plan in plans if "grants_client_id" in plan]
