"""Proof Key for Code Exchange, S256 only (RFC 7636)."""

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

from jwtauth.errors import Failed, InvalidGrant, InvalidRequest

METHOD: Final = "S256"

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


def challenge(sent: str | None, method: str | None, *, is_required: bool) -> str | None:
    """The code challenge of an authorization request, to be stored with the grant.

    Raises:
        InvalidRequest: it is missing though required, malformed, or of another method (RFC 7636 section 4.4.1).
    """
    if sent is None and method is None:
        if is_required:
            raise InvalidRequest("code_challenge: is missing; this client has to use PKCE with S256 (RFC 7636)")
        return None
    if method != METHOD:
        raise InvalidRequest(f"code_challenge_method: expected {METHOD}")
    if sent is None or not _CHALLENGE.fullmatch(sent):
        raise InvalidRequest("code_challenge: expected 43 characters of base64url, the SHA-256 of the code_verifier")
    return sent


def challenge_of(verifier: str) -> str:
    """The challenge of a code verifier by S256 (RFC 7636 section 4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode("ascii")


def check(verifier: str | None, stored: str | None, *, refusal: str) -> None:
    """Let a token request pass whose verifier belongs to the challenge stored with the grant.

    Raises:
        InvalidGrant: they do not match, or only one of the two exists (RFC 7636 section 4.6, RFC 9700 section 4.8.2).
    """
    if verifier is None and stored is None:
        return
    if verifier is None or stored is None or not _VERIFIER.fullmatch(verifier):
        raise InvalidGrant(refusal, why=_NO_PAIR)
    if not hmac.compare_digest(challenge_of(verifier).encode(), stored.encode()):
        raise InvalidGrant(refusal, why=_OTHER)


_NO_PAIR: Final = Failed("code_verifier", "43 to 128 characters if a code_challenge was sent", "something else")
_OTHER: Final = Failed("code_verifier", "the one whose SHA-256 is the code_challenge", "another")
