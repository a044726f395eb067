"""`jwtauth keys`: succession without one failed verification, and the emergency path."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.keyring import jws, secrets
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol.records import Grant
from jwtauth.settings import Source
from jwtauth.store.ports import Store

DAY = 86_400


@pytest.fixture
def key_version(source: Source) -> Callable[[], int]:
    """The counter whose moving makes every worker read the keys folder."""

    async def ask(store: Store) -> int:
        return store.refresh().keys

    return lambda: with_store(source, ask)


@pytest.fixture
def numbers(source: Source) -> Callable[[], list[int]]:
    """Server secrets in the file; those that the database knows must be the same."""

    async def known(store: Store) -> dict[int, str]:
        return store.administration.fingerprints()

    def ask() -> list[int]:
        stored = KeyFolder(source.keys).read_secrets().secrets
        assert with_store(source, known) == {secret.number: secrets.fingerprint(secret) for secret in stored}
        return [secret.number for secret in stored]

    return ask


def add_key(source: Source, *, signs_at: int, algorithm: str = "ES256") -> str:
    """A key that was made in the past."""
    return KeyFolder(source.keys).write_key(jws.generate(algorithm), created_at=signs_at, signs_at=signs_at).kid


class TestList:
    def test_shows_state_and_dates(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        (key,) = read("keys", "list")
        assert set(key) == {"kid", "algorithm", "created_at", "signs_at", "state", "retires_at"}
        assert (key["state"], key["retires_at"]) == ("signing", None)

    def test_shows_dates_to_people_in_utc(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        (key,) = read("keys", "list")
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key["signs_at"]))
        assert at in service("keys", "list").stdout

    def test_needs_no_database(self, service: Callable[..., Result], source: Source, read: Callable[..., Any]) -> None:
        source.database.unlink()
        assert len(read("keys", "list")) == 1

    def test_never_shows_a_private_part(self, service: Callable[..., Result], source: Source) -> None:
        private_lines = KeyFolder(source.keys).read_keys()[0][0].private_key.splitlines()
        for command in ("list", "plan", "rotate", "prune"):
            printed = service("keys", command).output + service("keys", command, "--json").output
            assert not [line for line in private_lines if line in printed]


class TestCreate:
    def test_makes_a_key_that_signs_at_once(
        self, service: Callable[..., Result], read: Callable[..., Any], key_version: Callable[[], int]
    ) -> None:
        before = key_version()
        created = read("keys", "create", "--algorithm", "EdDSA")
        assert {key["kid"]: key["state"] for key in read("keys", "list")}[created["kid"]] == "signing"
        assert key_version() == before + 1

    def test_refuses_a_second_one(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        assert "jwtauth keys rotate" in refused("keys", "create", "--algorithm", "ES256")


class TestRotate:
    def test_publishes_now_and_signs_when_every_cached_jwks_has_expired(
        self, service: Callable[..., Result], read: Callable[..., Any], key_version: Callable[[], int]
    ) -> None:
        (old,), before = read("keys", "list"), key_version()
        rotated = read("keys", "rotate")
        assert rotated["signs_at"] == rotated["created_at"] + 300 + 60
        assert rotated["old_kid"] == old["kid"]
        assert rotated["old_key_retires_at"] == rotated["signs_at"] + DAY + 120
        assert {key["kid"]: key["state"] for key in read("keys", "list")} == {
            old["kid"]: "signing",
            rotated["kid"]: "published",
        }
        assert key_version() == before + 1

    def test_refuses_while_a_successor_waits(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        service("keys", "rotate")
        assert "waits to sign" in refused("keys", "rotate")

    def test_takes_the_line_that_was_named(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        service("keys", "create", "--algorithm", "EdDSA")
        assert read("keys", "rotate", "--algorithm", "EdDSA")["algorithm"] == "EdDSA"

    def test_says_that_there_is_no_such_line(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        assert "jwtauth keys create --algorithm EdDSA" in refused("keys", "rotate", "--algorithm", "EdDSA")


class TestRotateNow:
    def test_deletes_every_older_key_of_the_line(
        self, service: Callable[..., Result], read: Callable[..., Any], key_version: Callable[[], int]
    ) -> None:
        service("keys", "rotate")
        old, before = {key["kid"] for key in read("keys", "list")}, key_version()
        rotated = read("keys", "rotate", "--now", "--yes")
        assert set(rotated["removed_keys"]) == old
        assert [(key["kid"], key["state"]) for key in read("keys", "list")] == [(rotated["kid"], "signing")]
        assert key_version() == before + 1

    def test_touches_no_grant(
        self, start_grant: Callable[[], Grant], is_denied: Callable[[Grant], bool], read: Callable[..., Any]
    ) -> None:
        grant = start_grant()
        read("keys", "rotate", "--now", "--yes")
        assert not is_denied(grant)

    @pytest.mark.parametrize("of_what", [[], ["--secret"]])
    def test_asks_first(self, service: Callable[..., Result], source: Source, of_what: list[str]) -> None:
        before = KeyFolder(source.keys).stamp()
        result = service("keys", "rotate", "--now", *of_what, text="n\n")
        assert result.exit_code == 1
        assert "Go on?" in result.stderr
        assert KeyFolder(source.keys).stamp() == before

    def test_goes_on_when_told_so(self, service: Callable[..., Result], source: Source) -> None:
        before = KeyFolder(source.keys).stamp()
        assert service("keys", "rotate", "--now", text="y\n").exit_code == 0
        assert KeyFolder(source.keys).stamp() != before


class TestRotateSecret:
    def test_adds_a_number_and_keeps_the_older(
        self,
        service: Callable[..., Result],
        read: Callable[..., Any],
        numbers: Callable[[], list[int]],
        key_version: Callable[[], int],
    ) -> None:
        before = key_version()
        assert read("keys", "rotate", "--secret")["secret_number"] == 2
        assert numbers() == [1, 2]
        assert key_version() == before + 1

    def test_drops_all_older_numbers_with_now(
        self, service: Callable[..., Result], read: Callable[..., Any], numbers: Callable[[], list[int]]
    ) -> None:
        service("keys", "rotate", "--secret")
        assert read("keys", "rotate", "--secret", "--now", "--yes")["removed_secrets"] == [1, 2]
        assert numbers() == [3]

    def test_never_shows_the_secret(self, service: Callable[..., Result], source: Source) -> None:
        printed = service("keys", "rotate", "--secret", "--json").output
        content = (source.keys / "server.secret").read_text()
        assert all(f'"{line}"' not in content for line in printed.split('"') if len(line) > 40)

    def test_leaves_a_folder_that_can_start_wherever_it_crashes(
        self, service: Callable[..., Result], numbers: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for step in ("remember_secret", "forget_secrets", "announce_keys"):
            with monkeypatch.context() as patched:
                target = f"jwtauth.store.sqlite.administration.SqliteAdministration.{step}"
                patched.setattr(target, _crash)
                with pytest.raises(AssertionError, match="power cut"):
                    service("keys", "rotate", "--secret", "--now", "--yes")
            assert service("init").exit_code == 0
            assert numbers()

    def test_leaves_a_folder_that_can_start_when_the_file_is_not_written(
        self, service: Callable[..., Result], numbers: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service("keys", "rotate", "--secret")
        for step in ("add_secret", "keep_secrets"):
            with monkeypatch.context() as patched:
                patched.setattr(f"jwtauth.keyring.rotation.{step}", _crash)
                with pytest.raises(AssertionError, match="power cut"):
                    service("keys", "rotate", "--secret", "--now", "--yes")
            assert service("init").exit_code == 0
            assert numbers()


class TestPrune:
    def test_deletes_keys_whose_tokens_are_all_over(
        self,
        service: Callable[..., Result],
        read: Callable[..., Any],
        source: Source,
        key_version: Callable[[], int],
    ) -> None:
        (signing,), before = read("keys", "list"), key_version()
        retired = add_key(source, signs_at=signing["signs_at"] - 3 * DAY)
        verifying = add_key(source, signs_at=signing["signs_at"] - 2 * DAY)
        assert read("keys", "prune")["removed_keys"] == [retired]
        assert {key["kid"] for key in read("keys", "list")} == {verifying, signing["kid"]}
        assert key_version() == before + 1

    def test_keeps_server_secrets_that_a_live_grant_needs(
        self,
        start_grant: Callable[[], Grant],
        people: Callable[..., Result],
        read: Callable[..., Any],
        numbers: Callable[[], list[int]],
    ) -> None:
        people("keys", "rotate", "--secret")
        start_grant()
        people("keys", "rotate", "--secret")
        assert read("keys", "prune")["removed_secrets"] == [1]
        assert numbers() == [2, 3]

    def test_keeps_only_the_newest_server_secret_where_no_grant_lives(
        self,
        start_grant: Callable[[], Grant],
        people: Callable[..., Result],
        read: Callable[..., Any],
        numbers: Callable[[], list[int]],
    ) -> None:
        start_grant()
        people("keys", "rotate", "--secret")
        people("user", "disable", "alice")
        assert read("keys", "prune")["removed_secrets"] == [1]
        assert numbers() == [2]

    def test_changes_nothing_where_everything_is_needed(
        self, service: Callable[..., Result], read: Callable[..., Any], source: Source
    ) -> None:
        before = KeyFolder(source.keys).stamp()
        assert read("keys", "prune") == {"removed_keys": [], "removed_secrets": []}
        assert KeyFolder(source.keys).stamp() == before


class TestPlan:
    def test_says_that_nothing_is_planned(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        printed = service("keys", "plan").stdout
        assert "ES256 key" in printed
        assert "Nothing changes by itself" in printed
        assert read("keys", "plan") == []

    def test_says_what_will_happen_when(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        rotated = read("keys", "rotate")
        begins, leaves = read("keys", "plan")
        assert (begins["kid"], begins["at"]) == (rotated["kid"], rotated["signs_at"])
        assert (leaves["kid"], leaves["at"]) == (rotated["old_kid"], rotated["old_key_retires_at"])
        now, first, second = service("keys", "plan").stdout.splitlines()
        assert f"key {rotated['old_kid']} signs" in now
        assert f"key {rotated['kid']} begins to sign" in first
        assert "leaves the JWKS" in second
        assert first.startswith("2")
        assert first[:20].endswith("Z")


def _crash(*arguments: object, **named: object) -> None:
    raise RuntimeError("power cut")
