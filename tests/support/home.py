"""A folder as an operator has it: keys, database, a realm, clients and users; made anew for each test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from msgspec.structs import replace

from jwtauth import settings
from jwtauth.cli.setup import initialise
from jwtauth.keyring import jws
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.jws import SigningKey
from jwtauth.passwords import Passwords
from jwtauth.protocol import client_auth
from jwtauth.protocol.records import AuthMethod, Client, ClientSecret, GrantType, Realm, SecretKind, User
from jwtauth.settings import Source
from jwtauth.store.ports import Store
from jwtauth.store.sqlite import connection
from jwtauth.store.sqlite.store import SqliteStore

T = TypeVar("T")

SECRET = "a-secret-of-the-tests"
PASSWORD = "correct horse battery staple"
ALL_GRANTS = tuple(GrantType)


def generated_secret(secret: str = SECRET) -> ClientSecret:
    """A stored secret as if we had generated it."""
    return ClientSecret(kind=SecretKind.GENERATED, digest=client_auth.digest(secret), created_at=0)


@lru_cache(maxsize=1)
def rsa_key() -> SigningKey:
    """One RSA key for all homes of a test process: making one takes half a second."""
    return jws.generate("RS256")


def give_rsa_key(keys: Path, *, now: int) -> None:
    """Put the RSA key where `jwtauth init` would make one."""
    KeyFolder(keys).write_key(rsa_key(), created_at=now, signs_at=now)


@lru_cache(maxsize=1)
def empty_database() -> bytes:
    """One database without a row for all homes of a test process: to make one anew takes every migration."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "jwtauth.db"
        connection.prepare(path)
        return path.read_bytes()


def give_database(path: Path) -> None:
    """Put the database where `jwtauth init` would make one, unless it is there."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(empty_database())


class Home:
    """An initialised folder. Cheap password hashes, everything else as shipped."""

    def __init__(self, path: Path, **overrides: Any) -> None:
        overrides = {"argon2_memory": 8_192, "argon2_passes": 1, **overrides}
        self.path = path
        self.path.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} = {_toml(value)}" for name, value in overrides.items()]
        (path / "jwtauth.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        give_rsa_key(self.source.keys, now=int(time.time()))
        give_database(self.source.database)
        initialise(self.source, now=int(time.time()))

    @property
    def source(self) -> Source:
        """The settings as the server reads them."""
        return settings.load(self.path, {})

    def ask(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """What `work` returns, given the open store."""

        async def run() -> T:
            store = SqliteStore(self.source.database, max_token_lifetime=self.source.settings.max_token_lifetime)
            try:
                return await work(store)
            finally:
                store.close()

        return asyncio.run(run())

    def realm(self, name: str = "default", **changes: Any) -> Realm:
        """A realm, created where it is missing, with these settings."""

        async def work(store: Store) -> Realm:
            known = {realm.name: realm for realm in await store.administration.realms()}
            if name not in known:
                realm = Realm(**{"id": 0, "name": name, "audience": f"https://{name}.example", **changes})
                return await store.administration.create_realm(realm, now=0)
            realm = replace(known[name], **changes)
            await store.administration.change_realm(realm, now=0)
            return realm

        return self.ask(work)

    def client(self, client_id: str = "service", **changes: Any) -> Client:
        """A new confidential client with every grant and the scope `read write`, changed as told."""
        realm = changes.pop("realm", None) or self.realm()
        settings = {
            "secrets": (generated_secret(),),
            "grant_types": ALL_GRANTS,
            "scope": ("read", "write"),
            **changes,
        }
        if settings.get("auth_method") is AuthMethod.NONE:
            settings["secrets"] = ()
        client = Client(id=0, client_id=client_id, realm=realm, **settings)
        return self.ask(lambda store: store.administration.create_client(client, now=0))

    def user(self, username: str = "ada", password: str = PASSWORD, **changes: Any) -> User:
        """A new member of the default realm with the role ROLE_USER, changed as told."""
        passwords = Passwords(memory=8_192, passes=1, threads=1, queue=0)
        settings = {"sub": f"u.{username}", "roles": {"default": ("ROLE_USER",)}, **changes}
        user = User(id=settings.pop("id", 0), username=username, password_hash=passwords.hash(password), **settings)
        passwords.close()
        return self.ask(lambda store: store.administration.create_user(user, now=0))


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return f'"{value}"'
        case _:
            return "[" + ", ".join(map(_toml, value)) + "]"
