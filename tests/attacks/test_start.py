"""Nothing is served from an unsafe folder; a killed upgrade is finished (SECURITY J-17, S-05, S-08, S-16)."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlite_utils import Database

from jwtauth.protocol import client_auth
from jwtauth.store.sqlite.migrations import migrations
from tests.support import plain
from tests.support.home import SECRET, Home
from tests.support.live import LiveServer, free_port
from tests.web.site import basic

Serve = Callable[..., LiveServer]
MACHINE: Final = {"grant_type": "client_credentials"}

UPGRADE: Final = """
import os, signal, sqlite3, sys
from pathlib import Path
from jwtauth.store.sqlite import connection

path, words, connect = Path(sys.argv[1]), sys.argv[2], sqlite3.connect

def traced(database, **options):
    opened = connect(database, **options)
    if str(path) in str(database):
        opened.set_trace_callback(lambda statement: words in statement and os.kill(os.getpid(), signal.SIGKILL))
    return opened

sqlite3.connect = traced
connection.prepare(path)
"""
"""Brings a database up to date and dies as a statement with these words begins."""


def granted(server: LiveServer, client_id: str = "service") -> dict[str, Any]:
    """A machine gets its token."""
    headers = {"authorization": basic(client_id, SECRET)}
    response = plain.post(f"{server.url}/oauth/token", data=MACHINE, headers=headers)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def assert_serves_nothing(serve: Serve, home: Home, words: str) -> None:
    """Nobody listens, and the log says why."""
    port = free_port()
    with pytest.raises(AssertionError, match=words):
        serve(home, port=port)
    with pytest.raises(httpx.ConnectError):
        plain.get(f"http://127.0.0.1:{port}/healthz")


def weak_key() -> str:
    """An RSA key of 1024 bits."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class TestNothingIsServed:
    def test_j_17_with_a_key_that_is_too_short(self, home: Home, serve: Serve) -> None:
        (path,) = home.source.keys.glob("RS256-*.key.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "private_key": weak_key()}))
        assert_serves_nothing(serve, home, "is not a key for 'RS256'")

    def test_j_17_with_an_algorithm_that_proves_nothing(self, home: Home, serve: Serve) -> None:
        with (home.path / "jwtauth.toml").open("a") as file:
            file.write('\naccess_token_algorithm = "none"\n')
        assert_serves_nothing(serve, home, "access_token_algorithm")

    def test_s_05_without_its_database(self, home: Home, serve: Serve) -> None:
        """An empty one in its place would forget every revocation and every used code."""
        home.source.database.unlink()
        assert_serves_nothing(serve, home, "does not exist; run `jwtauth init`")
        assert not home.source.database.exists()

    def test_s_08_with_a_key_that_others_can_read(self, home: Home, serve: Serve) -> None:
        (path,) = home.source.keys.glob("ES256-*.key.json")
        path.chmod(0o644)
        assert_serves_nothing(serve, home, "can be read by others")
        assert json.loads(path.read_text())["private_key"] not in (home.path / "server.log").read_text()


class TestAnUpgrade:
    def test_s_16_killed_at_any_statement_is_all_or_nothing(self, tmp_path: Path, serve: Serve) -> None:
        """From the first version on: killed here and there, finished at last, and the clients of then get tokens."""
        path = tmp_path / "home" / "jwtauth.db"
        path.parent.mkdir()
        first_version(path)
        for words in ("ADD COLUMN nonce", "DELETE FROM origins", "CREATE TABLE legacy_uses"):
            done = subprocess.run([sys.executable, "-c", UPGRADE, str(path), words], timeout=60, check=False)
            assert done.returncode == -signal.SIGKILL, "the upgrade has no such statement"
            with closing(sqlite3.connect(path)) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert database.execute("SELECT client_id FROM clients").fetchall() == [("player",)]
                assert schema(database) == schema_before(migrations.pending(Database(database))[0].name)
        assert granted(serve(Home(path.parent)), "player")["scope"] == "read"


def first_version(path: Path) -> None:
    """A database as the first version left it, with a client."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection), stop_before="m0002_people")
        secrets = [{"kind": "sha256", "digest": client_auth.digest(SECRET), "created_at": 0}]
        settings = {"scope": ["read"], "grant_types": ["client_credentials"]}
        connection.execute("INSERT INTO realms VALUES (1, 'default', 'https://default.example', NULL, 0, '{}')")
        connection.execute(
            "INSERT INTO clients VALUES (3, 'player', 1, 0, NULL, 0, ?, ?)", (json.dumps(secrets), json.dumps(settings))
        )
    path.chmod(0o600)


def schema(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """All tables and indexes, as they were made."""
    return database.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def schema_before(migration: str) -> list[tuple[str, str]]:
    """What a database has in which every migration before this one is done, and nothing of it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrations.apply(Database(database), stop_before=migration)
        return schema(database)
