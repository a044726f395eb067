"""What upstreams are asked: a few questions at a time each, answered in time, their keys remembered for a while."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import Struct

from jwtauth.errors import InvalidToken, Overloaded
from jwtauth.keyring import jws
from jwtauth.keyring.jws import Signed, VerifyingKey
from jwtauth.observe.log import LOGGER
from jwtauth.outside import upstream as calls
from jwtauth.outside.http import NoAnswer, Outside
from jwtauth.outside.upstream import ANSWER_IN, Redeemed
from jwtauth.protocol import proofs
from jwtauth.protocol.proofs import Members, Proof
from jwtauth.protocol.upstream import Upstream

AT_ONCE: Final = 16
"""Questions that one upstream is asked at once by one process; one more is answered 503, so that a slow upstream does
not hold more than these."""

KEYS_IN: Final = 300
"""For so long a JWK Set counts, in seconds."""

LOOK_AGAIN_IN: Final = 30
"""An unknown kid makes us fetch the keys no more often than this, in seconds (SECURITY A-11)."""

MOST_KEYS: Final = 64
"""Keys of one set that are looked at."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""RFC 6750 section 2.1."""


class _Keys(Struct, frozen=True):
    by_kid: dict[str, VerifyingKey]
    read_at: int


class Upstreams:
    """Asks the upstreams of all realms. What is no proof is a dead `Proof`; what cannot be asked is `Overloaded`."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._busy: dict[str, int] = {}
        self._keys: dict[str, _Keys] = {}
        self._fetching: dict[str, asyncio.Lock] = {}

    async def prove(self, upstream: Upstream, token: str, *, now: int) -> Proof:
        """Whether an access token of the upstream is live, and whose: by introspection, else userinfo, else its keys.

        Raises:
            Overloaded: the upstream did not answer in time, or not as it should; nothing is known.
        """
        if len(token) > jws.MAX_TOKEN_LENGTH or not _TOKEN.fullmatch(token):
            return proofs.dead("is no token")
        async with self._asking(upstream):
            if upstream.introspection_uri is not None:
                return proofs.introspected(await calls.introspect(self._outside, upstream, token), upstream, now=now)
            if upstream.userinfo_uri is not None:
                told = await calls.userinfo(self._outside, upstream, token)
                return proofs.dead("is refused") if told is None else proofs.told_by_userinfo(told, upstream)
            try:
                claims = await self._claims(upstream, token, proofs.ACCESS_TOKEN_TYPES, now=now)
            except InvalidToken as problem:
                return proofs.dead(f"is not of the upstream: {problem}")
            return proofs.of_access_token(claims, upstream, now=now)

    async def prove_id_token(
        self, upstream: Upstream, id_token: str, *, nonce: str, since: int | None, now: int
    ) -> Proof:
        """Whose an ID token is that came with a redeemed code; the upstream's `jwks_uri` must be known.

        Raises:
            Overloaded: as `prove` says.
        """
        async with self._asking(upstream):
            try:
                claims = await self._claims(upstream, id_token, proofs.ID_TOKEN_TYPES, now=now)
            except InvalidToken as problem:
                return proofs.dead(f"the ID token is not of the upstream: {problem}")
            return proofs.of_id_token(claims, upstream, nonce=nonce, since=since, now=now)

    async def has_password(self, upstream: Upstream, username: str, password: str) -> bool:
        """Whether the upstream takes this password.

        Raises:
            Overloaded: as `prove` says.
        """
        async with self._asking(upstream):
            return await calls.has_password(self._outside, upstream, username, password)

    async def redeem(self, upstream: Upstream, code: str, *, redirect_uri: str, code_verifier: str) -> Redeemed | None:
        """What a code is worth at the upstream; None where it is worth nothing.

        Raises:
            Overloaded: as `prove` says.
        """
        async with self._asking(upstream):
            return await calls.redeem(
                self._outside, upstream, code, redirect_uri=redirect_uri, code_verifier=code_verifier
            )

    @asynccontextmanager
    async def _asking(self, upstream: Upstream) -> AsyncIterator[None]:
        """One of the questions that the upstream may be asked at once; over in time, waiting for its keys included."""
        name = upstream.access_token_uri
        if self._busy.get(name, 0) >= AT_ONCE:
            raise _unavailable(upstream, "it is being asked too much at once")
        self._busy[name] = self._busy.get(name, 0) + 1
        try:
            async with asyncio.timeout(ANSWER_IN):
                yield
        except TimeoutError:
            raise _unavailable(upstream, "there was no answer in time") from None
        except NoAnswer as problem:
            raise _unavailable(upstream, str(problem)) from None
        finally:
            self._busy[name] -= 1

    async def _claims(self, upstream: Upstream, token: str, types: tuple[str, ...], *, now: int) -> Members:
        """The claims of a JWT whose signature is the upstream's.

        Raises:
            InvalidToken: it is not, or is no JWT of these types.
            NoAnswer: the keys cannot be had.
        """
        signed = jws.take_apart(token)
        if signed.header.typ.lower() not in types:
            raise InvalidToken("the token is of another type")
        key = await self._key(upstream, signed, now=now)
        if key is None or not key.verify(signed):
            raise InvalidToken("the signature is not good")
        try:
            return proofs.read_object(signed.payload)
        except ValueError:
            raise InvalidToken("the claims cannot be read") from None

    async def _key(self, upstream: Upstream, signed: Signed, *, now: int) -> VerifyingKey | None:
        uri, kid = upstream.jwks_uri or "", signed.header.kid
        async with self._fetching.setdefault(uri, asyncio.Lock()):
            known = self._keys.get(uri)
            if known is None or not 0 <= now - known.read_at < (KEYS_IN if kid in known.by_kid else LOOK_AGAIN_IN):
                known = self._keys[uri] = _Keys(_read_keys(await calls.keys(self._outside, upstream)), now)
        return known.by_kid.get(kid)


def _read_keys(answer: Members) -> dict[str, VerifyingKey]:
    """The usable keys of a JWK Set by kid; one that is of no use to us does not cost the others."""
    sent = answer.get("keys")
    if not isinstance(sent, list):
        raise NoAnswer("the answer is no JWK Set")
    keys = [_read_key(jwk) for jwk in sent[:MOST_KEYS]]
    return {key.kid: key for key in keys if key is not None}


def _read_key(jwk: Any) -> VerifyingKey | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    try:
        return VerifyingKey(jwk)
    except InvalidToken:
        return None


def _unavailable(upstream: Upstream, reason: str) -> Overloaded:
    LOGGER.warning("upstream %s: %s", upstream.name, reason)
    return Overloaded(
        "the authorization server behind this realm cannot be asked; try again in a few seconds",
        retry_after_in=int(ANSWER_IN),
    )
