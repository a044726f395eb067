"""How long it takes to start, with an initialised folder and from nothing."""

import compileall
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import jwtauth
from bench import rounds, server, wire
from bench.folder import Folder
from bench.rounds import Spread
from bench.workloads import ISSUE

STARTS: Final = 5
"""How often each start is timed."""

_DEV_TOKEN: Final = wire.post(
    "/oauth/token", authorization=wire.basic("demo-service", "demo-secret"), grant_type="client_credentials"
)


def serve_in(folder: Folder, place: frozenset[int]) -> Spread:
    """Seconds from the start of `jwtauth serve` to its first token."""
    return rounds.spread(all_in([folder], place)[0])


def all_in(folders: Sequence[Folder], place: frozenset[int]) -> list[list[float]]:
    """The same for several folders, which take turns: the starts of each."""
    return [list(starts) for starts in zip(*(_each_in(folders, place) for _ in range(STARTS)), strict=True)]


def dev_in(parent: Path, place: frozenset[int]) -> Spread:
    """Seconds from the start of `jwtauth dev` in an empty folder to its first token."""
    return rounds.spread([_dev(parent / f"dev-{number}", place) for number in range(STARTS)])


def _each_in(folders: Sequence[Folder], place: frozenset[int]) -> list[float]:
    return [_start(server.serve(folder.path, port=folder.port, place=place, readiness=ISSUE)) for folder in folders]


def _dev(folder: Path, place: frozenset[int]) -> float:
    folder.mkdir()
    return _start(server.dev(folder, port=server.free_port(), place=place, readiness=_DEV_TOKEN))


@cache
def _install() -> None:
    """Leave the code as an installation does: compiled, also where this environment keeps Python from writing that."""
    compileall.compile_dir(Path(jwtauth.__file__).parent, quiet=2)


def _start(starting: server.Server) -> float:
    _install()
    with starting as started:
        return started.started_in
