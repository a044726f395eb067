"""Compact JWS, strictly (RFC 7515 sections 3 to 5, RFC 7518 section 3, RFC 8037 section 3.1)."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from jwt import get_algorithm_by_name

from jwtauth.errors import ConfigurationError, InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.jws import PrivateKey, SigningKey, VerifyingKey

KEYS = {algorithm: jws.generate(algorithm) for algorithm in jws.ALGORITHMS}

# RFC 7515 appendix A.2.1 and A.2.2, A.3.1 and A.3.2; RFC 8037 appendix A.2 and A.4. The kid is ours.
_PAYLOAD = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
_MIDDLE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
VECTORS: dict[str, tuple[dict[str, str], str, bytes]] = {
    "RS256": (
        {
            "kty": "RSA",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR"
            "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB"
            "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia"
            "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            "e": "AQAB",
        },
        f"eyJhbGciOiJSUzI1NiJ9.{_MIDDLE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc"
        "_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
        "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98"
        "rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        _PAYLOAD,
    ),
    "ES256": (
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
        f"eyJhbGciOiJFUzI1NiJ9.{_MIDDLE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP"
        "3-Kg6NU1Q",
        _PAYLOAD,
    ),
    "EdDSA": (
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4"
        "ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        b"Example of Ed25519 signing",
    ),
}


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_header(header: bytes) -> str:
    return f"{encode(header)}.e30.AA"


class TestVectors:
    @pytest.mark.parametrize("algorithm", VECTORS)
    def test_verify(self, algorithm: str) -> None:
        jwk, token, payload = VECTORS[algorithm]
        signed = jws.take_apart(token)
        assert VerifyingKey({**jwk, "alg": algorithm, "kid": "vector"}).verify(signed)
        assert (signed.payload, signed.header.alg) == (payload, algorithm)

    @pytest.mark.parametrize("algorithm", VECTORS)
    def test_do_not_verify_with_another_payload(self, algorithm: str) -> None:
        jwk, token, _ = VECTORS[algorithm]
        first, _, third = token.split(".")
        signed = jws.take_apart(f"{first}.{encode(b'{}')}.{third}")
        assert not VerifyingKey({**jwk, "alg": algorithm, "kid": "vector"}).verify(signed)


class TestSigning:  # RFC 7515 section 5.1
    @pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
    def test_is_verified_by_the_public_key(self, algorithm: str) -> None:
        key = KEYS[algorithm]
        signed = jws.take_apart(key.sign(b'{"a":1}', typ="at+jwt"))
        assert VerifyingKey(dict(key.jwk)).verify(signed)
        assert signed.payload == b'{"a":1}'
        assert (signed.header.alg, signed.header.kid, signed.header.typ) == (algorithm, key.kid, "at+jwt")

    def test_writes_the_type_that_was_asked_for_each_time(self) -> None:
        key = KEYS["ES256"]
        types = ["at+jwt", "JWT", "at+jwt", "logout+jwt"]
        assert [jws.take_apart(key.sign(b"{}", typ=typ)).header.typ for typ in types] == types

    @pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
    def test_is_not_verified_by_another_key(self, algorithm: str) -> None:
        signed = jws.take_apart(KEYS[algorithm].sign(b"{}", typ="JWT"))
        assert not jws.generate(algorithm).verifying_key.verify(signed)

    def test_of_an_es256_key_is_64_bytes(self) -> None:  # RFC 7518 section 3.4
        assert len(jws.take_apart(KEYS["ES256"].sign(b"{}", typ="JWT")).signature) == 64


class TestVerifying:
    def test_takes_the_algorithm_from_the_key(self) -> None:  # RFC 8725 section 3.1
        key = KEYS["RS256"]
        as_ps256 = VerifyingKey({**key.jwk, "alg": "PS256"})
        assert not as_ps256.verify(jws.take_apart(key.sign(b"{}", typ="JWT")))

    @pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
    @given(signature=st.binary(max_size=600))
    def test_refuses_any_other_signature(self, algorithm: str, signature: bytes) -> None:
        first, second, _ = KEYS[algorithm].sign(b"{}", typ="JWT").split(".")
        assert not KEYS[algorithm].verifying_key.verify(jws.take_apart(f"{first}.{second}.{encode(signature)}"))


class TestTakingApart:  # RFC 7515 section 5.2
    @pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b", "e30.e30", "e30.e30.AA.AA", "e30.e30.AA.AA.AA"])
    def test_needs_three_segments_and_a_header(self, text: str) -> None:
        with pytest.raises(InvalidToken):
            jws.take_apart(text)

    @pytest.mark.parametrize("change", ["{}=", "{}==", "{}\n", " {}", "{}\x00", "{}é"])
    def test_needs_canonical_base64url(self, change: str) -> None:
        token = KEYS["ES256"].sign(b"{}", typ="JWT")
        with pytest.raises(InvalidToken):
            jws.take_apart(change.format(token))

    def test_refuses_spare_bits(self) -> None:
        token = "eyJhbGciOiJFUzI1NiJ9.e30."
        assert jws.take_apart(token + "AA").signature == b"\x00"
        for spelling in ("AB", "AC", "AP"):
            with pytest.raises(InvalidToken):
                jws.take_apart(token + spelling)

    @pytest.mark.parametrize("alphabet", ["+/+/", "-_+/"])
    def test_refuses_the_plain_alphabet(self, alphabet: str) -> None:
        assert jws.take_apart("eyJhbGciOiJFUzI1NiJ9.e30.-_-_")
        with pytest.raises(InvalidToken):
            jws.take_apart(f"eyJhbGciOiJFUzI1NiJ9.e30.{alphabet}")

    @pytest.mark.parametrize(
        "header",
        [
            b"",
            b"[]",
            b"null",
            b'"ES256"',
            b"{}",
            b'{"alg":null}',
            b'{"alg":["ES256"]}',
            b'{"alg":"ES256","kid":1}',
            b'{"alg":"ES256","typ":{}}',
            b'{"alg":"ES256"',
            b'{"alg":"ES256"}x',
            b'{"alg":"\xff"}',
            b"[" * 9_000,
        ],
    )
    def test_needs_a_header_of_the_right_types(self, header: bytes) -> None:
        with pytest.raises(InvalidToken):
            jws.take_apart(with_header(header))

    @pytest.mark.parametrize(
        "header",
        [
            b'{"alg":"ES256","alg":"none"}',
            b'{"alg":"none","alg":"ES256"}',
            b'{"alg":"ES256","kid":"a","kid":"a"}',
            b'{"alg":"ES256","jwk":{"kty":"EC","kty":"RSA"}}',
        ],
    )
    def test_refuses_a_member_twice(self, header: bytes) -> None:  # RFC 7515 section 4
        with pytest.raises(InvalidToken):
            jws.take_apart(with_header(header))

    @pytest.mark.parametrize(
        "member",
        ['"crit":["exp"]', '"crit":[]', '"b64":false', '"b64":true,"crit":["b64"]', '"crit":null', '"b64":null'],
    )
    def test_refuses_extensions_that_must_be_understood(self, member: str) -> None:  # RFC 7515 section 4.1.11
        with pytest.raises(InvalidToken):
            jws.take_apart(with_header(b'{"alg":"ES256",' + member.encode() + b"}"))

    def test_ignores_other_members(self) -> None:
        header = json.dumps({"alg": "ES256", "kid": "a", "jku": "https://evil.example", "jwk": {"kty": "EC"}})
        assert jws.take_apart(with_header(header.encode())).header == jws.Header(alg="ES256", kid="a")

    def test_refuses_a_long_token_before_reading_it(self) -> None:
        with pytest.raises(InvalidToken, match="too long"):
            jws.take_apart("A" * (jws.MAX_TOKEN_LENGTH + 1))

    @given(token=st.text() | st.lists(st.binary().map(encode), max_size=5).map(".".join))
    def test_of_any_text_is_signed_or_refused(self, token: str) -> None:
        try:
            jws.take_apart(token)
        except InvalidToken:
            return


class TestPublishedKey:  # RFC 7517 section 4
    @pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
    def test_has_no_private_member(self, algorithm: str) -> None:
        assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}.intersection(KEYS[algorithm].jwk)

    def test_shows_nothing_private_when_printed(self) -> None:
        key = KEYS["ES256"]
        assert repr(key) == f"SigningKey(ES256, kid={key.kid})"

    @pytest.mark.parametrize(
        "change",
        [
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": None},
            {"alg": []},
            {"kid": ""},
            {"kid": None},
            {"kid": 5},
            {"d": "AQ"},
            {"kty": "RSA"},
            {"kty": []},
            {"crv": "P-999"},
            {"x": "AA"},
            {"x": 5},
            {"y": None},
            {"alg": "RS256"},
        ],
    )
    def test_is_refused_unless_public_and_complete(self, change: dict[str, Any]) -> None:
        with pytest.raises(InvalidToken):
            VerifyingKey({**KEYS["ES256"].jwk, **change})

    @pytest.mark.parametrize(
        ("algorithm", "public_key"),
        [
            ("ES256", ec.generate_private_key(ec.SECP384R1()).public_key()),
            ("EdDSA", ed448.Ed448PrivateKey.generate().public_key()),
        ],
    )
    def test_of_another_curve_is_refused(self, algorithm: str, public_key: Any) -> None:  # RFC 7518 section 3.4
        jwk = get_algorithm_by_name(algorithm).to_jwk(public_key, as_dict=True)
        with pytest.raises(InvalidToken, match="does not fit"):
            VerifyingKey({**jwk, "alg": algorithm, "kid": "a"})

    def test_of_a_short_rsa_key_is_refused(self) -> None:  # RFC 7518 section 3.3
        numbers = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
        jwk = {"kty": "RSA", "alg": "RS256", "kid": "a", "n": encode(numbers.n.to_bytes(128, "big")), "e": "AQAB"}
        with pytest.raises(InvalidToken, match="2048"):
            VerifyingKey(jwk)


class TestPrivateKey:
    @pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
    def test_signs_the_same_after_the_file(self, algorithm: str) -> None:
        key = jws.load(algorithm, KEYS[algorithm].pem())
        assert KEYS[algorithm].verifying_key.verify(jws.take_apart(key.sign(b"{}", typ="JWT")))

    @pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "", "es256"])
    def test_is_not_made_for_another_algorithm(self, algorithm: str) -> None:
        with pytest.raises(ConfigurationError, match="choose one of"):
            jws.generate(algorithm)

    @pytest.mark.parametrize(
        ("algorithm", "private_key"),
        [
            ("RS256", ec.generate_private_key(ec.SECP256R1())),
            ("ES256", ec.generate_private_key(ec.SECP384R1())),
            ("ES256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
            ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024)),
            ("EdDSA", ec.generate_private_key(ec.SECP256R1())),
        ],
    )
    def test_must_fit_its_algorithm_and_be_strong(self, algorithm: str, private_key: PrivateKey) -> None:
        with pytest.raises(ConfigurationError, match="is not a key for"):
            SigningKey(algorithm, private_key)

    @pytest.mark.parametrize("text", ["", "-----BEGIN PRIVATE KEY-----", "é"])
    def test_is_not_read_from_other_text(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="PKCS #8"):
            jws.load("ES256", text)

    def test_is_not_read_when_encrypted(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()
        with pytest.raises(ConfigurationError, match="unencrypted"):
            jws.load("ES256", pem)

    def test_is_not_read_when_it_cannot_sign(self) -> None:
        key = x25519.X25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        with pytest.raises(ConfigurationError, match="not used for signing"):
            jws.load("EdDSA", pem)
