"""Records as they are shown: everything that was set, nothing that proves anybody's identity."""

from typing import Any

from msgspec.structs import asdict

from jwtauth.keyring.schedule import PlannedKey
from jwtauth.protocol.records import Client, ClientSecret, Realm, User


def of_realm(realm: Realm) -> dict[str, Any]:
    """A realm."""
    return _without(asdict(realm), "id")


def of_client(client: Client) -> dict[str, Any]:
    """A client; of its secrets only how they were made and until when they are valid."""
    return {
        **_without(asdict(client), "id", "epoch"),
        "realm": client.realm.name,
        "secrets": [of_secret(secret) for secret in client.secrets],
    }


def of_secret(secret: ClientSecret) -> dict[str, Any]:
    """A client secret without its digest."""
    return {"kind": secret.kind.value, "created_at": secret.created_at, "expires_at": secret.expires_at}


def of_user(user: User) -> dict[str, Any]:
    """A user; of the password only whether there is one."""
    return {**_without(asdict(user), "epoch", "password_hash"), "has_password": user.password_hash is not None}


def of_key(key: PlannedKey) -> dict[str, Any]:
    """A signing key's public life."""
    return {**asdict(key.dates), "state": key.state.value, "retires_at": key.retires_at}


def _without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}
