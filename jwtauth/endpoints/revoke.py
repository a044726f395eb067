"""Token revocation: the owner of a token ends it, and its grant with it (RFC 7009)."""

from jwtauth.endpoints import authenticate, pointed_grant
from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidToken
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol import parameters, revocation
from jwtauth.protocol.records import Client
from jwtauth.protocol.revocation import DenyPosition, EndGrant, Nothing


async def answer(issuer: Issuer, request: Request) -> None:
    """Revoke the token in parameter `token`; when this returns, every worker refuses it.

    `token_type_hint` is a hint: a wrong one changes nothing (RFC 7009 section 2.1).

    Raises:
        InvalidClient: the caller did not prove who it is.
        InvalidRequest: `token` is missing.
        Overloaded: the revocation could not be written; the token still works.
    """
    now = issuer.begin()
    client = await authenticate.client(issuer, request, now=now)
    token = parameters.required(request.parameters, "token", expected="the token to revoke")
    await revoke(issuer, token, client, now=now)


async def revoke(issuer: Issuer, token: str, client: Client, *, now: int) -> bool:
    """Revoke a token for a client that has proven who it is; whether that changed anything."""
    match await _decide(issuer, token, client, now=now):
        case EndGrant(grant_id):
            if await issuer.store.grants.end(grant_id, now=now):
                _tell(issuer, "grant.ended", client, grant_id, now=now)
                return True
        case DenyPosition(position):
            if await issuer.store.positions.deny(position, now=now):
                _tell(issuer, "token.revoked", client, None, now=now)
                return True
        case Nothing():
            return False
    return False


async def _decide(issuer: Issuer, token: str, client: Client, *, now: int) -> EndGrant | DenyPosition | Nothing:
    pointer = issuer.sealer.read_refresh_token(token)
    if pointer is not None:
        grant = await issuer.store.grants.get(pointer.grant_id)
        return revocation.decide_refresh_token(grant, client, await pointed_grant.owner(issuer, grant, client))
    try:
        found, position = issuer.access_tokens.read(token, now=now)  # one that has expired still names its grant
    except InvalidToken:
        return Nothing()
    owner = await issuer.store.directory.client(found.client_id)
    return revocation.decide_access_token(found, position, client, owner)


def _tell(issuer: Issuer, name: str, client: Client, grant_id: int | None, *, now: int) -> None:
    issuer.tell(Event(name=name, at=now, client_id=client.client_id, grant_id=grant_id, reason="revoked by the client"))
