"""What operators do, written into the audit log: who typed the command, and what came of it."""

import getpass
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from jwtauth.errors import ConfigurationError
from jwtauth.observe.audit import AuditLog
from jwtauth.observe.events import Event
from jwtauth.protocol import redirect_uris
from jwtauth.protocol.records import Client, ClientSecret, Realm, User
from jwtauth.settings import Source
from jwtauth.store.ports import Administration, Directory, Ended

T = TypeVar("T")

_UNTOLD: Final = frozenset({"id", "epoch", "realm", "secrets", "updated_at"})
"""Members of a record that are no settings, or whose change is told of otherwise."""

_CALLED: Final = {"password_hash": "password"}


class Book:
    """The audit log as one command writes it: opened at the first thing worth writing, before that is done."""

    def __init__(self, source: Source) -> None:
        self._folder, self._keep_in = source.audit, source.settings.audit_keep_in
        self._log: AuditLog | None = None

    def open(self) -> None:
        """Make sure that it can be written.

        Raises:
            ConfigurationError: it cannot.
        """
        if self._log is None and self._folder is not None:
            self._log = AuditLog(self._folder, keep_in=self._keep_in)

    def write(self, event: Event) -> None:
        """Write one event, with the person who typed the command."""
        self.open()
        if self._log is not None:
            self._log.hear(replace(event, operator=operator()))

    def __enter__(self) -> "Book":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._log is None:
            return
        self._log.close()
        problem = self._log.problem()
        if problem is not None and kind is None:
            raise ConfigurationError(f"this was done, but is not in the audit log: {problem}; write it down elsewhere")


@contextmanager
def audited(source: Source) -> Iterator[Book]:
    """The audit log for a command that does nothing unless it can be written.

    Raises:
        ConfigurationError: it cannot.
    """
    with Book(source) as book:
        book.open()
        yield book


class Witness:
    """The port `Administration` that writes every change into the audit log."""

    def __init__(self, administration: Administration, directory: Directory, book: Book) -> None:
        self._inner = administration
        self._directory = directory
        self._book = book

    async def realms(self) -> Sequence[Realm]:
        """See `Administration.realms`."""
        return await self._inner.realms()

    async def clients(self, realm: str | None = None) -> Sequence[Client]:
        """See `Administration.clients`."""
        return await self._inner.clients(realm)

    async def users(self, realm: str | None = None) -> Sequence[User]:
        """See `Administration.users`."""
        return await self._inner.users(realm)

    async def create_realm(self, realm: Realm, *, now: int) -> Realm:
        """See `Administration.create_realm`."""
        return await self._done(
            partial(self._inner.create_realm, realm, now=now), _of_realm("realm.created", realm, now)
        )

    async def change_realm(self, realm: Realm, *, now: int) -> None:
        """See `Administration.change_realm`."""
        before = next((known for known in await self._inner.realms() if known.id == realm.id), None)
        event = _with(_changes(before, realm), _of_realm("realm.changed", realm, now))
        await self._done(partial(self._inner.change_realm, realm, now=now), event)

    async def disable_realm(self, realm: Realm, *, now: int) -> int:
        """See `Administration.disable_realm`."""
        return await self._done(
            partial(self._inner.disable_realm, realm, now=now), _of_realm("realm.disabled", realm, now)
        )

    async def enable_realm(self, realm: Realm, *, now: int) -> None:
        """See `Administration.enable_realm`."""
        await self._done(partial(self._inner.enable_realm, realm, now=now), _of_realm("realm.enabled", realm, now))

    async def create_client(self, client: Client, *, now: int) -> Client:
        """See `Administration.create_client`."""
        return await self._done(
            partial(self._inner.create_client, client, now=now), _of_client("client.created", client, now)
        )

    async def change_client(self, client: Client, *, now: int) -> None:
        """See `Administration.change_client`."""
        before = await self._directory.client_numbered(client.id)
        changes = _changes(before, client, redirect_uris=map(redirect_uris.without_query, client.redirect_uris))
        event = _with(changes, _of_client("client.changed", client, now))
        await self._done(partial(self._inner.change_client, client, now=now), event)

    async def disable_client(self, client: Client, *, now: int) -> int:
        """See `Administration.disable_client`."""
        return await self._done(
            partial(self._inner.disable_client, client, now=now), _of_client("client.disabled", client, now)
        )

    async def enable_client(self, client: Client, *, now: int) -> None:
        """See `Administration.enable_client`."""
        await self._done(partial(self._inner.enable_client, client, now=now), _of_client("client.enabled", client, now))

    async def replace_secrets(self, client: Client, secrets: tuple[ClientSecret, ...], *, now: int) -> None:
        """See `Administration.replace_secrets`."""
        change = partial(self._inner.replace_secrets, client, secrets, now=now)
        await self._done(change, _of_client("client.secrets_replaced", client, now))

    async def create_user(self, user: User, *, now: int) -> User:
        """See `Administration.create_user`."""
        self._book.open()
        created = await self._inner.create_user(user, now=now)
        self._book.write(_of_user("user.created", created, now))
        return created

    async def change_user(self, user: User, *, now: int) -> int:
        """See `Administration.change_user`."""
        before = await self._directory.user(user.id)
        event = _with(_changes(before, user), _of_user("user.changed", user, now))
        return await self._done(partial(self._inner.change_user, user, now=now), event)

    async def change_password(self, user: User, password_hash: str, *, now: int) -> Ended | None:
        """See `Administration.change_password`."""
        change = partial(self._inner.change_password, user, password_hash, now=now)
        return await self._done(change, _of_user("password.changed", user, now))

    async def rehash_password(self, user: User, password_hash: str) -> bool:
        """See `Administration.rehash_password`."""
        return await self._inner.rehash_password(user, password_hash)

    async def rehash_secret(self, client: Client, digest: str, better: str) -> bool:
        """See `Administration.rehash_secret`."""
        return await self._inner.rehash_secret(client, digest, better)

    async def disable_user(self, user: User, *, now: int) -> int:
        """See `Administration.disable_user`."""
        return await self._done(partial(self._inner.disable_user, user, now=now), _of_user("user.disabled", user, now))

    async def enable_user(self, user: User, *, now: int) -> None:
        """See `Administration.enable_user`."""
        await self._done(partial(self._inner.enable_user, user, now=now), _of_user("user.enabled", user, now))

    async def announce_keys(self) -> None:
        """See `Administration.announce_keys`."""
        await self._inner.announce_keys()

    def fingerprints(self) -> dict[int, str]:
        """See `Administration.fingerprints`."""
        return self._inner.fingerprints()

    async def remember_secret(self, number: int, fingerprint: str) -> None:
        """See `Administration.remember_secret`."""
        await self._inner.remember_secret(number, fingerprint)

    async def forget_secrets(self, numbers: Sequence[int]) -> None:
        """See `Administration.forget_secrets`."""
        await self._inner.forget_secrets(numbers)

    async def _done(self, change: Callable[[], Awaitable[T]], event: Event) -> T:
        self._book.open()
        result = await change()
        self._book.write(event)
        return result


def operator() -> str:
    """Who typed the command, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _changes(before: Struct | None, after: Struct, **told: Iterable[str]) -> str:
    """The names of the settings that differ, never their values but those that are `told`."""
    if before is None:
        return ""
    names = [name for name in after.__struct_fields__ if name not in _UNTOLD]
    changed = [name for name in names if getattr(before, name) != getattr(after, name)]
    words = (" ".join([_CALLED.get(name, name), *told.get(name, ())]) for name in changed)
    return ", ".join(words) or "nothing new"


def _with(changes: str, event: Event) -> Event:
    return replace(event, reason=": ".join(filter(None, (event.reason, changes))))


def _of_realm(name: str, realm: Realm, now: int) -> Event:
    return Event(name=name, at=now, reason=f"realm {realm.name}")


def _of_client(name: str, client: Client, now: int) -> Event:
    return Event(name=name, at=now, client_id=client.client_id, reason=f"realm {client.realm.name}")


def _of_user(name: str, user: User, now: int) -> Event:
    return Event(name=name, at=now, uid=user.id)
