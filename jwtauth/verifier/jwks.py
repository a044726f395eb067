"""Reading a JWK Set and for how long it counts (RFC 7517 section 5, RFC 9111 section 4.2)."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from jwtauth.errors import InvalidToken
from jwtauth.keyring.jws import VerifyingKey

SHORTEST_IN: Final = 60
LONGEST_IN: Final = 3600
DEFAULT_IN: Final = 300
"""Seconds that a set counts whose answer says less, more, or nothing about it."""

_PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_DIGITS: Final = 10


class Document(Struct, frozen=True):
    """A JWK Set as it travels; members are judged one by one, so that one bad key does not cost the others."""

    keys: list[Any]


def read(body: bytes) -> dict[str, VerifyingKey]:
    """The usable keys by kid. Keys of other algorithms or uses, without kid or with private members are left out.

    Raises:
        ValueError: it is no JWK Set.
    """
    try:
        members = _DECODER.decode(body).keys
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("is not a JWK Set") from None
    keys = (_read_key(member) for member in members)
    return {key.kid: key for key in keys if key is not None}


def lifetime_in(cache_control: str, *, age: str) -> int:
    """For how many seconds an answer with these headers counts, within our bounds."""
    directives = dict(_directive(part) for part in cache_control.split(","))
    if "no-store" in directives or "no-cache" in directives:
        return SHORTEST_IN
    fresh_in = _seconds(directives.get("max-age", ""), default=DEFAULT_IN) - _seconds(age, default=0)
    return min(max(fresh_in, SHORTEST_IN), LONGEST_IN)


def _read_key(member: Any) -> VerifyingKey | None:
    if not isinstance(member, dict) or not _PRIVATE.isdisjoint(member) or member.get("use", "sig") != "sig":
        return None
    try:
        return VerifyingKey(member)
    except InvalidToken:
        return None


def _directive(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name.strip().lower(), value.strip(' "')


def _seconds(text: str, *, default: int) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if is_number else default


_DECODER: Final = msgspec.json.Decoder(Document)
