"""The one event type, and the list of those who listen."""

from collections.abc import Callable, Sequence

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision that somebody may ask about later. Never holds a secret, a token, a code or a password."""

    name: str
    """What happened, as object.verb: `grant.started`, `request.refused`."""
    at: int
    client_id: str | None = None
    uid: int | None = None
    grant_id: int | None = None
    reason: str | None = None


Listener = Callable[[Event], None]


class Observers:
    """Tells every listener of every event."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)

    def tell(self, event: Event) -> None:
        """Pass the event on; listeners neither raise nor wait."""
        for listener in self._listeners:
            listener(event)
