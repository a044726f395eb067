"""Making client secrets: generated ones, and those that somebody chose."""

from secrets import token_urlsafe
from typing import Final

from msgspec import Struct

from jwtauth.cli import prompts
from jwtauth.dialects.registry import DIALECTS
from jwtauth.protocol import client_auth
from jwtauth.protocol.records import Client, ClientSecret, SecretKind
from jwtauth.settings import Settings

DEFAULT_KEYS: Final = {
    client_auth.digest(dialect.default_key): dialect.name
    for dialect in DIALECTS.values()
    if dialect.default_key is not None
}
"""Names of the dialects in whose manuals a secret stands, by the secret's SHA-256."""


class NewSecret(Struct, frozen=True):
    """A client secret about to be stored, and what has to be shown of it."""

    record: ClientSecret
    shown: dict[str, str]


def generated(*, now: int) -> NewSecret:
    """A secret of ours, to be shown once."""
    secret = token_urlsafe(32)
    record = ClientSecret(kind=SecretKind.GENERATED, digest=client_auth.digest(secret), created_at=now)
    return NewSecret(record, {"client_secret": secret})


def from_stdin(settings: Settings, name: str, *, now: int) -> NewSecret:
    """A chosen secret from standard input, hashed as slowly as a password.

    Raises:
        ConfigurationError: it is empty, too long, or has a control character.
    """
    return chosen(settings, prompts.from_stdin(name, max_bytes=client_auth.MAX_SECRET_LENGTH), now=now)


def chosen(settings: Settings, secret: str, *, now: int) -> NewSecret:
    """A secret that somebody chose, hashed as slowly as a password.

    One that stands in a manual is known to everybody: of it the quick hash is kept, by which it is found again.
    """
    quick = client_auth.digest(secret)
    if quick in DEFAULT_KEYS:
        return NewSecret(ClientSecret(kind=SecretKind.GENERATED, digest=quick, created_at=now), {})
    digest = prompts.hashed(settings, secret)
    return NewSecret(ClientSecret(kind=SecretKind.CHOSEN, digest=digest, created_at=now), {})


def manual_of(client: Client, *, now: int) -> str | None:
    """The dialect in whose manual one of a client's live secrets stands; None where none does."""
    live = [secret.digest for secret in client.secrets if secret.is_live(now)]
    return next((DEFAULT_KEYS[digest] for digest in live if digest in DEFAULT_KEYS), None)
