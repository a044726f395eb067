# mypy: ignore-errors
"""Authlib's authorization server in Flask, on SQLite through SQLAlchemy; reads `world.json` beside it."""

import json
import os
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "true"  # plain HTTP on 127.0.0.1

from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.sqla_oauth2 import (
    OAuth2ClientMixin,
    OAuth2TokenMixin,
    create_query_client_func,
    create_save_token_func,
)
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator, JWTIntrospectionEndpoint
from flask import Flask
from joserfc.jwk import ECKey
from sqlalchemy import Column, Integer, String, create_engine, event
from sqlalchemy.orm import declarative_base, scoped_session, sessionmaker

with open("world.json", encoding="utf-8") as file:
    WORLD = json.load(file)
KEY = ECKey.import_key(WORLD["key"])
Base = declarative_base()


class User(Base):
    """A person."""

    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    username = Column(String(40), unique=True)

    def get_user_id(self):
        """What tokens carry in `sub`."""
        return self.id


class Client(Base, OAuth2ClientMixin):
    """A client."""

    __tablename__ = "clients"
    id = Column(Integer, primary_key=True)


class Token(Base, OAuth2TokenMixin):
    """An access token and its refresh token."""

    __tablename__ = "tokens"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer)


engine = create_engine("sqlite:///peer.db")


@event.listens_for(engine, "connect")
def _durable(connection, _):
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


session = scoped_session(sessionmaker(engine))


class TokenGenerator(JWTBearerTokenGenerator):
    """Access tokens of RFC 9068."""

    def get_jwks(self):
        """The key that signs."""
        return KEY

    def get_audiences(self, client, user, scope):
        """Who the token is for."""
        return WORLD["audience"]


class RefreshTokenGrant(grants.RefreshTokenGrant):
    """Rotation."""

    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        """The token, if it was not used and is not over."""
        token = session.query(Token).filter_by(refresh_token=refresh_token).first()
        if token and not token.is_revoked() and token.issued_at + WORLD["refresh_token_in"] > time.time():
            return token
        return None

    def authenticate_user(self, refresh_token):
        """Whose it is."""
        return session.get(User, refresh_token.user_id)

    def revoke_old_credential(self, refresh_token):
        """It was used."""
        refresh_token.refresh_token_revoked_at = int(time.time())
        session.commit()


class Introspection(JWTIntrospectionEndpoint):
    """Introspection of the JWT; nothing is looked up but the client that asks."""

    def get_jwks(self):
        """The key that signed."""
        return KEY

    def check_permission(self, token, client, request):
        """One client may ask about the tokens of all."""
        return client.client_id == WORLD["reporter"]


def _seed():
    Base.metadata.create_all(engine)
    session.add(User(id=1, username="ada"))
    for client_id, grant_type in (
        (WORLD["service"], "client_credentials"),
        (WORLD["reporter"], "client_credentials"),
        (WORLD["application"], "refresh_token"),
    ):
        client = Client(client_id=client_id, client_secret=WORLD["secret"])
        client.set_client_metadata({"grant_types": [grant_type], "scope": WORLD["scope"]})
        session.add(client)
    session.add_all(
        Token(
            client_id=WORLD["application"],
            user_id=1,
            token_type="Bearer",
            access_token=f"before-{number}",
            refresh_token=refresh_token,
            scope=WORLD["scope"],
            expires_in=WORLD["access_token_in"],
        )
        for number, refresh_token in enumerate(WORLD["refresh_tokens"])
    )
    session.commit()
    session.remove()


_seed()
app = Flask(__name__)
server = AuthorizationServer(app, create_query_client_func(session, Client), create_save_token_func(session, Token))
server.register_token_generator(
    "default",
    TokenGenerator(
        issuer=WORLD["issuer"],
        alg="ES256",
        refresh_token_generator=lambda **_: generate_token(48),
        expires_generator=lambda client, grant_type: WORLD["access_token_in"],
    ),
)
server.register_grant(grants.ClientCredentialsGrant)
server.register_grant(RefreshTokenGrant)
server.register_endpoint(Introspection(issuer=WORLD["issuer"]))


@app.post("/oauth/token")
def token():
    """The token endpoint."""
    return server.create_token_response()


@app.post("/oauth/introspect")
def introspect():
    """The introspection endpoint."""
    return server.create_endpoint_response("introspection")


@app.teardown_appcontext
def _forget(_):
    session.remove()
