"""An empty folder, the command line run in it, and tokens as the service would issue them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from jwtauth.cli.commands import root
from jwtauth.cli.running import with_store
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.keyring import Keyring
from jwtauth.keyring.sealer import Sealer
from jwtauth.protocol import claims, status_list
from jwtauth.protocol.claims import StatusList
from jwtauth.protocol.records import Grant, NewGrant, Permission, Pointer
from jwtauth.settings import Source, load
from jwtauth.store.ports import Store
from tests.support.home import give_rsa_key

Run = Callable[..., Result]


def epoch_of(source: Source) -> int:
    """The epoch of the folder's database."""

    async def work(store: Store) -> int:
        return store.epoch

    return with_store(source, work)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with nothing but settings that make hashes cheap."""
    (tmp_path / "jwtauth.toml").write_text("argon2_memory = 8192\nargon2_passes = 1\n")
    return tmp_path


@pytest.fixture
def source(folder: Path) -> Source:
    return load(folder, {})


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command line to its exit; a traceback fails the test."""

    def call(*arguments: str, text: str | None = None) -> Result:
        result = CliRunner().invoke(root, ["--folder", str(folder), *arguments], input=text, prog_name="jwtauth")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


@pytest.fixture
def read(run: Run) -> Callable[..., Any]:
    """The JSON document that a command prints; it must succeed and print nothing else."""

    def call(*arguments: str, text: str | None = None) -> Any:
        result = run(*arguments, "--json", text=text)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """The one line that a command ends with that an operator has to do something about."""

    def call(*arguments: str, text: str | None = None) -> str:
        result = run(*arguments, text=text)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("jwtauth: ")
        assert result.stderr.count("\n") == 1
        return result.stderr

    return call


@pytest.fixture
def service(run: Run, source: Source) -> Run:
    """`run`, in a folder that `jwtauth init` was run in."""
    give_rsa_key(source.keys, now=int(time.time()))
    assert run("init").exit_code == 0
    return run


@pytest.fixture
def people(service: Run) -> Run:
    """`run`, where client `portal` and user `alice` exist in the realm `default`."""
    service("client", "create", "portal", "--grant-type", "password", "--grant-type", "refresh_token")
    service("user", "create", "alice", "--realm", "default", "--password-stdin", text="wonderland\n")
    return service


@pytest.fixture
def start_grant(people: Run, source: Source) -> Callable[[], Grant]:
    """Start a grant of alice to portal."""

    async def work(store: Store) -> Grant:
        client, user = await store.directory.client("portal"), await store.directory.user_named("alice")
        assert client is not None
        assert user is not None
        now = int(time.time())
        new = NewGrant(
            client_id=client.id,
            client_epoch=client.epoch,
            user_id=user.id,
            user_epoch=user.epoch,
            scope=("read",),
            secret_number=max(secret.number for secret in KeyFolder(source.keys).read_secrets().secrets),
            expires_at=now + 1000,
            ends_at=now + 1000,
        )
        grant = await store.grants.start(new, now=now)
        assert grant is not None
        return grant

    return lambda: with_store(source, work)


@pytest.fixture
def grant_now(source: Source) -> Callable[[Grant], Grant]:
    """The grant as the database has it now."""

    async def find(store: Store, grant_id: int) -> Grant:
        found = await store.grants.get(grant_id)
        assert found is not None
        return found

    return lambda grant: with_store(source, lambda store: find(store, grant.id))


@pytest.fixture
def is_denied(source: Source) -> Callable[[Grant], bool]:
    """Whether verifiers refuse the access tokens of a grant."""

    async def ask(store: Store, position: int) -> bool:
        return store.positions.is_denied(position)

    return lambda grant: with_store(source, lambda store: ask(store, grant.position))


@pytest.fixture
def refresh_token_of(source: Source) -> Callable[[Grant], str]:
    def make(grant: Grant) -> str:
        sealer = Sealer(KeyFolder(source.keys).read_secrets(), epoch=epoch_of(source))
        pointer = Pointer(grant_id=grant.id, generation=grant.generation, secret_number=grant.secret_number)
        return sealer.refresh_token(pointer)

    return make


@pytest.fixture
def access_token_of(source: Source) -> Callable[..., str]:
    """A signed access token of a grant, `age` seconds old and good for ten minutes."""

    def make(grant: Grant, *, age: int = 0, issuer: str = source.settings.issuer) -> str:
        now = int(time.time())
        permission = Permission(
            client_id="portal", subject="u.x", scope=("read",), audience=("a",), authorities=(), lifetime_in=600
        )
        uri = f"{issuer}/oauth/status/{status_list.list_name(grant.position, epoch=epoch_of(source))}"
        status = StatusList(idx=status_list.index(grant.position), uri=uri)
        token = claims.make(permission, issuer=issuer, status=status, jti="one", now=now - age)
        key = Keyring(KeyFolder(source.keys), max_token_lifetime=86_400).signing_key("ES256", now=now)
        return key.sign(msgspec.json.encode(token), typ=claims.TYPE)

    return make
