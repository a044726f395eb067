"""Status positions: where a token's revocation bit lives (Token Status List, draft-ietf-oauth-status-list).

A position is one integer for the whole issuer. It is written into tokens as (list, index); the list's name carries the
database's epoch, so that a restored database never answers for lists of the time it has forgotten.
"""

import re
from collections.abc import Iterator
from typing import Final

LIST_SIZE: Final = 1 << 20
"""Positions in one list."""

_NAME: Final = re.compile("(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})")
"""Each list has one name, and no number in it is longer than Python likes to read."""

_CHUNK_BITS: Final = 12
_CHUNK_SIZE: Final = 1 << _CHUNK_BITS
_FULL: Final = b"\xff" * (_CHUNK_SIZE // 8)


def list_name(position: int, *, epoch: int) -> str:
    """The last segment of the list's URI."""
    return f"{epoch}-{position // LIST_SIZE}"


def index(position: int) -> int:
    """The `idx` of a position in its list."""
    return position % LIST_SIZE


def position_of(name: str, idx: int, *, epoch: int) -> int | None:
    """The position that (list name, idx) stand for, or None where the name is not one of this epoch."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) != epoch or not 0 <= idx < LIST_SIZE:
        return None
    return int(match[2]) * LIST_SIZE + idx


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
