"""The one event type, and the list of those who listen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jwtauth.errors import InvalidRequest, InvalidScope, OAuthError, TooManyAttempts, Unanswerable
from jwtauth.observe import arrival


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision that somebody may ask about later. Never holds a secret, a token, a code or a password."""

    name: str
    """What happened, as object.verb: `grant.started`, `request.refused`."""
    at: int
    request_id: str | None = None
    """The request that it belongs to; `tell` adds it, and the address."""
    address: str | None = None
    client_id: str | None = None
    """The client that it is about; in a refusal the registered one that the request claims to be of."""
    uid: int | None = None
    grant_id: int | None = None
    operator: str | None = None
    """Who typed the command, as the system knows them."""
    endpoint: str | None = None
    code: str | None = None
    """The registered error code of a refusal."""
    reason: str | None = None
    check: str | None = None
    """Which check failed; then `expected` and `got` say by how much."""
    expected: str | None = None
    got: str | None = None
    grant_type: str | None = None
    """By which grant a token was issued, where the name does not say so."""


REFUSED: Final = ".refused"
"""How the names of refusals end: what anybody can cause, as often as they like."""

EVERYDAY: Final = frozenset({"token.issued", "refresh_token.rotated", "refresh_token.used"})
"""What happens all day long and changes nobody's mind: for the audit log and the metrics, not for the log."""

REUSED: Final = "refresh token reused"
"""The reason of a grant's end that is counted apart."""

IMPLICIT: Final = "implicit"
"""The grant type of a token that came in front: it has no name of its own (RFC 6749 section 4.2)."""

Listener = Callable[[Event], None]

_NOTHING: Final[Mapping[str, Callable[[], str | None]]] = {}


class Observers:
    """Tells every listener of every event."""

    def __init__(
        self,
        listeners: Sequence[Listener] = (),
        *,
        closes: Sequence[Callable[[], None]] = (),
        checks: Mapping[str, Callable[[], str | None]] = _NOTHING,
    ) -> None:
        """Collect the listeners.

        Args:
            listeners: who is told.
            closes: called, in this order, when nothing more will be told.
            checks: by the name of what they look at, what is wrong with it; None where it is well.
        """
        self._listeners = tuple(listeners)
        self._closes = tuple(closes)
        self._checks = checks

    def join(self, listener: Listener) -> None:
        """One more listener."""
        self._listeners = (*self._listeners, listener)

    def tell(self, event: Event) -> None:
        """Pass the event on, with the request that is being answered; listeners neither raise nor wait."""
        noted = arrival.current()
        if noted is not None:
            event = replace(event, request_id=noted.request_id, address=noted.address or None)
        for listener in self._listeners:
            listener(event)

    def problems(self) -> dict[str, str]:
        """What cannot be written down now, and why."""
        found = {name: check() for name, check in self._checks.items()}
        return {name: problem for name, problem in found.items() if problem is not None}

    def close(self) -> None:
        """Let every listener finish."""
        for close in self._closes:
            close()


def refusal(
    name: str,
    error: OAuthError | Unanswerable,
    *,
    at: int,
    endpoint: str | None = None,
    client_id: str | None = None,
    is_quoting: bool = False,
) -> Event:
    """What is told of a refusal: its code, its words, and which check failed where it knows more than its words say.

    What is shown on a page, as there is nobody to whom it could be sent, has the code of a request that is wrong.

    Args:
        name: of the event.
        error: the refusal.
        at: seconds since the epoch.
        endpoint: where the request came.
        client_id: the registered client that it claims to be of.
        is_quoting: whether the words may quote what was sent, as those of an authorization request or scope: then they
            are left out (SECURITY S-09).
    """
    why = error.why
    return Event(
        name=name,
        at=at,
        client_id=client_id,
        uid=error.uid if isinstance(error, TooManyAttempts) else None,
        endpoint=endpoint,
        code=error.code if isinstance(error, OAuthError) else InvalidRequest.code,
        reason=_reason(error, is_quoting=is_quoting),
        check=why.check if why is not None else None,
        expected=why.expected if why is not None else None,
        got=why.got if why is not None else None,
    )


def _reason(error: OAuthError | Unanswerable, *, is_quoting: bool) -> str | None:
    if isinstance(error, Unanswerable):
        return str(error) if error.why is None else None
    return str(error).partition(":")[0] if is_quoting or isinstance(error, InvalidScope) else str(error)
