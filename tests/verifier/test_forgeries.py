"""Forged tokens (SECURITY J-07 to J-12, RFC 8725): each is refused, and only the issuer's own documents are fetched."""

import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jwtauth.keyring import jws
from jwtauth.verifier import InvalidToken, Verifier
from tests.verifier.conftest import lived
from tests.verifier.issuing import JWKS, LIST, METADATA, Issuing, assemble, encode

Forge = Callable[[Issuing], str | bytes]

_FOREIGN = jws.generate("ES256")


def header(issuing: Issuing, **changes: Any) -> dict[str, Any]:
    return {"alg": "ES256", "kid": issuing.key.kid, "typ": "at+jwt", **changes}


def parts(issuing: Issuing) -> tuple[str, str, str]:
    first, second, third = issuing.token().split(".")
    return first, second, third


def none(spelling: str) -> Forge:
    return lambda issuing: assemble(header(issuing, alg=spelling), issuing.claims(), b"")


def hmac_with(secret: Callable[[Issuing], bytes]) -> Forge:
    def forge(issuing: Issuing) -> str:
        unsigned = assemble(header(issuing, alg="HS256"), issuing.claims(), b"").rstrip(".")
        return f"{unsigned}.{encode(hmac.digest(secret(issuing), unsigned.encode(), 'sha256'))}"

    return forge


def public_pem(issuing: Issuing) -> bytes:
    public = load_pem_private_key(issuing.key.pem().encode(), None).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed_by_foreign(**members: Any) -> Forge:
    """A token of the attacker's own key, whose header tries to have that key used."""

    def forge(issuing: Issuing) -> str:
        unsigned = assemble(header(issuing, **members), issuing.claims(), b"").rstrip(".")
        return f"{unsigned}.{encode(es256(unsigned.encode()))}"

    return forge


def es256(signing_input: bytes) -> bytes:
    """The attacker's signature (RFC 7518 section 3.4)."""
    key = load_pem_private_key(_FOREIGN.pem().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(key.sign(signing_input, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def with_header(raw: Callable[[Issuing], bytes]) -> Forge:
    """A truly signed payload under another header: also shows what a header alone may not do."""
    return lambda issuing: ".".join((encode(raw(issuing)), *parts(issuing)[1:]))


def respelled_last_character(segment: str) -> str:
    """The same bytes, with a spare bit of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) ^ 1]


def doubled(issuing: Issuing) -> bytes:
    return json.dumps(header(issuing)).replace("{", '{"alg":"none",', 1).encode()


def nested(issuing: Issuing) -> str:
    return issuing.key.sign(issuing.token().encode(), typ="at+jwt")


def changed_payload(issuing: Issuing) -> str:
    first, _, third = parts(issuing)
    return f"{first}.{encode(json.dumps(issuing.claims(sub='root')).encode())}.{third}"


def changed_first(issuing: Issuing) -> str:
    """Longer life under the signature of a shorter one."""
    first, second, _ = parts(issuing)
    return f"{first}.{second}.{issuing.token(exp=1 << 40).split('.')[2]}"


FORGERIES: dict[str, Forge] = {
    "alg none": none("none"),
    "alg nOnE": none("nOnE"),
    "alg empty": none(""),
    "HS256 with the public key as PEM": hmac_with(public_pem),
    "HS256 with the public key as PEM, no line end": hmac_with(lambda issuing: public_pem(issuing).strip()),
    "HS256 with the public key as JWK": hmac_with(lambda issuing: json.dumps(issuing.key.jwk).encode()),
    "HS256 with an empty key": hmac_with(lambda issuing: b""),
    "signature stripped": lambda issuing: ".".join((*parts(issuing)[:2], "")),
    "signature and its dot stripped": lambda issuing: ".".join(parts(issuing)[:2]),
    "signature of zeros": lambda issuing: ".".join((*parts(issuing)[:2], encode(bytes(64)))),
    "signature truncated": lambda issuing: ".".join((*parts(issuing)[:2], encode(bytes(63)))),
    "signature in DER": lambda issuing: ".".join((*parts(issuing)[:2], encode(utils.encode_dss_signature(5, 7)))),
    "foreign key, its own kid": lambda issuing: issuing.token(key=_FOREIGN),
    "foreign key, our kid": signed_by_foreign(),
    "foreign key in jwk": signed_by_foreign(jwk=_FOREIGN.jwk),
    "foreign key at jku": signed_by_foreign(jku="http://127.0.0.1:9/jwks.json"),
    "foreign key at x5u": signed_by_foreign(x5u="http://127.0.0.1:9/x5u.pem"),
    "foreign key in x5c": signed_by_foreign(x5c=["MIIB"]),
    "kid traversal": signed_by_foreign(kid="../../../../dev/null"),
    "kid SQL": signed_by_foreign(kid="x' UNION SELECT 'secret"),
    "kid empty": signed_by_foreign(kid=""),
    "kid missing": with_header(lambda issuing: b'{"alg":"ES256","typ":"at+jwt"}'),
    "kid of another type": with_header(lambda issuing: json.dumps(header(issuing, kid=["a"])).encode()),
    "kid of a lone surrogate": with_header(lambda issuing: json.dumps(header(issuing, kid="\ud800")).encode()),
    "crit": signed_by_foreign(crit=["exp"], exp=1),
    "b64": signed_by_foreign(b64=False, crit=["b64"]),
    "payload changed": changed_payload,
    "signature of another token": changed_first,
    "token in a token": nested,
    "header is no UTF-8": with_header(lambda issuing: b'{"alg":"ES256","kid":"\xff\xfe"}'),
    "header is an array": with_header(lambda issuing: b"[]"),
    "header is nested deep": with_header(lambda issuing: b"[" * 9_000),
    "header is empty": with_header(lambda issuing: b""),
    "header has NaN": with_header(lambda issuing: b'{"alg":"ES256","kid":NaN,"typ":"at+jwt"}'),
    "header has a member twice": with_header(doubled),
    "typ is an array": with_header(lambda issuing: json.dumps(header(issuing, typ=["at+jwt"])).encode()),
    "no base64": lambda issuing: issuing.token().replace("e", "!", 1),
    "plain base64 alphabet": lambda issuing: ".".join((*parts(issuing)[:2], "+/" * 43)),
    "padding": lambda issuing: issuing.token() + "=",
    "full padding": lambda issuing: issuing.token() + "==",
    "padding in the header": lambda issuing: issuing.token().replace(".", "=.", 1),
    "spare bits in the signature": lambda issuing: respelled_last_character(issuing.token()),
    "line break": lambda issuing: issuing.token() + "\n",
    "leading space": lambda issuing: " " + issuing.token(),
    "inner space": lambda issuing: issuing.token().replace(".", ". ", 1),
    "five parts": lambda issuing: ".".join((*parts(issuing), "AA", "AA")),
    "four parts": lambda issuing: issuing.token() + ".AA",
    "one part": lambda issuing: "token",
    "dots": lambda issuing: "..",
    "nothing": lambda issuing: "",
    "bytes that are no ASCII": lambda issuing: b"\xff\xfe" + issuing.token().encode(),
    "a lone surrogate": lambda issuing: "\ud800" + issuing.token(),
    "full-width digits": lambda issuing: issuing.token() + "１",
    "too long": lambda issuing: issuing.token() + "A" * 20_000,
    "JSON serialization": lambda issuing: json.dumps({"payload": parts(issuing)[1], "signatures": []}),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Issuing]:
    yield from lived(Issuing())


@pytest.fixture(scope="module")
def verifier(shared: Issuing) -> Verifier:
    return shared.verifier()


class TestForgery:
    @pytest.mark.parametrize("name", FORGERIES)
    def test_is_refused_and_nothing_is_fetched_but_what_the_issuer_publishes(self, issuing: Issuing, name: str) -> None:
        verifier = issuing.verifier()
        assert verifier.verify(issuing.token())
        with pytest.raises(InvalidToken):
            verifier.verify(FORGERIES[name](issuing))
        assert set(issuing.requests) <= {METADATA, JWKS, LIST}

    def test_differs_from_the_genuine_token_that_passes(self, issuing: Issuing) -> None:
        """The table's builder, given the true key, makes a token that passes: it fails for its flaw alone."""
        issuing.published.append(_FOREIGN.jwk)
        token = signed_by_foreign(kid=_FOREIGN.kid)(issuing)
        assert issuing.verifier().verify(token).jti == "t-1"

    def test_is_not_repeated_in_the_refusal(self, issuing: Issuing) -> None:
        issuing.verifier().verify(issuing.token())
        with pytest.raises(InvalidToken) as refusal:
            issuing.verifier().verify(changed_payload(issuing))
        assert not any(part in str(refusal.value) for part in changed_payload(issuing).split("."))
        assert "root" not in str(refusal.value)


class TestAnyInput:
    """Whatever arrives, the answer is claims or InvalidToken."""

    @given(token=st.text() | st.binary())
    def test_of_noise_is_refused(self, verifier: Verifier, token: str | bytes) -> None:
        with pytest.raises(InvalidToken):
            verifier.verify(token)

    @given(header=st.binary(max_size=60), payload=st.binary(max_size=60), signature=st.binary(max_size=80))
    def test_in_three_segments_is_refused(
        self, verifier: Verifier, header: bytes, payload: bytes, signature: bytes
    ) -> None:
        with pytest.raises(InvalidToken):
            verifier.verify(assemble(header, payload, signature))

    @given(
        members=st.dictionaries(
            st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=5,
            ),
        )
    )
    def test_with_any_header_is_refused(self, shared: Issuing, verifier: Verifier, members: dict[str, Any]) -> None:
        with pytest.raises(InvalidToken):
            verifier.verify(assemble(header(shared, **members), shared.claims(), bytes(64)))

    @given(
        payload=st.binary()
        | st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists).map(
            lambda value: json.dumps(value).encode()
        )
    )
    def test_truly_signed_is_refused_unless_it_is_claims(
        self, shared: Issuing, verifier: Verifier, payload: bytes
    ) -> None:
        with pytest.raises(InvalidToken):
            verifier.verify(shared.key.sign(payload, typ="at+jwt"))

    @given(
        name=st.sampled_from(["iss", "sub", "aud", "exp", "iat", "scope", "status", "authorities", "uid", "username"]),
        value=st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.text()),
    )
    def test_truly_signed_with_any_claim_is_claims_or_refused(
        self, shared: Issuing, verifier: Verifier, name: str, value: Any
    ) -> None:
        payload = msgspec.json.encode({**shared.claims(), name: value})
        try:
            verifier.verify(shared.key.sign(payload, typ="at+jwt"))
        except InvalidToken:
            return

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(data=st.data())
    def test_that_differs_in_one_character_is_refused(
        self, shared: Issuing, verifier: Verifier, data: st.DataObject
    ) -> None:
        token = shared.token()
        at = data.draw(st.integers(0, len(token) - 1))
        character = data.draw(st.characters(codec="latin-1").filter(lambda character: character != token[at]))
        with pytest.raises(InvalidToken):
            verifier.verify(token[:at] + character + token[at + 1 :])
