"""Names of keys (RFC 7638 section 3)."""

import pytest

from jwtauth.keyring import jws

# RFC 7638 section 3.1
_RSA = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
    "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM"
    "QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKn"
    "qDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


class TestThumbprint:
    def test_is_that_of_the_example(self) -> None:
        assert jws.thumbprint(_RSA) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

    def test_of_an_ed25519_key_is_that_of_the_example(self) -> None:  # RFC 8037 appendix A.3
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        assert jws.thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    def test_counts_required_members_only_in_any_order(self) -> None:
        shuffled = dict(reversed(_RSA.items()))
        assert jws.thumbprint({**shuffled, "kid": "other", "use": "sig"}) == jws.thumbprint(_RSA)

    @pytest.mark.parametrize("algorithm", jws.ALGORITHMS)
    def test_is_the_kid_of_a_key_and_survives_the_file(self, algorithm: str) -> None:
        key = jws.generate(algorithm)
        assert key.kid == key.jwk["kid"] == jws.thumbprint(key.jwk) == jws.load(algorithm, key.pem()).kid
