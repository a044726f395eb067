"""A second authorization server that a realm trusts: it proves foreign tokens and may sign people in."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from jwtauth.errors import ConfigurationError

MAX_LENGTH: Final = 2048
"""Longest URI of an upstream, in characters."""


class Upstream(Struct, frozen=True, kw_only=True):
    """Where a realm's upstream is, and how this service is known there. At least one of `introspection_uri`,
    `userinfo_uri` and `jwks_uri` is there: without a way to prove its tokens a realm does not load. Of several the
    first in this order is asked about access tokens."""

    name: str
    """What people see on the sign-in page."""
    client_id: str
    client_secret: str = ""
    """Where the secret is, as `file:/path` or `env:NAME`; never itself. Empty for a public client."""
    access_token_uri: str
    """Its token endpoint."""
    user_authorization_uri: str | None = None
    """Its authorization endpoint; where it is set, the sign-in page offers to sign in there."""
    issuer: str | None = None
    """What `iss` must be, in its tokens and in its authorization responses (RFC 9207)."""
    sends_iss: bool = False
    """Whether its metadata say `authorization_response_iss_parameter_supported`: an answer without `iss` is refused."""
    introspection_uri: str | None = None
    """RFC 7662."""
    userinfo_uri: str | None = None
    """OpenID Connect Core 1.0 section 5.3. It does not say when a token expires: ours are then short-lived."""
    jwks_uri: str | None = None
    """RFC 7517; proves its JWT access tokens (RFC 9068), though not that they were not revoked, and its ID tokens."""
    audience: str | None = None
    """What `aud` of its access tokens must contain, as introspection or the JWT says it."""
    scope: tuple[str, ...] = ("openid",)
    """What is asked for when a person signs in there."""
    username_claim: str = "username"
    """The member or claim that holds the username by which the person is known here."""
    checks_passwords: bool = False
    """Whether passwords sent with external_token are checked there, by its password grant, instead of here."""


def check(upstream: Upstream) -> None:
    """Let an upstream pass that can be asked and whose tokens can be proven.

    Raises:
        ConfigurationError: a member is malformed, or lacks another one that it needs.
    """
    for name in ("name", "client_id", "username_claim"):
        if not _TEXT.fullmatch(getattr(upstream, name)):
            raise ConfigurationError(f"upstream {name}: expected 1 to 128 printable characters")
    if not _REFERENCE.fullmatch(upstream.client_secret):
        raise ConfigurationError("upstream client_secret: expected file:/path or env:NAME, never the secret itself")
    for name in _URIS:
        uri = getattr(upstream, name)
        if uri is not None:
            _check_uri(name, uri)
    for value in upstream.scope:
        if not _SCOPE.fullmatch(value):
            raise ConfigurationError(
                "upstream scope: a value is empty or has a character that scope values cannot have"
            )
    _check_proof(upstream)


def _check_proof(upstream: Upstream) -> None:
    if upstream.introspection_uri is upstream.userinfo_uri is upstream.jwks_uri is None:
        raise ConfigurationError(
            "upstream: its tokens cannot be proven; name introspection_uri, userinfo_uri or jwks_uri"
        )
    if upstream.introspection_uri is not None and not upstream.client_secret:
        raise ConfigurationError("upstream introspection_uri: needs a client_secret to ask with (RFC 7662 section 2.1)")
    if upstream.issuer is None and (upstream.jwks_uri is not None or upstream.sends_iss):
        raise ConfigurationError("upstream issuer: is needed where jwks_uri or sends_iss is there, to compare iss with")
    if is_proven_by_keys(upstream) and upstream.audience is None:
        raise ConfigurationError("upstream audience: is needed where jwks_uri alone proves tokens (RFC 9068 section 4)")
    if upstream.audience is not None and upstream.introspection_uri is None and not is_proven_by_keys(upstream):
        raise ConfigurationError("upstream audience: userinfo_uri does not say it; name introspection_uri instead")


def is_proven_by_keys(upstream: Upstream) -> bool:
    """Whether its access tokens are judged by their signature, as nobody can be asked about them."""
    return upstream.introspection_uri is None and upstream.userinfo_uri is None


def _check_uri(name: str, uri: str) -> None:
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"upstream {name}: is not a URI") from None
    is_clean = _URI.fullmatch(uri) and "@" not in parts.netloc and port != 0 and len(uri) <= MAX_LENGTH
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    if not (is_clean and is_safe and host):
        raise ConfigurationError(
            f"upstream {name}: expected an https URI, or http on a loopback address such as 127.0.0.1, without user,"
            " password or fragment"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_URIS: Final = ("access_token_uri", "user_authorization_uri", "introspection_uri", "userinfo_uri", "jwks_uri")
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_REFERENCE: Final = re.compile(r"|file:/.+|env:.+")
_URI: Final = re.compile(r"https?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+", re.ASCII)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+", re.ASCII)
