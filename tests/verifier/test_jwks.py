"""Reading a JWK Set and its lifetime (RFC 7517 section 5, RFC 9111 section 4.2)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.keyring import jws
from jwtauth.verifier import jwks

_GOOD = jws.generate("ES256").jwk
_RSA = jws.generate("RS256").jwk

UNUSABLE: dict[str, Any] = {
    "no object": 5,
    "null": None,
    "array": [],
    "empty": {},
    "no kid": {name: value for name, value in _RSA.items() if name != "kid"},
    "empty kid": {**_RSA, "kid": ""},
    "kid of another type": {**_RSA, "kid": 5},
    "no alg": {name: value for name, value in _RSA.items() if name != "alg"},
    "unknown alg": {**_RSA, "alg": "XS256"},
    "alg none": {**_RSA, "alg": "none"},
    "symmetric": {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "x"},
    "for encryption": {**_RSA, "use": "enc"},
    "private exponent": {**_RSA, "d": "AQ"},
    "prime": {**_RSA, "p": "AQ"},
    "kty of another type": {**_RSA, "kty": []},
    "coordinate of another type": {**_GOOD, "kid": "x", "x": 5},
    "point not on the curve": {**_GOOD, "kid": "x", "y": _GOOD["x"]},
    "modulus missing": {name: value for name, value in _RSA.items() if name != "n"},
    "alg of another kind of key": {**_RSA, "alg": "ES256"},
}


class TestSet:
    @pytest.mark.parametrize("name", UNUSABLE)
    def test_leaves_out_a_key_that_is_not_usable_and_keeps_the_others(self, name: str) -> None:
        keys = jwks.read(json.dumps({"keys": [UNUSABLE[name], _GOOD]}).encode())
        assert set(keys) == {_GOOD["kid"]}

    def test_may_have_other_members(self) -> None:
        assert set(jwks.read(json.dumps({"keys": [_GOOD], "x": 1}).encode())) == {_GOOD["kid"]}

    def test_may_be_empty(self) -> None:
        assert jwks.read(b'{"keys":[]}') == {}

    @given(body=st.binary())
    def test_is_no_set_or_read(self, body: bytes) -> None:
        with pytest.raises(ValueError, match="JWK Set"):
            jwks.read(body)

    @given(
        name=st.sampled_from([*sorted(_RSA), "crv", "x", "y", "key_ops"]),
        value=st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()),
        key=st.sampled_from([_GOOD, _RSA]),
    )
    def test_never_fails_for_one_key(self, name: str, value: Any, key: dict[str, Any]) -> None:
        assert len(jwks.read(json.dumps({"keys": [{**key, name: value}]}).encode())) <= 1


class TestLifetime:
    @pytest.mark.parametrize(
        ("cache_control", "age", "lifetime_in"),
        [
            ("", "", 300),
            ("public", "", 300),
            ("max-age=120", "", 120),
            ("public, max-age=120, must-revalidate", "", 120),
            ("MAX-AGE=120", "", 120),
            ('max-age="120"', "", 120),
            ("s-maxage=9, max-age=120", "", 120),
            ("max-age=120", "20", 100),
            ("max-age=120", "2000", 60),
            ("max-age=120", "soon", 120),
            ("max-age=0", "", 60),
            ("max-age=-5", "", 300),
            ("max-age=ages", "", 300),
            ("max-age=" + "9" * 5_000, "", 300),
            ("max-age=9999999", "", 3600),
            ("no-store, max-age=300", "", 60),
            ("no-cache", "", 60),
        ],
    )
    def test_is_what_the_answer_says_within_bounds(self, cache_control: str, age: str, lifetime_in: int) -> None:
        assert jwks.lifetime_in(cache_control, age=age) == lifetime_in

    @given(cache_control=st.text(), age=st.text())
    def test_is_within_bounds_whatever_the_answer_says(self, cache_control: str, age: str) -> None:
        assert jwks.SHORTEST_IN <= jwks.lifetime_in(cache_control, age=age) <= jwks.LONGEST_IN
