"""A row of another system as a client of this one."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from jwtauth import passwords
from jwtauth.cli import client_settings
from jwtauth.cli.moving.rows import TRUTHS, Problem, Row, typed
from jwtauth.errors import ConfigurationError, InvalidScope
from jwtauth.passwords import MissingExtra, Taken
from jwtauth.protocol import registration
from jwtauth.protocol.client_auth import MAX_SECRET_LENGTH
from jwtauth.protocol.records import AuthMethod, Client, Realm

_APART: Final = frozenset({"id", "realm", "epoch", "secrets", "disabled_at", "is_demo"})
_SETTINGS: Final = {field.name: field.type for field in fields(Client) if field.name not in _APART}

TYPES: Final[Mapping[str, Any]] = {
    **_SETTINGS,
    "secret_hash": str,
    "client_secret": str,
    "public": bool,
    "is_confidential": bool,
    "client_type": str,
    "response_types": tuple[str, ...],
    "autoapprove": object,
    "refresh_token_validity": object,
    "resource_ids": object,
    "additional_information": object,
}
"""What a row may have: every setting of a client, and what other systems have in its place."""

ALIASES: Final[Mapping[str, str]] = {
    "secret": "client_secret",
    "client_name": "name",
    "authorized_grant_types": "grant_types",
    "allowed_grant_types": "grant_types",
    "web_server_redirect_uri": "redirect_uris",
    "_redirect_uris": "redirect_uris",
    "scopes": "scope",
    "default_scopes": "default_scope",
    "_default_scopes": "default_scope",
    "access_token_validity": "access_token_in",
}
"""How other systems call the same."""

_NOTES: Final = {
    "refresh_token_validity": "there is no such setting of a client; refresh_token_in of its realm counts",
    "resource_ids": "are not moved; resources are URIs here (RFC 8707)",
    "additional_information": "is not moved",
}
_IMPLICIT: Final = "implicit"
_HASH = re.compile(r"\{[A-Za-z0-9@_:+/=-]+\}|\$2[aby]\$[0-9]{2}\$|\$argon2")


class MovedClient(Struct, frozen=True, kw_only=True):
    """A client that can be stored once its secret is settled."""

    row: Row
    client: Client
    secret: Taken | None
    notes: tuple[str, ...] = ()


def read(row: Row, realm: Realm, realms: Collection[Realm], *, max_token_lifetime: int) -> MovedClient | list[Problem]:
    """The client that a row describes, or everything that is wrong with it.

    Raises:
        MissingExtra: there is a hash that only more packages can verify.
    """
    members, problems = typed(row, TYPES)
    if _is_said_to_be_confidential(members) and "secretless_grants" not in row.columns:
        members["secretless_grants"] = ()  # whatever its dialect or the command line lets the others do
    notes = [str(row.problem(name, note)) for name, note in _NOTES.items() if name in members]
    is_public = _is_public(members)
    secret = None
    if is_public and ("secret_hash" in members or "client_secret" in members):
        notes.append(str(row.problem("client_secret", "is not moved, as a public client has none")))
    elif not is_public:
        secret = _secret(row, members, problems)
    if "client_id" not in row.members:
        problems.append(row.problem("client_id", "is missing"))
    if problems:
        return problems
    if _approval(members) not in ("", *TRUTHS):
        notes.append(str(row.problem("autoapprove", "people are asked for every scope, as not all were approved")))
    wanted = _settings(members, is_public=is_public)
    client = client_settings.of_dialect(Client(id=0, client_id=wanted.pop("client_id"), realm=realm), wanted)
    try:
        registration.check_client(client, realms, max_token_lifetime=max_token_lifetime)
    except (ConfigurationError, InvalidScope) as problem:
        return [row.problem("", str(problem))]
    return MovedClient(row=row, client=client, secret=secret, notes=tuple(notes))


def _is_public(members: Mapping[str, Any]) -> bool:
    if members.get("auth_method") is AuthMethod.NONE or members.get("client_type", "").lower() == "public":
        return True
    return bool(members.get("public", not members.get("is_confidential", True)))


def _is_said_to_be_confidential(members: Mapping[str, Any]) -> bool:
    is_named = members.get("client_type", "").lower() == "confidential"
    return is_named or members.get("is_confidential", False) or not members.get("public", True)


def _secret(row: Row, members: Mapping[str, Any], problems: list[Problem]) -> Taken | None:
    """The secret of a confidential client; what is wrong with it joins the problems."""
    name = "secret_hash" if "secret_hash" in members else "client_secret"
    found = members.get(name)
    if found is None:
        if members.get("redeemed_by") is None and not problems:
            problems.append(row.problem(name, "is missing; name one, or say that the client is public"))
        return None
    try:
        is_hash = name == "secret_hash" or _HASH.match(found)
        taken = passwords.take(found) if is_hash else passwords.take_plain(found)
    except MissingExtra:
        raise
    except ConfigurationError as problem:
        problems.append(row.problem(name, str(problem)))
        return None
    if not taken.stored and len(taken.hashed) > MAX_SECRET_LENGTH:
        problems.append(row.problem(name, f"is longer than {MAX_SECRET_LENGTH} characters; it is never accepted"))
    return taken


def _settings(members: Mapping[str, Any], *, is_public: bool) -> dict[str, Any]:
    """The members of a client record, with what stands for them in other systems."""
    wanted = {name: value for name, value in members.items() if name in _SETTINGS}
    grant_types = wanted.get("grant_types", ())
    if grant_types:
        wanted["grant_types"] = tuple(kind for kind in grant_types if kind != _IMPLICIT)
    if _IMPLICIT in grant_types or "token" in members.get("response_types", ()):
        wanted["allows_implicit"] = True
    if is_public:
        wanted["auth_method"] = AuthMethod.NONE
    if "scope" not in wanted and "default_scope" in wanted:
        wanted["scope"] = wanted["default_scope"]
    if TRUTHS.get(_approval(members)):
        wanted["asks_consent"] = False
    return wanted


def _approval(members: Mapping[str, Any]) -> str:
    """For which scopes Spring asks nobody: true for all, or the names of some."""
    return str(members.get("autoapprove", "")).lower()
