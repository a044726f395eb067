"""The `claims` parameter: claims asked for one by one (OpenID Connect Core 1.0 section 5.5)."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from jwtauth.errors import InvalidRequest, UnmetAuthenticationRequirements
from jwtauth.protocol.profile import BY_SCOPE, CLAIMS
from jwtauth.protocol.records import RequestedClaims

MAX_LENGTH: Final = 4096
"""Longest `claims` parameter that is read, in characters."""

ACR: Final = "1"
"""The authentication context that a password stands for: level 1 of ISO/IEC 29115."""

NOTHING: Final = RequestedClaims()


class Wish(Struct, frozen=True, kw_only=True):
    """What a `claims` parameter asks for, as far as this server heeds it."""

    claims: RequestedClaims = NOTHING
    subject: str | None = None
    """The person must be this one (`id_token.sub.value`, section 5.5.1)."""


class _Sections(Struct, frozen=True):
    id_token: dict[str, Any] | None = None
    userinfo: dict[str, Any] | None = None


def read(sent: str | None) -> Wish:
    """What is asked for; claims that are not known are ignored, as section 5.5 demands.

    Raises:
        InvalidRequest: it is no JSON object of objects.
        UnmetAuthenticationRequirements: it demands an `acr` that nobody gets here.
    """
    if sent is None:
        return Wish()
    if len(sent) > MAX_LENGTH:
        raise InvalidRequest(f"claims: is longer than {MAX_LENGTH} characters")
    try:
        sections = _DECODER.decode(sent)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise InvalidRequest("claims: expected a JSON object with id_token and userinfo (OpenID Core 5.5)") from None
    id_token, userinfo = sections.id_token or {}, sections.userinfo or {}
    _check_acr(id_token.get("acr"))
    return Wish(
        claims=RequestedClaims(id_token=_known(id_token), userinfo=_known(userinfo)), subject=_subject(id_token)
    )


def within(claims: RequestedClaims, scope: Collection[str]) -> RequestedClaims:
    """Those claims that a client could also ask for by a scope value it is registered with; others are ignored."""
    if not claims:
        return NOTHING
    allowed = {claim for value in scope for claim in BY_SCOPE.get(value, ())}
    return RequestedClaims(
        id_token=tuple(claim for claim in claims.id_token if claim in allowed),
        userinfo=tuple(claim for claim in claims.userinfo if claim in allowed),
    )


def _known(asked: dict[str, Any]) -> tuple[str, ...]:
    return tuple(claim for claim in CLAIMS if claim in asked)


def _check_acr(asked: Any) -> None:
    if not isinstance(asked, dict) or asked.get("essential") is not True:
        return
    values = asked.get("values", [asked.get("value", ACR)])
    if isinstance(values, list) and ACR not in values:
        raise UnmetAuthenticationRequirements(f"claims: acr can only be {ACR} here")


def _subject(asked: dict[str, Any]) -> str | None:
    sub = asked.get("sub")
    value = sub.get("value") if isinstance(sub, dict) else None
    return value if isinstance(value, str) else None


_DECODER: Final = msgspec.json.Decoder(_Sections)
