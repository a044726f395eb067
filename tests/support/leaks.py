"""Every secret that the suite uses, and a look for it in everything that a server writes (SECURITY S-09, S-10, P-14).

What httpx, requests and browsers send to a server, and are answered, is listened to: passwords, client secrets, codes,
verifiers, tokens, cookies, sealed transactions. When a server stops, none of it may be in its log, its audit log, its
metrics or its database. So each test is a test of that too, whatever else it is about.
"""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import httpx
import requests

from tests.support.home import PASSWORD, SECRET

LEAST: Final = 16
"""Shorter values are words that stand in a log for other reasons."""

PARAMETERS: Final = frozenset(
    {
        *("password", "current_password", "new_password", "repeated_password", "client_secret", "j_password"),
        *("code", "code_verifier", "refresh_token", "access_token", "id_token", "id_token_hint", "token"),
        *("transaction", "csrf", "logout_token", "external_access_token", "external_refresh_token"),
    }
)
"""Parameters and members whose values are nobody else's business."""

ALIKE: Final = 3
"""In a log the first part of a token is a leak too; the last characters are what nobody could know."""

_used: defaultdict[int, set[str]] = defaultdict(set)
"""By the server's port."""
_harmless: set[str] = set()


def listen() -> None:
    """Listen to every request of this process from now on."""
    sent, sent_async, sent_by_requests = httpx.Client.send, httpx.AsyncClient.send, requests.Session.send

    def send(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        response = sent(client, request, **options)
        _hear(response, is_read=not options.get("stream"))
        return response

    async def send_async(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        response = await sent_async(client, request, **options)
        _hear(response, is_read=not options.get("stream"))
        return response

    def send_by_requests(
        session: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        response = sent_by_requests(session, request, **options)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = {str(name): str(value) for name, value in request.headers.items()}
        sent_body = body if isinstance(body, bytes) else b""
        _note(str(request.url), headers, sent_body, dict(response.headers), response.content)
        return response

    setattr(httpx.Client, "send", send)  # noqa: B010 - mypy rightly minds when it is said openly
    setattr(httpx.AsyncClient, "send", send_async)  # noqa: B010
    setattr(requests.Session, "send", send_by_requests)  # noqa: B010


def may_be_written(value: str) -> str:
    """A value that is no secret, though a test sends it where one belongs: a mark, a digest that the database holds."""
    _harmless.add(value)
    return value


def used(port: int) -> frozenset[str]:
    """What was used with the server of that port, and is forgotten now."""
    return frozenset({PASSWORD, SECRET}.union(_used.pop(port, ()))) - _harmless


def hear_browser(issuer: str, url: str, body: str | None, cookies: Iterable[str] = ()) -> None:
    """Note what a browser sent on behalf of an issuer, to whomever: a code goes to the application."""
    port = urlsplit(issuer).port
    assert port is not None
    values = [*_parameters(urlsplit(url).query), *_parameters(body or ""), *cookies]
    _used[port].update(value for value in values if len(value) >= LEAST)


def found_in(folder: Path, values: Iterable[str], *, metrics: str = "") -> list[str]:
    """Where a server's files have one of these values, as `file: its first and last characters`."""
    written = {path: path.read_bytes() for path in _files(folder)}
    written[Path("metrics")] = metrics.encode()
    found = []
    for value in sorted(values):
        spelt = {value.encode(), json.dumps(value)[1:-1].encode()}
        for path, content in written.items():
            if any(spelling in content for spelling in spelt):
                found.append(f"{path.name}: {value[:ALIKE]}...{value[-ALIKE:]}")
    return found


def _files(folder: Path) -> Iterator[Path]:
    for pattern in ("*.log", "audit/*.jsonl", "*.db", "*.db-wal"):
        yield from folder.glob(pattern)


def _hear(response: httpx.Response, *, is_read: bool) -> None:
    for answer in (*response.history, response):
        request = answer.request
        body = request.content if hasattr(request, "_content") else b""
        content = answer.content if is_read or answer is not response else b""
        _note(str(request.url), dict(request.headers), body, dict(answer.headers), content)


def _note(url: str, asked: Mapping[str, str], body: bytes, answered: Mapping[str, str], content: bytes) -> None:
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1" or parts.port is None:
        return
    asked, answered = ({name.lower(): value for name, value in headers.items()} for headers in (asked, answered))
    location = urlsplit(answered.get("location", ""))
    values = [
        *_parameters(parts.query),
        *_parameters(body.decode("utf-8", "replace")),
        *_authorization(asked.get("authorization", "")),
        *_cookies(asked.get("cookie", "")),
        *_cookies(answered.get("set-cookie", "")),
        *_parameters(location.query),
        *_parameters(location.fragment),
        *_members(content),
    ]
    _used[parts.port].update(value for value in values if len(value) >= LEAST)


def _parameters(text: str) -> Iterator[str]:
    yield from (value for name, value in parse_qsl(text, errors="replace") if name in PARAMETERS)


def _members(content: bytes) -> Iterator[str]:
    if not content.startswith(b"{"):
        return
    try:
        told = json.loads(content)
    except ValueError:
        return
    if isinstance(told, dict):
        yield from (value for name, value in told.items() if name in PARAMETERS and isinstance(value, str))


def _authorization(header: str) -> Iterator[str]:
    scheme, _, rest = header.partition(" ")
    yield rest
    if scheme.lower() == "basic":
        try:
            secret = base64.b64decode(rest, validate=True).decode().partition(":")[2]
            yield from (secret, unquote_plus(secret))
        except (binascii.Error, UnicodeDecodeError):
            return


def _cookies(header: str) -> Iterator[str]:
    try:
        yield from (morsel.value for morsel in SimpleCookie(header).values())
    except CookieError:
        return
