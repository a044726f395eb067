"""Telling clients that a session ended: at once where they answer, else again and again for a day, across restarts.

Notices stand in the outbox before anybody is told (`jwtauth.store.ports.Logouts`), and whoever delivers one holds its
lease (OpenID Connect Back-Channel Logout 1.0 section 2.5). A client is told at least once: where a delivery is broken
off, the client may have heard it and hears it again.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from jwtauth.errors import ConfigurationError, Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event
from jwtauth.observe.log import LOGGER
from jwtauth.outside import backchannel_logout
from jwtauth.outside.backchannel_logout import Delivered, Failed
from jwtauth.protocol import logout_token
from jwtauth.protocol.records import Client, LogoutNotice

LEASE_IN: Final = 30
"""For so long a notice belongs to whoever took it, in seconds: several times what telling and noting it can take."""

AT_ONCE: Final = 32
"""Notices that the loop of one worker takes together; no more than can be delivered side by side."""

OF_ONE_CLIENT: Final = 8
"""Of these, so many of one client."""

LOOK_IN: Final = 5
"""How often a loop looks for notices of other processes, in seconds; a look is one read when nothing is due."""


async def tell(issuer: Issuer, notices: Sequence[LogoutNotice], *, within: float) -> None:
    """Tell clients side by side, for at most `within` seconds; the caller holds the notices' lease of LEASE_IN.

    Never raises: whoever signs out is signed out. What is not done in time is broken off and stays in the outbox, where
    a loop finds it once its lease has ended.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await _deliver_all(issuer, notices)


async def run(issuer: Issuer) -> None:
    """The loop of one worker: deliver whatever is due, until cancelled. Nothing else ends it."""
    while True:
        try:
            pause_in = await deliver_due(issuer)
        except Overloaded as problem:
            LOGGER.warning("logout notices wait: %s", problem)
            pause_in = LOOK_IN
        except Exception:
            LOGGER.exception("logout notices could not be looked after; trying again in %d seconds", LOOK_IN)
            pause_in = LOOK_IN
        await asyncio.sleep(pause_in)


async def deliver_due(issuer: Issuer) -> int:
    """Deliver some of the notices that are due; returns after how many seconds to look again.

    Raises:
        Overloaded: the database could not be written.
    """
    now = issuer.begin()
    due_at = await issuer.store.logouts.next_due_at()
    if due_at is None or due_at > now:
        return LOOK_IN if due_at is None else min(LOOK_IN, due_at - now)
    notices = await issuer.store.logouts.take_due(
        limit=AT_ONCE, of_one_client=OF_ONE_CLIENT, lease_in=LEASE_IN, now=now
    )
    await _deliver_all(issuer, notices)
    return 0 if notices else 1  # another worker was first


async def _deliver_all(issuer: Issuer, notices: Sequence[LogoutNotice]) -> None:
    """Deliver side by side; a notice whose outcome could not be recorded comes again when its lease has ended."""
    problems = await asyncio.gather(*(_deliver(issuer, notice) for notice in notices), return_exceptions=True)
    for problem in problems:
        if isinstance(problem, Exception):
            LOGGER.error("a logout notice could not be delivered", exc_info=problem)


async def _deliver(issuer: Issuer, notice: LogoutNotice) -> None:
    client = await issuer.store.directory.client_numbered(notice.client_id)
    uri = logout_token.destination(client)
    if client is None or uri is None:
        await issuer.store.logouts.remove(notice.id)
        _tell(issuer, "logout.abandoned", client, "the client is gone or disabled, or takes no logout tokens")
        return
    match await _send(issuer, notice, client, uri):
        case Delivered():
            await issuer.store.logouts.remove(notice.id)
            _tell(issuer, "logout.delivered", client)
        case Failed(reason):
            await _try_later(issuer, notice, client, reason)


async def _send(issuer: Issuer, notice: LogoutNotice, client: Client, uri: str) -> Delivered | Failed:
    now = issuer.now()
    try:
        key = issuer.keyring.signing_key(client.id_token_algorithm, now=now)
    except ConfigurationError as problem:
        return Failed(str(problem))
    token = logout_token.make(notice, client, issuer=issuer.settings.issuer, jti=issuer.random_name(), now=now)
    signed = key.sign(msgspec.json.encode(token), typ=logout_token.TYPE)
    return await backchannel_logout.send(issuer.outside, uri, signed)


async def _try_later(issuer: Issuer, notice: LogoutNotice, client: Client, reason: str) -> None:
    wait_in = logout_token.retry_in(notice.attempts + 1)
    if wait_in is None:
        await issuer.store.logouts.remove(notice.id)
        _tell(issuer, "logout.abandoned", client, reason)
        return
    await issuer.store.logouts.retry(notice.id, due_at=issuer.now() + wait_in)
    _tell(issuer, "logout.failed", client, reason)


def _tell(issuer: Issuer, name: str, client: Client | None, reason: str | None = None) -> None:
    issuer.tell(Event(name=name, at=issuer.now(), client_id=client.client_id if client else None, reason=reason))
