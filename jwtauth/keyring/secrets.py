"""Server secrets, and what they seal: refresh tokens that need no row of their own (RFC 5869, RFC 6749 section 1.5).

A token is `kind`, secret number, grant id, generation and a MAC: a forged one is refused without asking the database,
a leaked database holds no usable token, and the same (grant, generation) always gives the same bytes.
"""

import hmac
import os
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jwtauth.errors import ConfigurationError
from jwtauth.keyring.folder import SECRET_FILE, SecretFile, StoredSecret
from jwtauth.protocol.records import Pointer

SECRET_BYTES: Final = 32
_MAC_BYTES: Final = 22
_BODY: Final = struct.Struct(">HQI")
_REFRESH_TOKEN: Final = "rt_"
_REFRESH_LABEL: Final = b"jwtauth refresh token v1"
_LENGTH: Final = len(_REFRESH_TOKEN) + (_BODY.size + _MAC_BYTES) * 4 // 3


class Sealer:
    """Makes and proves refresh tokens under every live server secret."""

    def __init__(self, stored: SecretFile, *, epoch: int) -> None:
        """Derive the keys.

        Args:
            stored: the numbered secrets; the highest number makes new tokens.
            epoch: the database's epoch, part of every MAC: a restored database refuses what was issued before.
        """
        self.current_number = max(secret.number for secret in stored.secrets)
        self._epoch = epoch.to_bytes(8, "big")
        self._refresh_keys: Mapping[int, bytes] = {
            secret.number: _derive(secret.secret, _REFRESH_LABEL) for secret in stored.secrets
        }

    def refresh_token(self, pointer: Pointer) -> str:
        """The refresh token for a grant's generation: always the same bytes.

        Raises:
            LookupError: its secret number is not here (the server would not have started).
        """
        body = _BODY.pack(pointer.secret_number, pointer.grant_id, pointer.generation)
        mac = self._mac(self._refresh_keys[pointer.secret_number], body)
        return _REFRESH_TOKEN + urlsafe_b64encode(body + mac).decode("ascii")

    def read_refresh_token(self, token: str) -> Pointer | None:
        """What a refresh token says, or None where we did not make it in this database's epoch."""
        if len(token) != _LENGTH or not token.startswith(_REFRESH_TOKEN) or not token.isascii():
            return None
        try:
            raw = urlsafe_b64decode(token[len(_REFRESH_TOKEN) :])
        except (Base64Error, ValueError):
            return None
        if urlsafe_b64encode(raw).decode("ascii") != token[len(_REFRESH_TOKEN) :]:
            return None  # each token has one spelling
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        secret_number, grant_id, generation = _BODY.unpack(body)
        key = self._refresh_keys.get(secret_number)
        if key is None or not hmac.compare_digest(self._mac(key, body), mac):
            return None
        return Pointer(grant_id=grant_id, generation=generation, secret_number=secret_number)

    def _mac(self, key: bytes, body: bytes) -> bytes:
        return hmac.digest(key, self._epoch + body, "sha256")[:_MAC_BYTES]


def new_secret(number: int, *, now: int) -> StoredSecret:
    """A fresh 256-bit secret."""
    return StoredSecret(number=number, created_at=now, secret=os.urandom(SECRET_BYTES))


def fingerprint(secret: StoredSecret) -> str:
    """What the database remembers of a secret, to notice that it was lost or replaced."""
    return sha256(b"jwtauth fingerprint v1" + secret.secret).hexdigest()[:32]


def check_fingerprints(stored: SecretFile, known: Mapping[int, str]) -> None:
    """Let a server start whose secrets are all those that its database was used with.

    Raises:
        ConfigurationError: one is missing or another one than before; nothing is ever silently regenerated.
    """
    present = {secret.number: fingerprint(secret) for secret in stored.secrets}
    lost = sorted(number for number, expected in known.items() if present.get(number) != expected)
    if lost:
        raise ConfigurationError(
            f"{SECRET_FILE}: number {lost[0]} is missing or not the one that this database was used with;"
            " restore the file from the backup of your secrets"
        )


def _derive(secret: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=SECRET_BYTES, salt=None, info=label).derive(secret)
