"""The audit log: every decision as one line of JSON, written down for whoever asks later.

All workers and commands of a folder append to the same files, under a lock. A thread writes, so no request waits. How
each line vouches for the one before it is told in `jwtauth.observe.audit_chain`.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOSPC
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Final

from jwtauth.errors import ConfigurationError
from jwtauth.observe import audit_chain
from jwtauth.observe.events import Event
from jwtauth.observe.log import LOGGER

FILE_SIZE: Final = 64 * 1024 * 1024
"""A file that has grown to so many bytes is followed by the next one."""

BACKLOG: Final = 65_536
"""Most events that wait to be written; what comes beyond is lost, counted, and told of once there is room again."""

GATHER_IN: Final = 0.1
"""For so many seconds events gather before they are written: what a killed process loses at most. A thread that woke
for each would hold up the requests."""

SYNC_IN: Final = 1.0
"""How often lines are brought down to the disk: so many seconds of them are lost at most where the power fails."""

RETRY_IN: Final = 1.0
"""After so many seconds it is tried again where the files could not be written."""

LOST: Final = "audit.lost"


class AuditLog:
    """Appends events to the files of one folder."""

    def __init__(self, folder: Path, *, keep_in: int = 0) -> None:
        """Begin to write; the folder is made where it is missing.

        Args:
            folder: of the files.
            keep_in: for so many seconds a file is kept after its newest line; 0 is for ever.

        Raises:
            ConfigurationError: it cannot be made, or not be written to.
        """
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            with _locked(folder):
                pass
        except OSError as problem:
            raise ConfigurationError(
                f"audit log {folder} cannot be written: {problem.strerror}; correct the setting audit, or the owner"
            ) from None
        self._folder = folder
        self._keep_in = keep_in
        self._waiting: deque[Event] = deque()
        self._pending: list[Event] = []
        """What is being written, or could not be so far."""
        self.lost_altogether = 0
        """Events that nobody will read, since this process began: too many waited."""
        self._told_of = 0
        """How many of them a line tells of."""
        self._problem: str | None = None
        self._known: tuple[Path, int, str] | None = None
        """The newest file, its size and its last line's hash, as this process left them."""
        self._unsynced: Path | None = None
        self._synced_at = 0.0
        self._has_news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jwtauth-audit", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Of those that nobody will read, how many no line tells of yet."""
        return self.lost_altogether - self._told_of

    def hear(self, event: Event) -> None:
        """The listener: never waits."""
        if len(self._waiting) + len(self._pending) >= BACKLOG:
            self.lost_altogether += 1
            return
        self._waiting.append(event)
        if not self._has_news.is_set():
            self._has_news.set()

    def problem(self) -> str | None:
        """Why the last lines could not be written; None where they could."""
        return self._problem

    def close(self) -> None:
        """Write what waits, down to the disk."""
        self._closing.set()
        self._has_news.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing.is_set():
            if self._has_news.wait(SYNC_IN if self._unsynced else None):
                self._closing.wait(GATHER_IN)
                self._has_news.clear()
                while not self._append() and not self._closing.wait(RETRY_IN):
                    pass
            self._sync()
        self._append()
        self._sync(is_last=True)

    def _append(self) -> bool:
        """Write everything that waits; whether that went well."""
        self._pending += [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not self._pending:
            return True
        try:
            with _locked(self._folder):
                self._write()
        except OSError as problem:
            if self._problem is None:
                LOGGER.error("the audit log cannot be written, its lines wait: %s", problem.strerror)
            self._problem = problem.strerror or "it cannot be written"
            self._known = None
            return False
        self._problem = None
        self._pending.clear()
        return True

    def _write(self) -> None:
        path, size, previous = self._end()
        lost = self.lost
        told = [Event(name=LOST, at=self._pending[0].at, reason=f"{lost} events were not written")] if lost else []
        lines = bytearray()
        for event in [*told, *self._pending]:
            line = audit_chain.line_of(event, previous)
            previous = audit_chain.digest(line)
            lines += line + b"\n"
        _add(path, size, lines)
        if self._keep_in and not size:
            self._remove_before(self._pending[-1].at - self._keep_in, path)
        self._told_of += lost
        self._known = (path, size + len(lines), previous)
        self._unsynced = path

    def _remove_before(self, instant: int, begun: Path) -> None:
        """Remove old files, the oldest first, so that what is left is a chain; the next new file tries it again."""
        with suppress(OSError):
            for path in audit_chain.files(self._folder):
                if path == begun or audit_chain.newest_at(path) >= instant:
                    return
                path.unlink()
                LOGGER.info("audit log: %s was removed, its newest line is older than audit_keep_in", path.name)

    def _sync(self, *, is_last: bool = False) -> None:
        if self._unsynced is None or (time.monotonic() - self._synced_at < SYNC_IN and not is_last):
            return
        with suppress(OSError), self._unsynced.open("rb") as file:  # a full disk says so at the next line
            os.fsync(file.fileno())
        self._unsynced, self._synced_at = None, time.monotonic()

    def _end(self) -> tuple[Path, int, str]:
        """Where the next line goes, and the hash that it names."""
        found = self._newest()
        if found[1] >= FILE_SIZE:
            number = int(found[0].stem) + 1
            return self._folder / f"{number:06}.jsonl", 0, found[2]
        return found

    def _newest(self) -> tuple[Path, int, str]:
        if self._known is not None and self._is_still_the_end(*self._known):
            return self._known
        paths = audit_chain.files(self._folder)
        if not paths:
            return self._folder / audit_chain.FIRST, 0, ""
        return paths[-1], _mended_size(paths[-1]), audit_chain.last_hash(paths)

    def _is_still_the_end(self, path: Path, size: int, _: str) -> bool:
        following = self._folder / f"{int(path.stem) + 1:06}.jsonl"
        return path.exists() and path.stat().st_size == size and not following.exists()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time, of all workers and commands."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _mended_size(path: Path) -> int:
    """The size of the newest file once its last line is whole: one that a crash cut off gets its end."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
                return size + 1
        return size


def _add(path: Path, size: int, lines: bytearray) -> None:
    """Append lines to a file of that size: all of them or, where the disk is full, none.

    Raises:
        OSError: they could not be written.
    """
    with open(path, "ab", buffering=0, opener=_private) as file:
        try:
            if file.write(lines) != len(lines):
                raise OSError(ENOSPC, "No space left on device")
        except OSError:
            file.truncate(size)
            raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
