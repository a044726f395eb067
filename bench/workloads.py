"""What the service is asked to do: the W rows of the performance targets, one class for each kind of question."""

from collections.abc import Callable
from typing import Final, Protocol

from bench import proof, wire
from bench.folder import APPLICATION, REPORTER, SECRET, SERVICE
from bench.load import Chain, Outcome, Plan, Replay
from bench.server import Server
from bench.wire import Message

TOKENS: Final = 10_000
"""Distinct live tokens that are asked about."""

GRANTS: Final = 1_024
"""Grants that are refreshed in turn; each connection always has one that no other is using."""

PROVEN: Final = 50
"""Answers of one measurement that are proven to the last bit; every answer's status and marker are looked at."""

Question = Callable[[str], Message]


def issue_to(client_id: str) -> Message:
    """A token for this client, please."""
    return wire.post("/oauth/token", authorization=wire.basic(client_id, SECRET), grant_type="client_credentials")


ISSUE: Final = issue_to(SERVICE)


class Workload(Protocol):
    """One kind of work."""

    @property
    def server(self) -> Server:
        """Who is asked."""

    def prepare(self) -> Plan | None:
        """What has to be asked once before a measurement, if anything."""

    def plan(self) -> Plan:
        """What to ask."""

    def check(self, outcome: Outcome) -> None:
        """Look at the answers.

        Raises:
            AssertionError, jwt.PyJWTError: they are not what they claim to be.
        """


class Issue:
    """W1: client_credentials."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def prepare(self) -> Plan | None:
        """Nothing."""
        return None

    def plan(self) -> Plan:
        """The same request; the tokens differ."""
        return Replay(requests=(ISSUE.encode(),), marker=b'"access_token":"ey')

    def check(self, outcome: Outcome) -> None:
        """Real tokens, no two alike."""
        proof.tokens(proof.sample(outcome.bodies, of=PROVEN), port=self.server.port)


class Ask:
    """W2: what is this token worth? Each token has been asked about before."""

    def __init__(self, server: Server, question: Question, tokens: tuple[str, ...], *, marker: bytes) -> None:
        self.server = server
        self._requests = tuple(question(token).encode() for token in tokens)
        self._marker = marker

    def prepare(self) -> Plan | None:
        """Ask about each once."""
        return Replay(requests=self._requests, marker=self._marker, is_once=True)

    def plan(self) -> Plan:
        """Ask about one after the other, again and again."""
        return Replay(requests=self._requests, marker=self._marker)

    def check(self, outcome: Outcome) -> None:
        """The token is the service's, and alive."""
        proof.members(proof.sample(outcome.bodies, of=PROVEN), client_id=SERVICE)


class AskFresh:
    """W2 uncached: each token is asked about for the first and only time."""

    def __init__(self, server: Server, question: Question, more_tokens: Callable[[], tuple[str, ...]]) -> None:
        self.server = server
        self._question = question
        self._more_tokens = more_tokens

    def prepare(self) -> Plan | None:
        """Nothing."""
        return None

    def plan(self) -> Plan:
        """Tokens that nobody has asked about."""
        requests = tuple(self._question(token).encode() for token in self._more_tokens())
        return Replay(requests=requests, marker=b'"active":true', is_once=True)

    def check(self, outcome: Outcome) -> None:
        """The token is the service's, and alive."""
        proof.members(proof.sample(outcome.bodies, of=PROVEN), client_id=SERVICE)


class Refresh:
    """W3: refresh rotation; each answer's refresh token is used for the next request."""

    def __init__(self, server: Server, tokens: tuple[bytes, ...]) -> None:
        self.server = server
        self._tokens = tokens
        # The token is opaque but of one length, so that the head is the same for all.
        request = wire.post(
            "/oauth/token",
            authorization=wire.basic(APPLICATION, SECRET),
            grant_type="refresh_token",
            refresh_token=tokens[0].decode("ascii"),
        ).encode()
        self._head = request.removesuffix(tokens[0])
        assert self._head != request

    def prepare(self) -> Plan | None:
        """Nothing."""
        return None

    def plan(self) -> Plan:
        """The valid refresh tokens of all grants."""
        return Chain(head=self._head, tokens=self._tokens, marker=b'"access_token":"ey')

    def check(self, outcome: Outcome) -> None:
        """Real tokens; the refresh tokens among the answers are kept for the next measurement."""
        assert len(set(outcome.tokens)) == len(self._tokens), "a refresh token was given twice, or got lost"
        self._tokens = outcome.tokens
        proof.tokens(proof.sample(outcome.bodies, of=PROVEN), port=self.server.port)


class Fetch:
    """W4: documents."""

    def __init__(self, server: Server, path: str, *, marker: bytes) -> None:
        self.server = server
        self._request = Message(path=path)
        self._marker = marker

    def prepare(self) -> Plan | None:
        """Nothing."""
        return None

    def plan(self) -> Plan:
        """The same request."""
        return Replay(requests=(self._request.encode(),), marker=self._marker)

    def check(self, outcome: Outcome) -> None:
        """The document is JSON."""
        proof.members(outcome.bodies[:1])


def introspect(token: str) -> Message:
    """RFC 7662."""
    return wire.post("/oauth/introspect", authorization=wire.basic(REPORTER, SECRET), token=token)


def check_token(token: str) -> Message:
    """Spring's way."""
    return wire.post("/oauth/check_token", authorization=wire.basic(REPORTER, SECRET), token=token)


def tokeninfo(token: str) -> Message:
    """For the holder."""
    return Message(path="/oauth/tokeninfo", headers={"Authorization": f"Bearer {token}"})
