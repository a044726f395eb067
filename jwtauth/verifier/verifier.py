"""Verifying an access token: its frame, its signature, its claims, in this order (RFC 9068 section 4)."""

import time
from collections.abc import Callable

from jwtauth.errors import InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.jws import Signed, VerifyingKey
from jwtauth.protocol import claims as rules
from jwtauth.protocol.claims import LEEWAY_IN, AccessToken
from jwtauth.verifier import claims, locations
from jwtauth.verifier.claims import Claims
from jwtauth.verifier.key_cache import Flight, KeyCache


class Verifier:
    """Verifies access tokens of one issuer for one audience; safe to be shared by threads and event loops.

    The keys are fetched at the first token and kept for as long as the issuer's Cache-Control says (60 s to an hour).
    Keys that expired are refreshed in the background while they go on being used; if the issuer cannot be reached they
    are used for `stale_for` longer, and then `KeysUnavailable` is raised. So is it before the first keys are there.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        jwks_uri: str | None = None,
        leeway_in: int = LEEWAY_IN,
        stale_for: float = 3600,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            issuer: the issuer identifier, exactly as tokens carry it in `iss`.
            audience: what tokens for you carry in `aud`, exactly.
            jwks_uri: where the keys are, if they shall not be looked up in the issuer's metadata.
            leeway_in: how long after `exp` a token still passes, in seconds, because clocks differ; 60 at most.
            stale_for: how long expired keys are used while the issuer cannot be reached, in seconds.
            now: the wall clock that `exp` and `iat` are compared with.
            monotonic: the clock by which keys age.

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
        self._issuer = issuer
        self._audience = audience
        self._leeway_in = leeway_in
        self._now = now
        self._keys = KeyCache(issuer, jwks_uri=jwks_uri, stale_for=stale_for, monotonic=monotonic)

    def verify(self, token: str | bytes) -> Claims:
        """The claims of a good token. Waits for the network only while no keys are there or for an unknown kid.

        Raises:
            InvalidToken: it is not a token of this issuer for this audience, or has expired (`ExpiredToken`).
            KeysUnavailable: the issuer's keys cannot be had.
        """
        signed = _take_apart(token)
        found = self._keys.find(signed.header.kid)
        key = found.wait().key(signed.header.kid) if isinstance(found, Flight) else found
        return self._judge(signed, key)

    async def averify(self, token: str | bytes) -> Claims:
        """The same as `verify`, for coroutines: where that waits, the event loop goes on.

        Raises:
            InvalidToken: it is not a token of this issuer for this audience, or has expired (`ExpiredToken`).
            KeysUnavailable: the issuer's keys cannot be had.
        """
        signed = _take_apart(token)
        found = self._keys.find(signed.header.kid)
        key = (await found.arrival()).key(signed.header.kid) if isinstance(found, Flight) else found
        return self._judge(signed, key)

    def _judge(self, signed: Signed, key: VerifyingKey) -> Claims:
        """The claims of a token whose key is known. Signature first: nothing that an attacker wrote is read as claims.

        Raises:
            InvalidToken: the signature or a claim is not good.
        """
        if not key.verify(signed):
            raise InvalidToken("the token's signature is not that of the key it names")
        token = rules.read(signed.payload)
        rules.check(token, issuer=self._issuer, now=int(self._now()), leeway_in=self._leeway_in)
        rules.check_audience(token, self._audience)
        self._check_status(token)
        return claims.of(token)

    def _check_status(self, token: AccessToken) -> None:
        """Let a token pass that can be looked up in a status list of the issuer itself.

        Raises:
            InvalidToken: its list is elsewhere, or it has no place in it.
        """
        status = token.status.status_list
        if status.idx < 0 or not locations.is_status_list(status.uri, issuer=self._issuer):
            raise InvalidToken("the token's status is not in a list of its issuer")


def _take_apart(token: str | bytes) -> Signed:
    """The parts of a token that claims to be an access token.

    RFC 9068 section 4 also allows `application/at+jwt`, and media types know no case; our issuers write `at+jwt` and
    nothing else, and what nobody writes nobody needs to accept.

    Raises:
        InvalidToken: it is malformed, or of another type.
    """
    signed = jws.take_apart(token if isinstance(token, str) else token.decode("latin-1"))
    if signed.header.typ != rules.TYPE:
        raise InvalidToken("the token is not an access token")
    return signed
