"""Hashes that other systems made: read at import, verified at sign-in until a hash of ours replaces them.

None is stored as it came: at import argon2id is put over its digest, and in front of that stands what the digest was
made with, as in `{bcrypt:$2a$10$dXJ3SW6G7P50lGmMkkmwe.}$argon2id$...`. So a stolen database is never easier to guess
from than with hashes of ours, and every attempt costs at least what ours cost.

Loaded only where such a hash is met (`jwtauth.passwords`): bcrypt is the extra `legacy`, which nobody needs any more
once everybody has signed in. Which hashes are taken: docs/migrating/importing.md.
"""

import hashlib
import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Final

import bcrypt

from jwtauth.errors import ConfigurationError

MIN_BCRYPT_COST: Final = 4
MAX_BCRYPT_COST: Final = 15
"""About two seconds of one core for each attempt; with more, strangers could stop the service."""

MAX_PBKDF2_ITERATIONS: Final = 3_000_000
MAX_SHA256_ITERATIONS: Final = 100_000
MAX_SCRYPT_MEMORY: Final = 256 * 2**20
"""Of one attempt, in bytes."""

MAX_SCRYPT_PARALLELISM: Final = 8
MAX_SCRYPT_WORK: Final = 2**21
"""N times r times p; about a second."""

BCRYPT_READS: Final = 72
"""Bytes of a password that bcrypt looks at; its implementations ignored the rest in silence until lately."""

SPRING_PBKDF2_ITERATIONS: Final = 185_000
SPRING_SHA256_ITERATIONS: Final = 1_024
SPRING_SALT: Final = 8
"""Bytes before the digest in what Spring Security's encoders wrote before version 5.8."""

ONESAIT_ITERATIONS: Final = 5
ONESAIT_KEY: Final = "PveFT7isDjGYFTaYhc2Fzw=="
"""The salt that all installations of onesait platform share which set no `onesaitplatform.encryption.key`."""

_SCHEMES: Final = re.compile(
    r"\{(?:bcrypt|ldap|MD4|MD5|noop|onesait|pbkdf2|scrypt|sha256|SHA|SSHA|SHA-1|SHA-256"
    r"|(?:pbkdf2|scrypt|argon2)@SpringSecurity_v5_8)\}"
    r"|\{onesait(?=:)|\$(?:1|2|2a|2b|2x|2y|5|6|7|y|P|H|S|apr1|md5|sha1|argon2|scrypt|pbkdf2-sha(?:256|512))\$"
    r"|(?:md5|sha1|sha224|sha256|sha384|sha512|bcrypt|bcrypt_sha256|scrypt|argon2|pbkdf2_sha(?:1|256))\$"
    r"|pbkdf2:(?:md5|sha1|sha224|sha256|sha384|sha512)[:$]|scrypt:|SHA256\(",
    re.ASCII,
)
"""Beginnings that may be repeated in a message, as they are no part of anybody's password."""
_LENGTHS: Final = {
    re.compile(form, re.ASCII): length
    for form, length in {
        r"(?:\{bcrypt\})?(?=\$2[aby]\$)": 60,
        r"pbkdf2:sha1:[0-9]+\$[^$]+\$": 40,
        r"pbkdf2:sha256:[0-9]+\$[^$]+\$": 64,
        r"pbkdf2:sha512:[0-9]+\$[^$]+\$": 128,
        r"scrypt:[0-9]+:[0-9]+:[0-9]+\$[^$]+\$": 128,
        r"sha256\$[^$]+\$": 64,
        r"\{(?:pbkdf2|sha256)\}": 80,
        r"\{onesait(?::[^{}]*)?\}": 44,
    }.items()
}
"""How many characters follow such a beginning; columns that were too narrow have cut many a hash off."""
_COVERED: Final = re.compile(r"\{([a-z0-9-]+):([^{}]+)\}(\$argon2id\$.+)", re.ASCII)

Taken = tuple[str, str]
"""What the digest was made with, as it is stored in front, and the digest."""


def take(text: str) -> Taken:
    """A hash made elsewhere, taken apart.

    Raises:
        ConfigurationError: it is in no form that can be verified here, or each attempt would cost too much.
    """
    scheme = _SCHEMES.match(text)
    named = f"begins with {scheme[0]} and" if scheme else "names no known scheme and"
    _check_length(text, named)
    for form, read in _FORMS.items():
        found = re.fullmatch(form, text, re.ASCII)
        if found is not None:
            return read(found)
    raise ConfigurationError(f"{named} cannot be verified here; docs/migrating/importing.md says which hashes can")


def uncover(stored: str, password: str) -> tuple[str, str] | None:
    """The argon2id hash in `stored`, and the password's digest that it must match; None where it is no such hash."""
    found = _COVERED.fullmatch(stored)
    if found is None or found[1] not in _DIGESTS:
        return None
    try:
        return found[3], _DIGESTS[found[1]](found[2], password)
    except ValueError:  # nothing that was imported is made so: it was damaged since
        return None


def _check_length(text: str, named: str) -> None:
    for beginning, length in _LENGTHS.items():
        found = beginning.match(text)
        if found is not None and len(text) - found.end() != length:
            difference = len(text) - found.end() - length
            wrong = "short: was it cut off?" if difference < 0 else "long"
            raise ConfigurationError(f"{named} its length is wrong: it is {abs(difference)} characters too {wrong}")


def _take_bcrypt(found: re.Match[str]) -> Taken:
    salt, cost, digest = found.groups()
    _bound("bcrypt cost", int(cost), MAX_BCRYPT_COST, least=MIN_BCRYPT_COST)
    return f"{{bcrypt:{salt}}}", digest


def _take_werkzeug_pbkdf2(found: re.Match[str]) -> Taken:
    """`generate_password_hash(method="pbkdf2:...")`."""
    name, iterations, salt, digest = found.groups()
    return _pbkdf2(name, int(iterations), salt.encode(), digest)


def _take_werkzeug_scrypt(found: re.Match[str]) -> Taken:
    """`generate_password_hash(method="scrypt:...")`."""
    n, r, p, salt, digest = found.groups()
    return _scrypt(int(n), int(r), int(p), salt.encode(), digest)


def _take_werkzeug_sha256(found: re.Match[str]) -> Taken:
    """`generate_password_hash(method="sha256")` before werkzeug 3: the salt is the key of an HMAC."""
    salt, digest = found.groups()
    return f"{{hmac-sha256:{salt.encode().hex()}}}", digest


def _take_spring_pbkdf2(found: re.Match[str]) -> Taken:
    """`Pbkdf2PasswordEncoder` as it was before Spring Security 5.8, without a secret of the installation's own."""
    salt, digest = _halves(found[1])
    return _pbkdf2("sha1", SPRING_PBKDF2_ITERATIONS, salt, digest)


def _take_spring_scrypt(found: re.Match[str]) -> Taken:
    """`SCryptPasswordEncoder`: its costs are one number, log2(N) above r above p, 8 bits for each of these two."""
    costs, salt, digest = int(found[1], 16), _decoded(found[2]), _decoded(found[3])
    return _scrypt(1 << min(costs >> 16, 64), costs >> 8 & 0xFF, costs & 0xFF, salt, digest.hex())


def _take_spring_sha256(found: re.Match[str]) -> Taken:
    """`StandardPasswordEncoder` without a secret of the installation's own."""
    salt, digest = _halves(found[1])
    return _sha256(SPRING_SHA256_ITERATIONS, salt, digest)


def _take_onesait(found: re.Match[str]) -> Taken:
    """`PasswordEncoder` of com.minsait.onesait.platform.commons.security, which iterates once more than it says."""
    iterations, key = int(found[1] or ONESAIT_ITERATIONS), found[2] or ONESAIT_KEY
    return _sha256(iterations + 1, _decoded(key), _decoded(found[3]).hex())


def _pbkdf2(name: str, iterations: int, salt: bytes, digest: str) -> Taken:
    _bound("pbkdf2 iterations", iterations, MAX_PBKDF2_ITERATIONS)
    return f"{{pbkdf2:{name}:{iterations}:{len(digest) // 2}:{salt.hex()}}}", digest


def _scrypt(n: int, r: int, p: int, salt: bytes, digest: str) -> Taken:
    if n < 2 or n & (n - 1):
        raise ConfigurationError("scrypt cost: is no power of 2")
    _bound("scrypt memory in bytes", 128 * n * r, MAX_SCRYPT_MEMORY)
    _bound("scrypt parallelism", p, MAX_SCRYPT_PARALLELISM)
    _bound("scrypt N times r times p", n * r * p, MAX_SCRYPT_WORK)
    return f"{{scrypt:{n}:{r}:{p}:{len(digest) // 2}:{salt.hex()}}}", digest


def _sha256(iterations: int, salt: bytes, digest: str) -> Taken:
    _bound("sha256 iterations", iterations, MAX_SHA256_ITERATIONS)
    return f"{{sha256:{iterations}:{salt.hex()}}}", digest


def _bound(name: str, value: int, most: int, *, least: int = 1) -> None:
    if not least <= value <= most:
        raise ConfigurationError(f"{name}: {value} is not within {least} and {most}; every attempt would cost too much")


def _halves(text: str) -> tuple[bytes, str]:
    """Salt and digest, which Spring Security wrote as one run of hexadecimal digits."""
    return bytes.fromhex(text[: 2 * SPRING_SALT]), text[2 * SPRING_SALT :]


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error:
        raise ConfigurationError("a part of the hash is not base64") from None


def _digest_bcrypt(salt: str, password: str) -> str:
    return bcrypt.hashpw(password.encode()[:BCRYPT_READS], salt.encode()).decode()[len(salt) :]


def _digest_pbkdf2(settings: str, password: str) -> str:
    name, iterations, size, salt = settings.split(":")
    return hashlib.pbkdf2_hmac(name, password.encode(), bytes.fromhex(salt), int(iterations), int(size)).hex()


def _digest_scrypt(settings: str, password: str) -> str:
    *costs, size, salt = settings.split(":")
    n, r, p = map(int, costs)
    room = 2 * MAX_SCRYPT_MEMORY  # OpenSSL wants somewhat more than scrypt needs
    return hashlib.scrypt(
        password.encode(), salt=bytes.fromhex(salt), n=n, r=r, p=p, dklen=int(size), maxmem=room
    ).hex()


def _digest_hmac_sha256(salt: str, password: str) -> str:
    return hmac.digest(bytes.fromhex(salt), password.encode(), "sha256").hex()


def _digest_sha256(settings: str, password: str) -> str:
    iterations, salt = settings.split(":")
    digest = bytes.fromhex(salt) + password.encode()
    for _ in range(int(iterations)):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


_FORMS: Final[dict[str, Callable[[re.Match[str]], Taken]]] = {
    r"(?:\{bcrypt\})?(\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{22})([./A-Za-z0-9]{31})": _take_bcrypt,
    r"pbkdf2:(sha1|sha256|sha512):([0-9]{1,10})\$([!-#%-~]+)\$([0-9a-f]+)": _take_werkzeug_pbkdf2,
    r"scrypt:([0-9]{1,10}):([0-9]{1,5}):([0-9]{1,5})\$([!-#%-~]+)\$([0-9a-f]{128})": _take_werkzeug_scrypt,
    r"sha256\$([!-#%-~]+)\$([0-9a-f]{64})": _take_werkzeug_sha256,
    r"\{pbkdf2\}([0-9a-f]{80})": _take_spring_pbkdf2,
    r"\{scrypt(?:@SpringSecurity_v5_8)?\}\$([0-9a-f]{5,8})\$([A-Za-z0-9+/=]{12,128})\$([A-Za-z0-9+/=]{44,88})": (
        _take_spring_scrypt
    ),
    r"\{sha256\}([0-9a-f]{80})": _take_spring_sha256,
    r"\{onesait(?::([0-9]{1,10}):([A-Za-z0-9+/=]{4,128}))?\}([A-Za-z0-9+/]{43}=)": _take_onesait,
}
_DIGESTS: Final[dict[str, Callable[[str, str], str]]] = {
    "bcrypt": _digest_bcrypt,
    "pbkdf2": _digest_pbkdf2,
    "scrypt": _digest_scrypt,
    "hmac-sha256": _digest_hmac_sha256,
    "sha256": _digest_sha256,
}
