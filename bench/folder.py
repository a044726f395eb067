"""An initialised folder as an operator has it, with the clients and the grants that the workloads need."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jwtauth import settings
from jwtauth.cli.running import with_store
from jwtauth.cli.setup import initialise
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.sealer import Sealer
from jwtauth.protocol import client_auth
from jwtauth.protocol.records import (
    Client,
    ClientSecret,
    Grant,
    GrantType,
    NewGrant,
    Pointer,
    Realm,
    SecretKind,
    User,
)
from jwtauth.settings import Source
from jwtauth.store.ports import Store

SECRET: Final = "x8Jb1cW7rTq0uYvN3mZkPfHsLdGe5a2Q9iOwRnBtXyM"
"""The secret of every client here, as long as those that `jwtauth client create` generates."""

SERVICE: Final = "service"
"""Gets tokens for itself."""
REPORTER: Final = "reporter"
"""Asks about tokens of others in its realm."""
APPLICATION: Final = "application"
"""Refreshes."""

SCOPE: Final = ("read", "write")
LIFE_IN: Final = 2_592_000


class Folder:
    """A folder with its own port, key and database."""

    def __init__(self, path: Path, *, port: int, algorithm: str = "ES256") -> None:
        """Initialise it, and register three clients and a person."""
        path.mkdir(parents=True)
        (path / settings.FILE_NAME).write_text(
            f'port = {port}\naccess_token_algorithm = "{algorithm}"\n', encoding="utf-8"
        )
        self.path = path
        self.port = port
        initialise(self.source, now=int(time.time()))
        with_store(self.source, _register)

    @property
    def source(self) -> Source:
        """The settings as the server reads them."""
        return settings.load(self.path, {})

    @property
    def issuer(self) -> str:
        """The issuer identifier."""
        return self.source.settings.issuer

    def audience(self) -> str:
        """What tokens of the built-in realm carry in `aud`."""

        async def work(store: Store) -> str:
            return (await store.administration.realms())[0].audience

        return with_store(self.source, work)

    def start_grants(self, count: int, *, expires_in: int = LIFE_IN, ends_in: int = 12 * LIFE_IN) -> tuple[bytes, ...]:
        """Let the person allow the application so many grants; returns the refresh token of each."""

        async def work(store: Store) -> Sequence[bytes]:
            client, user = await store.directory.client(APPLICATION), await store.directory.user(1)
            assert client is not None
            assert user is not None
            sealer = self.sealer(epoch=store.epoch)
            now = int(time.time())
            new = NewGrant(
                client_id=client.id,
                client_epoch=client.epoch,
                user_id=user.id,
                user_epoch=user.epoch,
                scope=SCOPE,
                secret_number=sealer.current_number,
                expires_at=now + expires_in,
                ends_at=now + ends_in,
            )
            grants = await asyncio.gather(*(store.grants.start(new, now=now) for _ in range(count)))
            return [refresh_token(sealer, grant) for grant in grants]

        return tuple(with_store(self.source, work))

    def sealer(self, *, epoch: int) -> Sealer:
        """What makes this folder's refresh tokens."""
        return Sealer(KeyFolder(self.source.keys).read_secrets(), epoch=epoch)


def refresh_token(sealer: Sealer, grant: Grant | None) -> bytes:
    """The valid refresh token of a grant."""
    assert grant is not None
    pointer = Pointer(grant_id=grant.id, generation=grant.generation, secret_number=grant.secret_number)
    return sealer.refresh_token(pointer).encode("ascii")


def client(client_id: str, realm: Realm, *grant_types: GrantType) -> Client:
    """A confidential client that is not stored yet."""
    return Client(
        id=0,
        client_id=client_id,
        realm=realm,
        secrets=(ClientSecret(kind=SecretKind.GENERATED, digest=client_auth.digest(SECRET), created_at=0),),
        grant_types=grant_types,
        scope=SCOPE,
    )


async def _register(store: Store) -> None:
    administration = store.administration
    realm = (await administration.realms())[0]
    for made in (
        client(SERVICE, realm, GrantType.CLIENT_CREDENTIALS),
        client(REPORTER, realm, GrantType.CLIENT_CREDENTIALS),
        client(APPLICATION, realm, GrantType.PASSWORD, GrantType.REFRESH_TOKEN),
    ):
        await administration.create_client(made, now=0)
    person = User(id=1, sub="u.0123456789abcdef", username="ada", roles={realm.name: ("ROLE_USER",)})
    await administration.create_user(person, now=0)
