"""A grant of a realm's own: what its module says, and what comes of it (RFC 6749 section 4.5).

The module has one function, `decide(request, client, *, now)`, which may be a coroutine. It gets the request's
parameters and the client, which has proven who it is, and returns a `Permit` or raises one of `jwtauth.errors`.
Everything else is seen to here: whether the client may use the grant, whether the person is a member, what scope the
client may have.
"""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from jwtauth.errors import InvalidGrant, UnauthorizedClient
from jwtauth.protocol import direct_grant, permissions, refusals, resources, scopes
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.records import Client, Permission, User

REFUSED = "the grant is not good, or is for somebody who may not use this client"


class Permit(Struct, frozen=True, kw_only=True):
    """What a grant of a realm's own allows."""

    username: str | None = None
    """For whom; None is a token about the client itself."""
    scope: str | None = None
    """Scope values separated by spaces; None is what the client gets that asks for none."""


Decide = Callable[..., Permit | Awaitable[Permit]]
"""What a module offers: `decide(request: Mapping[str, str], client: Client, *, now: int)`."""


class Request(Struct, frozen=True, kw_only=True):
    """Whatever the module reads, and what every grant has."""

    grant_type: str
    parameters: Mapping[str, str]
    resource: tuple[str, ...] = ()


def of_machine(request: Request, permit: Permit, client: Client) -> Permission:
    """What a token about the client itself says.

    Raises:
        UnauthorizedClient: the client is public: anybody could say that it is this one.
        InvalidScope, InvalidTarget: the module allowed, or the request asks for, more than the client may have.
    """
    if client.is_public:
        raise UnauthorizedClient("grant_type: gives tokens about a client only to one that can keep a secret")
    return permissions.of_machine(
        client,
        scope=scopes.narrow(permit.scope, allowed=client.scope, default=permissions.default_scope(client)),
        resources=resources.narrow(request.resource, allowed=client.resources),
        grant_type=request.grant_type,
    )


def decide(
    request: Request, permit: Permit, client: Client, user: User | None, *, secret_number: int, now: int
) -> Start:
    """What the grant will be.

    Raises:
        InvalidGrant: there is no such person, or none who may use this client.
        InvalidScope, InvalidTarget: the module allowed, or the request asks for, more than the client may have.
    """
    if user is None or not permissions.may_use(client, user):
        raise InvalidGrant(REFUSED, why=refusals.of_person(client, user))
    return direct_grant.start(
        client,
        user,
        grant_type=request.grant_type,
        scope=permit.scope,
        resource=request.resource,
        secret_number=secret_number,
        now=now,
    )
