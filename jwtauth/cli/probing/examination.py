"""What is wrong with a running service, seen from outside as its clients see it: `jwtauth doctor URL`.

Nothing is changed there and nothing secret is sent: a wrong client secret, a grant type that nobody has, forged
headers. `documents` judges what the service says of itself, `proxy` what a proxy before it makes of that.
"""

import asyncio
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from jwtauth.cli.findings.finding import SET_THE_CLOCKS, Finding
from jwtauth.cli.printing import iso
from jwtauth.cli.probing import documents, proxy
from jwtauth.cli.probing.service import (
    AGENT,
    HOST,
    Rule,
    Service,
    date_of,
    error,
    location,
    members,
    not_passed_on,
    warning,
)
from jwtauth.errors import ConfigurationError
from jwtauth.outside.http import NoAnswer
from jwtauth.outside.probe import NotTrusted, NotValidNow, OtherName, Prober, Reply

RENEWS_IN: Final = 14 * 86_400
"""A certificate that ends sooner should have been renewed by now, in seconds."""

APART_IN: Final = 30
"""How far two clocks may be apart before somebody should look at them, in seconds."""

_CONFIGURATION: Final = "/.well-known/openid-configuration"


async def of_service(url: str) -> list[Finding]:
    """What can be found out about the service whose issuer is `url`.

    Raises:
        ConfigurationError: that is no URL of an issuer.
    """
    issuer = url.removesuffix("/")
    _require_issuer(issuer)
    if _is_in_the_clear(issuer):
        what = f"{issuer} is plain http off loopback: tokens and secrets travel in the clear, so nothing is asked there"
        return [error(what, "put a TLS proxy in front and set an https issuer")]
    async with Prober(agent=AGENT) as prober:
        try:
            first = await prober.ask("GET", issuer + _CONFIGURATION)
        except NoAnswer as problem:
            return [_unreachable(issuer, problem)]
        provider = members(first)
        if first.status != 200 or provider is None:
            return [_no_document(issuer, first)]
        service = Service(issuer=issuer, provider=provider, first=first, prober=prober)
        found = await asyncio.gather(*(_told(rule, service) for rule in _RULES))
    return list(dict.fromkeys(finding for findings in found for finding in findings))


async def _told(rule: Rule, service: Service) -> list[Finding]:
    """What a rule finds; that it got no answer is a finding too."""
    try:
        return await rule(service)
    except NoAnswer as problem:
        return [_unreachable(service.issuer, problem)]


def _require_issuer(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_issuer = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_issuer = False
    if not is_issuer or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(f"{url!r}: is no issuer; expected https://host[/path] without query or fragment")


def _is_in_the_clear(issuer: str) -> bool:
    parts = urlsplit(issuer)
    try:
        return parts.scheme == "http" and not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http"


def _unreachable(issuer: str, problem: NoAnswer) -> Finding:
    if isinstance(problem, NotTrusted):
        return error(f"{issuer}: the certificate does not verify: {problem}", _trustworthy(issuer, problem))
    return error(f"{issuer} does not answer: {problem}", "start it there with `jwtauth serve`, or correct proxy_pass")


def _trustworthy(issuer: str, problem: NotTrusted) -> str:
    match problem:
        case OtherName():
            name = urlsplit(issuer).hostname
            return f"in nginx, in the server of {name}: ssl_certificate of a file that names it, e.g. certbot -d {name}"
        case NotValidNow():
            return "renew it, e.g. certbot renew, then nginx -s reload; or correct this machine's clock"
        case _:
            return "in nginx: ssl_certificate fullchain.pem; (own authority: set SSL_CERT_FILE for clients)"


def _no_document(issuer: str, reply: Reply) -> Finding:
    if 300 <= reply.status < 400:
        target = reply.headers.get("location", "nowhere")
        what = f"{issuer}{_CONFIGURATION} is redirected to {target!r}; clients do not follow"
        return error(what, "call `jwtauth doctor` with the issuer itself, or remove the redirect from the proxy")
    said = str((members(reply) or {}).get("error_description", ""))
    if reply.status == 421 and "allowed_hosts" in said:
        what = f"{issuer}{_CONFIGURATION} answers 421: the service has another issuer, or the proxy sends another Host"
        return error(what, f'set issuer = "{issuer}" there, or in nginx, in the location that proxies: {HOST}')
    if said:
        what = f"{issuer}{_CONFIGURATION} answers {reply.status}: {said}"
        return error(what, "see what `jwtauth doctor` says in its folder")
    what = f"{issuer}{_CONFIGURATION} answers {reply.status} and no JSON object: clients cannot find anything"
    return error(what, location("/"))


async def _tls(service: Service) -> list[Finding]:
    if not service.is_https:
        return []
    found = []
    left_in = (service.first.certificate_ends_at or 0) - service.first.received_at
    if left_in < RENEWS_IN:
        ends = iso(service.first.certificate_ends_at or 0)
        what = f"the certificate ends in {left_in // 86_400} days, {ends}"
        found.append(warning(what, "renew it now and see why that did not happen by itself, e.g. certbot renew"))
    if "strict-transport-security" not in service.first.headers:
        remedy = (
            'in nginx: add_header Strict-Transport-Security "max-age=31536000" always;'
            " proxy_hide_header Strict-Transport-Security;"
        )
        found.append(warning("there is no Strict-Transport-Security: a first visit by http can be intercepted", remedy))
    return found


async def _clock(service: Service) -> list[Finding]:
    said = date_of(service.first)
    if said is None:
        return []
    apart = service.first.received_at - said
    if abs(apart) <= APART_IN:
        return []
    way = "behind" if apart > 0 else "ahead of"
    what = f"the service's clock is {abs(apart)} s {way} this machine's: tokens are refused too early or too late"
    return [warning(what, SET_THE_CLOCKS)]


async def _readiness(service: Service) -> list[Finding]:
    reply = await service.prober.ask("GET", f"{service.origin}/readyz")
    if reply.status == 200:
        return []
    if reply.status == 503:
        said = reply.body[:200].decode(errors="replace")
        return [error(f"/readyz says {said!r}: no tokens are issued", "run `jwtauth doctor` in its folder")]
    what = f"/readyz answers {reply.status}: whoever balances load from outside cannot see whether tokens are issued"
    return [not_passed_on(what, "/readyz")]


_RULES: Final[tuple[Rule, ...]] = (_tls, _clock, _readiness, *documents.RULES, *proxy.RULES)
