"""For resource servers: access tokens verified offline, with the issuer's published keys and status lists.

    verifier = Verifier("https://id.example.com", "https://reports.example.com")

    claims = verifier.verify(token)            # in threads; `await verifier.averify(token)` in coroutines
    claims.require_scope("reports:read")

Make one Verifier per process and keep it: it holds the keys and lists, and one thread that keeps them fresh. Both
methods answer with `Claims` or raise

- `InvalidToken`, of which `ExpiredToken` is one: answer 401 with `error="invalid_token"` (RFC 6750 section 3.1);
- `KeysUnavailable` or `StatusUnavailable`, which are `Unavailable`: the issuer cannot be asked, the token may be good:
  answer 503 with Retry-After.

`require_scope` and `require_authority` raise `InsufficientScope`: answer 403. All of that is done for a whole
application by `jwtauth.verifier.asgi` and `jwtauth.verifier.wsgi`, and for what is behind a web server by
`jwtauth.verifier.proxy`.

A revocation is seen within `ttl` seconds (15, if the issuer says nothing else), or at once with `push=True`; what
happens while the issuer cannot be asked is told in docs/verifier.md, and `Verifier.lag()` says where you are.

How a token is framed and signed is told in `jwtauth.keyring.jws`, what its claims must say in
`jwtauth.protocol.claims`; this package knows when to fetch what. A private certificate authority is named by the
environment variable SSL_CERT_FILE.
"""

from jwtauth.errors import ExpiredToken, InsufficientScope, InvalidToken
from jwtauth.verifier.claims import Claims
from jwtauth.verifier.unavailable import KeysUnavailable, StatusUnavailable, Unavailable
from jwtauth.verifier.verifier import Verifier

__all__ = [
    "Verifier",
    "Claims",
    "InvalidToken",
    "ExpiredToken",
    "InsufficientScope",
    "Unavailable",
    "KeysUnavailable",
    "StatusUnavailable",
]
