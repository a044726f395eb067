"""A database of the version before is brought up to date with everything in it (SECURITY S-16)."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlite_utils import Database

from jwtauth.errors import ConfigurationError
from jwtauth.protocol.profile import Profile
from jwtauth.protocol.records import ApplicationType, Grant, RequestedClaims, User
from jwtauth.store.sqlite.connection import prepare
from jwtauth.store.sqlite.migrations import migrations
from jwtauth.store.sqlite.store import SqliteStore
from tests.store.conformance.cast import NOW, new_session, rotated, started
from tests.store.racing import Ask

REDIRECT_URIS = ["https://app.example/back", "http://127.0.0.1:3000/back", "com.example.app:/back"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as the first version left it, in use."""
    path = tmp_path / "jwtauth.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection), stop_before="m0002_people")
        settings = {"scope": ["read"], "redirect_uris": REDIRECT_URIS, "grant_types": ["password", "refresh_token"]}
        for statement, values in (
            ("UPDATE state SET next_position = 8, directory_version = 5", ()),
            ("INSERT INTO realms VALUES (1, 'music', 'https://music.example', NULL, 0, '{}')", ()),
            ("INSERT INTO clients VALUES (3, 'player', 1, 2, NULL, 0, '[]', ?)", (json.dumps(settings),)),
            ("INSERT INTO clients VALUES (4, 'cinema', 1, 0, NULL, 0, '[]', '{}')", ()),
            ("INSERT INTO users VALUES (5, 'u.ada', 'ada', '$h', 6, NULL, 0)", ()),
            ("INSERT INTO members VALUES (5, 1, '[\"ROLE_USER\"]')", ()),
            (
                "INSERT INTO grants VALUES (9, 3, 5, 'read write', '', 7, 1, 1, ?, ?, ?, ?, NULL, ?)",
                (NOW - 10, NOW - 100, NOW + 3_600, NOW + 9_000, NOW + 3_600),
            ),
        ):
            connection.execute(statement, values)
    return path


@pytest.fixture
def store(old: Path) -> Iterator[SqliteStore]:
    prepare(old)
    store = SqliteStore(old, max_token_lifetime=60)
    yield store
    store.close()


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asyncio.Runner() as runner:
        yield runner.run


class TestTheSecondVersion:
    def test_finds_the_grants_of_the_first(self, store: SqliteStore, ask: Ask) -> None:
        grant = ask(store.grants.get(9))
        assert grant == Grant(
            id=9,
            client_id=3,
            user_id=5,
            scope=("read", "write"),
            position=7,
            generation=1,
            secret_number=1,
            rotated_at=NOW - 10,
            created_at=NOW - 100,
            expires_at=NOW + 3_600,
            ends_at=NOW + 9_000,
        )
        assert grant.claims == RequestedClaims()
        assert ask(store.grants.of_user(5, now=NOW)) == [grant]
        assert ask(rotated(store, grant)) == 7

    def test_finds_the_people_of_the_first(self, store: SqliteStore, ask: Ask) -> None:
        assert ask(store.directory.user(5)) == User(
            id=5, sub="u.ada", username="ada", password_hash="$h", epoch=6, roles={"music": ("ROLE_USER",)}
        )

    def test_finds_the_clients_of_the_first_with_new_settings_at_their_defaults(
        self, store: SqliteStore, ask: Ask
    ) -> None:
        client = ask(store.directory.client_numbered(3))
        assert client is not None
        assert (client.client_id, client.scope, client.redirect_uris) == ("player", ("read",), tuple(REDIRECT_URIS))
        assert (client.application_type, client.requires_pkce, client.asks_consent) == (ApplicationType.WEB, True, True)
        assert (client.backchannel_logout_uri, client.post_logout_redirect_uris) == (None, ())

    @pytest.mark.parametrize(
        ("origin", "is_known"),
        [("https://app.example", True), ("http://127.0.0.1:3000", True), ("https://other.example", False)],
    )
    def test_knows_the_origins_of_clients_of_the_first(
        self, store: SqliteStore, ask: Ask, origin: str, is_known: bool
    ) -> None:
        assert ask(store.directory.has_origin(origin)) is is_known

    def test_lets_people_of_the_first_sign_in(self, store: SqliteStore, ask: Ask) -> None:
        user, client = ask(store.directory.user(5)), ask(store.directory.client("player"))
        assert user is not None
        assert client is not None
        answer = ask(store.sessions.start(new_session(user), replaces=None, lease_in=30, now=NOW))
        assert answer is not None
        grant = ask(started(store, client, user, session_id=answer[0].id))
        assert (grant.id, grant.position) == (10, 8)
        assert ask(store.sessions.end(answer[0].id, lease_in=30, now=NOW)) is not None

    def test_lets_a_profile_be_written(self, store: SqliteStore, ask: Ask) -> None:
        user = ask(store.directory.user(5))
        assert user is not None
        known = replace(user, profile=Profile(name="Ada"), updated_at=NOW)
        assert ask(store.administration.change_user(known, now=NOW)) == 0
        store.refresh()
        assert ask(store.directory.user(5)) == replace(known, epoch=user.epoch + 1)

    def test_is_made_as_a_whole_or_not_at_all(self, old: Path, ask: Ask) -> None:
        with closing(sqlite3.connect(old, isolation_level=None)) as connection:
            connection.execute("CREATE TABLE origins (x)")
            before = connection.execute("SELECT * FROM sqlite_schema").fetchall()
            with pytest.raises(ConfigurationError, match="cannot be brought up to date"):
                prepare(old)
            assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == before
            connection.execute("DROP TABLE origins")
        prepare(old)
        with closing(sqlite3.connect(old)) as connection:
            assert connection.execute("SELECT count(*) FROM origins").fetchall() == [(2,)]

    def test_is_the_same_whether_reached_at_once_or_from_the_first(self, old: Path, tmp_path: Path) -> None:
        fresh = tmp_path / "fresh.db"
        for path in (old, fresh):
            prepare(path)
        schemas = []
        for path in (old, fresh):
            with closing(sqlite3.connect(path)) as connection:
                schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall())
        assert schemas[0] == schemas[1]
