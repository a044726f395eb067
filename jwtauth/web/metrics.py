"""/metrics: what is counted, as Prometheus reads it, for those alone who may know.

Nobody else is told that it is there. Whoever comes through a proxy comes from the proxy's address, which mostly is one
of this machine: so a request with a proxy's marks is judged by the address behind it, and only where the proxy is one
that the operator named.
"""

import asyncio
import importlib
import platform
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from importlib.metadata import version
from ipaddress import ip_network
from time import monotonic, perf_counter
from typing import Final
from urllib.parse import urlsplit

from jwtauth.errors import OAuthError, Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.keyring.schedule import KeyState, PlannedKey
from jwtauth.observe import metrics
from jwtauth.observe.log import LOGGER
from jwtauth.observe.metrics import Endpoint, Labels, Snapshot
from jwtauth.observe.worker_files import WorkerFiles
from jwtauth.settings import Settings
from jwtauth.store.ports import Figures
from jwtauth.web import addresses, asgi, errors
from jwtauth.web.addresses import Addresses
from jwtauth.web.asgi import Handler
from jwtauth.web.reply import NO_STORE, Fields, Reply
from jwtauth.web.types import HTTPScope, Message, Receive, Send

PATH: Final = "/metrics"

WRITE_IN: Final = 1.0
"""How often a worker tells the others its numbers, in seconds: what a killed one had counted since is lost."""

COUNTED_IN: Final = 15.0
"""The database is counted through at most once in so many seconds; in between the last figures are told."""

_MARKS: Final = frozenset({b"forwarded", b"via", b"x-real-ip"})
_MARK: Final = b"x-forwarded-"
"""How a proxy shows that a request went through it (RFC 7239, RFC 9110 section 7.6.3, and what is usual)."""


class Measured:
    """The `send` of one request: counts it when its answer begins."""

    __slots__ = ("_began", "_endpoint", "_send")

    def __init__(self, send: Send, endpoint: Endpoint) -> None:
        self._send = send
        self._endpoint = endpoint
        self._began = perf_counter()

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self._endpoint.note(message["status"], perf_counter() - self._began)
        return self._send(message)


class Readers:
    """Who may read the numbers of one issuer."""

    def __init__(self, settings: Settings) -> None:
        self._addresses = Addresses(settings)
        self._networks = tuple(ip_network(network) for network in settings.metrics_from)
        parts = urlsplit(settings.issuer)
        self._outside = {parts.netloc.encode(), f"{parts.hostname}:443".encode()} if parts.scheme == "https" else set()
        """Names that only a proxy in front can have been asked by, as we speak no TLS."""

    def include(self, scope: HTTPScope) -> bool:
        """Whether a request is one of theirs."""
        if self._is_forwarded(scope) and not self._is_told_for_whom(scope):
            return False
        return addresses.is_within(self._addresses.source(scope), self._networks)

    def _is_told_for_whom(self, scope: HTTPScope) -> bool:
        """Whether a proxy that is believed names the client: else its own address would count."""
        return self._addresses.is_from_proxy(scope) and asgi.header(scope, b"x-forwarded-for") is not None

    def _is_forwarded(self, scope: HTTPScope) -> bool:
        return any(
            name in _MARKS or name.startswith(_MARK) or (name == b"host" and value.lower() in self._outside)
            for name, value in scope["headers"]
        )


class Page:
    """The numbers of one service, whichever of its workers is asked."""

    def __init__(self, issuer: Issuer, files: WorkerFiles | None) -> None:
        """Put the page together; `files` is None where there is one worker alone."""
        self._issuer = issuer
        self._files = files
        self._counted = issuer.metrics.endpoint(PATH)
        self._readers = Readers(issuer.settings)
        self._figures: Figures | None = None
        self._counted_at = -COUNTED_IN
        self._counting = asyncio.Lock()

    def handler(self, *, elsewhere: Handler) -> Handler:
        """The ASGI callable; `elsewhere` answers those who may not know that there is such a page."""

        async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
            if scope["method"] not in ("GET", "HEAD") or not self._readers.include(scope):
                await elsewhere(scope, receive, send)
                return
            send = Measured(send, self._counted)
            try:
                content_type, body = await self._text()
            except Overloaded as problem:
                await errors.refusal(problem).send(send)
                return
            await Reply(200, Fields([(b"content-type", content_type.encode()), *NO_STORE]), body).send(send)

        return handle

    async def run(self) -> None:
        """The loop of one worker: tell the others every second until cancelled, then once more."""
        if self._files is None:
            return
        try:
            while True:
                self._tell(self._files)
                await asyncio.sleep(WRITE_IN)
        finally:
            self._tell(self._files)
            self._files.close()

    async def _text(self) -> tuple[str, bytes]:
        """The numbers of all workers, and their type.

        Raises:
            Overloaded: those of the others could not be read.
        """
        exposition = await asyncio.to_thread(importlib.import_module, "jwtauth.web.exposition")
        own = self._issuer.metrics.snapshot()
        snapshots = [own] if self._files is None else self._shared(self._files, own)
        pids = [snapshot.pid for snapshot in snapshots if snapshot.pid]
        return exposition.TYPE, exposition.text(metrics.together([*snapshots, await self._facts()]), pids)

    def _shared(self, files: WorkerFiles, own: Snapshot) -> list[Snapshot]:
        """Everybody's numbers. Ours are written first: what one worker told no other then falls short of."""
        try:
            files.write(own)
            return files.read()
        except OSError as problem:
            raise Overloaded(f"the numbers of the other workers cannot be read: {problem.strerror}") from None

    def _tell(self, files: WorkerFiles) -> None:
        try:
            files.write(self._issuer.metrics.snapshot())
        except OSError as problem:
            LOGGER.error("the numbers of this worker cannot be written: %s", problem.strerror)

    async def _facts(self) -> Snapshot:
        """What is the same whichever worker says it."""
        with suppress(OAuthError):  # a restore that goes on
            self._issuer.begin()  # look at the keys: nobody else may ask for anything
        gauges: dict[str, dict[Labels, float]] = {
            metrics.KEYS_READABLE: {(): self._issuer.are_keys_readable},
            metrics.BUILD: {(version("jwtauth"), platform.python_version()): 1},
            **_of_keys(self._issuer.keyring.plan(now=self._issuer.now()), now=self._issuer.now()),
        }
        figures = await self._figures_of_late()
        if figures is not None:
            gauges |= {
                metrics.DENIED: {(): figures.denied},
                metrics.GRANTS: {(): figures.grants},
                metrics.DATABASE_BYTES: {(): figures.size},
                metrics.DATABASE_FREE: {(): figures.free},
            }
        return Snapshot(gauges=gauges)

    async def _figures_of_late(self) -> Figures | None:
        """Figures of the database, some seconds old; None where it cannot be read, which /readyz says too."""
        async with self._counting:
            if monotonic() - self._counted_at >= COUNTED_IN:
                try:
                    self._figures = await self._issuer.store.figures(now=self._issuer.now())
                except OAuthError:
                    self._figures = None
                self._counted_at = monotonic()
            return self._figures


def _of_keys(planned: list[PlannedKey], *, now: int) -> Mapping[str, dict[Labels, float]]:
    """The age of what signs, and when that changes, by algorithm."""
    ages: dict[Labels, float] = {}
    nexts: dict[Labels, float] = {}
    retires: dict[Labels, float] = {}
    for key in planned:
        algorithm = (key.dates.algorithm,)
        if key.state is KeyState.SIGNING:
            ages[algorithm] = max(0, now - key.dates.signs_at)
        if key.state is KeyState.PUBLISHED:
            nexts[algorithm] = min(nexts.get(algorithm, key.dates.signs_at - now), key.dates.signs_at - now)
        if key.retires_at is not None and key.retires_at > now:
            retires[algorithm] = min(retires.get(algorithm, key.retires_at - now), key.retires_at - now)
    return {metrics.KEY_AGE: ages, metrics.KEY_NEXT: nexts, metrics.KEY_RETIRES: retires}
