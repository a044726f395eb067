"""What a target is, and what it must not do."""

from collections.abc import Callable
from contextlib import suppress
from time import thread_time
from typing import Final

from msgspec import Struct

from jwtauth.errors import OAuthError

LONGEST_IN: Final = 1.0
"""More processor time than this for one input is a finding, in seconds."""

MAX_LENGTH: Final = 8_192
"""Longest input, in bytes, unless a target says otherwise."""


class Target(Struct, frozen=True, kw_only=True):
    """One parser: what reads the bytes, and the named refusals that it may answer with."""

    read: Callable[[bytes], object]
    """Reads an input, and asserts what must be true of whatever was read."""
    refusals: tuple[type[Exception], ...] = ()
    seeds: tuple[bytes, ...]
    """Inputs to begin with: good ones, and whatever once broke the parser."""
    max_length: int = MAX_LENGTH


def check(target: Target, data: bytes) -> None:
    """Read one input: it has a value or a named refusal, and soon. Everything else is a finding."""
    began = thread_time()
    with suppress(*target.refusals):
        _read(target, data)
    took = thread_time() - began
    assert took < LONGEST_IN, f"{took:.1f} s for {len(data)} bytes"


def _read(target: Target, data: bytes) -> None:
    try:
        target.read(data)
    except OAuthError as refusal:
        said = str(refusal)
        assert said.isascii(), f"a header cannot carry {said!r}"
        assert said.isprintable(), f"a log line cannot carry {said!r}"
        raise
