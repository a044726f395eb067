"""Targets in parameters and settings: redirect URIs, wishes for claims, scopes, resources, issuers."""

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from jwtauth.errors import (
    ConfigurationError,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnmetAuthenticationRequirements,
)
from jwtauth.protocol import redirect_uris, requested_claims, resources, scopes
from jwtauth.protocol.profile import CLAIMS
from jwtauth.protocol.records import ApplicationType, Client, Realm
from jwtauth.verifier import locations
from tests.soak.fuzz.target import Target

_REGISTERED: Final = ("https://client.example/cb", "http://127.0.0.1/cb?a=b", "com.example.app:/cb")
_REALM: Final = Realm(id=1, name="music", audience="https://music.example")
_WEB: Final = Client(id=1, client_id="web", realm=_REALM, redirect_uris=_REGISTERED)
_NATIVE: Final = Client(
    id=2, client_id="native", realm=_REALM, redirect_uris=_REGISTERED, application_type=ApplicationType.NATIVE
)
_PARAMETERS: Final = {"code": "a code", "state": "é&=#"}


def _register(data: bytes) -> None:
    """A URI that is registered is read in one way by everybody."""
    uri = data.decode(errors="replace")
    redirect_uris.check_redirect_uri(uri)
    assert redirect_uris.matches(uri, Client(id=1, client_id="web", realm=_REALM, redirect_uris=(uri,)))
    parts, sent = urlsplit(uri), urlsplit(redirect_uris.with_parameters(uri, _PARAMETERS))
    assert (sent.scheme, sent.netloc, sent.path) == (parts.scheme, parts.netloc, parts.path)
    assert parse_qsl(sent.query, keep_blank_values=True)[-2:] == list(_PARAMETERS.items())
    assert urlsplit(redirect_uris.with_fragment(uri, _PARAMETERS)).query == parts.query
    assert all(ord(" ") < ord(letter) < 0x7F for letter in redirect_uris.destination(uri))
    assert all(source.endswith(":") for source in redirect_uris.csp_sources(uri))
    assert redirect_uris.origin(uri) is None or urlsplit(uri).scheme in ("http", "https")


def _match(data: bytes) -> None:
    """Whatever is sent is accepted exactly where it is registered, but for a native application's loopback port."""
    sent = data.decode(errors="replace")
    assert redirect_uris.matches(sent, _WEB) is (sent in _REGISTERED)
    if redirect_uris.matches(sent, _NATIVE) and sent not in _REGISTERED:
        parts = urlsplit(sent)
        assert (parts.scheme, parts.hostname, parts.path, parts.query) == ("http", "127.0.0.1", "/cb", "a=b")
        assert parts.port is not None
    assert len(redirect_uris.without_query(sent)) <= 200


def _read_claims(data: bytes) -> None:
    wish = requested_claims.read(data.decode(errors="replace"))
    assert set(wish.claims.id_token) <= set(CLAIMS)
    assert requested_claims.within(wish.claims, ()) == requested_claims.NOTHING


def _read_scope(data: bytes) -> None:
    values = scopes.parse(data.decode(errors="replace"))
    assert scopes.parse(scopes.text(values)) == values
    assert scopes.narrow(scopes.text(values), allowed=values, default=values) == values


def _read_resource(data: bytes) -> None:
    asked = tuple(data.decode(errors="replace").split("\n"))
    assert set(resources.narrow(asked, allowed=("https://reports.example",))) <= {"https://reports.example"}


def _read_issuer(data: bytes) -> None:
    """An issuer that a resource server is told, and where its documents are."""
    issuer = data.decode(errors="replace")
    locations.require_issuer(issuer)
    assert urlsplit(locations.metadata_uri(issuer)).netloc == urlsplit(issuer).netloc
    assert locations.is_status_list(f"{issuer}/oauth/status/1-0", issuer=issuer)


TEXTS: Final = {
    "redirect-uri": Target(
        read=_register,
        refusals=(ConfigurationError,),
        seeds=(
            *(uri.encode() for uri in _REGISTERED),
            b"https://client.example/%252e%252e/cb?x=%2525",
            b"https://[::1/cb",
            b"https://client.example:99999/",
            b"https://client.example/?a=b&",
            b"https://client.example/?a=b?",
            b"https://" + b"%25" * 600,
        ),
        max_length=2_200,
    ),
    "redirect-uri-sent": Target(
        read=_match,
        seeds=(
            *(uri.encode() for uri in _REGISTERED),
            b"http://127.0.0.1:8080/cb?a=b",
            b"http://127.0.0.1:65536/cb?a=b",
            b"http://127.0.0.1:080/cb?a=b",
            b"https://client.example/cb\n",
        ),
        max_length=2_200,
    ),
    "requested-claims": Target(
        read=_read_claims,
        refusals=(InvalidRequest, UnmetAuthenticationRequirements),
        seeds=(
            b'{"id_token":{"sub":{"value":"a"},"acr":{"essential":true,"values":["1"]}},"userinfo":{"email":null}}',
            b'{"id_token":{"acr":{"essential":true,"value":"2"}}}',
            b'{"id_token":[]}',
            b'{"userinfo":' + b"[" * 4_000,
            b'{"id_token":{"sub":{"value":"\\ud800"}}}',
        ),
    ),
    "scope": Target(
        read=_read_scope, refusals=(InvalidScope,), seeds=(b"openid profile  openid", b'a"b', "é".encode(), b" ")
    ),
    "resource": Target(
        read=_read_resource,
        refusals=(InvalidTarget,),
        seeds=(b"https://reports.example", b"https://reports.example\nhttps://reports.example", b"urn:a#b", b"//["),
    ),
    "issuer": Target(
        read=_read_issuer,
        refusals=(ValueError,),
        seeds=(b"https://issuer.example/t1", b"http://[::1]:8000", b"http://127.1", b"https://a@b", b"https://[x"),
    ),
}
