"""A grant that begins at the token endpoint, without a browser: by a password, a foreign token, a realm's own grant."""

from msgspec import Struct

from jwtauth.protocol import permissions, resources, scopes
from jwtauth.protocol.records import Client, GrantType, NewGrant, Permission, User


class Start(Struct, frozen=True, kw_only=True):
    """Start this grant; if that wins, mint this permission."""

    grant: NewGrant
    permission: Permission
    has_refresh_token: bool


def start(
    client: Client,
    user: User,
    *,
    grant_type: str,
    scope: str | None,
    resource: tuple[str, ...],
    secret_number: int,
    now: int,
) -> Start:
    """The grant, once its person was proven. Without a refresh token it lives as long as its access token.

    Args:
        client: who gets it.
        user: its person.
        grant_type: by which it begins.
        scope: what is asked for of what the client may have; None means the client's default.
        resource: the same of resources.
        secret_number: the server secret under which a refresh token will be made.
        now: seconds since the epoch.

    Raises:
        InvalidScope, InvalidTarget: more is asked for than the client may have.
    """
    granted = scopes.narrow(scope, allowed=client.scope, default=permissions.default_scope(client))
    targets = resources.narrow(resource, allowed=client.resources)
    has_refresh_token = GrantType.REFRESH_TOKEN in client.grant_types
    lives_in = permissions.access_token_in(client, grant_type)
    ends_at = now + max(client.realm.grant_in, lives_in)
    return Start(
        grant=NewGrant(
            client_id=client.id,
            client_epoch=client.epoch,
            user_id=user.id,
            user_epoch=user.epoch,
            scope=granted,
            resources=targets,
            secret_number=secret_number,
            expires_at=min(now + (client.realm.refresh_token_in if has_refresh_token else lives_in), ends_at),
            ends_at=ends_at,
            grant_type=None if grant_type == GrantType.PASSWORD else str(grant_type),
        ),
        permission=permissions.of_person(client, user, scope=granted, resources=targets, grant_type=grant_type),
        has_refresh_token=has_refresh_token,
    )
