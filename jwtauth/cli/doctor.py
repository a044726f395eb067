"""`jwtauth doctor`: what is wrong, risky or due for a change in this folder."""

from collections.abc import Iterable
from functools import partial

import click
from msgspec import to_builtins

from jwtauth.cli import findings
from jwtauth.cli.findings import Finding, Severity
from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, show_json
from jwtauth.cli.running import now, with_store
from jwtauth.errors import ConfigurationError
from jwtauth.settings import Source, load
from jwtauth.store.sqlite.store import SqliteStore


@click.command(epilog=example("jwtauth doctor", "jwtauth doctor --json"))
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at settings, keys, database and registrations, and say what to change; exits with 1 if there is an error."""
    found = sorted(_examine(load(ctx.obj)), key=lambda finding: list(Severity).index(finding.severity))
    if as_json:
        show_json(to_builtins(found))
    else:
        _print(found)
    if any(finding.severity is Severity.ERROR for finding in found):
        ctx.exit(1)


def _examine(source: Source) -> Iterable[Finding]:
    yield from findings.of_settings(source)
    try:
        yield from with_store(source, partial(_examine_database, source))
    except ConfigurationError as problem:
        yield findings.of_problem(problem)


async def _examine_database(source: Source, store: SqliteStore) -> list[Finding]:
    """What is wrong in the file itself, or else in what it says."""
    damage = store.damage()
    if damage is not None:
        return [Finding(Severity.ERROR, f"database {source.database} is damaged: {damage}", "restore it from a backup")]
    return await findings.of_store(source, store, now=now())


def _print(found: list[Finding]) -> None:
    width = max(map(len, Severity))
    for finding in found:
        click.echo(f"{finding.severity:<{width}}  {finding.what}")
        if finding.remedy:
            click.echo(f"{'':<{width}}  {finding.remedy}")
    counted = [f"{sum(finding.severity is severity for finding in found)} {severity}" for severity in Severity]
    click.echo(f"found: {', '.join(counted)}")
