"""Which request is being answered: noted at the door, read by whoever writes of it."""

from contextvars import ContextVar
from typing import Final

from msgspec import Struct

REQUEST_ID: Final = "[A-Za-z0-9_-]{8,64}"
"""What a request may be called, as a regular expression: nothing that a log line or a header could be broken with
(SECURITY D-06)."""


class Arrival(Struct, frozen=True):
    """One request at the door."""

    request_id: str
    """The answer names it in X-Request-Id; an error page shows it."""
    address: str = ""
    """Of the client, as the nearest trusted proxy tells it; empty where it cannot be known."""


_CURRENT: Final[ContextVar[Arrival | None]] = ContextVar("arrival", default=None)


def begin(arrival: Arrival | None) -> None:
    """From here on, this task and what it starts work for that request; None for one that has no id."""
    _CURRENT.set(arrival)


def current() -> Arrival | None:
    """The request that this task works for; None for chores and commands."""
    return _CURRENT.get()
