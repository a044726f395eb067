"""What server secrets seal: codes and refresh tokens that need no row of their own, transactions, CSRF tokens.

A code or refresh token is `kind`, secret number, grant id, generation and a MAC (RFC 6749 section 1.5): a forged one is
refused without asking the database, a leaked database holds no usable token, and the same (grant, generation) always
gives the same bytes. A transaction travels with the browser, encrypted and authenticated (Fernet).
"""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from math import ceil
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from jwtauth.keyring.folder import SecretFile
from jwtauth.keyring.secrets import derive
from jwtauth.protocol.records import Pointer

REFRESH_TOKEN_KIND: Final = "rt_"
CODE_KIND: Final = "ac_"
"""How what we seal begins, so that people and programs can tell what they found."""

_MAC_BYTES: Final = 22
_BODY: Final = struct.Struct(">HQI")
_START: Final = 3
_END: Final = _START + ceil(_BODY.size / 3) * 4
"""From where to where in a token the characters are that hold its body."""
_LENGTH: Final = _START + (_BODY.size + _MAC_BYTES) * 4 // 3
_REFRESH: Final = REFRESH_TOKEN_KIND, b"jwtauth refresh token v1"
_CODE: Final = CODE_KIND, b"jwtauth code v1"
_TRANSACTION: Final = b"jwtauth transaction v1"
_CSRF: Final = b"jwtauth csrf v1"


class Sealer:
    """Makes and proves what clients and browsers carry, under every live server secret."""

    def __init__(self, stored: SecretFile, *, epoch: int) -> None:
        """Derive the keys.

        Args:
            stored: the numbered secrets; the highest number makes new tokens.
            epoch: the database's epoch, part of every key or MAC: a restored database refuses what was issued before.
        """
        secrets = {secret.number: secret.secret for secret in stored.secrets}
        newest_first = [secrets[number] for number in sorted(secrets, reverse=True)]
        epoch_bytes = epoch.to_bytes(8, "big")
        self.current_number = max(secrets)
        self._refresh_tokens = _Pointers(*_REFRESH, secrets, epoch_bytes)
        self._codes = _Pointers(*_CODE, secrets, epoch_bytes)
        self._csrf_keys = [derive(secret, _CSRF + epoch_bytes) for secret in newest_first]
        self._transactions = MultiFernet(
            [Fernet(urlsafe_b64encode(derive(secret, _TRANSACTION + epoch_bytes))) for secret in newest_first]
        )

    def refresh_token(self, pointer: Pointer) -> str:
        """The refresh token for a grant's generation: always the same bytes.

        Raises:
            LookupError: its secret number is not here (the server would not have started).
        """
        return self._refresh_tokens.make(pointer)

    def read_refresh_token(self, token: str) -> Pointer | None:
        """What a refresh token says, or None where we did not make it in this database's epoch."""
        return self._refresh_tokens.read(token)

    def code(self, pointer: Pointer) -> str:
        """The authorization code of a grant: always the same bytes.

        Raises:
            LookupError: its secret number is not here (the server would not have started).
        """
        return self._codes.make(pointer)

    def read_code(self, code: str) -> Pointer | None:
        """What an authorization code says, or None where we did not make it in this database's epoch."""
        return self._codes.read(code)

    def seal(self, payload: bytes, *, now: int) -> str:
        """The payload so that only this issuer can read or change it, in URL-safe characters."""
        return self._transactions.encrypt_at_time(payload, now).decode("ascii").rstrip("=")

    def open(self, sealed: str) -> bytes | None:
        """What `seal` sealed, or None where this issuer did not."""
        try:
            return self._transactions.decrypt(sealed + "=" * (-len(sealed) % 4))
        except (InvalidToken, ValueError):
            return None

    def csrf(self, browser: str) -> str:
        """What the forms shown to a browser carry, derived from its cookie (SECURITY B-04)."""
        return _csrf(self._csrf_keys[0], browser)

    def is_csrf(self, browser: str, token: str) -> bool:
        """Whether a form was shown to this very browser."""
        sent = token.encode()
        return any(hmac.compare_digest(_csrf(key, browser).encode(), sent) for key in self._csrf_keys)


class _Pointers:
    """Tokens of one kind."""

    def __init__(self, prefix: str, label: bytes, secrets: Mapping[int, bytes], epoch: bytes) -> None:
        self._prefix = prefix
        self._macs = {number: _mac(derive(secret, label), epoch) for number, secret in secrets.items()}
        """Begun, and copied for each token: to take the key in anew would take three times as long."""

    def make(self, pointer: Pointer) -> str:
        body = _BODY.pack(pointer.secret_number, pointer.grant_id, pointer.generation)
        mac = self._macs[pointer.secret_number].copy()
        mac.update(body)
        return self._prefix + urlsafe_b64encode(body + mac.finalize()[:_MAC_BYTES]).decode("ascii")

    def read(self, token: str) -> Pointer | None:
        if len(token) != _LENGTH or not token.startswith(self._prefix) or not token.isascii():
            return None
        try:
            secret_number, grant_id, generation = _BODY.unpack_from(urlsafe_b64decode(token[_START:_END]))
        except (ValueError, struct.error):
            return None
        if secret_number not in self._macs:
            return None
        pointer = Pointer(grant_id=grant_id, generation=generation, secret_number=secret_number)
        # Compared as a whole, so that each token has one spelling.
        return pointer if hmac.compare_digest(self.make(pointer), token) else None


def _mac(key: bytes, beginning: bytes) -> HMAC:
    """HMAC-SHA256 of messages that begin alike."""
    mac = HMAC(key, SHA256())
    mac.update(beginning)
    return mac


def _csrf(key: bytes, browser: str) -> str:
    return urlsafe_b64encode(hmac.digest(key, browser.encode(), "sha256")).decode("ascii").rstrip("=")
