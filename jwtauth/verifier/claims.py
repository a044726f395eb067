"""What a resource server learns from a verified access token (RFC 9068 section 2.2)."""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from jwtauth.errors import InsufficientScope
from jwtauth.protocol.claims import AccessToken


class Claims(Struct, frozen=True, kw_only=True):
    """The claims of a token that was verified; nobody else makes one."""

    issuer: str
    subject: str
    """`sub`: the person, or the client itself where no person is involved. Stable, and never reused."""
    client_id: str
    """The client that the token was issued to."""
    audience: tuple[str, ...]
    """`aud`, always as a tuple; yours is among them."""
    scope: tuple[str, ...]
    """What the client may do: `"reports:read" in claims.scope`."""
    authorities: tuple[str, ...]
    """The roles of the subject in the client's realm."""
    issued_at: int
    """`iat`, in seconds since the epoch."""
    expires_at: int
    """`exp`, in seconds since the epoch."""
    jti: str
    """The token's name, for logs: the token itself does not belong there."""
    username: str | None
    """The name the person signs in with; None where no person is involved. It can change: store `subject`."""
    uid: int | None
    """The person's number at the issuer; None where no person is involved."""
    confirmation: Any = None
    """`cnf`: the key that the token is bound to (RFC 7800). Whoever presents it must also prove the key, which is not
    checked here; the middleware refuses such a token under the Bearer scheme (RFC 9449 section 7.2)."""

    @property
    def is_machine(self) -> bool:
        """Whether the client acts for itself; a person's `sub` can never equal a client_id."""
        return self.subject == self.client_id

    def require_scope(self, *values: str) -> None:
        """Let pass what the token's scope covers.

        Raises:
            InsufficientScope: a value is missing; its `scope` names all that were asked for (RFC 6750 section 3.1).
        """
        if not set(values).issubset(self.scope):
            raise InsufficientScope("the token lacks a scope that this request needs", scope=" ".join(values))

    def require_authority(self, *values: str) -> None:
        """Let pass whose subject has all of these roles.

        Raises:
            InsufficientScope: one is missing; no scope would help, so its `scope` is empty.
        """
        if not set(values).issubset(self.authorities):
            raise InsufficientScope("the subject lacks an authority that this request needs", scope="")


class _Bound(Struct, frozen=True):
    cnf: Any = UNSET


def of(token: AccessToken, payload: bytes) -> Claims:
    """The public record of a token that was verified, read from this payload."""
    return Claims(
        issuer=token.iss,
        subject=token.sub,
        client_id=token.client_id,
        audience=token.audiences,
        scope=tuple(token.scope.split()),
        authorities=token.authorities,
        issued_at=token.iat,
        expires_at=token.exp,
        jti=token.jti,
        username=None if token.username is UNSET else token.username,
        uid=None if token.uid is UNSET else token.uid,
        confirmation=_confirmation(payload) if _NAMES_A_KEY in payload else None,
    )


def _confirmation(payload: bytes) -> Any:
    """The `cnf` of a token; null binds it to nothing that anybody could prove, so that it counts as bound."""
    cnf = _BOUND.decode(payload).cnf
    return None if cnf is UNSET else cnf if cnf is not None else {}


_NAMES_A_KEY: Final = b'"cnf"'
"""What the issuer signs it never spells with escapes, so that the many tokens without need not be read twice."""
_BOUND: Final = msgspec.json.Decoder(_Bound)
