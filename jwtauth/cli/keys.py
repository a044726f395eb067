"""`jwtauth keys`: the life of signing keys and server secrets. Never prints a private part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import asdict

from jwtauth.cli import setup, views
from jwtauth.cli.options import Option, json_option, yes_option
from jwtauth.cli.printing import example, iso, show_json, show_many, show_one
from jwtauth.cli.reporting import audited
from jwtauth.cli.running import now, open_keys, require_keys, with_store
from jwtauth.keyring import jws, rotation, schedule
from jwtauth.keyring.folder import KeyFile, KeyFolder
from jwtauth.keyring.schedule import KeyState, PlannedKey
from jwtauth.observe.events import Event
from jwtauth.settings import Source, load
from jwtauth.store.ports import Store

PUBLISH_MARGIN_IN = 60
"""A new key signs so many seconds after the last cached JWKS has expired: clocks differ."""

_COLUMNS = ("kid", "algorithm", "state", "created_at", "signs_at", "retires_at")
_NOTHING_PLANNED = "Nothing changes by itself; `jwtauth keys rotate` begins a succession."
_KEYS_DIE = "Every token signed with the old keys will be refused as soon as verifiers fetch the JWKS. Go on?"
_READABLE = "Whoever can read the files or a copy of them can then sign tokens. Go on?"
_SECRETS_DIE = "Every refresh token issued so far stops working: people sign in anew. Go on?"


class Step(Struct, frozen=True, kw_only=True):
    """One thing that will happen by itself."""

    at: int
    kid: str
    algorithm: str
    text: str


def _algorithm_option(*, required: bool) -> Option:
    return click.option(
        "--algorithm",
        type=click.Choice(jws.ALGORITHMS),
        required=required,
        help="Which line of keys" + ("." if required else "; that of access tokens unless told."),
    )


@click.group(epilog=example("jwtauth keys list", "jwtauth keys rotate"))
def keys() -> None:
    """Signing keys and server secrets."""


@keys.command("list", epilog=example("jwtauth keys list --json"))
@json_option
@click.pass_obj
def list_(folder: Path, as_json: bool) -> None:
    """List the signing keys with state and dates."""
    show_many([views.of_key(key) for key in _planned(load(folder), now=now())], _COLUMNS, as_json=as_json)


@keys.command(epilog=example("jwtauth keys plan"))
@json_option
@click.pass_obj
def plan(folder: Path, as_json: bool) -> None:
    """Say which key signs now and what will happen when."""
    instant = now()
    planned = _planned(load(folder), now=instant)
    coming = steps(planned, now=instant)
    if as_json:
        show_json([asdict(step) for step in coming])
        return
    for key in planned:
        if key.state is KeyState.SIGNING:
            click.echo(f"now                   {key.dates.algorithm} key {key.dates.kid} signs")
    for step in coming:
        click.echo(f"{iso(step.at)}  {step.algorithm} key {step.kid} {step.text}")
    if not coming:
        click.echo(_NOTHING_PLANNED)


@keys.command(epilog=example("jwtauth keys create --algorithm RS256"))
@_algorithm_option(required=True)
@json_option
@click.pass_obj
def create(folder: Path, algorithm: str, as_json: bool) -> None:
    """Make the first key of an algorithm; it signs at once."""
    source, instant = load(folder), now()

    async def work(store: Store) -> KeyFile:
        key = rotation.create_key(open_keys(source), algorithm, now=instant)
        await store.administration.announce_keys()
        return key

    with audited(source) as book:
        created = with_store(source, work).dates()
        book.write(_event("key.created", f"{algorithm} key {created.kid}, signs from {iso(created.signs_at)}"))
    show_one(asdict(created), as_json=as_json)


@keys.command(
    epilog=example(
        "jwtauth keys rotate",
        "jwtauth keys rotate --algorithm RS256",
        "jwtauth keys rotate --now --yes",
        "jwtauth keys rotate --secret",
    )
)
@_algorithm_option(required=False)
@click.option("--now", "at_once", is_flag=True, help="Emergency: the old ones are deleted and stop working.")
@click.option("--secret", "of_secret", is_flag=True, help="Rotate server.secret instead of a signing key.")
@yes_option
@json_option
@click.pass_obj
def rotate(folder: Path, algorithm: str | None, at_once: bool, of_secret: bool, yes: bool, as_json: bool) -> None:
    """Publish a new key now; it signs once every cached JWKS has expired, so that no verification fails.

    With --secret a new server secret makes refresh tokens from now on, and older ones still prove theirs.
    """
    if of_secret and algorithm:
        raise click.UsageError("--secret and --algorithm: rotate one thing at a time")
    if at_once and not yes:
        click.confirm(_SECRETS_DIE if of_secret else _KEYS_DIE, abort=True, err=True)
    source, instant = load(folder), now()
    line = algorithm or source.settings.access_token_algorithm

    async def work(store: Store) -> dict[str, Any]:
        if of_secret:
            return await _rotate_secret(store, source, at_once=at_once, now=instant)
        return await _rotate_key(store, source, line, at_once=at_once, now=instant)

    with audited(source) as book:
        done = with_store(source, work)
        book.write(_event("secret.rotated" if of_secret else "key.rotated", _told(done)))
    show_one(done, as_json=as_json)


@keys.command(epilog=example("jwtauth keys prune"))
@json_option
@click.pass_obj
def prune(folder: Path, as_json: bool) -> None:
    """Delete signing keys whose tokens are all over, and server secrets that no live grant needs."""
    source, instant = load(folder), now()

    async def work(store: Store) -> dict[str, Any]:
        keys_folder = open_keys(source)
        removed = rotation.remove_retired(
            keys_folder, now=instant, max_token_lifetime=source.settings.max_token_lifetime
        )
        stored = await setup.settle_secrets(store, keys_folder)
        newest = max(secret.number for secret in stored.secrets)
        oldest = await store.grants.oldest_secret_number()
        needed = [secret.number for secret in stored.secrets if secret.number >= min(newest, oldest or newest)]
        dropped = await _drop_secrets(store, keys_folder, [secret.number for secret in stored.secrets], needed)
        await store.administration.announce_keys()
        return {"removed_keys": [key.kid for key in removed], "removed_secrets": dropped}

    with audited(source) as book:
        done = with_store(source, work)
        book.write(_event("keys.pruned", _told(done)))
    show_one(done, as_json=as_json)


@keys.command(epilog=example("jwtauth keys encrypt"))
@json_option
@click.pass_obj
def encrypt(folder: Path, as_json: bool) -> None:
    """Encrypt the files of the keys folder with the passphrase that the setting keys_passphrase names.

    A service that runs with that setting goes on; keys that are made later are encrypted at once.
    """
    source = load(folder)
    with audited(source) as book:
        done = {"encrypted": open_keys(source).encrypt()}
        book.write(_event("keys.encrypted", _told(done)))
    show_one(done, as_json=as_json)


@keys.command(epilog=example("jwtauth keys decrypt"))
@yes_option
@json_option
@click.pass_obj
def decrypt(folder: Path, yes: bool, as_json: bool) -> None:
    """Write the files of the keys folder as they are without a passphrase; then remove the setting."""
    if not yes:
        click.confirm(_READABLE, abort=True, err=True)
    source = load(folder)
    with audited(source) as book:
        done = {"decrypted": open_keys(source).decrypt()}
        book.write(_event("keys.decrypted", _told(done)))
    show_one(done, as_json=as_json)


def _event(name: str, told: str) -> Event:
    return Event(name=name, at=now(), reason=told)


def _told(done: Mapping[str, Any]) -> str:
    """What a command did, as its one line in the audit log: in words, without what there is none of."""
    parts = (f"{name.removesuffix('_at').replace('_', ' ')} {_words(name, done[name])}" for name in done if done[name])
    return ", ".join(parts) or "nothing to do"


def _words(name: str, value: object) -> str:
    match value:
        case int() if name.endswith("_at"):
            return iso(value)
        case list() | tuple():
            return " ".join(map(str, value))
        case _:
            return str(value)


def steps(planned: list[PlannedKey], *, now: int) -> list[Step]:
    """What will happen after `now`, in order of time."""
    coming = [_step(key, key.dates.signs_at, "begins to sign") for key in planned]
    coming += [
        _step(key, key.retires_at, "leaves the JWKS; `jwtauth keys prune` may delete it")
        for key in planned
        if key.retires_at is not None
    ]
    return sorted((step for step in coming if step.at > now), key=lambda step: (step.at, step.kid))


def _step(key: PlannedKey, at: int, text: str) -> Step:
    return Step(at=at, kid=key.dates.kid, algorithm=key.dates.algorithm, text=text)


def _planned(source: Source, *, now: int) -> list[PlannedKey]:
    dates = [record.dates() for record, _ in require_keys(source).read_keys()]
    return schedule.plan(dates, now=now, max_token_lifetime=source.settings.max_token_lifetime)


async def _rotate_key(store: Store, source: Source, algorithm: str, *, at_once: bool, now: int) -> dict[str, Any]:
    folder = open_keys(source)
    removed: list[KeyFile] = []
    if at_once:
        new, removed = rotation.replace_now(folder, algorithm, now=now)
    else:
        publish_in = source.settings.jwks_max_age + PUBLISH_MARGIN_IN
        new = rotation.rotate(folder, algorithm, now=now, publish_in=publish_in)
    await store.administration.announce_keys()
    return {**asdict(new.dates()), "removed_keys": [key.kid for key in removed], **_succession(source, new, now=now)}


def _succession(source: Source, new: KeyFile, *, now: int) -> dict[str, Any]:
    """Which key signs until the new one does, and when it leaves the JWKS."""
    line = [key for key in _planned(source, now=now) if key.dates.algorithm == new.algorithm]
    before = [key for key in line if key.state is KeyState.SIGNING and key.dates.kid != new.kid]
    return {
        "old_kid": before[0].dates.kid if before else None,
        "old_key_retires_at": before[0].retires_at if before else None,
    }


async def _rotate_secret(store: Store, source: Source, *, at_once: bool, now: int) -> dict[str, Any]:
    """Write the file before its fingerprint: a fingerprint without its secret would keep the service from starting."""
    folder = open_keys(source)
    older = [secret.number for secret in (await setup.settle_secrets(store, folder)).secrets]
    new = rotation.add_secret(folder, now=now)
    await setup.settle_secrets(store, folder)
    dropped = await _drop_secrets(store, folder, older, []) if at_once else []
    await store.administration.announce_keys()
    return {"secret_number": new.number, "created_at": new.created_at, "removed_secrets": dropped}


async def _drop_secrets(store: Store, folder: KeyFolder, known: list[int], needed: list[int]) -> list[int]:
    """Forget fingerprints before their secrets, for the same reason the other way round."""
    dropped = [number for number in known if number not in needed]
    if dropped:
        await store.administration.forget_secrets(dropped)
        rotation.keep_secrets(folder, needed)
    return dropped
