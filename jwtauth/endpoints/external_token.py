"""Exchanging the token of a realm's upstream for one of ours (docs: external)."""

import asyncio
from functools import partial
from typing import Final

from jwtauth.endpoints import direct_grant, rehash
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import Overloaded
from jwtauth.issuer import throttle
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import external_token, password, permissions, proofs
from jwtauth.protocol.records import Client, User
from jwtauth.protocol.upstream import Upstream

PASSWORD_IN: Final = 10.0
"""For so long a request waits, in seconds, until the upstream has checked a password, those before it included."""


async def tokens(
    issuer: Issuer, request: external_token.Request, client: Client, address: str, *, now: int
) -> TokenAnswer | None:
    """The tokens that a foreign token is worth, or None where somebody else was first: then load and decide again.

    The upstream is asked about the token only once the password was right, so that nobody can use us to ask it at will.

    Raises:
        OAuthError: it is worth none.
    """
    upstream = external_token.check(request, client, now=now)
    user = await issuer.store.directory.user_named(request.username)
    matches = await _guess(issuer, upstream, request, client, user, address, now=now)
    proof = proofs.dead("was not looked at")
    if matches:
        proof = await issuer.upstreams.prove(upstream, request.access_token, now=now)
    was_exchanged = await issuer.store.grants.was_exchanged(external_token.digest(request, upstream, proof))
    facts = {"password_matches": matches, "was_exchanged": was_exchanged}
    reason = external_token.why_not(request, client, user, proof, **facts)
    if reason:
        uid = user.id if user is not None else None
        issuer.tell(Event(name="external_token.refused", at=now, client_id=client.client_id, uid=uid, reason=reason))
    start = external_token.decide(
        request, client, user, proof, **facts, secret_number=issuer.sealer.current_number, now=now
    )
    return await direct_grant.start(issuer, start, client, now=now)


async def _guess(
    issuer: Issuer,
    upstream: Upstream,
    request: external_token.Request,
    client: Client,
    user: User | None,
    address: str,
    *,
    now: int,
) -> bool:
    """Whether the password is right, asked here or there; guesses are counted alike."""
    counted = address if client.is_public else ""  # a confidential client's address is that of all its people
    account, uid = throttle.of_user(request.username), user.id if user else None
    if not upstream.checks_passwords:
        check = partial(issuer.passwords.verify, password.hash_to_check(client, user), request.password)
        is_right = await issuer.throttle.guess(account, check, address=counted, uid=uid, now=now)
        if is_right:
            await rehash.password(issuer, user, request.password)
        return is_right
    ask = partial(_has_password_there, issuer, upstream, request, client, user)
    try:
        async with asyncio.timeout(PASSWORD_IN):
            return await issuer.throttle.guess(account, ask, address=counted, uid=uid, now=now)
    except TimeoutError:
        raise Overloaded("too many attempts for this account are waiting; try again in a few seconds") from None


async def _has_password_there(
    issuer: Issuer, upstream: Upstream, request: external_token.Request, client: Client, user: User | None
) -> bool:
    """Whether the upstream takes the password of somebody who could be let in here; asked of everybody, as it takes
    longer than not asking (SECURITY B-08)."""
    is_right = await issuer.upstreams.has_password(upstream, request.username, request.password)
    return is_right and user is not None and permissions.may_use(client, user)
