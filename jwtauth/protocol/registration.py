"""What may be registered: realms, clients and users (RFC 7591 section 2, OpenID Connect Registration 1.0 section 2).

The only place that knows these rules, but for those of redirect URIs (`jwtauth.protocol.redirect_uris`); whoever
registers something asks here first.
"""

import re
from collections.abc import Collection, Iterable
from typing import Final

from msgspec.structs import asdict, replace

from jwtauth.errors import ConfigurationError
from jwtauth.protocol import id_token, permissions, redirect_uris, scopes, upstream
from jwtauth.protocol.profile import Address, Profile
from jwtauth.protocol.records import Client, ClientSecret, GrantType, Realm, User

MAX_NAME_LENGTH: Final = 256
"""Longest username, role or name of a client, in characters."""

MAX_CLAIM_LENGTH: Final = 1024
"""Longest claim about a person, in characters."""

MAX_DURATION_IN: Final = 3_155_760_000
"""Longest duration, a hundred years: what is longer was mistyped."""

MAX_SECRETS: Final = 2
"""Secrets of one client that are valid at once."""

LAST_INSTANT: Final = 253_402_300_799
"""The end of the year 9999, the last that HTTP can write."""

SECRETLESS: Final = (GrantType.AUTHORIZATION_CODE, GrantType.PASSWORD, GrantType.REFRESH_TOKEN)
"""Grants that an old client may use without its secret; something else has to be known for each of them."""

SUBJECT_PREFIX: Final = "u."
"""How every user's `sub` begins and no client_id does (SECURITY J-13)."""

_REALM_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}", re.ASCII)
_GRANT_TYPE = re.compile(r"[A-Za-z0-9._~:/-]{1,128}", re.ASCII)
_WEB_PAGE = (re.compile(r"https?://[A-Za-z0-9._:\[\]-]+([/?#][!-~]*)?", re.ASCII), "an https or http URL")
_CLAIM_FORMS: Final = {
    "profile": _WEB_PAGE,
    "picture": _WEB_PAGE,
    "website": _WEB_PAGE,
    "email": (re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*"), "an address such as ada@example.com"),
    "birthdate": (
        re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?", re.ASCII),
        "YYYY-MM-DD, 0000-MM-DD or YYYY",
    ),
    "locale": (re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", re.ASCII), "a language tag such as en-GB (BCP 47)"),
}
"""Claims that are more than text (OpenID Connect Core 1.0 section 5.1)."""
_CLAIMS_WITH_LINES: Final = ("address.formatted", "address.street_address")


def check_realm(
    realm: Realm, others: Iterable[Realm], *, max_token_lifetime: int, dialects: Collection[str] = ("standard",)
) -> None:
    """Let a realm pass that may be stored beside the others.

    Args:
        realm: what is to be stored.
        others: all realms there are.
        max_token_lifetime: the setting of that name.
        dialects: what a realm may speak.

    Raises:
        ConfigurationError: its name, dialect, audience, roles or a lifetime is not allowed.
    """
    if not _REALM_NAME.fullmatch(realm.name):
        raise ConfigurationError(
            f"realm name {realm.name!r}: use 1 to 63 lower-case letters, digits and hyphens, no hyphen first"
        )
    if realm.dialect not in dialects:
        raise ConfigurationError(f"dialect {realm.dialect!r}: is unknown; choose one of {', '.join(dialects)}")
    redirect_uris.absolute(realm.audience, "audience")
    others = tuple(others)
    for other in others:
        if other.name != realm.name and other.audience == realm.audience:
            raise ConfigurationError(f"audience {realm.audience}: is that of realm {other.name}; no two may share one")
    for role in realm.roles:
        check_role(role)
    _check_lifetime("access_token_in", realm.access_token_in, max_token_lifetime)
    _check_grants(realm, max_token_lifetime)
    if realm.upstream is not None:
        upstream.check(realm.upstream)
    if not 0 <= (realm.sunset_at or 0) <= LAST_INSTANT:
        raise ConfigurationError("sunset: expected an instant from 1970 to the year 9999")
    if realm.parent is not None:
        _check_realms_exist((realm.parent,), (other for other in others if other.name != realm.name))
    for name in ("refresh_token_in", "grant_in"):
        _check_duration(name, getattr(realm, name), least=1)
    _check_duration("retry_in", realm.retry_in, least=0)


def check_roles_in_use(realm: Realm, members: Iterable[User]) -> None:
    """Let a realm pass that still has every role that its members hold.

    Raises:
        ConfigurationError: somebody would keep a role, and tokens with it, that the realm no longer has.
    """
    for user in members:
        surplus = set(user.roles.get(realm.name, ())).difference(realm.roles)
        if surplus:
            raise ConfigurationError(
                f"role {min(surplus)!r}: user {user.username} holds it in realm {realm.name}; take it away first"
            )


def check_client(client: Client, realms: Collection[Realm], *, max_token_lifetime: int) -> None:
    """Let a client pass that may be stored.

    Raises:
        ConfigurationError: a member is not allowed, or not together with another.
        InvalidScope: a scope value has a character that it cannot have (RFC 6749 section 3.3).
    """
    check_client_id(client.client_id)
    _check_text("name", client.name, least=0)
    _check_grant_types(client)
    _check_scope(client)
    _check_uris(client)
    _check_sign_in(client)
    _check_legacy(client)
    for uri in client.resources:
        _check_resource(uri, client, realms)
    for role in client.authorities:
        check_role(role)
    _check_realms_exist(client.introspects_realms, realms)
    _check_lifetime("access_token_in", permissions.longest_access_token_in(client), max_token_lifetime)


def check_client_id(client_id: str) -> None:
    """Let a client_id pass that survives HTTP Basic unencoded and can never equal a user's `sub`.

    Raises:
        ConfigurationError: it has another character, is too long, or begins like a subject.
    """
    if not _CLIENT_ID.fullmatch(client_id):
        raise ConfigurationError(f"client_id {client_id!r}: use 1 to 128 letters, digits and the characters . _ ~ -")
    if client_id.startswith(SUBJECT_PREFIX):
        raise ConfigurationError(f"client_id {client_id!r}: must not begin with {SUBJECT_PREFIX!r}, as subjects do")


def check_user(user: User, realms: Collection[Realm]) -> None:
    """Let a user pass that may be stored.

    Raises:
        ConfigurationError: username or profile is malformed, or a realm or a role in it does not exist.
    """
    _check_text("username", user.username, least=1)
    if user.username != user.username.strip():
        raise ConfigurationError("username: must not begin or end with a space")
    check_profile(user.profile)
    _check_realms_exist(user.roles, realms)
    for realm in realms:
        surplus = set(user.roles.get(realm.name, ())).difference(realm.roles)
        if surplus:
            raise ConfigurationError(
                f"role {min(surplus)!r}: realm {realm.name} has no such role; it has {' '.join(realm.roles) or 'none'}"
            )


def check_role(role: str) -> None:
    """Let a role pass that fits into a space-separated list.

    Raises:
        ConfigurationError: it is empty, too long, or has a space or a control character.
    """
    if " " in role:
        raise ConfigurationError(f"role {role!r}: must not have a space")
    _check_text("role", role, least=1)


def check_profile(profile: Profile) -> None:
    """Let claims about a person pass that clients can rely on (OpenID Connect Core 1.0 section 5.1).

    Raises:
        ConfigurationError: one is empty, too long, cannot be printed, or has not the form of its kind.
    """
    for name, value in asdict(profile).items():
        match value:
            case str():
                _check_claim(name, value)
            case Address():
                _check_address(value)


def succeed_secret(
    secrets: Iterable[ClientSecret], new: ClientSecret, *, keep_old_in: int, now: int
) -> tuple[ClientSecret, ...]:
    """A client's secrets once a new one has joined: the last before it stays for `keep_old_in` seconds, no other.

    Raises:
        ConfigurationError: the duration is below 0 or beyond reason.
    """
    _check_duration("keep-old-for", keep_old_in, least=0)
    until = now + keep_old_in
    live = [secret for secret in secrets if secret.is_live(now)]
    kept = [
        replace(secret, expires_at=until if secret.expires_at is None else min(until, secret.expires_at))
        for secret in live[1 - MAX_SECRETS :]
        if keep_old_in > 0
    ]
    return (*kept, new)


def _check_grants(realm: Realm, longest: int) -> None:
    """Refuse grants of a realm's own that hide ours, and lifetimes for grants that there are none of."""
    known = (*GrantType, *realm.custom_grants)
    for grant_type in realm.custom_grants:
        if grant_type in tuple(GrantType) or not _GRANT_TYPE.fullmatch(grant_type):
            raise ConfigurationError(f"custom grant {grant_type!r}: expected a URI, or a name that no other grant has")
    for grant_type, lifetime_in in realm.access_token_in_by.items():
        if grant_type not in known:
            raise ConfigurationError(f"grant_type {grant_type!r}: is unknown; known are {', '.join(known)}")
        _check_lifetime(f"access_token_in of {grant_type}", lifetime_in, longest)


def _check_legacy(client: Client) -> None:
    """Refuse what old clients may have where it contradicts itself."""
    if client.redeemed_by is not None and (client.is_public or client.secrets):
        raise ConfigurationError("redeemed_by: is only for a client without a secret of its own that is not public")
    if client.default_redirect_uri not in (None, *client.redirect_uris):
        raise ConfigurationError("default_redirect_uri: is none of the client's redirect_uris; add it there first")
    if client.secretless_grants and client.redeemed_by is not None:
        raise ConfigurationError("secretless grants: are not for a client that names redeemed_by, who has the secret")
    if client.refresh_token_is_reusable and GrantType.REFRESH_TOKEN in client.secretless_grants:
        raise ConfigurationError("reusable refresh tokens: are only for clients that send their secret with them")
    surplus = set(client.secretless_grants).difference(SECRETLESS)
    if surplus:
        raise ConfigurationError(f"secretless grant {min(surplus)!r}: expected one of {', '.join(SECRETLESS)}")
    if GrantType.EXTERNAL_TOKEN in client.grant_types and client.realm.upstream is None:
        raise ConfigurationError(f"grant_type external_token: realm {client.realm.name} names no upstream")


def _check_grant_types(client: Client) -> None:
    known = (*GrantType, *client.realm.custom_grants)
    for grant_type in client.grant_types:
        if grant_type not in known:
            raise ConfigurationError(f"grant_type {grant_type!r}: is unknown; known are {', '.join(known)}")
    if client.is_public and GrantType.CLIENT_CREDENTIALS in client.grant_types:
        raise ConfigurationError(
            "grant_type client_credentials: is only for clients that can keep a secret; name others for a public client"
        )
    if client.is_public and client.refresh_token_is_reusable:
        raise ConfigurationError("reusable refresh tokens: are only for clients that can keep a secret")


def _check_uris(client: Client) -> None:
    for uri in client.redirect_uris:
        redirect_uris.check_redirect_uri(uri, allows_http=client.realm.allows_http_redirect_uris)
    for uri in client.post_logout_redirect_uris:
        redirect_uris.check_redirect_uri(uri, "post_logout_redirect_uri")
    if client.backchannel_logout_uri is not None:
        redirect_uris.check_backchannel_logout_uri(client.backchannel_logout_uri)


def _check_sign_in(client: Client) -> None:
    """Refuse settings of the authorization endpoint that are unsafe or could not work."""
    if GrantType.AUTHORIZATION_CODE in client.grant_types and not client.redirect_uris:
        raise ConfigurationError("grant_type authorization_code: needs a redirect_uri to send codes to; name one")
    if client.allows_implicit and not client.redirect_uris:
        raise ConfigurationError("implicit: needs a redirect_uri to send tokens to; name one")
    if client.is_public and not client.requires_pkce:
        raise ConfigurationError("no PKCE: is only for clients that can keep a secret (RFC 9700 section 2.1.1)")
    if client.id_token_algorithm not in id_token.ALGORITHMS:
        raise ConfigurationError(
            f"id_token_algorithm {client.id_token_algorithm!r}: is unknown; choose one of"
            f" {', '.join(id_token.ALGORITHMS)}"
        )


def _check_scope(client: Client) -> None:
    for values in (client.scope, client.default_scope):
        if scopes.parse(scopes.text(values)) != values:
            raise ConfigurationError("scope: a value is empty, repeated or has a space in it")
    surplus = set(client.default_scope).difference(client.scope)
    if surplus:
        raise ConfigurationError(f"default scope {min(surplus)!r}: is not in the client's scope; add it there first")


def _check_resource(uri: str, client: Client, realms: Iterable[Realm]) -> None:
    redirect_uris.absolute(uri, "resource")
    for realm in realms:
        if realm.name != client.realm.name and realm.audience == uri:
            raise ConfigurationError(
                f"resource {uri}: is the audience of realm {realm.name}, which no other may issue for"
            )


def _check_realms_exist(names: Iterable[str], realms: Iterable[Realm]) -> None:
    known = {realm.name for realm in realms}
    for name in names:
        if name not in known:
            raise ConfigurationError(f"there is no realm {name}; `jwtauth realm list` shows all")


def _check_lifetime(name: str, lifetime_in: int, longest: int) -> None:
    _check_duration(name, lifetime_in, least=1)
    if lifetime_in > longest:
        raise ConfigurationError(
            f"{name}: {lifetime_in} s is above max_token_lifetime ({longest} s); choose less or raise that setting"
        )


def _check_duration(name: str, duration_in: int, *, least: int) -> None:
    if not least <= duration_in <= MAX_DURATION_IN:
        raise ConfigurationError(f"{name}: expected {least} to {MAX_DURATION_IN} seconds")


def _check_address(address: Address) -> None:
    for name, value in asdict(address).items():
        if isinstance(value, str):
            _check_claim(f"address.{name}", value)


def _check_claim(name: str, value: str) -> None:
    has_lines = name in _CLAIMS_WITH_LINES
    _check_text(f"claim {name}", value.replace("\n", " ") if has_lines else value, least=1, most=MAX_CLAIM_LENGTH)
    form, expected = _CLAIM_FORMS.get(name, (None, ""))
    if form is not None and not form.fullmatch(value):
        raise ConfigurationError(f"claim {name}: expected {expected}")


def _check_text(name: str, text: str, *, least: int, most: int = MAX_NAME_LENGTH) -> None:
    if not least <= len(text) <= most:
        raise ConfigurationError(f"{name}: expected {least} to {most} characters")
    if not text.isprintable():
        raise ConfigurationError(f"{name}: has a character that cannot be printed")
