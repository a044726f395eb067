"""`jwtauth doctor`: what is wrong, risky or due for a change in this folder, or with a running service."""

import asyncio
from collections.abc import Iterable
from functools import partial

import click
from msgspec import to_builtins

from jwtauth.cli.findings import finding, installation, registrations
from jwtauth.cli.findings.finding import Finding, Severity
from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, show_json
from jwtauth.cli.probing import examination
from jwtauth.cli.running import now, with_store
from jwtauth.errors import ConfigurationError, Overloaded
from jwtauth.settings import Source, load
from jwtauth.store.sqlite.connection import remedy_of
from jwtauth.store.sqlite.store import SqliteStore


@click.command(epilog=example("jwtauth doctor", "jwtauth doctor https://id.example --json"))
@click.argument("url", required=False)
@json_option
@click.pass_context
def doctor(ctx: click.Context, url: str | None, as_json: bool) -> None:
    """Look at settings, keys, database and registrations, and say what to change; exits with 1 if there is an error.

    With the URL of an issuer, look at that running service instead, from outside, as its clients see it.
    """
    examined = _examine(load(ctx.obj)) if url is None else asyncio.run(examination.of_service(url))
    found = sorted(examined, key=lambda one: list(Severity).index(one.severity))
    if as_json:
        show_json(to_builtins(found))
    else:
        _print(found)
    if any(one.severity is Severity.ERROR for one in found):
        ctx.exit(1)


def _examine(source: Source) -> Iterable[Finding]:
    yield from installation.of_settings(source)
    yield from installation.of_machine(source)
    try:
        yield from with_store(source, partial(_examine_database, source))
    except ConfigurationError as problem:
        yield finding.of_problem(problem)


async def _examine_database(source: Source, store: SqliteStore) -> list[Finding]:
    """What is wrong in the file itself, or else with writing to it and in what it says."""
    damage = store.damage()
    if damage is not None:
        remedy = remedy_of(damage, source.database) or "restore it from a backup"
        return [Finding(Severity.ERROR, f"database {source.database} is damaged: {damage}", remedy)]
    return [*await _unwritable(source, store), *await registrations.of_store(source, store, now=now())]


async def _unwritable(source: Source, store: SqliteStore) -> list[Finding]:
    try:
        await store.prove_writable(now=now())
    except Overloaded as problem:
        remedy = remedy_of(str(problem), source.database) or "see docs/faults.md"
        return [Finding(Severity.ERROR, f"database {source.database} takes no writes: {problem}", remedy)]
    return []


def _print(found: list[Finding]) -> None:
    width = max(map(len, Severity))
    for one in found:
        click.echo(f"{one.severity:<{width}}  {one.what}")
        if one.remedy:
            click.echo(f"{'':<{width}}  {one.remedy}")
    counted = [f"{sum(one.severity is severity for one in found)} {severity}" for severity in Severity]
    click.echo(f"found: {', '.join(counted)}")
