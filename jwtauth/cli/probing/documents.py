"""What a running service says of itself: discovery, the endpoints it names, its keys and status lists.

RFC 8414, OpenID Connect Discovery 1.0, RFC 7517, draft-ietf-oauth-status-list.
"""

import asyncio
import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from jwtauth.cli.findings.finding import Finding
from jwtauth.cli.probing.service import Rule, Service, directive, error, location, members
from jwtauth.errors import InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.jws import VerifyingKey
from jwtauth.outside.probe import Reply
from jwtauth.protocol import status_list
from jwtauth.protocol.claims import LEEWAY_IN

_LONGEST_NAME: Final = 200
_MACHINES: Final = (400, 401, 405)
_PAGES: Final = (200, 303, 400)
"""What an endpoint says that is there and was asked for nothing: a refusal, or a page."""

_ENDPOINTS: Final = (
    ("authorization_endpoint", "GET", _PAGES),
    ("token_endpoint", "GET", _MACHINES),
    ("introspection_endpoint", "POST", _MACHINES),
    ("revocation_endpoint", "POST", _MACHINES),
    ("userinfo_endpoint", "GET", _MACHINES),
    ("end_session_endpoint", "GET", _PAGES),
)

_ROTATE: Final = "in its folder: jwtauth keys rotate --now"


async def _issuer(service: Service) -> list[Finding]:
    """RFC 8414 section 3.3: compared character by character."""
    named = service.provider.get("issuer")
    if named == service.issuer:
        return []
    what = f"the service calls itself {named!r}, not {service.issuer}: clients refuse that"
    other = shlex.quote(str(named)[:_LONGEST_NAME])  # the line is made to be copied into a shell
    return [error(what, f'set issuer = "{service.issuer}" there, or look at the right one: jwtauth doctor {other}')]


async def _urls(service: Service) -> list[Finding]:
    """Everything that is advertised is the issuer's own."""
    named = service.provider.get("issuer")
    foreign = [
        f"{name} {value}"
        for name, value in service.provider.items()
        if name.endswith(("_endpoint", "_uri")) and not str(value).startswith(f"{named}/")
    ]
    what = f"the discovery document names what is not below the issuer: {', '.join(foreign)}"
    return [error(what, "remove what rewrites answers from the proxy, such as sub_filter")] if foreign else []


async def _endpoints(service: Service) -> list[Finding]:
    found = await asyncio.gather(*(_endpoint(service, *row) for row in _ENDPOINTS))
    return [finding for findings in found for finding in findings]


async def _endpoint(service: Service, member: str, method: str, right: tuple[int, ...]) -> list[Finding]:
    uri = service.uri(member)
    if uri is None:
        return []
    reply = await service.prober.ask(method, uri)
    if reply.status in right:
        return []
    what = f"{member} {uri} answers {reply.status} to a bare {method}, not one of {', '.join(map(str, right))}"
    if reply.status == 503:
        return [error(what, "see what `jwtauth doctor` says in its folder")]
    return [error(what, location(urlsplit(uri).path))]


async def _authorization_server(service: Service) -> list[Finding]:
    """RFC 8414 section 3.1: the well-known part stands before the issuer's path; it must say the same."""
    uri = f"{service.origin}/.well-known/oauth-authorization-server{urlsplit(service.issuer).path}"
    reply = await service.prober.ask("GET", uri)
    document = members(reply)
    if reply.status != 200 or document is None:
        what = f"{uri} answers {reply.status} and no JSON object: clients that know RFC 8414 only find nothing"
        return [error(what, location(urlsplit(uri).path))]
    differing = [name for name, value in document.items() if service.provider.get(name) != value]
    if not differing:
        return []
    what = f"the two discovery documents disagree about {', '.join(differing)}"
    return [error(what, f"{_uncached(uri)} (and one version of the service everywhere)")]


async def _keys(service: Service) -> list[Finding]:
    """RFC 7517: public, named, of an algorithm that verifiers accept."""
    uri = service.uri("jwks_uri")
    if uri is None:
        return []
    reply = await service.prober.ask("GET", uri)
    keys = _key_members(reply)
    if not keys:
        what = f"jwks_uri {uri} answers {reply.status} and no key: nobody can verify a token"
        return [error(what, location(urlsplit(uri).path))]
    found = [error(f"JWKS: {problem}", _ROTATE) for key in keys for problem in _problems_of(key)]
    names = Counter(str(key.get("kid")) for key in keys)
    found += [error(f"JWKS: {count} keys are called {kid}", _ROTATE) for kid, count in names.items() if count > 1]
    return [*found, *_promises(service, uri, {str(key.get("alg")) for key in keys})]


def _promises(service: Service, uri: str, algorithms: set[str]) -> Iterator[Finding]:
    promised = service.provider.get("id_token_signing_alg_values_supported")
    for name in promised if isinstance(promised, list) else []:
        if str(name) not in algorithms:
            what = f"the discovery document promises ID tokens signed with {name}, and JWKS has no such key"
            yield error(what, _uncached(uri))


def _problems_of(key: dict[str, Any]) -> Iterator[str]:
    name = f"key {key.get('kid')!r}"
    try:
        VerifyingKey(key)
    except InvalidToken as problem:
        yield f"{name}: {problem}"
    if key.get("use") != "sig":
        yield f"{name}: its use is {key.get('use')!r}, not 'sig'"


async def _status_lists(service: Service) -> list[Finding]:
    """Section 9.3 of the draft: every list is there, signed by a published key and not over."""
    uri = service.uri("status_list_aggregation_endpoint")
    if uri is None:
        return []
    reply = await service.prober.ask("GET", uri)
    lists = (members(reply) or {}).get("status_lists")
    if reply.status != 200 or not isinstance(lists, list):
        what = f"status_list_aggregation_endpoint {uri} answers {reply.status} and no list of lists"
        return [error(what, location(urlsplit(uri).path + "/"))]
    foreign = [str(name) for name in lists if not str(name).startswith(f"{uri}/")]
    if foreign:
        what = f"status lists that are not below {uri}: {', '.join(foreign)}"
        return [error(what, "remove what rewrites answers from the proxy, such as sub_filter")]
    return await _status_list(service, lists[0]) if lists else []


async def _status_list(service: Service, uri: str) -> list[Finding]:
    reply = await service.prober.ask("GET", uri)
    try:
        published = await service.prober.ask("GET", service.uri("jwks_uri") or service.issuer)
        _require_good(reply, _key_members(published), uri=uri, issuer=service.issuer)
    except InvalidToken as problem:
        what = f"status list {uri}: {problem}: verifiers refuse its tokens"
        return [error(what, _uncached(uri))]
    return []


def _require_good(reply: Reply, keys: list[dict[str, Any]], *, uri: str, issuer: str) -> None:
    """Let a status list pass that a verifier would take.

    Raises:
        InvalidToken: it would not.
    """
    if reply.status != 200:
        raise InvalidToken(f"it answers {reply.status}")
    signed = jws.take_apart(reply.body.decode("ascii", "replace"))
    named = [VerifyingKey(key) for key in keys if key.get("kid") == signed.header.kid]
    if not named or signed.header.typ != status_list.TYPE or not named[0].verify(signed):
        raise InvalidToken("it is not signed by a published key")
    found = status_list.read(signed.payload)
    status_list.check(found, uri=uri, issuer=issuer, now=reply.received_at, leeway_in=LEEWAY_IN)


def _key_members(reply: Reply) -> list[dict[str, Any]]:
    try:
        return msgspec.convert((members(reply) or {}).get("keys"), list[dict[str, Any]])
    except msgspec.ValidationError:
        return []


def _uncached(uri: str) -> str:
    return directive(urlsplit(uri).path, "proxy_cache off;")


RULES: Final[tuple[Rule, ...]] = (
    _issuer,
    _urls,
    _endpoints,
    _authorization_server,
    _keys,
    _status_lists,
)
