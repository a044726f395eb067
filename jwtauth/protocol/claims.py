"""The claims of an access token: made here, judged here (RFC 9068 sections 2.2 and 4, RFC 7519 section 4.1)."""

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from jwtauth.errors import ExpiredToken, Failed, InvalidToken
from jwtauth.protocol import scopes
from jwtauth.protocol.records import Permission

LEEWAY_IN: Final = 60
"""How far two honest clocks may be apart, in seconds."""

GRACE_IN: Final = 120
"""For how long after a token's last instant its key and its denial are kept, for verifiers whose clocks differ."""

TYPE: Final = "at+jwt"
"""The `typ` of an access token; nothing else that this issuer signs has it (RFC 9068 section 2.1)."""


class StatusList(Struct, frozen=True):
    """Where to look whether the token was revoked (Token Status List)."""

    idx: int
    uri: str


class Status(Struct, frozen=True):
    """The `status` claim (Token Status List)."""

    status_list: StatusList


class AccessToken(Struct, frozen=True, kw_only=True):
    """The claims of an access token (RFC 9068 section 2.2)."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: int
    iat: int
    jti: str
    client_id: str
    scope: str
    authorities: tuple[str, ...] = ()
    username: str | UnsetType = UNSET
    uid: int | UnsetType = UNSET
    grant_type: str | UnsetType = UNSET
    """By which grant it came to be, where its realm wants that said."""
    userinfo_claims: tuple[str, ...] | UnsetType = UNSET
    """Claims that the client asked for by name at userinfo (OpenID Connect Core 1.0 section 5.5)."""
    status: Status

    @property
    def audiences(self) -> tuple[str, ...]:
        """`aud` as it always was before a single one was written without brackets."""
        return (self.aud,) if isinstance(self.aud, str) else self.aud


def make(permission: Permission, *, issuer: str, status: StatusList, jti: str, now: int) -> AccessToken:
    """The claims of a new access token."""
    audience = permission.audience
    return AccessToken(
        iss=issuer,
        sub=permission.subject,
        aud=audience[0] if len(audience) == 1 else audience,
        exp=now + permission.lifetime_in,
        iat=now,
        jti=jti,
        client_id=permission.client_id,
        scope=scopes.text(permission.scope),
        authorities=permission.authorities,
        username=UNSET if permission.username is None else permission.username,
        uid=UNSET if permission.uid is None else permission.uid,
        grant_type=UNSET if permission.grant_type is None else permission.grant_type,
        userinfo_claims=permission.userinfo_claims or UNSET,
        status=Status(status),
    )


def read(payload: bytes) -> AccessToken:
    """The claims in a payload whose signature was checked.

    Raises:
        InvalidToken: it is not JSON or lacks a claim that every access token has.
    """
    try:
        return _DECODER.decode(payload)
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError, RecursionError):
        raise InvalidToken("the token's claims are not those of an access token") from None


def check(token: AccessToken, *, issuer: str, audience: str | None = None, now: int, leeway_in: int = 0) -> None:
    """Let a token pass that this issuer issued, for this audience if one is named, and that is not over.

    Raises:
        InvalidToken: another issuer or audience, expired (`ExpiredToken`), or from the future (RFC 9068 section 4).
    """
    if token.iss != issuer:
        raise InvalidToken("the token is of another issuer", why=Failed("iss", issuer, token.iss))
    if now >= token.exp + leeway_in:
        why = Failed("exp", f"later than {now}", str(token.exp))
        raise ExpiredToken("the token has expired", client_id=token.client_id, why=why)
    if token.iat > now + LEEWAY_IN:
        why = Failed("iat", f"at most {now + LEEWAY_IN}", str(token.iat))
        raise InvalidToken("the token was issued in the future; compare the clocks", why=why)
    if audience is not None:
        check_audience(token, audience)


def check_audience(token: AccessToken, audience: str) -> None:
    """Let a token pass that is meant for this audience.

    Raises:
        InvalidToken: it is for somebody else (RFC 9068 section 4).
    """
    if token.aud != audience and audience not in token.audiences:
        raise InvalidToken("the token is for another audience", why=Failed("aud", audience, " ".join(token.audiences)))


_DECODER: Final = msgspec.json.Decoder(AccessToken)
