"""`jwtauth serve`: the service in production."""

from pathlib import Path
from urllib.parse import urlsplit

import click

from jwtauth import settings
from jwtauth.cli.printing import example
from jwtauth.cli.running import with_store
from jwtauth.errors import ConfigurationError
from jwtauth.store.ports import Store
from jwtauth.web import server


@click.command(epilog=example("jwtauth serve --workers 2"))
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes; one per core that you can spare.")
@click.pass_obj
def serve(folder: Path, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until SIGTERM; settings come from jwtauth.toml, JWTAUTH_* and these options."""
    source = settings.load(folder.absolute(), host=host, port=port, workers=workers)
    if urlsplit(source.settings.issuer).scheme != "https" and not source.settings.is_loopback:
        raise ConfigurationError(
            f"setting issuer: {source.settings.issuer} is plain http off loopback; tokens would travel in the clear."
            " Put a TLS proxy in front and set an https issuer"
        )
    with_store(source, _refuse_demonstration)
    server.run(source)


async def _refuse_demonstration(store: Store) -> None:
    """Refuse a database whose passwords and secrets are printed in the documentation.

    Raises:
        ConfigurationError: there is a demonstration client or user.
    """
    clients = [client.client_id for client in await store.administration.clients() if client.is_demo]
    users = [user.username for user in await store.administration.users() if user.is_demo]
    if clients or users:
        raise ConfigurationError(
            f"this database was made by `jwtauth dev` and knows {' '.join(clients + users)} with public passwords;"
            " run `jwtauth init` in another folder"
        )
