"""`jwtauth serve`: the service in production."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import click

from jwtauth import settings
from jwtauth.cli.printing import example
from jwtauth.cli.running import open_keys, with_store
from jwtauth.cli.setup import ID_TOKEN_ALGORITHM, algorithms, default_audience, require_id_token_key
from jwtauth.errors import ConfigurationError
from jwtauth.protocol import permissions
from jwtauth.protocol.records import Client
from jwtauth.settings import Source
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
    warnings = [
        *with_store(source, partial(check_registrations, source)),
        *_plain_keys(source),
        *_unknown_proxy(source),
    ]
    server.run(source, warnings=warnings)


async def check_registrations(source: Source, store: Store) -> list[str]:
    """Refuse what was registered under other settings and would break a promise; warn of what is probably a mistake.

    Returns:
        What to warn of.

    Raises:
        ConfigurationError: there is a demonstration account, a key for ID tokens is missing, or a token would outlive
            max_token_lifetime.
    """
    await _refuse_demonstration(store)
    realms, clients = await store.administration.realms(), await store.administration.clients()
    _require_id_token_keys(source, clients)
    longest = source.settings.max_token_lifetime
    for name, lifetime_in in [
        *((f"realm {realm.name}", realm.access_token_in) for realm in realms),
        *((f"client {client.client_id}", permissions.access_token_in(client)) for client in clients),
    ]:
        if lifetime_in > longest:
            raise ConfigurationError(
                f"setting max_token_lifetime: {longest} s is below the {lifetime_in} s of {name}; keys and revocations"
                " would be dropped while its tokens live. Raise the setting or lower access_token_in"
            )
    return [
        f"the audience of realm {realm.name} is {realm.audience}, made for another issuer; if that is not meant, run:"
        f" jwtauth realm change {realm.name} --audience {default_audience(source, realm.name)}"
        for realm in realms
        if realm.audience.endswith(f"/realms/{realm.name}") and realm.audience != default_audience(source, realm.name)
    ]


def _unknown_proxy(source: Source) -> list[str]:
    """What to warn of where everybody seems to come from the one address of a TLS proxy."""
    if source.settings.trusted_proxies or not source.settings.issuer.startswith("https:"):
        return []
    return [
        "trusted_proxies is empty: wrong passwords are counted per account only, not per client address, as everybody"
        " comes through your TLS proxy; name its address there"
    ]


def _plain_keys(source: Source) -> list[str]:
    """What to warn of where a passphrase is set and files are not encrypted with it."""
    names = open_keys(source).unencrypted() if source.settings.keys_passphrase else []
    if not names:
        return []
    return [f"setting keys_passphrase: {' '.join(names)} is not encrypted; run `jwtauth keys encrypt`"]


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


def _require_id_token_keys(source: Source, clients: Iterable[Client]) -> None:
    """Refuse to begin sign-ins that could not be finished.

    Raises:
        ConfigurationError: a key is missing, as in an installation of an earlier version; the message has the command.
    """
    present = algorithms(open_keys(source))
    if ID_TOKEN_ALGORITHM not in present:
        raise ConfigurationError(
            f"there is no {ID_TOKEN_ALGORITHM} key for ID tokens; run `jwtauth init`: it makes what is missing and"
            " leaves the rest as it is"
        )
    for client in clients:
        require_id_token_key(client, present)
