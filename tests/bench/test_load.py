"""A figure is made of right answers only: whatever else a server does ends the measurement without one."""

import itertools
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from bench import load
from bench.load import Chain, LoadFailed, Outcome, Plan, Replay, Timing

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
GOOD = HEAD + b"right"
SHORT = Timing(warm_up_in=0.0, measure_in=0.05)
ASK = Replay(requests=(b"GET / HTTP/1.1\r\n\r\n",), marker=b"right")

Answer = Callable[[bytes], bytes]
Ask = Callable[..., Outcome]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Measure a server that answers as the test says; an empty answer closes the connection."""
    with ExitStack() as running:

        def measure(answer: Answer, plan: Plan = ASK, timing: Timing = SHORT) -> Outcome:
            class Handler(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    with suppress(ConnectionError):
                        while (asked := self.request.recv(65_536)) and (told := answer(asked)):
                            self.request.sendall(told)

            server = running.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return load.measure(server.server_address[1], plan, timing, 2, 0, 1)

        yield measure


class TestAMeasurement:
    def test_counts_right_answers(self, ask: Ask) -> None:
        found = ask(lambda _: GOOD)
        assert found.measured == len(found.latencies) / 8 > 0
        assert found.bodies[0] == b"right"

    @pytest.mark.parametrize("status", [b"100", b"301", b"400", b"401", b"404", b"429", b"500", b"503"])
    def test_fails_on_anything_but_2xx(self, ask: Ask, status: bytes) -> None:
        with pytest.raises(LoadFailed, match="not 2xx"):
            ask(lambda _: GOOD.replace(b"200", status))

    def test_fails_on_one_wrong_answer_among_many(self, ask: Ask) -> None:
        numbers = itertools.count()
        with pytest.raises(LoadFailed, match="not 2xx"):
            ask(lambda _: GOOD.replace(b"200", b"503") if next(numbers) == 20 else GOOD)

    def test_fails_on_an_answer_without_what_it_must_contain(self, ask: Ask) -> None:
        with pytest.raises(LoadFailed, match="lacks b'right'"):
            ask(lambda _: HEAD + b"wrong")

    @pytest.mark.parametrize("told", [GOOD + b"!", b"HTTP/1.1 200 OK\r\n\r\nright"], ids=["longer", "without a length"])
    def test_fails_on_an_answer_of_another_length_than_it_states(self, ask: Ask, told: bytes) -> None:
        with pytest.raises(LoadFailed, match="of the length"):
            ask(lambda _: told)

    def test_fails_where_a_connection_is_closed(self, ask: Ask) -> None:
        with pytest.raises(LoadFailed, match="closed a connection"):
            ask(lambda _: b"")


class TestAskingOnce:
    ONCE = Replay(
        requests=tuple(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(50)), marker=b"right", is_once=True
    )

    def test_sends_each_request_exactly_once(self, ask: Ask) -> None:
        asked: list[bytes] = []

        def note(request: bytes) -> bytes:
            asked.append(request)
            return GOOD

        found = ask(note, self.ONCE, Timing(warm_up_in=0.0, measure_in=10.0))
        assert sorted(asked) == sorted(self.ONCE.requests)
        assert found.requests == found.measured == 50

    def test_fails_where_time_is_up_before_all_are_sent(self, ask: Ask) -> None:
        with pytest.raises(LoadFailed, match="48 requests were not sent"):
            ask(lambda _: GOOD, self.ONCE, Timing(warm_up_in=0.0, measure_in=0.0))


class TestRefreshing:
    def test_asks_with_the_token_of_the_answer_before(self, ask: Ask) -> None:
        """The server insists on it: each of its tokens is good once."""
        live = {b"token-%06d" % number for number in range(4)}
        chain = Chain(head=b"POST / HTTP/1.1\r\n\r\n", tokens=tuple(live), marker=b"token")
        numbers = itertools.count(len(live))

        def rotate(request: bytes) -> bytes:
            token = request.rpartition(b"\n")[2]
            if token not in live:
                return b""
            live.remove(token)
            successor = b"token-%06d" % next(numbers)
            live.add(successor)
            return b'HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n{"refresh_token":"%s"}' % successor

        found = ask(rotate, chain)
        assert found.requests > len(chain.tokens)
        assert set(found.tokens) == live
