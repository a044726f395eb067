"""What every server knows when it starts: one ES256 key, three clients, the same lifetimes, and refresh tokens."""

import json
import secrets
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from msgspec import Struct

from bench.folder import APPLICATION, LIFE_IN, REPORTER, SCOPE, SECRET, SERVICE

GRANTS: Final = 2_048
"""Grants at the start, each with a refresh token that was not used yet."""

ACCESS_TOKEN_IN: Final = 3_600
"""Lifetime of an access token, in seconds: what ours has unless told; the proof of the answers insists on it."""

_KID: Final = "bench"


class World(Struct, frozen=True, kw_only=True):
    """The content of `world.json`."""

    port: int
    issuer: str
    key: dict[str, Any]
    """The private key, as a JWK."""
    refresh_tokens: tuple[str, ...]
    access_token_in: int = ACCESS_TOKEN_IN
    refresh_token_in: int = LIFE_IN
    audience: str = "https://resource.example"
    scope: str = " ".join(SCOPE)
    secret: str = SECRET
    service: str = SERVICE
    reporter: str = REPORTER
    application: str = APPLICATION

    @property
    def public_key(self) -> jwt.PyJWK:
        """What the signatures of its tokens are proven with."""
        return jwt.PyJWK({name: value for name, value in self.key.items() if name != "d"})

    def write(self, folder: Path) -> None:
        """Let a server in this folder find it."""
        (folder / "world.json").write_bytes(msgspec.json.encode(self))


def make(port: int, *, refresh_token_bytes: int) -> World:
    """A new world, with a new key."""
    jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()))
    return World(
        port=port,
        issuer=f"http://127.0.0.1:{port}",
        key={**json.loads(jwk), "kid": _KID, "use": "sig", "alg": "ES256"},
        refresh_tokens=tuple(secrets.token_urlsafe(refresh_token_bytes) for _ in range(GRANTS)),
    )
