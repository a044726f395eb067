"""`jwtauth client`: the applications that ask for tokens, and their secrets."""

from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from jwtauth.cli import lookup, prompts, setup, views
from jwtauth.cli.options import given, json_option, required, scope, several, together
from jwtauth.cli.printing import example, show_many, show_one
from jwtauth.cli.running import now, open_keys, with_store
from jwtauth.errors import ConfigurationError
from jwtauth.protocol import client_auth, id_token, registration
from jwtauth.protocol.records import ApplicationType, AuthMethod, Client, ClientSecret, GrantType, Realm, SecretKind
from jwtauth.settings import Settings, Source, load
from jwtauth.store.ports import Store

_COLUMNS = ("client_id", "realm", "name", "auth_method", "grant_types", "scope", "disabled_at")
_SHOWN_ONCE = "jwtauth: the client_secret is shown only now; store it where the client reads it"
_SIGN_IN_GRANTS = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN)

_client_settings = together(
    [
        click.option("--name", help="What people see."),
        click.option("--public", is_flag=True, help="It cannot keep a secret: no client authentication."),
        click.option(
            "--auth-method",
            type=click.Choice([method.value for method in AuthMethod]),
            help="How it authenticates.",
        ),
        several(
            "--grant-type",
            "grant_types",
            f"What it may use: {', '.join(GrantType)}; replaces all. A new client may use {_SIGN_IN_GRANTS[0]} and"
            f" {_SIGN_IN_GRANTS[1]} if it has a redirect URI, else {GrantType.CLIENT_CREDENTIALS}.",
        ),
        scope("--scope", "scope", "Every scope it may ask for, as in 'openid profile email'; replaces all."),
        scope("--default-scope", "default_scope", "What it gets when it asks for none; empty is all of its scope."),
        several("--resource", "resources", "A resource indicator it may ask for (RFC 8707); replaces all."),
        several("--authority", "authorities", "A role that its own tokens carry; replaces all."),
        several("--redirect-uri", "redirect_uris", "Where codes may be sent, compared exactly; replaces all."),
        several(
            "--post-logout-redirect-uri",
            "post_logout_redirect_uris",
            "Where browsers may be sent after signing out, compared exactly; replaces all.",
        ),
        click.option(
            "--backchannel-logout-uri", help="Where it is told that somebody signed out; empty tells it no more."
        ),
        click.option(
            "--native/--web",
            "is_native",
            default=None,
            help="Whether it runs on people's devices: http on 127.0.0.1 and [::1] then matches on any port.",
        ),
        click.option(
            "--pkce/--no-pkce",
            "requires_pkce",
            default=None,
            help="Whether it must use PKCE; off only for a confidential client that always sends a nonce.",
        ),
        click.option(
            "--consent/--no-consent",
            "asks_consent",
            default=None,
            help="Whether people are asked before it gets tokens; off for applications of your own. A public client on"
            " a loopback address is asked for all the same.",
        ),
        click.option(
            "--implicit/--no-implicit",
            "allows_implicit",
            default=None,
            help="Whether it may get access tokens by the implicit grant; only for one that cannot move yet.",
        ),
        click.option(
            "--id-token-algorithm",
            type=click.Choice(id_token.ALGORITHMS),
            help=f"What signs its ID tokens; {setup.ID_TOKEN_ALGORITHM} unless told.",
        ),
        click.option("--access-token-in", type=int, help="Life of its access tokens, in seconds; 0 is its realm's."),
        click.option(
            "--reusable-refresh/--rotating-refresh",
            "refresh_token_is_reusable",
            default=None,
            help="Whether refreshing answers with the same refresh token.",
        ),
        several("--introspects-realm", "introspects_realms", "A realm whose tokens it may introspect; replaces all."),
    ]
)
_secret_stdin = click.option("--secret-stdin", is_flag=True, help="Take a chosen secret from standard input.")


class NewSecret(Struct, frozen=True):
    """A client secret about to be stored, and what has to be shown of it."""

    record: ClientSecret
    shown: dict[str, str]


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
@_client_settings
@_secret_stdin
@json_option
@click.pass_obj
def create(folder: Path, /, client_id: str, realm: str, secret_stdin: bool, as_json: bool, **settings: Any) -> None:
    """Make a client; a secret is generated and printed once, unless it is public or you choose one."""
    source, instant, wanted = load(folder), now(), given(_read(**settings))
    if wanted.get("redirect_uris"):
        wanted = {"grant_types": _SIGN_IN_GRANTS, **wanted}
    is_public = wanted.get("auth_method") is AuthMethod.NONE
    if is_public and secret_stdin:
        raise click.UsageError("--secret-stdin: a public client has no secret")
    secret = None if is_public else _new_secret(source.settings, from_stdin=secret_stdin, now=instant)

    async def work(store: Store) -> Client:
        realms = await store.administration.realms()
        secrets = (secret.record,) if secret else ()
        bare = Client(id=0, client_id=client_id, realm=lookup.realm(realms, realm), secrets=secrets)
        new = _with_settings(bare, wanted)
        _check(new, wanted, realms, source)
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
@_client_settings
@json_option
@click.pass_obj
def change(folder: Path, /, client_id: str, as_json: bool, **settings: Any) -> None:
    """Change settings of a client; those not named stay, and so do its grants."""
    source, instant, wanted = load(folder), now(), required(_read(**settings))

    async def work(store: Store) -> Client:
        changed = _with_settings(await lookup.client(store, client_id), wanted)
        _check(changed, wanted, await store.administration.realms(), source)
        await store.administration.change_client(changed, now=instant)
        if changed.is_public and changed.secrets:
            changed = replace(changed, secrets=())
            await store.administration.replace_secrets(changed, (), now=instant)
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
        secrets = registration.succeed_secret(found.secrets, secret.record, keep_old_in=keep_old_in, now=instant)
        await store.administration.replace_secrets(found, secrets, now=instant)
        return replace(found, secrets=secrets)

    rotated = with_store(source, work)
    record = {"client_id": client_id, "secrets": [views.of_secret(stored) for stored in rotated.secrets]}
    _show_with_secret(record, secret, as_json=as_json)


def _new_secret(settings: Settings, *, from_stdin: bool, now: int) -> NewSecret:
    if from_stdin:
        chosen = prompts.from_stdin("secret", max_bytes=client_auth.MAX_SECRET_LENGTH)
        digest = prompts.hashed(settings, chosen)
        return NewSecret(ClientSecret(kind=SecretKind.CHOSEN, digest=digest, created_at=now), {})
    generated = token_urlsafe(32)
    record = ClientSecret(kind=SecretKind.GENERATED, digest=client_auth.digest(generated), created_at=now)
    return NewSecret(record, {"client_secret": generated})


def _show_with_secret(record: dict[str, Any], secret: NewSecret | None, *, as_json: bool) -> None:
    shown = secret.shown if secret else {}
    show_one({**record, **shown}, as_json=as_json)
    if shown and not as_json:
        click.echo(_SHOWN_ONCE, err=True)


def _with_settings(client: Client, wanted: dict[str, Any]) -> Client:
    """The client with the settings that were named; a lifetime of 0 is its realm's, an empty URI is none."""
    changed = replace(client, **wanted)
    return replace(
        changed,
        access_token_in=changed.access_token_in or None,
        backchannel_logout_uri=changed.backchannel_logout_uri or None,
    )


def _check(client: Client, wanted: dict[str, Any], realms: Sequence[Realm], source: Source) -> None:
    """Refuse what may not be registered, and a client for whose ID tokens there is no key."""
    registration.check_client(client, realms, max_token_lifetime=source.settings.max_token_lifetime)
    if GrantType.AUTHORIZATION_CODE in client.grant_types or "id_token_algorithm" in wanted:
        setup.require_id_token_key(client, setup.algorithms(open_keys(source)))


def _read(*, public: bool, auth_method: str | None, is_native: bool | None, **settings: Any) -> dict[str, Any]:
    """The settings as members of a client: `--public` and `--auth-method` are one."""
    if public and auth_method not in (None, AuthMethod.NONE):
        raise click.UsageError(f"--public and --auth-method {auth_method}: contradict each other")
    chosen = AuthMethod.NONE if public else auth_method and AuthMethod(auth_method)
    return {**settings, "auth_method": chosen or None, "application_type": _application_type(is_native)}


def _application_type(is_native: bool | None) -> ApplicationType | None:
    if is_native is None:
        return None
    return ApplicationType.NATIVE if is_native else ApplicationType.WEB
