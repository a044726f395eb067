"""`jwtauth dev --dialect`: the sample data of an older system in an otherwise empty folder."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result
from msgspec.structs import replace

from jwtauth.cli import dev, sample
from jwtauth.cli.running import with_store
from jwtauth.dialects.dialect import Dialect, Sample, SampleUser
from jwtauth.dialects.registry import DIALECTS
from jwtauth.errors import ConfigurationError
from jwtauth.passwords import Passwords
from jwtauth.protocol import client_auth
from jwtauth.protocol.records import AuthMethod, Client, Realm, SecretKind, User
from jwtauth.settings import Source
from jwtauth.store.ports import Store

NOW = 1_800_000_000
NOWHERE = Realm(id=0, name="", audience="")


def commands(url: str) -> list[tuple[str, str]]:
    return [("get a token", f"curl {url}/old/token")]


PLANT = Sample(
    roles=("OPERATOR",),
    clients=(
        (Client(id=0, client_id="pump", realm=NOWHERE, redirect_uris=("https://pump.example/back",)), "abcd"),
        (Client(id=0, client_id="screen", realm=NOWHERE, auth_method=AuthMethod.NONE), None),
    ),
    users=(
        SampleUser(
            user=User(id=42, sub="u.tester", username="tester", roles={"onesait": ("OPERATOR",)}), password="1234"
        ),
    ),
    commands=commands,
)
DIALECT = Dialect(name="onesait", summary="as in the tests", realm={"access_token_in": 43_200}, sample=PLANT)


def seed(source: Source, dialect: Dialect = DIALECT) -> None:
    assert dialect.sample is not None
    with_store(source, partial(sample.seed, dialect=dialect, sample=dialect.sample, source=source, now=NOW))


def found(source: Source) -> tuple[list[Realm], list[Client], list[User]]:
    async def work(store: Store) -> tuple[list[Realm], list[Client], list[User]]:
        administration = store.administration
        return (
            list(await administration.realms()),
            list(await administration.clients()),
            list(await administration.users()),
        )

    return with_store(source, work)


class TestSeed:
    def test_makes_a_realm_that_speaks_the_dialect_with_its_defaults(
        self, service: Callable[..., Result], source: Source
    ) -> None:
        seed(source)
        realm = next(realm for realm in found(source)[0] if realm.name == "onesait")
        assert (realm.dialect, realm.access_token_in, realm.roles) == ("onesait", 43_200, ("OPERATOR",))
        assert realm.audience == "http://127.0.0.1:8000/realms/onesait"
        assert realm.is_demo

    def test_makes_the_clients_with_their_published_secrets(
        self, service: Callable[..., Result], source: Source
    ) -> None:
        seed(source)
        pump, screen = found(source)[1]
        assert (pump.realm.name, screen.realm.name) == ("onesait", "onesait")
        assert [(secret.kind, secret.digest) for secret in pump.secrets] == [
            (SecretKind.GENERATED, client_auth.digest("abcd"))
        ]
        assert screen.secrets == ()
        assert pump.is_demo
        assert screen.is_demo

    def test_makes_the_people_with_their_numbers_and_published_passwords(
        self, service: Callable[..., Result], source: Source
    ) -> None:
        seed(source)
        (tester,) = found(source)[2]
        assert (tester.id, tester.username, tester.roles) == (42, "tester", {"onesait": ("OPERATOR",)})
        assert tester.is_demo
        passwords = Passwords(memory=8_192, passes=1, threads=1, queue=0)
        assert asyncio.run(passwords.verify(tester.password_hash, "1234"))
        passwords.close()

    def test_changes_nothing_when_it_is_run_again(self, service: Callable[..., Result], source: Source) -> None:
        seed(source)
        before = found(source)
        seed(source)
        assert found(source) == before

    def test_follows_the_issuer(self, service: Callable[..., Result], source: Source) -> None:
        seed(source)
        seed(replace(source, settings=replace(source.settings, issuer="http://127.0.0.1:9000")))
        assert "http://127.0.0.1:9000/realms/onesait" in [realm.audience for realm in found(source)[0]]

    def test_refuses_a_folder_in_real_use(self, people: Callable[..., Result], source: Source) -> None:
        before = found(source)
        with pytest.raises(ConfigurationError, match="in real use"):
            seed(source)
        assert found(source) == before

    def test_refuses_a_folder_with_another_demonstration(self, service: Callable[..., Result], source: Source) -> None:
        seed(source)
        other = Sample(clients=(), users=(), commands=commands)
        with pytest.raises(ConfigurationError, match="another demonstration, with pump"):
            seed(source, Dialect(name="skyvault", summary="as in the tests", sample=other))
        with pytest.raises(ConfigurationError, match="another demonstration, with pump"):
            with_store(source, partial(dev._seed, source=source, now=NOW))


class TestTheSamples:
    @pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.sample])
    def test_can_be_seeded_and_are_refused_by_serve(
        self, service: Callable[..., Result], source: Source, folder: Path, refused: Callable[..., str], name: str
    ) -> None:
        seed(source, DIALECTS[name])
        assert name in {realm.name for realm in found(source)[0]}
        assert "was made by `jwtauth dev`" in refused("serve")
