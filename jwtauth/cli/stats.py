"""`jwtauth stats`: how much is registered, and who still uses what will be switched off."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from jwtauth.cli import lookup
from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, iso, show_json, show_many, show_one
from jwtauth.cli.running import with_store
from jwtauth.protocol.records import Client, Realm, User
from jwtauth.settings import load
from jwtauth.store.sqlite.store import SqliteStore

_COLUMNS = ("client_id", "realm", "door", "count", "first_at", "last_at", "sunset_at")


@click.group(invoke_without_command=True, epilog=example("jwtauth stats --json"))
@json_option
@click.pass_context
def stats(ctx: click.Context, as_json: bool) -> None:
    """Count what is registered: realms, clients, users, and how many of them are disabled."""
    if ctx.invoked_subcommand is not None:
        return

    async def work(store: SqliteStore) -> dict[str, int]:
        return {
            **_count("realms", await store.administration.realms()),
            **_count("clients", await store.administration.clients()),
            **_count("users", await store.administration.users()),
        }

    show_one(with_store(load(ctx.obj), work), as_json=as_json)


@stats.command(epilog=example("jwtauth stats legacy", "jwtauth stats legacy --realm portal --json"))
@click.option("--realm", help="Only clients of this realm.")
@json_option
@click.pass_obj
def legacy(folder: Path, realm: str | None, as_json: bool) -> None:
    """Show which clients still use what is only there for older ones, how often, and until when they can.

    A running service adds what it counted every few seconds. Once nobody is left, the realm's dialect can go.
    """

    async def work(store: SqliteStore) -> tuple[int, list[dict[str, Any]]]:
        realms = await store.administration.realms()
        if realm is not None:
            lookup.realm(realms, realm)
        sunsets = {found.name: found.sunset_at for found in realms}
        uses = await store.legacy_uses.all(realm)
        return store.legacy_uses.since(), [{**asdict(use), "sunset_at": sunsets[use.realm]} for use in uses]

    since, uses = with_store(load(folder), work)
    if as_json:
        show_json({"counted_since": since, "uses": uses})
    elif uses:
        show_many(uses, _COLUMNS, as_json=False)
    else:
        click.echo(f"nobody has used a legacy door since {iso(since)}, when counting began")


def _count(name: str, records: Iterable[Realm | Client | User]) -> dict[str, int]:
    found = list(records)
    return {name: len(found), f"{name}_disabled": sum(record.disabled_at is not None for record in found)}
