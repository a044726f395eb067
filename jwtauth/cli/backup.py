"""`jwtauth backup`: a copy of the database beside a running service, and of its secrets in a file of their own."""

from pathlib import Path

import click
from msgspec.structs import asdict

from jwtauth.cli import reporting
from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, show_one
from jwtauth.cli.running import now, open_keys
from jwtauth.errors import ConfigurationError
from jwtauth.keyring import archive
from jwtauth.keyring.folder import SECRET_FILE
from jwtauth.keyring.secrets import check_fingerprints
from jwtauth.observe.events import Event
from jwtauth.settings import Source, load
from jwtauth.store.sqlite import backups

_NEW_FILE = click.Path(dir_okay=False, path_type=Path)
_WARNING = (
    "jwtauth: {path} holds the server secrets and the signing keys: whoever reads it can make tokens. Keep it apart"
    " from the backup of the database"
)


@click.command(
    epilog=example("jwtauth backup /backups/jwtauth.backup", "jwtauth backup monday.backup --secrets /safe/monday.tar")
)
@click.argument("file", type=_NEW_FILE)
@click.option("--secrets", type=_NEW_FILE, metavar="FILE2", help="Copy server.secret and the signing keys there.")
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@json_option
@click.pass_obj
def backup(folder: Path, file: Path, secrets: Path | None, force: bool, as_json: bool) -> None:
    """Copy the database to FILE as of one instant; the service goes on meanwhile.

    Secrets are never in it: they go to a file of their own, and only with --secrets.
    """
    source = load(folder)
    for path in filter(None, (file, secrets)):
        _refuse_to_overwrite(source, path, force=force)
    if secrets is not None and secrets.resolve() == file.resolve():
        raise click.UsageError("--secrets: name another file than that of the database")
    with reporting.Book(source) as book:
        book.open()
        contents = backups.take(source.database, file)
        book.write(Event(name="database.copied", at=now(), reason=f"copied by an operator to {file}"))
        copied = []
        if secrets is not None:
            copied = _copy_secrets(source, file, secrets)
            book.write(Event(name="secrets.copied", at=now(), reason=f"copied by an operator to {secrets}"))
    show_one(
        {
            "file": str(file),
            "bytes": file.stat().st_size,
            **asdict(contents),
            "secrets_file": None if secrets is None else str(secrets),
            "secrets": copied,
        },
        as_json=as_json,
    )


def _refuse_to_overwrite(source: Source, path: Path, *, force: bool) -> None:
    """Let a file pass that is not there yet, or may be replaced and is not part of the service itself.

    Raises:
        ConfigurationError: it is there, or is a file that the service needs.
    """
    database, found = source.database.resolve(), path.resolve()
    own = {database, *(database.with_name(f"{database.name}{suffix}") for suffix in backups.ENDINGS)}
    folders = (folder.resolve() for folder in (source.keys, source.audit) if folder is not None)
    if found in own or any(found.is_relative_to(folder) for folder in folders):
        raise ConfigurationError(f"{path} is where the service keeps its own; name another file")
    if path.exists() and not force:
        raise ConfigurationError(f"{path} exists already; name another file, or replace it with --force")


def _copy_secrets(source: Source, file: Path, secrets: Path) -> list[str]:
    """Copy the keys folder; the secrets in it must be those that the copied database knows.

    Raises:
        ConfigurationError: a file is missing, unsafe or damaged, or a secret was dropped at this very moment.
    """
    folder = open_keys(source)
    contents = folder.contents()
    if SECRET_FILE not in contents:
        folder.read_secrets()
    check_fingerprints(
        folder.decode_secrets(contents[SECRET_FILE], folder.path / SECRET_FILE), backups.fingerprints(file)
    )
    archive.write(contents, secrets)
    click.echo(_WARNING.format(path=secrets), err=True)
    return list(contents)
