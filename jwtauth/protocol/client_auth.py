"""Client authentication: HTTP Basic, form parameters, or none (RFC 6749 sections 2.3 and 3.2.1)."""

import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_plus

from msgspec import Struct

from jwtauth.errors import Failed, InvalidClient, InvalidRequest
from jwtauth.protocol import legacy, parameters
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.records import AuthMethod, Client, SecretKind

MAX_SECRET_LENGTH: Final = 1024
"""Longest client secret that is looked at, in characters; hashing cost must not be a stranger's choice."""

REFUSED: Final = "client authentication failed: unknown client, wrong secret, or another method than registered"
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DUMMY_DIGEST = sha256(b"no client has this secret").hexdigest()


class Credentials(Struct, frozen=True, kw_only=True):
    """Who the client says it is and how it would prove it."""

    client_id: str
    method: AuthMethod
    secrets: tuple[str, ...] = ()
    """How the secret may be meant: form-decoded (RFC 6749 section 2.3.1), else as sent, which many clients do."""


class Authenticated(Struct, frozen=True):
    """The client is who it says it is."""

    client: Client


class CheckHashes(Struct, frozen=True):
    """The client's human-chosen secrets decide: one of `secrets` must verify against one of `hashes`."""

    client: Client
    secrets: tuple[str, ...]
    hashes: tuple[str, ...]


def credentials(authorization: Sequence[str], form: Parameters) -> Credentials:
    """What the request says of its client, read from the Authorization header or from the form, never from both.

    Args:
        authorization: every Authorization header of the request, as sent.
        form: the request's parameters.

    Raises:
        InvalidRequest: two methods or two headers were used (RFC 6749 section 2.3).
        InvalidClient: nothing names a client, or the header cannot be read.
    """
    client_id, secret = parameters.one(form, "client_id"), parameters.one(form, "client_secret")
    if len(authorization) > 1:
        raise InvalidRequest("Authorization: was sent more than once; send it once")
    if authorization:
        found = basic(authorization[0])
        if secret is not None:
            raise InvalidRequest("client_secret: was sent beside HTTP Basic; use one method of client authentication")
        if client_id is not None and client_id != found.client_id:
            raise InvalidRequest("client_id: differs from the client in the Authorization header")
        return found
    if client_id is None:
        raise InvalidClient("client_id: is missing; authenticate the client by HTTP Basic or client_id and secret")
    if secret is None:
        return Credentials(client_id=client_id, method=AuthMethod.NONE)
    return Credentials(client_id=client_id, method=AuthMethod.POST, secrets=(_limited(secret, by_basic=False),))


def basic(header: str) -> Credentials:
    """The client in an `Authorization: Basic` header (RFC 7617 with the encoding of RFC 6749 section 2.3.1).

    Raises:
        InvalidClient: it is not Basic, not base64 of UTF-8, has no colon, a NUL, or an empty half.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("Authorization: expected the Basic scheme", by_basic=True)
    try:
        name, colon, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        client_id = _decoded(name)
        secrets = _meanings(_limited(secret, by_basic=True))
    except (Base64Error, ValueError):
        raise InvalidClient("Authorization: is not base64 of client_id:client_secret", by_basic=True) from None
    if not colon or not client_id or not secret or "\x00" in client_id or "\x00" in secrets[0]:
        raise InvalidClient("Authorization: expected base64 of client_id:client_secret, none empty", by_basic=True)
    return Credentials(client_id=client_id, method=AuthMethod.BASIC, secrets=secrets)


def named(authorization: Sequence[str], sent: Parameters) -> str | None:
    """The client_id that a request names, proven or not; None where it names none that can be read."""
    if authorization:
        try:
            return basic(authorization[0]).client_id
        except InvalidClient:
            return None
    return parameters.one(sent, "client_id")


def decide(
    credentials: Credentials, client: Client | None, *, grant_type: str | None = None, now: int
) -> Authenticated | CheckHashes:
    """Whether the client has proven itself, or which slow hashes have to be asked first.

    Generated secrets are compared here in constant time; an unknown client costs the same comparison.

    Args:
        credentials: what the request says of its client.
        client: whom they name.
        grant_type: what it asks for, at the token endpoint: a few old clients need no secret for some of it.
        now: seconds since the epoch.

    Raises:
        InvalidClient: unknown, disabled, wrong secret, or another method than the registered one; all alike.
    """
    by_basic = credentials.method is AuthMethod.BASIC
    if client is None or not client.is_enabled:
        _any_matches(credentials.secrets, (_DUMMY_DIGEST,))
        expected = "a registered client that is enabled"
        got = "an unknown one" if client is None else f"client {client.client_id}, which is disabled"
        raise InvalidClient(REFUSED, by_basic=by_basic, why=Failed("client_id", expected, got))
    if credentials.method is AuthMethod.NONE and _needs_no_secret(client, grant_type, now=now):
        return Authenticated(client)
    if credentials.method is not client.auth_method:
        expected = f"{client.auth_method}, as client {client.client_id} registered"
        raise InvalidClient(
            REFUSED, by_basic=by_basic, why=Failed("client authentication", expected, credentials.method)
        )
    if client.is_public:
        return Authenticated(client)
    digests: list[str] = []
    hashes: list[str] = []
    for secret in client.secrets:
        if secret.is_live(now):
            (digests if secret.kind is SecretKind.GENERATED else hashes).append(secret.digest)
    if digests and _any_matches(credentials.secrets, digests):
        return Authenticated(client)
    if hashes:
        return CheckHashes(client, credentials.secrets, tuple(hashes))
    raise refused(credentials)


def refused(credentials: Credentials) -> InvalidClient:
    """The refusal for a secret that no hash verified: the same words as for an unknown client."""
    is_basic = credentials.method is AuthMethod.BASIC
    why = Failed("client_secret", f"one of client {credentials.client_id} that has not expired", "another")
    return InvalidClient(REFUSED, by_basic=is_basic, why=why)


def digest(secret: str) -> str:
    """What is stored of a generated secret: SHA-256, in hexadecimal."""
    return sha256(secret.encode()).hexdigest()


def _needs_no_secret(client: Client, grant_type: str | None, *, now: int) -> bool:
    return grant_type in client.secretless_grants and not legacy.is_over(client.realm, now=now)


def _meanings(secret: str) -> tuple[str, ...]:
    if _BROKEN_PERCENT.search(secret):
        return (secret,)
    decoded = _decoded(secret)
    return (secret,) if decoded == secret else (decoded, secret)


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def _any_matches(secrets: Sequence[str], digests: Sequence[str]) -> bool:
    found = False
    for secret in secrets:
        presented = digest(secret)
        for stored in digests:
            found |= hmac.compare_digest(presented, stored)
    return found


def _limited(secret: str, *, by_basic: bool) -> str:
    if len(secret) > MAX_SECRET_LENGTH:
        raise InvalidClient(f"client_secret: is longer than {MAX_SECRET_LENGTH} characters", by_basic=by_basic)
    return secret
