"""What an upstream's words prove: RFC 7662, RFC 9068, OpenID Connect Core 1.0."""

from typing import Any

import pytest

from jwtauth.protocol import proofs
from jwtauth.protocol.proofs import LAST, Proof
from tests.protocol.records import NOW
from tests.protocol.test_upstream import HOST, by_keys, upstream

API = "https://api.example"


def without(members: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The members, changed as told; None takes one away."""
    return {name: value for name, value in {**members, **changes}.items() if value is not None}


class TestReadObject:
    def test_gives_the_members(self) -> None:
        assert proofs.read_object(b'{"active": true, "exp": 1}') == {"active": True, "exp": 1}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b'"text"',
            b"<html>",
            b'{"active": true',
            b'{"active": false, "active": true}',
            b'{"exp": NaN}',
            b'{"a": Infinity}',
            b'{"a": "\xff"}',
            b'{"a":' + b"[" * 50_000,
            b'{"exp": ' + b"9" * 5_000 + b"}",
        ],
    )
    def test_refuses_everything_else(self, body: bytes) -> None:
        with pytest.raises(ValueError):
            proofs.read_object(body)


INTROSPECTED: dict[str, Any] = {
    "active": True,
    "username": "ada",
    "sub": "u-1",
    "exp": NOW + 60,
    "jti": "t-1",
    "aud": API,
    "iss": HOST,
}


class TestIntrospection:  # RFC 7662 section 2.2
    def proof(self, *, settings: dict[str, Any] | None = None, **changes: Any) -> Proof:
        return proofs.introspected(without(INTROSPECTED, **changes), upstream(**(settings or {})), now=NOW)

    def test_proves_whose_a_live_token_is_and_until_when(self) -> None:
        expected = Proof(is_live=True, username="ada", subject="u-1", expires_at=NOW + 60, jti="t-1")
        assert self.proof() == expected

    @pytest.mark.parametrize("active", [False, None, "true", 1, "false", {}])
    def test_needs_the_very_word_true(self, active: object) -> None:
        assert not self.proof(active=active).is_live

    @pytest.mark.parametrize("changes", [{"exp": NOW}, {"exp": NOW - 1}, {"exp": "soon"}, {"nbf": NOW + 61}])
    def test_needs_the_instant_to_be_right(self, changes: dict[str, Any]) -> None:
        assert not self.proof(**changes).is_live

    def test_need_not_say_when_it_expires(self) -> None:
        assert self.proof(exp=None) == Proof(is_live=True, username="ada", subject="u-1", jti="t-1")

    @pytest.mark.parametrize(("exp", "expires_at"), [(NOW + 1.9, NOW + 1), (1e300, LAST), (10**30, LAST)])
    def test_reads_numbers_of_every_size(self, exp: float, expires_at: int) -> None:
        assert self.proof(exp=exp).expires_at == expires_at

    @pytest.mark.parametrize(
        ("changes", "is_live"),
        [({}, True), ({"aud": ["x", API]}, True), ({"aud": "x"}, False), ({"aud": None}, False), ({"aud": {}}, False)],
    )
    def test_compares_the_audience_that_the_settings_name(self, changes: dict[str, Any], is_live: bool) -> None:
        assert self.proof(settings={"audience": API}, **changes).is_live is is_live
        assert self.proof(**changes).is_live

    @pytest.mark.parametrize(("iss", "is_live"), [(HOST, True), (None, True), ("https://other.example", False)])
    def test_compares_the_issuer_that_the_settings_name(self, iss: str | None, is_live: bool) -> None:
        assert self.proof(settings={"issuer": HOST}, iss=iss).is_live is is_live

    @pytest.mark.parametrize("username", [None, "", 7, ["ada"], {"name": "ada"}])
    def test_may_leave_open_whose_it_is(self, username: object) -> None:
        assert self.proof(username=username).username is None

    def test_finds_the_username_where_the_settings_say(self) -> None:
        assert self.proof(settings={"username_claim": "user_name"}, user_name="ada.l").username == "ada.l"


class TestUserinfo:  # OpenID Connect Core 1.0 section 5.3.2
    def test_proves_whose_it_is_and_not_until_when(self) -> None:
        told = {"sub": "u-1", "preferred_username": "ada", "exp": 1, "jti": "x"}
        proof = proofs.told_by_userinfo(told, upstream(username_claim="preferred_username"))
        assert proof == Proof(is_live=True, username="ada", subject="u-1")

    @pytest.mark.parametrize("name", ["\ud800", "ada\n", "\x00", ""])
    def test_names_nobody_by_what_is_no_text(self, name: str) -> None:
        told = proofs.told_by_userinfo(
            {"sub": name, "preferred_username": name}, upstream(username_claim="preferred_username")
        )
        assert (told.username, told.subject) == (None, None)


class TestAccessToken:  # RFC 9068 section 4
    def proof(self, **changes: Any) -> Proof:
        claims = without({**INTROSPECTED, "active": None}, **changes)
        return proofs.of_access_token(claims, by_keys(), now=NOW)

    def test_proves_the_same_as_introspection(self) -> None:
        assert self.proof() == Proof(is_live=True, username="ada", subject="u-1", expires_at=NOW + 60, jti="t-1")
        assert self.proof(aud=["x", API]).is_live

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": None},
            {"iss": f"{HOST}/"},
            {"iss": [HOST]},
            {"aud": None},
            {"aud": f"{API}/"},
            {"aud": []},
            {"exp": None},
            {"exp": NOW},
            {"exp": True},
            {"iat": NOW + 61},
            {"nbf": NOW + 61},
        ],
    )
    def test_is_refused_where_one_claim_is_not_right(self, changes: dict[str, Any]) -> None:
        assert not self.proof(**changes).is_live

    def test_lets_clocks_differ_where_it_begins(self) -> None:
        assert self.proof(iat=NOW + 60, nbf=NOW + 60).is_live


class TestIdToken:  # OpenID Connect Core 1.0 section 3.1.3.7
    def proof(self, *, since: int | None = None, **changes: Any) -> Proof:
        usual = {"iss": HOST, "aud": "jwtauth", "sub": "u-1", "exp": NOW + 60, "nonce": "n-1", "username": "ada"}
        return proofs.of_id_token(without(usual, **changes), by_keys(), nonce="n-1", since=since, now=NOW)

    def test_proves_who_signed_in(self) -> None:
        assert self.proof() == Proof(is_live=True, username="ada", subject="u-1", expires_at=NOW + 60)

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "https://other.example"},
            {"iss": None},
            {"aud": "another-client"},
            {"aud": None},
            {"aud": ["jwtauth", "another-client"]},
            {"azp": "another-client"},
            {"aud": ["jwtauth", "x"], "azp": "x"},
            {"nonce": "n-2"},
            {"nonce": None},
            {"nonce": ""},
            {"nonce": "é"},
            {"exp": None},
            {"exp": NOW},
            {"sub": None},
            {"iat": NOW + 61},
        ],
    )
    def test_is_refused_where_one_claim_is_not_right(self, changes: dict[str, Any]) -> None:
        assert not self.proof(**changes).is_live

    def test_may_be_for_several_clients_where_it_names_ours(self) -> None:
        assert self.proof(aud=["x", "jwtauth"], azp="jwtauth").is_live

    @pytest.mark.parametrize(("auth_time", "is_live"), [(NOW - 160, True), (NOW - 161, False), (None, True)])
    def test_is_of_a_sign_in_after_it_was_asked_for(self, auth_time: int | None, is_live: bool) -> None:
        assert self.proof(since=NOW - 100, auth_time=auth_time).is_live is is_live
        assert self.proof(auth_time=auth_time).is_live
