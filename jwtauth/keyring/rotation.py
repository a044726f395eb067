"""Creating and rotating signing keys and server secrets in the keys folder."""

from collections.abc import Collection

from jwtauth.errors import ConfigurationError
from jwtauth.keyring import jws, schedule, secrets
from jwtauth.keyring.folder import SECRET_FILE, KeyFile, KeyFolder, SecretFile, StoredSecret
from jwtauth.keyring.schedule import KeyState


def create_key(folder: KeyFolder, algorithm: str, *, now: int) -> KeyFile:
    """The first key of an algorithm: it signs at once.

    Raises:
        ConfigurationError: there is one already; rotate it instead.
    """
    if folder.path.is_dir() and any(record.algorithm == algorithm for record, _ in folder.read_keys()):
        raise ConfigurationError(f"there is an {algorithm} key already; run `jwtauth keys rotate` to replace it")
    return folder.write_key(jws.generate(algorithm), created_at=now, signs_at=now)


def rotate(folder: KeyFolder, algorithm: str, *, now: int, publish_in: int) -> KeyFile:
    """A successor that is published now and signs after `publish_in` seconds, when every cached JWKS has expired.

    Raises:
        ConfigurationError: there is no key of that algorithm, or a successor is waiting already.
    """
    line = [record for record, _ in folder.read_keys() if record.algorithm == algorithm]
    if not line:
        raise ConfigurationError(f"there is no {algorithm} key; run `jwtauth keys create --algorithm {algorithm}`")
    waiting = [record for record in line if record.signs_at > now]
    if waiting:
        raise ConfigurationError(
            f"key {waiting[0].kid} is published and waits to sign; let it begin first, or rotate with --now"
        )
    return folder.write_key(jws.generate(algorithm), created_at=now, signs_at=now + publish_in)


def replace_now(folder: KeyFolder, algorithm: str, *, now: int) -> tuple[KeyFile, list[KeyFile]]:
    """The emergency path: a new key signs at once and every older key of that algorithm is deleted.

    Every token signed by the old keys is refused as soon as verifiers have fetched the JWKS again.

    Raises:
        ConfigurationError: the folder cannot be read or written.
    """
    old = [record for record, _ in folder.read_keys() if record.algorithm == algorithm]
    new = folder.write_key(jws.generate(algorithm), created_at=now, signs_at=now)
    for record in old:
        folder.remove_key(record)
    return new, old


def withdraw(folder: KeyFolder, kid: str, *, now: int) -> tuple[KeyFile, KeyFile | None]:
    """Take one key out of the folder; where it was the one that signs, a new one signs first.

    Every token that it signed is refused as soon as verifiers have fetched the JWKS again; those of other keys live on.

    Returns:
        The key that is gone, and the new one if one had to be made.

    Raises:
        ConfigurationError: there is no such key, or the folder cannot be written.
    """
    records = {record.kid: record for record, _ in folder.read_keys()}
    lost = records.get(kid)
    if lost is None:
        raise ConfigurationError(f"there is no signing key {kid}; `jwtauth keys list` shows all")
    planned = schedule.plan([record.dates() for record in records.values()], now=now, max_token_lifetime=1)
    signs = any(entry.dates.kid == kid and entry.state is KeyState.SIGNING for entry in planned)
    new = folder.write_key(jws.generate(lost.algorithm), created_at=now, signs_at=now) if signs else None
    folder.remove_key(lost)
    return lost, new


def remove_retired(folder: KeyFolder, *, now: int, max_token_lifetime: int) -> list[KeyFile]:
    """Delete the files of keys whose tokens are all over; returns them."""
    records = {record.kid: record for record, _ in folder.read_keys()}
    planned = schedule.plan(
        [record.dates() for record in records.values()], now=now, max_token_lifetime=max_token_lifetime
    )
    retired = [records[entry.dates.kid] for entry in planned if entry.state is KeyState.RETIRED]
    for record in retired:
        folder.remove_key(record)
    return retired


def create_secret(folder: KeyFolder, *, now: int) -> StoredSecret:
    """The first server secret.

    Raises:
        ConfigurationError: there is a file already: nothing is ever silently regenerated.
    """
    if (folder.path / SECRET_FILE).exists():
        raise ConfigurationError(f"{folder.path / SECRET_FILE} exists already")
    secret = secrets.new_secret(1, now=now)
    folder.write_secrets(SecretFile(secrets=(secret,)))
    return secret


def add_secret(folder: KeyFolder, *, now: int) -> StoredSecret:
    """The next server secret: it makes new refresh tokens at once, older numbers still prove theirs."""
    stored = folder.read_secrets()
    secret = secrets.new_secret(max(known.number for known in stored.secrets) + 1, now=now)
    folder.write_secrets(SecretFile(secrets=(*stored.secrets, secret)))
    return secret


def keep_secrets(folder: KeyFolder, numbers: Collection[int]) -> list[int]:
    """Delete every server secret but these and the newest; returns the numbers that went."""
    stored = folder.read_secrets()
    newest = max(known.number for known in stored.secrets)
    kept = tuple(known for known in stored.secrets if known.number in numbers or known.number == newest)
    folder.write_secrets(SecretFile(secrets=kept))
    return [known.number for known in stored.secrets if known not in kept]
