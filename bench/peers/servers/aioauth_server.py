# mypy: ignore-errors
"""aioauth under FastAPI with everything in memory; reads `world.json` beside it.

aioauth leaves storage and tokens to its user; so the signing here is PyJWT's, and the dictionaries are ours.
"""

import json
import secrets
import time

import jwt
from aioauth.collections import HTTPHeaderDict
from aioauth.config import Settings
from aioauth.models import Client, Token
from aioauth.requests import Post
from aioauth.requests import Request as OAuthRequest
from aioauth.server import AuthorizationServer
from aioauth.storage import BaseStorage
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

with open("world.json", encoding="utf-8") as file:
    WORLD = json.load(file)
KEY = jwt.PyJWK(WORLD["key"]).key
SETTINGS = Settings(
    TOKEN_EXPIRES_IN=WORLD["access_token_in"],
    REFRESH_TOKEN_EXPIRES_IN=WORLD["refresh_token_in"],
    INSECURE_TRANSPORT=True,  # plain HTTP on 127.0.0.1
)


class Storage(BaseStorage):
    """Clients and tokens in dictionaries."""

    def __init__(self):
        """The world at the beginning."""
        self._clients = {
            client_id: Client(
                client_id=client_id,
                client_secret=WORLD["secret"],
                grant_types=[grant_type],
                response_types=[],
                redirect_uris=[],
                scope=WORLD["scope"],
            )
            for client_id, grant_type in (
                (WORLD["service"], "client_credentials"),
                (WORLD["reporter"], "client_credentials"),
                (WORLD["application"], "refresh_token"),
            )
        }
        self._by_access_token = {}
        self._by_refresh_token = {}
        for number, refresh_token in enumerate(WORLD["refresh_tokens"]):
            self._keep(WORLD["application"], WORLD["scope"], f"before-{number}", refresh_token)

    async def get_client(self, *, request, client_id, client_secret=None):
        """The client, if the secret is right."""
        client = self._clients.get(client_id)
        if client and secrets.compare_digest(client.client_secret, client_secret or ""):
            return client
        return None

    async def create_token(self, *, request, client_id, scope, access_token, refresh_token=None):
        """Sign the access token in place of the random one, and keep both."""
        return self._keep(client_id, scope, _sign(client_id, scope), refresh_token)

    async def get_token(self, *, request, client_id, token_type=None, access_token=None, refresh_token=None):
        """The token, whoever asks where it is introspection."""
        if access_token is not None:
            return self._by_access_token.get(access_token)
        token = self._by_refresh_token.get(refresh_token)
        return token if token and token.client_id == client_id else None

    async def revoke_token(self, *, request, client_id, refresh_token=None, token_type=None, access_token=None):
        """It was used."""
        self._by_refresh_token[refresh_token].revoked = True

    def _keep(self, client_id, scope, access_token, refresh_token):
        token = Token(
            client_id=client_id,
            access_token=access_token,
            refresh_token=refresh_token,
            scope=scope,
            issued_at=int(time.time()),
            expires_in=SETTINGS.TOKEN_EXPIRES_IN,
            refresh_token_expires_in=SETTINGS.REFRESH_TOKEN_EXPIRES_IN,
        )
        self._by_access_token[access_token] = self._by_refresh_token[refresh_token] = token
        return token


def _sign(client_id, scope):
    now = int(time.time())
    claims = {
        "iss": WORLD["issuer"],
        "aud": WORLD["audience"],
        "sub": client_id,
        "client_id": client_id,
        "scope": scope,
        "iat": now,
        "exp": now + SETTINGS.TOKEN_EXPIRES_IN,
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode(claims, KEY, algorithm="ES256", headers={"typ": "at+jwt", "kid": WORLD["key"]["kid"]})


app = FastAPI()
server = AuthorizationServer(storage=Storage())


async def _read(request):
    return OAuthRequest(
        settings=SETTINGS,
        method=request.method,
        headers=HTTPHeaderDict(**request.headers),
        post=Post(**await request.form()),
        url=str(request.url),
    )


def _answer(response):
    return JSONResponse(response.content, status_code=response.status_code, headers=dict(response.headers))


@app.post("/oauth/token")
async def token(request: Request):
    """The token endpoint."""
    return _answer(await server.create_token_response(await _read(request)))


@app.post("/oauth/introspect")
async def introspect(request: Request):
    """The introspection endpoint."""
    return _answer(await server.create_token_introspection_response(await _read(request)))
