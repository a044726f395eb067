"""Documents that anybody may read and keep for a while: the public keys and the discovery documents."""

from collections.abc import Callable
from time import perf_counter
from typing import Final

from msgspec import Struct

from jwtauth.endpoints import metadata
from jwtauth.errors import OAuthError, WrongMethod
from jwtauth.issuer.issuer import Issuer
from jwtauth.web import errors
from jwtauth.web.asgi import Replier, Source
from jwtauth.web.reply import Fields, Reply
from jwtauth.web.types import HTTPScope

Document = Callable[[Issuer], bytes]


class Publication(Struct, frozen=True, kw_only=True):
    """One document that anybody may read and keep for a while."""

    path: str
    document: Document
    summary: str
    is_constant: bool = True
    """Whether it depends on settings only; then it is made once."""
    content_type: bytes = b"application/json"


PUBLICATIONS: Final = (
    Publication(
        path="/.well-known/jwks.json",
        document=metadata.jwks,
        is_constant=False,
        content_type=b"application/jwk-set+json",
        summary="The public keys (RFC 7517)",
    ),
    Publication(
        path="/.well-known/oauth-authorization-server",
        document=metadata.authorization_server,
        summary="Discovery (RFC 8414)",
    ),
    Publication(
        path="/.well-known/openid-configuration",
        document=metadata.openid_configuration,
        is_constant=False,
        summary="Discovery (OpenID Connect Discovery 1.0)",
    ),
)


def replier(issuer: Issuer, publication: Publication) -> Replier:
    """What replies for a document: with bytes that were made before the request came."""
    counted = issuer.metrics.endpoint(publication.path)
    constant = publication.document(issuer) if publication.is_constant else None
    fields = Fields(
        [
            (b"content-type", publication.content_type),
            (b"cache-control", b"public, max-age=%d" % issuer.settings.jwks_max_age),
            (b"access-control-allow-origin", b"*"),
            (b"x-content-type-options", b"nosniff"),
        ]
    )

    def answer(method: str) -> Reply:
        if method not in ("GET", "HEAD"):
            return errors.refusal(WrongMethod(("GET", "HEAD")))
        try:
            return Reply(200, fields, publication.document(issuer) if constant is None else constant)
        except OAuthError as error:
            return errors.refusal(error)

    async def counted_answer(scope: HTTPScope, _: Source) -> Reply:
        began = perf_counter()
        answered = answer(scope["method"])
        counted.note(answered.status, perf_counter() - began)
        return answered

    return counted_answer
