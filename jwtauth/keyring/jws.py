"""Signing and verifying compact JWS, and keys as JWK (RFC 7515, RFC 7517, RFC 7518, RFC 7638). PyJWT's only door.

The primitives are PyJWT's algorithm objects, for ES256 those of `cryptography`. The frame around them is read here,
stricter than PyJWT does: a fixed `typ`, base64url in its one canonical form, no duplicate members, no `crit`, the
algorithm taken from the key.
"""

import json
from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt import PyJWK, get_algorithm_by_name
from jwt.exceptions import PyJWTError
from msgspec import UNSET, Struct

from jwtauth.errors import ConfigurationError, InvalidToken

MAX_TOKEN_LENGTH: Final = 16_384
"""Longest token that is looked at, in characters."""

ALGORITHMS: Final = ("ES256", "RS256", "PS256", "EdDSA")
"""What this issuer signs with and its verifier accepts (RFC 7518 section 3.1, RFC 8037)."""

_RSA_BITS: Final = 2048
_KINDS: Final = "ES256 needs P-256, RS256 and PS256 an RSA key of at least 2048 bits, EdDSA Ed25519"
_P256_BYTES: Final = 32
_ECDSA_SHA256: Final = ec.ECDSA(Prehashed(hashes.SHA256()))
"""Of a digest that hashlib made: the primitive asks for its hash anew each time, which takes 1 µs longer."""

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Header(Struct, frozen=True):
    """The members of a protected header that decide anything (RFC 7515 section 4.1)."""

    alg: str
    kid: str = ""
    typ: str = ""
    crit: Any = UNSET
    b64: Any = UNSET


class Signed(Struct, frozen=True):
    """A JWS taken apart, its signature not yet looked at."""

    header: Header
    payload: bytes
    signing_input: bytes
    signature: bytes


class VerifyingKey:
    """A public key with the one algorithm that it verifies."""

    def __init__(self, jwk: dict[str, Any]) -> None:
        """Read a JWK.

        Raises:
            InvalidToken: it is no public key of an algorithm that we accept, or has no kid.
        """
        algorithm, kid = jwk.get("alg"), jwk.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(kid, str) or not kid or not _PRIVATE_MEMBERS.isdisjoint(jwk):
            raise InvalidToken("the key is not a public signing key with alg and kid")
        try:
            key = PyJWK(jwk, algorithm=algorithm)
        except (PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidToken("the key cannot be read") from None
        if not _fits(algorithm, key.key):
            raise InvalidToken(f"the key does not fit its algorithm: {_KINDS}")
        self.kid = kid
        self.algorithm: str = algorithm
        self._jwk = jwk
        self._verifies = _verification(algorithm, key.key)

    def verify(self, signed: Signed) -> bool:
        """Whether this key made the signature, and under its own algorithm."""
        return signed.header.alg == self.algorithm and self._verifies(signed.signing_input, signed.signature)

    def is_same_as(self, other: "VerifyingKey") -> bool:
        """Whether the other one was published in the same words."""
        return self._jwk == other._jwk


class SigningKey:
    """A private key with its kid and the one algorithm that it signs with."""

    def __init__(self, algorithm: str, private_key: PrivateKey) -> None:
        """Take a key into use.

        Raises:
            ConfigurationError: the key is not of the algorithm's kind, or too weak.
        """
        _require_kind(algorithm, private_key)
        self.algorithm = algorithm
        self._private_key = private_key
        self._signature = _signing(algorithm, private_key)
        public = get_algorithm_by_name(algorithm).to_jwk(private_key.public_key(), as_dict=True)
        members = {name: value for name, value in public.items() if name in ("kty", "crv", "x", "y", "n", "e")}
        self.kid = thumbprint(members)
        self.jwk: dict[str, str] = {**members, "use": "sig", "alg": algorithm, "kid": self.kid}
        self.verifying_key = VerifyingKey(self.jwk)
        self._headers: dict[str, bytes] = {}

    def sign(self, payload: bytes, *, typ: str) -> str:
        """The compact JWS of a payload (RFC 7515 section 3.1)."""
        header = self._headers.get(typ)
        if header is None:
            header = self._headers[typ] = _encode(
                json.dumps({"alg": self.algorithm, "kid": self.kid, "typ": typ}, separators=(",", ":")).encode()
            )
        signing_input = header + b"." + _encode(payload)
        return (signing_input + b"." + _encode(self._signature(signing_input))).decode("ascii")

    def pem(self) -> str:
        """The private key as PKCS #8 PEM, for the keys folder only."""
        return self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")

    def __repr__(self) -> str:
        """Never anything private."""
        return f"SigningKey({self.algorithm}, kid={self.kid})"


def generate(algorithm: str) -> SigningKey:
    """A new random key for an algorithm.

    Raises:
        ConfigurationError: we do not sign with that algorithm.
    """
    match algorithm:
        case "ES256":
            return SigningKey(algorithm, ec.generate_private_key(ec.SECP256R1()))
        case "RS256" | "PS256":
            return SigningKey(algorithm, rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS))
        case "EdDSA":
            return SigningKey(algorithm, ed25519.Ed25519PrivateKey.generate())
        case _:
            raise ConfigurationError(f"algorithm {algorithm!r} is not supported; choose one of {', '.join(ALGORITHMS)}")


@lru_cache(maxsize=8)  # to prove an RSA key sound takes 50 ms, and a folder is read whenever one of its files changed
def load(algorithm: str, pem: str) -> SigningKey:
    """The key in a PKCS #8 PEM text.

    Raises:
        ConfigurationError: the text is no such key.
    """
    try:
        private_key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError("is not an unencrypted PKCS #8 private key in PEM form") from None
    if not isinstance(private_key, PrivateKey):
        raise ConfigurationError("is a key of a kind that is not used for signing here")
    return SigningKey(algorithm, private_key)


def take_apart(token: str) -> Signed:
    """The parts of a compact JWS, strictly: three canonical base64url segments, a header that we understand.

    Raises:
        InvalidToken: it is anything else (RFC 7515 section 5.2).
    """
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise InvalidToken("the token is too long or not ASCII")
    signing_input, _, signature = token.encode("ascii").rpartition(b".")
    header, dot, payload = signing_input.partition(b".")
    if not dot or b"." in payload:
        raise InvalidToken("the token is not a signed JWT")
    return Signed(_read_header(header), _decode(payload), signing_input, _decode(signature))


def thumbprint(jwk: dict[str, Any]) -> str:
    """The key's name: base64url of SHA-256 over its required members (RFC 7638 section 3)."""
    required = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    canonical = json.dumps({name: jwk[name] for name in required}, separators=(",", ":"), sort_keys=True)
    return _encode(sha256(canonical.encode()).digest()).decode("ascii")


def _signing(algorithm: str, private_key: PrivateKey) -> Callable[[bytes], bytes]:
    """How a key signs. ES256 as PyJWT does it, but with one ECDSA object for all signatures, and hashed by hashlib."""
    if not isinstance(private_key, ec.EllipticCurvePrivateKey):
        primitive = get_algorithm_by_name(algorithm)
        return lambda signing_input: primitive.sign(signing_input, private_key)
    sign = private_key.sign

    def es256(signing_input: bytes) -> bytes:
        r, s = decode_dss_signature(sign(sha256(signing_input).digest(), _ECDSA_SHA256))
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")  # RFC 7518 section 3.4

    return es256


def _verification(algorithm: str, public_key: Any) -> Callable[[bytes, bytes], bool]:
    """How a key checks a signature; the counterpart of `_signing`."""
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        primitive = get_algorithm_by_name(algorithm)
        return lambda signing_input, signature: bool(primitive.verify(signing_input, public_key, signature))
    verify = public_key.verify

    def es256(signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * _P256_BYTES:
            return False
        r, s = int.from_bytes(signature[:_P256_BYTES], "big"), int.from_bytes(signature[_P256_BYTES:], "big")
        try:
            verify(encode_dss_signature(r, s), sha256(signing_input).digest(), _ECDSA_SHA256)
        except InvalidSignature:
            return False
        return True

    return es256


def _require_kind(algorithm: str, private_key: PrivateKey) -> None:
    if not _fits(algorithm, private_key.public_key()):
        raise ConfigurationError(f"is not a key for {algorithm!r}: {_KINDS}")


def _fits(algorithm: str, public_key: object) -> bool:
    match public_key:
        case ec.EllipticCurvePublicKey():
            return algorithm == "ES256" and isinstance(public_key.curve, ec.SECP256R1)
        case rsa.RSAPublicKey():
            return algorithm in ("RS256", "PS256") and public_key.key_size >= _RSA_BITS
        case _:
            return algorithm == "EdDSA" and isinstance(public_key, ed25519.Ed25519PublicKey)


@lru_cache(maxsize=64)
def _read_header(encoded: bytes) -> Header:
    text = _decode(encoded)
    try:
        members = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse_constant)
        header = msgspec.convert(members, Header)
    except (ValueError, msgspec.ValidationError, RecursionError):
        raise InvalidToken("the token's header cannot be read") from None
    if header.crit is not UNSET or header.b64 is not UNSET:
        raise InvalidToken("the token's header has crit or b64, which no token of ours has")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated member")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _decode(encoded: bytes) -> bytes:
    """The bytes that base64url without padding stands for, in its one canonical form (RFC 7515 section 2).

    The bits of the last character that stand for nothing must be zero: else one token could be spelt in several ways.
    """
    surplus = len(encoded) % 4
    if surplus == 1 or (surplus and encoded[-1] not in _LAST[surplus]):
        raise InvalidToken("the token is not in canonical base64url")
    try:
        return a2b_base64(encoded.translate(_TO_BASE64) + _PADDING[surplus], strict_mode=True)
    except Base64Error:
        raise InvalidToken("the token is not in canonical base64url") from None


_TO_BASE64: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
"""base64url as base64; what base64url does not have becomes what base64 does not have."""
_PADDING: Final = (b"", b"", b"==", b"=")
_LAST: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
