"""Signing in at an upstream: what is sent there, and which answers count (RFC 9700, RFC 9207)."""

from typing import Any

import pytest

from jwtauth.errors import AccessDenied, InvalidRequest
from jwtauth.protocol import upstream_sign_in
from jwtauth.protocol.proofs import Proof
from jwtauth.protocol.records import User
from jwtauth.protocol.upstream import Upstream
from jwtauth.protocol.upstream_sign_in import STATE_IN, State
from tests.protocol.records import CHALLENGE, NOW, VERIFIER, client, realm, transaction, user
from tests.protocol.test_upstream import HOST, upstream

KNOWN = {"issuer": HOST}
SURE = {"issuer": HOST, "sends_iss": True}


def state(**changes: Any) -> State:
    settings = {
        "transaction": transaction(),
        "session": "",
        "code_verifier": VERIFIER,
        "nonce": "n-1",
        "begun_at": NOW,
    }
    return State(**{**settings, **changes})


def sent(there: Upstream, **changes: Any) -> str:
    return upstream_sign_in.authorization_uri(
        there, state(**changes), sealed="sealed", redirect_uri="https://here.example/login/upstream/callback"
    )


class TestAuthorizationUri:  # RFC 6749 section 4.1.1, RFC 7636 section 4.3
    def test_has_the_challenge_of_the_verifier_and_not_the_verifier(self) -> None:
        uri = sent(upstream(scope=("openid", "profile")))
        assert uri == (
            f"{HOST}/authorize?response_type=code&client_id=jwtauth"
            "&redirect_uri=https%3A%2F%2Fhere.example%2Flogin%2Fupstream%2Fcallback&scope=openid%20profile"
            f"&state=sealed&nonce=n-1&code_challenge={CHALLENGE}&code_challenge_method=S256"
        )

    def test_keeps_the_parameters_that_the_settings_have(self) -> None:
        there = upstream(user_authorization_uri=f"{HOST}/authorize?tenant=7")
        assert sent(there).startswith(f"{HOST}/authorize?tenant=7&response_type=code&")

    @pytest.mark.parametrize("changes", [{"stale_session": "digest"}, {"wants_other_account": True}])
    def test_asks_for_a_fresh_sign_in_where_that_is_needed_here(self, changes: dict[str, Any]) -> None:
        assert sent(upstream(), transaction=transaction(**changes)).endswith("&prompt=login")


class TestCode:
    @pytest.mark.parametrize(
        ("answer", "settings"),
        [
            ({"code": "c"}, {}),
            ({"code": "c"}, KNOWN),
            ({"code": "c", "iss": HOST}, KNOWN),
            ({"code": "c", "iss": HOST}, SURE),
        ],
    )
    def test_counts(self, answer: dict[str, str], settings: dict[str, Any]) -> None:
        assert upstream_sign_in.code({**answer}, upstream(**settings), repeated=()) == "c"

    @pytest.mark.parametrize(
        ("answer", "settings"),
        [
            ({}, {}),
            ({"code": "c", "error": "server_error"}, {}),
            ({"error": "x" * 5_000}, {}),
            ({"code": "c", "iss": f"{HOST}/"}, KNOWN),
            ({"code": "c", "iss": "https://evil.example"}, SURE),
            ({"code": "c", "iss": HOST}, {}),
            ({"code": "c"}, SURE),
            ({"error": "access_denied", "iss": "https://evil.example"}, SURE),
            ({"error": "access_denied"}, SURE),
        ],
    )
    def test_does_not_count(self, answer: dict[str, str], settings: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequest):
            upstream_sign_in.code({**answer}, upstream(**settings), repeated=())

    def test_does_not_count_where_anything_was_sent_twice(self) -> None:
        with pytest.raises(InvalidRequest):
            upstream_sign_in.code({"code": "c"}, upstream(), repeated=("iss",))

    def test_may_be_denied(self) -> None:
        with pytest.raises(AccessDenied):
            upstream_sign_in.code({"error": "access_denied", "iss": HOST}, upstream(**SURE), repeated=())


class TestState:
    @pytest.mark.parametrize(
        ("now", "is_over"), [(NOW, False), (NOW + STATE_IN - 1, False), (NOW + STATE_IN, True), (NOW - 50, False)]
    )
    def test_is_good_for_ten_minutes(self, now: int, is_over: bool) -> None:
        assert upstream_sign_in.is_over(state(), now=now) is is_over


class TestUpstreamOf:
    def test_is_where_people_of_the_realm_may_sign_in(self) -> None:
        assert upstream_sign_in.upstream_of(realm(upstream=upstream())) == upstream()

    def test_is_none_where_they_may_not(self) -> None:
        silent = upstream(user_authorization_uri=None)
        for none in (None, realm(), realm(upstream=silent), realm(upstream=upstream(), disabled_at=NOW)):
            assert upstream_sign_in.upstream_of(none) is None


class TestMaySignIn:
    @pytest.mark.parametrize(
        ("person", "may"),
        [
            (user(), True),
            (user(roles={"music": ()}), True),
            (user(roles={"films": ()}), False),
            (user(disabled_at=NOW), False),
            (None, False),
        ],
    )
    def test_who_is_known_enabled_and_a_member(self, person: User | None, may: bool) -> None:
        assert upstream_sign_in.may_sign_in(person, client(), realm()) is may
        assert upstream_sign_in.may_sign_in(person, None, realm()) is may


class TestOnePerson:
    @pytest.mark.parametrize(("subject", "is_same"), [("u-1", True), (None, False), ("u-2", False)])
    def test_is_whom_both_tokens_are_about(self, subject: str | None, is_same: bool) -> None:
        """OpenID Connect Core 1.0 section 5.3.2."""
        identity, proof = Proof(is_live=True, subject="u-1"), Proof(is_live=True, subject=subject)
        assert upstream_sign_in.is_same_person(identity, proof) is is_same
