"""Running one command: settings read, store opened, one coroutine awaited, store closed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jwtauth.cli.reporting import Book, Witness
from jwtauth.errors import ConfigurationError
from jwtauth.keyring.folder import KeyFolder
from jwtauth.settings import Source
from jwtauth.store.sqlite.store import SqliteStore

T = TypeVar("T")


def now() -> int:
    """This instant, in seconds since the epoch."""
    return int(time.time())


def open_store(source: Source) -> SqliteStore:
    """The database of a folder's settings; the caller closes it.

    Raises:
        ConfigurationError: it is missing, unusable, or of another version.
    """
    return SqliteStore(source.database, max_token_lifetime=source.settings.max_token_lifetime)


def open_keys(source: Source) -> KeyFolder:
    """The keys folder of a folder's settings; nothing is read yet but its passphrase.

    Raises:
        ConfigurationError: the passphrase is not where the settings say.
    """
    return KeyFolder(source.keys, passphrase=source.keys_passphrase())


def require_keys(source: Source) -> KeyFolder:
    """The keys folder that a database was used with.

    Raises:
        ConfigurationError: there is a database, and nothing in the folder: making new keys would not bring them back.
    """
    folder = open_keys(source)
    if source.database.exists() and not folder.stamp():
        raise ConfigurationError(
            f"keys folder {folder.path} is gone or empty, and database {source.database} needs what was in it; put that"
            " back from its backup: `jwtauth backup FILE`, then `jwtauth restore FILE --secrets FILE2` (docs/backup.md)"
        )
    return folder


def with_store(source: Source, work: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """What `work` returns, given the open store, whose changes are audited; it is closed whatever happens."""

    async def run() -> T:
        store = open_store(source)
        with Book(source) as book:
            store.administration = Witness(store.administration, store.directory, book)
            try:
                return await work(store)
            finally:
                store.close()

    return asyncio.run(run())
