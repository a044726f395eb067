"""Whether the process answers, and whether it is worth asking: /healthz and /readyz, for those who balance load."""

import asyncio
import signal
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from jwtauth.errors import ConfigurationError, OAuthError, Overloaded, WrongMethod
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.log import LOGGER
from jwtauth.web import errors, reply
from jwtauth.web.asgi import Replier, Source
from jwtauth.web.reply import Fields, Reply
from jwtauth.web.types import HTTPScope

PROBE_IN: Final = 1.0
"""The database is written to at most once in so many seconds, however often anybody asks; in between the last verdict
is told."""

PROBE_WITHIN: Final = 3.0
"""A write that takes longer, in seconds, is one that nobody would wait for. A lock held by another process is waited
for less long (`jwtauth.store.sqlite.writer.BUSY_FOR`)."""

NOTHING_ALLOWED: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
"""The Content-Security-Policy of what is no page and a browser may show all the same (SECURITY B-06)."""

PROBES: Final = {"/healthz": "Whether the process answers", "/readyz": "Whether tokens can be issued now"}
"""What they are, by path."""


class Readiness:
    """Says what keeps this process from issuing tokens."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._probe: asyncio.Task[str | None] | None = None
        self._probed_at = -PROBE_IN
        self._is_stopping = False

    async def problems(self) -> list[str]:
        """What is wrong now, in words that say nothing about paths or secrets; empty where all is well."""
        if self._is_stopping:
            return ["stopping"]
        writing = await self._writing()
        found = [*self._reading(), *([writing] if writing else [])]
        return [*dict.fromkeys(found), *(f"{name}: cannot be written" for name in self._issuer.observers.problems())]

    def stop(self) -> None:
        """From here on, this process wants no more requests."""
        self._is_stopping = True

    def _reading(self) -> list[str]:
        try:
            now = self._issuer.begin()
            self._issuer.keyring.signing_key(self._issuer.settings.access_token_algorithm, now=now)
        except ConfigurationError:
            return ["keys: there is none that signs"]
        except OAuthError as problem:
            return [f"database: {problem}"]
        return []

    async def _writing(self) -> str | None:
        """The verdict of a write: of the one that is under way, of the last one, or of a new one.

        A write that hangs is waited for no longer than it may take, and no second one is sent after it.
        """
        now = asyncio.get_running_loop().time()
        if self._probe is None or (self._probe.done() and now - self._probed_at >= PROBE_IN):
            self._probe, self._probed_at = asyncio.create_task(self._write()), now
        done, _ = await asyncio.wait([self._probe], timeout=max(0.0, self._probed_at + PROBE_WITHIN - now))
        return self._probe.result() if done else "database: a write takes too long"

    async def _write(self) -> str | None:
        try:
            await self._issuer.store.prove_writable(now=self._issuer.now())
        except Overloaded as problem:
            return f"database: {problem}"
        return None


def repliers(readiness: Readiness) -> dict[str, Replier]:
    """What replies to probes, by path; under every name (`jwtauth.web.hosts`)."""

    async def healthz(scope: HTTPScope, _: Source) -> Reply:
        return _refusal(scope) or Reply(200, _AS_TEXT, b"ok")

    async def readyz(scope: HTTPScope, _: Source) -> Reply:
        refusal = _refusal(scope)
        if refusal is not None:
            return refusal
        problems = await readiness.problems()
        if problems:
            text = f"not ready: {'; '.join(problems)}"
            return Reply(503, _AS_TEXT, text.encode(), [(b"retry-after", b"1")])
        return Reply(200, _AS_TEXT, b"ready")

    return dict(zip(PROBES, (healthz, readyz), strict=True))


def _refusal(scope: HTTPScope) -> Reply | None:
    """405 to whoever does not just ask."""
    if scope["method"] in ("GET", "HEAD"):
        return None
    return errors.refusal(WrongMethod(("GET", "HEAD")))


_AS_TEXT: Final = Fields(
    [
        *reply.AS_TEXT.pairs,
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", NOTHING_ALLOWED.encode()),
    ]
)


class Draining:
    """Between SIGTERM and the end: requests are answered as before, while /readyz sends load balancers elsewhere."""

    def __init__(self, readiness: Readiness, *, drain_in: int) -> None:
        self._readiness = readiness
        self._drain_in = drain_in
        self._before: Any = None

    def begin(self) -> None:
        """Hear of SIGTERM before the HTTP server does, which would close its door at once."""
        with suppress(ValueError):  # not in the main thread: then no signal comes here
            self._loop = asyncio.get_running_loop()
            self._before = signal.signal(signal.SIGTERM, self._hear)

    def end(self) -> None:
        """The server is stopping; a signal that comes now is its own."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """The first signal begins to drain, a second one ends that."""
        self.end()
        self._readiness.stop()
        if self._drain_in:
            LOGGER.info("stopping in %d seconds; /readyz answers 503", self._drain_in)
            self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_in, signal.raise_signal, number)
        else:
            signal.raise_signal(number)
