"""`jwtauth realm`: groups of clients with roles, lifetimes, a dialect and an audience of their own."""

from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from jwtauth.cli import lookup, setup, views
from jwtauth.cli.options import given, json_option, required, several, together
from jwtauth.cli.printing import example, show_many, show_one
from jwtauth.cli.running import now, with_store
from jwtauth.protocol import registration
from jwtauth.protocol.records import Realm
from jwtauth.settings import load
from jwtauth.store.ports import Store

_COLUMNS = ("name", "audience", "dialect", "roles", "access_token_in", "disabled_at")

_realm_settings = together(
    [
        click.option("--audience", help="What `aud` is when no resource was asked for; an absolute URI of its own."),
        click.option("--dialect", help=f"What its endpoints speak: {', '.join(registration.DIALECTS)}."),
        several("--role", "roles", "A role that its users may be given; replaces all roles."),
        click.option("--access-token-in", type=int, help="Life of an access token, in seconds."),
        click.option("--refresh-token-in", type=int, help="Life of each refresh token, in seconds."),
        click.option("--grant-in", type=int, help="Life of a grant however often it is refreshed, in seconds."),
        click.option("--retry-in", type=int, help="For so many seconds a refresh may be repeated; 0 is strict."),
        click.option(
            "--renews-position/--keeps-position", default=None, help="Whether a refresh ends the old access token."
        ),
    ]
)


@click.group(epilog=example("jwtauth realm create portal --role reader --role editor"))
def realm() -> None:
    """Realms: groups of clients with roles and lifetimes."""


@realm.command(epilog=example("jwtauth realm create portal --role reader --access-token-in 900"))
@click.argument("name")
@_realm_settings
@json_option
@click.pass_obj
def create(folder: Path, /, name: str, as_json: bool, **settings: Any) -> None:
    """Make a realm; its audience is ISSUER/realms/NAME unless told."""
    source, instant = load(folder), now()
    wanted = {"audience": setup.default_audience(source, name), **given(settings)}

    async def work(store: Store) -> Realm:
        new = Realm(id=0, name=name, **wanted)
        realms = await store.administration.realms()
        registration.check_realm(new, realms, max_token_lifetime=source.settings.max_token_lifetime)
        return await store.administration.create_realm(new, now=instant)

    show_one(views.of_realm(with_store(source, work)), as_json=as_json)


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
@_realm_settings
@json_option
@click.pass_obj
def change(folder: Path, /, name: str, as_json: bool, **settings: Any) -> None:
    """Change settings of a realm; those not named stay."""
    source, instant, wanted = load(folder), now(), required(settings)

    async def work(store: Store) -> Realm:
        realms = await store.administration.realms()
        changed = replace(lookup.realm(realms, name), **wanted)
        registration.check_realm(changed, realms, max_token_lifetime=source.settings.max_token_lifetime)
        registration.check_roles_in_use(changed, await store.administration.users(name))
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
