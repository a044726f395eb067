"""Verifying an access token: its frame, its signature, its claims, its status, in this order (RFC 9068 section 4).

A signature that was proven before is not checked again (`jwtauth.verifier.proven`).
"""

import time
import weakref
from collections.abc import Callable
from math import inf
from typing import Literal, Self

from jwtauth.errors import InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.jws import Signed, VerifyingKey
from jwtauth.protocol import claims as rules
from jwtauth.protocol.claims import LEEWAY_IN, AccessToken
from jwtauth.verifier import claims, locations
from jwtauth.verifier.claims import Claims
from jwtauth.verifier.flight import Flight
from jwtauth.verifier.key_cache import KeyCache
from jwtauth.verifier.poller import Poller
from jwtauth.verifier.proven import Proven, ProvenTokens
from jwtauth.verifier.status_cache import Found


class Verifier:
    """Verifies access tokens of one issuer for one audience; safe to be shared by threads and event loops.

    Keys and status lists are fetched in the background, by one thread that the first token starts; `close()`, or
    leaving a `with` block, ends it. A token waits for the network only while no keys are there, for an unknown kid, or
    if it is older than `ttl` and its list is not there yet: for 12 seconds at most each, as a rule for a round trip.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        jwks_uri: str | None = None,
        status: bool = True,
        stale_for: float = 3600,
        when_unreachable: Literal["refuse", "accept"] = "refuse",
        push: bool = False,
        leeway_in: int = LEEWAY_IN,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            issuer: the issuer identifier, exactly as tokens carry it in `iss`.
            audience: what tokens for you carry in `aud`, exactly.
            jwks_uri: where the keys are, if they shall not be looked up in the issuer's metadata.
            status: whether revocations are seen. If not, no list is fetched: a revoked token passes until it expires.
            stale_for: for how long, in seconds, keys and lists that are due go on being used while the issuer cannot
                be asked. The longer, the longer may a revocation go unseen; the shorter, the sooner an outage of the
                issuer becomes yours.
            when_unreachable: what happens after that. `"refuse"`: `KeysUnavailable` or `StatusUnavailable`, nothing
                passes. `"accept"`: the keys and lists that are there are used on and on, and tokens pass whose list
                never was: an outage of the issuer is never yours, but revocations may go unseen for all of it.
            push: whether to hear of changed lists at once, by a stream that is kept open; polling goes on beside it.
            leeway_in: how long after `exp` a token or list still passes, in seconds, because clocks differ; 60 at most.
            now: the wall clock that `exp` and `iat` are compared with.
            monotonic: the clock by which keys and lists age.

        Raises:
            ValueError: a parameter cannot work; the message names it.
        """
        locations.require_issuer(issuer)
        if jwks_uri is not None:
            locations.require_jwks_uri(jwks_uri, issuer=issuer)
        if not audience:
            raise ValueError("audience: must not be empty; tokens for anybody are tokens for an attacker")
        if not 0 <= leeway_in <= LEEWAY_IN:
            raise ValueError(f"leeway_in: expected 0 to {LEEWAY_IN} seconds")
        if not stale_for >= 0:
            raise ValueError("stale_for: expected 0 seconds or more")
        if when_unreachable not in ("refuse", "accept"):
            raise ValueError('when_unreachable: expected "refuse" or "accept"')
        is_open = when_unreachable == "accept"
        self.issuer = issuer
        self.audience = audience
        self._leeway_in = leeway_in
        self._now = now
        self._has_status = status
        self._keys = KeyCache(issuer, jwks_uri=jwks_uri, stale_for=inf if is_open else stale_for, monotonic=monotonic)
        self._poller = Poller(
            issuer,
            self._keys,
            stale_for=stale_for,
            is_open=is_open,
            push=push,
            leeway_in=leeway_in,
            now=now,
            monotonic=monotonic,
        )
        self._lists = self._poller.lists
        self._proven = ProvenTokens()
        weakref.finalize(self, self._poller.stop).atexit = False

    def verify(self, token: str | bytes) -> Claims:
        """The claims of a good token. Waits for the network only where nothing is known yet (see the class).

        Raises:
            InvalidToken: it is not of this issuer for this audience, was revoked, or has expired (`ExpiredToken`).
            KeysUnavailable: the issuer's keys cannot be had.
            StatusUnavailable: the list cannot be had that says whether it was revoked.
        """
        if not isinstance(token, str):
            token = token.decode("latin-1")
        known = self._recall(token)
        if known is not None:
            return known
        signed = _take_apart(token)
        key = self._keys.find(signed.header.kid)
        if isinstance(key, Flight):
            key = key.wait().key(signed.header.kid)
        proven = self._judge(signed, key)
        listed = self._find_list(proven)
        if isinstance(listed, Flight):
            listed = listed.wait()
        if listed is not None:
            listed.check(proven.status.status_list.idx)
        found = claims.of(proven, signed.payload)
        self._proven.notice(token, Proven(key, proven, found))
        return found

    async def averify(self, token: str | bytes) -> Claims:
        """The same as `verify`, for coroutines: where that waits, the event loop goes on.

        Raises:
            InvalidToken: it is not of this issuer for this audience, was revoked, or has expired (`ExpiredToken`).
            KeysUnavailable: the issuer's keys cannot be had.
            StatusUnavailable: the list cannot be had that says whether it was revoked.
        """
        if not isinstance(token, str):
            token = token.decode("latin-1")
        known = self._recall(token)
        if known is not None:
            return known
        signed = _take_apart(token)
        key = self._keys.find(signed.header.kid)
        if isinstance(key, Flight):
            key = (await key.arrival()).key(signed.header.kid)
        proven = self._judge(signed, key)
        listed = self._find_list(proven)
        if isinstance(listed, Flight):
            listed = await listed.arrival()
        if listed is not None:
            listed.check(proven.status.status_list.idx)
        found = claims.of(proven, signed.payload)
        self._proven.notice(token, Proven(key, proven, found))
        return found

    def lag(self) -> float:
        """The worst case, now: how many seconds old a revocation may be that is not seen before the next poll.

        `ttl` while the issuer answers (to which the time of one fetch comes), more and more while it does not, until
        `ttl` + `stale_for`: then nothing passes any more. Without bound where `when_unreachable` is `"accept"`, and
        infinite without `status`.
        """
        return self._lists.lag() if self._has_status else inf

    def close(self) -> None:
        """End the background thread. What is held goes on being used until it is stale; nothing is fetched any more."""
        self._poller.stop()
        self._poller.join()

    def __enter__(self) -> Self:
        """The verifier itself; nothing is fetched yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _judge(self, signed: Signed, key: VerifyingKey) -> AccessToken:
        """The claims of a token whose key is known. Signature first: nothing that an attacker wrote is read as claims.

        Raises:
            InvalidToken: the signature or a claim is not good.
        """
        if not key.verify(signed):
            raise InvalidToken("the token's signature is not that of the key it names")
        token = rules.read(signed.payload)
        self._check(token)
        return token

    def _check(self, token: AccessToken) -> None:
        now = int(self._now())
        rules.check(token, issuer=self.issuer, audience=self.audience, now=now, leeway_in=self._leeway_in)

    def _recall(self, token: str) -> Claims | None:
        """The claims of a token whose signature was checked before; None where that, or waiting, cannot be spared.

        Raises:
            InvalidToken: it was revoked, has expired (`ExpiredToken`), or its key is not published any more.
            KeysUnavailable: the issuer's keys cannot be had.
            StatusUnavailable: the list cannot be had that says whether it was revoked.
        """
        known = self._proven.get(token)
        if known is None or self._keys.find(known.key.kid) is not known.key:
            return None
        self._check(known.token)
        listed = self._find_list(known.token)
        if isinstance(listed, Flight):
            return None
        if listed is not None:
            listed.check(known.token.status.status_list.idx)
        return known.claims

    def _find_list(self, token: AccessToken) -> Found:
        """The list that says whether the token was revoked, or how it is had; None where the token passes unasked.

        Raises:
            InvalidToken: its list is not one of the issuer itself, or it has no place in it.
            StatusUnavailable: the list cannot be had.
        """
        status = token.status.status_list
        ready = self._lists.ready(status.uri)
        if ready is not None:
            return ready
        if status.idx < 0 or not locations.is_status_list(status.uri, issuer=self.issuer):
            raise InvalidToken("the token's status is not in a list of its issuer")
        if not self._has_status:
            return None
        return self._lists.find(status.uri, is_young=self._now() < token.iat + self._lists.ttl)


def _take_apart(token: str) -> Signed:
    """The parts of a token that claims to be an access token.

    RFC 9068 section 4 also allows `application/at+jwt`, and media types know no case; our issuers write `at+jwt` and
    nothing else, and what nobody writes nobody needs to accept.

    Raises:
        InvalidToken: it is malformed, or of another type.
    """
    signed = jws.take_apart(token)
    if signed.header.typ != rules.TYPE:
        raise InvalidToken("the token is not an access token")
    return signed
