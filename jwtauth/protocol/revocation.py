"""What a client's wish to revoke a token does (RFC 7009 section 2.1)."""

from msgspec import Struct

from jwtauth.protocol import permissions
from jwtauth.protocol.claims import AccessToken
from jwtauth.protocol.records import Client, Grant


class EndGrant(Struct, frozen=True):
    """A refresh token ends its grant, and with it every access token of the grant."""

    grant_id: int


class DenyPosition(Struct, frozen=True):
    """An access token's position is denied; where a grant holds it, the grant ends too."""

    position: int


class Nothing(Struct, frozen=True):
    """The token is unknown, over, or another client's: the answer is the same 200 (section 2.2)."""


def decide_refresh_token(grant: Grant | None, client: Client, owner: Client | None) -> EndGrant | Nothing:
    """What revoking a refresh token does; any generation of it ends the grant, but only for who may redeem it."""
    if grant is None or grant.ended_at is not None or owner is None or grant.client_id != owner.id:
        return Nothing()
    if not permissions.acts_for(client, owner):
        return Nothing()
    return EndGrant(grant.id)


def decide_access_token(
    token: AccessToken, position: int, client: Client, owner: Client | None
) -> DenyPosition | Nothing:
    """What revoking an access token does; only its owner may, and the partner that its owner names."""
    if token.client_id != client.client_id and (owner is None or not permissions.acts_for(client, owner)):
        return Nothing()
    return DenyPosition(position)
