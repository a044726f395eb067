"""Why a signed token is accepted or refused: access tokens (RFC 9068 section 4) and ID tokens (OpenID Connect Core).

Each check asks the rule that the service asks, with everything else in the token made good for it.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from jwtauth.cli.explaining import explained
from jwtauth.cli.explaining.explained import Check, Explanation, Wanted, quoted
from jwtauth.cli.printing import iso
from jwtauth.errors import ExpiredToken, InsufficientScope, InvalidToken
from jwtauth.issuer.issuer import Issuer
from jwtauth.keyring import jws
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.jws import Signed
from jwtauth.keyring.schedule import KeyState
from jwtauth.protocol import claims, id_token, introspection, scopes, status_list
from jwtauth.protocol.claims import AccessToken
from jwtauth.protocol.introspection import Active
from jwtauth.protocol.records import User

ACCESS_TOKEN: Final = "access token"
ID_TOKEN: Final = "ID token"

_KINDS: Final = {claims.TYPE: ACCESS_TOKEN, id_token.TYPE: ID_TOKEN}
_FOR_ITS_CLIENT: Final = "an ID token is for its client alone; userinfo, introspection and resource servers refuse it"


class _Bearer(msgspec.Struct, frozen=True):
    """The members of an ID token that are looked at besides those of a hint."""

    exp: int
    aud: str


async def explain(issuer: Issuer, folder: KeyFolder, text: str, wanted: Wanted, *, now: int) -> Explanation:
    """Every check of a compact JWS in the order of the service; where one cannot be read, the rest is not looked at."""
    count = text.count(".") + 1
    checks = [Check("parts", "3, separated by dots", str(count), count == 3)]
    try:
        signed = jws.take_apart(text)
    except InvalidToken as problem:
        checks.append(Check("encoding", "canonical base64url and one plain header", str(problem), False))
        return explained.refused("token", checks, problem)
    checks.append(Check("encoding", "canonical base64url and one plain header", "both", True))
    kind = _KINDS.get(signed.header.typ, "token")
    is_access_token = kind == ACCESS_TOKEN or wanted.audience is not None or wanted.scope is not None
    typ = claims.TYPE if is_access_token or kind != ID_TOKEN else id_token.TYPE
    checks.append(Check("typ", quoted(typ), quoted(signed.header.typ), signed.header.typ == typ))
    checks += _of_key(issuer, folder, signed, now=now)
    if typ == id_token.TYPE:
        return await _of_id_token(issuer, text, signed, checks, wanted, now=now)
    found = await _of_access_token(issuer, text, signed, checks, wanted, now=now)
    return replace(found, kind=kind, note=_FOR_ITS_CLIENT if kind == ID_TOKEN else found.note)


def _of_key(issuer: Issuer, folder: KeyFolder, signed: Signed, *, now: int) -> Iterator[Check]:
    """The key that the header names, whether it signs that way, and whether it did."""
    plans = {entry.dates.kid: entry for entry in issuer.keyring.plan(now=now)}
    keys = {record.kid: key for record, key in folder.read_keys()}
    kid = signed.header.kid
    if kid not in plans:
        yield Check("kid", "a published key", f"{quoted(kid)}, which is in no file of the keys folder", False)
        return
    plan, key = plans[kid], keys[kid]
    since = f", retired {iso(plan.retires_at)}" if plan.state is KeyState.RETIRED and plan.retires_at else ""
    yield Check("kid", "a published key", f"{kid}: {plan.state}{since}", plan.state is not KeyState.RETIRED)
    yield Check("alg", key.algorithm, quoted(signed.header.alg), signed.header.alg == key.algorithm)
    is_made_by_it = key.verifying_key.verify(signed)
    yield Check("signature", "made by that key", "it is" if is_made_by_it else "it is not", is_made_by_it)


async def _of_access_token(
    issuer: Issuer, text: str, signed: Signed, checks: list[Check], wanted: Wanted, *, now: int
) -> Explanation:
    try:
        found = claims.read(signed.payload)
    except InvalidToken as problem:
        checks.append(Check("claims", "those of an access token", str(problem), False))
    else:
        checks += _of_claims(issuer, found, wanted, now=now)
        if all(check.is_ok for check in checks if check.check in _PROOF):
            checks += await _of_records(issuer, found, wanted)
    try:
        await _require_accepted(issuer, text, wanted, now=now)
        _require_known(checks)
    except (InvalidToken, InsufficientScope) as problem:
        return explained.refused(ACCESS_TOKEN, checks, problem, note=_note(checks, problem, signed.payload, now=now))
    return Explanation(kind=ACCESS_TOKEN, checks=checks)


def _require_known(checks: list[Check]) -> None:
    """Let a token pass that names nobody whom this service would not answer for (introspection, userinfo).

    Raises:
        InvalidToken: its client or user is not there, or disabled.
    """
    failed = [check.check for check in checks if not check.is_ok]
    if failed:
        raise InvalidToken(f"introspection and userinfo refuse it for its {' and '.join(failed)}")


def _note(checks: list[Check], problem: InvalidToken | InsufficientScope, payload: bytes, *, now: int) -> str:
    """What others do where they judge a refused token in another way than this service."""
    match [check.check for check in checks if not check.is_ok]:
        case ["exp"] if isinstance(problem, ExpiredToken):
            until = claims.read(payload).exp + claims.LEEWAY_IN
            return _STILL_ACCEPTED.format(iso(until)) if now < until else ""
        case ["client"] | ["user"] | ["client", "user"]:
            return _NOT_LOOKED_AT
        case _:
            return ""


_STILL_ACCEPTED: Final = (
    f"a resource server with jwtauth.verifier still accepts it until {{}}: {claims.LEEWAY_IN} s for clocks that differ"
)
_NOT_LOOKED_AT: Final = "resource servers do not look at that, and accept it until it expires or is revoked"


_PROOF: Final = frozenset({"typ", "kid", "alg", "signature", "iss"})
"""What must be right before anything of the token is believed and looked up."""


def _of_claims(issuer: Issuer, token: AccessToken, wanted: Wanted, *, now: int) -> Iterator[Check]:
    name = issuer.settings.issuer
    good = replace(token, iss=name, iat=now, exp=now + 1)
    yield _judged("iss", name, quoted(token.iss), lambda: _check(issuer, replace(good, iss=token.iss), now=now))
    yield _judged(
        "exp", f"after {iso(now)}", iso(token.exp), lambda: _check(issuer, replace(good, exp=token.exp), now=now)
    )
    yield _judged(
        "iat",
        f"at most {iso(now + claims.LEEWAY_IN)}",
        iso(token.iat),
        lambda: _check(issuer, replace(good, iat=token.iat), now=now),
    )
    audience = wanted.audience
    if audience is None:
        yield Check("aud", "that of the resource server (--audience)", quoted(token.aud), True)
    else:
        yield _judged("aud", audience, quoted(token.aud), lambda: claims.check_audience(token, audience))
    if wanted.scope is not None:
        yield Check("scope", wanted.scope, quoted(token.scope), not _missing(token, wanted.scope))


async def _of_records(issuer: Issuer, token: AccessToken, wanted: Wanted) -> list[Check]:
    """What the database knows of a token that is proven ours."""
    store, listed = issuer.store, token.status.status_list
    uri = f"{issuer.settings.issuer}{status_list.PATH}/{store.epoch}-N"
    position = status_list.position_of(listed.uri.rpartition("/")[2], listed.idx, epoch=store.epoch)
    checks = [Check("status list", f"{uri} of this database", quoted(listed.uri), position is not None)]
    if position is not None:
        is_denied = store.positions.is_denied(position)
        checks.append(
            Check("revocation", "its position is not denied", "denied" if is_denied else "it is not", not is_denied)
        )
        grant = await store.grants.of_position(position)
        checks += [] if grant is None else [explained.of_grant(grant)]
    owner = await store.directory.client(token.client_id)
    checks.append(explained.of_client(owner))
    if isinstance(token.uid, int):
        checks.append(explained.of_user(await store.directory.user(token.uid), owner))
    if wanted.client is not None:
        may_know = isinstance(introspection.decide(token, owner, wanted.client, await _person(issuer, token)), Active)
        expected, got = f"client {wanted.client.client_id} may ask", "it may" if may_know else "it may not"
        checks.append(Check("introspection", expected, got, may_know))
    return checks


async def _require_accepted(issuer: Issuer, text: str, wanted: Wanted, *, now: int) -> None:
    """What the service and its verifiers say.

    Raises:
        InvalidToken: not alive, for another audience, or none of the client's business.
        InsufficientScope: it lacks a scope value.
    """
    token, _ = issuer.access_tokens.open(text, now=now)
    if wanted.audience is not None:
        claims.check_audience(token, wanted.audience)
    if wanted.scope is not None and _missing(token, wanted.scope):
        raise InsufficientScope("the token lacks a scope that this request needs", scope=wanted.scope)
    if wanted.client is not None:
        owner = await issuer.store.directory.client(token.client_id)
        answer = introspection.decide(token, owner, wanted.client, await _person(issuer, token))
        if not isinstance(answer, Active):
            raise InvalidToken("the client that asks may not know of the token")


async def _person(issuer: Issuer, token: AccessToken) -> User | None:
    return await issuer.store.directory.user(token.uid) if isinstance(token.uid, int) else None


async def _of_id_token(
    issuer: Issuer, text: str, signed: Signed, checks: list[Check], wanted: Wanted, *, now: int
) -> Explanation:
    name = issuer.settings.issuer
    try:
        found = _BEARER.decode(signed.payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        problem = InvalidToken("the claims are not those of an ID token")
        return explained.refused(ID_TOKEN, [*checks, Check("claims", "those of an ID token", "others", False)], problem)
    checks.append(
        _judged("iss", name, _iss(signed.payload), lambda: id_token.read_hint(signed.payload, issuer=name) and None)
    )
    checks.append(Check("exp", f"after {iso(now)}", iso(found.exp), now < found.exp))
    if wanted.client is not None:
        checks.append(Check("aud", wanted.client.client_id, quoted(found.aud), found.aud == wanted.client.client_id))
    checks.append(explained.of_client(await issuer.store.directory.client(found.aud)))
    try:
        id_token.read_hint(issuer.keyring.open(text, typ=id_token.TYPE, now=now), issuer=name)
        _require_all(checks)
    except InvalidToken as problem:
        return explained.refused(ID_TOKEN, checks, problem, note=_FOR_ITS_CLIENT)
    return Explanation(kind=ID_TOKEN, checks=checks, note=_FOR_ITS_CLIENT)


def _require_all(checks: list[Check]) -> None:
    """What a client asks of an ID token beyond its signature and issuer (OpenID Connect Core 1.0 section 3.1.3.7)."""
    failed = [check.check for check in checks if not check.is_ok]
    if failed:
        raise InvalidToken(f"it is ours, and its client refuses it for its {' and '.join(failed)}")


def _iss(payload: bytes) -> str:
    members: dict[str, Any] = msgspec.json.decode(payload)
    return quoted(members.get("iss"))


def _check(issuer: Issuer, token: AccessToken, *, now: int) -> None:
    claims.check(token, issuer=issuer.settings.issuer, now=now)


def _judged(name: str, expected: str, got: str, rule: Callable[[], object]) -> Check:
    """A check that is in order if a rule of the service says so."""
    try:
        rule()
    except InvalidToken:
        return Check(name, expected, got, False)
    return Check(name, expected, got, True)


def _missing(token: AccessToken, scope: str) -> bool:
    return not set(scopes.parse(scope)).issubset(token.scope.split())


_BEARER: Final = msgspec.json.Decoder(_Bearer)
