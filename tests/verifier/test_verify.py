"""What a resource server accepts (RFC 9068 section 4, RFC 7519 section 4.1, Token Status List section 6.1)."""

import asyncio
import json
from typing import Any

import pytest

from jwtauth.keyring import jws
from jwtauth.verifier import ExpiredToken, InsufficientScope, InvalidToken, Verifier
from tests.verifier.issuing import AUDIENCE, NOW, Issuing


class TestGoodToken:
    def test_tells_who_may_do_what(self, issuing: Issuing) -> None:
        claims = issuing.verifier().verify(issuing.token())
        assert (claims.issuer, claims.subject, claims.client_id) == (issuing.issuer, "u-5f1c", "app")
        assert (claims.audience, claims.jti) == ((AUDIENCE,), "t-1")
        assert (claims.issued_at, claims.expires_at) == (NOW, NOW + 300)
        assert (claims.scope, claims.authorities) == (("reports:read", "reports:write"), ("ROLE_USER",))
        assert (claims.username, claims.uid) == ("alice", 7)
        assert not claims.is_machine

    def test_of_a_machine_names_no_person(self, issuing: Issuing) -> None:
        token = issuing.token(sub="app", username=..., uid=..., authorities=...)
        claims = issuing.verifier().verify(token)
        assert claims.is_machine
        assert (claims.username, claims.uid, claims.authorities) == (None, None, ())

    @pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
    def test_may_be_signed_with_every_algorithm_of_the_issuer(self, issuing: Issuing, algorithm: str) -> None:
        issuing.rotate(algorithm)
        assert issuing.verifier().verify(issuing.token()).jti == "t-1"

    def test_may_arrive_as_bytes(self, issuing: Issuing) -> None:
        assert issuing.verifier().verify(issuing.token().encode()).jti == "t-1"

    def test_is_good_for_coroutines_too(self, issuing: Issuing) -> None:
        assert asyncio.run(issuing.verifier().averify(issuing.token())).jti == "t-1"

    def test_may_be_for_several_audiences(self, issuing: Issuing) -> None:
        token = issuing.token(aud=["https://other.example.com", AUDIENCE])
        assert issuing.verifier().verify(token).audience == ("https://other.example.com", AUDIENCE)

    def test_may_have_claims_that_are_not_known_here(self, issuing: Issuing) -> None:
        assert issuing.verifier().verify(issuing.token(cnf={"jkt": "x"})).jti == "t-1"

    def test_may_have_an_empty_scope(self, issuing: Issuing) -> None:
        assert issuing.verifier().verify(issuing.token(scope="")).scope == ()


class TestType:  # RFC 9068 section 4: prevents that an ID token passes
    @pytest.mark.parametrize(
        "typ", ["JWT", "", "at+JWT", "AT+JWT", "application/at+jwt", "logout+jwt", "statuslist+jwt", "at+jwt "]
    )
    def test_must_be_exactly_at_jwt(self, issuing: Issuing, typ: str) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(typ=typ))

    def test_is_looked_at_before_anything_is_fetched(self, issuing: Issuing) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(typ="JWT"))
        assert issuing.requests == []


class TestIssuer:  # RFC 9068 section 4: MUST exactly match
    @pytest.mark.parametrize("change", ["{}/", "{}.evil.example", "{}@evil.example", "{}0", " {}", "{}/realm", "x{}"])
    def test_must_match_exactly(self, issuing: Issuing, change: str) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(iss=change.format(issuing.issuer)))

    @pytest.mark.parametrize("iss", ["", "https://other.example.com", "http://127.0.0.1"])
    def test_must_not_be_another(self, issuing: Issuing, iss: str) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(iss=iss))


class TestAudience:  # RFC 9068 section 4: MUST contain the resource indicator that the resource server expects
    @pytest.mark.parametrize(
        "aud",
        ["", "https://other.example.com", AUDIENCE + "/", AUDIENCE[:-1], AUDIENCE.upper(), [], [AUDIENCE + "/"], [""]],
    )
    def test_must_contain_ours_exactly(self, issuing: Issuing, aud: str | list[str]) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(aud=aud))


class TestTime:  # RFC 7519 sections 4.1.4 and 4.1.6
    def test_passes_for_the_leeway_after_its_end(self, issuing: Issuing) -> None:
        issuing.clock.move(300 + 59)
        assert issuing.verifier().verify(issuing.token()).jti == "t-1"

    def test_is_expired_after_the_leeway(self, issuing: Issuing) -> None:
        issuing.clock.move(300 + 60)
        with pytest.raises(ExpiredToken):
            issuing.verifier().verify(issuing.token())

    def test_is_expired_at_its_end_where_no_leeway_is_given(self, issuing: Issuing) -> None:
        issuing.clock.move(300)
        with pytest.raises(ExpiredToken):
            issuing.verifier(leeway_in=0).verify(issuing.token())

    def test_may_come_from_a_clock_a_minute_ahead(self, issuing: Issuing) -> None:
        assert issuing.verifier().verify(issuing.token(iat=NOW + 60)).jti == "t-1"

    def test_must_not_come_from_the_future(self, issuing: Issuing) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(iat=NOW + 61, exp=NOW + 900))


class TestStatus:  # what has no status cannot be revoked
    def test_must_be_there(self, issuing: Issuing) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(status=...))

    @pytest.mark.parametrize(
        "uri",
        [
            "https://evil.example/oauth/status/1-0",
            "{}.evil.example/oauth/status/1-0",
            "{}/oauth/status",
            "{}/oauth/status/",
            "{}/oauth/status/../token",
            "{}/oauth/status/1-0/2",
            "{}/oauth/status/1-0?x=1",
            "{}/oauth/status/1-0#x",
            "{}/oauth/status/%2e%2e",
            "{}/oauth/status/1-0\n",
            "{}/oauth/token",
            "/oauth/status/1-0",
        ],
    )
    def test_must_be_a_list_of_the_issuer(self, issuing: Issuing, uri: str) -> None:
        status = {"status_list": {"idx": 4, "uri": uri.format(issuing.issuer)}}
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(status=status))

    @pytest.mark.parametrize("idx", [-1, "4", 4.5, None, True])
    def test_must_have_an_index(self, issuing: Issuing, idx: Any) -> None:
        status = {"status_list": {"idx": idx, "uri": f"{issuing.issuer}/oauth/status/1-0"}}
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(status=status))

    def test_lies_under_the_path_of_the_issuer(self) -> None:
        issuing = Issuing(path="/tenant")
        foreign = {"status_list": {"idx": 4, "uri": f"{issuing.origin}/oauth/status/1-0"}}
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(status=foreign))
        assert issuing.verifier().verify(issuing.token()).jti == "t-1"
        issuing.end()


class TestClaims:  # RFC 9068 section 2.2: REQUIRED
    @pytest.mark.parametrize("name", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"])
    def test_must_all_be_there(self, issuing: Issuing, name: str) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token_of(issuing.claims(**{name: ...})))

    @pytest.mark.parametrize("name", ["iss", "exp", "sub", "client_id", "iat", "jti", "scope", "status", "authorities"])
    @pytest.mark.parametrize("value", [None, {}, [[]], True, 1.5])
    def test_must_be_of_their_type(self, issuing: Issuing, name: str, value: Any) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token_of(issuing.claims(**{name: value})))

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b'"x"',
            b"1",
            b"{",
            b"\xff",
            b'{"exp":NaN}',
            b'{"exp":1e999}',
            b"[" * 10_000,
            b'{"exp":' + b"9" * 5_000 + b"}",
            b'{"a":' * 2_000,
        ],
    )
    def test_must_be_those_of_an_access_token_even_when_signed(self, issuing: Issuing, payload: bytes) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.key.sign(payload, typ="at+jwt"))

    def test_with_a_time_that_is_no_number_are_refused_even_when_signed(self, issuing: Issuing) -> None:
        payload = json.dumps(issuing.claims(exp=float("nan"))).encode()
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.key.sign(payload, typ="at+jwt"))


class TestScope:  # RFC 6750 section 3.1
    def test_lets_pass_what_it_covers(self, issuing: Issuing) -> None:
        claims = issuing.verifier().verify(issuing.token())
        claims.require_scope()
        claims.require_scope("reports:read")
        claims.require_scope("reports:read", "reports:write")

    def test_names_what_the_request_needs(self, issuing: Issuing) -> None:
        claims = issuing.verifier().verify(issuing.token())
        with pytest.raises(InsufficientScope) as refusal:
            claims.require_scope("reports:read", "reports:delete")
        assert refusal.value.scope == "reports:read reports:delete"


class TestConstruction:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("issuer", {"issuer": "http://id.example.com"}),
            ("issuer", {"issuer": "http://localhost:8000"}),
            ("issuer", {"issuer": "https://id.example.com/"}),
            ("issuer", {"issuer": ""}),
            ("jwks_uri", {"jwks_uri": "http://id.example.com/jwks"}),
            ("jwks_uri", {"jwks_uri": "file:///etc/passwd"}),
            ("audience", {"audience": ""}),
            ("leeway_in", {"leeway_in": 61}),
            ("leeway_in", {"leeway_in": -1}),
            ("stale_for", {"stale_for": -1}),
            ("stale_for", {"stale_for": float("nan")}),
        ],
    )
    def test_names_the_parameter_that_cannot_work(self, name: str, options: dict[str, Any]) -> None:
        values = {"issuer": "https://id.example.com", "audience": AUDIENCE, **options}
        with pytest.raises(ValueError, match=f"^{name}: "):
            Verifier(**values)

    def test_fetches_nothing(self, issuing: Issuing) -> None:
        issuing.verifier()
        assert issuing.requests == []


class TestKeyOfTheToken:  # RFC 8725 section 3.1
    def test_decides_the_algorithm(self, issuing: Issuing) -> None:
        """An RSA key published for PS256 does not verify RS256, though the mathematics would allow it."""
        rsa = jws.generate("RS256")
        issuing.published = [{**rsa.jwk, "alg": "PS256"}]
        with pytest.raises(InvalidToken):
            issuing.verifier().verify(issuing.token(key=rsa))
