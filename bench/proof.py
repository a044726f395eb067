"""Whether answers are what they claim to be; tokens are proven with PyJWT and the published keys, not with our code."""

import json
from collections.abc import Sequence
from typing import Any, Final

import jwt

from bench import wire
from bench.wire import Message

JWKS: Final = Message(path="/.well-known/jwks.json")


def tokens(bodies: Sequence[bytes], *, port: int) -> tuple[str, ...]:
    """The access tokens in answers of the token endpoint, each signed by a published key, no two alike.

    Raises:
        jwt.PyJWTError: one was not signed by the server on that port, or is over.
        AssertionError: one came twice, or is no access token (RFC 9068).
    """
    assert bodies, "no answer was kept"
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(wire.ask(port, JWKS).decode()).keys}
    found = tuple(json.loads(body)["access_token"] for body in bodies)
    names = {_open(token, keys)["jti"] for token in found}
    assert len(names) == len(found), "a token was issued twice"
    return found


def sample(bodies: Sequence[bytes], *, of: int) -> Sequence[bytes]:
    """At most so many of the answers, evenly spread."""
    return bodies[:: max(1, len(bodies) // of)]


def members(bodies: Sequence[bytes], **expected: object) -> None:
    """Let JSON answers pass that have these members.

    Raises:
        AssertionError: one has not.
    """
    assert bodies, "no answer was kept"
    for body in bodies:
        answer = json.loads(body)
        assert isinstance(answer, dict)
        assert expected.items() <= answer.items(), f"expected {expected}: {body[:300]!r}"


def _open(token: str, keys: dict[str | None, jwt.PyJWK]) -> dict[str, Any]:
    header = jwt.get_unverified_header(token)
    key = keys[header["kid"]]
    assert header["typ"] == "at+jwt", header
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=[key.algorithm_name], options={"verify_aud": False})
    return claims
