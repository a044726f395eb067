"""What is measured, as processes of their own on cores of their own; each is stopped by its process id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench import cores, wire
from bench.wire import Message

START_WITHIN_IN: Final = 60.0
STOP_WITHIN_IN: Final = 40.0
POLL_IN: Final = 0.002
"""How often a starting server is asked, in seconds: the error of a start time."""


class Server:
    """A process that answers HTTP on 127.0.0.1."""

    def __init__(
        self, arguments: Sequence[str], *, port: int, log: Path, place: frozenset[int], readiness: Message
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            arguments: what follows `python`.
            port: where it listens.
            log: the file that takes what it prints.
            place: the cores that it keeps to; empty for all.
            readiness: the request that it must answer to count as started.
        """
        self.port = port
        self.started_in = 0.0
        """From the start of the process to the first answer, in seconds."""
        self._arguments = [sys.executable, *arguments]
        self._log = log
        self._place = place
        self._readiness = readiness
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; of the supervisor where there are several workers."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start and wait for the first answer.

        Raises:
            AssertionError: it ended, or did not answer in time; the message holds its log.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JWTAUTH_")}
        began_at = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stdout=log, stderr=log, env=environment)
        try:
            cores.pin(self.pid, self._place)
            self._wait(began_at)
        except BaseException:
            self.stop()
            raise
        self.started_in = time.perf_counter() - began_at
        return self

    def stop(self) -> None:
        """SIGTERM, then wait; SIGKILL where that takes too long."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=STOP_WITHIN_IN)
        finally:
            self._process.kill()
            self._process.wait()

    def memory(self) -> int | None:
        """The resident memory in bytes of the process or, if it has workers, of the largest of all; None where the
        system does not say. What processes share counts for each."""
        if not Path(f"/proc/{self.pid}/status").exists():
            return None
        return max(_resident(pid) for pid in _family(self.pid))

    def computed(self) -> float | None:
        """Seconds that the process and its workers have computed so far, or None where the system does not say."""
        if not Path(f"/proc/{self.pid}/schedstat").exists():
            return None
        return sum(_computed(pid) for pid in _family(self.pid))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, began_at: float) -> None:
        assert self._process is not None
        while not self._answers():
            is_waiting = self._process.poll() is None and time.perf_counter() < began_at + START_WITHIN_IN
            assert is_waiting, f"the server did not start:\n{self._log.read_text()}"
            time.sleep(POLL_IN)

    def _answers(self) -> bool:
        try:
            wire.ask(self.port, self._readiness)
        except OSError:
            return False
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self._log.read_text()}") from None
        return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def floor(folder: Path, place: frozenset[int]) -> Server:
    """The floor; `folder` takes its log."""
    port = free_port()
    return Server(
        ["-m", "bench.floor", "--port", str(port)],
        port=port,
        log=folder / "floor.log",
        place=place,
        readiness=wire.post("/", grant_type="none"),
    )


def serve(folder: Path, *, port: int, place: frozenset[int], readiness: Message, workers: int = 1) -> Server:
    """`jwtauth serve` on an initialised folder, as users start it."""
    arguments = ["-m", "jwtauth", "--folder", str(folder), "serve", "--port", str(port), "--workers", str(workers)]
    return Server(arguments, port=port, log=folder / "server.log", place=place, readiness=readiness)


def dev(folder: Path, *, port: int, place: frozenset[int], readiness: Message) -> Server:
    """`jwtauth dev` on an empty folder."""
    arguments = ["-m", "jwtauth", "--folder", str(folder), "dev", "--port", str(port)]
    return Server(arguments, port=port, log=folder.with_suffix(".log"), place=place, readiness=readiness)


def _computed(pid: int) -> float:
    """Of all threads, in seconds; the system counts nanoseconds."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _resident(pid: int) -> int:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) * 1024


def _family(pid: int) -> Iterator[int]:
    """A process, and all that it and they have started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))
