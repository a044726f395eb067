"""The client credentials grant: a machine asks for itself (RFC 6749 section 4.4)."""

from msgspec import Struct

from jwtauth.errors import UnauthorizedClient
from jwtauth.protocol import permissions, resources, scopes
from jwtauth.protocol.records import Client, GrantType, Permission


class Request(Struct, frozen=True, tag_field="grant_type", tag="client_credentials"):
    """RFC 6749 section 4.4.2."""

    scope: str | None = None
    resource: tuple[str, ...] = ()


def decide(request: Request, client: Client, *, now: int) -> Permission:
    """What the client's own token will say. There is no refresh token and no row (section 4.4.3).

    Raises:
        UnauthorizedClient: the client is public or did not register this grant.
        InvalidScope, InvalidTarget: it asks for more than it may.
    """
    permissions.require_grant_type(client, GrantType.CLIENT_CREDENTIALS, now=now)
    if client.is_public:
        raise UnauthorizedClient("grant_type: client_credentials is for clients that can keep a secret")
    return permissions.of_machine(
        client,
        scope=scopes.narrow(request.scope, allowed=client.scope, default=permissions.default_scope(client)),
        resources=resources.narrow(request.resource, allowed=client.resources),
    )
