"""Questions to a running service: each ends in time, at a length, and where it was sent."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from jwtauth.outside.http import NoAnswer
from jwtauth.outside.probe import NotTrusted, Prober, Reply
from tests.outside.certificates import self_signed
from tests.outside.liar import Liar, Saying
from tests.outside.receiver import AMPLE_IN, Receiver


@pytest.fixture
def liar() -> Iterator[Liar]:
    with Liar() as liar:
        yield liar


def ask(uri: str, method: str = "GET", *, within: float = AMPLE_IN, longest: int = 100) -> Reply:
    async def run() -> Reply:
        async with Prober(agent="jwtauth-test") as prober:
            return await prober.ask(method, uri, form={"a": "b"}, within=within, longest=longest)

    return asyncio.run(run())


class TestAQuestion:
    def test_tells_status_headers_and_body_whatever_they_are(self, liar: Liar) -> None:
        liar.saying = Saying(status=418, body=b"short and stout", headers={"X-Tea": "black"})
        reply = ask(liar.url)
        assert (reply.status, reply.body, reply.headers["x-tea"]) == (418, b"short and stout", "black")
        assert reply.certificate_ends_at is None

    def test_is_not_redirected(self, liar: Liar) -> None:
        liar.saying = Saying(status=307, headers={"Location": f"{liar.url}/elsewhere"})
        assert ask(liar.url).status == 307
        assert [asked.path for asked in liar.asked] == ["/"]

    def test_reads_no_more_than_it_wants_of_an_endless_body(self, receiver: Receiver) -> None:
        receiver.body = lambda: b"x" * 1000
        assert ask(receiver.uri, "POST").body == b"x" * 100

    def test_ends_in_time_where_nothing_comes(self, liar: Liar) -> None:
        liar.hangs = True
        with pytest.raises(NoAnswer, match=r"there was no answer within 0\.2 seconds"):
            ask(liar.url, within=0.2)

    def test_ends_in_time_where_a_byte_comes_now_and_then(self, receiver: Receiver) -> None:
        receiver.body = receiver.drip
        with pytest.raises(NoAnswer, match="within"):
            ask(receiver.uri, "POST", within=0.3, longest=1_000_000)

    def test_asks_no_proxy(self, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert ask(liar.url).status == 200

    @pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nothing", "https://[", "ftp://127.0.0.1"])
    def test_of_nobody_is_not_answered(self, uri: str) -> None:
        with pytest.raises(NoAnswer):
            ask(uri)

    def test_says_when_the_certificate_ends_and_whether_it_is_trusted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certificate = self_signed(tmp_path / "certificate.pem", "127.0.0.1")
        with Receiver(certificate=certificate) as receiver:
            with pytest.raises(NotTrusted, match="self-signed certificate"):
                ask(receiver.uri, "POST")
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            reply = ask(receiver.uri, "POST")
        assert reply.certificate_ends_at is not None
        assert 0 < reply.certificate_ends_at - reply.received_at <= 3600
