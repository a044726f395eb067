"""Everything that is not a machines' endpoint: what goes on while the process serves, the probes of those who balance
load, and the pages. These need Litestar, which is imported when the first is asked for (docs/decisions/0019).
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from jwtauth.dialects.dialect import Dialect
from jwtauth.dialects.spoken import Spoken
from jwtauth.endpoints import tell_logouts
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.log import LOGGER
from jwtauth.web import errors, health, reply
from jwtauth.web.health import Draining, Readiness
from jwtauth.web.types import ASGIApp, Receive, Scope, Send

Chore = Callable[[], Coroutine[Any, Any, None]]
"""Goes on until it is cancelled, and then finishes what it has begun."""

STATIC: Final = {"style.css": "text/css", "mark.svg": "image/svg+xml", "submit.js": "text/javascript"}
"""The files that pages refer to, with their types."""

OPENAPI: Final = "/openapi.json"

SCHEMA: Final = "/schema"
"""Where Litestar describes what it knows of itself, which is no endpoint."""


class People:
    """The ASGI callable; it tells clients of logouts while it runs, and closes the issuer at the end."""

    def __init__(
        self, issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect], *, more: Sequence[Chore] = ()
    ) -> None:
        """Put it together, but for the pages.

        Args:
            issuer: the service.
            spoken: what its realms speak.
            dialects: what they might.
            more: what else goes on until it stops.
        """
        self._issuer = issuer
        self._chores: list[Chore] = [
            partial(tell_logouts.run, issuer),
            partial(issuer.legacy_use.run, issuer.now),
            *more,
        ]
        self._readiness = Readiness(issuer)
        self._probes = health.repliers(self._readiness)
        self._make = partial(_make, issuer, spoken, dialects)
        self._making = asyncio.Lock()
        self._site: ASGIApp | None = None
        base = urlsplit(issuer.settings.issuer).path
        pages = {base + page.path for dialect in dialects.values() for page in dialect.pages}
        self.paths = frozenset(
            {base or "/", OPENAPI, SCHEMA, f"{SCHEMA}/openapi.json", *pages, *(f"{base}/{name}" for name in STATIC)}
            | self._probes.keys()
        )
        """All that can be asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._live(receive, send)
        elif scope["path"] in self._probes:
            answer = await self._probes[scope["path"]](scope, receive)
            await answer.send(send)
        else:
            try:
                site = await self._pages()
            except Exception:  # whatever is wrong with the installation; machines can do without pages
                LOGGER.exception("the pages cannot be shown")
                await reply.of_json(500, errors.FAILED, []).send(send)
            else:
                await site(scope, receive, send)

    async def _pages(self) -> ASGIApp:
        """The pages, made at the first request for one: in a thread, so that no machine waits for it."""
        async with self._making:
            site = self._site
            if site is None:
                site = self._site = await asyncio.to_thread(self._make)
        return site

    async def _live(self, receive: Receive, send: Send) -> None:
        """The life of the process, in four messages (ASGI's lifespan)."""
        await receive()
        async with self._running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        draining = Draining(self._readiness, drain_in=self._issuer.settings.drain_in)
        tasks = [asyncio.create_task(chore()) for chore in self._chores]
        draining.begin()
        try:
            yield
        finally:
            draining.end()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await self._issuer.outside.close()
            self._issuer.close()


def _make(issuer: Issuer, spoken: Spoken, dialects: Mapping[str, Dialect]) -> ASGIApp:
    site: ASGIApp = importlib.import_module("jwtauth.web.site").create(issuer, spoken, dialects)
    return site
