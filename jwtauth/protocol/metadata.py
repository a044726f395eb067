"""Discovery documents (RFC 8414, OpenID Connect Discovery 1.0 section 3): only what exists is advertised."""

from collections.abc import Collection

from msgspec import UNSET, Struct, UnsetType, structs

from jwtauth.protocol import id_token, legacy, pkce, status_list
from jwtauth.protocol.authorization import OFFLINE_ACCESS, PROMPTS, ResponseMode, ResponseType
from jwtauth.protocol.profile import BY_SCOPE, CLAIMS
from jwtauth.protocol.records import AuthMethod, GrantType
from jwtauth.protocol.requested_claims import ACR
from jwtauth.protocol.userinfo import OPENID


class AuthorizationServer(Struct, frozen=True, kw_only=True):
    """RFC 8414 section 2."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    response_types_supported: tuple[str, ...]
    response_modes_supported: tuple[str, ...]
    grant_types_supported: tuple[str, ...]
    code_challenge_methods_supported: tuple[str, ...]
    authorization_response_iss_parameter_supported: bool = True
    """RFC 9207 section 3."""
    token_endpoint_auth_methods_supported: tuple[str, ...]
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: tuple[str, ...]
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    ui_locales_supported: tuple[str, ...]
    status_list_aggregation_endpoint: str
    """draft-ietf-oauth-status-list section 9.2."""
    userinfo_endpoint: str | UnsetType = UNSET
    end_session_endpoint: str | UnsetType = UNSET
    scopes_supported: tuple[str, ...] | UnsetType = UNSET
    claims_supported: tuple[str, ...] | UnsetType = UNSET
    claim_types_supported: tuple[str, ...] | UnsetType = UNSET
    claims_parameter_supported: bool | UnsetType = UNSET
    request_parameter_supported: bool | UnsetType = UNSET
    request_uri_parameter_supported: bool | UnsetType = UNSET
    acr_values_supported: tuple[str, ...] | UnsetType = UNSET
    prompt_values_supported: tuple[str, ...] | UnsetType = UNSET
    display_values_supported: tuple[str, ...] | UnsetType = UNSET
    subject_types_supported: tuple[str, ...] | UnsetType = UNSET
    id_token_signing_alg_values_supported: tuple[str, ...] | UnsetType = UNSET
    backchannel_logout_supported: bool | UnsetType = UNSET
    backchannel_logout_session_supported: bool | UnsetType = UNSET


_OPTED_INTO = tuple(legacy.GRANT_TYPES)
"""Forbidden to new applications; the old ones that may use them know (RFC 9700 section 2.4, SECURITY H-09)."""
_ALL_METHODS = tuple(str(method) for method in AuthMethod)
_CONFIDENTIAL_METHODS = (str(AuthMethod.BASIC), str(AuthMethod.POST))
_ID_TOKEN_CLAIMS = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid")


def authorization_server(issuer: str, *, languages: tuple[str, ...]) -> AuthorizationServer:
    """The document at `/.well-known/oauth-authorization-server`.

    Args:
        issuer: the issuer identifier.
        languages: in which pages can be had, as BCP 47 tags.
    """
    return AuthorizationServer(
        issuer=issuer,
        authorization_endpoint=f"{issuer}/oauth/authorize",
        token_endpoint=f"{issuer}/oauth/token",
        jwks_uri=f"{issuer}/.well-known/jwks.json",
        response_types_supported=(ResponseType.CODE,),
        response_modes_supported=(ResponseMode.QUERY, ResponseMode.FORM_POST),
        grant_types_supported=tuple(str(grant_type) for grant_type in GrantType if grant_type not in _OPTED_INTO),
        code_challenge_methods_supported=(pkce.METHOD,),
        token_endpoint_auth_methods_supported=_ALL_METHODS,
        introspection_endpoint=f"{issuer}/oauth/introspect",
        introspection_endpoint_auth_methods_supported=_CONFIDENTIAL_METHODS,
        revocation_endpoint=f"{issuer}/oauth/revoke",
        revocation_endpoint_auth_methods_supported=_ALL_METHODS,
        ui_locales_supported=languages,
        status_list_aggregation_endpoint=f"{issuer}{status_list.PATH}",
    )


def openid_provider(issuer: str, *, languages: tuple[str, ...], algorithms: Collection[str]) -> AuthorizationServer:
    """The document at `/.well-known/openid-configuration`: the same facts and what OpenID Connect adds.

    Args:
        issuer: the issuer identifier.
        languages: in which pages can be had, as BCP 47 tags.
        algorithms: for which there is a signing key.
    """
    return structs.replace(
        authorization_server(issuer, languages=languages),
        userinfo_endpoint=f"{issuer}/oauth/userinfo",
        end_session_endpoint=f"{issuer}/oauth/logout",
        scopes_supported=(OPENID, *BY_SCOPE, OFFLINE_ACCESS),
        claims_supported=(*_ID_TOKEN_CLAIMS, *CLAIMS),
        claim_types_supported=("normal",),
        claims_parameter_supported=True,
        request_parameter_supported=False,
        request_uri_parameter_supported=False,
        acr_values_supported=(ACR,),
        prompt_values_supported=PROMPTS,
        display_values_supported=("page",),
        subject_types_supported=("public",),
        id_token_signing_alg_values_supported=tuple(name for name in id_token.ALGORITHMS if name in algorithms),
        backchannel_logout_supported=True,
        backchannel_logout_session_supported=True,
    )
