"""The whole comparison: each peer is installed, started, asked, proven and stopped before the next one starts."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import jwt
from msgspec import Struct
from msgspec.structs import replace

from bench import cores, report, rounds, server, wire
from bench.cores import Cores
from bench.folder import Folder
from bench.generators import Generators
from bench.load import LoadFailed, Replay
from bench.peers import installing, work, world
from bench.peers.catalogue import OURS, PEERS, Peer
from bench.peers.installing import NotInstalledError
from bench.peers.work import Introspect, Issue, Peered, Publish, RotateInTurn, RotateOnce
from bench.proof import JWKS
from bench.report import Machine, Row
from bench.rounds import Bench, Schedule
from bench.server import Server
from bench.workloads import ISSUE, Workload

_Prepared = tuple[Server, jwt.PyJWK | None, Sequence[str]]
"""A server that is not started, its key where that is known before, and its refresh tokens."""


class Found(Struct, frozen=True, kw_only=True):
    """What one peer did."""

    name: str
    version: str
    storage: str
    rows: tuple[Row, ...] = ()
    """Ratios to the floor; a work that it does not offer is missing."""
    idle: int | None = None
    loaded: int | None = None
    """Resident memory in bytes of its largest process: after the first token, and after all works."""
    problem: str = ""
    """Why rows are missing that it should have."""
    remarks: tuple[str, ...] = ()
    """In what it differs from the others."""


class Comparison(Struct, frozen=True, kw_only=True):
    """Everything that one run found."""

    machine: Machine
    rounds: int
    seconds: float
    """Of one measurement."""
    peers: tuple[Found, ...]

    @property
    def warnings(self) -> list[str]:
        """What to know before believing it."""
        rows = [replace(row, name=f"{found.name} {row.name}") for found in self.peers for row in found.rows]
        return report.warnings(self.machine, rows)


class Comparing:
    """One run. Everything that it starts ends with it."""

    def __init__(self, scratch: Path, runs: Path, schedule: Schedule, *, running: ExitStack) -> None:
        """Start the floor and the generators.

        Args:
            scratch: where peers are installed.
            runs: an empty folder; databases and logs are made there.
            schedule: how often and how long.
            running: ends what was started.
        """
        self._scratch = scratch
        self._runs = runs
        self._schedule = schedule
        self._cores: Cores = cores.share()
        floor = running.enter_context(server.floor(runs, self._cores.server))
        self._generators = running.enter_context(Generators(self._cores.generators))
        self._bench = Bench(self._generators, schedule, floor=floor)

    def run(self, names: Sequence[str]) -> Comparison:
        """Ours, then each peer of these names; all where none is named."""
        chosen = [peer for peer in (OURS, *PEERS) if not names or peer.name in names]
        return Comparison(
            machine=report.machine(pinned=self._cores.are_pinned),
            rounds=self._schedule.rounds,
            seconds=self._schedule.seconds,
            peers=tuple(self._found(peer) for peer in chosen),
        )

    def _found(self, peer: Peer) -> Found:
        """What a peer did until it was done or a problem ended it."""
        click.echo(f"{peer.name} {peer.version}", err=True)
        found = Found(name=peer.name, version=peer.version, storage=peer.storage, remarks=peer.remarks)
        rows: list[Row] = []
        try:
            with self._started(peer) as peered:
                found = replace(found, idle=peered.server.memory())
                rows.extend(self._rows(peered))
                found = replace(found, loaded=peered.server.memory())
        except NotInstalledError as problem:
            return replace(found, problem=f"not installed: {problem}")
        except (AssertionError, LoadFailed, jwt.PyJWTError, OSError, LookupError, ValueError) as problem:
            return replace(found, rows=tuple(rows), problem=f"failed: {problem or type(problem).__name__}")
        return replace(found, rows=tuple(rows))

    def _rows(self, peered: Peered) -> Iterator[Row]:
        peer = peered.peer
        yield self._row("W1 client_credentials", Issue(peered))
        yield self._row("W2 introspect", Introspect(peered, self._tokens(peered)))
        work.prove_rotation(peered)
        in_turn = RotateInTurn(peered) if peer.has_compact_json else None
        yield self._row("W3 refresh rotation", in_turn or RotateOnce(peered, seconds=self._schedule.seconds))
        for document in peer.documents:
            yield self._row(document.work, Publish(peered, document))

    def _row(self, name: str, workload: Workload) -> Row:
        click.echo(f"  {name} ...", err=True)
        return Row(name=name, measured=self._bench.against_floor(workload))

    def _tokens(self, peered: Peered) -> list[str]:
        """Live tokens to ask about; proven unless they are opaque."""
        requests = (work.issue(peered.peer, is_opaque=True).encode(),) * work.TOKENS
        plan = Replay(requests=requests, marker=peered.marker("access_token", '"'), is_once=True)
        timing = replace(rounds.ONCE, keep_every=1)
        bodies = self._generators.measure(peered.server.port, plan, timing).bodies
        found = [json.loads(body)["access_token"] for body in bodies]
        assert len(set(found)) == work.TOKENS, "a token was issued twice"
        return found

    @contextmanager
    def _started(self, peer: Peer) -> Iterator[Peered]:
        """The server of a peer, stopped by its process id at the end, also where it never answered."""
        with ExitStack() as ending:
            starting, key, tokens = self._ours() if peer is OURS else self._theirs(peer, ending)
            ending.callback(starting.stop)
            starting.start()
            yield Peered(peer, starting, key or _published_key(starting.port), tokens)

    def _ours(self) -> _Prepared:
        folder = self._runs / OURS.name
        made = Folder(folder, port=server.free_port())
        tokens = [token.decode("ascii") for token in made.start_grants(world.GRANTS)]
        return server.serve(folder, port=made.port, place=self._cores.server, readiness=ISSUE), None, tokens

    def _theirs(self, peer: Peer, ending: ExitStack) -> _Prepared:
        home = self._scratch / peer.name
        programs = installing.install(peer, home)
        # Node looks for packages beside the program, so that this runs where they are; the rest does not mind.
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(dir=home, prefix="run-")))
        shutil.copy(installing.HERE / "servers" / peer.server, folder)
        made = world.make(server.free_port(), refresh_token_bytes=peer.refresh_token_bytes)
        made.write(folder)
        command = [part.format(bin=programs, port=made.port) for part in peer.command]
        starting = Server(
            ["-m", "bench.peers.launch", str(folder), *command],
            port=made.port,
            log=folder / "server.log",
            place=self._cores.server,
            readiness=work.issue(peer),
        )
        return starting, made.public_key, made.refresh_tokens


def _published_key(port: int) -> jwt.PyJWK:
    """The ES256 key that a server signs with."""
    keys = jwt.PyJWKSet.from_json(wire.ask(port, JWKS).decode()).keys
    return next(key for key in keys if key.algorithm_name == "ES256")
