"""What a peer is asked, and the proof that its answers are what they claim to be; ours is asked the same."""

import json
from collections.abc import Sequence
from typing import Any, Final

import jwt

from bench import proof, wire
from bench.folder import APPLICATION, REPORTER, SCOPE, SECRET, SERVICE
from bench.load import Chain, Outcome, Plan, Replay
from bench.peers.catalogue import Document, Peer
from bench.peers.world import ACCESS_TOKEN_IN
from bench.server import Server
from bench.wire import Message
from bench.workloads import PROVEN

TOKENS: Final = 1_000
"""Distinct live tokens that are asked about; fewer than in `bench`, as the slowest peer has to make them."""

ROTATIONS_PER_SECOND: Final = 150
"""So many rotations for each second of a measurement, where the generator cannot follow a peer's JSON."""

CHAINS: Final = 512
"""Grants that are refreshed in turn, where it can."""


def issue(peer: Peer, *, is_opaque: bool = False) -> Message:
    """A token for the client itself."""
    resource = {"resource": peer.opaque_resource} if is_opaque and peer.opaque_resource else {}
    return wire.post(
        peer.token_path,
        authorization=wire.basic(SERVICE, SECRET),
        grant_type="client_credentials",
        scope=" ".join(SCOPE),
        **resource,
    )


class Peered:
    """A running server and what it is known by."""

    def __init__(self, peer: Peer, server: Server, key: jwt.PyJWK, refresh_tokens: Sequence[str]) -> None:
        self.peer = peer
        self.server = server
        self._key = key
        self._refresh_tokens = list(refresh_tokens)

    def take(self, count: int) -> list[str]:
        """So many refresh tokens that nobody has used."""
        assert count <= len(self._refresh_tokens), "too few grants for so many rounds of this length"
        taken, self._refresh_tokens = self._refresh_tokens[:count], self._refresh_tokens[count:]
        return taken

    def marker(self, member: str, value: str) -> bytes:
        """How the beginning of a member looks in its JSON."""
        return f'"{member}":{"" if self.peer.has_compact_json else " "}{value}'.encode()

    def introspect(self, token: str) -> Message:
        """RFC 7662; aioauth looks for a refresh token unless told, and the hint is a help to nobody else."""
        return wire.post(
            self.peer.introspection_path,
            authorization=wire.basic(REPORTER, SECRET),
            token=token,
            token_type_hint="access_token",
        )

    def refresh(self, token: str) -> Message:
        """The refresh token comes last."""
        return wire.post(
            self.peer.token_path,
            authorization=wire.basic(APPLICATION, SECRET),
            grant_type="refresh_token",
            refresh_token=token,
        )

    def prove(self, bodies: Sequence[bytes], *, client_id: str) -> None:
        """Each answer has a JWT of that client, signed by the key, alive for the agreed time, no two alike.

        Raises:
            jwt.PyJWTError: one was not signed with ES256 by that key, or is over.
            AssertionError: it says something else than agreed.
        """
        assert bodies, "no answer was kept"
        found = [self._open(json.loads(body)["access_token"]) for body in bodies]
        for claims in found:
            assert claims["client_id"] == client_id, claims
            assert set(claims["scope"].split()) == set(SCOPE), claims
            assert claims["exp"] - claims["iat"] == ACCESS_TOKEN_IN, claims
        assert len({claims["jti"] for claims in found}) == len(found), "a token was issued twice"

    def _open(self, token: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(token, self._key, algorithms=["ES256"], options={"verify_aud": False})
        return claims


class _Work:
    """Work that needs no preparation."""

    def __init__(self, peered: Peered) -> None:
        self.peered = peered
        self.server = peered.server

    def prepare(self) -> Plan | None:
        """Nothing."""
        return None


class Issue(_Work):
    """W1: client_credentials."""

    def plan(self) -> Plan:
        """The same request; the tokens differ."""
        return Replay(requests=(issue(self.peered.peer).encode(),), marker=self.peered.marker("access_token", '"ey'))

    def check(self, outcome: Outcome) -> None:
        """Real tokens, no two alike."""
        self.peered.prove(proof.sample(outcome.bodies, of=PROVEN), client_id=SERVICE)


class Introspect(_Work):
    """W2: one live token after the other, again and again."""

    def __init__(self, peered: Peered, tokens: Sequence[str]) -> None:
        super().__init__(peered)
        self._requests = tuple(peered.introspect(token).encode() for token in tokens)

    def plan(self) -> Plan:
        """Every answer says that the token is active."""
        return Replay(requests=self._requests, marker=self.peered.marker("active", "true"))

    def check(self, outcome: Outcome) -> None:
        """The token is that of the client."""
        proof.members(proof.sample(outcome.bodies, of=PROVEN), client_id=SERVICE, active=True)


class RotateInTurn(_Work):
    """W3: each answer's refresh token is used for a later request."""

    def __init__(self, peered: Peered) -> None:
        super().__init__(peered)
        self._tokens = tuple(token.encode("ascii") for token in peered.take(CHAINS))

    def plan(self) -> Plan:
        """The valid refresh tokens of all grants; they are of one length, so that the head is the same for all."""
        token = self._tokens[0]
        head = self.peered.refresh(token.decode("ascii")).encode().removesuffix(token)
        return Chain(head=head, tokens=self._tokens, marker=self.peered.marker("access_token", '"ey'))

    def check(self, outcome: Outcome) -> None:
        """Real tokens, and no refresh token twice."""
        assert len(set(outcome.tokens)) == len(self._tokens), "a refresh token was given twice, or got lost"
        assert len({len(token) for token in outcome.tokens}) == 1, "refresh tokens differ in length"
        self._tokens = outcome.tokens
        self.peered.prove(proof.sample(outcome.bodies, of=PROVEN), client_id=APPLICATION)


class RotateOnce(_Work):
    """W3: each refresh token of the start is used once, so many that it takes about as long as other work."""

    def __init__(self, peered: Peered, *, seconds: float) -> None:
        super().__init__(peered)
        self._count = int(seconds * ROTATIONS_PER_SECOND)

    def plan(self) -> Plan:
        """Tokens that nobody has used."""
        requests = tuple(self.peered.refresh(token).encode() for token in self.peered.take(self._count))
        return Replay(requests=requests, marker=self.peered.marker("refresh_token", '"'), is_once=True)

    def check(self, outcome: Outcome) -> None:
        """Real tokens."""
        self.peered.prove(proof.sample(outcome.bodies, of=PROVEN), client_id=APPLICATION)


class Publish(_Work):
    """W4: a document."""

    def __init__(self, peered: Peered, document: Document) -> None:
        super().__init__(peered)
        self._document = document

    def plan(self) -> Plan:
        """The same request."""
        return Replay(requests=(Message(path=self._document.path).encode(),), marker=self._document.marker)

    def check(self, outcome: Outcome) -> None:
        """It is JSON."""
        proof.members(outcome.bodies[:1])


def prove_rotation(peered: Peered) -> None:
    """A refresh token is good for a successor, the successor too, and none of them a second time.

    Raises:
        AssertionError: this is no rotation.
    """
    first = peered.take(1)[0]
    second = json.loads(wire.ask(peered.server.port, peered.refresh(first)))["refresh_token"]
    third = json.loads(wire.ask(peered.server.port, peered.refresh(second)))["refresh_token"]
    assert len({first, second, third}) == 3, "the refresh token stayed the same"
    if peered.peer.is_retry_safe:
        return
    try:
        wire.ask(peered.server.port, peered.refresh(first))
    except AssertionError:
        return
    raise AssertionError("a refresh token that was used is still good")
