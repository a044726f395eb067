"""What can be said of an opened database: of everything that was registered, and of the keys that belong to it.

A rule is a generator of findings; severity alone decides who is told.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from jwtauth.cli import client_secrets, setup
from jwtauth.cli.findings.finding import Finding, Severity, told
from jwtauth.cli.printing import iso
from jwtauth.cli.running import require_keys
from jwtauth.dialects.dialect import STANDARD_NAME
from jwtauth.endpoints import custom_grant
from jwtauth.errors import ConfigurationError
from jwtauth.keyring.keyring import Keyring
from jwtauth.keyring.secrets import check_fingerprints
from jwtauth.outside import secret_references
from jwtauth.outside.http import NoAnswer
from jwtauth.protocol import legacy, redirect_uris, upstream
from jwtauth.protocol.records import Client, Realm, User
from jwtauth.protocol.upstream import Upstream
from jwtauth.settings import Source
from jwtauth.store.ports import Store


class Registered(Struct, frozen=True, kw_only=True):
    """Everything that was registered, for the rules to look at."""

    source: Source
    realms: Sequence[Realm]
    clients: Sequence[Client]
    users: Sequence[User]
    now: int


async def of_store(source: Source, store: Store, *, now: int) -> list[Finding]:
    """What can be said of an opened database, and of the keys folder that belongs to it."""
    registered = Registered(
        source=source,
        realms=await store.administration.realms(),
        clients=await store.administration.clients(),
        users=await store.administration.users(),
        now=now,
    )
    fingerprints = store.administration.fingerprints()
    found = [finding for rule in _RULES for finding in told(rule, registered)]
    return list(dict.fromkeys([*found, *told(_keys, source, fingerprints, now)]))


def _demonstration(registered: Registered) -> Iterator[Finding]:
    """Passwords and secrets that are printed in the documentation."""
    clients = [client.client_id for client in registered.clients if client.is_demo]
    users = [user.username for user in registered.users if user.is_demo]
    if clients or users:
        yield Finding(
            Severity.ERROR,
            f"this database was made by `jwtauth dev` and knows {' '.join(clients + users)} with public passwords",
            "run `jwtauth init` in another folder",
        )


def _id_token_keys(registered: Registered) -> Iterator[Finding]:
    """Sign-ins that could be begun and not finished."""
    present = setup.algorithms(require_keys(registered.source))
    if setup.ID_TOKEN_ALGORITHM not in present:
        yield Finding(
            Severity.ERROR,
            f"there is no {setup.ID_TOKEN_ALGORITHM} key for ID tokens",
            "run `jwtauth init`: it makes what is missing and leaves the rest as it is",
        )
    for client in registered.clients:
        yield from told(_id_token_key, client, present | {setup.ID_TOKEN_ALGORITHM})


def _id_token_key(client: Client, present: frozenset[str]) -> Iterable[Finding]:
    setup.require_id_token_key(client, present)
    return ()


def _lifetimes(registered: Registered) -> Iterator[Finding]:
    """Tokens that would outlive what keys and revocations are kept for."""
    longest = registered.source.settings.max_token_lifetime
    for name, lifetime_in in (
        *((f"realm {realm.name}", max(_lifetimes_of(realm))) for realm in registered.realms),
        *((f"client {client.client_id}", client.access_token_in or 0) for client in registered.clients),
    ):
        if lifetime_in > longest:
            yield Finding(
                Severity.ERROR,
                f"setting max_token_lifetime: {longest} s is below the {lifetime_in} s of {name}",
                "keys and revocations would be dropped while its tokens live. Raise the setting or lower"
                " access_token_in",
            )


def _lifetimes_of(realm: Realm) -> tuple[int, ...]:
    return (realm.access_token_in, *realm.access_token_in_by.values())


def _default_realm(registered: Registered) -> Iterator[Finding]:
    name = registered.source.settings.default_realm
    if name not in {realm.name for realm in registered.realms}:
        yield Finding(
            Severity.ERROR,
            f"setting default_realm: there is no realm {name}",
            "name one that `jwtauth realm list` shows",
        )


def _default_keys(registered: Registered) -> Iterator[Finding]:
    """Secrets that everybody finds in a manual."""
    settings = registered.source.settings
    for client in registered.clients:
        system = client_secrets.manual_of(client, now=registered.now)
        if system is not None:
            realm = client.realm.name
            is_allowed = settings.is_loopback or realm in settings.allow_default_keys
            is_realm = client.client_id == realm
            command = f"realm change {realm} --key-stdin" if is_realm else f"client secret rotate {client.client_id}"
            yield Finding(
                Severity.WARNING if is_allowed else Severity.ERROR,
                f"client {client.client_id} of realm {realm} has the secret that stands in the manual of {system}",
                f"give it another: jwtauth {command}"
                + ("" if is_allowed else f" (or name {realm} in the setting allow_default_keys)"),
            )


def _upstreams(registered: Registered) -> Iterator[Finding]:
    """Upstreams whose tokens nobody could prove, as an older version or another hand may have left them."""
    for realm in registered.realms:
        if realm.upstream is not None:
            for finding in told(_upstream, realm.upstream):
                yield Finding(
                    finding.severity,
                    f"realm {realm.name}: {finding.text}",
                    f"complete it, or run: jwtauth realm change {realm.name} --no-upstream",
                )
            yield from _unreadable_secret(realm.name, realm.upstream)


def _upstream(found: Upstream) -> Iterable[Finding]:
    upstream.check(found)
    return ()


def _unreadable_secret(realm: str, found: Upstream) -> Iterator[Finding]:
    try:
        secret_references.read(found.client_secret)
    except NoAnswer as problem:
        yield Finding(
            Severity.WARNING,
            f"realm {realm}: upstream {found.name} cannot be asked: {problem}",
            f"put the secret there, or run: jwtauth realm change {realm} --upstream-client-secret file:PATH",
        )


def _custom_grants(registered: Registered) -> Iterator[Finding]:
    """Grants that a realm names and nobody can load."""
    for realm in registered.realms:
        for grant_type, module in realm.custom_grants.items():
            for finding in told(_custom_grant, module):
                yield Finding(
                    finding.severity,
                    f"realm {realm.name}: {finding.what}",
                    f"install it where the service runs, or remove the grant: jwtauth realm change {realm.name}"
                    f" --custom-grant {shlex.quote(grant_type + '=')}",
                )


def _custom_grant(module: str) -> Iterable[Finding]:
    custom_grant.load(module)
    return ()


def _audiences(registered: Registered) -> Iterator[Finding]:
    """Audiences that remind of another issuer."""
    for realm in registered.realms:
        expected = setup.default_audience(registered.source, realm.name)
        if realm.audience.endswith(f"/realms/{realm.name}") and realm.audience != expected:
            yield Finding(
                Severity.WARNING,
                f"the audience of realm {realm.name} is {realm.audience}, made for another issuer",
                f"if that is not meant, run: jwtauth realm change {realm.name} --audience {expected}",
            )


def _sunsets(registered: Registered) -> Iterator[Finding]:
    """Realms that speak to older clients, and for how long."""
    for realm in registered.realms:
        if realm.dialect == STANDARD_NAME:
            continue
        if realm.sunset_at is None:
            yield Finding(
                Severity.ADVICE,
                f"realm {realm.name} speaks {realm.dialect} without an end",
                f"set one: jwtauth realm change {realm.name} --sunset DATE",
            )
        elif legacy.is_over(realm, now=registered.now):
            yield Finding(
                Severity.WARNING,
                f"realm {realm.name} spoke {realm.dialect} until {iso(realm.sunset_at)} and is strict now",
                f"make that its dialect: jwtauth realm change {realm.name} --dialect {STANDARD_NAME}; or give its"
                " clients more time with --sunset",
            )
        else:
            yield Finding(
                Severity.ADVICE,
                f"realm {realm.name} speaks {realm.dialect} until {iso(realm.sunset_at)}",
                f"see who still needs it: jwtauth stats legacy --realm {realm.name}",
            )


def _habits(registered: Registered) -> Iterator[Finding]:
    """What clients may do because they were made before anybody knew better (RFC 9700)."""
    for client in registered.clients:
        for what, options in _habits_of(client):
            command = shlex.join(("jwtauth", "client", "change", client.client_id, *options))
            yield Finding(
                Severity.ADVICE, f"client {client.client_id} {what}", f"if it no longer has to, run: {command}"
            )


def _habits_of(client: Client) -> Iterator[tuple[str, Sequence[str]]]:
    """What a client may do, and the options that end this and leave everything else as it is."""
    if client.secretless_grants:
        yield f"needs no secret for grant_type {', '.join(client.secretless_grants)}", ["--secretless-grant", ""]
    forbidden = [name for name in client.grant_types if name in legacy.GRANT_TYPES]
    if forbidden:
        kept = [name for name in client.grant_types if name not in forbidden]
        yield f"may use grant_type {', '.join(forbidden)}", _several("--grant-type", kept)
    if client.redirect_uris and not client.requires_pkce:
        yield "may do without PKCE", ["--pkce"]
    if client.allows_implicit:
        yield "may get access tokens by the implicit grant", ["--no-implicit"]
    if client.refresh_token_is_reusable:
        yield "has refresh tokens that stay valid when they are used", ["--rotating-refresh"]
    unsafe = [uri for uri in client.redirect_uris if not _is_safe(uri)]
    if unsafe:
        yield f"has redirect URIs that anybody on the way can read, {' '.join(unsafe)}", _with_tls(client, unsafe)


def _several(option: str, values: Iterable[str]) -> list[str]:
    """An option that replaces all values, once for each; once and empty where there is to be none."""
    return [word for value in tuple(values) or ("",) for word in (option, value)]


def _with_tls(client: Client, unsafe: Sequence[str]) -> list[str]:
    """The options by which a client has its redirect URIs with https in place of http."""
    safe = {uri: uri.replace("http:", "https:", 1) if uri in unsafe else uri for uri in client.redirect_uris}
    default = client.default_redirect_uri
    moved = ["--default-redirect-uri", safe[default]] if default is not None and default in unsafe else []
    return [*_several("--redirect-uri", dict.fromkeys(safe.values())), *moved]


def _is_safe(uri: str) -> bool:
    try:
        redirect_uris.check_redirect_uri(uri)
    except ConfigurationError:
        return False
    return True


_RULES: Final = (
    _demonstration,
    _id_token_keys,
    _lifetimes,
    _default_realm,
    _default_keys,
    _upstreams,
    _custom_grants,
    _audiences,
    _sunsets,
    _habits,
)


def _keys(source: Source, fingerprints: dict[int, str], now: int) -> Iterator[Finding]:
    """Files that are missing, that others can read, or that a passphrase does not protect."""
    folder = require_keys(source)
    keyring = Keyring(folder, max_token_lifetime=source.settings.max_token_lifetime)
    keyring.signing_key(source.settings.access_token_algorithm, now=now)
    check_fingerprints(folder.read_secrets(), fingerprints)
    names = folder.unencrypted() if source.settings.keys_passphrase else []
    if names:
        yield Finding(
            Severity.WARNING,
            f"setting keys_passphrase: {' '.join(names)} is not encrypted",
            "run `jwtauth keys encrypt`",
        )
