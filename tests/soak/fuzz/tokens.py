"""Targets in what is signed, sealed or published: tokens, hints, key sets, status lists, answers of upstreams."""

import tempfile
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from jwtauth.errors import InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.folder import KeyFolder, SecretFile, StoredSecret
from jwtauth.keyring.jws import SigningKey
from jwtauth.keyring.keyring import Keyring
from jwtauth.keyring.sealer import Sealer
from jwtauth.protocol import claims, id_token, proofs, status_list
from jwtauth.protocol.records import Pointer
from jwtauth.verifier import events, jwks, lists
from tests.soak.fuzz.target import Target

ISSUER: Final = "https://issuer.example"
NOW: Final = 1_800_000_000

_SEALER: Final = Sealer(SecretFile(secrets=(StoredSecret(number=1, created_at=0, secret=b"s" * 32),)), epoch=1)
_POINTER: Final = Pointer(grant_id=9, generation=3, secret_number=1)
_HINT: Final = msgspec.json.encode({"iss": ISSUER, "sub": "u.ada", "aud": "web", "sid": "abc"})
_CLAIMS: Final = msgspec.json.encode(
    {
        **{"iss": ISSUER, "sub": "u.ada", "aud": "https://music.example", "exp": NOW + 60, "iat": NOW, "jti": "abc"},
        **{"client_id": "web", "scope": "openid", "status": {"status_list": {"idx": 7, "uri": f"{ISSUER}/1-0"}}},
    }
)
_LIST: Final = status_list.make(b"\x05" * 40, uri=f"{ISSUER}/oauth/status/1-0", lifetime_in=60, now=NOW)
_EC: Final = (
    b'{"kty":"EC","crv":"P-256","alg":"ES256","kid":"a","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"'
    b',"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}'
)
_OKP: Final = b'{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'


def _read_jws(data: bytes) -> None:
    text = data.decode("latin-1")
    signed = jws.take_apart(text)
    assert f"{signed.signing_input.decode()}.{_base64(signed.signature)}" == text, "one token in two spellings"
    assert text.split(".")[1] == _base64(signed.payload), "one token in two spellings"


def _read_jws_header(data: bytes) -> None:
    header = jws.take_apart(f"{_base64(data)}.e30.").header
    assert isinstance(header.kid, str)
    assert isinstance(header.typ, str)


def _read_hint(data: bytes) -> None:
    """An id_token_hint that is signed by this issuer, so that its claims are read, and one that is not."""
    key = _key()
    payload = _keyring().open(key.sign(data, typ=id_token.TYPE), typ=id_token.TYPE, now=NOW)
    assert payload == data
    with suppress(InvalidToken):
        _keyring().open(data.decode("latin-1"), typ=id_token.TYPE, now=NOW)
        raise AssertionError("a signature that nobody made")
    assert id_token.read_hint(payload, issuer=ISSUER).iss == ISSUER


def _read_claims(data: bytes) -> None:
    token = claims.read(data)
    claims.check(token, issuer=ISSUER, now=NOW)
    uri, idx = token.status.status_list.uri, token.status.status_list.idx
    position = status_list.position_of(uri.rpartition("/")[2], idx, epoch=1)
    assert position is None or status_list.index(position) == idx
    assert claims.read(msgspec.json.encode(token)) == token


def _read_sealed(data: bytes) -> None:
    """No bytes but those that were sealed mean anything."""
    text = data.decode("utf-8", "replace")
    assert _SEALER.read_refresh_token(text) in (None, _POINTER)
    assert _SEALER.read_refresh_token(text) is None or text == _SEALER.refresh_token(_POINTER)
    assert _SEALER.read_code(text) in (None, _POINTER)
    assert _SEALER.read_code(text) is None or text == _SEALER.code(_POINTER)
    assert _SEALER.open(text) in (None, b"{}")
    assert not _SEALER.is_csrf("a browser", text) or text == _SEALER.csrf("a browser")


def _read_jwks(data: bytes) -> None:
    for kid, key in jwks.read(data).items():
        assert kid == key.kid
        assert key.algorithm in jws.ALGORITHMS
        assert not key.verify(jws.take_apart(f"{_base64(_header(key.algorithm))}.e30.{_base64(b'0' * 64)}"))


def _read_cache_control(data: bytes) -> None:
    """Cache-Control, a line break, Age."""
    cache_control, _, age = data.decode("latin-1").partition("\n")
    assert jwks.SHORTEST_IN <= jwks.lifetime_in(cache_control, age=age) <= jwks.LONGEST_IN


def _read_status_token(data: bytes) -> None:
    signed = lists.take_apart(data)
    assert signed.header.typ == status_list.TYPE


def _read_status_claims(data: bytes) -> None:
    token = status_list.read(data)
    statuses = status_list.decode(token.status_list.lst)
    assert len(statuses) <= status_list.MAX_LENGTH
    assert status_list.decode(status_list.encode(statuses)) == statuses
    for idx in (-1, 0, 1, len(statuses) * 8 // token.status_list.bits, status_list.LIST_SIZE):
        status_list.status_of(statuses, idx, bits=token.status_list.bits)


def _read_list_name(data: bytes) -> None:
    name = data.decode("utf-8", "replace")
    position = status_list.position_of(name, 0, epoch=1)
    assert position is None or status_list.list_name(position, epoch=1) == name


def _read_upstream(data: bytes) -> None:
    """What another authorization server answers."""
    found = proofs.read_object(data)
    assert isinstance(found, dict)


def _read_events(data: bytes) -> None:
    """A stream of news in two pieces."""
    half = len(data) // 2

    async def chunks() -> AsyncIterator[bytes]:
        yield data[:half]
        yield data[half:]

    async def listen() -> None:
        async for uri in events.read(chunks()):
            assert isinstance(uri, str)

    with suppress(StopIteration):
        listen().send(None)


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _header(algorithm: str) -> bytes:
    return msgspec.json.encode({"alg": algorithm})


@lru_cache(maxsize=1)
def _key() -> SigningKey:
    return jws.generate("ES256")


@lru_cache(maxsize=1)
def _keyring() -> Keyring:
    """A keyring with that one key; its folder is gone once it is read."""
    with tempfile.TemporaryDirectory() as path:
        folder = KeyFolder(Path(path) / "keys")
        folder.write_key(_key(), created_at=0, signs_at=0)
        return Keyring(folder, max_token_lifetime=86_400)


TOKENS: Final = {
    "jws": Target(
        read=_read_jws,
        refusals=(InvalidToken,),
        seeds=(
            b"eyJhbGciOiJFUzI1NiIsImtpZCI6ImEiLCJ0eXAiOiJhdCtqd3QifQ.e30.AAAA",
            b"e30..",
            b"eyJhbGciOiJub25lIn0.e30.",
            b"a.b.c.d.e",
        ),
    ),
    "jws-header": Target(
        read=_read_jws_header,
        refusals=(InvalidToken,),
        seeds=(
            b'{"alg":"ES256","kid":"a","typ":"at+jwt"}',
            b'{"alg":"ES256","alg":"none"}',
            b'{"alg":"ES256","crit":["b64"],"b64":false}',
            b'{"alg":NaN}',
            b"[" * 4_000,
            b'{"alg":"\\ud800","kid":' + b"9" * 5_000 + b"}",
        ),
    ),
    "id-token-hint": Target(
        read=_read_hint,
        refusals=(InvalidToken,),
        seeds=(_HINT, b'{"iss":"https://issuer.example","sub":"a","aud":["a"]}', b"[" * 4_000, b'{"iss":"\xff"}'),
    ),
    "claims": Target(
        read=_read_claims,
        refusals=(InvalidToken,),
        seeds=(_CLAIMS, _CLAIMS.replace(b'"https://music.example"', b'["a","b"]'), b'{"iss":1e999}'),
    ),
    "sealed": Target(
        read=_read_sealed,
        seeds=(
            _SEALER.refresh_token(_POINTER).encode(),
            _SEALER.code(_POINTER).encode(),
            _SEALER.seal(b"{}", now=NOW).encode(),
            _SEALER.csrf("a browser").encode(),
            b"rt_" + b"A" * 48,
        ),
    ),
    "jwks": Target(
        read=_read_jwks,
        refusals=(ValueError,),
        seeds=(
            b'{"keys":[' + _EC + b"," + _OKP + b"]}",
            b'{"keys":[{"kty":"RSA","alg":"RS256","kid":"c","n":"AQAB","e":"AQAB"},null,[],{"kid":1}]}',
            b'{"keys":' + b"[" * 4_000,
        ),
    ),
    "cache-control": Target(
        read=_read_cache_control, seeds=(b"public, max-age=300\n10", b'no-cache, max-age="9\n-1', b"max-age=\xb2\n\xb2")
    ),
    "status-token": Target(
        read=_read_status_token,
        refusals=(InvalidToken,),
        seeds=(
            b"eyJhbGciOiJFUzI1NiIsImtpZCI6ImEiLCJ0eXAiOiJzdGF0dXNsaXN0K2p3dCJ9.e30.AAAA",
            b"..",
            b"\xff.\xff.\xff",
        ),
    ),
    "status-claims": Target(
        read=_read_status_claims,
        refusals=(InvalidToken,),
        seeds=(
            msgspec.json.encode(_LIST),
            msgspec.json.encode(_LIST).replace(b'"bits":1', b'"bits":8'),
            b'{"status_list":{"bits":1,"lst":"eNpjAAAAAQAB"}}',
        ),
    ),
    "list-name": Target(read=_read_list_name, seeds=(b"1-0", b"01-0", b"1-" + b"9" * 19, b"1-\xd9\xa1", b"1-1\n")),
    "upstream": Target(
        read=_read_upstream,
        refusals=(ValueError,),
        seeds=(b'{"active":true,"exp":1}', b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":' * 4_000, b"\xff"),
    ),
    "events": Target(
        read=_read_events,
        refusals=(ValueError,),
        seeds=(
            b': listening\n\nevent: changed\ndata: {"uri":"https://issuer.example/oauth/status/1-0"}\n\n',
            b'event:changed\r\ndata:{\r\ndata:"uri":1}\r\n\r\n',
            b"event: changed\ndata: \xff\n\n",
        ),
    ),
}
