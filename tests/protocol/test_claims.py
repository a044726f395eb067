"""The claims of an access token: RFC 9068 sections 2.2 and 4, RFC 7519 section 4.1."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import ExpiredToken, InvalidToken
from jwtauth.protocol import claims
from jwtauth.protocol.claims import LEEWAY_IN, AccessToken
from jwtauth.protocol.records import Permission
from tests.protocol import records
from tests.protocol.records import ISSUER, NOW, STATUS

PERMISSION = Permission(
    client_id="player",
    subject="u.ada",
    scope=("read", "write"),
    audience=("https://music.example",),
    authorities=("ROLE_USER",),
    lifetime_in=3_600,
    username="ada",
    uid=42,
)


def make(**changes: Any) -> dict[str, Any]:
    permission = msgspec.structs.replace(PERMISSION, **changes)
    token = claims.make(permission, issuer=ISSUER, status=STATUS, jti="token-1", now=NOW)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(token))
    return decoded


class TestMaking:  # RFC 9068 section 2.2
    def test_gives_every_claim_of_a_persons_token(self) -> None:
        assert make() == {
            "iss": ISSUER,
            "sub": "u.ada",
            "aud": "https://music.example",
            "exp": NOW + 3_600,
            "iat": NOW,
            "jti": "token-1",
            "client_id": "player",
            "scope": "read write",
            "authorities": ["ROLE_USER"],
            "username": "ada",
            "uid": 42,
            "status": {"status_list": {"idx": 7, "uri": f"{ISSUER}/oauth/status/1-0"}},
        }

    def test_leaves_username_and_uid_out_of_a_machines(self) -> None:
        assert {"username", "uid"}.isdisjoint(make(username=None, uid=None))

    def test_says_by_which_grant_it_came_to_be_only_where_that_is_wanted(self) -> None:
        assert "grant_type" not in make(grant_type=None)
        assert make(grant_type="password")["grant_type"] == "password"

    def test_writes_several_audiences_as_a_list(self) -> None:
        assert make(audience=("https://a", "https://b"))["aud"] == ["https://a", "https://b"]

    def test_reads_back_what_it_made(self) -> None:
        token = claims.make(PERMISSION, issuer=ISSUER, status=STATUS, jti="token-1", now=NOW)
        assert claims.read(msgspec.json.encode(token)) == token


class TestReading:
    def test_ignores_claims_that_it_does_not_know(self) -> None:
        assert claims.read(msgspec.json.encode({**make(), "cnf": {"jkt": "x"}})).jti == "token-1"

    @pytest.mark.parametrize("missing", ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "status"])
    def test_refuses_a_token_without(self, missing: str) -> None:
        payload = {name: value for name, value in make().items() if name != missing}
        with pytest.raises(InvalidToken):
            claims.read(msgspec.json.encode(payload))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("exp", "2000000000"),
            ("exp", None),
            ("exp", 1.5),
            ("exp", True),
            ("iat", [1]),
            ("aud", 5),
            ("aud", [1]),
            ("sub", None),
            ("status", {}),
            ("status", {"status_list": {"idx": "7", "uri": "x"}}),
        ],
    )
    def test_refuses_a_claim_of_the_wrong_type(self, name: str, value: Any) -> None:
        with pytest.raises(InvalidToken):
            claims.read(msgspec.json.encode({**make(), name: value}))

    @pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b"\xff", b'{"exp":NaN}', b"[" * 100_000])
    def test_refuses_what_is_no_json_object(self, payload: bytes) -> None:
        with pytest.raises(InvalidToken):
            claims.read(payload)

    @given(st.binary())
    def test_refuses_any_other_bytes(self, payload: bytes) -> None:
        with pytest.raises(InvalidToken):
            claims.read(payload)


class TestChecking:  # RFC 9068 section 4
    def check(self, token: AccessToken, *, now: int = NOW, leeway_in: int = 0) -> None:
        claims.check(token, issuer=ISSUER, now=now, leeway_in=leeway_in)

    def test_lets_a_live_token_of_this_issuer_pass(self) -> None:
        self.check(records.access_token())

    @pytest.mark.parametrize("issuer", ["https://issuer.example/", "https://issuer.example.evil", "https://issuer", ""])
    def test_refuses_another_issuer_by_exact_comparison(self, issuer: str) -> None:
        with pytest.raises(InvalidToken, match="another issuer"):
            self.check(records.access_token(iss=issuer))

    def test_refuses_another_audience_where_one_is_named(self) -> None:
        token = records.access_token(aud=("https://a.example", "https://b.example"))
        claims.check(token, issuer=ISSUER, audience="https://b.example", now=NOW)
        with pytest.raises(InvalidToken, match="another audience"):
            claims.check(token, issuer=ISSUER, audience="https://c.example", now=NOW)

    @pytest.mark.parametrize(("leeway_in", "last"), [(0, NOW - 1), (60, NOW + 59)])
    def test_refuses_from_the_instant_of_exp_on(self, leeway_in: int, last: int) -> None:
        token = records.access_token(exp=NOW)
        self.check(token, now=last, leeway_in=leeway_in)
        with pytest.raises(ExpiredToken):
            self.check(token, now=last + 1, leeway_in=leeway_in)

    @pytest.mark.parametrize(("ahead", "is_good"), [(LEEWAY_IN, True), (LEEWAY_IN + 1, False)])
    def test_refuses_a_token_from_the_future(self, ahead: int, is_good: bool) -> None:
        """SECURITY J-18: two honest clocks may be a minute apart."""
        token = records.access_token(iat=NOW + ahead)
        if is_good:
            self.check(token)
        else:
            with pytest.raises(InvalidToken, match="future"):
                self.check(token)


class TestAudience:  # RFC 9068 section 4: must contain a resource indicator of this resource server
    @pytest.mark.parametrize("aud", ["https://a", ("https://a",), ("https://b", "https://a")])
    def test_is_good_where_it_is_named(self, aud: str | tuple[str, ...]) -> None:
        claims.check_audience(records.access_token(aud=aud), "https://a")

    @pytest.mark.parametrize("aud", ["https://a/", "https://aa", "https", "", (), ("https://b",)])
    def test_is_refused_where_it_is_not(self, aud: str | tuple[str, ...]) -> None:
        with pytest.raises(InvalidToken, match="another audience"):
            claims.check_audience(records.access_token(aud=aud), "https://a")
