"""Scope values: reading, narrowing, writing (RFC 6749 section 3.3)."""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from jwtauth.errors import Failed, InvalidScope

MAX_LENGTH = 2048
"""Longest `scope` parameter that is read, in characters."""

_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+", re.ASCII)


@lru_cache(maxsize=256)
def parse(text: str) -> tuple[str, ...]:
    """The scope's values in the order sent, each once.

    Raises:
        InvalidScope: it is too long or has a character that scope values cannot have.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidScope(f"scope: is longer than {MAX_LENGTH} characters")
    values = tuple(dict.fromkeys(value for value in text.split(" ") if value))
    for value in values:
        if not _TOKEN.fullmatch(value):
            raise InvalidScope("scope: has a character that is not allowed; separate values by single spaces")
    return values


def narrow(asked: str | None, *, allowed: Collection[str], default: tuple[str, ...]) -> tuple[str, ...]:
    """What is granted of what was asked for: all of it or nothing; the default where nothing was asked.

    Raises:
        InvalidScope: something asked for is not allowed.
    """
    if asked is None:
        return default
    values = parse(asked)
    surplus = {value for value in values if value not in allowed}
    if surplus:
        why = Failed("scope", f"some of: {text(sorted(allowed)) or 'nothing'}", "more than that")
        raise InvalidScope(f"scope: {text(sorted(surplus))} is not allowed here", why=why)
    return values or default


def text(values: Iterable[str]) -> str:
    """The values as one parameter or claim."""
    return " ".join(values)
