"""What the tokens of a grant will say, shared by the rules of all grant types (RFC 9068 section 2.2)."""

from jwtauth.errors import Failed, UnauthorizedClient
from jwtauth.protocol import legacy, requested_claims
from jwtauth.protocol.records import Client, Grant, GrantType, Permission, User


def require_grant_type(client: Client, grant_type: str, *, now: int) -> None:
    """Let a client pass that registered this grant type; one that is legacy also has to be open still.

    Raises:
        UnauthorizedClient: it did not, or its realm closed its legacy doors (RFC 6749 section 5.2).
    """
    if grant_type not in client.grant_types:
        registered = " ".join(client.grant_types) or "none"
        why = Failed("grant_type", f"one that client {client.client_id} registered: {registered}", grant_type)
        raise UnauthorizedClient(f"grant_type: this client may not use {grant_type}", why=why)
    if grant_type in legacy.GRANT_TYPES:
        legacy.check_open(client.realm, legacy.of_grant_type(grant_type), now=now)


def acts_for(client: Client, owner: Client) -> bool:
    """Whether a client may redeem what was given to `owner`: it is the owner, or the partner that the owner names.

    A partner that could come without its secret is none: the secret is all that stands for the owner's.
    """
    return owner.is_enabled and (owner.id == client.id or _is_partner(client, owner))


def _is_partner(client: Client, owner: Client) -> bool:
    has_proof = not client.is_public and not client.secretless_grants
    return owner.redeemed_by == client.client_id and owner.realm.id == client.realm.id and has_proof


def may_use(client: Client, user: User) -> bool:
    """Whether this person is enabled and a member of the client's realm."""
    return user.disabled_at is None and client.realm.name in user.roles


def of_machine(
    client: Client,
    *,
    scope: tuple[str, ...],
    resources: tuple[str, ...],
    grant_type: str = GrantType.CLIENT_CREDENTIALS,
) -> Permission:
    """A token about the client itself: `sub` is its client_id (RFC 9068 section 2.2)."""
    return Permission(
        client_id=client.client_id,
        subject=client.client_id,
        scope=scope,
        audience=resources or (client.realm.audience,),
        authorities=client.authorities,
        lifetime_in=access_token_in(client, grant_type),
        grant_type=_named(client, grant_type),
    )


def of_person(
    client: Client,
    user: User,
    *,
    scope: tuple[str, ...],
    resources: tuple[str, ...],
    grant_type: str,
    userinfo_claims: tuple[str, ...] = (),
    longest_in: int | None = None,
) -> Permission:
    """A token about a person: `authorities` are the roles held in the client's realm at this moment.

    It lives as long as those of its client and grant type do, but no longer than `longest_in`.
    """
    lifetime_in = access_token_in(client, grant_type)
    return Permission(
        client_id=client.client_id,
        subject=user.sub,
        scope=scope,
        audience=resources or (client.realm.audience,),
        authorities=user.roles.get(client.realm.name, ()),
        lifetime_in=lifetime_in if longest_in is None else min(lifetime_in, longest_in),
        username=user.username,
        uid=user.id,
        grant_type=_named(client, grant_type),
        userinfo_claims=userinfo_claims,
    )


def of_grant(
    client: Client, user: User, grant: Grant, *, scope: tuple[str, ...], granted: tuple[str, ...], now: int
) -> Permission:
    """A token of a person's grant, which it never outlives; named claims that the client may no longer ask for are left
    out."""
    claims = requested_claims.within(grant.claims, client.scope)
    return of_person(
        client,
        user,
        scope=scope,
        resources=granted,
        grant_type=grant_type_of(grant),
        userinfo_claims=claims.userinfo,
        longest_in=max(1, grant.ends_at - now),
    )


def grant_type_of(grant: Grant) -> str:
    """How a grant began: as it says or, where it says nothing, in a browser or with a password."""
    if grant.grant_type is not None:
        return grant.grant_type
    return GrantType.PASSWORD if grant.auth_time is None else GrantType.AUTHORIZATION_CODE


def access_token_in(client: Client, grant_type: str) -> int:
    """Life of an access token in seconds: the client's own, else its realm's for the grant type, else its realm's."""
    realm = client.realm
    return client.access_token_in or realm.access_token_in_by.get(grant_type) or realm.access_token_in


def longest_access_token_in(client: Client) -> int:
    """The longest that any of a client's access tokens lives, in seconds."""
    return max(access_token_in(client, grant_type) for grant_type in (*client.grant_types, ""))


def _named(client: Client, grant_type: str) -> str | None:
    return str(grant_type) if client.realm.names_grant_type else None


def default_scope(client: Client) -> tuple[str, ...]:
    """What a client gets that asks for no scope (RFC 6749 section 3.3)."""
    return client.default_scope or client.scope
