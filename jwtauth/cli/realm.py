"""`jwtauth realm`: groups of clients with roles, lifetimes, a dialect and an audience of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from jwtauth.cli import client_secrets, client_settings, lookup, prompts, realm_settings, setup, views
from jwtauth.cli.options import given, json_option, required
from jwtauth.cli.printing import example, show_many, show_one
from jwtauth.cli.realm_settings import realm_options
from jwtauth.cli.running import now, with_store
from jwtauth.dialects.dialect import STANDARD_NAME, Dialect
from jwtauth.dialects.registry import DIALECTS
from jwtauth.errors import ConfigurationError
from jwtauth.protocol import client_auth, registration
from jwtauth.protocol.records import Client, ClientSecret, Realm
from jwtauth.settings import Source, load
from jwtauth.store.ports import Store

_COLUMNS = ("name", "audience", "dialect", "roles", "access_token_in", "sunset_at", "disabled_at")

_key_stdin = click.option(
    "--key-stdin", is_flag=True, help="Take the realm's key from standard input, where realms of its dialect have one."
)


@click.group(epilog=example("jwtauth realm create portal --role reader --role editor"))
def realm() -> None:
    """Realms: groups of clients with roles and lifetimes."""


@realm.command(
    epilog=example(
        "jwtauth realm create portal --role reader --access-token-in 900",
        "jwtauth realm create plant --dialect onesait --sunset 2030-12-31 --key-stdin < key.txt",
    )
)
@click.argument("name")
@realm_options
@_key_stdin
@json_option
@click.pass_obj
def create(folder: Path, /, name: str, key_stdin: bool, as_json: bool, **settings: Any) -> None:
    """Make a realm; its audience is ISSUER/realms/NAME unless told.

    With a dialect it starts from that dialect's defaults. Where the realms of a dialect have a key, a client of the
    same name is made with it as its secret; unless told, it is the one that stands in the dialect's manual.
    """
    source, instant, wanted = load(folder), now(), given(settings)
    dialect = DIALECTS[wanted.get("dialect", STANDARD_NAME)]
    bare = Realm(id=0, name=name, audience=setup.default_audience(source, name), **dialect.realm)
    new = realm_settings.apply(bare, wanted)
    secret = _key(source, dialect, from_stdin=key_stdin, now=instant)

    async def work(store: Store) -> Realm:
        realms = await store.administration.realms()
        _check(new, realms, source)
        client = Client(id=0, client_id=name, realm=new, secrets=(secret,)) if secret else None
        if client is not None:
            client = client_settings.of_dialect(client, {})
            client_settings.check(client, {}, [*realms, new], source)
            await _require_free(store, name)
        created = await store.administration.create_realm(new, now=instant)
        if client is not None:
            await store.administration.create_client(replace(client, realm=created), now=instant)
        return created

    show_one(views.of_realm(with_store(source, work)), as_json=as_json)
    if secret is not None and not as_json:
        click.echo(_with_a_client(name, dialect, is_default=not key_stdin), err=True)


@realm.command(epilog=example("jwtauth realm show default"))
@click.argument("name")
@json_option
@click.pass_obj
def show(folder: Path, name: str, as_json: bool) -> None:
    """Show a realm with all its settings."""

    async def work(store: Store) -> Realm:
        return lookup.realm(await store.administration.realms(), name)

    show_one(views.of_realm(with_store(load(folder), work)), as_json=as_json)


@realm.command("list", epilog=example("jwtauth realm list --json"))
@json_option
@click.pass_obj
def list_(folder: Path, as_json: bool) -> None:
    """List all realms."""
    realms = with_store(load(folder), lambda store: store.administration.realms())
    show_many([views.of_realm(found) for found in realms], _COLUMNS, as_json=as_json)


@realm.command(epilog=example("jwtauth realm change portal --access-token-in 600 --role reader --role editor"))
@click.argument("name")
@realm_options
@_key_stdin
@json_option
@click.pass_obj
def change(folder: Path, /, name: str, key_stdin: bool, as_json: bool, **settings: Any) -> None:
    """Change settings of a realm; those not named stay. A new key replaces the old one at once."""
    source, instant, wanted = load(folder), now(), given(settings) if key_stdin else required(settings)

    async def work(store: Store) -> Realm:
        realms = await store.administration.realms()
        changed = realm_settings.apply(lookup.realm(realms, name), wanted)
        _check(changed, realms, source)
        registration.check_roles_in_use(changed, await store.administration.users(name))
        if key_stdin:
            holder = await _holder(store, name)
            secret = _key(source, DIALECTS[changed.dialect], from_stdin=True, now=instant)
            assert secret is not None
            await store.administration.replace_secrets(holder, (secret,), now=instant)
        await store.administration.change_realm(changed, now=instant)
        return changed

    show_one(views.of_realm(with_store(source, work)), as_json=as_json)


@realm.command(epilog=example("jwtauth realm disable portal"))
@click.argument("name")
@json_option
@click.pass_obj
def disable(folder: Path, name: str, as_json: bool) -> None:
    """Refuse everything to a realm's clients, end its grants and revoke its tokens."""

    async def work(store: Store) -> int:
        found = lookup.realm(await store.administration.realms(), name)
        return await store.administration.disable_realm(found, now=now())

    show_one({"realm": name, "grants_ended": with_store(load(folder), work)}, as_json=as_json)


@realm.command(epilog=example("jwtauth realm enable portal"))
@click.argument("name")
@json_option
@click.pass_obj
def enable(folder: Path, name: str, as_json: bool) -> None:
    """Let a disabled realm work again; what was ended stays ended."""

    async def work(store: Store) -> None:
        found = lookup.realm(await store.administration.realms(), name)
        await store.administration.enable_realm(found, now=now())

    with_store(load(folder), work)
    show_one({"realm": name, "enabled": True}, as_json=as_json)


def _key(source: Source, dialect: Dialect, *, from_stdin: bool, now: int) -> ClientSecret | None:
    """The secret of the client that a realm of this dialect is itself; None where it is none.

    Raises:
        ConfigurationError: the old system would not have taken the key.
    """
    if dialect.default_key is None:
        if from_stdin:
            raise click.UsageError(f"--key-stdin: realms that speak {dialect.name} have no key")
        return None
    key = prompts.from_stdin("key", max_bytes=client_auth.MAX_SECRET_LENGTH) if from_stdin else dialect.default_key
    if dialect.check_key is not None:
        dialect.check_key(key)
    return client_secrets.chosen(source.settings, key, now=now).record


def _check(realm: Realm, realms: Sequence[Realm], source: Source) -> None:
    registration.check_realm(
        realm, realms, max_token_lifetime=source.settings.max_token_lifetime, dialects=DIALECTS.keys()
    )


async def _holder(store: Store, name: str) -> Client:
    """The client that a realm itself is.

    Raises:
        ConfigurationError: there is none, or the client of that name is another's.
    """
    found = await lookup.client(store, name)
    if found.realm.name != name or found.is_public:
        kind = "public" if found.is_public else f"of realm {found.realm.name}"
        raise ConfigurationError(f"client {name}: is {kind}, so the key of realm {name} is not for it")
    return found


async def _require_free(store: Store, client_id: str) -> None:
    """Refuse before anything is written.

    Raises:
        ConfigurationError: the realm cannot be a client of its own name.
    """
    if await store.directory.client(client_id) is not None:
        raise ConfigurationError(f"client {client_id}: the client_id is taken; name the realm otherwise")


def _with_a_client(name: str, dialect: Dialect, *, is_default: bool) -> str:
    made = f"jwtauth: client {name} was made too, with the realm's key as its secret"
    if not is_default:
        return made
    return f"{made}, the one in the manual of {dialect.name}; replace it by: jwtauth realm change {name} --key-stdin"
