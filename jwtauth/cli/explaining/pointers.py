"""Why a code or refresh token is accepted or refused (RFC 6749 sections 4.1.3 and 6): the rule is asked, nothing ends.

Of the client only what stands in the database is known: its secret, redirect_uri and code_verifier are its own.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from jwtauth.cli.explaining import explained
from jwtauth.cli.explaining.explained import Check, Explanation, Wanted
from jwtauth.cli.printing import iso
from jwtauth.endpoints import pointed_grant
from jwtauth.errors import InvalidClient, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import authorization_code, client_auth, permissions, refresh_token, sessions
from jwtauth.protocol.records import Client, Grant, Pointer, Session, User
from jwtauth.protocol.refresh_token import KeepToken, RetrySuccessor

REFRESH_TOKEN: Final = "refresh token"
CODE: Final = "code"

_ENDS: Final = "whoever sends it once more ends the grant"
_UNKNOWN_TO_US: Final = "redirect_uri and code_verifier are the client's to send, and were not looked at"


async def of_refresh_token(issuer: Issuer, text: str, wanted: Wanted, *, now: int) -> Explanation:
    """What sending a refresh token now would lead to."""
    pointer = issuer.sealer.read_refresh_token(text)
    checks = [_of_seal(issuer, is_proven=pointer is not None)]
    if pointer is None:
        return explained.refused(REFRESH_TOKEN, checks, refresh_token.forged())
    grant, user, session = await pointed_grant.load(issuer, pointer)
    if grant is None:
        return explained.refused(REFRESH_TOKEN, [*checks, explained.of_grant(None)], refresh_token.forged())
    owner, client = await _clients(issuer, grant, wanted)
    checks += _of_facts(grant, owner, client, user, session, ends_at=grant.expires_at, now=now)
    checks.append(_of_generation(grant, pointer, owner, now=now))
    request = refresh_token.Request(refresh_token=text, scope=wanted.scope)
    try:
        _require_enabled(client)
        verdict = refresh_token.decide(request, client, grant, pointer, user, session, owner=owner, now=now)
    except OAuthError as problem:
        return explained.refused(REFRESH_TOKEN, checks, problem)
    if isinstance(verdict, refresh_token.EndGrant):
        return explained.refused(REFRESH_TOKEN, checks, refresh_token.reused(grant, pointer), note=_ENDS)
    note = ""
    if isinstance(verdict, RetrySuccessor):
        note = "it was used before; for a while its successor is given again"
    elif isinstance(verdict, KeepToken):
        note = "it stays valid when it is used"
    return Explanation(kind=REFRESH_TOKEN, checks=checks, note=note)


async def of_code(issuer: Issuer, text: str, wanted: Wanted, *, now: int) -> Explanation:
    """What sending a code now would lead to, with the right redirect_uri and code_verifier."""
    pointer = issuer.sealer.read_code(text)
    checks = [_of_seal(issuer, is_proven=pointer is not None)]
    if pointer is None:
        return explained.refused(CODE, checks, authorization_code.forged())
    grant, user, session = await pointed_grant.load(issuer, pointer)
    if grant is None:
        return explained.refused(CODE, [*checks, explained.of_grant(None)], authorization_code.forged())
    owner, client = await _clients(issuer, grant, wanted)
    checks += _of_facts(grant, owner, client, user, session, ends_at=grant.code_expires_at or 0, now=now)
    redeemed = "never" if grant.redeemed_at is None else iso(grant.redeemed_at)
    checks.append(Check("redeemed", "never", redeemed, grant.redeemed_at is None))
    request = authorization_code.Request(code=text)
    as_sent = replace(grant, redirect_uri=None, code_challenge=None)
    try:
        _require_enabled(client)
        verdict = authorization_code.decide(request, client, as_sent, user, session, owner=owner, now=now)
    except OAuthError as problem:
        return explained.refused(CODE, checks, problem, note=_UNKNOWN_TO_US)
    if isinstance(verdict, authorization_code.EndGrant):
        return explained.refused(CODE, checks, authorization_code.reused(grant), note=_ENDS)
    return Explanation(kind=CODE, checks=checks, note=_UNKNOWN_TO_US)


def _of_seal(issuer: Issuer, *, is_proven: bool) -> Check:
    expected = f"made here, under a server secret that is kept, in epoch {issuer.store.epoch} of the database"
    return Check("seal", expected, "it was" if is_proven else "it was not, or is cut short or respelt", is_proven)


async def _clients(issuer: Issuer, grant: Grant, wanted: Wanted) -> tuple[Client, Client]:
    """To whom it was given, and who sends it."""
    owner = await issuer.store.directory.client_numbered(grant.client_id)
    assert owner is not None  # clients are never deleted
    return owner, wanted.client or owner


def _of_facts(
    grant: Grant, owner: Client, client: Client, user: User | None, session: Session | None, *, ends_at: int, now: int
) -> Iterator[Check]:
    """What a code and a refresh token have in common."""
    yield explained.of_grant(grant)
    yield explained.of_client(client)
    is_theirs = client.id == owner.id or permissions.acts_for(client, owner)
    yield Check("owner", f"sent by client {owner.client_id}", f"sent by client {client.client_id}", is_theirs)
    yield explained.of_user(user, client)
    yield Check("expiry", f"before {iso(ends_at)}", iso(now), now < ends_at)
    outlives = sessions.outlives(grant, owner, session, now=now)
    got = "not needed" if grant.session_id is None or sessions.is_offline(grant, owner) else _words_of(session, now=now)
    yield Check("browser session", "alive, or not needed", got, outlives)


def _words_of(session: Session | None, *, now: int) -> str:
    if session is None:
        return "over and swept away"
    if session.is_live(now):
        return "alive"
    ended_at = session.ended_at
    return f"over since {iso(min(session.expires_at, session.ends_at) if ended_at is None else ended_at)}"


def _of_generation(grant: Grant, pointer: Pointer, owner: Client, *, now: int) -> Check:
    """Where it stands in the line of successors, and until when its predecessor is heard."""
    is_current = pointer.generation == grant.generation
    is_heard = is_current or refresh_token.is_retry(grant, pointer, owner, now=now)
    expected = str(grant.generation)
    if grant.rotated_at is not None and owner.realm.retry_in:
        expected += f", or {grant.generation - 1} until {iso(grant.rotated_at + owner.realm.retry_in)}"
    return Check("generation", expected, str(pointer.generation), is_heard)


def _require_enabled(client: Client) -> None:
    """Let a client pass that can prove who it is.

    Raises:
        InvalidClient: it is disabled, and then no secret helps (see `jwtauth.protocol.client_auth`).
    """
    if not client.is_enabled:
        raise InvalidClient(client_auth.REFUSED)
