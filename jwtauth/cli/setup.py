"""Making everything that a service needs before its first token, each part only where it is missing."""

from jwtauth.cli.running import with_store
from jwtauth.errors import ConfigurationError
from jwtauth.keyring import rotation, secrets
from jwtauth.keyring.folder import SECRET_FILE, KeyFolder, SecretFile
from jwtauth.protocol import registration
from jwtauth.protocol.records import DEFAULT_ACCESS_TOKEN_IN, Realm
from jwtauth.settings import Source
from jwtauth.store.ports import Store
from jwtauth.store.sqlite import connection

BUILT_IN_REALM = "default"
"""The realm that every installation begins with."""


def initialise(source: Source, *, now: int) -> None:
    """Make the database, server.secret, a signing key and the built-in realm; what exists stays as it is.

    Raises:
        ConfigurationError: a file is unsafe or damaged, or a server secret that the database knows is gone.
    """
    connection.prepare(source.database)

    async def work(store: Store) -> None:
        folder = KeyFolder(source.keys)
        _refuse_lost_keys(store, folder)
        await _ensure_secret(store, folder, now=now)
        await _ensure_key(store, folder, source.settings.access_token_algorithm, now=now)
        await _ensure_realm(store, source, now=now)

    with_store(source, work)


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


def _refuse_lost_keys(store: Store, folder: KeyFolder) -> None:
    """Let a database pass that has its signing keys, or was just made.

    Raises:
        ConfigurationError: it was set up before and has no signing key now: nothing is ever silently regenerated.
    """
    was_set_up = bool(store.administration.fingerprints())
    if was_set_up and folder.path.is_dir() and not folder.read_keys():
        raise ConfigurationError(
            f"{folder.path} has no signing key, but this database was set up with one; restore the folder from its"
            " backup, or make a new key with `jwtauth keys create` and let everybody get new tokens"
        )


async def _ensure_secret(store: Store, folder: KeyFolder, *, now: int) -> None:
    """Create server.secret only for a database that has never seen one: it is never regenerated."""
    if not (folder.path / SECRET_FILE).exists() and not store.administration.fingerprints():
        rotation.create_secret(folder, now=now)
    await settle_secrets(store, folder)


async def _ensure_key(store: Store, folder: KeyFolder, algorithm: str, *, now: int) -> None:
    if any(record.algorithm == algorithm for record, _ in folder.read_keys()):
        return
    rotation.create_key(folder, algorithm, now=now)
    await store.administration.announce_keys()


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
