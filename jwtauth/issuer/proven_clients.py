"""Clients whose Authorization header was proven before: asked again, it costs one keyed hash."""

import os
from hashlib import blake2b
from typing import Final

from jwtauth.bounded import Bounded
from jwtauth.protocol.records import Client

REMEMBERED: Final = 10_000
"""Headers held in memory, as keyed digests; at the bound those remembered first are forgotten."""


class ProvenClients:
    """Remembers successes only, each for the very record of the client that it was proven against.

    Whatever changes about a client, a secret or its realm makes the directory read a new record, for which nothing is
    remembered. The key is random and of this process alone, so that a copy of the memory gives no secret away.
    """

    def __init__(self) -> None:
        self._keyed = blake2b(key=os.urandom(32), digest_size=32)
        self._proven: Bounded[bytes, tuple[Client, int | None]] = Bounded(REMEMBERED)

    def find(self, header: str, *, now: int) -> Client | None:
        """The client that this header proved, as it was then; the caller compares it with what the directory has."""
        found = self._proven.get(self._note(header))
        if found is None:
            return None
        client, until = found
        return client if until is None or now < until else None

    def remember(self, header: str, client: Client, *, now: int) -> None:
        """This header has proven this client; it counts until the first of the client's secrets expires."""
        ends = [secret.expires_at for secret in client.secrets if secret.is_live(now) and secret.expires_at is not None]
        self._proven.learn(self._note(header), (client, min(ends, default=None)))

    def _note(self, header: str) -> bytes:
        digest = self._keyed.copy()
        digest.update(header.encode())
        return digest.digest()
