"""What is remembered of access tokens: little of each, and never whether it is still alive."""

from collections.abc import Iterator
from itertools import count

import pytest

from jwtauth.errors import ExpiredToken
from jwtauth.issuer import assembly
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol.claims import AccessToken
from jwtauth.protocol.records import Permission
from tests.support.home import Home

LIFETIME_IN = 600
PERMISSION = Permission(
    client_id="service",
    subject="u.0123456789abcdef",
    scope=("read", "write"),
    audience=("https://one.example", "https://two.example"),
    authorities=("ROLE_USER", "ROLE_ADMIN"),
    lifetime_in=LIFETIME_IN,
    username="ada",
)
"""Of a token with every text that is alike in many of them."""

positions = count(1)


@pytest.fixture
def issuer(home: Home) -> Iterator[Issuer]:
    issuer = assembly.open_issuer(home.source)
    yield issuer
    issuer.close()


def opened(issuer: Issuer, *, now: int) -> tuple[str, AccessToken]:
    """A new token, and its claims as they are remembered."""
    token = issuer.mint(PERMISSION, position=next(positions), now=now)
    return token, issuer.access_tokens.read(token, now=now)[0]


class TestATokenThatWasProven:
    def test_has_its_own_claims(self, issuer: Issuer) -> None:
        (_, one), (_, other) = opened(issuer, now=issuer.now()), opened(issuer, now=issuer.now())
        assert one.jti != other.jti
        assert one.status.status_list.idx != other.status.status_list.idx
        assert (one.client_id, one.username, one.scope) == ("service", "ada", "read write")
        assert one.audiences == PERMISSION.audience
        assert one.authorities == PERMISSION.authorities

    def test_shares_the_text_that_others_have_too(self, issuer: Issuer) -> None:
        one, other = (_texts(opened(issuer, now=issuer.now())[1]) for _ in range(2))
        assert one == other
        assert [text for text, same in zip(one, other, strict=True) if text is not same] == []

    def test_is_remembered_and_ends_all_the_same(self, issuer: Issuer) -> None:
        now = issuer.now()
        token, claims = opened(issuer, now=now)
        assert issuer.access_tokens.open(token, now=now + LIFETIME_IN - 1)[0] is claims
        with pytest.raises(ExpiredToken):
            issuer.access_tokens.open(token, now=now + LIFETIME_IN)


def _texts(claims: AccessToken) -> list[object]:
    """All that another token of the same permission says too."""
    said = [claims.iss, claims.sub, claims.client_id, claims.scope, claims.username, claims.status.status_list.uri]
    return [*said, *claims.audiences, *claims.authorities]
