"""Example records: one realm, one client, one user, one grant; each changed as a test tells."""

from typing import Any

from jwtauth.protocol.claims import AccessToken, Status, StatusList
from jwtauth.protocol.records import Client, Grant, GrantType, Realm, User

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
STATUS = StatusList(idx=7, uri=f"{ISSUER}/oauth/status/1-0")


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
