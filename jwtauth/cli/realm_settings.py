"""The options that say what a realm is, and how they change one."""

from collections.abc import Mapping
from typing import Any, Final

import click
from msgspec.structs import asdict, replace

from jwtauth.cli.options import instant, pairs, reference, scope, several, together
from jwtauth.dialects.registry import NAMES
from jwtauth.errors import ConfigurationError
from jwtauth.protocol import upstream
from jwtauth.protocol.records import Realm
from jwtauth.protocol.upstream import Upstream

_UPSTREAM: Final = "upstream_"
"""How the fields of the options begin that are members of the upstream."""

_REQUIRED: Final = ("name", "client_id", "access_token_uri")
"""Members without which there is no upstream."""

realm_options = together(
    [
        click.option("--audience", help="What `aud` is when no resource was asked for; an absolute URI of its own."),
        click.option(
            "--dialect",
            type=click.Choice(NAMES),
            help="What its endpoints speak; a new realm starts from its defaults.",
        ),
        instant("--sunset", "sunset_at", "When its dialect and all other legacy doors close."),
        several("--role", "roles", "A role that its users may be given; replaces all roles."),
        click.option("--access-token-in", type=int, help="Life of an access token, in seconds."),
        pairs(
            "--access-token-in-for",
            "access_token_in_by",
            "GRANT_TYPE=SECONDS",
            "The same for one grant type where it differs.",
        ),
        click.option("--refresh-token-in", type=int, help="Life of each refresh token, in seconds."),
        click.option("--grant-in", type=int, help="Life of a grant however often it is refreshed, in seconds."),
        click.option("--retry-in", type=int, help="For so many seconds a refresh may be repeated; 0 is strict."),
        click.option(
            "--renews-position/--keeps-position", default=None, help="Whether a refresh ends the old access token."
        ),
        click.option(
            "--names-grant-type/--no-names-grant-type",
            default=None,
            help="Whether its access tokens say by which grant they came to be.",
        ),
        click.option(
            "--http-redirect-uris/--no-http-redirect-uris",
            "allows_http_redirect_uris",
            default=None,
            help="Whether redirect URIs of its clients may be http off loopback; only for those that cannot move yet.",
        ),
        click.option("--parent", help="The realm whose tokens its clients may ask about; empty is none."),
        pairs(
            "--custom-grant",
            "custom_grants",
            "GRANT_TYPE=MODULE",
            "A grant of its own and the Python module that decides about it.",
        ),
        click.option("--upstream-name", help="Another authorization server that it trusts, as people see it."),
        click.option("--upstream-client-id", help="How this service is known there."),
        reference("--upstream-client-secret", "Where the secret is that it has there."),
        click.option("--upstream-access-token-uri", help="Its token endpoint."),
        click.option(
            "--upstream-user-authorization-uri", help="Its authorization endpoint: people may then sign in there."
        ),
        click.option("--upstream-issuer", help="What `iss` must be."),
        click.option(
            "--upstream-sends-iss/--no-upstream-sends-iss",
            default=None,
            help="Whether its authorization responses name it (RFC 9207): one that does not is then refused.",
        ),
        click.option("--upstream-introspection-uri", help="Where its tokens are proven (RFC 7662)."),
        click.option("--upstream-userinfo-uri", help="Where they are proven by whom they are about."),
        click.option("--upstream-jwks-uri", help="Its keys, where its tokens are JWTs."),
        click.option("--upstream-audience", help="What `aud` of its tokens must contain."),
        scope("--upstream-scope", "upstream_scope", "What is asked for when a person signs in there."),
        click.option("--upstream-username-claim", help="What holds the username by which a person is known here."),
        click.option(
            "--upstream-checks-passwords/--no-upstream-checks-passwords",
            default=None,
            help="Whether passwords sent with external_token are checked there instead of here.",
        ),
        click.option("--no-upstream", is_flag=True, default=None, help="Trust no other authorization server any more."),
    ]
)


def apply(realm: Realm, wanted: Mapping[str, Any]) -> Realm:
    """The realm with the settings that were named; 0 takes a date back, an empty name or URI is none.

    Raises:
        ConfigurationError: a lifetime is no number, or the upstream is not complete.
    """
    members = {name: value for name, value in wanted.items() if not name.startswith(_UPSTREAM)}
    no_upstream = members.pop("no_upstream", False)
    of_upstream = {name.removeprefix(_UPSTREAM): value for name, value in wanted.items() if name.startswith(_UPSTREAM)}
    if no_upstream and of_upstream:
        raise click.UsageError("--no-upstream: contradicts the other options of the upstream")
    lifetimes = {name: _seconds(name, value) for name, value in members.pop("access_token_in_by", {}).items()}
    changed = replace(
        realm,
        **{
            **members,
            "access_token_in_by": _merged(realm.access_token_in_by, lifetimes),
            "custom_grants": _merged(realm.custom_grants, members.get("custom_grants", {})),
            "upstream": None if no_upstream else _upstream(realm.upstream, of_upstream),
        },
    )
    return replace(changed, sunset_at=changed.sunset_at or None, parent=changed.parent or None)


def _merged(known: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**known, **named}.items() if value}


def _seconds(grant_type: str, value: str) -> int:
    if not value:
        return 0
    if not value.isdecimal():
        raise ConfigurationError(f"access-token-in-for {grant_type}: {value!r} is no number of seconds")
    return int(value)


def _upstream(known: Upstream | None, named: dict[str, Any]) -> Upstream | None:
    if not named:
        return known
    members = {**(asdict(known) if known else {}), **named}
    missing = [name for name in _REQUIRED if not members.get(name)]
    if missing:
        raise ConfigurationError(f"upstream: is not complete; name --upstream-{missing[0].replace('_', '-')} too")
    changed = Upstream(**{name: value for name, value in members.items() if value not in ("", None)})
    upstream.check(changed)
    return changed
