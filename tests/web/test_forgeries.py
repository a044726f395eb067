"""Tokens that look like ours and are not, or are ours respelled (SECURITY J-07 to J-11, J-18)."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256, sha512
from typing import Any
from zlib import compress

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwt import PyJWK, get_algorithm_by_name

from jwtauth.keyring import jws
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.jws import SigningKey
from tests.support.canary import Canary
from tests.web.site import Site, assert_refused, claims_of, decoded

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256."""
SPARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

Forge = Callable[["Bench"], str]


class Bench:
    """A forger's bench: a live token, the published keys, and a key of the forger's own."""

    def __init__(
        self, token: str, published: dict[str, dict[str, Any]], url: str, ours: dict[str, SigningKey], canary: str
    ) -> None:
        self.token = token
        self.header, self.payload, self.signature = token.split(".")
        self.head = {"typ": "at+jwt", "kid": published["ES256"]["kid"]}
        self.claims = claims_of(token)
        self.jwk, self.rsa = published["ES256"], published["RS256"]
        self.kid: str = self.jwk["kid"]
        self.url, self.canary = url, canary
        self.own = jws.generate("ES256")
        self.ours, self.our_rsa = ours["ES256"], ours["RS256"]

    def unsigned(self, **header: Any) -> str:
        return f"{encode({'typ': 'at+jwt', 'kid': self.kid, **header})}.{self.payload}."

    def keyed(self, key: bytes, digest: Any = sha256, **header: Any) -> str:
        head = encode({"alg": "HS256", "typ": "at+jwt", "kid": self.kid, **header})
        mac = hmac.new(key, f"{head}.{self.payload}".encode(), digest).digest()
        return f"{head}.{self.payload}.{b64(mac)}"

    def framed(self, header: Any) -> str:
        return f"{encode(header)}.{self.payload}.{self.signature}"

    def own_signed(self, **header: Any) -> str:
        head = {"alg": "ES256", "typ": "at+jwt", "kid": self.kid, **header}
        return sign(self.own, head, self.claims)

    def signed_by_us(self, claims: Any, **header: Any) -> str:
        """A token that our own key signed, so that nothing but the frame or the claims is wrong with it."""
        return sign(self.ours, {"alg": "ES256", "typ": "at+jwt", "kid": self.kid, **header}, claims)


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def encode(value: Any) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def sign(key: SigningKey, header: Any, claims: Any) -> str:
    """A JWS with any header; `SigningKey` itself would write its own."""
    signing_input = f"{encode(header)}.{encode(claims)}"
    private_key = load_pem_private_key(key.pem().encode(), password=None)
    return f"{signing_input}.{b64(get_algorithm_by_name(key.algorithm).sign(signing_input.encode(), private_key))}"


def pem(jwk: dict[str, Any]) -> bytes:
    public: bytes = PyJWK(jwk).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public


FORGERIES: dict[str, Forge] = {
    "alg none": lambda b: b.unsigned(alg="none"),
    "alg nOnE": lambda b: b.unsigned(alg="nOnE"),
    "alg NONE with the old signature": lambda b: b.unsigned(alg="NONE") + b.signature,
    "alg empty": lambda b: b.unsigned(alg=""),
    "alg missing": lambda b: b.unsigned(),
    "alg null": lambda b: b.unsigned(alg=None),
    "alg a list": lambda b: b.unsigned(alg=["ES256"]),
    "HS256 with the PEM": lambda b: b.keyed(pem(b.jwk)),
    "HS256 with the JWK": lambda b: b.keyed(json.dumps(b.jwk).encode()),
    "HS256 with x": lambda b: b.keyed(decoded(b.jwk["x"])),
    "HS256 with nothing": lambda b: b.keyed(b""),
    "HS512 with the PEM": lambda b: b.keyed(pem(b.jwk), sha512, alg="HS512"),
    "HS256 with the PEM of the RSA key": lambda b: b.keyed(pem(b.rsa), kid=b.rsa["kid"]),
    "HS256 with the RSA key's n": lambda b: b.keyed(decoded(b.rsa["n"]), kid=b.rsa["kid"]),
    "ES256 under the RSA key's kid": lambda b: b.own_signed(kid=b.rsa["kid"]),
    "our RSA key under the other kid": lambda b: sign(b.our_rsa, {"alg": "RS256", **b.head}, b.claims),
    "our RSA key called ES256": lambda b: sign(b.our_rsa, {"alg": "ES256", **b.head, "kid": b.our_rsa.kid}, b.claims),
    "an ID token's frame": lambda b: sign(b.our_rsa, {"alg": "RS256", "typ": "JWT", "kid": b.our_rsa.kid}, b.claims),
    "signature stripped": lambda b: f"{b.header}.{b.payload}.",
    "signature left out": lambda b: f"{b.header}.{b.payload}",
    "signature of zeros": lambda b: f"{b.header}.{b.payload}.{b64(bytes(64))}",
    "signature r=s=1": lambda b: f"{b.header}.{b.payload}.{b64((bytes(31) + bytes([1])) * 2)}",
    "signature too short": lambda b: f"{b.header}.{b.payload}.{b.signature[:-4]}",
    "signature too long": lambda b: f"{b.header}.{b.payload}.{b.signature}AAAA",
    "signature in DER": lambda b: f"{b.header}.{b.payload}.{b64(der(b.signature))}",
    "own key under our kid": lambda b: b.own_signed(),
    "own key under its kid": lambda b: b.own_signed(kid=b.own.kid),
    "jwk in the header": lambda b: b.own_signed(jwk=b.own.jwk),
    "jwk in the header, own kid": lambda b: b.own_signed(jwk=b.own.jwk, kid=b.own.kid),
    "jku": lambda b: b.own_signed(jku=f"{b.canary}/jwks.json"),
    "x5u": lambda b: b.own_signed(x5u=f"{b.canary}/cert.pem"),
    "kid an address": lambda b: b.own_signed(kid=f"{b.canary}/jwks.json"),
    "issuer with keys of its own": lambda b: sign(
        b.own, {"alg": "ES256", **b.head, "kid": b.own.kid}, {**b.claims, "iss": b.canary}
    ),
    "x5c": lambda b: b.own_signed(x5c=["AAAA"]),
    "kid a path": lambda b: b.own_signed(kid="../../../../dev/null"),
    "kid SQL": lambda b: b.own_signed(kid="' UNION SELECT 'x' --"),
    "kid missing": lambda b: sign(b.own, {"alg": "ES256", "typ": "at+jwt"}, b.claims),
    "kid a number": lambda b: b.own_signed(kid=1),
    "kid NUL": lambda b: b.own_signed(kid="\x00"),
    "kid a lone surrogate": lambda b: b.framed(b'{"alg":"ES256","typ":"at+jwt","kid":"\\ud800"}'),
    "payload changed": lambda b: f"{b.header}.{encode({**b.claims, 'sub': 'root'})}.{b.signature}",
    "payload of another scope": lambda b: f"{b.header}.{encode({**b.claims, 'scope': 'admin'})}.{b.signature}",
    "payload empty": lambda b: f"{b.header}..{b.signature}",
    "header empty": lambda b: f".{b.payload}.{b.signature}",
    "header an array": lambda b: b.framed(["ES256"]),
    "header a number": lambda b: b.framed(1),
    "header nested deeply": lambda b: b.framed(b"[" * 8000),
    "header with alg twice": lambda b: sign(b.ours, twice({**b.head, "alg": "ES256"}, "alg", "none"), b.claims),
    "header with kid twice": lambda b: sign(b.ours, twice({**b.head, "alg": "ES256"}, "kid", b.own.kid), b.claims),
    "header with NaN": lambda b: b.framed(b'{"alg":NaN}'),
    "header with a huge number": lambda b: b.framed(b'{"alg":' + b"9" * 5000 + b"}"),
    "header in UTF-16": lambda b: b.framed(decoded(b.header).decode().encode("utf-16")),
    "header not UTF-8": lambda b: b.framed(b"\xff\xfe\x80"),
    "header twice": lambda b: f"{b.header}.{b.header}.{b.payload}.{b.signature}",
    "encrypted and deflated": lambda b: (
        f"{encode({'alg': 'dir', 'enc': 'A256GCM', 'zip': 'DEF'})}..AAAA.{b64(compress(bytes(9_000_000)))}.AAAA"
    ),
    "five parts": lambda b: f"{b.token}.AAAA.AAAA",
    "one part": lambda b: b.header,
    "dots only": lambda b: "....",
    "two dots": lambda b: "..",
    "not base64": lambda b: f"{b.header}.{b.payload}.{b.signature[:-1]}*",
    "not ASCII": lambda b: f"{b.header}.{b.payload}.{b.signature[:-1]}é",
    "space inside": lambda b: b.token.replace(".", ". "),
    "line feed behind": lambda b: b.token + "\n",
    "Bearer before": lambda b: f"Bearer {b.token}",
    "sixteen thousand characters": lambda b: b.token + "A" * 16_000,
    "ours, but typ JWT": lambda b: b.signed_by_us(b.claims, typ="JWT"),
    "ours, but typ missing": lambda b: sign(b.ours, {"alg": "ES256", "kid": b.kid}, b.claims),
    "ours, but typ an ID token's": lambda b: b.signed_by_us(b.claims, typ="id_token+jwt"),
    "ours, but typ logout+jwt": lambda b: b.signed_by_us(b.claims, typ="logout+jwt"),
    "ours, but crit": lambda b: b.signed_by_us(b.claims, crit=["exp"]),
    "ours, but b64 false": lambda b: b.signed_by_us(b.claims, b64=False),
    "ours, but alg ES384": lambda b: b.signed_by_us(b.claims, alg="ES384"),
    "ours, of another issuer": lambda b: b.signed_by_us({**b.claims, "iss": "https://evil.example"}),
    "ours, of a longer issuer": lambda b: b.signed_by_us({**b.claims, "iss": b.url + "/"}),
    "ours, of a shorter issuer": lambda b: b.signed_by_us({**b.claims, "iss": b.url[:-1]}),
    "ours, expired": lambda b: b.signed_by_us({**b.claims, "exp": b.claims["iat"] - 1}),
    "ours, from the future": lambda b: b.signed_by_us({**b.claims, "iat": b.claims["iat"] + 600}),
    "ours, exp a string": lambda b: b.signed_by_us({**b.claims, "exp": str(b.claims["exp"])}),
    "ours, exp NaN": lambda b: b.signed_by_us({**b.claims, "exp": float("nan")}),
    "ours, exp missing": lambda b: b.signed_by_us(without(b.claims, "exp")),
    "ours, status missing": lambda b: b.signed_by_us(without(b.claims, "status")),
    "ours, status elsewhere": lambda b: b.signed_by_us(status(b, "https://evil.example/status/1-0", 0)),
    "ours, status of another epoch": lambda b: b.signed_by_us(status(b, f"{b.url}/oauth/status/2-0", 0)),
    "ours, status below zero": lambda b: b.signed_by_us(status(b, f"{b.url}/oauth/status/1-0", -1)),
    "ours, status beyond its list": lambda b: b.signed_by_us(status(b, f"{b.url}/oauth/status/1-0", 1 << 40)),
    "ours, status list of no number": lambda b: b.signed_by_us(status(b, f"{b.url}/oauth/status/1-x", 0)),
    "ours, status list of a huge number": lambda b: b.signed_by_us(
        status(b, f"{b.url}/oauth/status/1-{'9' * 5000}", 0)
    ),
    "ours, claims an array": lambda b: b.signed_by_us([b.claims]),
    "ours, claims no JSON": lambda b: b.signed_by_us(b"\xff"),
    "ours, claims nested deeply": lambda b: b.signed_by_us(b"[" * 8000),
}


def der(signature: str) -> bytes:
    raw = decoded(signature)
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def mirrored(token: str) -> str:
    """The same token with the other valid ECDSA signature: s becomes n - s."""
    head, _, signature = token.rpartition(".")
    r, s = decode_dss_signature(der(signature))
    return f"{head}.{b64(r.to_bytes(32, 'big') + (ORDER - s).to_bytes(32, 'big'))}"


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def twice(members: dict[str, Any], name: str, first: str) -> bytes:
    """A JSON object in which a member stands twice; most parsers take the last, some the first."""
    return f'{{"{name}":"{first}",{json.dumps(members)[1:]}'.encode()


def status(bench: Bench, uri: str, idx: int) -> dict[str, Any]:
    return {**bench.claims, "status": {"status_list": {"idx": idx, "uri": uri}}}


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with Canary() as canary:
        yield canary


@pytest.fixture(scope="module")
def bench(site: Site, canary: Canary) -> Bench:
    published = {jwk["alg"]: jwk for jwk in site.http.get("/.well-known/jwks.json").json()["keys"]}
    ours = {key.algorithm: key for _, key in KeyFolder(site.home.source.keys).read_keys()}
    return Bench(site.machine(), published, site.server.url, ours, canary.url)


def assert_dead(site: Site, token: str) -> None:
    introspected = site.post("/oauth/introspect", {"token": token})
    assert (introspected.status_code, introspected.content) == (200, b'{"active":false}')
    assert_refused(site.post("/oauth/check_token", {"token": token}), 400, "invalid_token")
    assert_refused(site.http.get("/oauth/tokeninfo", params={"access_token": token}), 401, "invalid_token")
    assert_refused(site.post("/oauth/userinfo", {"access_token": token}, auth=None), 401, "invalid_token")
    raw = token.encode()
    if raw.isascii() and b"\n" not in raw:
        response: httpx.Response = site.http.get("/oauth/tokeninfo", headers={b"Authorization": b"Bearer " + raw})
        assert 400 <= response.status_code <= 401


class TestAForgedToken:  # RFC 8725 section 2
    @pytest.mark.parametrize("name", FORGERIES)
    def test_j_07_is_dead_at_every_endpoint(self, site: Site, bench: Bench, canary: Canary, name: str) -> None:
        with site.writing_nothing():
            assert_dead(site, FORGERIES[name](bench))
        assert not canary.was_asked(), "a token has made the service fetch something"

    @pytest.mark.parametrize("name", ["header with alg twice", "header with kid twice"])
    def test_j_10_is_not_read_one_way_here_and_another_there(self, site: Site, bench: Bench, name: str) -> None:
        """With the member once, the same frame is a live token: it is the repetition that is refused."""
        assert twice({"alg": "ES256"}, "alg", "none") == b'{"alg":"none","alg": "ES256"}'
        assert_dead(site, FORGERIES[name](bench))
        assert site.is_active(sign(bench.ours, json.dumps({**bench.head, "alg": "ES256"}).encode(), bench.claims))

    @pytest.mark.parametrize("length", [16_385, 65_000])
    def test_j_11_is_not_decoded_where_it_is_too_long(self, site: Site, bench: Bench, length: int) -> None:
        """Our own key has signed it; its size alone is wrong."""
        room = length - len(bench.signed_by_us({**bench.claims, "jti": ""}))
        longer = bench.signed_by_us({**bench.claims, "jti": "j" * (room * 3 // 4 + 4)})
        assert length <= len(longer) <= length + 8
        response = site.post("/oauth/introspect", {"token": longer})
        assert response.status_code == 413 or response.content == b'{"active":false}'
        short = bench.signed_by_us({**bench.claims, "jti": "j" * 11_000})
        assert site.is_active(short), "it was not the jti that was wrong"

    def test_j_07_would_be_alive_had_the_bench_done_nothing(self, site: Site, bench: Bench) -> None:
        """The bench itself works: unchanged claims under our own key are a live token."""
        assert site.is_active(bench.token)
        assert site.is_active(bench.signed_by_us(bench.claims))


class TestTheClock:  # RFC 9068 section 4
    @pytest.mark.parametrize(("ahead", "is_live"), [(-30, True), (0, True), (30, True), (120, False)])
    def test_j_18_of_who_issued_may_be_half_a_minute_ahead(
        self, site: Site, bench: Bench, ahead: int, is_live: bool
    ) -> None:
        now = int(time.time())
        token = bench.signed_by_us({**bench.claims, "iat": now + ahead, "exp": now + 3_600})
        assert site.is_active(token) is is_live

    def test_j_18_stands_in_the_token_as_it_is(self, site: Site) -> None:
        before = int(time.time())
        claims = claims_of(site.machine())
        assert before <= claims["iat"] <= int(time.time())

    def test_j_18_is_not_bent_for_an_expired_token(self, site: Site, bench: Bench) -> None:
        now = int(time.time())
        assert not site.is_active(bench.signed_by_us({**bench.claims, "iat": now - 3_600, "exp": now}))


class TestARevokedToken:
    def test_j_08_j_09_stays_dead_however_it_is_spelt(self, site: Site) -> None:
        token = site.machine()
        assert site.is_active(mirrored(token)), "the mirrored signature is valid, which is why spelling must not count"
        assert site.post("/oauth/revoke", {"token": token}).status_code == 200
        for spelling in (token, mirrored(token), *respelt(token)):
            assert_dead(site, spelling)

    def test_j_08_stays_dead_when_it_was_revoked_by_another_spelling(self, site: Site) -> None:
        token = site.machine()
        assert site.post("/oauth/revoke", {"token": mirrored(token)}).status_code == 200
        assert_dead(site, token)

    def test_j_09_is_not_known_by_a_spelling_that_is_not_canonical(self, site: Site) -> None:
        token = site.machine()
        for spelling in respelt(token):
            assert_dead(site, spelling)
        assert site.is_active(token)


def respelt(token: str) -> list[str]:
    """The same bytes in base64 that is not canonical: padding, spare bits, the other alphabet, white space."""
    header, payload, signature = token.split(".")
    spare = SPARE[SPARE.index(signature[-1]) ^ 1]
    found = [f"{token}=", f"{token}==", f"{header}=.{payload}.{signature}", f"{header}.{payload}=.{signature}"]
    found += [f"{header}.{payload}.{signature[:-1]}{spare}", f"{token[:-5]}\n{token[-5:]}", f"{token}%3D"]
    found += [token.replace("-", "+").replace("_", "/")] if "-" in token or "_" in token else []
    return found
