"""The keys folder: private to its owner, written whole or not at all (SECURITY S-08, S-09)."""

import json
import os
import stat
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from jwtauth.errors import ConfigurationError
from jwtauth.keyring import encryption, jws, rotation
from jwtauth.keyring.folder import SECRET_FILE, KeyFile, KeyFolder, SecretFile, StoredSecret

NOW = 1_800_000_000
KEY = jws.generate("ES256")
PASSPHRASE = b"a passphrase of the tests"
SECRETS = SecretFile(secrets=(StoredSecret(number=1, created_at=NOW, secret=b"s" * 32),))


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    """A folder with one key and one secret."""
    folder = KeyFolder(tmp_path / "keys")
    folder.write_key(KEY, created_at=NOW, signs_at=NOW + 5)
    folder.write_secrets(SECRETS)
    return folder


@pytest.fixture
def encrypted(folder: KeyFolder) -> KeyFolder:
    """The same folder under a passphrase."""
    encrypted = KeyFolder(folder.path, passphrase=PASSPHRASE)
    encrypted.encrypt()
    return encrypted


def key_path(folder: KeyFolder) -> Path:
    return folder.path / f"ES256-{KEY.kid}.key.json"


def secret_path(folder: KeyFolder) -> Path:
    return folder.path / SECRET_FILE


Read = Callable[[KeyFolder], object]
FILES = pytest.mark.parametrize(
    ("path_of", "read"), [(key_path, KeyFolder.read_keys), (secret_path, KeyFolder.read_secrets)], ids=["key", "secret"]
)


class TestWriting:
    def test_a_key_reads_back(self, folder: KeyFolder) -> None:
        ((record, key),) = folder.read_keys()
        assert (record.kid, record.algorithm, record.created_at, record.signs_at) == (KEY.kid, "ES256", NOW, NOW + 5)
        assert key.jwk == KEY.jwk

    def test_secrets_read_back(self, folder: KeyFolder) -> None:
        assert folder.read_secrets() == SECRETS

    def test_makes_everything_private_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            folder = KeyFolder(tmp_path / "keys")
            folder.write_secrets(SECRETS)
            folder.write_key(KEY, created_at=NOW, signs_at=NOW)
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}

    def test_leaves_no_unfinished_file(self, folder: KeyFolder) -> None:
        folder.write_secrets(SECRETS)
        assert {path.name for path in folder.path.iterdir()} == {key_path(folder).name, SECRET_FILE}

    def test_that_fails_keeps_the_old_file_and_leaves_no_other(
        self, folder: KeyFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match="No space left on device"):
            folder.write_secrets(SecretFile(secrets=()))
        assert folder.read_secrets() == SECRETS
        assert {path.name for path in folder.path.iterdir()} == {key_path(folder).name, SECRET_FILE}

    def test_never_follows_a_link_laid_in_its_way(self, folder: KeyFolder, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.write_text("precious")
        (folder.path / f".{SECRET_FILE}.{os.getpid()}").symlink_to(target)
        with pytest.raises(ConfigurationError, match="cannot be written"):
            folder.write_secrets(SecretFile(secrets=()))
        assert target.read_text() == "precious"

    def test_survives_what_a_killed_process_left(self, folder: KeyFolder) -> None:
        (folder.path / f".{SECRET_FILE}.1").write_text("half of one")
        (folder.path / ".ES256-x.key.json.1").write_text("half of one")
        folder.write_secrets(SECRETS)
        assert len(folder.read_keys()) == 1

    def test_says_where_it_cannot_write(self, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text("a file")
        with pytest.raises(ConfigurationError, match=r"keys.*cannot be written"):
            KeyFolder(tmp_path / "keys").write_secrets(SECRETS)


class TestReading:
    @FILES
    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
    def test_refuses_a_file_that_others_may_touch(
        self, folder: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read, mode: int
    ) -> None:
        path_of(folder).chmod(mode)
        with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*run: chmod 600"):
            read(folder)

    @FILES
    @pytest.mark.parametrize("mode", [0o600, 0o400])
    def test_accepts_a_file_of_its_owner_alone(
        self, folder: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read, mode: int
    ) -> None:
        path_of(folder).chmod(mode)
        assert read(folder)

    @FILES
    def test_refuses_a_symbolic_link_even_to_a_private_file(
        self, folder: KeyFolder, tmp_path: Path, path_of: Callable[[KeyFolder], Path], read: Read
    ) -> None:
        path = path_of(folder)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ConfigurationError, match="symbolic link"):
            read(folder)

    @FILES
    def test_refuses_a_dangling_link(
        self, folder: KeyFolder, tmp_path: Path, path_of: Callable[[KeyFolder], Path], read: Read
    ) -> None:
        path = path_of(folder)
        path.unlink()
        path.symlink_to(tmp_path / "nowhere")
        with pytest.raises(ConfigurationError, match="symbolic link"):
            read(folder)

    @FILES
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"\xff\xfe", b"[]", b'{"kid": 5}', b'{"secrets": [{"number": "x"}]}']
    )
    def test_refuses_a_damaged_file_and_names_it(
        self, folder: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read, content: bytes
    ) -> None:
        path_of(folder).write_bytes(content)
        with pytest.raises(ConfigurationError, match=f"{path_of(folder).name} is damaged"):
            read(folder)

    @FILES
    def test_refuses_a_file_cut_short(
        self, folder: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read
    ) -> None:
        path = path_of(folder)
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(ConfigurationError, match="is damaged"):
            read(folder)

    @FILES
    def test_refuses_a_folder_in_the_place_of_a_file(
        self, folder: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read
    ) -> None:
        path_of(folder).unlink()
        path_of(folder).mkdir(mode=0o700)
        with pytest.raises(ConfigurationError, match="is a folder"):
            read(folder)


class TestAKeyFile:
    def test_must_have_the_kid_of_its_key(self, folder: KeyFolder) -> None:
        path = key_path(folder)
        path.write_text(path.read_text().replace(KEY.kid, "another-kid"))
        with pytest.raises(ConfigurationError, match="kid is not that of the key"):
            folder.read_keys()

    @pytest.mark.parametrize("algorithm", ["RS256", "EdDSA", "HS256", "none"])
    def test_must_have_the_algorithm_of_its_key(self, folder: KeyFolder, algorithm: str) -> None:
        path = key_path(folder)
        path.write_text(json.dumps({**json.loads(path.read_text()), "algorithm": algorithm}))
        with pytest.raises(ConfigurationError, match="is not a key for"):
            folder.read_keys()

    def test_must_hold_a_private_key(self, folder: KeyFolder) -> None:
        path = key_path(folder)
        path.write_text(json.dumps({**json.loads(path.read_text()), "private_key": "-----BEGIN NONSENSE-----"}))
        with pytest.raises(ConfigurationError, match="PKCS #8") as refusal:
            folder.read_keys()
        assert "NONSENSE" not in str(refusal.value)

    def test_must_hold_nothing_else(self, folder: KeyFolder) -> None:
        path = key_path(folder)
        path.write_text(json.dumps({**json.loads(path.read_text()), "note": "x"}))
        with pytest.raises(ConfigurationError, match="is damaged"):
            folder.read_keys()

    def test_that_another_process_just_removed_is_no_fault(
        self, folder: KeyFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An emergency rotation deletes keys while every worker reads the folder."""
        gone = folder.path / "ES256-gone.key.json"
        monkeypatch.setattr(Path, "glob", lambda path, pattern: [gone, key_path(folder)])
        assert [key.kid for _, key in folder.read_keys()] == [KEY.kid]

    def test_is_gone_once_it_is_removed(self, folder: KeyFolder) -> None:
        ((record, _),) = folder.read_keys()
        folder.remove_key(record)
        folder.remove_key(record)
        assert folder.read_keys() == []


class TestMissing:
    def test_folder_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="run `jwtauth init`"):
            KeyFolder(tmp_path / "none").read_keys()

    def test_secrets_are_never_silently_regenerated(self, folder: KeyFolder) -> None:
        secret_path(folder).unlink()
        with pytest.raises(ConfigurationError, match="restore it from the backup"):
            folder.read_secrets()
        assert not secret_path(folder).exists()

    def test_numbers_are_a_fault_too(self, folder: KeyFolder) -> None:
        folder.write_secrets(SecretFile(secrets=()))
        with pytest.raises(ConfigurationError, match="holds no secret; restore"):
            folder.read_secrets()


class TestSecrets:
    """What a hand or half a restore may leave: a short secret can be guessed, a number has two bytes in tokens."""

    @pytest.mark.parametrize(
        "numbered",
        [[(1, b"")], [(1, b"s" * 31)], [(1, b"s" * 33)], [(0, b"s" * 32)], [(-1, b"s" * 32)], [(65_536, b"s" * 32)]],
        ids=["empty", "short", "long", "number 0", "number -1", "number 65536"],
    )
    def test_are_refused_unless_they_can_have_been_made_here(
        self, folder: KeyFolder, numbered: list[tuple[int, bytes]]
    ) -> None:
        stored = [StoredSecret(number=number, created_at=NOW, secret=secret) for number, secret in numbered]
        folder.write_secrets(SecretFile(secrets=tuple(stored)))
        with pytest.raises(ConfigurationError, match=r"server\.secret is damaged; restore"):
            folder.read_secrets()

    def test_are_refused_where_two_have_one_number(self, folder: KeyFolder) -> None:
        """Which of them would prove a token?"""
        other = StoredSecret(number=1, created_at=NOW, secret=b"t" * 32)
        folder.write_secrets(SecretFile(secrets=(*SECRETS.secrets, other)))
        with pytest.raises(ConfigurationError, match="has a number twice; restore"):
            folder.read_secrets()

    def test_may_have_the_highest_number_that_there_is(self, folder: KeyFolder) -> None:
        highest = SecretFile(secrets=(StoredSecret(number=65_535, created_at=NOW, secret=b"s" * 32),))
        folder.write_secrets(highest)
        assert folder.read_secrets() == highest


class TestStamp:
    def test_stays_while_nothing_changes(self, folder: KeyFolder) -> None:
        before = folder.stamp()
        folder.read_keys()
        (folder.path / "README.md").write_text("x")
        assert folder.stamp() == before

    def test_moves_when_a_file_is_added_replaced_or_removed(self, folder: KeyFolder) -> None:
        seen = [folder.stamp()]
        record = folder.write_key(jws.generate("EdDSA"), created_at=NOW, signs_at=NOW)
        seen.append(folder.stamp())
        folder.write_secrets(SECRETS)
        seen.append(folder.stamp())
        folder.remove_key(record)
        seen.append(folder.stamp())
        assert len(set(seen)) == 4

    def test_of_a_missing_folder_is_empty(self, tmp_path: Path) -> None:
        assert KeyFolder(tmp_path / "none").stamp() == ()


class TestWhatIsPrinted:
    def test_never_holds_anything_private(self, folder: KeyFolder) -> None:
        """SECURITY S-09."""
        ((record, key),) = folder.read_keys()
        assert "PRIVATE" not in repr(key)
        assert not hasattr(record.dates(), "private_key")


class TestEncrypting:
    def test_changes_every_file_and_nothing_that_is_read(self, folder: KeyFolder, encrypted: KeyFolder) -> None:
        assert encrypted.unencrypted() == []
        ((record, key),) = encrypted.read_keys()
        assert (record.kid, record.signs_at, key.jwk) == (KEY.kid, NOW + 5, KEY.jwk)
        assert encrypted.read_secrets() == SECRETS

    def test_leaves_nothing_in_the_files_that_signs_or_seals(self, encrypted: KeyFolder) -> None:
        """SECURITY S-09."""
        private = [line for line in KEY.pem().splitlines() if line] + [b64encode(b"s" * 32).decode()]
        for path in encrypted.path.iterdir():
            assert [part for part in private if part in path.read_text()] == []

    def test_keeps_the_files_private(self, encrypted: KeyFolder) -> None:
        assert {stat.S_IMODE(path.stat().st_mode) for path in encrypted.path.iterdir()} == {0o600}

    def test_goes_for_every_later_file_too(self, encrypted: KeyFolder) -> None:
        rotation.create_key(encrypted, "EdDSA", now=NOW)
        rotation.add_secret(encrypted, now=NOW)
        assert encrypted.unencrypted() == []
        assert len(encrypted.read_keys()) == 2
        assert len(encrypted.read_secrets().secrets) == 2

    def test_needs_one_key_for_all_files_and_processes(self, encrypted: KeyFolder) -> None:
        """scrypt is dear: it is to run once at a start, not once per file."""
        later = KeyFolder(encrypted.path, passphrase=PASSPHRASE)
        rotation.create_key(later, "EdDSA", now=NOW)
        rotation.add_secret(later, now=NOW)
        assert len({json.loads(path.read_text())["salt"] for path in encrypted.path.iterdir()}) == 1
        encryption._key.cache_clear()
        later.read_keys()
        later.read_secrets()
        assert encryption._key.cache_info().misses == 1

    def test_uses_another_salt_in_another_folder(self, encrypted: KeyFolder, tmp_path: Path) -> None:
        other = KeyFolder(tmp_path / "other", passphrase=PASSPHRASE)
        other.write_secrets(SECRETS)
        files = (secret_path(encrypted), secret_path(other))
        assert len({json.loads(path.read_text())["salt"] for path in files}) == 2

    def test_needs_a_passphrase(self, folder: KeyFolder) -> None:
        with pytest.raises(ConfigurationError, match="there is no passphrase to encrypt with; name one"):
            folder.encrypt()

    def test_that_broke_off_can_be_begun_again(self, folder: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        half = KeyFolder(folder.path, passphrase=PASSPHRASE)
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", _only_keys)
            with pytest.raises(KeyboardInterrupt):
                half.encrypt()
        assert half.unencrypted() == [SECRET_FILE]
        assert half.read_secrets() == SECRETS
        assert half.encrypt() == [SECRET_FILE]
        assert half.encrypt() == []

    def test_touches_nothing_where_a_file_is_damaged(self, folder: KeyFolder) -> None:
        secret_path(folder).write_text("{")
        with pytest.raises(ConfigurationError, match="is damaged"):
            KeyFolder(folder.path, passphrase=PASSPHRASE).encrypt()
        assert key_path(folder).name in folder.unencrypted()


class TestDecrypting:
    def test_gives_back_the_very_files(self, folder: KeyFolder) -> None:
        before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
        encrypted = KeyFolder(folder.path, passphrase=PASSPHRASE)
        assert sorted(encrypted.encrypt()) == sorted(before)
        assert sorted(encrypted.decrypt()) == sorted(before)
        assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
        assert encrypted.decrypt() == []

    @FILES
    def test_needs_the_passphrase_and_says_how_to_name_it(
        self, encrypted: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read
    ) -> None:
        name = path_of(encrypted).name
        with pytest.raises(ConfigurationError, match=f"{name} is encrypted; name its passphrase with the setting"):
            read(KeyFolder(encrypted.path))

    @FILES
    def test_refuses_another_passphrase(
        self, encrypted: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read
    ) -> None:
        with pytest.raises(ConfigurationError, match=f"{path_of(encrypted).name} cannot be decrypted") as refusal:
            read(KeyFolder(encrypted.path, passphrase=b"another passphrase"))
        assert "another passphrase than" in str(refusal.value)

    @FILES
    def test_refuses_what_was_changed(
        self, encrypted: KeyFolder, path_of: Callable[[KeyFolder], Path], read: Read
    ) -> None:
        path = path_of(encrypted)
        found = json.loads(path.read_text())
        changed = found["content"][:-10] + ("A" if found["content"][-10] != "A" else "B") + found["content"][-9:]
        for content in (changed, "", "é", "gAAAA"):
            path.write_text(json.dumps({**found, "content": content}))
            with pytest.raises(ConfigurationError, match="cannot be decrypted"):
                read(encrypted)

    def test_refuses_a_recipe_that_it_does_not_know(self, encrypted: KeyFolder) -> None:
        path = secret_path(encrypted)
        path.write_text(json.dumps({**json.loads(path.read_text()), "recipe": "rot13"}))
        with pytest.raises(ConfigurationError, match="is damaged"):
            encrypted.read_secrets()

    def test_touches_nothing_under_another_passphrase(self, encrypted: KeyFolder) -> None:
        before = encrypted.stamp()
        for folder in (KeyFolder(encrypted.path), KeyFolder(encrypted.path, passphrase=b"another")):
            with pytest.raises(ConfigurationError):
                folder.decrypt()
        assert encrypted.stamp() == before


def _only_keys(source: Path, target: Path) -> None:
    """A rename that the process is killed at when it comes to the secrets."""
    if target.name == SECRET_FILE:
        raise KeyboardInterrupt
    source.rename(target)


def test_a_fresh_folder_passes_its_own_checks(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    rotation.create_secret(folder, now=NOW)
    created = rotation.create_key(folder, "EdDSA", now=NOW)
    assert isinstance(created, KeyFile)
    assert [record for record, _ in folder.read_keys()] == [created]
