"""`jwtauth import`: users and clients of another system moved in, from a CSV or JSON file."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import click
from msgspec.structs import replace

from jwtauth.cli import lookup
from jwtauth.cli.moving import moved_clients, moved_users, plans, rows
from jwtauth.cli.moving.moved_clients import MovedClient
from jwtauth.cli.moving.moved_users import Join, Joining, MovedUser
from jwtauth.cli.moving.plans import OnConflict, Plan
from jwtauth.cli.moving.rows import Table
from jwtauth.cli.options import Option, json_option, together
from jwtauth.cli.printing import example, show_json, show_one
from jwtauth.cli.running import now, with_store
from jwtauth.errors import ConfigurationError, Overloaded
from jwtauth.passwords import Passwords, Taken
from jwtauth.protocol.records import ClientSecret, SecretKind
from jwtauth.settings import Settings, Source, load
from jwtauth.store.ports import Store

T = TypeVar("T")

TOGETHER: Final = 100
"""Records that are hashed and stored at once; the store puts so many into one transaction."""

_NEVER_DEFAULT: Final = ("password_hash", "secret_hash", "client_secret")
_AGAIN: Final = "run it again with --on-conflict skip"


def _read_defaults(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise click.BadParameter("expected MEMBER=VALUE")
        if name in _NEVER_DEFAULT:
            raise click.BadParameter(f"{name}: must not be the same for all, nor an argument")
    return {name: value for name, _, value in pairs}


_common = together(
    [
        click.option("--format", "form", type=click.Choice(rows.FORMATS), help="Of the file; its name says it else."),
        click.option(
            "--default",
            "defaults",
            multiple=True,
            metavar="MEMBER=VALUE",
            callback=_read_defaults,
            help="What a row has that does not say otherwise. Repeatable.",
        ),
        click.option("--ignore", "ignored", multiple=True, metavar="COLUMN", help="A column to leave out. Repeatable."),
        click.option("--dry-run", is_flag=True, help="Only check and count."),
        json_option,
    ]
)


def _on_conflict(*choices: OnConflict, text: str) -> Option:
    return click.option(
        "--on-conflict",
        type=click.Choice([choice.value for choice in choices]),
        default=OnConflict.REFUSE.value,
        show_default=True,
        callback=lambda ctx, param, value: OnConflict(value),
        help=f"What happens where one of that name is here already: {text}",
    )


@click.group("import", epilog=example("jwtauth import users people.csv --realm portal --dry-run"))
def import_() -> None:
    """Import: users and clients of another system, from CSV or JSON; nothing is written unless every row is right."""


@import_.command(
    epilog=example(
        "jwtauth import users people.csv --realm portal --role reader --dry-run",
        "jwtauth import users people-of-plant.csv --realm plant --on-conflict join",
        "jwtauth import users - --format json --json < people.json",
    )
)
@click.argument("file", type=click.File("rb"))
@click.option("--realm", help="The realm that they join.")
@click.option("--role", "roles", multiple=True, help="A role there, where a row names none. Repeatable.")
@click.option(
    "--drop-unknown-hashes", is_flag=True, help="Who has a hash that cannot be verified here comes without a password."
)
@_on_conflict(
    *OnConflict,
    text="refuse the file; skip the row, so that whoever is here stays out of the realm; or let that person, taken for"
    " the same one, join the realm with the row's roles and keep password, id and all else.",
)
@_common
@click.pass_obj
def users(
    folder: Path,
    /,
    file: BinaryIO,
    realm: str | None,
    roles: tuple[str, ...],
    drop_unknown_hashes: bool,
    on_conflict: OnConflict,
    **how: Any,
) -> None:
    """Move people in, with the passwords they have. See docs/migrating/importing.md for columns and hashes."""
    if on_conflict is OnConflict.JOIN and realm is None:
        raise click.UsageError("--on-conflict join: name the --realm that they join")
    source = load(folder)
    found = _table(file, how, moved_users.TYPES, moved_users.ALIASES)
    join = Join(realm=realm, roles=roles, drops_unknown_hashes=drop_unknown_hashes)
    plan = with_store(source, partial(plans.of_users, found, join, on_conflict))
    _finish(source, plan, how)


@import_.command(
    epilog=example(
        "jwtauth import clients oauth_client_details.csv --realm portal --dry-run",
        "jwtauth import clients clients.json --realm portal --default requires_pkce=false --ignore description",
    )
)
@click.argument("file", type=click.File("rb"))
@click.option("--realm", required=True, help="The realm that they belong to, for good.")
@_on_conflict(OnConflict.REFUSE, OnConflict.SKIP, text="refuse the file, or skip the row.")
@_common
@click.pass_obj
def clients(folder: Path, /, file: BinaryIO, realm: str, on_conflict: OnConflict, **how: Any) -> None:
    """Move clients in, with the secrets they have. See docs/migrating/importing.md for columns and hashes."""
    source = load(folder)
    found = _table(file, how, moved_clients.TYPES, moved_clients.ALIASES)
    plan = with_store(source, partial(plans.of_clients, found, realm, on_conflict, source))
    _finish(source, plan, how)


def _table(file: BinaryIO, how: Mapping[str, Any], types: Mapping[str, Any], aliases: Mapping[str, str]) -> Table:
    """The rows of the file by member, the defaults filled in."""
    form = how["form"] or Path(str(getattr(file, "name", ""))).suffix.removeprefix(".").lower()
    if form not in rows.FORMATS:
        raise click.UsageError(f"name the --format, one of {', '.join(rows.FORMATS)}")
    unknown = [name for name in how["defaults"] if name not in types]
    if unknown:
        raise click.UsageError(f"--default {unknown[0]}: there is no such member")
    left_out = {column.lower() for column in how["ignored"]}
    read = rows.read(file.read(), form)
    found = rows.renamed(read.rows, types, aliases, ignored=left_out)
    return Table([replace(row, members={**how["defaults"], **row.members}) for row in found], read.problems)


def _finish(source: Source, plan: Plan, how: Mapping[str, Any]) -> None:
    """Report what is wrong, or write and report that.

    Raises:
        ConfigurationError: something is wrong.
    """
    is_final = not plan.problems and not how["dry_run"]
    if is_final:
        with_store(source, partial(_write, source.settings, plan, not how["as_json"]))
    _show(plan, is_final=is_final, is_dry_run=how["dry_run"], as_json=how["as_json"])
    if plan.problems:
        wrong = len({problem.row for problem in plan.problems})
        raise ConfigurationError(f"{wrong} of {plan.rows} rows have problems; nothing was imported")


async def _write(settings: Settings, plan: Plan, shows_progress: bool, store: Store) -> None:
    """Hash everything first, then write everything: what is interrupted meanwhile has mostly written nothing."""
    instant, administration = now(), store.administration

    async def create_user(moved: MovedUser, password_hash: str | None) -> None:
        await administration.create_user(replace(moved.user, password_hash=password_hash), now=instant)

    async def join(joining: Joining) -> None:
        known = await lookup.user(store, joining.username)  # anew: a sign-in may have replaced the hash meanwhile
        roles = {joining.realm: joining.roles, **known.roles}
        await administration.change_user(replace(known, roles=roles), now=instant)

    async def create_client(moved: MovedClient, digest: str | None) -> None:
        secret = digest and ClientSecret(kind=SecretKind.CHOSEN, digest=digest, created_at=instant)
        await administration.create_client(replace(moved.client, secrets=(secret,) if secret else ()), now=instant)

    passwords = Passwords(
        memory=settings.argon2_memory,
        passes=settings.argon2_passes,
        threads=os.cpu_count() or 1,
        queue=TOGETHER,
    )
    settle = partial(_settled, passwords)
    try:
        user_hashes = await _all([partial(settle, moved.password) for moved in plan.users], "Hashing", shows_progress)
        digests = await _all([partial(settle, moved.secret) for moved in plan.clients], "Hashing", shows_progress)
    finally:
        passwords.close()
    writes: list[Callable[[], Awaitable[None]]] = [
        *(partial(create_user, *pair) for pair in _numbered_first(zip(plan.users, user_hashes, strict=True))),
        *(partial(join, joining) for joining in plan.joins),
        *(partial(create_client, *pair) for pair in zip(plan.clients, digests, strict=True)),
    ]
    try:
        await _all(writes, "Writing", shows_progress)
    except (ConfigurationError, Overloaded) as problem:
        raise ConfigurationError(f"{problem}; other rows may have been imported before that: {_AGAIN}") from None


def _numbered_first(pairs: Iterable[tuple[MovedUser, str | None]]) -> list[tuple[MovedUser, str | None]]:
    """Those who bring an id before those who are given one, lest they are given one that somebody brings."""
    return sorted(pairs, key=lambda pair: pair[0].user.id == 0)


async def _settled(passwords: Passwords, taken: Taken | None) -> str | None:
    return None if taken is None else await passwords.settle_in_pool(taken)


async def _all(work: Sequence[Callable[[], Awaitable[T]]], label: str, shows_progress: bool) -> list[T]:
    """The results in their order; a few at once, with a progress bar where a person watches, and lines elsewhere."""
    results: list[T] = []
    with _progress(len(work), label, shows_progress) as advance:
        for start in range(0, len(work), TOGETHER):
            results += await asyncio.gather(*(call() for call in work[start : start + TOGETHER]))
            advance(min(TOGETHER, len(work) - start))
    return results


@contextmanager
def _progress(length: int, label: str, is_shown: bool) -> Iterator[Callable[[int], None]]:
    if not (is_shown and length > TOGETHER):
        yield lambda count: None
    elif sys.stderr.isatty():
        with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
            yield bar.update
    else:
        yield partial(_say_tenths, length, label, count(TOGETHER, TOGETHER))


def _say_tenths(length: int, label: str, done: Iterator[int], _: int) -> None:
    """Progress in a log: a line for every tenth of the way."""
    reached = min(next(done), length)
    if reached * 10 // length > (reached - TOGETHER) * 10 // length:
        click.echo(f"jwtauth: {label}: {reached} of {length}", err=True)


def _show(plan: Plan, *, is_final: bool, is_dry_run: bool, as_json: bool) -> None:
    new = len(plan.users) + len(plan.clients)
    counts = {
        "dry_run": is_dry_run,
        "rows": plan.rows,
        "imported": new if is_final else 0,
        "to_import": 0 if is_final or plan.problems else new,
        "joined": len(plan.joins) if is_final else 0,
        "to_join": 0 if is_final or plan.problems else len(plan.joins),
        "skipped": plan.skipped,
    }
    if as_json:
        show_json({**counts, "problems": plan.problems, "notes": plan.notes})
        return
    for line in (*plan.problems, *plan.notes):
        click.echo(f"jwtauth: {line}", err=True)
    if not plan.problems:
        show_one(counts, as_json=False)
