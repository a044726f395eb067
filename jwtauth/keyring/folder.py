"""The keys folder: one file per signing key, and server.secret; readable by their owner only (SECURITY S-08).

A file is written under another name, flushed to the disk and renamed, so that nobody ever reads half of one. Where
there is a passphrase, it is encrypted by `jwtauth.keyring.encryption`; files from before stay readable as they are.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from jwtauth.errors import ConfigurationError
from jwtauth.keyring import encryption, jws
from jwtauth.keyring.encryption import Encryption
from jwtauth.keyring.jws import SigningKey
from jwtauth.keyring.schedule import KeyDates

SUFFIX: Final = ".key.json"
SECRET_FILE: Final = "server.secret"
SECRET_BYTES: Final = 32
MOST_SECRETS: Final = (1 << 16) - 1
"""The highest number of a secret: tokens have two bytes for it."""


class KeyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signing key at rest."""

    kid: str
    algorithm: str
    created_at: int
    signs_at: int
    private_key: str
    """PKCS #8 PEM."""

    def dates(self) -> KeyDates:
        """Everything but the private part."""
        return KeyDates(kid=self.kid, algorithm=self.algorithm, created_at=self.created_at, signs_at=self.signs_at)


class StoredSecret(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One numbered 256-bit server secret at rest, base64."""

    number: Annotated[int, Meta(ge=1, le=MOST_SECRETS)]
    created_at: int
    secret: Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]


class SecretFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """server.secret."""

    secrets: tuple[StoredSecret, ...]


class KeyFolder:
    """Reads and writes the files of one keys folder."""

    def __init__(self, path: Path, *, passphrase: bytes | None = None) -> None:
        """Open a folder; nothing is read yet.

        Args:
            path: the folder.
            passphrase: what files are encrypted with when they are written; without it they are written as they are.
        """
        self.path = path
        self._encryption = Encryption(passphrase)

    def read_keys(self) -> list[tuple[KeyFile, SigningKey]]:
        """Every signing key.

        Raises:
            ConfigurationError: the folder or a file is missing, unsafe or damaged.
        """
        return [(record, self._key_in(record, path)) for record, path in self._records()]

    def read_records(self) -> list[KeyFile]:
        """What is written of every signing key; the keys themselves, which takes a while to prove sound, are not looked
        at.

        Raises:
            ConfigurationError: the folder or a file is missing, unsafe or damaged.
        """
        return [record for record, _ in self._records()]

    def write_key(self, key: SigningKey, *, created_at: int, signs_at: int) -> KeyFile:
        """Store a new key.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        record = KeyFile(
            kid=key.kid, algorithm=key.algorithm, created_at=created_at, signs_at=signs_at, private_key=key.pem()
        )
        self.replace_key(record)
        return record

    def replace_key(self, record: KeyFile) -> None:
        """Write a key's file as a whole, whether or not there is one.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        write_private(self._path_of(record.algorithm, record.kid), self.encode(record))

    def has_key(self, record: KeyFile) -> bool:
        """Whether the key's file is there."""
        return self._path_of(record.algorithm, record.kid).exists()

    def remove_key(self, record: KeyFile) -> None:
        """Delete a key's file; its private part is gone with it."""
        self._path_of(record.algorithm, record.kid).unlink(missing_ok=True)

    def read_secrets(self) -> SecretFile:
        """The numbered server secrets.

        Raises:
            ConfigurationError: the file is missing, unsafe or damaged.
        """
        path = self.path / SECRET_FILE
        try:
            return self.decode_secrets(read_private(path), path)
        except FileNotFoundError:
            raise ConfigurationError(
                f"{path} is missing; restore it from the backup of your secrets: without it no refresh token verifies"
            ) from None

    def decode_secrets(self, content: bytes, origin: Path) -> SecretFile:
        """The numbered server secrets in the content of a file, as it is on the disk.

        Raises:
            ConfigurationError: it is damaged, or there are none.
        """
        try:
            found = msgspec.json.decode(self._decrypted(content, origin), type=SecretFile)
        except msgspec.DecodeError:
            raise ConfigurationError(f"{origin} is damaged; restore it from the backup of your secrets") from None
        if not found.secrets:
            raise ConfigurationError(f"{origin} holds no secret; restore it from the backup of your secrets")
        if len({secret.number for secret in found.secrets}) < len(found.secrets):
            raise ConfigurationError(f"{origin} has a number twice; restore it from the backup of your secrets")
        return found

    def decode_key(self, content: bytes, origin: Path) -> KeyFile:
        """What is written of a signing key in the content of a file, as it is on the disk.

        Raises:
            ConfigurationError: it is damaged.
        """
        try:
            return msgspec.json.decode(self._decrypted(content, origin), type=KeyFile)
        except msgspec.DecodeError:
            raise ConfigurationError(
                f"{origin} is damaged; restore it or remove it and run `jwtauth keys rotate`"
            ) from None

    def encode(self, record: Struct) -> bytes:
        """A record as it is to be on the disk."""
        return self._encryption.encrypt(msgspec.json.format(msgspec.json.encode(record), indent=2))

    def contents(self) -> dict[str, bytes]:
        """Every file by its name, as it is on the disk: encrypted ones stay so.

        Raises:
            ConfigurationError: the folder is missing, or a file is unsafe.
        """
        self._require_folder()
        return {path.name: read_private(path) for path in self._paths()}

    @contextmanager
    def replacing(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """Write files as they are to be on the disk; they are what they were before if what follows fails.

        Raises:
            ConfigurationError: the folder cannot be written, or a file in it is unsafe.
        """
        before = self.contents() if self.path.is_dir() else {}
        try:
            for name, content in files.items():
                write_private(self.path / name, content)
            yield
        except Exception:
            for name in files:
                self._put_back(name, before.get(name))
            raise

    def write_secrets(self, record: SecretFile) -> None:
        """Replace server.secret as a whole.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        write_private(self.path / SECRET_FILE, self.encode(record))

    def unencrypted(self) -> list[str]:
        """The names of the files that need no passphrase.

        Raises:
            ConfigurationError: a file is unsafe.
        """
        return [path.name for path in self._paths() if not encryption.is_encrypted(read_private(path))]

    def encrypt(self) -> list[str]:
        """Encrypt the files that are not; returns their names. If it breaks off, it can be begun again.

        Raises:
            ConfigurationError: there is no passphrase, or a file is missing, unsafe or damaged: then none was changed.
        """
        if not self._encryption.has_passphrase:
            raise ConfigurationError(
                "there is no passphrase to encrypt with; name one with the setting keys_passphrase: file:/path or"
                " env:NAME"
            )
        self._require_sound()
        return self._convert(self.unencrypted(), self._encryption.encrypt)

    def decrypt(self) -> list[str]:
        """Write the encrypted files as they are without; returns their names. If it breaks off, it can be begun again.

        Raises:
            ConfigurationError: a file is missing, unsafe, damaged or of another passphrase: then none was changed.
        """
        self._require_sound()
        plain = self.unencrypted()
        return self._convert([path.name for path in self._paths() if path.name not in plain], bytes)

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """A value that differs whenever a file was added, replaced or removed."""
        try:
            found = sorted(
                (entry.name, entry.stat().st_mtime_ns, entry.stat().st_ino)
                for entry in os.scandir(self.path)
                if entry.name.endswith(SUFFIX) or entry.name == SECRET_FILE
            )
        except OSError:
            return ()
        return tuple(found)

    def _records(self) -> list[tuple[KeyFile, Path]]:
        self._require_folder()
        found = [(self._read_record(path), path) for path in sorted(self.path.glob(f"*{SUFFIX}"))]
        return [(record, path) for record, path in found if record is not None]

    def _read_record(self, path: Path) -> KeyFile | None:
        """What a file says, or None where another process has just removed it."""
        try:
            return self.decode_key(read_private(path), path)
        except FileNotFoundError:
            return None

    def _key_in(self, record: KeyFile, path: Path) -> SigningKey:
        try:
            key = jws.load(record.algorithm, record.private_key)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{path}: {problem}") from None
        if key.kid != record.kid:
            raise ConfigurationError(f"{path}: its kid is not that of the key in it; restore the file")
        return key

    def _convert(self, names: list[str], convert: Callable[[bytes], bytes]) -> list[str]:
        for name in names:
            path = self.path / name
            write_private(path, convert(self._decrypted(read_private(path), path)))
        return names

    def _put_back(self, name: str, content: bytes | None) -> None:
        if content is None:
            (self.path / name).unlink(missing_ok=True)
        else:
            write_private(self.path / name, content)

    def _require_sound(self) -> None:
        self.read_keys()
        self.read_secrets()

    def _require_folder(self) -> None:
        if not self.path.is_dir():
            raise ConfigurationError(f"keys folder {self.path} does not exist; run `jwtauth init`")

    def _decrypted(self, content: bytes, origin: Path) -> bytes:
        try:
            return self._encryption.decrypt(content)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{origin} {problem}") from None

    def _paths(self) -> list[Path]:
        return [path for path in sorted(self.path.iterdir()) if path.name == SECRET_FILE or path.name.endswith(SUFFIX)]

    def _path_of(self, algorithm: str, kid: str) -> Path:
        return self.path / f"{algorithm}-{kid}{SUFFIX}"


def write_private(path: Path, content: bytes) -> None:
    """Write a file as a whole that only its owner reads; the folder is made where it is missing.

    Raises:
        ConfigurationError: it cannot be written; what was there before is.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        _flush_folder(path.parent)
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be written: {problem.strerror}") from None
    finally:
        with suppress(OSError):
            unfinished.unlink()


def read_private(path: Path) -> bytes:
    """What a file holds that nobody else can read.

    Raises:
        ConfigurationError: others can read it, or it is no file of its own.
        FileNotFoundError: there is none.
    """
    if path.is_symlink():
        raise ConfigurationError(f"{path} is a symbolic link; put the file itself there")
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder; put the file itself there")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem.strerror}") from None
    with open(handle, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ConfigurationError(f"{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")
        return file.read()


def _flush_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
