"""A live server: the command `jwtauth serve` in a process of its own, real HTTP, stopped by its process id.

The process is forked from one that has imported everything (tests/support/forking.py). Tests that are about starting
say `is_forked=False` and get `python -m jwtauth serve`.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from tests.support import forking, leaks, plain
from tests.support.forking import NOTHING, Command

START_WITHIN: Final = 60.0
"""Seconds; a machine with other work needs many, and nobody waits for them where it has none."""

STOP_WITHIN: Final = 60.0
"""Longer than the server gives the requests that it has begun."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LiveServer:
    """`jwtauth serve` on a folder. The issuer is its own address unless the folder's settings name another."""

    def __init__(
        self,
        path: Path,
        *,
        workers: int = 1,
        port: int | None = None,
        command: str = "serve",
        options: Sequence[str] = (),
        environment: Mapping[str, str] = NOTHING,
        is_forked: bool = True,
    ) -> None:
        self.path = path
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = path / "server.log"
        self._workers = workers
        self._command = command
        self._options = options
        self._environment = environment
        self._is_forked = is_forked
        self._process: ForkServerProcess | None = None

    def start(self) -> Self:
        """Start and wait until requests are answered."""
        arguments = ["--folder", str(self.path), self._command, "--port", str(self.port), *self._options]
        if self._command == "serve":
            arguments += ["--workers", str(self._workers)]
        command = Command(
            arguments=arguments,
            folder=self.path,
            output=self.log,
            errors=self.log,
            environment=self._environment,
            is_forked=self._is_forked,
        )
        process = self._process = forking.start(command)
        if not wait_for(f"{self.url}/readyz", process.is_alive):
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.log.read_text()}")
        return self

    @property
    def pid(self) -> int:
        """The process id; of the supervisor where there are several workers."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def stop(self) -> int:
        """SIGTERM, then wait; returns the exit status."""
        assert self._process is not None
        metrics = self._metrics()
        self._process.terminate()
        self._process.join(STOP_WITHIN)
        if self._process.exitcode is None:
            self.kill()
            raise AssertionError(f"the server did not stop:\n{self.log.read_text()}")
        leaked = leaks.found_in(self.path, leaks.used(self.port), metrics=metrics)
        assert leaked == [], leaked
        return self._process.exitcode

    def wait(self) -> int:
        """Until it has ended by itself; returns the exit status."""
        assert self._process is not None
        self._process.join(STOP_WITHIN)
        assert self._process.exitcode is not None, self.log.read_text()
        return self._process.exitcode

    def _metrics(self) -> str:
        """What it counts, unless it is gone already."""
        try:
            return plain.get(f"{self.url}/metrics", timeout=START_WITHIN).text
        except httpx.TransportError:
            return ""

    def kill(self) -> None:
        """SIGKILL the server and all its workers at once."""
        assert self._process is not None
        for pid in _children(self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def wait_for(url: str, is_running: Callable[[], bool]) -> bool:
    """Whether the URL answers 200 before what serves it ends or START_WITHIN passes."""
    deadline = time.monotonic() + START_WITHIN
    while is_running() and time.monotonic() < deadline:
        try:
            if plain.get(url, timeout=2).status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.02)
    return False


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended, or this system has no such file
        return []
