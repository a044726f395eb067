"""Rows of realms, clients and users as records, and back; and requested claims, which several tables have.

What is asked for by value has a column of its own; every other setting is a member of one JSON column, so that a new
setting needs no migration.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from jwtauth.protocol.profile import Profile
from jwtauth.protocol.records import Client, ClientSecret, Realm, RequestedClaims, User

REALM_COLUMNS: Final = "realms.id, realms.name, realms.audience, realms.disabled_at, realms.is_demo, realms.settings"
CLIENT_COLUMNS: Final = (
    "clients.id, clients.client_id, clients.epoch, clients.disabled_at, clients.is_demo, clients.secrets,"
    f" clients.settings, {REALM_COLUMNS}"
)
USER_COLUMNS: Final = (
    "users.id, users.sub, users.username, users.password_hash, users.epoch, users.disabled_at, users.is_demo,"
    " users.profile, users.updated_at,"
    " (SELECT json_group_object(realms.name, json(members.roles)) FROM members JOIN realms"
    " ON realms.id = members.realm_id WHERE members.user_id = users.id)"
)

_REALM_APART: Final = frozenset({"id", "name", "audience", "disabled_at", "is_demo"})
_CLIENT_APART: Final = frozenset({"id", "client_id", "realm", "epoch", "disabled_at", "is_demo", "secrets"})
_SECRETS: Final = msgspec.json.Decoder(tuple[ClientSecret, ...])
_ROLES: Final = msgspec.json.Decoder(dict[str, tuple[str, ...]])
_PROFILE: Final = msgspec.json.Decoder(Profile)
_CLAIMS: Final = msgspec.json.Decoder(RequestedClaims)
_NO_CLAIMS: Final = RequestedClaims()


def realm(row: tuple[Any, ...]) -> Realm:
    """The realm in a row of REALM_COLUMNS."""
    realm_id, name, audience, disabled_at, is_demo, settings = row
    return msgspec.convert(
        {
            **msgspec.json.decode(settings),
            "id": realm_id,
            "name": name,
            "audience": audience,
            "disabled_at": disabled_at,
            "is_demo": bool(is_demo),
        },
        Realm,
    )


def client(row: tuple[Any, ...], realm_of: Callable[[tuple[Any, ...]], Realm] = realm) -> Client:
    """The client in a row of CLIENT_COLUMNS; `realm_of` may know the realm in its columns already."""
    row_id, client_id, epoch, disabled_at, is_demo, secrets, settings = row[:7]
    decoded = msgspec.convert(
        {
            **msgspec.json.decode(settings),
            "id": row_id,
            "client_id": client_id,
            "realm": {"id": 0, "name": "", "audience": ""},
            "epoch": epoch,
            "disabled_at": disabled_at,
            "is_demo": bool(is_demo),
        },
        Client,
    )
    return msgspec.structs.replace(decoded, realm=realm_of(row[7:]), secrets=_SECRETS.decode(secrets))


def user(row: tuple[Any, ...]) -> User:
    """The user in a row of USER_COLUMNS."""
    user_id, sub, username, password_hash, epoch, disabled_at, is_demo, profile, updated_at, roles = row
    return User(
        id=user_id,
        sub=sub,
        username=username,
        password_hash=password_hash,
        epoch=epoch,
        roles=_ROLES.decode(roles),
        profile=_PROFILE.decode(profile),
        updated_at=updated_at,
        disabled_at=disabled_at,
        is_demo=bool(is_demo),
    )


def requested_claims(column: str | None) -> RequestedClaims:
    """The requested claims in a column; NULL where none are, as almost always."""
    return _NO_CLAIMS if column is None else _CLAIMS.decode(column)


def realm_settings(record: Realm) -> str:
    """The JSON column of a realm."""
    return _settings(record, _REALM_APART)


def client_settings(record: Client) -> str:
    """The JSON column of a client."""
    return _settings(record, _CLIENT_APART)


def secrets(record: tuple[ClientSecret, ...]) -> str:
    """The secrets column of a client."""
    return msgspec.json.encode(record).decode()


def roles(record: tuple[str, ...]) -> str:
    """The roles column of a member."""
    return msgspec.json.encode(record).decode()


def profile(record: Profile) -> str:
    """The profile column of a user."""
    return msgspec.json.encode(record).decode()


def claims(record: RequestedClaims) -> str | None:
    """The claims column of a grant or a consent."""
    return msgspec.json.encode(record).decode() if record else None


def _settings(record: msgspec.Struct, apart: frozenset[str]) -> str:
    members = {name: value for name, value in msgspec.structs.asdict(record).items() if name not in apart}
    return msgspec.json.encode(members).decode()
