"""Server secrets: 256 random bits each, numbered, with fingerprints in the database, and keys derived from them.

What they seal is `jwtauth.keyring.sealer`'s.
"""

import os
from collections.abc import Mapping
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jwtauth.errors import ConfigurationError
from jwtauth.keyring.folder import SECRET_BYTES, SECRET_FILE, SecretFile, StoredSecret


def new_secret(number: int, *, now: int) -> StoredSecret:
    """A fresh 256-bit secret."""
    return StoredSecret(number=number, created_at=now, secret=os.urandom(SECRET_BYTES))


def fingerprint(secret: StoredSecret) -> str:
    """What the database remembers of a secret, to notice that it was lost or replaced."""
    return sha256(b"jwtauth fingerprint v1" + secret.secret).hexdigest()[:32]


def fingerprints(stored: SecretFile) -> dict[int, str]:
    """What the database remembers of all of them, by number."""
    return {secret.number: fingerprint(secret) for secret in stored.secrets}


def check_fingerprints(stored: SecretFile, known: Mapping[int, str]) -> None:
    """Let a server start whose secrets are all those that its database was used with.

    Raises:
        ConfigurationError: one is missing or another one than before; nothing is ever silently regenerated.
    """
    present = fingerprints(stored)
    lost = sorted(number for number, expected in known.items() if present.get(number) != expected)
    if lost:
        raise ConfigurationError(
            f"{SECRET_FILE}: number {lost[0]} is missing or not the one that this database was used with;"
            " restore the file from the backup of your secrets: `jwtauth restore FILE --secrets FILE2`"
        )


def derive(secret: bytes, label: bytes) -> bytes:
    """A key for one use: the label says which (RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=SECRET_BYTES, salt=None, info=label).derive(secret)
