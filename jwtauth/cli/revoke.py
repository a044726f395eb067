"""`jwtauth revoke`: many tokens ended at once, counted before anything is written (RFC 7009)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from msgspec.structs import asdict, replace

from jwtauth.cli import instants, lookup
from jwtauth.cli.options import json_option, yes_option
from jwtauth.cli.printing import example, iso, show_json, show_one
from jwtauth.cli.reporting import Book, audited
from jwtauth.cli.running import now, open_keys, with_store
from jwtauth.cli.token import client_named_by, read_argument, selected_by
from jwtauth.errors import ConfigurationError
from jwtauth.keyring import rotation
from jwtauth.keyring.folder import KeyFile
from jwtauth.observe import log
from jwtauth.observe.events import Event
from jwtauth.protocol import blast_radius
from jwtauth.protocol.blast_radius import Interval, Radius, Selection
from jwtauth.settings import Source, load
from jwtauth.store.ports import Store

_KEY_DIES: Final = "every token signed with this key is refused as soon as verifiers fetch the JWKS; refreshing goes on"

Criteria = dict[str, Any]


def _read_token(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return None if value is None else read_argument(ctx, param, value)


def _read_interval(ctx: click.Context, param: click.Parameter, value: tuple[str, str] | None) -> Interval | None:
    if value is None:
        return None
    present = datetime.now(UTC)
    return Interval(from_at=instants.read(value[0], present), until_at=instants.read(value[1], present))


@click.command(
    epilog=example(
        "jwtauth revoke --client shop --dry-run",
        "jwtauth revoke --user alice",
        "jwtauth revoke --scope payments --issued-between 2h now --yes",
        "jwtauth revoke --token - --yes < token.txt",
    )
)
@click.option("--token", metavar="TOKEN|-", callback=_read_token, help="What a token names; - needs --yes.")
@click.option("--grant", metavar="ID", type=click.IntRange(1, 2**63 - 1), help="One grant; the log names it.")
@click.option("--user", metavar="USERNAME", help="A person's grants; alone, the person's browser sessions too.")
@click.option("--client", metavar="CLIENT_ID", help="A client's grants and machine tokens.")
@click.option("--scope", metavar="VALUE", help="Grants with this scope value, and clients' machine tokens that may be.")
@click.option(
    "--issued-between",
    "issued",
    nargs=2,
    metavar="FROM TO",
    callback=_read_interval,
    help="Begun or last refreshed then: instants (ISO 8601), durations before now (90s, 30m, 2h, 7d), now.",
)
@click.option("--key", metavar="KID", help="Withdraw a lost signing key: the tokens it signed die, no grant ends.")
@click.option("--dry-run", is_flag=True, help="Only count what would be hit.")
@yes_option
@json_option
@click.pass_obj
def revoke(folder: Path, /, key: str | None, dry_run: bool, yes: bool, as_json: bool, **criteria: Any) -> None:
    """End the grants and machine tokens that match all criteria, in one transaction.

    Without --yes it says what it hits and asks. What is revoked stays so; people and machines may get new tokens.
    """
    source = load(folder)
    if key is not None:
        if any(value is not None for value in criteria.values()):
            raise click.UsageError("--key stands alone: it withdraws a signing key and ends no grant")
        _withdraw_key(source, key, is_dry_run=dry_run, yes=yes, as_json=as_json)
        return

    async def plan(store: Store) -> tuple[Selection, Radius, str | None]:
        selection = await _select(store, source, criteria)
        radius = await store.revocations.measure(selection, now=now())
        return selection, radius, await _client_of(store, source, criteria, selection)

    selection, radius, client_id = with_store(source, plan)
    if dry_run:
        _show(_shown(criteria, selection), radius, selection, is_dry_run=True, as_json=as_json)
        return
    if not yes:
        _ask(selection, radius)
    instant = now()
    with audited(source) as book:
        done = with_store(source, lambda store: store.revocations.revoke(selection, now=instant))
        _tell(source, book, _event(criteria, selection, done, client_id=client_id, now=instant))
    _show(_shown(criteria, selection), done, selection, is_dry_run=False, as_json=as_json)


def _withdraw_key(source: Source, kid: str, *, is_dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take a lost signing key out of the JWKS: its tokens die, no grant ends and no status position is denied.

    Raises:
        ConfigurationError: there is no such key.
    """
    record = {"dry_run": is_dry_run, "selection": {"key": kid}, "grants": 0, "positions": 0, "new_key": None}
    if all(key.kid != kid for key, _ in open_keys(source).read_keys()):
        raise ConfigurationError(f"there is no signing key {kid}; `jwtauth keys list` shows all")
    if is_dry_run:
        show_one({**record, "effect": _KEY_DIES}, as_json=as_json)
        return
    if not yes:
        click.confirm(f"{_KEY_DIES}. Go on?", abort=True, err=True)

    async def work(store: Store) -> KeyFile | None:
        _, new = rotation.withdraw(open_keys(source), kid, now=now())
        await store.administration.announce_keys()
        return new

    with audited(source) as book:
        new = with_store(source, work)
        _tell(source, book, Event(name="key.withdrawn", at=now(), reason=f"revoked by an operator: key {kid}"))
    show_one({**record, "new_key": new.kid if new else None, "effect": _KEY_DIES}, as_json=as_json)


async def _select(store: Store, source: Source, criteria: Criteria) -> Selection:
    selection = Selection(grant_id=criteria["grant"], scope=criteria["scope"], issued=criteria["issued"])
    if criteria["user"] is not None:
        selection = replace(selection, user_id=(await lookup.user(store, criteria["user"])).id)
    if criteria["client"] is not None:
        selection = replace(selection, client_id=(await lookup.client(store, criteria["client"])).id)
    if criteria["token"] is not None:
        if selection != Selection():
            raise ConfigurationError("a token names one thing; leave the other criteria out")
        selection = selected_by(store, source, criteria["token"], now=now())
    blast_radius.check(selection, now=now())
    if selection.grant_id is not None and await store.grants.get(selection.grant_id) is None:
        raise ConfigurationError(f"there is no grant {selection.grant_id}; it never was, or is over and was swept away")
    return selection


async def _client_of(store: Store, source: Source, criteria: Criteria, selection: Selection) -> str | None:
    """The client that it is about, where it is about one."""
    if selection.position is not None:
        return client_named_by(store, source, criteria["token"], now=now())
    if selection.grant_id is None:
        named: str | None = criteria["client"]
        return named
    grant = await store.grants.get(selection.grant_id)
    owner = await store.directory.client_numbered(grant.client_id) if grant is not None else None
    return owner.client_id if owner is not None else None


def _shown(criteria: Criteria, selection: Selection) -> Criteria:
    """The criteria as they are shown and logged: never a token, but what it names."""
    given = {name: value for name, value in criteria.items() if value is not None and name not in ("token", "issued")}
    interval = {} if selection.issued is None else asdict(selection.issued)
    named = {"grant": selection.grant_id, "position": selection.position} if criteria["token"] is not None else {}
    return {**given, **interval, **{name: value for name, value in named.items() if value is not None}}


def _ask(selection: Selection, radius: Radius) -> None:
    for note in blast_radius.surplus(selection, radius):
        click.echo(note, err=True)
    click.confirm(f"This ends {_words(radius)}. Go on?", abort=True, err=True)


def _words(radius: Radius) -> str:
    return (
        f"{radius.grants} grants, {radius.sessions} browser sessions and {radius.blocks} blocks of machine tokens,"
        f" {radius.positions} status positions in all"
    )


def _asked(name: str, value: Any) -> str:
    return f"{name.removesuffix('_at')} {iso(value)}" if name.endswith("_at") else f"{name} {value}"


def _event(criteria: Criteria, selection: Selection, done: Radius, *, client_id: str | None, now: int) -> Event:
    """What was asked for and what came of it."""
    asked = ", ".join(_asked(name, value) for name, value in _shown(criteria, selection).items())
    return Event(
        name="tokens.revoked",
        at=now,
        client_id=client_id,
        uid=selection.user_id,
        grant_id=selection.grant_id,
        reason=f"revoked by an operator: {asked}; ended {_words(done)}",
    )


def _tell(source: Source, book: Book, event: Event) -> None:
    log.configure(source.settings.log_format)
    log.write(event)
    book.write(event)


def _show(shown: Criteria, radius: Radius, selection: Selection, *, is_dry_run: bool, as_json: bool) -> None:
    notes = list(blast_radius.surplus(selection, radius))
    record = {"dry_run": is_dry_run, "selection": shown, **asdict(radius)}
    if as_json:
        show_json({**record, "notes": notes})
        return
    show_one(record, as_json=False)
    for note in notes:
        click.echo(note)
