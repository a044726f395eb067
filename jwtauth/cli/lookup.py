"""Finding what a command names, or saying that it does not exist."""

from collections.abc import Iterable

from jwtauth.errors import ConfigurationError
from jwtauth.protocol.records import Client, Realm, User
from jwtauth.store.ports import Store


async def client(store: Store, client_id: str) -> Client:
    """The client of that client_id.

    Raises:
        ConfigurationError: there is none.
    """
    found = await store.directory.client(client_id)
    if found is None:
        raise ConfigurationError(f"there is no client {client_id}; `jwtauth client list` shows all")
    return found


async def user(store: Store, username: str) -> User:
    """The user of that username.

    Raises:
        ConfigurationError: there is none.
    """
    found = await store.directory.user_named(username)
    if found is None:
        raise ConfigurationError(f"there is no user {username}; `jwtauth user list` shows all")
    return found


def realm(realms: Iterable[Realm], name: str) -> Realm:
    """The realm of that name.

    Raises:
        ConfigurationError: there is none.
    """
    for found in realms:
        if found.name == name:
            return found
    raise ConfigurationError(f"there is no realm {name}; `jwtauth realm list` shows all")
