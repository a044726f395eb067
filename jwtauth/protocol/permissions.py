"""What the tokens of a grant will say, shared by the rules of all grant types (RFC 9068 section 2.2)."""

from jwtauth.errors import UnauthorizedClient
from jwtauth.protocol import requested_claims
from jwtauth.protocol.records import Client, Grant, GrantType, Permission, User


def require_grant_type(client: Client, grant_type: GrantType) -> None:
    """Let a client pass that registered this grant type.

    Raises:
        UnauthorizedClient: it did not (RFC 6749 section 5.2).
    """
    if grant_type not in client.grant_types:
        raise UnauthorizedClient(f"grant_type: this client may not use {grant_type}")


def may_use(client: Client, user: User) -> bool:
    """Whether this person is enabled and a member of the client's realm."""
    return user.disabled_at is None and client.realm.name in user.roles


def of_machine(client: Client, *, scope: tuple[str, ...], resources: tuple[str, ...]) -> Permission:
    """A token about the client itself: `sub` is its client_id (RFC 9068 section 2.2)."""
    return Permission(
        client_id=client.client_id,
        subject=client.client_id,
        scope=scope,
        audience=resources or (client.realm.audience,),
        authorities=client.authorities,
        lifetime_in=access_token_in(client),
    )


def of_person(
    client: Client,
    user: User,
    *,
    scope: tuple[str, ...],
    resources: tuple[str, ...],
    userinfo_claims: tuple[str, ...] = (),
) -> Permission:
    """A token about a person: `authorities` are the roles held in the client's realm at this moment."""
    return Permission(
        client_id=client.client_id,
        subject=user.sub,
        scope=scope,
        audience=resources or (client.realm.audience,),
        authorities=user.roles.get(client.realm.name, ()),
        lifetime_in=access_token_in(client),
        username=user.username,
        uid=user.id,
        userinfo_claims=userinfo_claims,
    )


def of_grant(
    client: Client, user: User, grant: Grant, *, scope: tuple[str, ...], granted: tuple[str, ...]
) -> Permission:
    """A token of a person's grant; named claims that the client may no longer ask for are left out."""
    claims = requested_claims.within(grant.claims, client.scope)
    return of_person(client, user, scope=scope, resources=granted, userinfo_claims=claims.userinfo)


def access_token_in(client: Client) -> int:
    """Life of an access token in seconds: the client's own, else its realm's."""
    return client.access_token_in or client.realm.access_token_in


def default_scope(client: Client) -> tuple[str, ...]:
    """What a client gets that asks for no scope (RFC 6749 section 3.3)."""
    return client.default_scope or client.scope
