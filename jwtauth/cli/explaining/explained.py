"""An explanation: what was looked at in a token, one check after the other, and what the service itself says."""

import json
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from jwtauth.cli.printing import iso
from jwtauth.errors import OAuthError
from jwtauth.protocol.records import Client, Grant, User

_LONGEST: Final = 200
"""Characters of a stranger's text that are shown."""


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    expected: str
    got: str
    is_ok: bool


class Wanted(Struct, frozen=True, kw_only=True):
    """Who would be asked to accept the token; None where that does not matter."""

    audience: str | None = None
    """The resource server that it is sent to."""
    client: Client | None = None
    """Who sends a code or refresh token, or asks about an access token."""
    scope: str | None = None
    """What it has to cover, or what a refresh asks for."""


class Explanation(Struct, frozen=True, kw_only=True):
    """Everything that is known of one token."""

    kind: str
    checks: list[Check]
    error: str | None = None
    """The code of the refusal; None where the token is accepted."""
    refusal: str | None = None
    """What the service's own rule says; the checks say the same in parts."""
    note: str = ""


def refused(kind: str, checks: Iterable[Check], problem: OAuthError, *, note: str = "") -> Explanation:
    """The explanation of a token that a rule of the service refused; one check at least says where."""
    looked_at = list(checks)
    if all(check.is_ok for check in looked_at):
        looked_at.append(_of_problem(problem))
    return Explanation(kind=kind, checks=looked_at, error=problem.code, refusal=str(problem), note=note)


def _of_problem(problem: OAuthError) -> Check:
    why = problem.why
    if why is None:
        return Check("rule", "that it is met", str(problem), False)
    return Check(why.check, quoted(why.expected), quoted(why.got), False)


def quoted(value: object) -> str:
    """What a stranger wrote, in printable characters and not too many."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def of_client(client: Client | None) -> Check:
    """Whether a client and its realm are there and enabled."""
    if client is None:
        return Check("client", "registered and enabled", "unknown", False)
    got = f"{client.client_id} of realm {client.realm.name}"
    if client.disabled_at is not None:
        got += f", disabled {iso(client.disabled_at)}"
    if client.realm.disabled_at is not None:
        got += f", its realm disabled {iso(client.realm.disabled_at)}"
    return Check("client", "registered and enabled", got, client.is_enabled)


def of_user(user: User | None, client: Client | None) -> Check:
    """Whether a person is there, enabled, and a member of the client's realm."""
    expected = "enabled" if client is None else f"enabled, and a member of realm {client.realm.name}"
    if user is None:
        return Check("user", expected, "unknown", False)
    is_member = client is None or client.realm.name in user.roles
    got = f"user {user.id}"
    if user.disabled_at is not None:
        got += f", disabled {iso(user.disabled_at)}"
    return Check("user", expected, got if is_member else f"{got}, who is none", is_member and user.disabled_at is None)


def of_grant(grant: Grant | None) -> Check:
    """Whether a grant has ended before its time."""
    if grant is None:
        return Check("grant", "alive", "none: it is over and was swept away", False)
    got = f"grant {grant.id} of {iso(grant.created_at)}"
    if grant.ended_at is None:
        return Check("grant", "alive", got, True)
    return Check("grant", "alive", f"{got}, ended {iso(grant.ended_at)}", False)
