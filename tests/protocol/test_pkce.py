"""Proof Key for Code Exchange: RFC 7636, SECURITY P-01 to P-04 and P-12."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InvalidGrant, InvalidRequest
from jwtauth.protocol import pkce
from tests.protocol.records import CHALLENGE, VERIFIER

REFUSAL = "the same for every reason"


class TestTheChallenge:  # section 4.3
    @pytest.mark.parametrize("is_required", [True, False])
    def test_is_kept_as_it_was_sent(self, is_required: bool) -> None:
        assert pkce.challenge(CHALLENGE, "S256", is_required=is_required) == CHALLENGE

    def test_may_be_left_out_only_by_a_client_that_is_exempt(self) -> None:
        assert pkce.challenge(None, None, is_required=False) is None
        with pytest.raises(InvalidRequest, match="code_challenge: is missing"):
            pkce.challenge(None, None, is_required=True)

    @pytest.mark.parametrize("is_required", [True, False])
    @pytest.mark.parametrize("method", [None, "plain", "s256", "S512", "S256 ", "none"])
    def test_of_another_method_is_refused(self, method: str | None, is_required: bool) -> None:
        """A missing method means plain (section 4.3): exempt clients are not downgraded to it either."""
        with pytest.raises(InvalidRequest, match="code_challenge_method"):
            pkce.challenge(CHALLENGE, method, is_required=is_required)

    @pytest.mark.parametrize("is_required", [True, False])
    @pytest.mark.parametrize(
        "sent",
        [
            pytest.param(None, id="only a method"),
            pytest.param(CHALLENGE[:-1], id="too short"),
            pytest.param(CHALLENGE + "A", id="too long"),
            pytest.param(CHALLENGE + "=", id="padded"),
            pytest.param(CHALLENGE[:-1] + "+", id="plain base64"),
            pytest.param(CHALLENGE[:-1] + "é", id="not ASCII"),
            pytest.param(CHALLENGE[:-1] + "\n", id="a line feed"),
            pytest.param(CHALLENGE + "\n", id="a line feed behind it"),
            pytest.param("١" * 43, id="digits of another script"),
        ],
    )
    def test_of_another_form_is_refused(self, sent: str | None, is_required: bool) -> None:
        with pytest.raises(InvalidRequest, match="code_challenge"):
            pkce.challenge(sent, "S256", is_required=is_required)


class TestTheVerifier:  # section 4.6
    def test_of_appendix_b_passes(self) -> None:
        pkce.check(VERIFIER, CHALLENGE, refusal=REFUSAL)

    def test_is_not_asked_of_a_client_that_sent_no_challenge(self) -> None:
        pkce.check(None, None, refusal=REFUSAL)

    @pytest.mark.parametrize(
        "verifier",
        [
            pytest.param(None, id="P-04 missing"),
            pytest.param("", id="P-04 empty"),
            pytest.param("x" * 43, id="P-04 wrong"),
            pytest.param(CHALLENGE, id="P-04 the challenge itself"),
            pytest.param(VERIFIER[:-1], id="P-04 cut short"),
            pytest.param(VERIFIER + "=", id="padded"),
            pytest.param(VERIFIER + "\n", id="with a line feed"),
            pytest.param(VERIFIER.upper(), id="in capitals"),
            pytest.param(VERIFIER[:-1] + "é", id="not ASCII"),
        ],
    )
    def test_other_than_the_challenges_is_refused(self, verifier: str | None) -> None:
        with pytest.raises(InvalidGrant) as refusal:
            pkce.check(verifier, CHALLENGE, refusal=REFUSAL)
        assert str(refusal.value) == REFUSAL

    def test_without_a_challenge_is_refused(self) -> None:  # SECURITY P-12, RFC 9700 section 4.8.2
        with pytest.raises(InvalidGrant):
            pkce.check(VERIFIER, None, refusal=REFUSAL)

    @pytest.mark.parametrize(
        ("verifier", "challenge"),
        [
            pytest.param("a" * 42, "elOGB_2quSlplZKfRRVlu7gULhhEEXMiqv0rPXawGv8", id="42 characters"),
            pytest.param("a" * 129, "wSywJKLlVRzKDgj86PHF4xRVXMP-9jKe6ZSj23UhZq4", id="129 characters"),
        ],
    )
    def test_of_another_length_than_43_to_128_is_refused_even_where_it_would_match(
        self, verifier: str, challenge: str
    ) -> None:
        with pytest.raises(InvalidGrant):
            pkce.check(verifier, challenge, refusal=REFUSAL)

    @pytest.mark.parametrize(
        ("length", "challenge"),
        [(43, "ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA"), (128, "aDbPE7rEAOkQUHHNavRwhN-srU5eMCyUv-0k4BOvtz4")],
    )
    def test_may_have_43_to_128_characters(self, length: int, challenge: str) -> None:
        pkce.check("a" * length, challenge, refusal=REFUSAL)

    @given(st.text() | st.from_regex(r"[A-Za-z0-9._~-]{43,128}", fullmatch=True))
    def test_of_any_text_is_refused(self, verifier: str) -> None:
        with pytest.raises(InvalidGrant):
            pkce.check(verifier, CHALLENGE, refusal=REFUSAL)
