"""What is held of a published status list, and what may become of it (draft-ietf-oauth-status-list-21 section 8.3)."""

from typing import Final

from msgspec import Struct, structs

from jwtauth.errors import InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.jws import Signed, VerifyingKey
from jwtauth.protocol import status_list

_UNREADABLE: Final = "the status list is not a signed JWT"


class HeldList(Struct, frozen=True, kw_only=True):
    """A list that was verified: a check of a token is one test of its bits."""

    statuses: bytes
    bits: int
    kid: str
    """The key that signed it."""
    etag: str
    issued_at: int
    expires_at: int
    """`iat` and `exp`, by the wall clock."""
    ttl: int

    def check(self, idx: int) -> None:
        """Let a token pass whose status is valid.

        Raises:
            InvalidToken: it was revoked or suspended, or has no place in the list.
        """
        status = status_list.status_of(self.statuses, idx, bits=self.bits)
        if status is None:
            raise InvalidToken("the token's status is beyond the end of its list")
        if status:
            raise InvalidToken("the token was revoked")

    def left_in(self, now: int, *, leeway_in: int) -> int:
        """In how many seconds it has expired; from then on the issuer must have sent it anew."""
        return self.expires_at + leeway_in - now


class NoList(Struct, frozen=True):
    """The issuer has no such list any more: it was restored from a backup and has forgotten the tokens that name it."""

    def check(self, idx: int) -> None:
        """Let nothing pass.

        Raises:
            InvalidToken: always.
        """
        raise InvalidToken("the token's status list is no longer published")


Listed = HeldList | NoList


def take_apart(body: bytes) -> Signed:
    """The parts of a Status List Token (section 5.1). It may be longer than a token may: its payload is cut out first.

    Raises:
        InvalidToken: it is malformed, or of another type.
    """
    try:
        header, payload, signature = body.decode("ascii").split(".")
    except ValueError:
        raise InvalidToken(_UNREADABLE) from None
    frame = jws.take_apart(f"{header}..{signature}")
    if frame.header.typ != status_list.TYPE:
        raise InvalidToken(_UNREADABLE)
    signing_input = f"{header}.{payload}".encode("ascii")
    return structs.replace(frame, payload=status_list.decode_base64(payload), signing_input=signing_input)


def accept(
    signed: Signed,
    key: VerifyingKey,
    *,
    uri: str,
    issuer: str,
    etag: str,
    now: int,
    leeway_in: int,
    held: HeldList | None,
) -> HeldList:
    """The list in a token that the issuer signed for this URI. Signature first.

    Raises:
        InvalidToken: forged, of another URI, expired, not to be unpacked, or older than the one that is held.
    """
    if not key.verify(signed):
        raise InvalidToken("the status list's signature is not that of the key it names")
    token = status_list.read(signed.payload)
    status_list.check(token, uri=uri, issuer=issuer, now=now, leeway_in=leeway_in)
    statuses = status_list.decode(token.status_list.lst)
    if held is not None and token.iat < held.issued_at and statuses != held.statuses:
        raise InvalidToken("the status list is older than the one before it")  # an equal one is another worker's
    return HeldList(
        statuses=statuses,
        bits=token.status_list.bits,
        kid=signed.header.kid,
        etag=etag,
        issued_at=token.iat if held is None else max(token.iat, held.issued_at),
        expires_at=token.exp,
        ttl=token.ttl,
    )
