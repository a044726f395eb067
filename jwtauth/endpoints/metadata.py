"""The documents that clients and resource servers find everything by: discovery and JWKS (RFC 8414, RFC 7517)."""

import msgspec

from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import metadata


def authorization_server(issuer: Issuer) -> bytes:
    """The discovery document, as JSON; it depends on settings only."""
    return msgspec.json.encode(metadata.authorization_server(issuer.settings.issuer))


def openid_configuration(issuer: Issuer) -> bytes:
    """The OpenID discovery document, as JSON; it depends on settings only."""
    return msgspec.json.encode(metadata.openid_provider(issuer.settings.issuer))


def jwks(issuer: Issuer) -> bytes:
    """The public keys of this instant, as JSON."""
    issuer.keyring.advance(issuer.begin())
    return issuer.keyring.jwks
