"""Running the application: one process, or a supervisor with several workers (uvicorn)."""

import asyncio
import gc
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any, Final

import uvicorn
from msgspec.structs import replace
from uvicorn.supervisors import Multiprocess

from jwtauth import settings
from jwtauth.errors import ConfigurationError
from jwtauth.issuer import assembly
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe import log, worker_files
from jwtauth.observe.metrics import CONNECTIONS_LIMIT
from jwtauth.observe.worker_files import WorkerFiles
from jwtauth.settings import FOLDER_VARIABLE, METRICS_VARIABLE, Settings, Source
from jwtauth.web import app, connections
from jwtauth.web.addresses import Addresses
from jwtauth.web.connections import Connections
from jwtauth.web.http import Http
from jwtauth.web.types import ASGIApp

GRACE_IN: Final = 30
"""For so many seconds a stopping worker finishes the requests that it has begun."""

KEEP_ALIVE_IN: Final = 75
"""An idle connection is closed after so many seconds."""

BACKLOG: Final = 2_048
"""Connections that the system holds until a worker takes them."""

ACCEPTED: Final = 16
"""Connections that a worker takes in one turn of its event loop, each by a listening socket of its own: libuv takes one
for each. Turns become long under load, and newcomers would wait behind everybody who came before them."""

GC_THRESHOLD: Final = 20_000
"""New objects between two looks for garbage cycles; requests make hardly any, reference counts free the rest."""

LEAVE_IN: Final = 1.0
"""A worker that stops while others go on still takes a request on a connection that was idle, for so many seconds: one
may be on its way, and few clients send a POST again."""

READY_IN: Final = 30
"""A worker that does not begin within so many seconds, or does not answer its supervisor, has failed."""

Announce = Callable[[Issuer], Awaitable[None]]

Read = Callable[[], tuple[Source, Sequence[str]]]
"""Reads the settings, and what there is to warn of; raises ConfigurationError where nobody could serve with them."""


def run(read: Read) -> None:
    """Serve until SIGTERM or SIGINT; requests that had begun are finished. Warnings are logged once all is well else.

    With several workers SIGHUP calls `read` again and replaces them, one after another; with one it is a SIGTERM.

    Raises:
        ConfigurationError: keys or database are missing or unsafe; raised before anything listens.
    """
    source, warnings = read()
    if source.settings.workers == 1:

        async def announce(_: Issuer) -> None:
            _greet(source, warnings)

        signal.signal(signal.SIGHUP, lambda _, __: signal.raise_signal(signal.SIGTERM))
        run_here(source, announce)
        return
    log.configure(source.settings.log_format)
    _prove(source)
    with worker_files.folder() as shared:
        os.environ[METRICS_VARIABLE] = str(shared)
        _supervise(source, warnings, read, shared)


def _prove(source: Source) -> None:
    """Let a worker begin, as far as that can be tried without listening, and tell the next ones of their settings.

    Raises:
        ConfigurationError: it could not.
    """
    assembly.open_issuer(source).close()
    if source.settings.tracing:
        app.tracing()
    os.environ[FOLDER_VARIABLE] = str(source.folder)
    os.environ.update(settings.to_environment(source.settings))


def _supervise(source: Source, warnings: Sequence[str], read: Read, shared: Path) -> None:
    """Run the workers until told to stop, all of them listening on the same sockets.

    Raises:
        ConfigurationError: somebody else listens there.
    """
    config = _config(source)
    try:
        listening = config.bind_socket()
    except SystemExit:  # uvicorn's way of saying that it could not
        raise _cannot_listen(source) from None
    _greet(source, warnings)
    _Workers(source, read, [listening, *(listening.dup() for _ in range(ACCEPTED - 1))], shared).run()


def _config(source: Source) -> uvicorn.Config:
    """Of the supervisor and its workers."""
    return uvicorn.Config(
        "jwtauth.web.server:worker", factory=True, workers=source.settings.workers, **_options(source)
    )


def run_here(source: Source, announce: Announce | None = None) -> None:
    """Serve in this very process; `announce` is awaited once requests are answered.

    Raises:
        ConfigurationError: keys or database are missing or unsafe; raised before anything listens.
    """
    log.configure(source.settings.log_format)
    issuer = assembly.open_issuer(source)
    _measure(issuer, source)
    server = _Server(uvicorn.Config(app.create(issuer), **_options(source)))
    _settle()
    if announce is not None:
        server.announce = partial(announce, issuer)
    with suppress(SystemExit):  # uvicorn's way of saying that it could not listen
        server.run()
    if not server.started:
        raise _cannot_listen(source)


def _cannot_listen(source: Source) -> ConfigurationError:
    return ConfigurationError(
        f"cannot listen on {source.settings.host}:{source.settings.port}; stop what listens there or name another"
        " port with --port"
    )


def worker() -> ASGIApp:
    """The application of one worker process, as uvicorn asks for it."""
    Thread(target=_end_with_the_supervisor, daemon=True).start()
    source = settings.load(Path(os.environ[FOLDER_VARIABLE]))
    log.configure(source.settings.log_format)
    files = WorkerFiles(Path(os.environ[METRICS_VARIABLE]))
    issuer = assembly.open_issuer(source)
    _measure(issuer, source)
    application = app.create(issuer, files=files)
    _settle()
    return application


def _end_with_the_supervisor() -> None:
    """Stop in order once the supervisor is gone: it may have been unable to say so, and the next one needs the port.

    By SIGINT, which nothing delays: after SIGTERM the door may stay open for a while (setting drain_in).
    """
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    supervisor.join()
    log.LOGGER.warning("the supervisor is gone; this worker finishes what it has begun and ends")
    os.kill(os.getpid(), signal.SIGINT)


class _Workers(Multiprocess):
    """Keeps the workers alive, counts those that died, and replaces them all when told to."""

    def __init__(self, source: Source, read: Read, sockets: list[socket], shared: Path) -> None:
        super().__init__(_config(source), sockets)
        self._source = source
        self._read = read
        self._shared = shared
        self._deaths = 0
        for stop in (signal.SIGTERM, signal.SIGINT):  # at once, also in the middle of a reload
            signal.signal(stop, lambda _, __: self.should_exit.set())

    def handle_hup(self) -> None:
        """Replace each worker by one with the settings of now; each goes only when its successor answers.

        Where the new settings would not do, everything stays as it is.
        """
        try:
            source, warnings = self._read()
            source = replace(source, settings=self._with_what_stays(source.settings))
            _prove(source)
        except ConfigurationError as problem:
            log.LOGGER.error("not reloaded, the workers go on as they were: %s", problem)
            return
        except Exception:  # such as a database that cannot be read: without a supervisor nothing would stop them
            log.LOGGER.exception("not reloaded, the workers go on as they were")
            return
        self._source, self.config = source, _config(source)
        _greet(source, warnings)
        super().handle_hup()

    def _with_what_stays(self, read: Settings) -> Settings:
        """What listens already, and how many workers there are, stays until the next start."""
        now = self._source.settings
        return replace(read, host=now.host, port=now.port, workers=now.workers)

    def keep_subprocess_alive(self) -> None:
        """Replace whoever died or hangs."""
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        died = len(before - {process.pid for process in self.processes})
        if not died:
            return
        self._deaths += died
        try:
            worker_files.note_deaths(self._shared, self._deaths)
        except OSError as problem:
            log.LOGGER.error("that a worker died cannot be counted: %s", problem.strerror)


class _Server(uvicorn.Server):
    """Listens several times over, and says when requests are answered."""

    announce: Callable[[], Awaitable[None]] | None = None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await self._listen_more()
        if self.started and self.announce is not None:
            await self.announce()

    async def _listen_more(self) -> None:
        """Take more connections in a turn, from the same queues."""
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        protocol = partial(make, config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        listening = [each.fileno() for server in self.servers for each in server.sockets]
        for number in listening * (ACCEPTED - 1):
            again = socket(fileno=os.dup(number))
            server = await asyncio.get_running_loop().create_server(protocol, sock=again, backlog=BACKLOG)
            self.servers.append(server)


def _greet(source: Source, warnings: Sequence[str]) -> None:
    for warning in warnings:
        log.LOGGER.warning("%s", warning)
    chosen = source.settings
    log.LOGGER.info("serving %s at %s:%d, workers: %d", chosen.issuer, chosen.host, chosen.port, chosen.workers)


def _measure(issuer: Issuer, source: Source) -> None:
    """Let the metrics ask how many connections this process may hold."""
    most = connections.room(source.settings.max_connections)
    issuer.metrics.watch(CONNECTIONS_LIMIT, lambda: most)


def _settle() -> None:
    """Spare the garbage collector what lives as long as the process: it would look at all of it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _connections(source: Source) -> Connections:
    """The bounds of connections in each worker, as far as the system has file descriptors for them."""
    wanted = source.settings.max_connections
    most = connections.room(wanted)
    if most < wanted:
        log.LOGGER.warning(
            "a worker holds at most %d connections instead of %d: the system lets a process open no more files; raise"
            " its limit (ulimit -n, LimitNOFILE=) or lower the setting max_connections",
            most,
            wanted,
        )
    return Connections(
        most=most,
        most_of_one=source.settings.max_connections_per_address,
        counted_as=Addresses(source.settings).of_peer,
    )


def _options(source: Source) -> dict[str, Any]:
    return {
        "host": source.settings.host,
        "port": source.settings.port,
        "loop": "uvloop",
        "http": partial(
            Http, connections=_connections(source), leave_in=LEAVE_IN if source.settings.workers > 1 else 0.0
        ),
        "ws": "none",
        "lifespan": "on",
        "backlog": BACKLOG,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "log_config": None,
        "timeout_keep_alive": KEEP_ALIVE_IN,
        "timeout_graceful_shutdown": GRACE_IN,
        "timeout_worker_healthcheck": READY_IN,
    }
