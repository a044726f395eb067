"""The documents that clients and resource servers find everything by: discovery and JWKS (RFC 8414, RFC 7517)."""

from functools import lru_cache
from typing import Final

import msgspec

from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import metadata

LANGUAGES: Final = ("en", "de", "es", "fr")
"""In which the pages can be had; a test compares them with the catalogues."""


def authorization_server(issuer: Issuer) -> bytes:
    """The discovery document, as JSON; it depends on settings only."""
    return msgspec.json.encode(metadata.authorization_server(issuer.settings.issuer, languages=LANGUAGES))


def openid_configuration(issuer: Issuer) -> bytes:
    """The OpenID discovery document, as JSON; it changes with the algorithms that there are keys for."""
    return _openid_configuration(issuer.settings.issuer, issuer.keyring.algorithms(now=issuer.begin()))


def jwks(issuer: Issuer) -> bytes:
    """The public keys of this instant, as JSON."""
    issuer.keyring.advance(issuer.begin())
    return issuer.keyring.jwks


@lru_cache(maxsize=16)
def _openid_configuration(issuer: str, algorithms: frozenset[str]) -> bytes:
    return msgspec.json.encode(metadata.openid_provider(issuer, languages=LANGUAGES, algorithms=algorithms))
