"""`jwtauth restore`: a backup put back, in a time line in which nothing of before is valid (SECURITY S-07)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from jwtauth.cli import reporting
from jwtauth.cli.options import json_option, yes_option
from jwtauth.cli.printing import example, iso, show_one
from jwtauth.cli.running import now, open_keys
from jwtauth.errors import ConfigurationError
from jwtauth.keyring import archive
from jwtauth.keyring.folder import SECRET_FILE, KeyFolder, SecretFile
from jwtauth.keyring.secrets import check_fingerprints, fingerprints, new_secret
from jwtauth.observe import log
from jwtauth.observe.events import Event
from jwtauth.settings import Source, load
from jwtauth.store.sqlite import restoring
from jwtauth.store.sqlite.backups import Contents
from jwtauth.store.sqlite.restoring import Placed

_OLD_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_REMEDY: Final = (
    "name the backup of your secrets with --secrets, or make a new one with --new-secret: no token of before is valid"
    " after a restore anyway"
)
_RESTART: Final = "jwtauth: there was no database that could be read: restart the service if it is running"


class Chosen(Struct, frozen=True, kw_only=True):
    """The server secrets from now on, and what has to be written into the keys folder for them."""

    secrets: SecretFile
    origin: str
    files: Mapping[str, bytes] = {}


@click.command(
    epilog=example(
        "jwtauth restore /backups/jwtauth.backup",
        "jwtauth restore monday.backup --secrets /safe/monday.tar --yes",
        "jwtauth restore monday.backup --new-secret",
    )
)
@click.argument("file", type=_OLD_FILE)
@click.option("--secrets", type=_OLD_FILE, metavar="FILE2", help="Put server.secret, and keys that are lost, back too.")
@click.option("--new-secret", is_flag=True, help="Make a new server.secret: the old one is lost for good, or leaked.")
@yes_option
@json_option
@click.pass_obj
def restore(folder: Path, file: Path, secrets: Path | None, new_secret: bool, yes: bool, as_json: bool) -> None:
    """Replace the database by the backup FILE and end everything that was issued until now.

    Realms, clients, users, passwords and consents are then as of the backup. Nobody stays signed in, and no code, token
    or status list of before is valid again. A running service goes on by itself.
    """
    if new_secret and secrets is not None:
        raise click.UsageError("--new-secret and --secrets: choose one")
    source = load(folder)
    if file.resolve() == source.database.resolve():
        raise ConfigurationError(f"{file} is the database itself; name a backup of it")
    keys = open_keys(source)
    with reporting.Book(source) as book, restoring.copied(file, source.database) as copy:
        chosen = _chosen(keys, secrets, copy.fingerprints(), is_new=new_secret)
        if not yes:
            click.confirm(_question(source, file, copy.contents, chosen), abort=True, err=True)
        book.open()
        with keys.replacing(chosen.files):
            placed = copy.put_in_place(fingerprints(chosen.secrets), now=now())
        event = _event(file, placed)
        book.write(event)
    log.configure(source.settings.log_format)
    log.write(event)
    show_one(_record(source, file, copy.contents, chosen, placed), as_json=as_json)
    if not placed.is_seen:
        click.echo(_RESTART, err=True)


def _chosen(keys: KeyFolder, secrets: Path | None, known: Mapping[int, str], *, is_new: bool) -> Chosen:
    """The secrets of the archive, a new one, or those that are there.

    Raises:
        ConfigurationError: they are not those of the backup, or are missing, unsafe or damaged.
    """
    if is_new:
        made = SecretFile(secrets=(new_secret(max(known, default=0) + 1, now=now()),))
        return Chosen(secrets=made, origin="new", files={SECRET_FILE: keys.encode(made)})
    if secrets is not None:
        files = archive.read(secrets)
        found = keys.decode_secrets(files[SECRET_FILE], secrets)
        check_fingerprints(found, known)
        return Chosen(secrets=found, origin=str(secrets), files=_wanted(keys, files, secrets))
    try:
        stored = keys.read_secrets()
        check_fingerprints(stored, known)
    except ConfigurationError as problem:
        raise ConfigurationError(f"{str(problem).partition(';')[0]}; {_REMEDY}") from None
    return Chosen(secrets=stored, origin="kept")


def _wanted(keys: KeyFolder, files: Mapping[str, bytes], origin: Path) -> dict[str, bytes]:
    """The secrets, and the keys of algorithms for which there is none: one that was withdrawn must not come back."""
    present = {record.algorithm for record in keys.read_records()} if keys.path.is_dir() else set[str]()
    lost = {
        name: content
        for name, content in files.items()
        if name != SECRET_FILE and keys.decode_key(content, origin).algorithm not in present
    }
    return {SECRET_FILE: files[SECRET_FILE], **lost}


def _question(source: Source, file: Path, contents: Contents, chosen: Chosen) -> str:
    newest = f"the newest grant in it is of {iso(contents.newest_grant_at)}" if contents.grants else "without a grant"
    written = f" {', '.join(chosen.files)} in {source.keys} will be replaced." if chosen.files else ""
    return (
        f"This replaces {source.database} by {file}: {contents.users} users, {contents.clients} clients, {newest}."
        f"{written} What was registered or changed since is lost, and everybody has to sign in again. Go on?"
    )


def _record(source: Source, file: Path, contents: Contents, chosen: Chosen, placed: Placed) -> dict[str, Any]:
    return {
        "database": str(source.database),
        "file": str(file),
        "realms": contents.realms,
        "clients": contents.clients,
        "users": contents.users,
        "ended_grants": contents.grants,
        "epoch": placed.epoch,
        "secrets": chosen.origin,
        "written_keys": list(chosen.files),
        "kept": None if placed.kept is None else str(placed.kept),
    }


def _event(file: Path, placed: Placed) -> Event:
    reason = f"restored by an operator from {file}; everything issued before epoch {placed.epoch} is over"
    return Event(name="database.restored", at=now(), reason=reason)
