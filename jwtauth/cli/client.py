"""`jwtauth client`: the applications that ask for tokens, and their secrets."""

from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from jwtauth.cli import client_secrets, client_settings, lookup, setup, views
from jwtauth.cli.client_secrets import NewSecret
from jwtauth.cli.client_settings import client_options
from jwtauth.cli.options import given, json_option, required
from jwtauth.cli.printing import example, show_many, show_one
from jwtauth.cli.running import now, with_store
from jwtauth.errors import ConfigurationError
from jwtauth.protocol import registration
from jwtauth.protocol.records import AuthMethod, Client
from jwtauth.settings import Settings, load
from jwtauth.store.ports import Store

_COLUMNS = ("client_id", "realm", "name", "auth_method", "grant_types", "scope", "disabled_at")
_SHOWN_ONCE = "jwtauth: the client_secret is shown only now; store it where the client reads it"

_secret_stdin = click.option("--secret-stdin", is_flag=True, help="Take a chosen secret from standard input.")


@click.group(epilog=example("jwtauth client create portal --scope 'read write'"))
def client() -> None:
    """Clients: the applications that ask for tokens."""


@client.command(
    epilog=example(
        "jwtauth client create reports --scope 'read write'",
        "jwtauth client create shop --redirect-uri https://shop.example/callback --scope 'openid profile email'",
        "jwtauth client create app --public --grant-type password --grant-type refresh_token",
        "jwtauth client create legacy --secret-stdin < secret.txt",
    )
)
@click.argument("client_id")
@click.option("--realm", default=setup.BUILT_IN_REALM, show_default=True, help="The realm it belongs to, for good.")
@client_options
@_secret_stdin
@json_option
@click.pass_obj
def create(folder: Path, /, client_id: str, realm: str, secret_stdin: bool, as_json: bool, **settings: Any) -> None:
    """Make a client; a secret is generated and printed once, unless it is public or you choose one."""
    source, instant, wanted = load(folder), now(), given(client_settings.read(**settings))
    has_secret = wanted.get("auth_method") is not AuthMethod.NONE and not wanted.get("redeemed_by")
    if secret_stdin and not has_secret:
        raise click.UsageError("--secret-stdin: a client that is public or redeemed by another has no secret")
    secret = _new_secret(source.settings, from_stdin=secret_stdin, now=instant) if has_secret else None

    async def work(store: Store) -> Client:
        realms = await store.administration.realms()
        secrets = (secret.record,) if secret else ()
        bare = Client(id=0, client_id=client_id, realm=lookup.realm(realms, realm), secrets=secrets)
        new = client_settings.of_dialect(bare, wanted)
        client_settings.check(new, wanted, realms, source)
        await _require_partner(store, new)
        return await store.administration.create_client(new, now=instant)

    _show_with_secret(views.of_client(with_store(source, work)), secret, as_json=as_json)


@client.command(epilog=example("jwtauth client show reports"))
@click.argument("client_id")
@json_option
@click.pass_obj
def show(folder: Path, client_id: str, as_json: bool) -> None:
    """Show a client with all its settings, never its secrets."""
    found = with_store(load(folder), lambda store: lookup.client(store, client_id))
    show_one(views.of_client(found), as_json=as_json)


@client.command("list", epilog=example("jwtauth client list --realm default --json"))
@click.option("--realm", help="Only those of this realm.")
@json_option
@click.pass_obj
def list_(folder: Path, realm: str | None, as_json: bool) -> None:
    """List clients."""
    clients = with_store(load(folder), lambda store: store.administration.clients(realm))
    show_many([views.of_client(found) for found in clients], _COLUMNS, as_json=as_json)


@client.command(epilog=example("jwtauth client change reports --scope 'read write admin' --access-token-in 600"))
@click.argument("client_id")
@client_options
@json_option
@click.pass_obj
def change(folder: Path, /, client_id: str, as_json: bool, **settings: Any) -> None:
    """Change settings of a client; those not named stay, and so do its grants."""
    source, instant, wanted = load(folder), now(), required(client_settings.read(**settings))

    async def work(store: Store) -> Client:
        known = await lookup.client(store, client_id)
        changed = client_settings.apply(known, wanted)
        client_settings.check(changed, wanted, await store.administration.realms(), source)
        await _require_partner(store, changed)
        await store.administration.change_client(changed, now=instant)
        if changed.secrets != known.secrets:
            await store.administration.replace_secrets(changed, changed.secrets, now=instant)
        return changed

    show_one(views.of_client(with_store(source, work)), as_json=as_json)


@client.command(epilog=example("jwtauth client disable reports"))
@click.argument("client_id")
@json_option
@click.pass_obj
def disable(folder: Path, client_id: str, as_json: bool) -> None:
    """Refuse everything to a client, end its grants and revoke its tokens."""

    async def work(store: Store) -> int:
        return await store.administration.disable_client(await lookup.client(store, client_id), now=now())

    show_one({"client_id": client_id, "grants_ended": with_store(load(folder), work)}, as_json=as_json)


@client.command(epilog=example("jwtauth client enable reports"))
@click.argument("client_id")
@json_option
@click.pass_obj
def enable(folder: Path, client_id: str, as_json: bool) -> None:
    """Let a disabled client work again; what was ended stays ended."""

    async def work(store: Store) -> None:
        await store.administration.enable_client(await lookup.client(store, client_id), now=now())

    with_store(load(folder), work)
    show_one({"client_id": client_id, "enabled": True}, as_json=as_json)


@client.group("secret", epilog=example("jwtauth client secret rotate reports"))
def secret_group() -> None:
    """Secrets of a client; at most two are valid at once."""


@secret_group.command(epilog=example("jwtauth client secret rotate reports --keep-old-for 3600"))
@click.argument("client_id")
@click.option(
    "--keep-old-for",
    "keep_old_in",
    type=int,
    default=86_400,
    show_default=True,
    help="For so many seconds the last secret stays valid beside the new one; 0 ends it now.",
)
@_secret_stdin
@json_option
@click.pass_obj
def rotate(folder: Path, client_id: str, keep_old_in: int, secret_stdin: bool, as_json: bool) -> None:
    """Give a client a new secret while the last one stays valid for a while; secrets before that end now."""
    source, instant = load(folder), now()
    secret = _new_secret(source.settings, from_stdin=secret_stdin, now=instant)

    async def work(store: Store) -> Client:
        found = await lookup.client(store, client_id)
        if found.is_public:
            raise ConfigurationError(
                f"client {client_id}: is public and has no secret; first run"
                f" `jwtauth client change {client_id} --auth-method {AuthMethod.BASIC}`"
            )
        if found.redeemed_by is not None:
            raise ConfigurationError(
                f"client {client_id}: has no secret, {found.redeemed_by} redeems for it; rotate that one's"
            )
        secrets = registration.succeed_secret(found.secrets, secret.record, keep_old_in=keep_old_in, now=instant)
        await store.administration.replace_secrets(found, secrets, now=instant)
        return replace(found, secrets=secrets)

    rotated = with_store(source, work)
    record = {"client_id": client_id, "secrets": [views.of_secret(stored) for stored in rotated.secrets]}
    _show_with_secret(record, secret, as_json=as_json)


def _show_with_secret(record: dict[str, Any], secret: NewSecret | None, *, as_json: bool) -> None:
    shown = secret.shown if secret else {}
    show_one({**record, **shown}, as_json=as_json)
    if shown and not as_json:
        click.echo(_SHOWN_ONCE, err=True)


async def _require_partner(store: Store, client: Client) -> None:
    """Let a client pass whose codes another one of its realm redeems, or nobody else.

    Raises:
        ConfigurationError: there is no such other client.
    """
    if client.redeemed_by is None:
        return
    partner = await lookup.client(store, client.redeemed_by)
    if partner.realm.name != client.realm.name or partner.client_id == client.client_id:
        raise ConfigurationError(f"redeemed_by {partner.client_id}: is no other client of realm {client.realm.name}")


def _new_secret(settings: Settings, *, from_stdin: bool, now: int) -> NewSecret:
    if from_stdin:
        return client_secrets.from_stdin(settings, "secret", now=now)
    return client_secrets.generated(now=now)
