# mypy: ignore-errors
# ruff: noqa: E402 - models can be imported once Django is set up
"""django-oauth-toolkit in a Django project of one file, on SQLite; reads `world.json` beside it."""

import json
import time
import uuid
from datetime import timedelta

import django
from django.conf import settings
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

with open("world.json", encoding="utf-8") as file:
    WORLD = json.load(file)
KEY = JWK(**WORLD["key"])


def access_token(request, refresh_token=False):
    """An ES256 JWT; the toolkit itself knows opaque tokens, and stores this one as if it were."""
    now = int(time.time())
    claims = {
        "iss": WORLD["issuer"],
        "aud": WORLD["audience"],
        "sub": request.client.client_id if request.user is None else str(request.user.pk),
        "client_id": request.client.client_id,
        "scope": " ".join(request.scopes),
        "iat": now,
        "exp": now + WORLD["access_token_in"],
        "jti": uuid.uuid4().hex,
    }
    token = JWT(header={"alg": "ES256", "typ": "at+jwt", "kid": WORLD["key"]["kid"]}, claims=claims)
    token.make_signed_token(KEY)
    return token.serialize()


settings.configure(
    SECRET_KEY=WORLD["secret"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "peer.db",
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"},
        }
    },
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_GENERATOR": access_token,
        "ACCESS_TOKEN_EXPIRE_SECONDS": WORLD["access_token_in"],
        "REFRESH_TOKEN_EXPIRE_SECONDS": WORLD["refresh_token_in"],
        "SCOPES": {scope: scope for scope in WORLD["scope"].split()},
    },
)
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.urls import include, path
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, RefreshToken

urlpatterns = [path("", include("oauth2_provider.urls"))]


@transaction.atomic
def _seed():
    user = User.objects.create(username="ada")
    clients = {
        client_id: Application.objects.create(
            client_id=client_id,
            client_secret=WORLD["secret"],
            hash_client_secret=False,  # the default is PBKDF2 at each request: a few answers a second
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=grant_type,
            redirect_uris="https://client.example/callback",
        )
        for client_id, grant_type in (
            (WORLD["service"], Application.GRANT_CLIENT_CREDENTIALS),
            (WORLD["reporter"], Application.GRANT_CLIENT_CREDENTIALS),
            (WORLD["application"], Application.GRANT_AUTHORIZATION_CODE),
        )
    }
    expires = timezone.now() + timedelta(seconds=WORLD["access_token_in"])
    owned = {"user": user, "application": clients[WORLD["application"]]}
    issued = AccessToken.objects.bulk_create(
        AccessToken(token=f"before-{number}", expires=expires, scope=WORLD["scope"], **owned)
        for number in range(len(WORLD["refresh_tokens"]))
    )
    RefreshToken.objects.bulk_create(
        RefreshToken(token=token, access_token=access, token_family=uuid.uuid4(), **owned)
        for token, access in zip(WORLD["refresh_tokens"], issued, strict=True)
    )


call_command("migrate", verbosity=0)
_seed()
application = get_wsgi_application()
