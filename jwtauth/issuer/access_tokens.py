"""Whether an access token of ours is alive: signature, claims and denylist, all asked here and now."""

from sys import intern
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from jwtauth.bounded import Bounded
from jwtauth.errors import InvalidToken
from jwtauth.keyring.keyring import Keyring
from jwtauth.protocol import claims, status_list
from jwtauth.protocol.claims import AccessToken, Status, StatusList
from jwtauth.store.ports import Store

REMEMBERED: Final = 12_288
"""Verified tokens held in memory, 1.2 kB each; at the bound those remembered first are forgotten."""


class AccessTokens:
    """Opens access tokens. A proven signature is remembered by the whole token; expiry and denial never are."""

    def __init__(self, issuer: str, store: Store, keyring: Keyring) -> None:
        self._issuer = issuer
        self._prefix = f"{issuer}{status_list.PATH}/"
        self._store = store
        self._keyring = keyring
        self._proven: Bounded[str, tuple[AccessToken, int]] = Bounded(REMEMBERED)
        self._proven_with = -1

    def open(self, token: str, *, now: int) -> tuple[AccessToken, int]:
        """The claims and the status position of a live token.

        Raises:
            InvalidToken: not ours, expired, or denied.
        """
        proven = self.read(token, now=now)
        found, position = proven
        claims.check(found, issuer=self._issuer, now=now)
        if self._store.positions.is_denied(position):
            raise InvalidToken("the token was revoked")
        return proven

    def read(self, token: str, *, now: int) -> tuple[AccessToken, int]:
        """The claims and the status position of a token of ours, also of one that is over.

        Raises:
            InvalidToken: not ours, or of a key that is no longer published.
        """
        self._keyring.advance(now)
        if self._proven_with != self._keyring.version:
            self._proven.clear()
            self._proven_with = self._keyring.version
        return self._proven.get(token) or self._prove(token, now=now)

    def forget(self) -> None:
        """Prove every token anew: the positions that are remembered are of another time line."""
        self._proven.clear()

    def _prove(self, token: str, *, now: int) -> tuple[AccessToken, int]:
        found = claims.read(self._keyring.open(token, typ=claims.TYPE, now=now))
        uri, idx = found.status.status_list.uri, found.status.status_list.idx
        position = None
        if uri.startswith(self._prefix):
            position = status_list.position_of(uri.removeprefix(self._prefix), idx, epoch=self._store.epoch)
        if position is None:
            raise InvalidToken("the token names no status list of this issuer")
        return self._proven.learn(token, (_shared(found), position))


def _shared(found: AccessToken) -> AccessToken:
    """The same claims, whose text is held once however many tokens say it: they are a third smaller.

    Interned text goes with the last token that says it.
    """
    named = found.status.status_list
    return replace(
        found,
        iss=intern(found.iss),
        sub=intern(found.sub),
        aud=intern(found.aud) if isinstance(found.aud, str) else tuple(map(intern, found.aud)),
        client_id=intern(found.client_id),
        scope=intern(found.scope),
        authorities=tuple(map(intern, found.authorities)),
        username=UNSET if found.username is UNSET else intern(found.username),
        status=Status(StatusList(named.idx, intern(named.uri))),
    )
