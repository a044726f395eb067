"""`jwtauth audit`: read the audit log, and see whether somebody touched it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from msgspec.structs import asdict

from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, iso, show_json, show_one
from jwtauth.errors import ConfigurationError
from jwtauth.observe import audit_chain
from jwtauth.settings import load

_FIRST: Final = ("at", "name")
_LAST: Final = "previous"


@click.group(epilog=example("jwtauth audit verify"))
def audit() -> None:
    """The audit log: who decided what, about which client, and why."""


@audit.command(epilog=example("jwtauth audit verify", "jwtauth audit verify --noted Zm9v..."))
@click.option("--noted", metavar="HEAD", help="A head that was printed earlier: its line must still be there.")
@json_option
@click.pass_context
def verify(ctx: click.Context, noted: str | None, as_json: bool) -> None:
    """Say whether each line vouches for the one before it; exits with 1 if somebody changed or removed one.

    Keep the head that it prints on another machine: then not even the end can be cut off unnoticed.
    """
    chain = audit_chain.verify(_folder(ctx.obj), noted_head=noted)
    is_whole = not chain.damage and chain.has_noted_head is not False
    if as_json:
        show_json({**asdict(chain), "damage": [asdict(found) for found in chain.damage], "is_whole": is_whole})
    else:
        for found in chain.damage:
            click.echo(f"{found.file} line {found.line}: {found.what}", err=True)
        if chain.has_noted_head is False:
            click.echo("no line has the head that was noted: the end was cut off, or all was written anew", err=True)
        summary = {"lines": chain.lines, "files": chain.files, "torn": chain.torn, "head": chain.head}
        show_one({**summary, "verdict": "whole" if is_whole else "BROKEN"}, as_json=False)
    if not is_whole:
        ctx.exit(1)


@audit.command(epilog=example("jwtauth audit show", "jwtauth audit show --client portal --name .refused --last 20"))
@click.option("--request", "request_id", metavar="ID", help="Of this request (X-Request-Id) only.")
@click.option("--client", "client_id", metavar="CLIENT_ID", help="About this client only.")
@click.option("--user", "uid", type=int, metavar="ID", help="About the user of this id only.")
@click.option("--grant", "grant_id", type=int, metavar="ID", help="About this grant only.")
@click.option("--name", metavar="PART", help="Events whose name contains this only.")
@click.option("--since", type=int, metavar="SECONDS", help="From this instant on, in seconds since the epoch.")
@click.option("--last", type=click.IntRange(1), default=100, show_default=True, help="So many of them at most.")
@json_option
@click.pass_obj
def show(folder: Path, /, last: int, as_json: bool, **wanted: Any) -> None:
    """Show what was written, the newest last."""
    chosen = [entry for entry in audit_chain.entries(_folder(folder)) if _is_wanted(entry, wanted)][-last:]
    if as_json:
        show_json(chosen)
        return
    for entry in chosen:
        click.echo(" ".join([iso(entry["at"]), entry["name"], *_details(entry)]))


def _folder(path: Path) -> Path:
    """Where the audit log is.

    Raises:
        ConfigurationError: there is none.
    """
    folder = load(path).audit
    if folder is None or not audit_chain.files(folder):
        raise ConfigurationError("there is no audit log yet: nothing was decided here, or the setting audit is empty")
    return folder


def _is_wanted(entry: dict[str, Any], wanted: dict[str, Any]) -> bool:
    if wanted["since"] is not None and entry["at"] < wanted["since"]:
        return False
    if wanted["name"] is not None and wanted["name"] not in entry["name"]:
        return False
    exact = ("request_id", "client_id", "uid", "grant_id")
    return all(wanted[name] in (None, entry.get(name)) for name in exact)


def _details(entry: dict[str, Any]) -> Iterator[str]:
    named = (name for name in entry if name not in _FIRST and name != _LAST)
    return (f"{name}={entry[name]!r}" for name in named)
