"""The grant that a code or refresh token points to, with everything that decides whether it is still good."""

from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol.records import Client, Grant, Pointer, Session, User


async def load(issuer: Issuer, pointer: Pointer) -> tuple[Grant | None, User | None, Session | None]:
    """The grant that a code or refresh token points to, its person, and the browser session it was given in."""
    grant = await issuer.grant_lookup.get(pointer.grant_id)  # with those of all requests of this turn
    if grant is None:
        return None, None, None
    user = await issuer.store.directory.user(grant.user_id)
    session = None if grant.session_id is None else await issuer.store.sessions.get(grant.session_id)
    return grant, user, session


async def owner(issuer: Issuer, grant: Grant | None, client: Client) -> Client:
    """The client that a grant was given to: mostly the one that asks."""
    if grant is None or grant.client_id == client.id:
        return client
    return await issuer.store.directory.client_numbered(grant.client_id) or client


async def end_reused(issuer: Issuer, grant: Grant, client: Client, reason: str, *, now: int) -> None:
    """Somebody used a code or a refresh token that had been used: the grant ends, whoever of the two is the thief."""
    if await issuer.store.grants.end(grant.id, now=now):
        issuer.tell(
            Event(
                name="grant.ended",
                at=now,
                client_id=client.client_id,
                uid=grant.user_id,
                grant_id=grant.id,
                reason=reason,
            )
        )
