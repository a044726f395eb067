"""The life of a signing key: created, published, signing from an instant, retired (SECURITY J-15).

All instants are in the key files. Every process reads the files and its clock, so all switch together without talking
to each other. Keys of one algorithm form one line of succession.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from jwtauth.protocol.claims import GRACE_IN


class KeyState(StrEnum):
    """Where in its life a key is."""

    PUBLISHED = "published"
    """In the JWKS, not signing yet: every cache learns it before it is needed."""
    SIGNING = "signing"
    VERIFYING = "verifying"
    """Its successor signs; tokens of its own may still be alive."""
    RETIRED = "retired"
    """No token of its own can be alive: out of the JWKS, its file may go."""


class KeyDates(Struct, frozen=True, kw_only=True):
    """What is known of a key without touching its private part."""

    kid: str
    algorithm: str
    created_at: int
    signs_at: int
    """The instant from which it signs, unless a later key has begun to."""


class PlannedKey(Struct, frozen=True, kw_only=True):
    """A key's place in the plan."""

    dates: KeyDates
    state: KeyState
    retires_at: int | None
    """When it leaves the JWKS; None while no successor is known."""


def plan(keys: Sequence[KeyDates], *, now: int, max_token_lifetime: int) -> list[PlannedKey]:
    """Every key with its state at `now`, in order of algorithm and first use.

    If none of an algorithm is due yet, the oldest signs: a clock that was set back must not stop the service.
    """
    planned: list[PlannedKey] = []
    for algorithm in sorted({key.algorithm for key in keys}):
        line = sorted(
            (key for key in keys if key.algorithm == algorithm), key=lambda key: (key.signs_at, key.created_at, key.kid)
        )
        signing = max((place for place, key in enumerate(line) if key.signs_at <= now), default=0)
        for place, key in enumerate(line):
            successor = line[place + 1] if place + 1 < len(line) else None
            retires_at = successor.signs_at + max_token_lifetime + GRACE_IN if successor else None
            planned.append(PlannedKey(dates=key, state=_state(place, signing, retires_at, now), retires_at=retires_at))
    return planned


def _state(place: int, signing: int, retires_at: int | None, now: int) -> KeyState:
    if place == signing:
        return KeyState.SIGNING
    if place > signing:
        return KeyState.PUBLISHED
    return KeyState.VERIFYING if retires_at is None or now < retires_at else KeyState.RETIRED
