"""A running service that is being looked at from outside: where it is, and what it said of itself first."""

from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from jwtauth.cli.findings.finding import Finding, Severity
from jwtauth.cli.printing import printable
from jwtauth.outside.probe import Prober, Reply

AGENT: Final = "jwtauth-doctor"
"""What every question is sent under, so that logs show where they come from."""

UPSTREAM: Final = "http://127.0.0.1:8000"
"""Where the service listens in the proxy directives that remedies print; unless told, it does."""

HOST: Final = "proxy_set_header Host $http_host;"
"""With its port: nginx's $host has none, and is not the name of an issuer that has one."""

REQUEST_ID: Final = "proxy_set_header X-Request-Id $request_id;"

_PASSED: Final = (HOST, "proxy_set_header X-Forwarded-For $remote_addr;", REQUEST_ID)
"""What every location says that passes something on."""

_LONGEST_TEXT: Final = 1_000
"""Characters of a finding that are told."""


class Service(Struct, frozen=True, kw_only=True):
    """The service, and who asks it."""

    issuer: str
    """The URL that doctor was called with; what the service calls itself must be the same."""
    provider: dict[str, Any]
    """Its OpenID discovery document."""
    first: Reply
    """That document as it came."""
    prober: Prober

    @property
    def origin(self) -> str:
        """The issuer without its path."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_https(self) -> bool:
        """Whether TLS is spoken."""
        return self.issuer.startswith("https:")

    def uri(self, member: str) -> str | None:
        """A URL of the discovery document; None where it names none, or one that is not below the issuer."""
        named = self.provider.get(member)
        return named if isinstance(named, str) and named.startswith(f"{self.issuer}/") else None


Rule = Callable[[Service], Awaitable[list[Finding]]]
"""Looks at one thing; that nobody answers is said by who asks it."""


def error(what: str, remedy: str) -> Finding:
    """Clients fail, or are not safe."""
    return _finding(Severity.ERROR, what, remedy)


def warning(what: str, remedy: str) -> Finding:
    """Something works worse than it could, or will stop working."""
    return _finding(Severity.WARNING, what, remedy)


def advice(what: str, remedy: str) -> Finding:
    """Harmless as long as somebody knows why it is so."""
    return _finding(Severity.ADVICE, what, remedy)


def location(path: str, *directives: str) -> str:
    """The line of nginx's configuration that treats a path as it should be.

    It stands for itself: whatever another location sets is not set in this one. One that ends in a slash is for all
    below; any other is exact, as nothing else wins against that.
    """
    name = path if path.endswith("/") else f"= {path}"
    return f"in nginx: location {name} {{ {' '.join([f'proxy_pass {UPSTREAM};', *_PASSED, *directives])} }}"


def directive(path: str, *lines: str) -> str:
    """What to add to nginx's configuration where a path is already passed on."""
    return f"in nginx, in the location that proxies {path}: {' '.join(lines)}"


def not_passed_on(what: str, path: str) -> Finding:
    """A path that clients can do without is not there."""
    return advice(what, f"if somebody needs it, {location(path)}")


def members(reply: Reply) -> dict[str, Any] | None:
    """The JSON object in an answer, None where there is none."""
    try:
        return msgspec.json.decode(reply.body, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def date_of(reply: Reply) -> int | None:
    """The instant at which an answer was made; None where it does not say."""
    try:
        return int(parsedate_to_datetime(reply.headers["date"]).timestamp())
    except (KeyError, ValueError, OverflowError):
        return None


def _finding(severity: Severity, what: str, remedy: str) -> Finding:
    """A finding that quotes strangers: nothing in it moves the cursor or fills the screen."""
    return Finding(severity, _printable(what), _printable(remedy))


def _printable(text: str) -> str:
    shown = printable(text[:_LONGEST_TEXT])
    return shown if len(text) <= _LONGEST_TEXT else f"{shown}..."
