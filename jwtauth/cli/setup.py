"""Making everything that a service needs before its first token, each part only where it is missing."""

from collections.abc import Iterable
from typing import Final

from jwtauth.cli.reporting import Book
from jwtauth.cli.running import open_keys, with_store
from jwtauth.errors import ConfigurationError
from jwtauth.keyring import rotation, secrets
from jwtauth.keyring.folder import SECRET_FILE, KeyFile, KeyFolder, SecretFile
from jwtauth.observe.events import Event
from jwtauth.protocol import id_token, registration
from jwtauth.protocol.records import DEFAULT_ACCESS_TOKEN_IN, Client, Realm
from jwtauth.settings import Source
from jwtauth.store.ports import Store
from jwtauth.store.sqlite import connection

BUILT_IN_REALM = "default"
"""The realm that every installation begins with."""

ID_TOKEN_ALGORITHM: Final = id_token.ALGORITHMS[0]
"""What signs ID tokens of clients that registered nothing else."""


def initialise(source: Source, *, now: int) -> None:
    """Make the database, server.secret, signing keys and the built-in realm; what exists stays as it is.

    A new database beside old keys is another time line: nothing that was issued before may mean anything in it, as it
    knows nothing of what was revoked or used.

    Raises:
        ConfigurationError: a file is unsafe or damaged, or a server secret that the database knows is gone.
    """
    was_lost = bool(open_keys(source).stamp())  # where the database is new and the keys are not
    connection.prepare(source.database, epoch=now if was_lost else connection.FIRST_EPOCH)

    async def work(store: Store) -> list[KeyFile]:
        folder = open_keys(source)
        access_token_algorithm = source.settings.access_token_algorithm
        present = algorithms(folder) if folder.path.is_dir() else frozenset[str]()
        _refuse_lost_keys(store, folder, access_token_algorithm, present)
        await _ensure_secret(store, folder, now=now)
        missing = {access_token_algorithm, ID_TOKEN_ALGORITHM} - present
        made = await _ensure_keys(store, folder, missing, now=now)
        await _ensure_realm(store, source, now=now)
        return made

    made = with_store(source, work)
    with Book(source) as book:
        for key in made:
            book.write(Event(name="key.created", at=now, reason=f"{key.algorithm} key {key.kid}, by the set-up"))


async def settle_secrets(store: Store, folder: KeyFolder) -> SecretFile:
    """The server secrets, each known to the database: what a crash left out between file and database is made up.

    Raises:
        ConfigurationError: a secret that the database knows is missing or was replaced.
    """
    known = store.administration.fingerprints()
    if known and not (folder.path / SECRET_FILE).exists():
        secrets.check_fingerprints(SecretFile(secrets=()), known)
    stored = folder.read_secrets()
    secrets.check_fingerprints(stored, known)
    for secret in stored.secrets:
        if secret.number not in known:
            await store.administration.remember_secret(secret.number, secrets.fingerprint(secret))
    return stored


def default_audience(source: Source, realm: str) -> str:
    """The audience of a realm for which none was named."""
    return f"{source.settings.issuer}/realms/{realm}"


def algorithms(folder: KeyFolder) -> frozenset[str]:
    """The algorithms for which the folder has a key.

    Raises:
        ConfigurationError: the folder or a file is missing, unsafe or damaged.
    """
    return frozenset(record.algorithm for record in folder.read_records())


def require_id_token_key(client: Client, present: frozenset[str]) -> None:
    """Let a client pass whose ID tokens a present key can sign.

    Raises:
        ConfigurationError: there is none; the message has the command that makes it.
    """
    algorithm = client.id_token_algorithm
    if algorithm not in present:
        raise ConfigurationError(
            f"client {client.client_id}: there is no {algorithm} key for its ID tokens; run"
            f" `jwtauth keys create --algorithm {algorithm}`"
        )


def _refuse_lost_keys(store: Store, folder: KeyFolder, algorithm: str, present: frozenset[str]) -> None:
    """Let a database pass that has a key for access tokens, or was just made.

    An installation of an earlier version has no key for ID tokens yet; one that has nothing else lost its other key.

    Raises:
        ConfigurationError: it was set up before and has no such key now: nothing is ever silently regenerated.
    """
    was_set_up = bool(store.administration.fingerprints())
    has_key = algorithm in present or present - {ID_TOKEN_ALGORITHM}
    if was_set_up and folder.path.is_dir() and not has_key:
        raise ConfigurationError(
            f"{folder.path} has no signing key for access tokens, but this database was set up with one; restore the"
            " folder from its backup with `jwtauth restore FILE --secrets FILE2`, or make a new key with"
            f" `jwtauth keys create --algorithm {algorithm}` and let everybody get new tokens"
        )


async def _ensure_secret(store: Store, folder: KeyFolder, *, now: int) -> None:
    """Create server.secret only for a database that has never seen one: it is never regenerated."""
    if not (folder.path / SECRET_FILE).exists() and not store.administration.fingerprints():
        rotation.create_secret(folder, now=now)
    await settle_secrets(store, folder)


async def _ensure_keys(store: Store, folder: KeyFolder, missing: Iterable[str], *, now: int) -> list[KeyFile]:
    made = [rotation.create_key(folder, algorithm, now=now) for algorithm in sorted(missing)]
    if made:
        await store.administration.announce_keys()
    return made


async def _ensure_realm(store: Store, source: Source, *, now: int) -> None:
    realms = await store.administration.realms()
    if any(realm.name == BUILT_IN_REALM for realm in realms):
        return
    longest = source.settings.max_token_lifetime
    realm = Realm(
        id=0,
        name=BUILT_IN_REALM,
        audience=default_audience(source, BUILT_IN_REALM),
        access_token_in=min(DEFAULT_ACCESS_TOKEN_IN, longest),
    )
    registration.check_realm(realm, realms, max_token_lifetime=longest)
    await store.administration.create_realm(realm, now=now)
