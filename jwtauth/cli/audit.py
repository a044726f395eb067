"""`jwtauth audit`: read the audit log, and see whether somebody touched it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from msgspec.structs import asdict

from jwtauth.cli import instants, lookup
from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, iso, show_json, show_one
from jwtauth.cli.running import with_store
from jwtauth.errors import ConfigurationError
from jwtauth.observe import audit_chain
from jwtauth.settings import load

_FIRST: Final = ("at", "name")
_LAST: Final = "previous"
_NO_HEAD: Final = "no line has the head that was noted: the end was cut off, or all was written anew"
_OR_TAKEN_AWAY: Final = "or it may have been in the files that were taken away: note a newer one in time"
_TAKEN_AWAY: Final = "warning: the chain begins in {}: older files were taken away, and nothing can be said of them"


@click.group(epilog=example("jwtauth audit verify"))
def audit() -> None:
    """The audit log: who decided what, about which client, and why."""


@audit.command(epilog=example("jwtauth audit verify", "jwtauth audit verify --noted Zm9v..."))
@click.option("--noted", metavar="HEAD", help="A head that was printed earlier: its line must still be there.")
@json_option
@click.pass_context
def verify(ctx: click.Context, noted: str | None, as_json: bool) -> None:
    """Say whether each line vouches for the one before it; exits with 1 if somebody changed or removed one.

    Keep the head that it prints on another machine: then not even the end can be cut off unnoticed. Torn lines were cut
    short by a crash while they were written, and are no damage. Older files may be taken away; it says so.
    """
    chain = audit_chain.verify(_folder(ctx.obj, must_exist=noted is None), noted_head=noted)
    is_whole = not chain.damage and chain.has_noted_head is not False
    if as_json:
        show_json({**asdict(chain), "damage": [asdict(found) for found in chain.damage], "is_whole": is_whole})
    else:
        for found in chain.damage:
            click.echo(f"{found.file} line {found.line}: {found.what}", err=True)
        if chain.begins_in is not None:
            click.echo(_TAKEN_AWAY.format(chain.begins_in), err=True)
        if chain.has_noted_head is False:
            click.echo(_NO_HEAD if chain.begins_in is None else f"{_NO_HEAD}; {_OR_TAKEN_AWAY}", err=True)
        summary = {"lines": chain.lines, "files": chain.files, "torn": chain.torn, "head": chain.head}
        show_one({**summary, "verdict": "whole" if is_whole else "BROKEN"}, as_json=False)
    if not is_whole:
        ctx.exit(1)


@audit.command(
    epilog=example(
        "jwtauth audit show --user alice --since 2h", "jwtauth audit show --client portal --name .refused --last 20"
    )
)
@click.option("--request", "request_id", metavar="ID", help="Of this request (X-Request-Id) only.")
@click.option("--client", "client_id", metavar="CLIENT_ID", help="About this client only.")
@click.option("--user", "user", metavar="USERNAME|ID", help="About this user only.")
@click.option("--grant", "grant_id", type=int, metavar="ID", help="About this grant only.")
@click.option("--name", metavar="PART", help="Events whose name contains this only.")
@click.option(
    "--since",
    metavar="INSTANT",
    callback=instants.read_since,
    help="From then on: an ISO date or instant (UTC unless it says otherwise), so long ago (90s, 30m, 2h, 7d), or"
    " seconds since the epoch.",
)
@click.option("--last", type=click.IntRange(1), default=100, show_default=True, help="So many of them at most.")
@json_option
@click.pass_obj
def show(folder: Path, /, last: int, as_json: bool, user: str | None, **wanted: Any) -> None:
    """Show what was written, the newest last."""
    wanted["uid"] = None if user is None else _number_of(folder, user)
    chosen = [entry for entry in audit_chain.entries(_folder(folder)) if _is_wanted(entry, wanted)][-last:]
    if as_json:
        show_json(chosen)
        return
    for entry in chosen:
        click.echo(" ".join([iso(entry["at"]), entry["name"], *_details(entry)]))


def _folder(path: Path, *, must_exist: bool = True) -> Path:
    """Where the audit log is.

    Raises:
        ConfigurationError: there is none, or is to be none.
    """
    folder = load(path).audit
    if folder is None or (must_exist and not audit_chain.files(folder)):
        raise ConfigurationError("there is no audit log yet: nothing was decided here, or the setting audit is empty")
    return folder


def _number_of(path: Path, user: str) -> int:
    """A user's id; digits are one, as those in the log are.

    Raises:
        ConfigurationError: there is no user of that name.
    """
    if user.isdecimal():
        return int(user)
    return with_store(load(path), lambda store: lookup.user(store, user)).id


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
