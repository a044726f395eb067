"""A row of another system as a user of this one."""

from collections.abc import Collection, Mapping
from secrets import token_urlsafe
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, UnsetType

from jwtauth import passwords
from jwtauth.cli.moving.rows import Problem, Row, typed
from jwtauth.errors import ConfigurationError
from jwtauth.passwords import MissingExtra, Taken
from jwtauth.protocol import registration
from jwtauth.protocol.password import MAX_PASSWORD_BYTES
from jwtauth.protocol.profile import Address, Profile
from jwtauth.protocol.records import Realm, User

_ADDRESS: Final = "address."

TYPES: Final[Mapping[str, Any]] = {
    "username": str,
    "password_hash": str,
    "id": Annotated[int, Meta(ge=1, le=2**53 - 1)],  # JSON numbers are exact up to here
    "roles": tuple[str, ...],
    "disabled": bool,
    "enabled": bool,
    **{name: bool if name.endswith("_verified") else str for name in Profile.__struct_fields__},
    "address": Address,
    **{_ADDRESS + name: str for name in Address.__struct_fields__},
}
"""What a row may have. `enabled` is the contrary of `disabled`."""

ALIASES: Final[Mapping[str, str]] = {
    "user_name": "username",
    "password": "password_hash",
    "authorities": "roles",
    "role": "roles",
    "active": "enabled",
    "mail": "email",
    "full_name": "name",
    "first_name": "given_name",
    "last_name": "family_name",
}
"""How other systems call the same; `user_id` is a name in one and a number in another, and so is not here."""


class Join(Struct, frozen=True, kw_only=True):
    """What the command line says of every row."""

    realm: str | None
    """What they join."""
    roles: tuple[str, ...]
    """Their roles there, where a row names none."""
    drops_unknown_hashes: bool
    """Whether a user whose hash cannot be verified here comes without a password."""


class Joining(Struct, frozen=True, kw_only=True):
    """Somebody who is here already and becomes a member of one more realm."""

    username: str
    realm: str
    roles: tuple[str, ...]
    notes: tuple[str, ...] = ()


class MovedUser(Struct, frozen=True, kw_only=True):
    """A user who can be stored once the hash is settled."""

    row: int
    user: User
    password: Taken | None
    note: str = ""


def read(row: Row, join: Join, realms: Collection[Realm], *, now: int) -> MovedUser | list[Problem]:
    """The user whom a row describes, or everything that is wrong with it.

    Raises:
        MissingExtra: there is a hash that only more packages can verify.
    """
    members, problems = typed(row, TYPES)
    if "username" not in row.members:
        problems.append(row.problem("username", "is missing"))
    password, note = None, ""
    try:
        password = _password(members.get("password_hash"))
    except MissingExtra:
        raise
    except ConfigurationError as problem:
        if join.drops_unknown_hashes:
            note = str(row.problem("password_hash", f"{problem}; the user comes without a password"))
        else:
            problems.append(row.problem("password_hash", str(problem)))
    roles = members.get("roles", join.roles)
    if roles and join.realm is None:
        problems.append(row.problem("roles", "are roles in a realm; name it with --realm"))
    if problems:
        return problems
    user = _user(members, {join.realm: roles} if join.realm else {}, now=now)
    try:
        registration.check_user(user, realms)
    except ConfigurationError as problem:
        return [row.problem("", str(problem))]
    return MovedUser(row=row.number, user=user, password=password, note=note)


def joining(row: Row, moved: MovedUser, known: User, realm: str) -> Joining:
    """The membership that a row gives to somebody who is here already; all else here stays as it is."""
    notes = []
    if moved.user.id not in (0, known.id):
        notes.append(row.problem("id", f"{known.username} keeps {known.id}, the one here"))
    if _are_other(moved.user.profile.email, known.profile.email):
        notes.append(row.problem("email", f"is not that of {known.username} here; see that both are the same person"))
    return Joining(
        username=known.username, realm=realm, roles=moved.user.roles[realm], notes=tuple(str(note) for note in notes)
    )


def _are_other(one: str | UnsetType, other: str | UnsetType) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one.casefold() != other.casefold()


def _password(found: str | None) -> Taken | None:
    if found is None:
        return None
    taken = passwords.take(found)
    if not taken.stored and len(taken.hashed.encode()) > MAX_PASSWORD_BYTES:
        raise ConfigurationError(f"is longer than {MAX_PASSWORD_BYTES} bytes; it would never be accepted")
    return taken


def _user(members: Mapping[str, Any], roles: dict[str, tuple[str, ...]], *, now: int) -> User:
    is_disabled = members.get("disabled", not members.get("enabled", True))
    return User(
        id=members.get("id", 0),
        sub=registration.SUBJECT_PREFIX + token_urlsafe(16),
        username=members["username"],
        roles=roles,
        profile=_profile(members),
        updated_at=now,
        disabled_at=now if is_disabled else None,
    )


def _profile(members: Mapping[str, Any]) -> Profile:
    claims = {name: value for name, value in members.items() if name in Profile.__struct_fields__}
    parts = {name.removeprefix(_ADDRESS): value for name, value in members.items() if name.startswith(_ADDRESS)}
    if parts:
        claims["address"] = {**msgspec.to_builtins(claims.get("address", Address())), **parts}
    return msgspec.convert(claims, Profile)
