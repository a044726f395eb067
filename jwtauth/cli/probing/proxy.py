"""What stands between a running service and its clients: whether a proxy passes on what it must and adds nothing.

RFC 9110 section 7.6, RFC 6749 section 5.1, the Fetch standard section 3.2; SECURITY rows H-01 to H-08.
"""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from jwtauth.cli.findings.finding import Finding
from jwtauth.cli.probing.service import (
    HOST,
    REQUEST_ID,
    Rule,
    Service,
    advice,
    directive,
    error,
    location,
    members,
    warning,
)
from jwtauth.outside.http import NoAnswer
from jwtauth.outside.probe import Reply

NEWS_IN: Final = 5.0
"""The first line of the event stream comes at once; what has not come after so many seconds is being held back."""

_STRANGER: Final = "doctor.invalid"
"""A name that nobody has (RFC 2606)."""
_ORIGIN: Final = f"https://{_STRANGER}"
_FAR_AWAY: Final = "192.0.2.1"
"""An address that nobody has (RFC 5737)."""
_FORGED: Final = {
    "forwarded": f"host={_STRANGER};proto=http",
    "x-forwarded-host": _STRANGER,
    "x-forwarded-proto": "gopher",
    "x-forwarded-port": "1",
    "x-forwarded-prefix": f"/{_STRANGER}",
    "x-original-host": _STRANGER,
}
_CHOSEN_ID: Final = "doctor-chose-this-id"
_WRONG_BASIC: Final = {"authorization": "Basic ZG9jdG9yOndyb25n"}
"""Client `doctor` with the secret `wrong`."""
_WRONG_BEARER: Final = {"authorization": "Bearer doctor"}
_UNKNOWN_GRANT: Final = {"grant_type": "urn:jwtauth:doctor"}
_TRANSPARENT: Final = "remove what the proxy adds: the service answers CORS itself, by what its clients registered"

_PAGE_HEADERS: Final = {
    "content-security-policy": "frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""What every page carries, and a part of its value."""


async def _forged_headers(service: Service) -> list[Finding]:
    """Nothing is ever made from what a client says that it was asked for (SECURITY H-01)."""
    document, page = f"{service.issuer}/.well-known/openid-configuration", f"{service.issuer}/account"
    forged, plain_page, forged_page = await asyncio.gather(
        service.prober.ask("GET", document, headers=_FORGED),
        service.prober.ask("GET", page),
        service.prober.ask("GET", page, headers=_FORGED),
    )
    if members(forged) == service.provider and _target(forged_page) == _target(plain_page):
        return []
    what = "a forged X-Forwarded-Host, X-Forwarded-Proto or Forwarded changes the URLs that the service hands out"
    return [error(what, "answer from jwtauth only, and in nginx: proxy_redirect off;")]


def _target(reply: Reply) -> str:
    """Where an answer redirects to, without what may differ each time."""
    return reply.headers.get("location", "").partition("?")[0]


async def _unknown_host(service: Service) -> list[Finding]:
    """Another name that points here is refused, else its pages' scripts could read the answers (DNS rebinding)."""
    try:
        reply = await service.prober.ask(
            "GET", f"{service.issuer}/.well-known/openid-configuration", headers={"host": _STRANGER}
        )
    except NoAnswer:
        return []
    if reply.status != 200:
        return []
    remedy = f"in nginx, in the location that proxies: {HOST} (or a default_server with return 421;)"
    return [warning(f"a request for the Host {_STRANGER} is answered like one for the service's own name", remedy)]


async def _client_credentials(service: Service) -> list[Finding]:
    """A wrong client secret reaches the service, and its refusal comes back as it is (RFC 6749 section 5.2)."""
    uri = service.uri("token_endpoint")
    if uri is None:
        return []
    reply = await service.prober.ask("POST", uri, headers=_WRONG_BASIC, form={"grant_type": "client_credentials"})
    said = (members(reply) or {}).get("error")
    if (reply.status, said) != (401, "invalid_client"):
        what = f"a wrong client secret is answered {reply.status} {said!r} by {uri}, not 401 'invalid_client'"
        return [error(what, directive(urlsplit(uri).path, "proxy_intercept_errors off;"))]
    if "basic" not in reply.headers.get("www-authenticate", "").lower():
        return [_lost_authorization(uri)]
    return []


async def _bearer(service: Service) -> list[Finding]:
    uri = service.uri("userinfo_endpoint")
    if uri is None:
        return []
    reply = await service.prober.ask("GET", uri, headers=_WRONG_BEARER)
    is_heard = "invalid_token" in reply.headers.get("www-authenticate", "")
    return [_lost_authorization(uri)] if reply.status == 401 and not is_heard else []


def _lost_authorization(uri: str) -> Finding:
    what = f"the Authorization header does not reach {uri}, or its challenge does not come back"
    return error(what, directive(urlsplit(uri).path, "proxy_set_header Authorization $http_authorization;"))


async def _bodies(service: Service) -> list[Finding]:
    """What is posted arrives."""
    uri = service.uri("token_endpoint")
    if uri is None:
        return []
    reply = await service.prober.ask("POST", uri, form=_UNKNOWN_GRANT)
    if (members(reply) or {}).get("error") == "unsupported_grant_type":
        return []
    what = f"the body of a POST does not reach {uri}: an unknown grant type is answered {reply.status}"
    return [error(what, directive(urlsplit(uri).path, "proxy_pass_request_body on;"))]


async def _caches(service: Service) -> list[Finding]:
    """What must not be kept says so, and nobody on the way keeps it (RFC 6749 section 5.1, RFC 9111 section 5.2.2)."""
    uri = service.uri("token_endpoint")
    if uri is None:
        return []
    await service.prober.ask("POST", uri, form=_UNKNOWN_GRANT)
    again = await service.prober.ask("POST", uri, form=_UNKNOWN_GRANT)
    is_kept = "age" in again.headers or "hit" in again.headers.get("x-cache", "").lower()
    if "no-store" in again.headers.get("cache-control", "") and not is_kept:
        return []
    what = f"answers of {uri} are kept on the way, or lost their Cache-Control: no-store"
    return [error(what, directive(urlsplit(uri).path, "proxy_cache off;", "expires off;"))]


async def _events(service: Service) -> list[Finding]:
    """The news for verifiers come when they happen."""
    uri = service.uri("status_list_aggregation_endpoint")
    if uri is None:
        return []
    uri = f"{uri}/events"
    try:
        reply = await service.prober.ask("GET", uri, within=NEWS_IN, longest=1)
    except NoAnswer:
        what = f"{uri} is held back on the way: verifiers hear of a revocation only when they poll"
        return [warning(what, location(urlsplit(uri).path, "proxy_buffering off;", "proxy_read_timeout 1h;"))]
    is_stream = reply.headers.get("content-type", "").startswith("text/event-stream")
    if reply.status == 503 or (reply.status == 200 and is_stream):
        return []
    what = f"{uri} answers {reply.status} and no event stream: verifiers hear of a revocation only when they poll"
    return [warning(what, location(urlsplit(uri).path, "proxy_buffering off;"))]


async def _cors_of_documents(service: Service) -> list[Finding]:
    """Documents are for every script (SECURITY H-02)."""
    jwks = service.uri("jwks_uri")
    replies = {"the discovery document": service.first}
    if jwks is not None:
        replies["JWKS"] = await service.prober.ask("GET", jwks, headers={"origin": _ORIGIN})
    found = []
    for name, reply in replies.items():
        allowed = reply.headers.get("access-control-allow-origin")
        if allowed != "*" or "access-control-allow-credentials" in reply.headers:
            what = f"{name}: Access-Control-Allow-Origin is {allowed!r}, not '*' alone: scripts cannot read it"
            found.append(warning(what, _TRANSPARENT))
    return found


async def _cors_of_clients(service: Service) -> list[Finding]:
    """A script of an origin that no client registered is let in nowhere (SECURITY H-02)."""
    asked = {"origin": _ORIGIN, "access-control-request-method": "POST"}
    found = []
    for member in ("token_endpoint", "userinfo_endpoint", "authorization_endpoint"):
        uri = service.uri(member)
        if uri is None:
            continue
        is_page = member == "authorization_endpoint"
        reply = await service.prober.ask("GET" if is_page else "OPTIONS", uri, headers=asked)
        allowed = reply.headers.get("access-control-allow-origin")
        if allowed is not None:
            what = f"{uri}: Access-Control-Allow-Origin is {allowed!r} for an origin that no client registered"
            found.append(error(what, _TRANSPARENT))
        elif not is_page and "POST" not in reply.headers.get("access-control-allow-methods", ""):
            what = f"{uri} answers {reply.status} to the preflight of a script, without the methods that are allowed"
            found.append(warning(what, "let the proxy pass OPTIONS on: remove its limit_except or its own answer"))
    return found


async def _page_headers(service: Service) -> list[Finding]:
    """The sign-in page cannot be framed, sniffed, kept or referred from (SECURITY B-06, H-03, H-04)."""
    uri = f"{service.issuer}/login"
    reply = await service.prober.ask("GET", uri, headers={"accept": "text/html"})
    if reply.status not in (200, 400):  # a page says 400 where an older system's way in needs to know who asks
        what = f"the sign-in page {uri} answers {reply.status}"
        return [error(what, location(urlsplit(uri).path))]
    found = []
    lost = [name for name, part in _PAGE_HEADERS.items() if part not in reply.headers.get(name, "")]
    if lost:
        what = f"the sign-in page lost headers on its way, or they were changed: {', '.join(lost)}"
        found.append(error(what, "remove the proxy's proxy_hide_header and add_header of these names"))
    if service.is_https and reply.status == 200:
        found += _of_cookie(reply.headers.get("set-cookie", ""))
    if "," in reply.headers.get("strict-transport-security", ""):
        what = "Strict-Transport-Security stands twice on the sign-in page: the proxy's beside the service's own"
        found.append(warning(what, "in nginx, beside add_header: proxy_hide_header Strict-Transport-Security;"))
    return found


def _of_cookie(cookie: str) -> list[Finding]:
    """The cookie that binds a sign-in to the browser (SECURITY B-03)."""
    if cookie.startswith("__Host-") and "secure" in cookie.lower():
        return []
    what = "the cookie of the sign-in page is not __Host- and Secure: signing in fails or can be interfered with"
    return [error(what, "remove proxy_cookie_path, proxy_cookie_domain and proxy_cookie_flags")]


async def _banner(service: Service) -> list[Finding]:
    server = service.first.headers.get("server", "")
    if not any(character.isdigit() for character in server):
        return []
    what = f"every answer says which version stands in front: Server: {server!r}"
    return [advice(what, "in nginx: server_tokens off;")]


async def _metrics(service: Service) -> list[Finding]:
    """Figures are for the operator's own network, which this machine may be part of: so it asks for a stranger."""
    reply = await service.prober.ask("GET", f"{service.origin}/metrics", headers={"x-forwarded-for": _FAR_AWAY})
    if reply.status != 200:
        return []
    what = "/metrics can be read from here; whether by others too is seen only from an address not in metrics_from"
    return [warning(what, "in nginx: location = /metrics { deny all; }")]


async def _request_id(service: Service) -> list[Finding]:
    """Whoever chooses the id of a request can make it that of another in the logs; a proxy gives each its own."""
    if not service.is_https:  # no proxy: whoever asks is of this machine
        return []
    reply = await service.prober.ask("GET", f"{service.issuer}/login", headers={"x-request-id": _CHOSEN_ID})
    if reply.headers.get("x-request-id") != _CHOSEN_ID:
        return []
    what = "clients choose the X-Request-Id under which they stand in the logs"
    return [warning(what, f"in nginx, in the location that proxies: {REQUEST_ID}")]


RULES: Final[tuple[Rule, ...]] = (
    _forged_headers,
    _unknown_host,
    _client_credentials,
    _bearer,
    _bodies,
    _caches,
    _events,
    _cors_of_documents,
    _cors_of_clients,
    _page_headers,
    _banner,
    _metrics,
    _request_id,
)
