"""A signature that was checked is not checked again; everything else is asked each time."""

import asyncio

import pytest

from jwtauth.keyring import jws
from jwtauth.protocol import claims as rules
from jwtauth.verifier import Claims, ExpiredToken, InvalidToken, StatusUnavailable, Verifier, claims
from jwtauth.verifier.proven import LONGEST, NOTICED, REMEMBERED, Proven, ProvenTokens
from tests.verifier.issuing import JWKS, LIST, Answer, Issuing, eventually
from tests.verifier.test_key_cache import refuses
from tests.verifier.test_status import poll, settle, warm


def remembered(verifier: Verifier, token: str) -> Claims:
    """The claims of a token that the verifier remembers from now on."""
    verifier.verify(token)
    found = verifier.verify(token)
    assert verifier.verify(token) is found
    return found


class TestATokenThatCameBefore:
    def test_is_remembered_from_its_second_time_on(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token()
        first, second = verifier.verify(token), verifier.verify(token)
        assert first == second
        assert first is not second
        assert verifier.verify(token) is second

    def test_is_remembered_for_coroutines_too(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token()
        asyncio.run(verifier.averify(token))
        found = asyncio.run(verifier.averify(token))
        assert asyncio.run(verifier.averify(token)) is found
        assert verifier.verify(token) is found

    def test_is_remembered_by_all_of_its_characters(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token()
        remembered(verifier, token)
        other = "A" if token[-1] != "A" else "Q"
        for altered in (token[:-1] + other, token + "A", f" {token}", token.replace(".", "..", 1)):
            with pytest.raises(InvalidToken):
                verifier.verify(altered)

    def test_is_refused_once_it_was_revoked(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token(4)
        remembered(verifier, token)
        issuing.revoke(4)
        poll(issuing, verifier)
        with pytest.raises(InvalidToken, match="revoked"):
            verifier.verify(token)

    def test_is_refused_once_it_expired(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False, leeway_in=0), issuing.token()
        remembered(verifier, token)
        issuing.clock.move(299)
        verifier.verify(token)
        issuing.clock.move(1)
        with pytest.raises(ExpiredToken):
            verifier.verify(token)

    def test_is_refused_once_its_key_was_withdrawn(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token()
        remembered(verifier, token)
        issuing.key = jws.generate("ES256")
        issuing.published = [issuing.key.jwk]
        poll(issuing, verifier)
        assert eventually(lambda: refuses(verifier, token))

    def test_is_refused_once_its_kid_names_another_key(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        remembered(verifier, token)
        issuing.published = [{**jws.generate("ES256").jwk, "kid": issuing.key.kid}]
        issuing.monotonic.move(301)
        verifier.verify(token)
        assert eventually(lambda: refuses(verifier, token))

    def test_stays_remembered_where_the_same_key_is_fetched_again(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token()
        found = remembered(verifier, token)
        fetches = issuing.fetches
        poll(issuing, verifier)
        assert issuing.fetches > fetches
        assert verifier.verify(token) is found

    def test_waits_for_its_list_like_any_other(self, issuing: Issuing) -> None:
        issuing.answers[LIST] = Answer(503)
        verifier, token = issuing.verifier(stale_for=0), issuing.token()
        remembered(verifier, token)  # it is young
        settle(verifier)
        issuing.clock.move(issuing.ttl + 1)
        issuing.monotonic.move(issuing.ttl + 1)
        with pytest.raises(StatusUnavailable):
            verifier.verify(token)
        issuing.answers.clear()
        issuing.revoke(4)
        issuing.monotonic.move(issuing.ttl)
        assert eventually(lambda: refuses(verifier, token))

    def test_is_not_proven_again_while_its_list_is_asked_for(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token()
        found = remembered(verifier, token)
        issuing.gate.clear()
        issuing.monotonic.move(issuing.ttl)
        assert verifier.verify(token) is found
        issuing.gate.set()

    def test_is_the_same_in_bytes(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing), issuing.old_token()
        found = remembered(verifier, token)
        assert verifier.verify(token.encode()) is found

    def test_is_for_the_audience_of_the_verifier_still(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        remembered(verifier, token)
        verifier.audience = "https://other.example.com"
        with pytest.raises(InvalidToken, match="audience"):
            verifier.verify(token)

    def test_is_never_remembered_if_it_is_bound_to_a_key(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token(cnf={"jkt": "x"})
        for _ in range(3):
            found = verifier.verify(token)
            assert found.confirmation == {"jkt": "x"}
            found.confirmation["jkt"] = "y"

    def test_leaves_no_trace_if_it_was_refused(self, issuing: Issuing) -> None:
        verifier, forged = issuing.verifier(status=False), issuing.token(key=jws.generate("ES256"))
        issuing.published = [{**jws.generate("ES256").jwk, "kid": jws.take_apart(forged).header.kid}]
        for _ in range(3):
            with pytest.raises(InvalidToken):
                verifier.verify(forged)
        assert len(verifier._proven) == 0
        assert JWKS in issuing.requests


@pytest.fixture
def proof(issuing: Issuing) -> Proven:
    """What a verifier knows of a token that it has proven."""
    signed = jws.take_apart(issuing.token())
    token = rules.read(signed.payload)
    return Proven(issuing.key.verifying_key, token, claims.of(token, signed.payload))


class TestWhatIsRemembered:
    def test_has_its_bound(self, proof: Proven) -> None:
        tokens = ProvenTokens()
        for number in range(REMEMBERED + NOTICED):
            notice(tokens, proof, f"token {number}", times=2)
            assert len(tokens) <= REMEMBERED
            assert len(tokens._noticed) <= NOTICED
        assert f"token {REMEMBERED + NOTICED - 1}" in tokens
        assert "token 0" not in tokens

    def test_has_no_place_for_giants(self, proof: Proven) -> None:
        tokens = ProvenTokens()
        for length in (LONGEST, LONGEST + 1):
            notice(tokens, proof, "x" * length, times=2)
        assert [len(token) for token in tokens] == [LONGEST]

    def test_has_no_place_for_what_comes_once(self, proof: Proven) -> None:
        tokens = ProvenTokens()
        notice(tokens, proof, "often", times=2)
        for number in range(REMEMBERED):
            notice(tokens, proof, f"once {number}")
        assert list(tokens) == ["often"]


def notice(tokens: ProvenTokens, proof: Proven, token: str, *, times: int = 1) -> None:
    """Let a token be proven so many times."""
    for _ in range(times):
        tokens.notice(token, proof)
