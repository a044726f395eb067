"""What a file of users or clients comes to, once every row was checked against what is here already."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from jwtauth.cli import lookup, setup
from jwtauth.cli.moving import moved_clients, moved_users, rows
from jwtauth.cli.moving.moved_clients import MovedClient
from jwtauth.cli.moving.moved_users import Join, Joining, MovedUser
from jwtauth.cli.moving.rows import Problem, Row, Table
from jwtauth.cli.running import now, open_keys
from jwtauth.errors import ConfigurationError
from jwtauth.protocol.records import GrantType, Realm, User
from jwtauth.settings import Source
from jwtauth.store.ports import Store

NAMED: Final = 5
"""Of the people who stay outside the realm so many are named."""


class OnConflict(StrEnum):
    """What happens where somebody of that name is here already."""

    REFUSE = "refuse"
    SKIP = "skip"
    JOIN = "join"


class Skipped(Struct, frozen=True, kw_only=True):
    """Who or what is here already and left alone."""

    name: str
    is_outside: bool = False
    """Whether it is a person who is no member of the realm that the others join."""
    note: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be written, or why nothing is."""

    rows: int
    users: Sequence[MovedUser] = ()
    joins: Sequence[Joining] = ()
    clients: Sequence[MovedClient] = ()
    skipped: int = 0
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()


async def of_users(table: Table, join: Join, on_conflict: OnConflict, store: Store) -> Plan:
    """Who of the file is new here, who joins and who is skipped.

    Raises:
        ConfigurationError: there is no realm of that name.
    """
    realms, instant = await store.administration.realms(), now()
    if join.realm is not None:
        lookup.realm(realms, join.realm)
    known = {user.username: user for user in await store.administration.users()}
    met = {} if on_conflict is OnConflict.REFUSE else _met(table.rows, known)
    found = [
        _passed(row, met[row.number], join, realms, on_conflict, now=instant)
        if row.number in met
        else moved_users.read(row, join, realms, now=instant)
        for row in table.rows
    ]
    new = [row for row in table.rows if row.number not in met]
    problems = [
        *(problem for outcome in found if isinstance(outcome, list) for problem in outcome),
        *_taken_users(new, known),
        *rows.repeated(table.rows, "username", moved_users.TYPES),
        *rows.repeated(new, "id", moved_users.TYPES),
    ]
    users = [outcome for outcome in found if isinstance(outcome, MovedUser)]
    joins = [outcome for outcome in found if isinstance(outcome, Joining)]
    skipped = [outcome for outcome in found if isinstance(outcome, Skipped)]
    return Plan(
        rows=len(table),
        users=users,
        joins=joins,
        skipped=len(skipped),
        problems=_in_order(table, problems),
        notes=[
            *(moved.note for moved in users if moved.note),
            *(note for joining in joins for note in joining.notes),
            *(outcome.note for outcome in skipped if outcome.note),
            *_alike(table.rows, known),
            *_outside([outcome.name for outcome in skipped if outcome.is_outside], join.realm),
        ],
    )


async def of_clients(table: Table, realm: str, on_conflict: OnConflict, source: Source, store: Store) -> Plan:
    """Which clients of the file are new here and which are skipped.

    Raises:
        ConfigurationError: there is no realm of that name, or the keys cannot be read.
    """
    realms = await store.administration.realms()
    theirs = lookup.realm(realms, realm)
    known = {client.client_id for client in await store.administration.clients()}
    algorithms = setup.algorithms(open_keys(source))
    longest = source.settings.max_token_lifetime
    new = [
        row
        for row in table.rows
        if on_conflict is OnConflict.REFUSE or rows.value(row, "client_id", moved_clients.TYPES) not in known
    ]
    found = [moved_clients.read(row, theirs, realms, max_token_lifetime=longest) for row in new]
    moved = [outcome for outcome in found if not isinstance(outcome, list)]
    problems = [
        *(problem for outcome in found if isinstance(outcome, list) for problem in outcome),
        *_taken_clients(new, known),
        *rows.repeated(table.rows, "client_id", moved_clients.TYPES),
        *(problem for client in moved for problem in _missing_key(client, algorithms)),
    ]
    return Plan(
        rows=len(table),
        clients=moved,
        skipped=len(table.rows) - len(new),
        problems=_in_order(table, problems),
        notes=[note for client in moved for note in client.notes],
    )


def _met(found: Iterable[Row], known: Mapping[str, User]) -> dict[int, User]:
    """Who is here already, by the number of the row that names them."""
    named = ((row.number, rows.value(row, "username", moved_users.TYPES)) for row in found)
    return {number: known[name] for number, name in named if name in known}


def _passed(
    row: Row, here: User, join: Join, realms: Collection[Realm], on_conflict: OnConflict, *, now: int
) -> Joining | Skipped | list[Problem]:
    """What becomes of a row whose person is here already and keeps the password; no hash of the row is looked at."""
    moved = moved_users.read(row.without("password_hash"), join, realms, now=now)
    if isinstance(moved, list):
        return moved
    if join.realm is None or join.realm in here.roles:
        return Skipped(name=here.username)
    if on_conflict is OnConflict.SKIP:
        return Skipped(name=here.username, is_outside=True)
    if moved.user.disabled_at is not None:
        note = row.problem("username", f"{here.username} is disabled in this file and does not join {join.realm}")
        return Skipped(name=here.username, note=str(note))
    return moved_users.joining(row, moved, here, join.realm)


def _taken_users(new: Iterable[Row], known: Mapping[str, User]) -> Iterator[Problem]:
    """Names that are here already, and ids that are somebody else's; both are one for all realms."""
    owners = {user.id: user.username for user in known.values()}
    for row in new:
        name, number = (rows.value(row, member, moved_users.TYPES) for member in ("username", "id"))
        if name in known:
            remedy = "if it is the same person, --on-conflict join; if not, change the username in the file"
            yield row.problem("username", f"{name} is taken here already; {remedy}")
        if number in owners and owners[number] != name:
            remedy = "--ignore id gives everybody of the file a new one, or change it in this row"
            yield row.problem("id", f"{number} is taken here already, by {owners[number]}; {remedy}")


def _alike(found: Iterable[Row], known: Iterable[str]) -> Iterator[str]:
    """Warnings of usernames that people take for the same, and this service for different ones."""
    seen = {_folded(name): name for name in known}
    for row in found:
        name = rows.value(row, "username", moved_users.TYPES)
        if name is not None and seen.setdefault(_folded(name), name) != name:
            text = f"{name} is not {seen[_folded(name)]}, though they look alike; see that these are two people"
            yield str(row.problem("username", text))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _taken_clients(new: Iterable[Row], known: Collection[str]) -> Iterator[Problem]:
    for row in new:
        name = rows.value(row, "client_id", moved_clients.TYPES)
        if name in known:
            remedy = "leave it alone with --on-conflict skip, or change the client_id in the file"
            yield row.problem("client_id", f"{name} is taken here already; {remedy}")


def _missing_key(moved: MovedClient, present: frozenset[str]) -> Iterator[Problem]:
    if GrantType.AUTHORIZATION_CODE in moved.client.grant_types:
        try:
            setup.require_id_token_key(moved.client, present)
        except ConfigurationError as problem:
            yield moved.row.problem("id_token_algorithm", str(problem))


def _in_order(table: Table, problems: Iterable[Problem]) -> list[Problem]:
    return sorted((*table.problems, *problems), key=lambda problem: problem.row)


def _outside(names: Sequence[str], realm: str | None) -> Iterator[str]:
    """A warning of those who are here and still cannot sign in where the others can."""
    if names:
        some = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        yield (
            f"{len(names)} of the skipped are no members of {realm} and cannot sign in there: {some}; if they are the"
            " same people, run it again with --on-conflict join; if not, import them under other usernames"
        )
