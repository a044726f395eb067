"""Clients told that a session ended: OpenID Connect Back-Channel Logout 1.0, over real HTTP and from a real outbox."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from itertools import count
from logging.handlers import BufferingHandler

import jwt
import msgspec
import pytest
from jwt import PyJWKSet
from msgspec.structs import replace

from jwtauth.endpoints import tell_logouts
from jwtauth.endpoints.tell_logouts import AT_ONCE, LEASE_IN
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.log import LOGGER
from jwtauth.outside import backchannel_logout
from jwtauth.protocol.records import Client, LogoutNotice, NewGrant, NewSession
from jwtauth.store.ports import Store
from jwtauth.store.sqlite import writer
from tests.endpoints.conftest import Desk
from tests.outside.receiver import AMPLE_IN, Receiver, until
from tests.support.home import Home

DAY = 86_400
NUMBERS = count(1)


class Office(Desk):
    """A desk at which people sign out."""

    async def sign_out(self, *clients: Client, lease_in: int = LEASE_IN) -> Sequence[LogoutNotice]:
        """End a session in which Ada used these clients."""
        return await sign_out(self.issuer.store, *clients, lease_in=lease_in, now=self.clock.at)

    def told(self) -> list[tuple[str, str | None]]:
        """The events about logouts: name and client."""
        return [(event.name, event.client_id) for event in self.events if event.name.startswith("logout.")]

    def reasons(self) -> list[str | None]:
        return [event.reason for event in self.events if event.name.startswith("logout.")]

    def due_in(self) -> int | None:
        """Seconds until the next notice is due."""
        due_at = self.run(self.issuer.store.logouts.next_due_at())
        return None if due_at is None else due_at - self.clock.at


async def sign_out(store: Store, *clients: Client, lease_in: int, now: int) -> Sequence[LogoutNotice]:
    user = await store.directory.user_named("ada")
    assert user is not None
    number = next(NUMBERS)
    session = NewSession(
        digest=number.to_bytes(32),
        sid=f"session-{number}",
        user_id=user.id,
        user_epoch=user.epoch,
        auth_time=now,
        expires_at=now + DAY,
        ends_at=now + DAY,
    )
    started = await store.sessions.start(session, replaces=None, lease_in=lease_in, now=now)
    assert started is not None
    for client in clients:
        grant = NewGrant(
            client_id=client.id,
            client_epoch=client.epoch,
            user_id=user.id,
            user_epoch=user.epoch,
            scope=("openid",),
            secret_number=1,
            expires_at=now + DAY,
            ends_at=now + DAY,
            session_id=started[0].id,
        )
        assert await store.grants.start(grant, now=now)
    ended = await store.sessions.end(started[0].id, lease_in=lease_in, now=now)
    assert ended is not None
    assert len(ended.notices) == len(clients)
    return ended.notices


@asynccontextmanager
async def running(*issuers: Issuer) -> AsyncIterator[None]:
    """The loops of as many workers."""
    loops = [asyncio.create_task(tell_logouts.run(issuer)) for issuer in issuers]
    try:
        yield
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def player(home: Home, receiver: Receiver) -> Client:
    """A client that wants to be told."""
    home.user("ada")
    return player_of(home, "player", receiver)


@pytest.fixture
def office(home: Home, player: Client) -> Iterator[Office]:
    office = Office(home)
    yield office
    office.close()


def player_of(home: Home, client_id: str, receiver: Receiver) -> Client:
    return home.client(client_id, backchannel_logout_uri=receiver.uri)


class TestLogoutToken:  # section 2.6: as a client checks it
    @pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
    def test_is_one_that_a_client_believes(self, home: Home, receiver: Receiver, algorithm: str) -> None:
        home.user("ada")
        player = home.client("player", backchannel_logout_uri=receiver.uri, id_token_algorithm=algorithm)
        with closing(Office(home)) as office:
            (notice,) = office.run(office.sign_out(player))
            office.run(tell_logouts.tell(office.issuer, [notice], within=AMPLE_IN))
            (token,) = receiver.tokens
            header = jwt.get_unverified_header(token)
            keys = PyJWKSet.from_dict(msgspec.json.decode(office.issuer.keyring.jwks))
            claims = jwt.decode(
                token,
                keys[header["kid"]].key,
                algorithms=[algorithm],
                audience="player",
                issuer=office.issuer.settings.issuer,
                options={"require": ["iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"]},
            )
        assert header["typ"] == "logout+jwt"
        assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert (claims["sub"], claims["sid"]) == ("u.ada", notice.sid)
        assert claims["exp"] - claims["iat"] <= 120
        assert "nonce" not in claims

    def test_has_another_jti_at_each_attempt(self, office: Office, player: Client, receiver: Receiver) -> None:
        receiver.status = 500
        notices = office.run(office.sign_out(player))
        for _ in range(2):
            office.run(tell_logouts.tell(office.issuer, notices, within=AMPLE_IN))
        first, second = (jwt.decode(token, options={"verify_signature": False}) for token in receiver.tokens)
        assert first.pop("jti") != second.pop("jti")
        assert first == second


class TestTelling:  # section 2.5: before the browser goes on
    def test_is_over_once_every_client_was_told(
        self, home: Home, office: Office, player: Client, receiver: Receiver
    ) -> None:
        recorder = player_of(home, "recorder", receiver)
        notices = office.run(office.sign_out(player, recorder))
        office.run(tell_logouts.tell(office.issuer, notices, within=AMPLE_IN))
        assert len(receiver.tokens) == 2
        assert sorted(office.told()) == [("logout.delivered", "player"), ("logout.delivered", "recorder")]
        assert office.due_in() is None

    def test_does_not_wait_longer_than_told_and_leaves_the_rest_to_the_loop(
        self, home: Home, office: Office, player: Client, receiver: Receiver
    ) -> None:
        with Receiver() as quick:
            recorder = player_of(home, "recorder", quick)
            receiver.hangs = True
            notices = office.run(office.sign_out(player, recorder))
            began = time.monotonic()
            office.run(tell_logouts.tell(office.issuer, notices, within=1))
            assert time.monotonic() - began < backchannel_logout.ANSWER_IN
        assert office.told() == [("logout.delivered", "recorder")]
        assert office.due_in() == LEASE_IN
        receiver.hangs = False
        office.clock.move(LEASE_IN)
        office.run(tell_logouts.deliver_due(office.issuer))
        assert office.told()[1:] == [("logout.delivered", "player")]
        assert office.due_in() is None

    def test_does_not_fail_where_the_database_cannot_be_written(
        self, office: Office, player: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody can know then that the client was told; it is told again."""
        monkeypatch.setattr(writer, "BUSY_FOR", 0.05)
        notices = office.run(office.sign_out(player))
        with closing(sqlite3.connect(office.home.source.database)) as other:
            other.execute("BEGIN IMMEDIATE")
            office.run(tell_logouts.tell(office.issuer, notices, within=AMPLE_IN))
        assert len(receiver.tokens) == 1
        office.clock.move(LEASE_IN)
        office.run(tell_logouts.deliver_due(office.issuer))
        assert len(receiver.tokens) == 2
        assert office.told() == [("logout.delivered", "player")]

    def test_does_not_fail_where_the_client_s_key_is_missing(self, home: Home, receiver: Receiver) -> None:
        home.user("ada")
        player = home.client("player", backchannel_logout_uri=receiver.uri, id_token_algorithm="PS256")
        with closing(Office(home)) as office:
            notices = office.run(office.sign_out(player))
            office.run(tell_logouts.tell(office.issuer, notices, within=AMPLE_IN))
            assert office.told() == [("logout.failed", "player")]
            assert "PS256" in str(office.reasons()[0])
            assert office.due_in() == 5

    def test_of_nobody_is_over_at_once(self, office: Office) -> None:
        office.run(tell_logouts.tell(office.issuer, (), within=AMPLE_IN))
        assert office.told() == []


class TestAClientThatFails:
    @pytest.mark.parametrize("status", [302, 400, 404, 500])
    def test_is_tried_again_after_a_while(
        self, office: Office, player: Client, receiver: Receiver, status: int
    ) -> None:
        receiver.status = status
        notices = office.run(office.sign_out(player))
        office.run(tell_logouts.tell(office.issuer, notices, within=AMPLE_IN))
        assert office.reasons() == [f"the client answered {status}"]
        assert office.due_in() == 5
        office.clock.move(4)
        assert office.run(tell_logouts.deliver_due(office.issuer)) == 1
        assert len(receiver.tokens) == 1
        receiver.status = 204
        office.clock.move(1)
        office.run(tell_logouts.deliver_due(office.issuer))
        assert office.told() == [("logout.failed", "player"), ("logout.delivered", "player")]
        assert office.due_in() is None

    def test_by_never_answering_does_not_keep_the_others_waiting(
        self, home: Home, office: Office, player: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backchannel_logout, "ANSWER_IN", 0.5)
        receiver.hangs = True
        with Receiver() as quick:
            recorder = player_of(home, "recorder", quick)
            office.run(office.sign_out(player, recorder, lease_in=0))
            office.run(tell_logouts.deliver_due(office.issuer))
        assert office.told() == [("logout.delivered", "recorder"), ("logout.failed", "player")]

    def test_is_told_after_it_and_we_were_started_anew(self, home: Home, player: Client, receiver: Receiver) -> None:
        receiver.stop()
        with closing(Office(home)) as office:
            (notice,) = office.run(office.sign_out(player))
            office.run(tell_logouts.tell(office.issuer, [notice], within=AMPLE_IN))
            assert office.told() == [("logout.failed", "player")]
        receiver.restart()
        with closing(Office(home)) as office:
            office.clock.move(10)
            office.run(tell_logouts.deliver_due(office.issuer))
            assert office.told() == [("logout.delivered", "player")]
        (token,) = receiver.tokens
        assert jwt.decode(token, options={"verify_signature": False})["sid"] == notice.sid

    def test_for_a_day_is_given_up(self, office: Office, player: Client, receiver: Receiver) -> None:
        receiver.status = 500
        began_at = office.clock.at
        office.run(office.sign_out(player, lease_in=0))
        while (due_in := office.due_in()) is not None and office.clock.at + due_in <= began_at + DAY:
            office.clock.move(due_in)
            office.run(tell_logouts.deliver_due(office.issuer))
        assert DAY - 3_600 < office.clock.at - began_at <= DAY
        assert office.due_in() is None
        assert len(receiver.tokens) == 28
        assert office.told() == [("logout.failed", "player")] * 27 + [("logout.abandoned", "player")]


class TestAClientThatNeedNotBeToldAnyMore:
    """Changed by another process, between two attempts."""

    def test_because_it_was_disabled_is_not(self, office: Office, player: Client, receiver: Receiver) -> None:
        self.was_told_in_vain(office, player, receiver)
        office.home.ask(lambda store: store.administration.disable_client(player, now=office.clock.at))
        self.is_told_no_more(office, receiver)

    def test_because_it_takes_no_logout_tokens_is_not(self, office: Office, player: Client, receiver: Receiver) -> None:
        self.was_told_in_vain(office, player, receiver)
        changed = replace(player, backchannel_logout_uri=None)
        office.home.ask(lambda store: store.administration.change_client(changed, now=office.clock.at))
        self.is_told_no_more(office, receiver)

    def was_told_in_vain(self, office: Office, player: Client, receiver: Receiver) -> None:
        receiver.status = 500
        office.run(office.sign_out(player, lease_in=0))
        office.run(tell_logouts.deliver_due(office.issuer))

    def is_told_no_more(self, office: Office, receiver: Receiver) -> None:
        office.clock.move(5)
        office.run(tell_logouts.deliver_due(office.issuer))
        assert office.told() == [("logout.failed", "player"), ("logout.abandoned", "player")]
        assert len(receiver.tokens) == 1
        assert office.due_in() is None


class TestTheLoop:
    def test_leaves_a_notice_to_whoever_holds_its_lease(
        self, office: Office, player: Client, receiver: Receiver
    ) -> None:
        office.run(office.sign_out(player))
        assert office.run(tell_logouts.deliver_due(office.issuer)) == tell_logouts.LOOK_IN
        office.clock.move(LEASE_IN - 1)
        assert office.run(tell_logouts.deliver_due(office.issuer)) == 1
        assert not receiver.received
        office.clock.move(1)
        assert office.run(tell_logouts.deliver_due(office.issuer)) == 0
        assert len(receiver.tokens) == 1

    def test_finds_what_another_process_noted(
        self, office: Office, player: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tell_logouts, "LOOK_IN", 0.05)

        async def story() -> None:
            async with running(office.issuer):
                await asyncio.to_thread(
                    office.home.ask, lambda store: sign_out(store, player, lease_in=0, now=office.clock.at)
                )
                await until(lambda: bool(office.told()))

        office.run(story())
        assert office.told() == [("logout.delivered", "player")]

    def test_goes_on_after_whatever_went_wrong(
        self, office: Office, player: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tell_logouts, "LOOK_IN", 0.05)
        monkeypatch.setattr(writer, "BUSY_FOR", 0.05)
        problems = BufferingHandler(100)
        office.run(office.sign_out(player, lease_in=0))

        async def story() -> None:
            with closing(sqlite3.connect(office.home.source.database)) as other:
                other.execute("BEGIN IMMEDIATE")
                async with running(office.issuer):
                    await until(lambda: len(problems.buffer) >= 2)
                    other.rollback()
                    await until(lambda: bool(office.told()))

        LOGGER.addHandler(problems)
        try:
            office.run(story())
        finally:
            LOGGER.removeHandler(problems)
        assert office.told() == [("logout.delivered", "player")]

    def test_ends_promptly_when_it_is_cancelled(self, office: Office, player: Client, receiver: Receiver) -> None:
        receiver.hangs = True
        office.run(office.sign_out(player, lease_in=0))

        async def story() -> float:
            async with running(office.issuer):
                await until(lambda: receiver.at_once == 1)
                began = time.monotonic()
            return time.monotonic() - began

        assert office.run(story()) < backchannel_logout.ANSWER_IN / 2
        assert office.due_in() == LEASE_IN

    def test_does_not_end_by_itself(self, office: Office) -> None:
        async def story() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await tell_logouts.run(office.issuer)
                    raise AssertionError("the loop ended")

        office.run(story())

    def test_of_several_workers_tells_each_client_once(
        self, home: Home, office: Office, player: Client, receiver: Receiver
    ) -> None:
        sessions = 2 * AT_ONCE + 16

        async def sign_out_often() -> list[str]:
            return [notice.sid for _ in range(sessions) for notice in await office.sign_out(player, lease_in=0)]

        expected = office.run(sign_out_often())

        async def story() -> None:
            async with running(office.issuer, *(other.issuer for other in others)):
                await until(lambda: sum(len(each.told()) for each in (office, *others)) == sessions)

        others = [Office(home), Office(home)]
        try:
            office.run(story())
            assert all(other.told() for other in (office, *others))
        finally:
            for other in others:
                other.close()
        found = [jwt.decode(token, options={"verify_signature": False})["sid"] for token in receiver.tokens]
        assert sorted(found) == sorted(expected)
        assert office.due_in() is None
