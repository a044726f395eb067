"""What is remembered of an upstream's keys, and how often it is asked for them."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest

from jwtauth.errors import Overloaded
from jwtauth.issuer import upstreams as upstreams_of_an_issuer
from jwtauth.issuer.upstreams import AT_ONCE, KEYS_IN, LOOK_AGAIN_IN, Upstreams
from jwtauth.keyring import jws
from jwtauth.keyring.jws import SigningKey
from jwtauth.outside.http import Outside
from jwtauth.outside.upstream import ANSWER_IN
from jwtauth.protocol.proofs import Proof
from jwtauth.protocol.upstream import Upstream
from tests.outside.liar import Liar, Saying
from tests.protocol.records import NOW
from tests.protocol.test_upstream import HOST

T = TypeVar("T")
API = "https://api.example"
FIRST, SECOND = jws.generate("ES256"), jws.generate("ES256")


@pytest.fixture
def liar() -> Iterator[Liar]:
    with Liar(publishing(FIRST)) as liar:
        yield liar


@pytest.fixture
def upstream(liar: Liar) -> Upstream:
    return Upstream(
        name="Example",
        client_id="jwtauth",
        access_token_uri=f"{liar.url}/token",
        jwks_uri=f"{liar.url}/jwks",
        issuer=HOST,
        audience=API,
    )


def publishing(*keys: SigningKey, **changes: Any) -> Saying:
    return Saying(body=json.dumps({"keys": [{**key.jwk, **changes} for key in keys]}).encode())


def token(key: SigningKey = FIRST, *, typ: str = "at+jwt", **changes: Any) -> str:
    claims = {"iss": HOST, "aud": API, "username": "ada", "sub": "u-1", "exp": NOW + 9_000, "nonce": "n-1", **changes}
    return key.sign(msgspec.json.encode(claims), typ=typ)


def asking(work: Callable[[Upstreams], Awaitable[T]]) -> T:
    async def run() -> T:
        outside = Outside()
        try:
            return await work(Upstreams(outside))
        finally:
            await outside.close()

    return asyncio.run(run())


def proof(upstream: Upstream, sent: str, *, now: int = NOW) -> Proof:
    return asking(lambda upstreams: upstreams.prove(upstream, sent, now=now))


class TestKeys:
    def test_prove_what_they_signed(self, upstream: Upstream) -> None:
        assert proof(upstream, token()).username == "ada"

    def test_prove_nothing_else(self, upstream: Upstream) -> None:
        forged = token(SECOND).replace(token(SECOND).split(".")[0], token(FIRST).split(".")[0])
        for other in (token(SECOND), forged, token(typ="JWT"), token(typ="logout+jwt"), token(typ="")):
            assert not proof(upstream, other).is_live

    @pytest.mark.parametrize("changes", [{"use": "enc"}, {"kid": "another"}, {"alg": "ES384"}, {"d": "private"}])
    def test_count_only_where_they_are_for_signing_and_ours_to_use(
        self, liar: Liar, upstream: Upstream, changes: dict[str, Any]
    ) -> None:
        liar.saying = publishing(FIRST, **changes)
        assert not proof(upstream, token()).is_live

    def test_of_no_use_do_not_cost_the_others(self, liar: Liar, upstream: Upstream) -> None:
        keys = [7, {}, {"kty": "EC"}, FIRST.jwk]
        liar.saying = Saying(body=json.dumps({"keys": keys}).encode())
        assert proof(upstream, token()).is_live

    @pytest.mark.parametrize("body", [b"{}", b'{"keys": {}}', b'{"keys": null}'])
    def test_that_are_no_set_prove_nothing_either_way(self, liar: Liar, upstream: Upstream, body: bytes) -> None:
        liar.saying = Saying(body=body)
        with pytest.raises(Overloaded):
            proof(upstream, token())

    def test_are_remembered_for_a_while(self, liar: Liar, upstream: Upstream) -> None:
        async def work(upstreams: Upstreams) -> None:
            for now in (NOW, NOW + 1, NOW + KEYS_IN - 1):
                assert (await upstreams.prove(upstream, token(), now=now)).is_live
            assert len(liar.asked) == 1
            liar.saying = publishing(SECOND)
            assert not (await upstreams.prove(upstream, token(), now=NOW + KEYS_IN)).is_live
            assert len(liar.asked) == 2

        asking(work)

    def test_are_read_again_at_an_unknown_kid_but_not_for_each(self, liar: Liar, upstream: Upstream) -> None:
        """SECURITY A-11."""

        async def work(upstreams: Upstreams) -> None:
            assert (await upstreams.prove(upstream, token(), now=NOW)).is_live
            liar.saying = publishing(FIRST, SECOND)
            for now in (NOW, NOW + 1, NOW + LOOK_AGAIN_IN - 1):
                assert not (await upstreams.prove(upstream, token(SECOND), now=now)).is_live
            assert len(liar.asked) == 1
            assert (await upstreams.prove(upstream, token(SECOND), now=NOW + LOOK_AGAIN_IN)).is_live
            for _ in range(50):
                stranger = jws.generate("EdDSA")
                assert not (await upstreams.prove(upstream, token(stranger), now=NOW + LOOK_AGAIN_IN)).is_live
            assert len(liar.asked) == 2

        asking(work)

    def test_are_asked_for_once_by_many_at_once(self, liar: Liar, upstream: Upstream) -> None:
        async def work(upstreams: Upstreams) -> list[Proof]:
            return await asyncio.gather(*[upstreams.prove(upstream, token(), now=NOW) for _ in range(AT_ONCE)])

        assert all(found.is_live for found in asking(work))
        assert len(liar.asked) == 1

    def test_that_never_come_are_waited_for_once_by_all(
        self, liar: Liar, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not by one after the other."""
        monkeypatch.setattr(upstreams_of_an_issuer, "ANSWER_IN", ANSWER_IN / 5)

        async def work(upstreams: Upstreams) -> list[object]:
            proving = [upstreams.prove(upstream, token(), now=NOW) for _ in range(4)]
            return await asyncio.gather(*proving, return_exceptions=True)

        liar.hangs = True
        began = time.monotonic()
        found = asking(work)
        assert time.monotonic() - began < 1.6 * ANSWER_IN / 5
        assert all(isinstance(one, Overloaded) for one in found)

    def test_of_an_id_token_are_the_same(self, upstream: Upstream) -> None:
        async def work(upstreams: Upstreams, sent: str) -> Proof:
            return await upstreams.prove_id_token(upstream, sent, nonce="n-1", since=None, now=NOW)

        def told(sent: str) -> Proof:
            return asking(lambda upstreams: work(upstreams, sent))

        assert told(token(typ="JWT", aud="jwtauth")).username == "ada"
        for other in (token(aud="jwtauth"), token(SECOND, typ="JWT", aud="jwtauth"), "x", "a.b.c"):
            assert not told(other).is_live


class TestTurns:
    def test_are_given_back_whatever_happens(self, liar: Liar, upstream: Upstream) -> None:
        async def work(upstreams: Upstreams) -> None:
            liar.saying = Saying(status=500)
            for _ in range(AT_ONCE + 5):
                with pytest.raises(Overloaded, match="cannot be asked"):
                    await upstreams.prove(upstream, token(), now=NOW)
            liar.saying = publishing(FIRST)
            assert (await upstreams.prove(upstream, token(), now=NOW)).is_live
            assert len(liar.asked) == AT_ONCE + 6

        asking(work)
