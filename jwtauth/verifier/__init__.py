"""For resource servers: access tokens verified offline, with nothing but the issuer's published keys.

    verifier = Verifier("https://id.example.com", "https://reports.example.com")

    claims = verifier.verify(token)            # in threads; `await verifier.averify(token)` in coroutines
    claims.require_scope("reports:read")

Make one Verifier per process and keep it: it holds the keys. Both methods answer with `Claims` or raise

- `InvalidToken`, of which `ExpiredToken` is one: answer 401 with `error="invalid_token"` (RFC 6750 section 3.1);
- `KeysUnavailable`: the issuer cannot be asked for its keys, the token may be good: answer 503 with Retry-After.

`require_scope` raises `InsufficientScope`: answer 403.

What is not checked yet: whether the token was revoked. It passes until it expires; ask the issuer's introspection
endpoint where that is too late.

How a token is framed and signed is told in `jwtauth.keyring.jws`, what its claims must say in
`jwtauth.protocol.claims`; this package knows when to fetch what. A private certificate authority is named by the
environment variable SSL_CERT_FILE.
"""

from jwtauth.errors import ExpiredToken, InsufficientScope, InvalidToken
from jwtauth.verifier.claims import Claims
from jwtauth.verifier.fetch import KeysUnavailable
from jwtauth.verifier.verifier import Verifier

__all__ = [
    "Verifier",
    "Claims",
    "InvalidToken",
    "ExpiredToken",
    "InsufficientScope",
    "KeysUnavailable",
]
