"""`jwtauth keys`: succession without one failed verification, and the emergency path."""

import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.keyring import jws, secrets
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol.records import Grant
from jwtauth.settings import Source, load, to_environment
from jwtauth.store.ports import Store

DAY = 86_400
PASSPHRASE = "correct horse"
Run = Callable[..., Result]

EVERY_READER = (
    ("init",),
    ("keys", "list"),
    ("keys", "plan"),
    ("keys", "create", "--algorithm", "EdDSA"),
    ("keys", "rotate"),
    ("keys", "rotate", "--secret"),
    ("keys", "prune"),
    ("keys", "decrypt", "--yes"),
    ("token", "decode", "e30.e30.AAAA"),
    ("serve",),
)
"""Commands that cannot do anything without the keys."""

EVERY_COMMAND = (
    *EVERY_READER[:-1],
    ("keys", "rotate", "--now", "--yes"),
    ("keys", "rotate", "--secret", "--now", "--yes"),
    ("keys", "encrypt"),
    ("keys", "rotate", "--now"),
    ("keys", "create", "--algorithm", "none"),
    ("keys", "nonsense"),
)
"""`keys` and what else touches the folder, all but the one that goes on for ever."""


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


@pytest.fixture
def with_passphrase(folder: Path) -> Callable[[], None]:
    """Name a passphrase in the settings; files that are there stay as they are."""

    def name() -> None:
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        with (folder / "jwtauth.toml").open("a") as settings:
            settings.write('keys_passphrase = "file:passphrase"\n')

    return name


@pytest.fixture
def encrypted(service: Run, with_passphrase: Callable[[], None]) -> Run:
    """`run`, in an initialised folder whose keys are encrypted."""
    with_passphrase()
    assert service("keys", "encrypt").exit_code == 0
    return service


@pytest.fixture
def line(read: Callable[..., Any]) -> Callable[..., list[dict[str, Any]]]:
    """The listed keys of one algorithm; that of access tokens unless told."""
    return lambda algorithm="ES256": [key for key in read("keys", "list") if key["algorithm"] == algorithm]


class TestList:
    def test_shows_state_and_dates(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        keys = read("keys", "list")
        assert [key["algorithm"] for key in keys] == ["ES256", "RS256"]
        for key in keys:
            assert set(key) == {"kid", "algorithm", "created_at", "signs_at", "state", "retires_at"}
            assert (key["state"], key["retires_at"]) == ("signing", None)

    def test_shows_dates_to_people_in_utc(
        self, service: Callable[..., Result], line: Callable[..., list[dict[str, Any]]]
    ) -> None:
        (key,) = line()
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key["signs_at"]))
        assert at in service("keys", "list").stdout

    def test_needs_no_database(self, service: Callable[..., Result], source: Source, read: Callable[..., Any]) -> None:
        source.database.unlink()
        assert len(read("keys", "list")) == 2

    def test_never_shows_a_private_part(self, service: Callable[..., Result], source: Source) -> None:
        private_lines = [
            text for record, _ in KeyFolder(source.keys).read_keys() for text in record.private_key.splitlines()
        ]
        for command in ("list", "plan", "rotate", "prune"):
            printed = service("keys", command).output + service("keys", command, "--json").output
            assert not [text for text in private_lines if text in printed]


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
        self,
        service: Callable[..., Result],
        read: Callable[..., Any],
        line: Callable[..., list[dict[str, Any]]],
        key_version: Callable[[], int],
    ) -> None:
        (old,), before = line(), key_version()
        rotated = read("keys", "rotate")
        assert rotated["signs_at"] == rotated["created_at"] + 300 + 60
        assert rotated["old_kid"] == old["kid"]
        assert rotated["old_key_retires_at"] == rotated["signs_at"] + DAY + 120
        assert {key["kid"]: key["state"] for key in line()} == {
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

    def test_takes_that_of_access_tokens_unless_told_and_leaves_that_of_id_tokens(
        self,
        service: Callable[..., Result],
        read: Callable[..., Any],
        line: Callable[..., list[dict[str, Any]]],
    ) -> None:
        before = line("RS256")
        assert read("keys", "rotate")["algorithm"] == "ES256"
        assert line("RS256") == before
        assert read("keys", "rotate", "--algorithm", "RS256")["old_kid"] == before[0]["kid"]

    def test_says_that_there_is_no_such_line(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        assert "jwtauth keys create --algorithm EdDSA" in refused("keys", "rotate", "--algorithm", "EdDSA")


class TestRotateNow:
    def test_deletes_every_older_key_of_the_line(
        self,
        service: Callable[..., Result],
        read: Callable[..., Any],
        line: Callable[..., list[dict[str, Any]]],
        key_version: Callable[[], int],
    ) -> None:
        service("keys", "rotate")
        old, of_id_tokens, before = {key["kid"] for key in line()}, line("RS256"), key_version()
        rotated = read("keys", "rotate", "--now", "--yes")
        assert set(rotated["removed_keys"]) == old
        assert [(key["kid"], key["state"]) for key in line()] == [(rotated["kid"], "signing")]
        assert line("RS256") == of_id_tokens
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
        line: Callable[..., list[dict[str, Any]]],
        source: Source,
        key_version: Callable[[], int],
    ) -> None:
        (signing,), before = line(), key_version()
        retired = add_key(source, signs_at=signing["signs_at"] - 3 * DAY)
        verifying = add_key(source, signs_at=signing["signs_at"] - 2 * DAY)
        assert read("keys", "prune")["removed_keys"] == [retired]
        assert {key["kid"] for key in line()} == {verifying, signing["kid"]}
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
        now, of_id_tokens, first, second = service("keys", "plan").stdout.splitlines()
        assert f"ES256 key {rotated['old_kid']} signs" in now
        assert "RS256 key" in of_id_tokens
        assert f"key {rotated['kid']} begins to sign" in first
        assert "leaves the JWKS" in second
        assert first.startswith("2")
        assert first[:20].endswith("Z")


class TestEncrypt:
    def test_encrypts_every_file_and_says_which(
        self, service: Run, with_passphrase: Callable[[], None], read: Callable[..., Any], source: Source
    ) -> None:
        before = read("keys", "list")
        with_passphrase()
        assert read("keys", "encrypt")["encrypted"] == sorted(path.name for path in source.keys.iterdir())
        assert KeyFolder(source.keys).unencrypted() == []
        assert read("keys", "list") == before
        assert read("keys", "encrypt") == {"encrypted": []}

    def test_needs_a_passphrase(self, service: Run, refused: Callable[..., str]) -> None:
        assert "name one with the setting keys_passphrase: file:/path or env:NAME" in refused("keys", "encrypt")


class TestDecrypt:
    def test_gives_files_that_need_no_passphrase(
        self, encrypted: Run, read: Callable[..., Any], folder: Path, source: Source
    ) -> None:
        names = sorted(path.name for path in source.keys.iterdir())
        assert read("keys", "decrypt", "--yes")["decrypted"] == names
        (folder / "passphrase").unlink()
        (folder / "jwtauth.toml").write_text("")
        assert len(read("keys", "list")) == 2

    def test_asks_first(self, encrypted: Run, source: Source) -> None:
        before = KeyFolder(source.keys).stamp()
        result = encrypted("keys", "decrypt", text="n\n")
        assert result.exit_code == 1
        assert "Go on?" in result.stderr
        assert KeyFolder(source.keys).stamp() == before


class TestAPassphrase:
    def test_is_used_from_the_first_file_on(
        self, run: Run, with_passphrase: Callable[[], None], read: Callable[..., Any], source: Source
    ) -> None:
        with_passphrase()
        for arguments in (
            ["init"],
            ["keys", "create", "--algorithm", "EdDSA"],
            ["keys", "rotate"],
            ["keys", "rotate", "--algorithm", "RS256", "--now", "--yes"],
            ["keys", "rotate", "--secret"],
            ["keys", "prune"],
        ):
            read(*arguments)
        assert len(list(source.keys.iterdir())) == 5
        assert KeyFolder(source.keys).unencrypted() == []

    @pytest.mark.parametrize("command", EVERY_READER, ids=" ".join)
    def test_that_is_missing_is_one_line_that_says_what_to_do(
        self, encrypted: Run, refused: Callable[..., str], folder: Path, command: tuple[str, ...]
    ) -> None:
        (folder / "jwtauth.toml").write_text("")
        assert "is encrypted; name its passphrase with the setting keys_passphrase" in refused(*command)

    @pytest.mark.parametrize("command", EVERY_READER, ids=" ".join)
    def test_that_is_wrong_is_one_line_that_says_so(
        self, encrypted: Run, refused: Callable[..., str], folder: Path, command: tuple[str, ...]
    ) -> None:
        (folder / "passphrase").write_text("wrong horse")
        line = refused(*command)
        assert "cannot be decrypted: the setting keys_passphrase names another passphrase" in line
        assert "horse" not in line

    @pytest.mark.parametrize("reference", ["file:passphrase", "env:PASSPHRASE_OF_KEYS"])
    def test_may_come_from_a_file_or_a_variable(
        self, encrypted: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, reference: str
    ) -> None:
        (folder / "jwtauth.toml").write_text("")
        monkeypatch.setenv("PASSPHRASE_OF_KEYS", PASSPHRASE)
        monkeypatch.setenv("JWTAUTH_KEYS_PASSPHRASE", reference)
        assert encrypted("keys", "list").exit_code == 0

    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_in_a_file_ends_before_the_end_of_the_line(self, encrypted: Run, folder: Path, end: str) -> None:
        (folder / "passphrase").write_bytes((PASSPHRASE + end).encode())
        assert encrypted("keys", "list").exit_code == 0

    @pytest.mark.parametrize("reference", ["file:nowhere", "file:empty", "env:NOWHERE", "env:EMPTY"])
    def test_that_is_not_there_is_never_taken_for_none(
        self,
        service: Run,
        refused: Callable[..., str],
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        reference: str,
    ) -> None:
        (folder / "empty").write_text("\n")
        monkeypatch.setenv("EMPTY", "")
        monkeypatch.setenv("JWTAUTH_KEYS_PASSPHRASE", reference)
        assert f"setting keys_passphrase: {reference} is missing or empty" in refused("keys", "list")

    def test_in_a_folder_s_place_is_named(
        self, service: Run, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWTAUTH_KEYS_PASSPHRASE", "file:keys")
        assert "file:keys cannot be read: Is a directory" in refused("keys", "list")

    @pytest.mark.parametrize("value", [PASSPHRASE, "file:", "env:", f"pass:{PASSPHRASE}", f"file:x\n{PASSPHRASE}"])
    def test_is_never_the_setting_itself_and_then_not_repeated(
        self, service: Run, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("JWTAUTH_KEYS_PASSPHRASE", value)
        line = refused("keys", "list")
        assert "setting keys_passphrase: expected file:/path or env:NAME, never the passphrase itself" in line
        assert PASSPHRASE not in line

    def test_is_handed_to_workers_as_the_reference_that_it_is(self, encrypted: Run, folder: Path) -> None:
        source = load(folder, {})
        assert source.keys_passphrase() == PASSPHRASE.encode()
        assert to_environment(source.settings)["JWTAUTH_KEYS_PASSPHRASE"] == "file:passphrase"
        assert PASSPHRASE not in repr(source)


class TestWhatIsPrinted:
    @pytest.mark.parametrize("is_encrypted", [False, True])
    def test_is_never_private(
        self, service: Run, with_passphrase: Callable[[], None], source: Source, is_encrypted: bool
    ) -> None:
        """SECURITY S-09: whatever is asked of the keys folder, well or badly, in both forms."""
        private = _private_parts(source)
        if is_encrypted:
            with_passphrase()
        printed = ""
        for command in EVERY_COMMAND:
            for form in ([], ["--json"]):
                printed += service(*command, *form, text="n\n").output
                private |= _private_parts(source)
        assert len(private) > 10
        assert [part for part in private if part in printed] == []
        assert PASSPHRASE not in printed


def _private_parts(source: Source) -> set[str]:
    """Every line of a private key, and every server secret in all its spellings."""
    folder = KeyFolder(source.keys, passphrase=PASSPHRASE.encode())
    parts = {line for record, _ in folder.read_keys() for line in record.private_key.splitlines()}
    for secret in folder.read_secrets().secrets:
        parts |= {b64encode(secret.secret).decode(), urlsafe_b64encode(secret.secret).decode(), secret.secret.hex()}
    return parts


def _crash(*arguments: object, **named: object) -> None:
    raise RuntimeError("power cut")
