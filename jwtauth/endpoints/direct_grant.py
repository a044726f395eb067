"""Starting a grant at the token endpoint, without a browser."""

from jwtauth.endpoints import token_answer
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.records import Client, GrantType, Pointer


async def start(issuer: Issuer, start: Start, client: Client, *, now: int) -> TokenAnswer | None:
    """Its tokens, or None where the person or the client changed meanwhile: then load and decide again."""
    grant = await issuer.store.grants.start(start.grant, now=now)
    if grant is None:
        return None
    issuer.tell(
        Event(
            name="grant.started",
            at=now,
            client_id=client.client_id,
            uid=grant.user_id,
            grant_id=grant.id,
            grant_type=grant.grant_type or GrantType.PASSWORD,
        )
    )
    pointer = Pointer(grant_id=grant.id, generation=0, secret_number=grant.secret_number)
    successor = pointer if start.has_refresh_token else None
    return await token_answer.make(issuer, start.permission, grant.position, successor, now=now)
