"""`jwtauth dev`: a complete demonstration in an empty folder, and commands that work when pasted."""

import time
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace

from jwtauth import settings
from jwtauth.cli.printing import example
from jwtauth.cli.running import with_store
from jwtauth.cli.setup import BUILT_IN_REALM, default_audience, initialise
from jwtauth.endpoints import token
from jwtauth.endpoints.request import Request
from jwtauth.errors import ConfigurationError
from jwtauth.issuer.issuer import Issuer
from jwtauth.passwords import Passwords
from jwtauth.protocol import client_auth
from jwtauth.protocol.records import AuthMethod, Client, ClientSecret, GrantType, Realm, SecretKind, User
from jwtauth.settings import Settings, Source
from jwtauth.store.ports import Administration, Store
from jwtauth.web import server

USERNAME: Final = "demo"
PASSWORD: Final = "demo-password"
CONFIDENTIAL: Final = "demo-service"
SECRET: Final = "demo-secret"
PUBLIC: Final = "demo-app"
SUBJECT: Final = "u.demo"
ROLES: Final = ("ROLE_USER", "ROLE_ADMIN")
SCOPE: Final = ("read", "write")


@click.command(epilog=example("jwtauth dev --port 9000"))
@click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True, help="The port to listen on.")
@click.pass_obj
def dev(folder: Path, port: int) -> None:
    """Make keys, a database, a demo user and two demo clients in this folder; serve them on 127.0.0.1.

    Their passwords are public, so this listens on loopback only and `jwtauth serve` refuses the database.
    """
    source = settings.load(folder.absolute(), host="127.0.0.1", port=port, workers=1, issuer=f"http://127.0.0.1:{port}")
    now = int(time.time())
    initialise(source, now=now)
    with_store(source, partial(_seed, source=source, now=now))
    server.run_here(source, partial(_announce, source))


async def _seed(store: Store, *, source: Source, now: int) -> None:
    """Add the demonstration's accounts where they are missing.

    Raises:
        ConfigurationError: the folder holds accounts that are not for demonstration.
    """
    administration = store.administration
    clients = await administration.clients()
    users = await administration.users()
    if not (all(client.is_demo for client in clients) and all(user.is_demo for user in users)):
        raise ConfigurationError("this folder's database is in real use; run `jwtauth dev` in an empty folder")
    realm = next(realm for realm in await administration.realms() if realm.name == BUILT_IN_REALM)
    audience = default_audience(source, realm.name)
    if not realm.roles or realm.audience != audience:
        realm = replace(realm, roles=ROLES, audience=audience)
        await administration.change_realm(realm, now=now)
    if not clients:
        await _add_clients(administration, realm, now=now)
    if not users:
        await _add_user(administration, source.settings, now=now)


async def _add_clients(administration: Administration, realm: Realm, *, now: int) -> None:
    digest = client_auth.digest(SECRET)
    confidential = Client(
        id=0,
        client_id=CONFIDENTIAL,
        realm=realm,
        name="Demonstration service",
        secrets=(ClientSecret(kind=SecretKind.GENERATED, digest=digest, created_at=now),),
        grant_types=tuple(GrantType),
        scope=SCOPE,
        is_demo=True,
    )
    public = Client(
        id=0,
        client_id=PUBLIC,
        realm=realm,
        name="Demonstration application",
        auth_method=AuthMethod.NONE,
        grant_types=(GrantType.PASSWORD, GrantType.REFRESH_TOKEN),
        scope=SCOPE,
        is_demo=True,
    )
    await administration.create_client(confidential, now=now)
    await administration.create_client(public, now=now)


async def _add_user(administration: Administration, settings: Settings, *, now: int) -> None:
    passwords = Passwords(memory=settings.argon2_memory, passes=settings.argon2_passes, threads=1, queue=0)
    user = User(
        id=0,
        sub=SUBJECT,
        username=USERNAME,
        password_hash=passwords.hash(PASSWORD),
        roles={BUILT_IN_REALM: ROLES},
        is_demo=True,
    )
    passwords.close()
    await administration.create_user(user, now=now)


async def _announce(source: Source, issuer: Issuer) -> None:
    """Print a token, and commands to try in the order in which they work."""
    granted = await token.answer(
        issuer, Request(parameters={"grant_type": "client_credentials"}, authorization=(_BASIC,))
    )
    url = source.settings.issuer
    click.echo(f"jwtauth runs at {url} (stop it with Ctrl-C). Demonstration only: all passwords here are public.\n")
    click.echo(f"An access token of {CONFIDENTIAL}:\n{granted.access_token}\n")
    click.echo("Try these in another terminal, in this order; the first one writes the answer to demo.json:\n")
    for purpose, command in commands(url):
        click.echo(f"# {purpose}\n{command}\n")


def commands(url: str) -> list[tuple[str, str]]:
    """What to try, as (purpose, one-line command for any POSIX shell, zsh or fish)."""
    curl = f"curl -sS -w '\\n' -u {CONFIDENTIAL}:{SECRET}"
    return [
        (
            "get a token for a person",
            f"{curl} -d grant_type=password -d username={USERNAME} -d password={PASSWORD} {url}/oauth/token"
            " | tee demo.json",
        ),
        ("check it", f"{curl} -d token={_member('access_token')} {url}/oauth/introspect"),
        (
            "refresh it",
            f"{curl} -d grant_type=refresh_token -d refresh_token={_member('refresh_token')} {url}/oauth/token",
        ),
        ("revoke it", f"{curl} -w 'HTTP %{{http_code}}\\n' -d token={_member('access_token')} {url}/oauth/revoke"),
        ("check it again", f"{curl} -d token={_member('access_token')} {url}/oauth/introspect"),
    ]


def _member(name: str) -> str:
    """A shell expression for one member of demo.json."""
    return f""""$(sed -E 's/.*"{name}":"([^"]+)".*/\\1/' demo.json)\""""


_BASIC: Final = "Basic " + b64encode(f"{CONFIDENTIAL}:{SECRET}".encode()).decode()
