"""Example records: one realm, one client, one user, one grant; each changed as a test tells."""

from typing import Any

from jwtauth.protocol.authorization import Addressee, AuthorizationRequest, ResponseMode, ResponseType
from jwtauth.protocol.claims import AccessToken, Status, StatusList
from jwtauth.protocol.interaction import Standing, Transaction
from jwtauth.protocol.records import (
    Client,
    ClientSecret,
    Consent,
    Grant,
    GrantType,
    Realm,
    SecretKind,
    Session,
    User,
)

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
STATUS = StatusList(idx=7, uri=f"{ISSUER}/oauth/status/1-0")
CALLBACK = "https://player.example/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
"""RFC 7636 appendix B."""
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""RFC 7636 appendix B."""


def realm(**changes: Any) -> Realm:
    """The realm `music`: access tokens of an hour, refresh tokens of a day, grants of a week."""
    settings = {
        "id": 1,
        "name": "music",
        "audience": "https://music.example",
        "access_token_in": 3_600,
        "refresh_token_in": 86_400,
        "grant_in": 604_800,
        "retry_in": 30,
    }
    return Realm(**{**settings, **changes})


def client(**changes: Any) -> Client:
    """A confidential client with every grant and the scope `read write`."""
    settings = {
        "id": 1,
        "client_id": "player",
        "realm": realm(),
        "grant_types": tuple(GrantType),
        "scope": ("read", "write"),
        "resources": ("https://api.example", "https://files.example"),
        "authorities": ("ROLE_PLAYER",),
    }
    return Client(**{**settings, **changes})


def application(**changes: Any) -> Client:
    """The same client as people sign in to it: with a redirect URI and the scopes of OpenID Connect."""
    settings = {
        "scope": ("openid", "profile", "email", "offline_access", "read", "write"),
        "redirect_uris": (CALLBACK,),
    }
    return client(**{**settings, **changes})


def generated_digest(digest: str) -> ClientSecret:
    """What is stored of a secret of 256 random bits."""
    return ClientSecret(kind=SecretKind.GENERATED, digest=digest, created_at=0)


def owned(**changes: Any) -> Client:
    """An application without a secret of its own: what it is given, `partner` redeems."""
    settings = {"id": 3, "client_id": "alfrescoapp", "requires_pkce": False, "redeemed_by": "SkyVaultapp"}
    return application(**{**settings, **changes})


def partner(**changes: Any) -> Client:
    """Who redeems for `owned`, with another scope and other redirect URIs than that one has."""
    settings = {"id": 4, "client_id": "SkyVaultapp", "scope": ("backend",), "authorities": ("ROLE_PARTNER",)}
    return client(**{**settings, **changes})


def user(**changes: Any) -> User:
    """Ada, a member of `music` and of another realm."""
    settings = {
        "id": 42,
        "sub": "u.ada",
        "username": "ada",
        "password_hash": "$argon2id$...",
        "roles": {"music": ("ROLE_USER",), "films": ("ROLE_ADMIN",)},
    }
    return User(**{**settings, **changes})


def grant(**changes: Any) -> Grant:
    """Ada's grant to `player`, refreshed three times, last ten seconds ago."""
    settings = {
        "id": 9,
        "client_id": 1,
        "user_id": 42,
        "scope": ("read", "write"),
        "position": 7,
        "generation": 3,
        "secret_number": 1,
        "rotated_at": NOW - 10,
        "created_at": NOW - 1_000,
        "expires_at": NOW + 86_400,
        "ends_at": NOW + 604_800,
    }
    return Grant(**{**settings, **changes})


def code(**changes: Any) -> Grant:
    """Ada's grant to `player` ten seconds after she allowed it in her session, its code not redeemed yet."""
    settings = {
        "scope": ("openid", "read"),
        "generation": 0,
        "rotated_at": None,
        "created_at": NOW - 10,
        "expires_at": NOW + 50,
        "session_id": 5,
        "auth_time": NOW - 100,
        "code_challenge": CHALLENGE,
        "code_expires_at": NOW + 50,
        "redirect_uri": CALLBACK,
        "nonce": "n-0S6_WzA2Mj",
    }
    return grant(**{**settings, **changes})


def session(**changes: Any) -> Session:
    """Ada's browser session: signed in a hundred seconds ago, over in half an hour unless used, at most tomorrow."""
    settings = {
        "id": 5,
        "sid": "session-1",
        "user_id": 42,
        "auth_time": NOW - 100,
        "created_at": NOW - 100,
        "seen_at": NOW - 100,
        "expires_at": NOW + 1_700,
        "ends_at": NOW + 86_300,
    }
    return Session(**{**settings, **changes})


def standing(**changes: Any) -> Standing:
    """Ada, signed in."""
    return Standing(**{"user": user(), "session": session(), "cookie": "digest-of-her-cookie", **changes})


def consent(**changes: Any) -> Consent:
    """Ada allowed `player` what it usually asks for."""
    settings = {"user_id": 42, "client_id": 1, "scope": ("openid", "read"), "granted_at": NOW - 1_000}
    return Consent(**{**settings, **changes})


def addressee(**changes: Any) -> Addressee:
    """The callback of `player`, with a state."""
    settings = {"redirect_uri": CALLBACK, "is_redirect_uri_sent": True, "mode": ResponseMode.QUERY, "state": "a-state"}
    return Addressee(**{**settings, **changes})


def authorization_request(**changes: Any) -> AuthorizationRequest:
    """What `player` usually asks for."""
    settings = {
        "client_id": "player",
        "addressee": addressee(),
        "response_type": ResponseType.CODE,
        "scope": ("openid", "read"),
        "code_challenge": CHALLENGE,
        "nonce": "n-0S6_WzA2Mj",
    }
    return AuthorizationRequest(**{**settings, **changes})


def transaction(**changes: Any) -> Transaction:
    """That request, begun a minute ago."""
    settings = {
        "id": "transaction-1",
        "browser": "digest-of-the-browser",
        "started_at": NOW - 60,
        "request": authorization_request(),
    }
    return Transaction(**{**settings, **changes})


def access_token(**changes: Any) -> AccessToken:
    """The claims of an access token that `player` got for Ada a minute ago."""
    claims = {
        "iss": ISSUER,
        "sub": "u.ada",
        "aud": "https://music.example",
        "exp": NOW + 3_540,
        "iat": NOW - 60,
        "jti": "token-1",
        "client_id": "player",
        "scope": "read write",
        "authorities": ("ROLE_USER",),
        "username": "ada",
        "uid": 42,
        "status": Status(STATUS),
    }
    return AccessToken(**{**claims, **changes})
