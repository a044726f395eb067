"""Status positions, where a token's revocation bit lives, and their lists (draft-ietf-oauth-status-list-21).

A position is one integer for the whole issuer. It is written into tokens as (list, index); the list's name carries the
database's epoch, so that a restored database never answers for lists of the time it has forgotten.

A list is published as a Status List Token: a JWT of its own type that names its URI and carries the bits compressed.
"""

import re
import zlib
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from jwtauth.errors import InvalidToken
from jwtauth.protocol.claims import LEEWAY_IN

PATH: Final = "/oauth/status"
"""Where the list of lists is, below the issuer; the lists, and the news of them, stand below it."""

EVENTS: Final = f"{PATH}/events"
"""Where is announced that a list changed."""

LIST_SIZE: Final = 1 << 20
"""Positions in one list."""

MAX_LENGTH: Final = LIST_SIZE // 8
"""Longest list that is unpacked, in bytes; what is longer is no list of ours, or a bomb."""

TYPE: Final = "statuslist+jwt"
"""The `typ` of a Status List Token (section 5.1)."""

TTL: Final = 15
"""For how long a list is used before it is asked for again, in seconds, unless it says otherwise (section 13.7)."""

_NAME: Final = re.compile("(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})")
"""Each list has one name, and no number in it is longer than Python likes to read."""

_CHUNK_BITS: Final = 12
_CHUNK_SIZE: Final = 1 << _CHUNK_BITS
_FULL: Final = b"\xff" * (_CHUNK_SIZE // 8)
_EMPTY: Final = bytes(_CHUNK_SIZE // 8)


def list_name(position: int, *, epoch: int) -> str:
    """The last segment of the list's URI."""
    return f"{epoch}-{position // LIST_SIZE}"


def index(position: int) -> int:
    """The `idx` of a position in its list."""
    return position % LIST_SIZE


def number_of(name: str, *, epoch: int) -> int | None:
    """The number of a list, or None where the name is not one of this epoch."""
    match = _NAME.fullmatch(name)
    return int(match[2]) if match is not None and int(match[1]) == epoch else None


def position_of(name: str, idx: int, *, epoch: int) -> int | None:
    """The position that (list name, idx) stand for, or None where the name is not one of this epoch."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) != epoch or not 0 <= idx < LIST_SIZE:
        return None
    return int(match[2]) * LIST_SIZE + idx


Bits = Literal[1, 2, 4, 8]
"""How many bits one status takes (section 4.1); a list of ours has one for each."""


class PackedList(Struct, frozen=True):
    """The `status_list` of a Status List Token (section 4.2)."""

    bits: Bits
    lst: str


_Seconds = Annotated[int, Meta(ge=0, lt=1 << 53)]
_Duration = Annotated[int, Meta(gt=0, lt=1 << 53)]


class StatusListToken(Struct, frozen=True, kw_only=True):
    """The claims of a Status List Token (section 5.1). We always write `exp` and `ttl`, which the draft leaves free."""

    iss: str | UnsetType = UNSET
    sub: str
    """The list's own URI."""
    iat: _Seconds
    exp: _Seconds
    ttl: _Duration
    """For how long it is used before it is asked for again, in seconds."""
    status_list: PackedList


def encode(statuses: bytes) -> str:
    """The `lst` of a list's bytes: zlib at its highest level, then base64url (section 4.1)."""
    return urlsafe_b64encode(zlib.compress(statuses, 9)).rstrip(b"=").decode("ascii")


def decode(lst: str) -> bytes:
    """The bytes of an `lst`; no more than a list may have is ever unpacked.

    Raises:
        InvalidToken: it is no compressed list, or longer than a list may be (section 8.3).
    """
    unpacking = zlib.decompressobj()
    try:
        statuses = unpacking.decompress(decode_base64(lst), MAX_LENGTH + 1)
    except zlib.error:
        raise InvalidToken("the status list cannot be unpacked") from None
    if len(statuses) > MAX_LENGTH:
        raise InvalidToken(f"the status list has more than {MAX_LENGTH} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise InvalidToken("the status list is cut off, or something follows it")
    return statuses


def decode_base64(text: str) -> bytes:
    """The bytes that base64url without padding stands for (RFC 7515 section 2).

    Raises:
        InvalidToken: it is anything else.
    """
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise InvalidToken("the status list is not in base64url") from None


def status_of(statuses: bytes, idx: int, *, bits: int = 1) -> int | None:
    """The status at an index, least significant bits first; 0 is valid. None beyond the list's end (section 4.1)."""
    at = idx * bits
    if not 0 <= at < len(statuses) * 8:
        return None
    return statuses[at >> 3] >> (at & 7) & ((1 << bits) - 1)


def make(statuses: bytes, *, uri: str, lifetime_in: int, ttl: int = TTL, now: int) -> StatusListToken:
    """The claims that publish a list of ours."""
    return StatusListToken(
        sub=uri, iat=now, exp=now + lifetime_in, ttl=ttl, status_list=PackedList(bits=1, lst=encode(statuses))
    )


def read(payload: bytes) -> StatusListToken:
    """The claims in a payload whose signature was checked.

    Raises:
        InvalidToken: they are not those of a Status List Token (section 5.1).
    """
    try:
        return _DECODER.decode(payload)
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError, RecursionError):
        raise InvalidToken("the claims are not those of a status list") from None


def check(token: StatusListToken, *, uri: str, issuer: str, now: int, leeway_in: int = 0) -> None:
    """Let the claims pass of a list that this URI publishes now (section 8.3).

    Raises:
        InvalidToken: of another issuer or URI, expired, or from the future.
    """
    if token.iss not in (UNSET, issuer):
        raise InvalidToken("the status list is of another issuer")
    if token.sub != uri:
        raise InvalidToken("the status list is that of another URI")
    if now >= token.exp + leeway_in:
        raise InvalidToken("the status list has expired")
    if token.iat > now + LEEWAY_IN:
        raise InvalidToken("the status list was issued in the future; compare the clocks")


class PositionSet:
    """A set of positions, laid out as a status list's bytes are: least significant bit first, one bit each.

    Runs of thousands (a revoked client's blocks) and single positions both stay small: 512 bytes for each touched
    4,096 positions, and full chunks are one shared constant.
    """

    def __init__(self) -> None:
        self._chunks: dict[int, bytes | bytearray] = {}

    def __contains__(self, position: int) -> bool:
        chunk = self._chunks.get(position >> _CHUNK_BITS)
        if chunk is None:
            return False
        offset = position & (_CHUNK_SIZE - 1)
        return bool(chunk[offset >> 3] >> (offset & 7) & 1)

    def add(self, position: int, size: int = 1) -> None:
        """Set `size` positions from `position` on."""
        end = position + size
        while position < end:
            number, offset = position >> _CHUNK_BITS, position & (_CHUNK_SIZE - 1)
            count = min(end - position, _CHUNK_SIZE - offset)
            if count == _CHUNK_SIZE:
                self._chunks[number] = _FULL
            else:
                self._set(number, offset, count)
            position += count

    def packed(self, number: int) -> bytes:
        """The bytes of one list: all its positions, those not in the set as zeros."""
        first = number * LIST_SIZE >> _CHUNK_BITS
        chunks = (self._chunks.get(first + offset, _EMPTY) for offset in range(LIST_SIZE >> _CHUNK_BITS))
        return b"".join(chunks)

    def __iter__(self) -> Iterator[int]:
        """Every position, in order; for reports and tests."""
        for number in sorted(self._chunks):
            chunk = self._chunks[number]
            start = number << _CHUNK_BITS
            yield from (start + offset for offset in range(_CHUNK_SIZE) if chunk[offset >> 3] >> (offset & 7) & 1)

    def _set(self, number: int, offset: int, count: int) -> None:
        chunk = self._chunks.get(number)
        if chunk is _FULL:
            return
        bits = chunk if isinstance(chunk, bytearray) else bytearray(_CHUNK_SIZE // 8)
        for at in range(offset, offset + count):
            bits[at >> 3] |= 1 << (at & 7)
        self._chunks[number] = bits


_DECODER: Final = msgspec.json.Decoder(StatusListToken)
