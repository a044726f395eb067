"""`jwtauth serve`: the service in production."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from jwtauth import settings
from jwtauth.cli.findings import finding, installation, registrations
from jwtauth.cli.printing import example
from jwtauth.cli.running import now, with_store
from jwtauth.settings import Source
from jwtauth.web import server


@click.command(epilog=example("jwtauth serve --workers 2"))
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes; one per core that you can spare.")
@click.pass_obj
def serve(folder: Path, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until SIGTERM; settings come from jwtauth.toml, JWTAUTH_* and these options."""
    environment = dict(os.environ)  # as it is now: later it also says what the workers are told

    def read() -> tuple[Source, Sequence[str]]:
        source = settings.load(folder.absolute(), environment, host=host, port=port, workers=workers)
        warnings = finding.require_startable(installation.of_settings(source))  # before there has to be a database
        found = with_store(source, partial(registrations.of_store, source, now=now()))
        return source, [*warnings, *finding.require_startable(found)]

    server.run(read)
