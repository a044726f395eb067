"""`jwtauth doctor`, and the same findings where `jwtauth serve` starts."""

import json
import os
import re
import resource
import shlex
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.findings import finding, installation, registrations
from jwtauth.cli.running import with_store
from jwtauth.errors import ConfigurationError
from jwtauth.settings import FILE_NAME, Source, load
from jwtauth.web import connections
from tests.support.disk import limited

Examine = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def examine(run: Callable[..., Result]) -> Examine:
    """Every finding as (severity, what; remedy)."""

    def call() -> list[tuple[str, str]]:
        result = run("doctor", "--json")
        found = json.loads(result.stdout)
        assert result.exit_code == any(finding["severity"] == "error" for finding in found)
        return [(finding["severity"], f"{finding['what']}; {finding['remedy']}") for finding in found]

    return call


def start(source: Source) -> list[str]:
    """What `jwtauth serve` warns of where it starts."""
    warnings = finding.require_startable(installation.of_settings(source))
    found = with_store(source, partial(registrations.of_store, source, now=int(time.time())))
    return [*warnings, *finding.require_startable(found)]


def set_up(folder: Path, **settings: str) -> Source:
    """Add settings to those of the folder."""
    with (folder / FILE_NAME).open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())
    return load(folder, {})


class TestDoctor:
    def test_finds_nothing_in_a_new_installation(self, service: Callable[..., Result]) -> None:
        result = service("doctor")
        assert result.exit_code == 0
        assert result.stdout == "found: 0 error, 0 warning, 0 advice\n"

    def test_says_what_is_wrong_and_what_to_change(self, service: Callable[..., Result], folder: Path) -> None:
        set_up(folder, issuer="'http://id.example'")
        result = service("doctor")
        assert result.exit_code == 1
        first, remedy, *_, last = result.stdout.splitlines()
        assert first == (
            "error    setting issuer: http://id.example is plain http off loopback, tokens would travel in the clear"
        )
        assert remedy == "         put a TLS proxy in front and set an https issuer"
        assert last == "found: 1 error, 1 warning, 0 advice"

    def test_names_errors_first(self, service: Callable[..., Result], source: Source, examine: Examine) -> None:
        service("client", "create", "old", "--reusable-refresh")
        source.database.chmod(0o644)
        for path in source.keys.glob("ES256-*"):
            path.chmod(0o644)
        assert [severity for severity, _ in examine()] == ["error", "warning", "advice"]

    def test_says_that_there_is_no_database(self, examine: Examine) -> None:
        ((severity, text),) = examine()
        assert severity == "error"
        assert "does not exist; run `jwtauth init` for a new one, `jwtauth restore FILE` if it was lost," in text

    def test_says_that_the_schema_is_old(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        with closing(sqlite3.connect(source.database)) as connection, connection:
            connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm0003_legacy_uses'")
        ((severity, text),) = examine()
        assert severity == "error"
        assert "older schema; run `jwtauth init`" in text

    def test_says_that_the_database_is_damaged(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        with closing(sqlite3.connect(source.database)) as connection, connection:
            ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'clients_realm_id'")
            ((size,),) = connection.execute("PRAGMA page_size")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with source.database.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xff" * 64)
        ((severity, text),) = examine()
        assert severity == "error"
        assert "is damaged" in text
        assert text.endswith("restore it from a backup")

    def test_says_that_rows_lead_nowhere(self, people: Callable[..., Result], source: Source, examine: Examine) -> None:
        with closing(sqlite3.connect(source.database)) as connection, connection:
            connection.execute("UPDATE clients SET realm_id = 99")
        ((severity, text),) = examine()
        assert severity == "error"
        assert "is damaged: clients" in text

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("ES256-*.key.json", "can be read by others (mode 0644); run: chmod 600"),
            ("RS256-*.key.json", "can be read by others (mode 0644); run: chmod 600"),
            ("server.secret", "can be read by others (mode 0644); run: chmod 600"),
        ],
    )
    def test_says_that_a_file_can_be_read_by_others(
        self, service: Callable[..., Result], source: Source, examine: Examine, path: str, words: str
    ) -> None:
        (found,) = source.keys.glob(path)
        found.chmod(0o644)
        assert any(severity == "error" and words in text for severity, text in examine())
        found.chmod(0o600)
        assert examine() == []


class TestWhatServeRefuses:
    """Errors: found by both."""

    @staticmethod
    def expect(source: Source, examine: Examine, words: str) -> None:
        assert any(severity == "error" and words in text for severity, text in examine())
        with pytest.raises(ConfigurationError) as refusal:
            start(source)
        assert words in str(refusal.value)

    def test_a_default_key_off_loopback(self, service: Callable[..., Result], folder: Path, examine: Examine) -> None:
        service("realm", "create", "plant", "--dialect", "onesait")
        words = "client plant of realm plant has the secret that stands in the manual of onesait"
        self.expect(set_up(folder, issuer="'https://id.example'"), examine, words)
        assert "onesaitplatform" not in str(examine())
        source = set_up(folder, allow_default_keys="['plant']", trusted_proxies="['10.0.0.1']")
        assert [text for severity, text in examine() if severity == "error"] == []
        assert any(words in warning for warning in start(source)), "it is said at every start all the same"
        service("realm", "change", "plant", "--key-stdin", text="better_key_1\n")
        assert not [warning for warning in start(source) if words in warning]

    def test_the_same_secret_of_another_client(
        self, service: Callable[..., Result], folder: Path, examine: Examine
    ) -> None:
        service("client", "create", "pump", "--secret-stdin", text="onesaitplatform\n")
        source = set_up(folder, issuer="'https://id.example'", allow_default_keys="['plant']")
        self.expect(source, examine, "give it another: jwtauth client secret rotate pump")

    def test_a_default_realm_that_is_not_there(
        self, service: Callable[..., Result], folder: Path, examine: Examine
    ) -> None:
        self.expect(set_up(folder, default_realm="'plant'"), examine, "setting default_realm: there is no realm plant")

    def test_a_custom_grant_that_cannot_be_loaded(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        service("realm", "change", "default", "--custom-grant", "urn:example:card=no.such.module")
        self.expect(source, examine, "realm default: custom grant: module no.such.module cannot be imported")
        ((_, text),) = examine()
        remedy = text.partition("remove the grant: jwtauth ")[2]
        assert service(*shlex.split(remedy)).exit_code == 0
        assert examine() == []

    def test_an_upstream_whose_tokens_cannot_be_proven(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        upstream = {"name": "Old", "client_id": "new", "access_token_uri": "https://old.example/token"}
        with closing(sqlite3.connect(source.database)) as connection, connection:
            connection.execute(
                "UPDATE realms SET settings = json_set(settings, '$.upstream', json(?))", (json.dumps(upstream),)
            )
        self.expect(source, examine, "realm default: upstream: its tokens cannot be proven")

    def test_a_lifetime_above_that_of_keys(
        self, service: Callable[..., Result], folder: Path, examine: Examine
    ) -> None:
        service("realm", "change", "default", "--access-token-in-for", "password=7200")
        source = set_up(folder, max_token_lifetime="3600")
        self.expect(source, examine, "setting max_token_lifetime: 3600 s is below the 7200 s of realm default")

    def test_no_key_that_signs_access_tokens(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        (path,) = source.keys.glob("ES256-*")
        path.unlink()
        self.expect(source, examine, "there is no ES256 key; run `jwtauth keys create --algorithm ES256`")

    def test_a_server_secret_of_another_service(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        path = source.keys / "server.secret"
        path.write_bytes(re.sub(rb'("secret": ")....', rb"\1AAAA", path.read_bytes()))
        self.expect(source, examine, "server.secret: number 1 is missing or not the one")


class TestWhatServeWarnsOf:
    """Warnings: said by both."""

    @staticmethod
    def expect(source: Source, examine: Examine, words: str) -> None:
        assert any(severity == "warning" and words in text for severity, text in examine())
        assert any(words in warning for warning in start(source))

    def test_a_default_key_on_loopback(self, service: Callable[..., Result], source: Source, examine: Examine) -> None:
        service("realm", "create", "plant", "--dialect", "onesait")
        self.expect(source, examine, "give it another: jwtauth realm change plant --key-stdin")

    def test_a_dialect_past_its_sunset(self, service: Callable[..., Result], source: Source, examine: Examine) -> None:
        service("realm", "create", "plant", "--dialect", "flarecast", "--sunset", "2020-01-01")
        self.expect(source, examine, "realm plant spoke flarecast until 2020-01-01T00:00:00Z and is strict now")
        service("realm", "change", "plant", "--dialect", "standard")
        assert start(source) == []

    def test_an_audience_of_another_issuer(
        self, service: Callable[..., Result], folder: Path, examine: Examine
    ) -> None:
        source = set_up(folder, issuer="'http://127.0.0.1:9000'")
        self.expect(
            source, examine, "run: jwtauth realm change default --audience http://127.0.0.1:9000/realms/default"
        )

    def test_everybody_behind_one_proxy(self, service: Callable[..., Result], folder: Path, examine: Examine) -> None:
        self.expect(set_up(folder, issuer="'https://id.example'"), examine, "trusted_proxies is empty")

    def test_keys_without_their_passphrase(
        self, service: Callable[..., Result], folder: Path, examine: Examine
    ) -> None:
        (folder / "passphrase").write_text("a long passphrase")
        source = set_up(folder, keys_passphrase="'file:passphrase'")
        self.expect(source, examine, "is not encrypted; run `jwtauth keys encrypt`")

    def test_a_secret_at_an_upstream_that_is_not_where_it_should_be(
        self, service: Callable[..., Result], source: Source, examine: Examine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service(
            *("realm", "change", "default", "--upstream-name", "Old", "--upstream-client-id", "new"),
            *("--upstream-access-token-uri", "https://old.example/token", "--upstream-client-secret", "env:OLD_SECRET"),
            *("--upstream-introspection-uri", "https://old.example/introspect"),
        )
        self.expect(source, examine, "upstream Old cannot be asked: the client secret env:OLD_SECRET")
        monkeypatch.setenv("OLD_SECRET", "a secret of the tests")
        assert start(source) == []

    def test_a_database_that_others_can_read(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        source.database.chmod(0o640)
        self.expect(source, examine, f"run: chmod 600 {source.database}")

    def test_an_audit_log_that_others_can_read(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        assert source.audit is not None
        service("client", "create", "portal")
        (file,) = source.audit.glob("*.jsonl")
        for path, open_to_all, mode in ((source.audit, 0o755, "700"), (file, 0o644, "600")):
            path.chmod(open_to_all)
            self.expect(source, examine, f"run: chmod {mode} {path}")
            path.chmod(int(mode, 8))

    def test_a_keys_folder_that_others_can_look_into(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        source.keys.chmod(0o755)
        self.expect(source, examine, f"run: chmod 700 {source.keys}")

    @pytest.mark.parametrize("name", ["", FILE_NAME])
    def test_settings_that_everybody_can_change(
        self, service: Callable[..., Result], source: Source, folder: Path, examine: Examine, name: str
    ) -> None:
        path = folder / name
        path.chmod(path.stat().st_mode | 0o002)
        self.expect(source, examine, f"run: chmod o-w {path}")


class TestLostKeys:
    """A database is there, and what it needs is not: `jwtauth init` would refuse to make it anew."""

    @pytest.mark.parametrize("how", ["gone", "empty"])
    def test_come_back_from_their_backup_as_the_remedy_says(
        self, service: Callable[..., Result], source: Source, tmp_path: Path, examine: Examine, how: str
    ) -> None:
        database, secrets = tmp_path / "one.backup", tmp_path / "one.tar"
        assert service("backup", str(database), "--secrets", str(secrets)).exit_code == 0
        shutil.rmtree(source.keys)
        if how == "empty":
            source.keys.mkdir(mode=0o700)
        remedy = f"{source.database} needs what was in it; put that back from its backup"
        ((severity, text),) = examine()
        assert severity == "error"
        for said in (text, service("keys", "list").stderr, service("serve").stderr):
            assert remedy in said
            assert "`jwtauth restore FILE --secrets FILE2`" in said
            assert "jwtauth init" not in said
        assert "`jwtauth restore FILE --secrets FILE2`" in service("init").stderr
        assert service("backup", str(database), "--force").exit_code == 0
        assert service("restore", str(database), "--secrets", str(secrets), "--yes").exit_code == 0
        assert examine() == []


class TestTheMachine:
    """What only `jwtauth doctor` looks at."""

    def test_has_room_left(
        self, service: Callable[..., Result], source: Source, examine: Examine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(installation, "LITTLE_ROOM", 2**62)
        ((severity, text),) = examine()
        assert severity == "warning"
        assert f"the disk of {source.database.parent} has " in text
        assert f"df -h {source.database.parent}" in text

    def test_lets_the_database_grow(self, service: Callable[..., Result], source: Source, examine: Examine) -> None:
        """Nothing is wrong with what is read, and nothing can be written."""
        log = source.database.with_name(f"{source.database.name}-wal")
        with closing(sqlite3.connect(source.database, isolation_level=None)) as connection:
            for number in range(20):  # until the log is as long as its index, which has to have room
                connection.execute(f"PRAGMA user_version = {number + 1}")
            with limited(log.stat().st_size):
                ((severity, text),) = examine()
        assert severity == "error"
        assert "takes no writes: the database could not write: SQLITE_" in text
        assert "its disk is full or fails, which no backup mends" in text
        assert f"df -h {source.database.parent}" in text

    def test_lets_nobody_hold_the_database(
        self, service: Callable[..., Result], source: Source, examine: Examine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("jwtauth.store.sqlite.writer.BUSY_FOR", 0.1)
        with closing(sqlite3.connect(source.database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            ((severity, text),) = examine()
        assert severity == "error"
        assert "SQLITE_BUSY; another process holds it" in text
        assert examine() == []

    def test_grants_open_files_for_all_connections(
        self, service: Callable[..., Result], folder: Path, examine: Examine
    ) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        set_up(folder, max_connections=str(most - installation.OTHER_FILES))
        assert examine() == []
        (folder / FILE_NAME).write_text(f"max_connections = {most - installation.OTHER_FILES + 1}\n")
        ((severity, text),) = examine()
        assert severity == "warning"
        assert f"run: ulimit -Hn {most + 1} (in a systemd unit: LimitNOFILE={most + 1})" in text

    def test_is_asked_for_as_many_files_as_a_worker_wants(self) -> None:
        assert installation.OTHER_FILES == connections.RESERVED + connections.TURNED_AWAY

    def test_has_a_clock_that_was_not_set_back(
        self, service: Callable[..., Result], source: Source, examine: Examine
    ) -> None:
        later = time.time() + 3600
        os.utime(source.database, (later, later))
        ((severity, text),) = examine()
        assert severity == "warning"
        assert "s from now: this clock was set back, or that of its disk is ahead" in text


CARD = "urn:example:card"
CLIENT = ("--redirect-uri", "https://old.example/back")


class TestAdvice:
    """What only `jwtauth doctor` says."""

    def test_misses_the_audit_log(self, service: Callable[..., Result], folder: Path, examine: Examine) -> None:
        source = set_up(folder, audit="''")
        ((severity, text),) = examine()
        assert severity == "advice"
        assert text.endswith('e.g. audit = "audit"')
        assert start(source) == []

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--secretless-grant", "password"], "needs no secret for grant_type password;"),
            (["--no-pkce"], "may do without PKCE; if it no longer has to, run: jwtauth client change old --pkce"),
            (["--implicit"], "may get access tokens by the implicit grant;"),
            (["--reusable-refresh"], "has refresh tokens that stay valid when they are used;"),
            (["--grant-type", "password"], "may use grant_type password;"),
        ],
    )
    def test_names_what_a_client_may_do_for_the_sake_of_age(
        self, service: Callable[..., Result], source: Source, examine: Examine, arguments: list[str], words: str
    ) -> None:
        service("client", "create", "old", *CLIENT, *arguments)
        ((severity, text),) = examine()
        assert severity == "advice"
        assert text.startswith(f"client old {words}")
        assert start(source) == []

    def test_is_one_line_for_each_cause_and_its_commands_change_nothing_else(
        self, service: Callable[..., Result], read: Callable[..., Any], examine: Examine
    ) -> None:
        service("realm", "create", "plant", "--http-redirect-uris", "--custom-grant", f"{CARD}=tests.cli.test_doctor")
        made = service(
            *("client", "create", "old", "--realm", "plant", "--no-pkce", "--implicit"),
            *("--secretless-grant", "password", "--secretless-grant", "authorization_code"),
            *(word for name in ("client_credentials", "password", CARD) for word in ("--grant-type", name)),
            *("--redirect-uri", "http://old.example/it's", "--redirect-uri", "https://old.example/back"),
            *("--redirect-uri", "http://old.example/b", "--default-redirect-uri", "http://old.example/b"),
        )
        assert made.exit_code == 0, made.output
        service("client", "create", "bare", "--grant-type", "password", "--reusable-refresh")
        before = {name: read("client", "show", name) for name in ("old", "bare")}
        advice = [text for severity, text in examine() if severity == "advice"]
        assert len(advice) == 7
        assert any("needs no secret for grant_type password, authorization_code;" in text for text in advice)
        for text in advice:
            result = service(*shlex.split(text.partition("run: jwtauth ")[2]))
            assert result.exit_code == 0, result.output
        assert [text for severity, text in examine() if severity == "advice"] == []
        after = {name: read("client", "show", name) for name in ("old", "bare")}
        assert after["bare"] == before["bare"] | {"grant_types": [], "refresh_token_is_reusable": False}
        assert after["old"] == before["old"] | {
            "secretless_grants": [],
            "grant_types": ["client_credentials", CARD],
            "requires_pkce": True,
            "allows_implicit": False,
            "redirect_uris": ["https://old.example/it's", "https://old.example/back", "https://old.example/b"],
            "default_redirect_uri": "https://old.example/b",
        }

    def test_names_redirect_uris_without_tls(self, service: Callable[..., Result], examine: Examine) -> None:
        service("realm", "change", "default", "--http-redirect-uris")
        service("client", "create", "old", "--redirect-uri", "http://old.example/back", *CLIENT)
        service("client", "create", "near", "--native", "--redirect-uri", "http://127.0.0.1/back")
        ((severity, text),) = examine()
        assert severity == "advice"
        assert "client old has redirect URIs that anybody on the way can read, http://old.example/back" in text

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "speaks flarecast without an end; set one: jwtauth realm change plant --sunset DATE"),
            (["--sunset", "2090-01-01"], "speaks flarecast until 2090-01-01T00:00:00Z; see who still needs it"),
        ],
    )
    def test_names_realms_that_speak_a_dialect(
        self, service: Callable[..., Result], examine: Examine, arguments: list[str], words: str
    ) -> None:
        service("realm", "create", "plant", "--dialect", "flarecast", *arguments)
        ((severity, text),) = examine()
        assert severity == "advice"
        assert words in text


class TestDemonstration:
    def test_is_an_error(self, service: Callable[..., Result], source: Source, examine: Examine) -> None:
        service("user", "create", "demo", "--no-password")
        with closing(sqlite3.connect(source.database)) as connection, connection:
            connection.execute("UPDATE users SET is_demo = 1")
        ((severity, text),) = examine()
        assert severity == "error"
        assert "was made by `jwtauth dev` and knows demo with public passwords" in text


def test_findings_are_json_for_programs(service: Callable[..., Result], read: Callable[..., Any]) -> None:
    service("client", "create", "old", "--reusable-refresh")
    assert read("doctor") == [
        {
            "severity": "advice",
            "what": "client old has refresh tokens that stay valid when they are used",
            "remedy": "if it no longer has to, run: jwtauth client change old --rotating-refresh",
        }
    ]
