"""Published status lists: signed once per change and signing period, the same for everybody (Token Status List)."""

import gzip
from typing import Final

import msgspec
from msgspec import Struct

from jwtauth.bounded import Bounded
from jwtauth.keyring.keyring import Keyring
from jwtauth.protocol import status_list
from jwtauth.store.ports import Store

PERIOD_IN: Final = 3_600
"""A list is signed anew in every period of so many seconds, and good until the end of the next one."""

REMEMBERED: Final = 64
"""Signed lists held in memory, a few KiB each as a rule; at the bound those signed first are forgotten."""


class SignedList(Struct, frozen=True, kw_only=True):
    """One Status List Token as it is sent."""

    body: bytes
    zipped: bytes
    """The same with gzip."""
    etag: str
    """Alike in all workers: list, version, signing period, key. The signatures differ, so it is a weak one."""


class StatusLists:
    """Signs lists when they are asked for."""

    def __init__(self, issuer: str, store: Store, keyring: Keyring, *, algorithm: str, ttl: int) -> None:
        self._prefix = f"{issuer}{status_list.PATH}/"
        self._store = store
        self._keyring = keyring
        self._algorithm = algorithm
        self._ttl = ttl
        self._signed: Bounded[int, SignedList] = Bounded(REMEMBERED)

    def uri(self, number: int) -> str:
        """Where a list is published, as tokens name it."""
        return self._prefix + status_list.list_name(number * status_list.LIST_SIZE, epoch=self._store.epoch)

    async def get(self, name: str, *, now: int) -> SignedList | None:
        """The list of that name in its present state; None where no token that is alive names it."""
        number = status_list.number_of(name, epoch=self._store.epoch)
        if number is None or not await self._store.positions.has_list(number):
            return None
        key = self._keyring.signing_key(self._algorithm, now=now)
        period = now // PERIOD_IN
        etag = f'W/"{name}.{self._store.positions.version_of(number)}.{period}.{key.kid[:8]}"'
        known = self._signed.get(number)
        if known is not None and known.etag == etag:
            return known
        token = status_list.make(
            self._store.positions.denied_in(number),
            uri=self.uri(number),
            lifetime_in=(period + 2) * PERIOD_IN - now,
            ttl=self._ttl,
            now=now,
        )
        body = key.sign(msgspec.json.encode(token), typ=status_list.TYPE).encode("ascii")
        return self._remember(number, SignedList(body=body, zipped=gzip.compress(body, 6, mtime=0), etag=etag))

    def _remember(self, number: int, signed: SignedList) -> SignedList:
        self._signed.pop(number, None)
        return self._signed.learn(number, signed)
