"""Discovery documents (RFC 8414, OpenID Connect Discovery 1.0 section 3): only what exists is advertised."""

from msgspec import UNSET, Struct, UnsetType, structs

from jwtauth.protocol.records import AuthMethod, GrantType


class AuthorizationServer(Struct, frozen=True, kw_only=True):
    """RFC 8414 section 2."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    response_types_supported: tuple[str, ...]
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: tuple[str, ...]
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    subject_types_supported: tuple[str, ...] | UnsetType = UNSET
    id_token_signing_alg_values_supported: tuple[str, ...] | UnsetType = UNSET


_ALL_METHODS = tuple(str(method) for method in AuthMethod)
_CONFIDENTIAL_METHODS = (str(AuthMethod.BASIC), str(AuthMethod.POST))


def authorization_server(issuer: str) -> AuthorizationServer:
    """The document at `/.well-known/oauth-authorization-server`."""
    return AuthorizationServer(
        issuer=issuer,
        token_endpoint=f"{issuer}/oauth/token",
        jwks_uri=f"{issuer}/.well-known/jwks.json",
        response_types_supported=(),
        grant_types_supported=tuple(str(grant_type) for grant_type in GrantType),
        token_endpoint_auth_methods_supported=_ALL_METHODS,
        introspection_endpoint=f"{issuer}/oauth/introspect",
        introspection_endpoint_auth_methods_supported=_CONFIDENTIAL_METHODS,
        revocation_endpoint=f"{issuer}/oauth/revoke",
        revocation_endpoint_auth_methods_supported=_ALL_METHODS,
    )


def openid_provider(issuer: str) -> AuthorizationServer:
    """The document at `/.well-known/openid-configuration`; the same facts and what OpenID demands beside them."""
    return structs.replace(
        authorization_server(issuer), subject_types_supported=("public",), id_token_signing_alg_values_supported=()
    )
