"""The disk as it may be found after the power went: the database, and a log with any end."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from jwtauth import settings
from jwtauth.issuer import assembly
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import status_list
from jwtauth.settings import Source
from tests.soak.ledger import place
from tests.soak.load import Load

_HEADER: Final = 32
_FRAME_HEADER: Final = 24


class Disk(Struct, frozen=True, kw_only=True):
    """A database and its log (https://sqlite.org/fileformat2.html#walformat)."""

    database: bytes
    log: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """As they are; nobody writes meanwhile."""
        return cls(database=path.read_bytes(), log=_log_of(path).read_bytes())

    @property
    def committed(self) -> int:
        """Where the last frame ends that ends a transaction: everything acknowledged stands before."""
        size = _FRAME_HEADER + int.from_bytes(self.log[8:12], "big")
        starts = range(_HEADER, len(self.log) - size + 1, size)
        ends = [start + size for start in starts if any(self.log[start + 4 : start + 8]) and self._is_new(start)]
        return ends[-1]

    def torn(self, later: Self, *, at: int, way: int) -> Self:
        """This database with the log of a later moment, of which only the part before `at` was flushed.

        The rest is missing, zeros or nonsense.
        """
        assert later.log[: self.committed] == self.log[: self.committed], "the log began anew in between"
        rest = len(later.log) - at
        return replace(self, log=later.log[:at] + (b"", bytes(rest), os.urandom(rest))[way % 3])

    def write(self, path: Path) -> None:
        """Put them where a service finds them; its index is not on any disk."""
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        path.write_bytes(self.database)
        _log_of(path).write_bytes(self.log)

    def _is_new(self, start: int) -> bool:
        """Whether a frame is of this log, not of one that it overwrites: it has the same salts."""
        return self.log[start + 8 : start + 16] == self.log[16:24]


class Known(Struct, frozen=True, kw_only=True):
    """What had been acknowledged at one moment."""

    going_on: list[dict[str, Any]]
    """Tokens of grants that go on."""
    revoked: list[str]
    ended: list[str]
    codes: list[str]
    """Codes that were redeemed."""

    @classmethod
    def of(cls, working: Load) -> Self:
        """Now."""
        return cls(
            going_on=[chain.last for chain in working.chains if chain.last is not None and not chain.is_ending],
            revoked=[*working.ledger.revoked],
            ended=[*working.ledger.ended],
            codes=[*working.ledger.redemptions],
        )

    def assert_held(self, source: Source) -> None:
        """A service that starts in this folder knows all of it."""
        asyncio.run(self._look(source))

    async def _look(self, source: Source) -> None:
        issuer = assembly.open_issuer(source)
        try:
            issuer.begin()
            for tokens in self.going_on:
                await _assert_refreshed(issuer, tokens["refresh_token"])
            for token in self.revoked:
                uri, idx = place(token)
                position = status_list.position_of(uri.rpartition("/")[2], idx, epoch=issuer.store.epoch)
                assert position is not None
                assert issuer.store.positions.is_denied(position)
            for token in self.ended:
                pointer = issuer.sealer.read_refresh_token(token)
                assert pointer is not None
                grant = await issuer.store.grants.get(pointer.grant_id)
                assert grant is not None
                assert grant.ended_at is not None
            for code in self.codes:
                redeemed = issuer.sealer.read_code(code)
                assert redeemed is not None
                grant = await issuer.store.grants.get(redeemed.grant_id)
                assert grant is not None
                assert grant.redeemed_at is not None
        finally:
            issuer.close()


async def _assert_refreshed(issuer: Issuer, token: str) -> None:
    """The grant is as far as this token says, or further."""
    pointer = issuer.sealer.read_refresh_token(token)
    assert pointer is not None
    grant = await issuer.store.grants.get(pointer.grant_id)
    assert grant is not None
    assert grant.generation >= pointer.generation


def folder_with(disk: Disk, *, like: Path, at: Path) -> Source:
    """A copy of a service's folder with these files in it."""
    shutil.copytree(like, at, ignore=shutil.ignore_patterns("jwtauth.db*", "*.log"))
    source = settings.load(at, {})
    disk.write(source.database)
    return source


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
