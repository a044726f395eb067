"""Targets in what a request carries: query, form, fields, cookies, addresses, and its head as bytes."""

from base64 import b64decode
from collections.abc import Coroutine
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl

from litestar import Request

from jwtauth.errors import InvalidClient, InvalidRequest, InvalidTokenRequest, MissingToken
from jwtauth.protocol import bearer, client_auth
from jwtauth.settings import Settings
from jwtauth.web import asgi, render
from jwtauth.web.addresses import Addresses
from jwtauth.web.asgi import MAX_PARAMETERS, BadHttp
from jwtauth.web.types import HTTPScope
from jwtauth.web.visits import MAX_COOKIE_LENGTH, Visits
from tests.soak.fuzz.target import Target
from tests.soak.fuzz.wire import answers, run

T = TypeVar("T")

MAX_BODY: Final = 4_096
LANGUAGES: Final = ("en", "de", "pt-BR")

_PROXIED: Final = Addresses(Settings(issuer="https://issuer.example", trusted_proxies=("10.0.0.0/8", "fd00::/8")))
_VISITS: Final = Visits(Settings(issuer="https://issuer.example"))
_COOKIES: Final = ("__Host-jwtauth-session", "__Host-jwtauth-device", "__Host-jwtauth-browser")


def _read_form(data: bytes) -> None:
    """The query, a line break, the form."""
    query, _, form = data.partition(b"\n")
    headers = [(b"content-type", asgi.FORM), (b"content-length", b"%d" % len(form))]
    read = _now(asgi.read(_scope(headers, query), form, max_body=MAX_BODY, body_timeout=1))
    for name, value in (*read.query.items(), *read.parameters.items()):
        assert value, f"{name}: is empty, and so should be absent"


def _read_length(data: bytes) -> None:
    """The field Content-Length, a line break, the field Content-Type, a line break, the body."""
    length, _, rest = data.partition(b"\n")
    content_type, _, body = rest.partition(b"\n")
    headers = [(b"content-length", length), (b"content-type", content_type)]
    read = run(asgi.read(_scope(headers, b""), _whole(body), max_body=MAX_BODY, body_timeout=1))
    assert len(body) <= MAX_BODY or not read.parameters


def _read_pairs(data: bytes) -> None:
    """A form as the library reads it too."""
    text = data.decode("ascii")
    expected = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    assert asgi.pairs_of(text) == expected


def _read_basic(data: bytes) -> None:
    found = client_auth.basic(data.decode("latin-1"))
    client_id, _, secret = b64decode(data.partition(b" ")[2].strip()).decode().partition(":")
    assert found.client_id
    assert secret in found.secrets
    assert "%" in client_id or "+" in client_id or found.client_id == client_id


def _read_bearer(data: bytes) -> None:
    token = bearer.presented([line.decode("latin-1") for line in data.split(b"\n")], {}, {})
    assert token == token.strip() != ""


def _read_cookies(data: bytes) -> None:
    scope = _scope([(b"cookie", data)], b"")
    request: Request[Any, Any, Any] = Request(cast(Any, scope), receive=_whole(b""))
    visit, _ = _now(_VISITS.read(request))
    for value in (visit.session, visit.device, visit.browser):
        assert value is None or 0 < len(value) <= MAX_COOKIE_LENGTH


def _read_address(data: bytes) -> None:
    """Lines of X-Forwarded-For, behind a proxy that is believed."""
    headers = [(b"x-forwarded-for", line) for line in data.split(b"\n")]
    found = _PROXIED.of(_scope(headers, b"", client=("10.0.0.1", 1)))
    assert found, "whoever sends it goes uncounted"
    again = _PROXIED.of(_scope([(b"x-forwarded-for", found.removesuffix("/64").encode("latin-1"))], b""))
    assert again == found or "," in found or found != found.strip(), "one address in two spellings"


def _read_languages(data: bytes) -> None:
    """`ui_locales`, a line break, Accept-Language."""
    wishes, _, accepted = data.partition(b"\n")
    tags = tuple(wishes.decode(errors="replace").split(" "))
    assert render.negotiate(tags, accepted.decode("latin-1"), LANGUAGES) in LANGUAGES


def _read_head(data: bytes) -> None:
    """A connection's bytes: every answer is HTTP, and then the connection closes."""
    answered = answers(data)
    assert not answered or answered.startswith(b"HTTP/1.1 "), answered[:80]
    assert b"Traceback" not in answered
    assert b"HTTP/1.1 500" not in answered


def _scope(headers: list[tuple[bytes, bytes]], query: bytes, client: tuple[str, int] = ("10.0.0.1", 1)) -> HTTPScope:
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": query,
        "headers": headers,
        "client": client,
        "state": {},
    }
    found: HTTPScope = scope
    return found


def _whole(body: bytes) -> Any:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _now(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    raise AssertionError("it waits")


REQUESTS: Final = {
    "form": Target(
        read=_read_form,
        refusals=(InvalidRequest, BadHttp),
        seeds=(
            b"\ngrant_type=client_credentials&scope=read+write",
            b"a=1&b=%C3%A9\nresource=a&resource=b&empty=",
            b"a=%\nb=%zz",
            b"\na=%00",
            b"\n" + b"a&" * 70,
        ),
    ),
    "body": Target(
        read=_read_length,
        refusals=(InvalidRequest, BadHttp),
        seeds=(
            b"3\napplication/x-www-form-urlencoded; charset=utf-8\na=b",
            b"\n\n",
            b"--1\n\nx",
            b"9" * 5_000 + b"\n\nx",
            b"4096\nAPPLICATION/X-WWW-FORM-URLENCODED\n" + b"a" * 4_097,
        ),
    ),
    "pairs": Target(
        read=_read_pairs, refusals=(ValueError,), seeds=(b"a=b&&c==d&e", b"a+b=%20&c=%C3%A9", b"%ff=1", b"&" * 64)
    ),
    "basic": Target(
        read=_read_basic,
        refusals=(InvalidClient,),
        seeds=(
            b"Basic c2VydmljZTphLXNlY3JldA==",
            b"basic  YSUyMGI6JTYx",
            b"Basic YTpiJXp6",
            b"Basic w6k6w6k=",
            b"Basic Og==",
            b"Basic /w==",
            b"Bearer x",
        ),
    ),
    "bearer": Target(
        read=_read_bearer,
        refusals=(MissingToken, InvalidTokenRequest),
        seeds=(b"Bearer a.b.c", b"bearer  x \nBasic eA=="),
    ),
    "cookies": Target(
        read=_read_cookies,
        refusals=(InvalidRequest, BadHttp),
        seeds=(
            "; ".join(f"{name}=abc" for name in _COOKIES).encode(),
            b'__Host-jwtauth-session="a\\073b"; __Host-jwtauth-session=c',
            b";=;==;a;\xff=\xff",
        ),
    ),
    "address": Target(
        read=_read_address,
        seeds=(
            b"192.0.2.1, 10.0.0.7",
            b"2001:db8::1\n[fd00::1]:443",
            b"::ffff:192.0.2.1",
            b"fe80::1%eth0",
            b"192.0.2.1:80, unknown, _hidden",
        ),
    ),
    "languages": Target(
        read=_read_languages,
        seeds=(b"de-CH en\nde-DE, pt-BR;q=0.9, *;q=0.1", b"_ -\n;q=1, ,de;q=0", "ſ\u0130 K\n\xff".encode()),
    ),
    "head": Target(
        read=_read_head,
        seeds=(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nHEAD /a?b HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /a HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n",
            b"GET http://[ HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.0\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"a" * 33_000,
        ),
        max_length=65_536,
    ),
}
