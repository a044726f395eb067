"""Tokens whose signature was checked before: an application sends the same one again and again until it expires.

What is remembered is the signature alone. Whether the key is still published, the token still lives and is not revoked
is asked each time.
"""

from typing import Final

from msgspec import Struct

from jwtauth.bounded import Bounded
from jwtauth.keyring.jws import VerifyingKey
from jwtauth.protocol.claims import AccessToken
from jwtauth.verifier.claims import Claims

REMEMBERED: Final = 2_048
"""Tokens held in memory, 2 kB each; at the bound those remembered first are forgotten."""

LONGEST: Final = 2_048
"""Longest token that is remembered, in characters; one as long as that which is full of roles takes 8 kB."""

NOTICED: Final = 4 * REMEMBERED
"""Tokens of which no more is held than that they came, a tenth of a kilobyte each; at the bound likewise."""


class Proven(Struct, frozen=True):
    """A token, the key that signed it, and what a resource server learns from it."""

    key: VerifyingKey
    token: AccessToken
    claims: Claims


class ProvenTokens(Bounded[str, Proven]):
    """The tokens of one verifier, by all of their characters; safe to be used by many threads at once.

    A token is remembered when it comes for the second time: those that come once would only push others out.
    """

    def __init__(self) -> None:
        super().__init__(REMEMBERED)
        self._noticed: Bounded[int, None] = Bounded(NOTICED)

    def notice(self, token: str, proof: Proven) -> None:
        """A token was proven: remember it if it was before.

        One that is bound to a key is never remembered: its claims have members that a caller could change for the next.
        """
        if len(token) > LONGEST or proof.claims.confirmation is not None:
            return
        name = hash(token)
        if name in self._noticed:
            self.learn(token, proof)
        else:
            self._noticed.learn(name, None)
