"""ID tokens: what a client is told about who signed in (OpenID Connect Core 1.0 section 2)."""

from base64 import urlsafe_b64encode
from hashlib import sha256, sha512
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from jwtauth.errors import InvalidToken
from jwtauth.protocol import permissions, requested_claims, userinfo
from jwtauth.protocol.records import Client, Grant, GrantType, Session, User
from jwtauth.protocol.requested_claims import ACR

TYPE: Final = "JWT"
"""The `typ` of an ID token; no access token has it (SECURITY J-04)."""

ALGORITHMS: Final = ("RS256", "ES256", "PS256", "EdDSA")
"""What a client may have its ID tokens signed with; the first unless it registered another (section 15.1)."""

AMR: Final = ("pwd",)
"""RFC 8176: a password."""


class Hint(Struct, frozen=True):
    """What an ID token of ours says that comes back as id_token_hint (section 3.1.2.1)."""

    iss: str
    sub: str
    aud: str
    sid: str | UnsetType = UNSET


def make(
    grant: Grant, client: Client, user: User, session: Session | None, *, issuer: str, access_token: str, now: int
) -> dict[str, Any]:
    """The claims of an ID token that goes out together with an access token (section 3.1.3.6).

    How somebody signed in at an upstream is not known here: then there is no `amr`.
    """
    is_by_password = session is None or session.upstream_realm is None
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": user.sub,
        "aud": client.client_id,
        "exp": now + permissions.access_token_in(client, GrantType.AUTHORIZATION_CODE),
        "iat": now,
        "auth_time": grant.auth_time,
        "nonce": grant.nonce,
        "acr": ACR,
        "amr": AMR if is_by_password else None,
        "at_hash": at_hash(access_token, algorithm=client.id_token_algorithm),
        "sid": session.sid if session is not None else None,
    }
    return {
        **userinfo.claims(user, requested_claims.within(grant.claims, client.scope).id_token),
        **{name: value for name, value in claims.items() if value is not None},
    }


def at_hash(access_token: str, *, algorithm: str) -> str:
    """The left half of the access token's hash, with the hash of the signature's algorithm (section 3.1.3.6)."""
    digest = (sha512 if algorithm == "EdDSA" else sha256)(access_token.encode("ascii")).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")


def read_hint(payload: bytes, *, issuer: str) -> Hint:
    """What a hint says whose signature was checked; it may have expired (section 3.1.2.1).

    Raises:
        InvalidToken: it is no ID token of this issuer.
    """
    try:
        hint = _DECODER.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise InvalidToken("the hint is no ID token") from None
    if hint.iss != issuer:
        raise InvalidToken("the hint is of another issuer")
    return hint


_DECODER: Final = msgspec.json.Decoder(Hint)
