"""Status lists: how a revocation reaches verifiers that ask nobody about a token (draft-ietf-oauth-status-list-21)."""

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from jwtauth.issuer.issuer import Issuer
from jwtauth.issuer.status_lists import SignedList


async def document(issuer: Issuer, name: str) -> SignedList | None:
    """The list of that name in its present state; None where no token that is alive names it (section 8.1)."""
    return await issuer.status_lists.get(name, now=issuer.begin())


async def aggregation(issuer: Issuer) -> bytes:
    """The URIs of all lists that a token may name, as JSON (section 9.3)."""
    issuer.begin()
    numbers = await issuer.store.positions.lists()
    return msgspec.json.encode({"status_lists": [issuer.status_lists.uri(number) for number in numbers]})


async def changes(issuer: Issuer, tick: Callable[[], Awaitable[bool]]) -> AsyncIterator[tuple[str, ...]]:
    """The URIs of lists in which something was denied, at each tick; empty where nothing was.

    It ends where a backup was restored: every list is gone then, as who begins to listen anew finds out.

    Args:
        issuer: the service.
        tick: waits a moment; False ends it.
    """
    issuer.begin()
    epoch = issuer.store.epoch
    known = issuer.store.positions.versions()
    while await tick():
        issuer.begin()
        if issuer.store.epoch != epoch:
            return
        versions = issuer.store.positions.versions()
        changed = [number for number, version in versions.items() if known.get(number) != version]
        known = versions
        yield tuple(issuer.status_lists.uri(number) for number in changed)
