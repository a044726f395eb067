"""The numbers of all workers of a service together: each writes its own into a file, whoever is asked adds them up.

A file per worker, replaced as a whole, costs nothing while requests are counted. A lock that each worker holds for as
long as it lives says who is alive, also where it was killed: what a dead one counted still counts, but it waits for
nothing and holds no connection any more. A worker that begins adds the files of the dead into one, so that they do not
become many where workers die again and again.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jwtauth.observe import metrics
from jwtauth.observe.metrics import Snapshot

_NUMBERS: Final = ".numbers"
_ALIVE: Final = ".alive"
_LOCK: Final = "lock"
_ENDED: Final = "ended"
"""Holds the sum of the dead."""
_SUPERVISOR: Final = "supervisor"
_DEATHS: Final = "deaths"
"""How many workers died, as the supervisor says."""
_PREFIX: Final = "jwtauth-"


@contextmanager
def folder() -> Iterator[Path]:
    """A private folder for the workers of one service, which is there for as long as their supervisor.

    What supervisors left that were killed is cleared away by the next one.

    Raises:
        OSError: it cannot be made.
    """
    for path in Path(gettempdir()).glob(f"{_PREFIX}*"):
        if _is_left(path):
            shutil.rmtree(path, ignore_errors=True)
    with TemporaryDirectory(prefix=_PREFIX) as name:
        made, unmarked = Path(name, f"{_SUPERVISOR}{_ALIVE}"), Path(name, _SUPERVISOR)
        with unmarked.open("wb") as file:
            flock(file, LOCK_EX)
            unmarked.rename(made)  # only now, so that nobody finds it without its lock
            yield Path(name)


def note_deaths(shared: Path, deaths: int) -> None:
    """Let the workers know how many of them have died so far and were replaced.

    Raises:
        OSError: it could not be written.
    """
    _replace(shared / _DEATHS, b"%d" % deaths)


def _is_left(path: Path) -> bool:
    """Whether a folder is one of ours, and nobody lives who uses it."""
    with suppress(OSError):
        is_ours = not path.is_symlink() and path.stat().st_uid == os.geteuid()
        marks = list(path.glob(f"*{_ALIVE}")) if is_ours else []
        return path / f"{_SUPERVISOR}{_ALIVE}" in marks and not any(map(_is_locked, marks))
    return False


def _is_locked(path: Path) -> bool:
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            flock(file, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Ended(Struct, frozen=True, kw_only=True):
    """What workers that are no more had counted, and which ones: files of theirs that are still there do not count."""

    names: tuple[str, ...] = ()
    sum: Snapshot = Snapshot()


class WorkerFiles:
    """One worker's place in the folder that it shares with the others."""

    def __init__(self, shared: Path) -> None:
        """Begin to be alive.

        Raises:
            OSError: the folder cannot be used.
        """
        self._folder = shared
        self._name = secrets.token_hex(8)
        self._last = b""
        with self._locked(LOCK_EX):
            self._alive = os.open(self._path(_ALIVE), os.O_RDWR | os.O_CREAT, 0o600)
            flock(self._alive, LOCK_EX)
            self._add_up_the_dead()

    def write(self, snapshot: Snapshot) -> None:
        """Tell the others this worker's numbers; nothing happens where they are those that were told last.

        Raises:
            OSError: the file could not be written.
        """
        encoded = msgspec.msgpack.encode(snapshot)
        if encoded != self._last:
            _replace(self._path(_NUMBERS), encoded)
            self._last = encoded

    def read(self) -> list[Snapshot]:
        """The numbers that each worker told last, this one included; gauges and process ids only of those alive.

        And how many have died.

        Raises:
            OSError: a file could not be read.
        """
        with self._locked(LOCK_SH):
            ended = self._ended()
            found = [(name, self._numbers(name)) for name in self._names() if name not in ended.names]
            deaths = Snapshot(counters={metrics.WORKER_DEATHS: {(): self._deaths()}})
            return [ended.sum, deaths, *(one if self._is_alive(name) else _without_gauges(one) for name, one in found)]

    def close(self) -> None:
        """Be alive no more; what was told last goes on to count."""
        os.close(self._alive)

    def _add_up_the_dead(self) -> None:
        ended = self._ended()
        dead = [name for name in self._names() if not self._is_alive(name)]
        fresh = [_without_gauges(self._numbers(name)) for name in dead if name not in ended.names]
        # The names go first into the sum and then away: whoever is killed in between leaves nothing that counts twice.
        _replace(
            self._folder / _ENDED,
            msgspec.msgpack.encode(Ended(names=tuple(dead), sum=metrics.together([ended.sum, *fresh]))),
        )
        for name in dead:
            for ending in (_NUMBERS, _ALIVE):
                self._path(ending, name).unlink(missing_ok=True)

    def _ended(self) -> Ended:
        try:
            return _ENDED_DECODER.decode((self._folder / _ENDED).read_bytes())
        except FileNotFoundError:
            return Ended()

    def _names(self) -> list[str]:
        found = (path.name.removesuffix(_ALIVE) for path in self._folder.glob(f"*{_ALIVE}"))
        return sorted(name for name in found if name != _SUPERVISOR)

    def _numbers(self, name: str) -> Snapshot:
        try:
            return _DECODER.decode(self._path(_NUMBERS, name).read_bytes())
        except FileNotFoundError:  # it has not counted anything yet
            return Snapshot()

    def _deaths(self) -> int:
        try:
            return int((self._folder / _DEATHS).read_bytes())
        except FileNotFoundError:
            return 0

    def _is_alive(self, name: str) -> bool:
        return name == self._name or _is_locked(self._path(_ALIVE, name))

    def _path(self, ending: str, name: str = "") -> Path:
        return self._folder / f"{name or self._name}{ending}"

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Nobody reads, or begins, while files are added up."""
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


def _without_gauges(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, gauges={}, pid=0)


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


_DECODER: Final = msgspec.msgpack.Decoder(Snapshot)
_ENDED_DECODER: Final = msgspec.msgpack.Decoder(Ended)
