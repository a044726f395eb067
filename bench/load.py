"""Keeping connections busy from one process: as soon as an answer is there, its connection sends the next request.

The requests were made before. Of an answer only the status, the length and a marker are looked at, so that one core of
this saturates one core of any Python server; whether it does is said by `Outcome.busy`.
"""

import asyncio
import re
import time
from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final, cast

import uvloop
from msgspec import Struct

CONNECTIONS: Final = 32
"""Connections that one generator keeps busy. Two workers are asked by two generators, so that each has as many."""

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_REFRESH_TOKEN: Final = b'"refresh_token":"'
_PATIENCE_IN: Final = 10.0
"""So many seconds after its end a measurement has failed if answers are still missing."""


class Replay(Struct, frozen=True, kw_only=True, tag=True):
    """The same requests again and again."""

    requests: tuple[bytes, ...]
    marker: bytes
    """What every answer must contain."""
    is_once: bool = False
    """Each request is sent exactly once, and the measurement ends with the last answer."""


class Chain(Struct, frozen=True, kw_only=True, tag=True):
    """Refreshing: each request carries the refresh token of an earlier answer."""

    head: bytes
    """The request up to the refresh token, which ends it; all refresh tokens are equally long."""
    tokens: tuple[bytes, ...]
    """The valid refresh token of each grant."""
    marker: bytes


Plan = Replay | Chain


class Timing(Struct, frozen=True, kw_only=True):
    """How long to ask."""

    warm_up_in: float
    """Seconds before anything counts."""
    measure_in: float
    """Seconds that count."""
    keep_every: int = 997
    """One answer of so many is kept."""
    keep_first: int = 1
    """So many answers are kept in any case."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What one measurement saw."""

    requests: int
    """Answers, counted or not."""
    measured: int
    """Answers that counted."""
    seconds: float
    latencies: bytes
    """Of each answer that counted, in seconds: the bytes of an array of doubles, in the order of the answers."""
    bodies: tuple[bytes, ...]
    """The answers that were kept."""
    tokens: tuple[bytes, ...]
    """The refresh tokens that are valid now."""
    busy: float
    """The share of its core that the generator used: close to 1 means that it, not the server, was the limit."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.measured / self.seconds


class LoadFailed(Exception):
    """An answer was refused, wrong or missing; there is no figure."""


class _Requests:
    """What is sent next, shared by all connections of this process."""

    def __init__(self, plan: Plan, *, share: int, shares: int) -> None:
        self._head = plan.head if isinstance(plan, Chain) else b""
        self._is_chain = isinstance(plan, Chain)
        self._is_once = isinstance(plan, Replay) and plan.is_once
        items = plan.tokens if isinstance(plan, Chain) else plan.requests
        is_dealt_out = self._is_chain or self._is_once
        self.waiting = deque(items[share::shares] if is_dealt_out else items)
        self.waiting.rotate(0 if is_dealt_out else share * len(items) // shares)

    def next(self) -> bytes | None:
        """The next request, or None where all are sent."""
        if self._is_chain:
            return self._head + self.waiting.popleft()
        if self._is_once:
            return self.waiting.popleft() if self.waiting else None
        self.waiting.rotate(-1)
        return self.waiting[-1]

    def learn(self, body: bytes) -> None:
        """Take over the refresh token of an answer."""
        if self._is_chain:
            start = body.index(_REFRESH_TOKEN) + len(_REFRESH_TOKEN)
            self.waiting.append(body[start : body.index(b'"', start)])


class _Run:
    """One measurement in this process."""

    def __init__(self, plan: Plan, timing: Timing, requests: _Requests, *, connections: int) -> None:
        self.marker = plan.marker
        self.requests = requests
        self.latencies = array("d")
        self.bodies: list[bytes] = []
        self.answers = 0
        self.last_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timing = timing
        self._open = connections
        self.measure_from = time.perf_counter() + timing.warm_up_in
        self.until = self.measure_from + timing.measure_in

    def note(self, body: bytes, sent_at: float, now: float) -> None:
        """Count an answer."""
        self.answers += 1
        self.last_at = now
        if self.marker not in body:
            self.fail(f"an answer lacks {self.marker!r}: {body[:300]!r}")
        if self.measure_from <= now < self.until:
            self.latencies.append(now - sent_at)
        if self.answers <= self._timing.keep_first or self.answers % self._timing.keep_every == 0:
            self.bodies.append(body)
        self.requests.learn(body)

    def fail(self, problem: str) -> None:
        """End the measurement without a figure."""
        if not self.ended.done():
            self.ended.set_exception(LoadFailed(problem))

    def leave(self) -> None:
        """A connection is finished; the last one ends the measurement."""
        self._open -= 1
        if self._open == 0 and not self.ended.done():
            self.ended.set_result(None)


class _Connection(asyncio.Protocol):
    """One kept connection with one request under way."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = b""
        self._sent_at = 0.0
        self._is_finished = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but not by inheritance
        self._send(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head_end = received.find(_HEAD_END)
        length = _LENGTH.search(received, 0, head_end) if head_end >= 0 else None
        end = head_end + 4 + int(length[1]) if length else 0
        if head_end < 0 or len(received) < end:
            self._received = received
            return
        self._received = b""
        if received[9:10] != b"2" or len(received) != end:
            self._run.fail(f"an answer is not 2xx of the length that it states: {received[:300]!r}")
            self._finish()
            return
        now = time.perf_counter()
        self._run.note(received[head_end + 4 :], self._sent_at, now)
        if now < self._run.until:
            self._send(now)
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_finished:
            self._run.fail(f"the server closed a connection: {exc}")
            self._finish()

    def forget(self) -> None:
        """Whatever happens from now on, it is no failure."""
        self._is_finished = True

    def _send(self, now: float) -> None:
        request = self._run.requests.next()
        if request is None:
            self._finish()
            return
        self._sent_at = now
        assert self._transport is not None
        self._transport.write(request)

    def _finish(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            assert self._transport is not None
            self._transport.close()
            self._run.leave()


def measure(port: int, plan: Plan, timing: Timing, connections: int, share: int, shares: int) -> Outcome:
    """Ask the server on a port, as generator number `share` of `shares`, each with its part of the plan.

    Raises:
        LoadFailed: an answer was not 2xx, lacked the marker, or never came.
    """
    return uvloop.run(_measure(port, plan, timing, connections, _Requests(plan, share=share, shares=shares)))


async def _measure(port: int, plan: Plan, timing: Timing, connections: int, requests: _Requests) -> Outcome:
    loop = asyncio.get_running_loop()
    run = _Run(plan, timing, requests, connections=connections)
    loop.set_exception_handler(lambda _, context: run.fail(f"the generator failed: {context}"))
    began_at, cpu_began_at = time.perf_counter(), time.process_time()
    connected = await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(run), "127.0.0.1", port) for _ in range(connections))
    )
    try:
        async with asyncio.timeout(timing.warm_up_in + timing.measure_in + _PATIENCE_IN):
            await run.ended
    except TimeoutError:
        raise LoadFailed("answers are missing") from None
    finally:
        await _hang_up(connected)
    busy = (time.process_time() - cpu_began_at) / (time.perf_counter() - began_at)
    is_once = isinstance(plan, Replay) and plan.is_once
    if is_once and requests.waiting:
        raise LoadFailed(f"{len(requests.waiting)} requests were not sent within {timing.measure_in:.0f} s")
    return Outcome(
        requests=run.answers,
        measured=len(run.latencies),
        seconds=run.last_at - began_at if is_once else timing.measure_in,
        latencies=run.latencies.tobytes(),
        bodies=tuple(run.bodies),
        tokens=tuple(requests.waiting) if isinstance(plan, Chain) else (),
        busy=busy,
    )


async def _hang_up(connected: Sequence[tuple[asyncio.BaseTransport, _Connection]]) -> None:
    """Leave no connection behind, also where the measurement failed."""
    for transport, connection in connected:
        connection.forget()
        transport.close()
    await asyncio.sleep(0)
