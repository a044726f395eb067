"""The server's only HTTP client: bounded in time, length and number of calls, going where it was sent and no further.

No redirect is followed, no proxy asked, no cookie kept. Time is bounded as a whole, from name lookup to last byte: a
limit between two bytes does not stop whoever sends one byte a second.
"""

import asyncio
import importlib
from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct

MAX_LENGTH: Final = 65_536
"""Longest body that is read, in bytes."""

MAX_CONNECTIONS: Final = 64
"""Calls at once in one process; one more waits for its turn, at the expense of its own time."""


class NoAnswer(Exception):
    """Nobody answered in time, or the URI must not be called; the message says why and holds nothing secret."""


class Answer(Struct, frozen=True, kw_only=True):
    """What was answered, whatever its status."""

    status: int
    media_type: str = ""
    """In lower case and without parameters; empty where none was named."""
    body: bytes = b""
    """As sent: what is compressed against our wish stays so, and cannot swell in memory."""


class Carrier(Protocol):
    """What carries calls: `jwtauth.outside.client`."""

    async def ask(
        self,
        method: str,
        uri: str,
        form: Mapping[str, str] | None,
        *,
        headers: Mapping[str, str] | None,
        within: float,
        longest: int,
    ) -> Answer:
        """The answer to one call."""

    async def close(self) -> None:
        """Break off what is under way."""


class Outside:
    """Makes calls. A private certificate authority is named by the environment variable SSL_CERT_FILE."""

    def __init__(self) -> None:
        """Nothing is connected yet, and neither httpx nor a certificate authority read: most workers never call."""
        self._made: Carrier | None = None
        self._making = asyncio.Lock()

    async def post_form(
        self,
        uri: str,
        form: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        within: float,
        longest: int = MAX_LENGTH,
    ) -> Answer:
        """The answer to a form that is posted to a URI.

        Args:
            uri: https, or http on a literal loopback address; without user or password.
            form: sent as application/x-www-form-urlencoded.
            headers: sent besides our own.
            within: seconds for all of it.
            longest: bytes of the body that are read; what follows is cut off, and with 0 none is waited for.

        Raises:
            NoAnswer: the URI is another, or nobody answered in time.
        """
        carrier = await self._carrier()
        return await carrier.ask("POST", uri, form, headers=headers, within=within, longest=longest)

    async def get(
        self, uri: str, *, headers: Mapping[str, str] | None = None, within: float, longest: int = MAX_LENGTH
    ) -> Answer:
        """What is at a URI; arguments, bounds and refusals are those of `post_form`.

        Raises:
            NoAnswer: the URI is another, or nobody answered in time.
        """
        carrier = await self._carrier()
        return await carrier.ask("GET", uri, None, headers=headers, within=within, longest=longest)

    async def close(self) -> None:
        """Break off what is under way; no call is made after this."""
        if self._made is not None:
            await self._made.close()

    async def _carrier(self) -> Carrier:
        """The carrier, made at the first call: 0.2 s, in a thread, for which no request waits but that one.

        Raises:
            NoAnswer: the certificate authorities cannot be read.
        """
        async with self._making:
            made = self._made
            if made is None:
                made = self._made = await asyncio.to_thread(_make)
        return made


def _make() -> Carrier:
    try:
        carrier: Carrier = importlib.import_module("jwtauth.outside.client").Client()
    except OSError as problem:
        raise NoAnswer(f"no certificate authorities can be read: {problem}") from problem
    return carrier
