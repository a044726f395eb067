"""A backup is restored under an open issuer: it goes on in the new time line, and nothing straddles the two (S-07)."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from jwtauth.endpoints import status_lists
from jwtauth.errors import InvalidToken, Overloaded
from jwtauth.issuer import assembly
from jwtauth.issuer.issuer import LONGEST_STORY_IN, Issuer
from jwtauth.protocol.records import Block, Client, Permission, Pointer
from jwtauth.store.sqlite import backups, restoring
from tests.support.home import Home

NOW: Final = 2_000_000_000
PERMISSION: Final = Permission(
    client_id="service", subject="u.x", scope=("read",), audience=("a",), authorities=(), lifetime_in=600
)
POINTER: Final = Pointer(grant_id=7, generation=3, secret_number=1)


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(home: Home) -> Client:
    return home.client("service")


@pytest.fixture
def issuer(home: Home, client: Client, clock: Clock) -> Iterator[Issuer]:
    issuer = assembly.open_issuer(home.source)
    issuer._clock = clock
    yield issuer
    issuer.close()


@pytest.fixture
def backup(home: Home, client: Client, tmp_path: Path) -> Path:
    backups.take(home.source.database, tmp_path / "one.backup")
    return tmp_path / "one.backup"


@pytest.fixture
def restore(home: Home, backup: Path) -> Callable[..., int]:
    """What the command does once it was told yes; returns the new epoch."""

    def call(*, now: int = NOW) -> int:
        with restoring.copied(backup, home.source.database) as copy:
            placed = copy.put_in_place(copy.fingerprints(), now=now)
        assert placed.is_seen
        return placed.epoch

    return call


def begin(issuer: Issuer) -> int:
    """A request begins."""

    async def ask() -> int:
        return issuer.begin()

    return asyncio.run(ask())


def settle(issuer: Issuer, clock: Clock) -> None:
    """The first look after the restore, and the second in which nobody is answered."""
    with pytest.raises(Overloaded, match="restored this second"):
        begin(issuer)
    clock.now += 1
    begin(issuer)


class TestTheNextRequest:
    def test_is_answered_in_the_new_time_line(
        self, issuer: Issuer, home: Home, clock: Clock, restore: Callable[[], int]
    ) -> None:
        """What it makes is good for every other process too."""
        epoch = restore()
        settle(issuer, clock)
        token = issuer.mint(PERMISSION, 5, now=begin(issuer))
        fresh = assembly.open_issuer(home.source)
        try:
            assert fresh.store.epoch == issuer.store.epoch == epoch
            assert fresh.access_tokens.open(token, now=clock.now)[1] == 5
            assert fresh.sealer.read_refresh_token(issuer.sealer.refresh_token(POINTER)) == POINTER
            sealed = issuer.sealer.seal(b"a transaction", now=clock.now)
            assert fresh.sealer.open(sealed) == b"a transaction"
        finally:
            fresh.close()

    def test_knows_nothing_that_was_made_before(self, issuer: Issuer, clock: Clock, restore: Callable[[], int]) -> None:
        token = issuer.mint(PERMISSION, 5, now=begin(issuer))
        issuer.access_tokens.open(token, now=NOW)
        sealed = [issuer.sealer.refresh_token(POINTER), issuer.sealer.code(POINTER), issuer.sealer.seal(b"x", now=NOW)]
        csrf = issuer.sealer.csrf("a browser")
        restore()
        settle(issuer, clock)
        with pytest.raises(InvalidToken, match="names no status list"):
            issuer.access_tokens.open(token, now=clock.now)
        sealer = issuer.sealer
        assert [sealer.read_refresh_token(sealed[0]), sealer.read_code(sealed[1]), sealer.open(sealed[2])] == [None] * 3
        assert not sealer.is_csrf("a browser", csrf)

    def test_is_refused_where_the_secrets_are_others_until_they_are_put_back(
        self, issuer: Issuer, home: Home, clock: Clock, restore: Callable[[], int]
    ) -> None:
        path = home.source.keys / "server.secret"
        content = path.read_bytes()
        path.unlink()
        restore()
        for _ in range(2):
            with pytest.raises(Overloaded, match="without the server secrets"):
                begin(issuer)
        path.write_bytes(content)
        path.chmod(0o600)
        settle(issuer, clock)

    def test_of_another_second_is_answered_even_if_the_clock_was_set_back(
        self, issuer: Issuer, clock: Clock, restore: Callable[[], int]
    ) -> None:
        """S-06: an hour back is no hour of refusals."""
        restore()
        settle(issuer, clock)
        clock.now -= 3_600
        assert issuer.mint(PERMISSION, 5, now=begin(issuer))


class TestARequestThatHadBegun:
    @pytest.mark.parametrize("lasted_for", [0, 1, LONGEST_STORY_IN - 1])
    def test_is_given_no_token(self, issuer: Issuer, clock: Clock, restore: Callable[[], int], lasted_for: int) -> None:
        """Its position and its grant are not those of the database that is there now."""
        begun_at = begin(issuer)
        clock.now += lasted_for
        restore()
        settle(issuer, clock)
        with pytest.raises(Overloaded, match="restored meanwhile"):
            issuer.mint(PERMISSION, 5, now=begun_at)

    def test_can_write_nothing(
        self, issuer: Issuer, client: Client, home: Home, clock: Clock, restore: Callable[[], int]
    ) -> None:
        """Whatever it has read of client and user is not so any more."""
        block = _take_block(issuer, client)
        assert block is not None
        restore()
        assert _take_block(issuer, client) is None
        settle(issuer, clock)
        now = asyncio.run(issuer.store.directory.client("service"))
        assert now is not None
        assert replace(now, epoch=client.epoch) == client
        again = _take_block(issuer, now)
        assert again is not None
        assert again.position >= block.position + block.size, "no position is given twice, whatever its list is called"


def _take_block(issuer: Issuer, client: Client) -> Block | None:
    return asyncio.run(issuer.store.positions.take_block(client, size=64, use_until=NOW + 60, now=NOW))


class TestWhoListensForNews:
    def test_has_to_begin_anew(self, issuer: Issuer, clock: Clock, restore: Callable[[], int]) -> None:
        """Then every list that is held is asked for, and found to be gone."""

        async def tick() -> bool:
            await asyncio.sleep(0)  # another turn of the loop, which looks again
            if clock.now == NOW:
                restore()
                with pytest.raises(Overloaded):
                    issuer.begin()
            clock.now += 1
            return clock.now < NOW + 10

        async def listen() -> list[tuple[str, ...]]:
            return [uris async for uris in status_lists.changes(issuer, tick)]

        assert asyncio.run(listen()) == []


class TestTheEpoch:
    def test_is_at_least_the_present_instant(self, issuer: Issuer, restore: Callable[..., int]) -> None:
        """So it is a new one even if nobody knows any more which there have been."""
        assert restore(now=NOW) == NOW

    def test_is_above_that_of_the_database_even_if_the_clock_was_set_back(
        self, issuer: Issuer, restore: Callable[..., int]
    ) -> None:
        assert [restore(now=NOW), restore(now=NOW), restore(now=NOW - 3_600)] == [NOW, NOW + 1, NOW + 2]
