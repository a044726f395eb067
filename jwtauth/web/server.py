"""Running the application: one process, or a supervisor with several workers (uvicorn)."""

import gc
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any, Final

import uvicorn
from litestar.types import ASGIApp

from jwtauth import settings
from jwtauth.errors import ConfigurationError
from jwtauth.issuer import assembly
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe import log
from jwtauth.settings import FOLDER_VARIABLE, Source
from jwtauth.web import app
from jwtauth.web.http import Http

GRACE_IN: Final = 30
"""For so many seconds a stopping worker finishes the requests that it has begun."""

KEEP_ALIVE_IN: Final = 75
"""An idle connection is closed after so many seconds."""

BACKLOG: Final = 2_048
"""Connections that the system holds until a worker takes them."""

GC_THRESHOLD: Final = 20_000
"""New objects between two looks for garbage cycles; requests make hardly any, reference counts free the rest."""

Announce = Callable[[Issuer], Awaitable[None]]


def run(source: Source, *, warnings: Sequence[str] = ()) -> None:
    """Serve until SIGTERM or SIGINT; requests that had begun are finished. Warnings are logged once all is well else.

    Raises:
        ConfigurationError: keys or database are missing or unsafe; raised before anything listens.
    """
    if source.settings.workers == 1:

        async def announce(_: Issuer) -> None:
            _greet(source, warnings)

        run_here(source, announce)
        return
    log.configure(source.settings.log_format)
    assembly.open_issuer(source).close()
    _greet(source, warnings)
    os.environ[FOLDER_VARIABLE] = str(source.folder)
    os.environ.update(settings.to_environment(source.settings))
    uvicorn.run("jwtauth.web.server:worker", factory=True, workers=source.settings.workers, **_options(source))


def run_here(source: Source, announce: Announce | None = None) -> None:
    """Serve in this very process; `announce` is awaited once requests are answered.

    Raises:
        ConfigurationError: keys or database are missing or unsafe; raised before anything listens.
    """
    log.configure(source.settings.log_format)
    issuer = assembly.open_issuer(source)
    server = _Server(uvicorn.Config(app.create(issuer), **_options(source)))
    _settle()
    if announce is not None:
        server.announce = partial(announce, issuer)
    with suppress(SystemExit):  # uvicorn's way of saying that it could not listen
        server.run()
    if not server.started:
        raise ConfigurationError(
            f"cannot listen on {source.settings.host}:{source.settings.port}; stop what listens there or name another"
            " port with --port"
        )


def worker() -> ASGIApp:
    """The application of one worker process, as uvicorn asks for it."""
    source = settings.load(Path(os.environ[FOLDER_VARIABLE]))
    log.configure(source.settings.log_format)
    application = app.create(assembly.open_issuer(source))
    _settle()
    return application


class _Server(uvicorn.Server):
    """Says when requests are answered."""

    announce: Callable[[], Awaitable[None]] | None = None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.announce is not None:
            await self.announce()


def _greet(source: Source, warnings: Sequence[str]) -> None:
    for warning in warnings:
        log.LOGGER.warning("%s", warning)
    chosen = source.settings
    log.LOGGER.info("serving %s at %s:%d, workers: %d", chosen.issuer, chosen.host, chosen.port, chosen.workers)


def _settle() -> None:
    """Spare the garbage collector what lives as long as the process: it would look at all of it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _options(source: Source) -> dict[str, Any]:
    return {
        "host": source.settings.host,
        "port": source.settings.port,
        "loop": "uvloop",
        "http": Http,
        "ws": "none",
        "lifespan": "on",
        "backlog": BACKLOG,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "log_config": None,
        "timeout_keep_alive": KEEP_ALIVE_IN,
        "timeout_graceful_shutdown": GRACE_IN,
    }
