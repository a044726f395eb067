"""Documents that anybody may read and keep for a while: the public keys and the discovery documents."""

from collections.abc import Callable
from typing import Final

from litestar.types import HTTPScope, Receive, Send
from msgspec import Struct

from jwtauth.endpoints import metadata
from jwtauth.errors import OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.web import asgi, errors
from jwtauth.web.asgi import NO_STORE, Handler, Headers
from jwtauth.web.errors import ErrorAnswer

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


def handler(issuer: Issuer, publication: Publication) -> Handler:
    """The ASGI callable of a document: bytes that were made before the request came."""
    constant = publication.document(issuer) if publication.is_constant else None
    headers: Headers = [
        (b"content-type", publication.content_type),
        (b"cache-control", b"public, max-age=%d" % issuer.settings.jwks_max_age),
        (b"access-control-allow-origin", b"*"),
        (b"x-content-type-options", b"nosniff"),
    ]

    async def handle(scope: HTTPScope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            answer = ErrorAnswer("invalid_request", "method: expected GET")
            await asgi.write_json(send, 405, [*NO_STORE, (b"allow", b"GET, HEAD")], answer)
            return
        try:
            document = publication.document(issuer) if constant is None else constant
        except OAuthError as error:
            status = errors.status_of(error)
            await asgi.write_json(send, status, NO_STORE + errors.headers_of(error), errors.answer(error))
            return
        await asgi.write(send, 200, headers, document)

    return handle
