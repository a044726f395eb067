"""`jwtauth dev`: a complete demonstration in an empty folder, and commands that work when pasted."""

import time
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace

from jwtauth import settings
from jwtauth.cli import sample
from jwtauth.cli.printing import example
from jwtauth.cli.running import with_store
from jwtauth.cli.setup import BUILT_IN_REALM, default_audience, initialise
from jwtauth.dialects import shell
from jwtauth.dialects.dialect import Sample
from jwtauth.dialects.registry import DIALECTS
from jwtauth.endpoints import token
from jwtauth.endpoints.request import Request
from jwtauth.issuer.issuer import Issuer
from jwtauth.passwords import Passwords
from jwtauth.protocol import client_auth, pkce, redirect_uris
from jwtauth.protocol.profile import Address, Profile
from jwtauth.protocol.records import (
    ApplicationType,
    AuthMethod,
    Client,
    ClientSecret,
    GrantType,
    Realm,
    SecretKind,
    User,
)
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
GRANT_TYPES: Final = (
    GrantType.AUTHORIZATION_CODE,
    GrantType.CLIENT_CREDENTIALS,
    GrantType.PASSWORD,
    GrantType.REFRESH_TOKEN,
)
DEFAULT_SCOPE: Final = ("read", "write")
SCOPE: Final = (*DEFAULT_SCOPE, "openid", "profile", "email", "address", "phone", "offline_access")
CODE_VERIFIER: Final = "demonstration-only-a-real-one-is-random-each-time"
PROFILE: Final = Profile(
    name="Demo Ada Person",
    given_name="Demo",
    middle_name="Ada",
    family_name="Person",
    nickname="Demi",
    profile="https://people.example.com/demo",
    picture="https://people.example.com/demo.png",
    website="https://demo.example.com",
    gender="female",
    birthdate="1985-12-10",
    zoneinfo="Europe/London",
    locale="en-GB",
    email="demo@example.com",
    email_verified=True,
    phone_number="+44 20 7946 0000",
    phone_number_verified=True,
    address=Address(
        formatted="1 Example Street\nLondon N1 1AA\nUnited Kingdom",
        street_address="1 Example Street",
        locality="London",
        region="Greater London",
        postal_code="N1 1AA",
        country="United Kingdom",
    ),
)
"""Every standard claim; the domain and the telephone number are reserved for examples."""


@click.command(epilog=example("jwtauth dev --port 9000", "jwtauth dev --dialect onesait"))
@click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True, help="The port to listen on.")
@click.option(
    "--dialect",
    "dialect_name",
    type=click.Choice(sorted(name for name, dialect in DIALECTS.items() if dialect.sample)),
    help="Serve the sample data of this older system instead, as that system would.",
)
@click.pass_obj
def dev(folder: Path, port: int, dialect_name: str | None) -> None:
    """Make keys, a database, a demo user and two demo clients in this folder; serve them on 127.0.0.1.

    Their passwords are public, so this listens on loopback only and `jwtauth serve` refuses the database.
    """
    source = settings.load(
        folder.absolute(),
        host="127.0.0.1",
        port=port,
        workers=1,
        issuer=f"http://127.0.0.1:{port}",
        explain_errors=True,
        default_realm=dialect_name,
    )
    now = int(time.time())
    initialise(source, now=now)
    dialect = DIALECTS[dialect_name] if dialect_name else None
    if dialect is None or dialect.sample is None:
        with_store(source, partial(_seed, source=source, now=now))
        server.run_here(source, partial(_announce, source))
        return
    with_store(source, partial(sample.seed, dialect=dialect, sample=dialect.sample, source=source, now=now))
    server.run_here(source, partial(_announce_sample, source, dialect.name, dialect.sample))


async def _seed(store: Store, *, source: Source, now: int) -> None:
    """Add the demonstration's accounts, or what an earlier version or another port left out of them.

    Raises:
        ConfigurationError: the folder holds other accounts.
    """
    administration = store.administration
    clients = await administration.clients()
    users = await administration.users()
    sample.require_own(clients, users, names=(CONFIDENTIAL, PUBLIC, USERNAME))
    realm = next(realm for realm in await administration.realms() if realm.name == BUILT_IN_REALM)
    audience = default_audience(source, realm.name)
    if not realm.roles or realm.audience != audience:
        realm = replace(realm, roles=ROLES, audience=audience)
        await administration.change_realm(realm, now=now)
    for client in _clients(realm, source.settings.issuer, now=now):
        await _settle_client(administration, client, clients, now=now)
    await _settle_user(administration, source.settings, users, now=now)


def _clients(realm: Realm, url: str, *, now: int) -> tuple[Client, Client]:
    """The confidential and the public client, with the front page as redirect URI: a code stays in the address bar."""
    front_page = f"{url}/"
    confidential = Client(
        id=0,
        client_id=CONFIDENTIAL,
        realm=realm,
        name="Demonstration service",
        secrets=(ClientSecret(kind=SecretKind.GENERATED, digest=client_auth.digest(SECRET), created_at=now),),
        grant_types=GRANT_TYPES,
        scope=SCOPE,
        default_scope=DEFAULT_SCOPE,
        redirect_uris=(front_page,),
        post_logout_redirect_uris=(front_page,),
        is_demo=True,
    )
    public = Client(
        id=0,
        client_id=PUBLIC,
        realm=realm,
        name="Demonstration application",
        auth_method=AuthMethod.NONE,
        application_type=ApplicationType.NATIVE,
        grant_types=(GrantType.AUTHORIZATION_CODE, GrantType.PASSWORD, GrantType.REFRESH_TOKEN),
        scope=SCOPE,
        default_scope=DEFAULT_SCOPE,
        redirect_uris=("http://127.0.0.1/callback", front_page),
        is_demo=True,
    )
    return confidential, public


async def _settle_client(
    administration: Administration, wanted: Client, clients: Sequence[Client], *, now: int
) -> None:
    """Create a client, or give a known one what it lacks; what somebody added to it stays."""
    for known in clients:
        if known.client_id == wanted.client_id:
            completed = _completed(known, wanted)
            if completed != known:
                await administration.change_client(completed, now=now)
            return
    await administration.create_client(wanted, now=now)


def _completed(known: Client, wanted: Client) -> Client:
    return replace(
        known,
        application_type=wanted.application_type,
        grant_types=_joined(known.grant_types, wanted.grant_types),
        scope=_joined(known.scope, wanted.scope),
        default_scope=known.default_scope or wanted.default_scope,
        redirect_uris=_joined(known.redirect_uris, wanted.redirect_uris),
        post_logout_redirect_uris=_joined(known.post_logout_redirect_uris, wanted.post_logout_redirect_uris),
    )


def _joined(known: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *wanted)))


async def _settle_user(administration: Administration, chosen: Settings, users: Sequence[User], *, now: int) -> None:
    """Create the user, or give a known one without a profile its profile."""
    for known in users:
        if known.username == USERNAME and known.profile == Profile():
            await administration.change_user(replace(known, profile=PROFILE, updated_at=now), now=now)
    if users:
        return
    passwords = Passwords(memory=chosen.argon2_memory, passes=chosen.argon2_passes, threads=1, queue=0)
    user = User(
        id=0,
        sub=SUBJECT,
        username=USERNAME,
        password_hash=passwords.hash(PASSWORD),
        roles={BUILT_IN_REALM: ROLES},
        profile=PROFILE,
        updated_at=now,
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
    _print(commands(url))
    click.echo("Or sign in with a browser, as people do:\n")
    _print(browser_steps(url))


async def _announce_sample(source: Source, name: str, data: Sample, _: Issuer) -> None:
    """Print commands to try with the sample data of another system."""
    url = source.settings.issuer
    click.echo(f"jwtauth runs at {url} with the sample data of {name} (stop it with Ctrl-C).")
    click.echo("Demonstration only: all passwords here are public.\n")
    click.echo("Try these in another terminal, in this order:\n")
    _print(data.commands(url))


def _print(steps: Sequence[tuple[str, str]]) -> None:
    for purpose, what in steps:
        click.echo(f"# {purpose}\n{what}\n")


def commands(url: str) -> list[tuple[str, str]]:
    """What to try, as (purpose, one-line command for any POSIX shell, zsh or fish)."""
    curl = f"curl -sS -w '\\n' -u {CONFIDENTIAL}:{SECRET}"
    return [
        (
            "get a token for a person",
            f"{curl} -d grant_type=password -d username={USERNAME} -d password={PASSWORD} {url}/oauth/token"
            " | tee demo.json",
        ),
        ("check it", f"{curl} -d token={shell.member('access_token')} {url}/oauth/introspect"),
        (
            "refresh it",
            f"{curl} -d grant_type=refresh_token -d refresh_token={shell.member('refresh_token')} {url}/oauth/token",
        ),
        ("revoke it", f"{curl} -w 'HTTP %{{http_code}}\\n' -d token={shell.member('access_token')} {url}/oauth/revoke"),
        ("check it again", f"{curl} -d token={shell.member('access_token')} {url}/oauth/introspect"),
    ]


def browser_steps(url: str) -> list[tuple[str, str]]:
    """How to sign in by code and PKCE without an application, as (purpose, URL to open or command to paste)."""
    request = {
        "response_type": "code",
        "client_id": PUBLIC,
        "redirect_uri": f"{url}/",
        "scope": "openid profile email",
        "state": "demo",
        "code_challenge": pkce.challenge_of(CODE_VERIFIER),
        "code_challenge_method": pkce.METHOD,
    }
    redeem = (
        'curl -sS -w "\\n" -d grant_type=authorization_code -d "code=$CODE" -d code_verifier='
        f"{CODE_VERIFIER} -d client_id={PUBLIC} -d redirect_uri={url}/ {url}/oauth/token | tee demo.json"
    )
    return [
        (
            f"open this in a browser, sign in as {USERNAME} with the password {PASSWORD}, and find code=... in the"
            " address bar",
            redirect_uris.with_parameters(f"{url}/oauth/authorize", request),
        ),
        (
            "put the code in place of PASTE-THE-CODE-HERE within a minute",
            f"env CODE=PASTE-THE-CODE-HERE sh -c '{redeem}'",
        ),
        (
            "read who signed in",
            f"curl -sS -w '\\n' -H 'Authorization: Bearer '{shell.member('access_token')} {url}/oauth/userinfo",
        ),
        ("see and end what the person is signed in to: open this in the same browser", f"{url}/account"),
    ]


_BASIC: Final = "Basic " + b64encode(f"{CONFIDENTIAL}:{SECRET}".encode()).decode()
