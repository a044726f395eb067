"""The sample data of an older system, in a realm that speaks its dialect (`jwtauth dev --dialect`)."""

from collections.abc import Iterable

from msgspec.structs import replace

from jwtauth.cli import prompts
from jwtauth.cli.setup import default_audience
from jwtauth.dialects.dialect import Dialect, Sample
from jwtauth.errors import ConfigurationError
from jwtauth.protocol import client_auth, registration
from jwtauth.protocol.records import Client, ClientSecret, Realm, SecretKind, User
from jwtauth.settings import Settings, Source
from jwtauth.store.ports import Administration, Store


async def seed(store: Store, *, dialect: Dialect, sample: Sample, source: Source, now: int) -> None:
    """Add the sample's realm, clients and users where they are missing.

    Raises:
        ConfigurationError: the folder holds accounts that are not of this sample.
    """
    administration = store.administration
    clients, users = await administration.clients(), await administration.users()
    require_own(
        clients,
        users,
        names={*(client.client_id for client, _ in sample.clients), *(found.user.username for found in sample.users)},
    )
    realm = await _settle_realm(administration, dialect, sample, source, now=now)
    known = {*(client.client_id for client in clients), *(user.username for user in users)}
    for client, secret in sample.clients:
        if client.client_id not in known:
            new = replace(client, realm=realm, secrets=_secrets(secret, now=now), is_demo=True)
            await administration.create_client(new, now=now)
    for person in sample.users:
        if person.user.username not in known:
            await administration.create_user(_user(person.user, person.password, source.settings, now=now), now=now)


def require_own(clients: Iterable[Client], users: Iterable[User], *, names: Iterable[str]) -> None:
    """Let a folder pass in which there is nobody yet, or only who is in a demonstration.

    Raises:
        ConfigurationError: somebody else is there.
    """
    accounts = [
        *((client.client_id, client.is_demo) for client in clients),
        *((user.username, user.is_demo) for user in users),
    ]
    if not all(is_demo for _, is_demo in accounts):
        raise ConfigurationError("this folder's database is in real use; run `jwtauth dev` in an empty folder")
    others = {name for name, _ in accounts}.difference(names)
    if others:
        raise ConfigurationError(
            f"this folder's database holds another demonstration, with {min(others)}; run `jwtauth dev` in an empty"
            " folder"
        )


async def _settle_realm(
    administration: Administration, dialect: Dialect, sample: Sample, source: Source, *, now: int
) -> Realm:
    """The sample's realm, whose audience follows the issuer's port."""
    realms = await administration.realms()
    audience = default_audience(source, dialect.name)
    settings = {"roles": sample.roles, **dialect.realm, "dialect": dialect.name, "is_demo": True}
    wanted = Realm(id=0, name=dialect.name, audience=audience, **settings)
    registration.check_realm(
        wanted, realms, max_token_lifetime=source.settings.max_token_lifetime, dialects=(dialect.name,)
    )
    for known in realms:
        if known.name == wanted.name:
            changed = replace(wanted, id=known.id)
            await administration.change_realm(changed, now=now)
            return changed
    return await administration.create_realm(wanted, now=now)


def _secrets(secret: str | None, *, now: int) -> tuple[ClientSecret, ...]:
    if secret is None:
        return ()
    return (ClientSecret(kind=SecretKind.GENERATED, digest=client_auth.digest(secret), created_at=now),)


def _user(user: User, password: str, settings: Settings, *, now: int) -> User:
    return replace(user, password_hash=prompts.hashed(settings, password), updated_at=now, is_demo=True)
