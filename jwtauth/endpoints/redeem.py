"""Redeeming an authorization code (RFC 6749 section 4.1.3)."""

from jwtauth.endpoints import pointed_grant, token_answer
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import authorization_code
from jwtauth.protocol.authorization_code import EndGrant, Redeem
from jwtauth.protocol.records import Client, Pointer


async def tokens(
    issuer: Issuer, request: authorization_code.Request, client: Client, *, now: int
) -> TokenAnswer | None:
    """The tokens that a code is worth, or None where somebody else was first: then load and decide again.

    Raises:
        OAuthError: it is worth none.
    """
    pointer = issuer.sealer.read_code(request.code)
    if pointer is None:
        raise authorization_code.forged()
    grant, user, session = await pointed_grant.load(issuer, pointer)
    owner = await pointed_grant.owner(issuer, grant, client)
    verdict = authorization_code.decide(request, client, grant, user, session, owner=owner, now=now)
    assert grant is not None  # a missing grant was refused
    assert user is not None
    match verdict:
        case Redeem():
            redeemed = await issuer.store.grants.redeem(grant.id, expires_at=verdict.expires_at, now=now)
            if redeemed is None:
                return None
            issuer.tell(Event(name="code.redeemed", at=now, client_id=owner.client_id, uid=user.id, grant_id=grant.id))
            successor = Pointer(grant_id=grant.id, generation=0, secret_number=grant.secret_number)
            answer = await token_answer.make(
                issuer, verdict.permission, grant.position, successor if verdict.has_refresh_token else None, now=now
            )
            return token_answer.with_id_token(
                issuer, answer, verdict.permission, redeemed, owner, user, session, now=now
            )
        case EndGrant():
            await pointed_grant.end_reused(issuer, grant, client, "code redeemed twice", now=now)
            raise authorization_code.reused(grant)
