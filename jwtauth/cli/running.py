"""Running one command: settings read, store opened, one coroutine awaited, store closed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jwtauth.cli.reporting import Book, Witness
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


def with_store(source: Source, work: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """What `work` returns, given the open store, whose changes are audited; it is closed whatever happens."""

    async def run() -> T:
        store = open_store(source)
        with Book(source) as book:
            store.administration = Witness(store.administration, book)
            try:
                return await work(store)
            finally:
                store.close()

    return asyncio.run(run())
