"""Redirect URIs: which may be registered, which was sent, how an answer is put on (RFC 6749 section 3.1.2, RFC 8252).

All but the checks and `matches` expect a URI that passed here when it was registered.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from jwtauth.errors import ConfigurationError
from jwtauth.protocol.records import ApplicationType, Client

MAX_LENGTH: Final = 2048
"""Longest URI, in characters."""

_URI = re.compile(r"[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/?\[\]@!$&'()+,;=%-]+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LOOPBACK = ("127.0.0.1", "[::1]")
_LOOPBACK_URI = re.compile(r"http://(127\.0\.0\.1|\[::1\])(?::([1-9][0-9]{0,4}))?([/?].*)?", re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65_535
_NEVER_IN_A_REDIRECT_URI = (
    ("*", "a wildcard; list every URI in full"),
    ("#", "a fragment (RFC 6749 section 3.1.2)"),
    ("\\", "a backslash"),
)


def check_redirect_uri(uri: str, name: str = "redirect_uri", *, allows_http: bool = False) -> None:
    """Let a URI pass to which a browser may be sent; it is compared character by character later.

    https anywhere, http on a literal loopback address, or a private-use scheme of a native app (RFC 8252 section 7).
    `allows_http`, of realms whose old clients have no TLS, lets http pass anywhere.

    Raises:
        ConfigurationError: it is anything else, or could be read in two ways (SECURITY R-01, R-02).
    """
    parts = _unambiguous(uri, name)
    if not _is_private_use(parts):
        hint = ", or for a native app a scheme with a dot such as com.example.app:/callback"
        _check_web(uri, parts, name, hint=hint, allows_http=allows_http)


def check_backchannel_logout_uri(uri: str) -> None:
    """Let a URI pass to which we send logout tokens: https, or http on a literal loopback address.

    Raises:
        ConfigurationError: it is anything else, or has a fragment (OpenID Connect Back-Channel Logout 1.0 section 2.2).
    """
    name = "backchannel_logout_uri"
    _check_web(uri, _unambiguous(uri, name), name)


def absolute(uri: str, name: str) -> SplitResult:
    """The parts of an absolute URI without fragment, in ASCII and with a lower-case scheme (RFC 3986 section 4.3).

    Raises:
        ConfigurationError: it is anything else.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    is_clean = _URI.fullmatch(uri) and not _BROKEN_PERCENT.search(uri) and len(uri) <= MAX_LENGTH and port != 0
    if not is_clean or not (parts.netloc or parts.path.strip("/")):
        raise ConfigurationError(
            f"{name} {uri!r}: expected an absolute URI without fragment, spaces or characters beyond ASCII"
        )
    return parts


def matches(sent: str, client: Client) -> bool:
    """Whether a redirect URI that was sent is one of the client's, character by character (SECURITY R-02).

    Only a native application's http on a literal loopback address may name any port: the system gives it one when it
    begins to listen (RFC 8252 section 7.3).
    """
    if sent in client.redirect_uris:
        return True
    if client.application_type is not ApplicationType.NATIVE:
        return False
    portless = _without_port(sent)
    return portless is not None and portless in map(_without_port, client.redirect_uris)


def origin(uri: str) -> str | None:
    """The web origin in ASCII, without a default port (RFC 6454 section 6.2); None for a private-use scheme."""
    parts = urlsplit(uri)
    if parts.scheme not in _DEFAULT_PORTS:
        return None
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{_host(parts).lower()}{port}"


def csp_sources(uri: str) -> tuple[str, ...]:
    """What lets a form lead there (Content Security Policy Level 3 section 2.3.1): schemes.

    Browsers check every redirect that follows a form, also those that the application makes behind its redirect URI;
    where these lead is the application's matter, so no host is named.
    """
    return tuple(dict.fromkeys(("https:", f"{urlsplit(uri).scheme}:")))


def destination(uri: str) -> str:
    """Where a person is sent, as a page names it: host, with a port that is not the default, or private-use scheme."""
    found = origin(uri)
    return urlsplit(uri).scheme if found is None else found.partition("://")[2]


def without_query(uri: str) -> str:
    """The beginning of any URI up to its path, short enough for a log; nothing that could be a parameter or a password.

    What has no scheme is no URI, and may be a secret that was put in the wrong place.
    """
    scheme, colon, beyond = re.split(r"[?#]", uri)[0].partition(":")
    if not colon or not scheme.isascii() or "/" in scheme:
        return "no URI"
    without_user = re.sub(r"^(/*)[^/]*@", r"\1", beyond)
    return re.sub(r"[^\x21-\x7e]", "?", f"{scheme}:{without_user}"[:200])


def proves_identity(uri: str) -> bool:
    """Whether nobody but the client receives what is sent there: any program may listen on loopback or take a
    private-use scheme (RFC 8252 section 8.6, SECURITY B-12)."""
    return urlsplit(uri).scheme == "https"


def with_parameters(uri: str, parameters: Mapping[str, str]) -> str:
    """The URI with parameters behind those that it has (RFC 6749 section 3.1.2, SECURITY R-08)."""
    if not parameters:
        return uri
    before, _, query = uri.partition("?")
    if query and not query.endswith("&"):
        query += "&"
    return f"{before}?{query}{_encoded(parameters)}"


def with_fragment(uri: str, parameters: Mapping[str, str]) -> str:
    """The URI with parameters as its fragment, for the implicit grant (RFC 6749 section 4.2.2)."""
    return f"{uri}#{_encoded(parameters)}"


def _unambiguous(uri: str, name: str) -> SplitResult:
    for part, why in _NEVER_IN_A_REDIRECT_URI:
        if part in uri:
            raise ConfigurationError(f"{name} {uri!r}: must not have {why}")
    parts = absolute(uri, name)
    if "@" in parts.netloc:
        raise ConfigurationError(f"{name} {uri!r}: must not have a user or password")
    _check_decoded(uri, parts, name)
    return parts


def _check_web(uri: str, parts: SplitResult, name: str, *, hint: str = "", allows_http: bool = False) -> None:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigurationError(f"{name} {uri!r}: scheme {parts.scheme} is refused; use https{hint}")
    if not _HOST.fullmatch(_host(parts)):
        raise ConfigurationError(f"{name} {uri!r}: has no host, or not a plain one")
    if allows_http:
        return
    if parts.scheme == "http" and _host(parts).lower() == "localhost":
        raise ConfigurationError(
            f"{name} {uri!r}: write 127.0.0.1 instead of localhost, in the application too (RFC 8252 section 7.3)"
        )
    if parts.scheme == "http" and _host(parts) not in _LOOPBACK:
        raise ConfigurationError(f"{name} {uri!r}: http is only for 127.0.0.1 and [::1]; use https")


def _check_decoded(uri: str, parts: SplitResult, name: str) -> None:
    """Refuse what only shows once percent-encoding is undone, however often it was done."""
    path, query = _decoded(parts.path), _decoded(parts.query)
    if any(segment in (".", "..") for segment in path.replace("\\", "/").split("/")):
        raise ConfigurationError(f"{name} {uri!r}: must not have dot segments")
    if not (path + query).isprintable() or "\\" in path:
        raise ConfigurationError(f"{name} {uri!r}: must not have encoded control characters or backslashes")


def _decoded(text: str) -> str:
    while (decoded := unquote(text)) != text:
        text = decoded
    return text


def _is_private_use(parts: SplitResult) -> bool:
    return "." in parts.scheme


def _host(parts: SplitResult) -> str:
    """The authority without its port, an IPv6 address still in its brackets."""
    return re.sub(r":[0-9]*\Z", "", parts.netloc)


def _without_port(uri: str) -> tuple[str, str] | None:
    """What comes before and after the port of an http URI on a literal loopback address; None for any other URI."""
    found = _LOOPBACK_URI.fullmatch(uri)
    if found is None or int(found[2] or 1) > _LAST_PORT:
        return None
    return found[1], found[3] or ""


def _encoded(parameters: Mapping[str, str]) -> str:
    """Percent-encoded, a space as %20: every reader decodes that, and `state` arrives byte for byte."""
    return urlencode(parameters, quote_via=quote)
