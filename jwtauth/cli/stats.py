"""`jwtauth stats`."""

from collections.abc import Iterable
from pathlib import Path

import click

from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, show_one
from jwtauth.cli.running import with_store
from jwtauth.protocol.records import Client, Realm, User
from jwtauth.settings import load
from jwtauth.store.ports import Store


@click.command(epilog=example("jwtauth stats --json"))
@json_option
@click.pass_obj
def stats(folder: Path, as_json: bool) -> None:
    """Count what is registered: realms, clients, users, and how many of them are disabled."""

    async def work(store: Store) -> dict[str, int]:
        return {
            **_count("realms", await store.administration.realms()),
            **_count("clients", await store.administration.clients()),
            **_count("users", await store.administration.users()),
        }

    show_one(with_store(load(folder), work), as_json=as_json)


def _count(name: str, records: Iterable[Realm | Client | User]) -> dict[str, int]:
    found = list(records)
    return {name: len(found), f"{name}_disabled": sum(record.disabled_at is not None for record in found)}
