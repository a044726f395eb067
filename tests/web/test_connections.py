"""Who is let in, who makes room, who is turned away (SECURITY D-08)."""

import asyncio
import logging
import socket
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import uvicorn
import uvloop

from jwtauth.settings import Settings
from jwtauth.web import connections, server
from jwtauth.web.addresses import Addresses
from jwtauth.web.connections import RESERVED, SPARED_IN, TOLD_IN, TURNED_AWAY, Connections
from jwtauth.web.http import Http
from jwtauth.web.types import Receive, Scope, Send

LATER = SPARED_IN
"""When a connection that became idle at 0 may be closed."""


class Peer:
    """One connection, and whether it had to make room."""

    def __init__(self) -> None:
        self.has_made_room = False

    def make_room(self) -> None:
        self.has_made_room = True


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that nobody asks."""


def admitted(held: Connections, count: int, address: str = "192.0.2.1") -> list[Peer]:
    """So many more at instant 0, all of them let in."""
    peers = [Peer() for _ in range(count)]
    assert all(held.admit(peer, address, now=0) for peer in peers)
    return peers


class TestTheBoundOfAll:
    def test_turns_away_while_everybody_is_busy(self) -> None:
        held = Connections(most=2)
        for peer in admitted(held, 2):
            held.wake(peer)
        assert not held.admit(Peer(), "192.0.2.1", now=LATER)
        assert len(held) == 2

    def test_makes_the_one_leave_that_is_idle_longest(self) -> None:
        held = Connections(most=3)
        first, second, third = admitted(held, 3)
        for at, peer in enumerate((second, first, third)):
            held.wake(peer)
            held.rest(peer, now=at)
        assert held.admit(Peer(), "192.0.2.1", now=10)
        assert [peer.has_made_room for peer in (first, second, third)] == [False, True, False]
        assert len(held) == 3

    def test_makes_those_leave_first_that_never_asked_for_anything(self) -> None:
        held = Connections(most=2)
        client, stranger = admitted(held, 2)
        held.wake(client)
        held.rest(client, now=0)
        assert held.admit(Peer(), "192.0.2.1", now=LATER)
        assert (client.has_made_room, stranger.has_made_room) == (False, True)

    def test_spares_who_has_only_just_become_idle(self) -> None:
        held = Connections(most=1)
        (peer,) = admitted(held, 1)
        assert not held.admit(Peer(), "192.0.2.1", now=SPARED_IN / 2)
        assert not peer.has_made_room

    def test_counts_whoever_left_no_longer(self) -> None:
        held = Connections(most=1)
        (peer,) = admitted(held, 1)
        held.leave(peer)
        held.leave(peer)
        admitted(held, 1)
        assert len(held) == 1

    def test_does_not_wake_whoever_left(self) -> None:
        held = Connections(most=1)
        (peer,) = admitted(held, 1)
        held.leave(peer)
        held.rest(peer, now=0)
        admitted(held, 1)
        assert held.admit(Peer(), "192.0.2.1", now=LATER)
        assert not peer.has_made_room


class TestTheBoundOfOneAddress:
    def test_turns_away_that_address_alone(self) -> None:
        held = Connections(most_of_one=2, counted_as=str)
        admitted(held, 2)
        assert not held.admit(Peer(), "192.0.2.1", now=LATER)
        assert held.admit(Peer(), "192.0.2.2", now=LATER)

    def test_lets_in_again_after_one_left(self) -> None:
        held = Connections(most_of_one=1, counted_as=str)
        for _ in range(3):
            (peer,) = admitted(held, 1)
            held.leave(peer)

    def test_is_none_at_0(self) -> None:
        admitted(Connections(most_of_one=0, counted_as=str), 100)

    def test_is_none_where_addresses_are_not_counted(self) -> None:
        admitted(Connections(most_of_one=1, counted_as=lambda _: ""), 100)

    @pytest.mark.parametrize(
        ("settings", "address", "counted_as"),
        [
            (Settings(), "192.0.2.1", "192.0.2.1"),
            (Settings(), "::ffff:192.0.2.1", "192.0.2.1"),
            (Settings(), "2001:db8::1", "2001:db8::/64"),
            (Settings(), "", ""),
            (Settings(issuer="https://tokens.example"), "127.0.0.1", ""),
            (Settings(issuer="https://tokens.example", trusted_proxies=("10.0.0.0/8",)), "10.0.0.7", ""),
            (Settings(issuer="https://tokens.example", trusted_proxies=("10.0.0.0/8",)), "::ffff:10.0.0.7", ""),
            (Settings(issuer="https://tokens.example", trusted_proxies=("10.0.0.0/8",)), "192.0.2.1", "192.0.2.1"),
        ],
    )
    def test_leaves_proxies_out(self, settings: Settings, address: str, counted_as: str) -> None:
        assert Addresses(settings).of_peer(address) == counted_as


class TestTurnedAway:
    def test_may_stay_for_a_moment_unless_too_many_do(self) -> None:
        held = Connections(most=0)
        peers = [Peer() for _ in range(TURNED_AWAY)]
        assert all(held.may_linger(peer) for peer in peers)
        assert not held.may_linger(Peer())
        held.leave(peers[0])
        assert held.may_linger(Peer())


class TestTaking:
    def test_goes_on_for_many_in_one_turn_of_the_loop(self) -> None:
        """A turn is long under load, and who comes then must not wait for one turn for each who came before."""
        newcomers = 4 * server.ACCEPTED
        held = Connections()

        async def turns() -> int:
            made: Any = partial(Http, connections=held)
            config = uvicorn.Config(nothing, host="127.0.0.1", port=0, http=made, ws="none", lifespan="off")
            config.load()
            worker = server._Server(config)
            worker.lifespan = config.lifespan_class(config)
            await worker.startup()
            with ExitStack() as stack:
                listening = worker.servers[0].sockets[0].getsockname()
                for _ in range(newcomers):
                    stack.enter_context(socket.create_connection(listening))
                taken = 0
                while len(held) < newcomers and taken < newcomers:
                    await asyncio.sleep(0)
                    taken += 1
            await worker.shutdown()
            return taken

        assert uvloop.run(turns()) < newcomers / 4


class TestTelling:
    """What an operator sees of it."""

    def test_counts_why(self) -> None:
        held = Connections(most=3, most_of_one=2, counted_as=str)
        admitted(held, 2)
        admitted(held, 1, "192.0.2.2")
        for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
            assert not held.admit(Peer(), address, now=SPARED_IN / 2)
        assert held.turned_away == {"total": 1, "address": 2}

    def test_is_one_line_in_a_minute(self, caplog: pytest.LogCaptureFixture) -> None:
        held = Connections(most=0)
        with caplog.at_level(logging.WARNING, "jwtauth"):
            for now in (0, 1, TOLD_IN - 1, TOLD_IN, TOLD_IN + 1):
                held.admit(Peer(), "192.0.2.1", now=now)
        lines = [record.getMessage() for record in caplog.records]
        assert [line.partition(" since")[0] for line in lines] == [
            "connections turned away: 1",
            "connections turned away: 3",
        ]
        assert all("max_connections" in line for line in lines)


class TestRoom:
    """In a process of its own: a limit once lowered stays so."""

    @pytest.mark.parametrize(
        ("soft", "hard", "most", "room", "soft_after"),
        [
            pytest.param(1_024, 1_024, 100, 100, 1_024, id="enough"),
            pytest.param(256, 1_024, 500, 500, 500 + TURNED_AWAY + RESERVED, id="raised"),
            pytest.param(256, 1_024, 4_096, 1_024 - TURNED_AWAY - RESERVED, 1_024, id="raised as far as it goes"),
            pytest.param(64, 200, 4_096, 100, 200, id="never none"),
        ],
    )
    def test_is_what_the_system_has_file_descriptors_for(
        self, soft: int, hard: int, most: int, room: int, soft_after: int
    ) -> None:
        program = (
            "import resource\n"
            "from jwtauth.web import connections\n"
            f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
            f"print(connections.room({most}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        )
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert [int(number) for number in said.split()] == [room, soft_after]

    def test_of_few_connections_is_there_as_it_is(self) -> None:
        assert connections.room(1) == 1
