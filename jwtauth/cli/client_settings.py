"""The options that say what a client is, and how they change one."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import click
from msgspec.structs import replace

from jwtauth.cli import setup
from jwtauth.cli.options import scope, several, together
from jwtauth.cli.running import open_keys
from jwtauth.dialects.registry import DIALECTS
from jwtauth.protocol import id_token, registration
from jwtauth.protocol.records import ApplicationType, AuthMethod, Client, GrantType, Realm
from jwtauth.settings import Source

SIGN_IN_GRANTS: Final = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN)
"""What a new client with a redirect URI may use unless told."""

_FOR_CONFIDENTIAL: Final = frozenset({"refresh_token_is_reusable", "requires_pkce", "secretless_grants"})
"""Defaults of dialects that are only for clients that can keep a secret."""

client_options = together(
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
            f"What it may use: {', '.join(GrantType)}; replaces all. A new client may use {SIGN_IN_GRANTS[0]} and"
            f" {SIGN_IN_GRANTS[1]} if it has a redirect URI, else {GrantType.CLIENT_CREDENTIALS}.",
        ),
        scope("--scope", "scope", "Every scope it may ask for, as in 'openid profile email'; replaces all."),
        scope("--default-scope", "default_scope", "What it gets when it asks for none; empty is all of its scope."),
        several("--resource", "resources", "A resource indicator it may ask for (RFC 8707); replaces all."),
        several("--authority", "authorities", "A role that its own tokens carry; replaces all."),
        several("--redirect-uri", "redirect_uris", "Where codes may be sent, compared exactly; replaces all."),
        click.option(
            "--default-redirect-uri", help="Which of several is meant where a request names none; empty is none."
        ),
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
        several(
            "--secretless-grant",
            "secretless_grants",
            f"A grant for which it need not send its secret, of {', '.join(registration.SECRETLESS)}; only for one that"
            " never did; replaces all.",
        ),
        click.option(
            "--redeemed-by",
            metavar="CLIENT_ID",
            help="The client of its realm that redeems its codes with its own secret; it then has none. Empty is none.",
        ),
        several("--introspects-realm", "introspects_realms", "A realm whose tokens it may introspect; replaces all."),
    ]
)


def read(*, public: bool, auth_method: str | None, is_native: bool | None, **settings: Any) -> dict[str, Any]:
    """The options as members of a client: `--public` and `--auth-method` are one."""
    if public and auth_method not in (None, AuthMethod.NONE):
        raise click.UsageError(f"--public and --auth-method {auth_method}: contradict each other")
    chosen = AuthMethod.NONE if public else auth_method and AuthMethod(auth_method)
    return {**settings, "auth_method": chosen or None, "application_type": _application_type(is_native)}


def of_dialect(bare: Client, wanted: Mapping[str, Any]) -> Client:
    """A new client: its realm's dialect's defaults as far as they go with what was named, then that."""
    sign_in = {"grant_types": SIGN_IN_GRANTS} if wanted.get("redirect_uris") else {}
    return apply(bare, {**sign_in, **_defaults(bare.realm, wanted), **wanted})


def apply(client: Client, wanted: Mapping[str, Any]) -> Client:
    """The client with the settings that were named; a lifetime of 0 is its realm's, an empty URI or name is none.

    Whom another client redeems for, and whoever is public, has no secret.
    """
    changed = replace(client, **wanted)
    return replace(
        changed,
        access_token_in=changed.access_token_in or None,
        backchannel_logout_uri=changed.backchannel_logout_uri or None,
        default_redirect_uri=changed.default_redirect_uri or None,
        redeemed_by=changed.redeemed_by or None,
        secrets=() if changed.is_public or changed.redeemed_by else changed.secrets,
    )


def check(client: Client, wanted: Mapping[str, Any], realms: Collection[Realm], source: Source) -> None:
    """Let a client pass that may be registered and, if it gets ID tokens, for whose there is a key.

    Raises:
        ConfigurationError: it may not, or there is none.
    """
    registration.check_client(client, realms, max_token_lifetime=source.settings.max_token_lifetime)
    if GrantType.AUTHORIZATION_CODE in client.grant_types or "id_token_algorithm" in wanted:
        setup.require_id_token_key(client, setup.algorithms(open_keys(source)))


def _defaults(realm: Realm, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a dialect gives a new client, without what this one cannot have."""
    is_public = wanted.get("auth_method") is AuthMethod.NONE
    has_redirect_uri = bool(wanted.get("redirect_uris"))
    lacking = {
        *(_FOR_CONFIDENTIAL if is_public else ()),
        *(() if has_redirect_uri else ("allows_implicit",)),
        *(("default_scope",) if "scope" in wanted else ()),
    }
    found = {name: value for name, value in DIALECTS[realm.dialect].client.items() if name not in lacking}
    unusable = {
        *((GrantType.CLIENT_CREDENTIALS,) if is_public else ()),
        *(() if has_redirect_uri else (GrantType.AUTHORIZATION_CODE,)),
        *(() if realm.upstream else (GrantType.EXTERNAL_TOKEN,)),
    }
    if "grant_types" in found:
        found["grant_types"] = tuple(name for name in found["grant_types"] if name not in unusable)
    return found


def _application_type(is_native: bool | None) -> ApplicationType | None:
    if is_native is None:
        return None
    return ApplicationType.NATIVE if is_native else ApplicationType.WEB
