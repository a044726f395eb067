"""What an upstream says of a token of its own, read strictly: it may be broken, or somebody else.

By introspection (RFC 7662 section 2.2), userinfo (OpenID Connect Core 1.0 section 5.3.2), the claims of a JWT access
token (RFC 9068 section 4) or of an ID token (OpenID Connect Core 1.0 section 3.1.3.7). Signatures were checked before.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from jwtauth.protocol.claims import LEEWAY_IN
from jwtauth.protocol.upstream import Upstream

ACCESS_TOKEN_TYPES: Final = ("at+jwt", "application/at+jwt")
"""RFC 9068 section 4: nothing else that an upstream signs is an access token."""

ID_TOKEN_TYPES: Final = ("", "jwt")
"""ID tokens have no type of their own; access tokens and logout tokens do."""

LAST: Final = 1 << 40
"""No instant is beyond this one, whatever a number says."""

Members = Mapping[str, Any]


class Proof(Struct, frozen=True, kw_only=True):
    """Whether a foreign token is good at this instant, and whose."""

    is_live: bool
    reason: str = ""
    """Why it is not, for the operator's log."""
    username: str | None = None
    """By which the person is known here; None where the upstream does not say it."""
    subject: str | None = None
    """The upstream's own name for the person."""
    expires_at: int | None = None
    """None where the upstream does not say it."""
    jti: str | None = None


def dead(reason: str) -> Proof:
    """Of a token that is good for nothing."""
    return Proof(is_live=False, reason=reason)


def read_object(body: bytes) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        ValueError: it is no JSON object, or has a member twice (SECURITY J-10).
    """
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    return found


def introspected(answer: Members, upstream: Upstream, *, now: int) -> Proof:
    """What an introspection answer proves; `aud` and `iss` are compared where the upstream's settings name them."""
    if answer.get("active") is not True:
        return dead("is not active")
    if answer.get("iss", upstream.issuer) != upstream.issuer and upstream.issuer is not None:
        return dead("is of another issuer")
    if upstream.audience is not None and upstream.audience not in _audiences(answer):
        return dead("is for another audience")
    return _timely(answer, upstream, now=now)


def told_by_userinfo(answer: Members, upstream: Upstream) -> Proof:
    """What a userinfo answer proves: that the token is live, and whose it is."""
    return Proof(is_live=True, username=_text(answer, upstream.username_claim), subject=_text(answer, "sub"))


def of_access_token(claims: Members, upstream: Upstream, *, now: int) -> Proof:
    """What the claims of a JWT access token prove whose signature is the upstream's (RFC 9068 section 4)."""
    if upstream.issuer is None or claims.get("iss") != upstream.issuer:
        return dead("is of another issuer")
    if upstream.audience is None or upstream.audience not in _audiences(claims):
        return dead("is for another audience")
    if _instant(claims, "exp") is None:
        return dead("has no exp")
    return _timely(claims, upstream, now=now)


def of_id_token(claims: Members, upstream: Upstream, *, nonce: str, since: int | None, now: int) -> Proof:
    """What the claims of an ID token prove whose signature is the upstream's (OpenID Connect Core 3.1.3.7).

    Args:
        claims: the claims.
        upstream: whose they have to be.
        nonce: what was sent in the authorization request.
        since: when the person was asked to sign in there again, if at all; `auth_time` must not be before that.
        now: seconds since the epoch.
    """
    audiences = _audiences(claims)
    if upstream.issuer is None or claims.get("iss") != upstream.issuer:
        return dead("the ID token is of another issuer")
    if upstream.client_id not in audiences or claims.get("azp", upstream.client_id) != upstream.client_id:
        return dead("the ID token is for another client")
    if len(audiences) > 1 and "azp" not in claims:
        return dead("the ID token is for several clients and does not say for which")
    if not hmac.compare_digest((_text(claims, "nonce") or "").encode(), nonce.encode()):
        return dead("the ID token has another nonce")
    if _instant(claims, "exp") is None or not _text(claims, "sub"):
        return dead("the ID token lacks exp or sub")
    signed_in_at = _instant(claims, "auth_time")
    if since is not None and signed_in_at is not None and signed_in_at < since - LEEWAY_IN:
        return dead("the person did not sign in again")
    return _timely(claims, upstream, now=now)


def _timely(members: Members, upstream: Upstream, *, now: int) -> Proof:
    """The proof that the members make at this instant; clocks may differ where a token would begin, not at its end."""
    expires_at = _instant(members, "exp")
    if "exp" in members and expires_at is None:
        return dead("has an exp that is no instant")
    if expires_at is not None and now >= expires_at:
        return dead("has expired")
    for name in ("nbf", "iat"):
        if (_instant(members, name) or 0) > now + LEEWAY_IN:
            return dead(f"has an {name} in the future")
    return Proof(
        is_live=True,
        username=_text(members, upstream.username_claim),
        subject=_text(members, "sub"),
        expires_at=expires_at,
        jti=_text(members, "jti"),
    )


def _audiences(members: Members) -> tuple[Any, ...]:
    found = members.get("aud")
    return tuple(found) if isinstance(found, list) else (found,)


def _instant(members: Members, name: str) -> int | None:
    """A NumericDate in whole seconds (RFC 7519 section 2)."""
    found = members.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return int(max(0, min(found, LAST)))


def _text(members: Members, name: str) -> str | None:
    found = members.get(name)
    return found if isinstance(found, str) and found and found.isprintable() else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("has a member twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
