"""W5: what a resource server pays to verify a token offline, held against the bare signature check of that token.

The verifier does all that it promises: its status list is held before anything is timed, as a revoked token shows.
"""

import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct

from bench import rounds, wire
from bench.folder import SECRET, SERVICE
from bench.proof import JWKS
from bench.rounds import Spread
from jwtauth.errors import InvalidToken
from jwtauth.protocol.status_list import TTL
from jwtauth.verifier import Verifier

ROUNDS: Final = 16

PART: Final = 1_024
"""Tokens of one round; each round has others, so that the verifier sees each for the first time."""

TOKENS: Final = (ROUNDS + 1) * PART
"""Of all rounds, and of one before them that is not counted."""

FEW: Final = 64
"""Tokens that are checked in one way before the next way has its turn: some milliseconds."""


class Offline(Struct, frozen=True, kw_only=True):
    """Microseconds of one check, and their ratios to the bare signature check."""

    bare_us: Spread
    first_us: Spread
    again_us: Spread
    """Of a token that the verifier remembers."""
    pyjwt_us: Spread
    first: Spread
    again: Spread
    pyjwt: Spread


def measure(port: int, tokens: Sequence[str], *, issuer: str, audience: str) -> Offline:
    """Verify the same ES256 tokens bare, with our verifier and with PyJWT, in turn, and some of them again and again.

    Args:
        port: where the issuer is.
        tokens: one more than `TOKENS`; the first is revoked here.
        issuer: of the tokens.
        audience: of the tokens.
    """
    revoked, *live = tokens
    wire.ask(port, wire.post("/oauth/revoke", authorization=wire.basic(SERVICE, SECRET), token=revoked))
    with Verifier(issuer, audience, now=_later) as verifier:
        _prove(verifier, revoked)
        return _measure(port, live, verifier)


def _later() -> float:
    """A clock by which no token is so young that it passes before its status list is there."""
    return time.time() + TTL


def _prove(verifier: Verifier, revoked: str) -> None:
    """Let a verifier pass that refuses a revoked token.

    Raises:
        AssertionError: it accepts it.
    """
    try:
        verifier.verify(revoked)
    except InvalidToken:
        return
    raise AssertionError("the verifier accepts a revoked token")


def _measure(port: int, tokens: Sequence[str], verifier: Verifier) -> Offline:
    key = jwt.PyJWKSet.from_json(wire.ask(port, JWKS).decode()).keys[0]
    public = key.key
    assert isinstance(public, ec.EllipticCurvePublicKey)
    algorithm = ec.ECDSA(SHA256())
    bare = [_bare(token) for token in tokens]

    def check_bare(few: slice) -> None:
        for signature, signed in bare[few]:
            public.verify(signature, signed, algorithm)

    def check_with_verifier(few: slice) -> None:
        for token in tokens[few]:
            verifier.verify(token)

    def check_with_pyjwt(few: slice) -> None:
        for token in tokens[few]:
            jwt.decode(token, key, algorithms=["ES256"], audience=verifier.audience, issuer=verifier.issuer)

    ways = (check_bare, check_with_verifier, check_with_pyjwt)
    parts = [range(start, start + PART) for start in range(0, TOKENS, PART)]
    bare_us, first_us, pyjwt_us = zip(*[_spent_us(ways, part) for part in parts][1:], strict=True)
    known = [_spent_us((check_with_verifier, check_bare), parts[-1]) for _ in range(ROUNDS + 1)]
    again_us, bare_again_us = zip(*known[1:], strict=True)  # what came twice is remembered
    return Offline(
        bare_us=rounds.spread(bare_us),
        first_us=rounds.spread(first_us),
        again_us=rounds.spread(again_us),
        pyjwt_us=rounds.spread(pyjwt_us),
        first=rounds.alternate(first_us, bare_us),
        again=rounds.alternate(again_us, bare_again_us),
        pyjwt=rounds.alternate(pyjwt_us, bare_us),
    )


def _bare(token: str) -> tuple[bytes, bytes]:
    """A token's signature in the form that OpenSSL reads, and what it signs."""
    signed, _, encoded = token.rpartition(".")
    raw = urlsafe_b64decode(encoded + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    return encode_dss_signature(r, s), signed.encode("ascii")


def _spent_us(ways: Sequence[Callable[[slice], None]], part: range) -> list[float]:
    """Microseconds of a check in each way. Each way gets a few tokens at a time, so that slow moments meet all."""
    seconds = [0.0] * len(ways)
    for start in part[::FEW]:
        for number, way in enumerate(ways):
            began_at = time.perf_counter()
            way(slice(start, start + FEW))
            seconds[number] += time.perf_counter() - began_at
    return [spent / len(part) * 1e6 for spent in seconds]
