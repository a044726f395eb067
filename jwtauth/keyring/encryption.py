"""A file of the keys folder under a passphrase: scrypt makes a key of it (RFC 7914), Fernet encrypts and authenticates.

This is the recipe of cryptography's own documentation. PKCS #8 has one for private keys, but the library writes it with
2048 rounds of PBKDF2, which would leave the passphrase to be guessed; and server.secret would need another one.
"""

import os
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Final, Literal

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

from jwtauth.errors import ConfigurationError

_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32


class Encrypted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file's content at rest."""

    recipe: Literal["scrypt-32768-8-3 fernet"] = "scrypt-32768-8-3 fernet"
    """Cost, block size and parallelism of scrypt: 32 MB for about 0.2 s, once per process."""
    salt: bytes
    """Base64, alike in all files of a folder as far as that can be had: so they need one key, and scrypt runs once."""
    content: str


class Encryption:
    """Encrypts and decrypts contents with one passphrase, or is told of none and only knows encrypted ones."""

    def __init__(self, passphrase: bytes | None) -> None:
        self._passphrase = passphrase
        self._salt: bytes | None = None

    @property
    def has_passphrase(self) -> bool:
        """Whether what is written is encrypted."""
        return self._passphrase is not None

    def encrypt(self, content: bytes) -> bytes:
        """A content as it is written: encrypted, or as it was where there is no passphrase."""
        if self._passphrase is None:
            return content
        if self._salt is None:
            self._salt = os.urandom(_SALT_BYTES)
        token = Fernet(_key(self._passphrase, self._salt)).encrypt(content)
        return msgspec.json.encode(Encrypted(salt=self._salt, content=token.decode("ascii")))

    def decrypt(self, content: bytes) -> bytes:
        """A content that was read, decrypted where it is encrypted.

        Raises:
            ConfigurationError: it is encrypted with another passphrase, or no passphrase is known.
        """
        found = _read(content)
        if found is None:
            return content
        if self._passphrase is None:
            raise ConfigurationError(
                "is encrypted; name its passphrase with the setting keys_passphrase: file:/path or env:NAME"
            )
        try:
            decrypted = Fernet(_key(self._passphrase, found.salt)).decrypt(found.content.encode())
        except InvalidToken:
            raise ConfigurationError(
                "cannot be decrypted: the setting keys_passphrase names another passphrase than it was encrypted with,"
                " or it is damaged"
            ) from None
        self._salt = found.salt
        return decrypted


def is_encrypted(content: bytes) -> bool:
    """Whether a passphrase is needed to read it."""
    return _read(content) is not None


def _read(content: bytes) -> Encrypted | None:
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, ValueError):
        return None


@lru_cache(maxsize=8)
def _key(passphrase: bytes, salt: bytes) -> bytes:
    scrypt = Scrypt(salt=salt, length=_KEY_BYTES, n=32_768, r=8, p=3)
    return urlsafe_b64encode(scrypt.derive(passphrase))


_DECODER: Final = msgspec.json.Decoder(Encrypted)
