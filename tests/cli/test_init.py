"""`jwtauth init`: everything that is missing is made, nothing that exists is touched."""

import json
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.findings import finding, registrations
from jwtauth.cli.running import with_store
from jwtauth.errors import ConfigurationError
from jwtauth.keyring import rotation, secrets
from jwtauth.keyring.folder import KeyFolder
from jwtauth.settings import Source
from jwtauth.store.ports import Store
from jwtauth.store.sqlite.connection import FIRST_EPOCH
from tests.cli.conftest import epoch_of


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((folder / "keys").iterdir())}


def rows(source: Source) -> list[str]:
    with closing(sqlite3.connect(source.database)) as connection:
        return list(connection.iterdump())


def fingerprints(source: Source) -> dict[int, str]:
    async def work(store: Store) -> dict[int, str]:
        return store.administration.fingerprints()

    return with_store(source, work)


class TestInit:
    def test_makes_signing_keys_a_secret_a_database_and_the_built_in_realm(
        self, service: Callable[..., Result], read: Callable[..., Any], source: Source
    ) -> None:
        keys = read("keys", "list")
        (realm,) = read("realm", "list")
        assert [(key["algorithm"], key["state"]) for key in keys] == [("ES256", "signing"), ("RS256", "signing")]
        assert (realm["name"], realm["dialect"]) == ("default", "standard")
        assert realm["audience"] == f"{source.settings.issuer}/realms/default"
        assert [secret.number for secret in KeyFolder(source.keys).read_secrets().secrets] == [1]

    def test_says_where_everything_is(self, read: Callable[..., Any], folder: Path) -> None:
        made = read("init")
        assert made["database"] == str(folder / "jwtauth.db")
        assert made["keys"] == str(folder / "keys")
        assert [made["signing_key"], made["id_token_key"]] == [key["kid"] for key in read("keys", "list")]

    def test_makes_files_that_only_their_owner_can_read(self, service: Callable[..., Result], folder: Path) -> None:
        files = [*(folder / "keys").iterdir(), folder / "jwtauth.db"]
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 4
        assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700

    def test_changes_nothing_when_run_again(self, people: Callable[..., Result], source: Source, folder: Path) -> None:
        before = contents(folder), rows(source)
        assert people("init").exit_code == 0
        assert (contents(folder), rows(source)) == before

    def test_leaves_the_built_in_realm_as_it_was_changed(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        service("realm", "change", "default", "--access-token-in", "60")
        service("init")
        assert read("realm", "show", "default")["access_token_in"] == 60

    def test_makes_a_key_of_the_algorithm_in_the_settings(self, folder: Path, read: Callable[..., Any]) -> None:
        (folder / "jwtauth.toml").write_text("access_token_algorithm = 'EdDSA'")
        read("init")
        assert [key["algorithm"] for key in read("keys", "list")] == ["EdDSA", "RS256"]

    def test_makes_one_key_where_the_same_algorithm_signs_everything(
        self, folder: Path, read: Callable[..., Any]
    ) -> None:
        (folder / "jwtauth.toml").write_text("access_token_algorithm = 'RS256'")
        made = read("init")
        (key,) = read("keys", "list")
        assert made["signing_key"] == made["id_token_key"] == key["kid"]

    def test_prints_nothing_private(self, run: Callable[..., Result], folder: Path) -> None:
        printed = run("init").output + run("keys", "list", "--json").output
        stored = json.loads((folder / "keys" / "server.secret").read_text())
        assert "PRIVATE" not in printed
        assert stored["secrets"][0]["secret"] not in printed


class TestKeys:
    def test_for_id_tokens_is_made_in_an_installation_that_had_none(
        self, service: Callable[..., Result], read: Callable[..., Any], source: Source
    ) -> None:
        (path,) = source.keys.glob("RS256-*")
        path.unlink()
        before = contents(source.folder)
        made = read("init")
        assert before.items() < contents(source.folder).items()
        assert {key["kid"]: key["algorithm"] for key in read("keys", "list")}[made["id_token_key"]] == "RS256"

    def test_for_access_tokens_that_is_lost_is_never_made_again(
        self, service: Callable[..., Result], refused: Callable[..., str], source: Source
    ) -> None:
        for pattern in ("ES256-*", "RS256-*"):
            (path,) = source.keys.glob(pattern)
            path.unlink()
            before = contents(source.folder)
            message = refused("init")
            assert "restore the folder from its backup" in message
            assert "jwtauth keys create --algorithm ES256" in message
            assert contents(source.folder) == before

    def test_of_a_newly_chosen_algorithm_joins_the_others(
        self, service: Callable[..., Result], folder: Path, read: Callable[..., Any]
    ) -> None:
        (folder / "jwtauth.toml").write_text("access_token_algorithm = 'EdDSA'")
        read("init")
        assert [key["algorithm"] for key in read("keys", "list")] == ["ES256", "EdDSA", "RS256"]


def warnings(source: Source) -> list[str]:
    """What `jwtauth serve` warns of where it starts."""
    found = with_store(source, partial(registrations.of_store, source, now=int(time.time())))
    return finding.require_startable(found)


class TestServe:
    def test_does_not_start_without_a_key_for_id_tokens_until_init_made_it(
        self, service: Callable[..., Result], source: Source
    ) -> None:
        (path,) = source.keys.glob("RS256-*")
        path.unlink()
        with pytest.raises(ConfigurationError, match="there is no RS256 key for ID tokens; run `jwtauth init`"):
            warnings(source)
        assert service("init").exit_code == 0
        assert warnings(source) == []

    def test_does_not_start_without_the_key_that_a_client_chose(
        self, service: Callable[..., Result], source: Source
    ) -> None:
        service("keys", "create", "--algorithm", "EdDSA")
        service("client", "create", "shop", "--id-token-algorithm", "EdDSA")
        (path,) = source.keys.glob("EdDSA-*")
        path.unlink()
        with pytest.raises(ConfigurationError, match="client shop: there is no EdDSA key for its ID tokens"):
            warnings(source)


class TestServerSecret:
    def test_is_known_to_the_database_by_its_fingerprint(self, service: Callable[..., Result], source: Source) -> None:
        (secret,) = KeyFolder(source.keys).read_secrets().secrets
        assert fingerprints(source) == {1: secrets.fingerprint(secret)}

    @pytest.mark.parametrize("command", [["init"], ["keys", "rotate", "--secret"], ["keys", "prune"]])
    def test_that_is_lost_is_asked_for_by_number_and_never_made_again(
        self, service: Callable[..., Result], refused: Callable[..., str], folder: Path, command: list[str]
    ) -> None:
        (folder / "keys" / "server.secret").unlink()
        message = refused(*command)
        assert "number 1 is missing" in message
        assert "restore" in message
        assert not (folder / "keys" / "server.secret").exists()

    @pytest.mark.parametrize("command", [["init"], ["keys", "rotate", "--secret"], ["keys", "prune"]])
    def test_that_is_another_one_than_before_is_refused(
        self, service: Callable[..., Result], refused: Callable[..., str], source: Source, command: list[str]
    ) -> None:
        (source.keys / "server.secret").unlink()
        rotation.create_secret(KeyFolder(source.keys), now=1)
        before = contents(source.folder)
        assert "number 1 is missing or not the one" in refused(*command)
        assert contents(source.folder) == before

    def test_whose_fingerprint_a_crash_left_out_is_made_known(
        self, service: Callable[..., Result], source: Source
    ) -> None:
        added = rotation.add_secret(KeyFolder(source.keys), now=1)
        assert service("init").exit_code == 0
        assert fingerprints(source)[2] == secrets.fingerprint(added)

    def test_that_others_can_read_is_refused(
        self, service: Callable[..., Result], refused: Callable[..., str], folder: Path
    ) -> None:
        (folder / "keys" / "server.secret").chmod(0o644)
        assert "can be read by others" in refused("init")


class TestALostDatabase:
    def test_s_07_beside_old_keys_begins_another_time_line(self, run: Callable[..., Result], source: Source) -> None:
        """It knows nothing of what was revoked or used: what was issued before must mean nothing in it."""
        assert run("init").exit_code == 0
        first = epoch_of(source)
        for path in source.folder.glob("jwtauth.db*"):
            path.unlink()
        before = int(time.time())
        assert run("init").exit_code == 0
        assert epoch_of(source) >= before > first

    def test_is_not_taken_for_one_where_there_are_no_keys(self, run: Callable[..., Result], source: Source) -> None:
        assert run("init").exit_code == 0
        assert epoch_of(source) == FIRST_EPOCH
