"""A live server: the command `jwtauth serve` in a process of its own, real HTTP, stopped by its process id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support import plain

START_WITHIN = 15.0
_NOTHING: Mapping[str, str] = {}


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
        environment: Mapping[str, str] = _NOTHING,
    ) -> None:
        self.path = path
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = path / "server.log"
        self._workers = workers
        self._command = command
        self._options = options
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start and wait until requests are answered."""
        arguments = [sys.executable, "-m", "jwtauth", "--folder", str(self.path), self._command]
        arguments += ["--port", str(self.port), *self._options]
        if self._command == "serve":
            arguments += ["--workers", str(self._workers)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JWTAUTH_")}
        environment.update(self._environment)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environment, cwd=self.path)
        if not wait_for(f"{self.url}/readyz", self._process):
            raise AssertionError(f"the server did not start:\n{self.log.read_text()}")
        return self

    @property
    def pid(self) -> int:
        """The process id; of the supervisor where there are several workers."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """SIGTERM, then wait; returns the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=40)
        finally:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """SIGKILL the server and all its workers at once."""
        assert self._process is not None
        for pid in [*_children(self._process.pid), self._process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether the URL answers 200 before the process ends or START_WITHIN passes."""
    deadline = time.monotonic() + START_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if plain.get(url, timeout=2).status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.02)
    return False


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []
