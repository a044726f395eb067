"""Grants of a realm's own: one module with one `decide` each, named by the realm (`jwtauth.protocol.custom_grant`)."""

import asyncio
import importlib
from functools import lru_cache
from inspect import isawaitable
from typing import Final

import msgspec
from msgspec import structs

from jwtauth.endpoints import direct_grant, token_answer
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import ConfigurationError, InvalidGrant, OAuthError, Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.observe.log import LOGGER
from jwtauth.protocol import custom_grant, permissions
from jwtauth.protocol.custom_grant import Decide, Permit, Request
from jwtauth.protocol.records import Client

DECIDE_IN: Final = 10.0
"""For so long, in seconds, a module may take that waits for others; one that does not wait holds up its worker."""


@lru_cache(maxsize=64)
def load(module: str) -> Decide:
    """The `decide` of a module that a realm names; it must be importable where the service runs.

    Raises:
        ConfigurationError: there is no such module, or it has no `decide`.
    """
    try:
        decide = getattr(importlib.import_module(module), "decide", None)
    except Exception as problem:  # whatever a foreign module does when it is read
        raise ConfigurationError(f"custom grant: module {module} cannot be imported: {problem!r}") from None
    if not callable(decide):
        raise ConfigurationError(f"custom grant: module {module} has no function `decide`")
    return decide  # type: ignore[no-any-return]


async def tokens(issuer: Issuer, request: Request, client: Client, *, now: int) -> TokenAnswer | None:
    """The tokens that a realm's own grant is worth, or None where something changed meanwhile: then decide again.

    Raises:
        OAuthError: it is worth none.
    """
    permissions.require_grant_type(client, request.grant_type, now=now)
    found = await _permit(issuer, request, client, now=now)
    if found.username is None:
        permission = custom_grant.of_machine(request, found, client)
        position = await issuer.machine_positions.take(client, now=now)
        if position is None:
            return None
        issuer.tell(Event(name="token.issued", at=now, client_id=client.client_id, grant_type=request.grant_type))
        return await token_answer.make(issuer, permission, position, now=now)
    user = await issuer.store.directory.user_named(found.username)
    start = custom_grant.decide(request, found, client, user, secret_number=issuer.sealer.current_number, now=now)
    return await direct_grant.start(issuer, start, client, now=now)


async def _permit(issuer: Issuer, request: Request, client: Client, *, now: int) -> Permit:
    """What the module says, within time; whatever else it does is its operator's to mend, and allows nothing.

    Raises:
        OAuthError: the module's own refusal.
        InvalidGrant: the module failed; of its exception only the type is logged, as its text may hold what was sent.
        Overloaded: it took too long.
    """
    module = client.realm.custom_grants[request.grant_type]
    try:
        async with asyncio.timeout(DECIDE_IN):
            said = load(module)(request.parameters, client, now=now)
            permit = msgspec.convert(structs.asdict(await said if isawaitable(said) else said), Permit)
            (permit.username or "").encode()  # which text that came out of JSON need not allow
            return permit
    except OAuthError:
        raise
    except TimeoutError:
        raise Overloaded("the grant took too long to check; try again") from None
    except Exception as problem:
        LOGGER.error("custom grant %s of realm %s failed: %s", module, client.realm.name, type(problem).__name__)
        raise InvalidGrant(custom_grant.REFUSED) from None
