"""The processes of a live server, and holding all of them still."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.live import LiveServer

WITHIN: Final = 20.0


def family(server: LiveServer) -> list[int]:
    """The server's process and those that it started; nobody where it is gone."""
    path = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    return [server.pid, *(int(child) for child in path.read_text().split())] if path.exists() else []


@contextmanager
def halted(server: LiveServer) -> Iterator[None]:
    """While none of its processes runs."""
    pids = family(server)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + WITHIN
    while not all(_is_stopped(thread) for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline, "a process cannot be halted"
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _is_stopped(thread: Path) -> bool:
    return (thread / "stat").read_text().rpartition(") ")[2].startswith("T")
