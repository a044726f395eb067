"""The server's only HTTP client: what it refuses to call, and that every call ends (SECURITY A-11, K-03)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from jwtauth.outside.http import MAX_CONNECTIONS, MAX_LENGTH, Answer, NoAnswer, Outside
from tests.outside.certificates import self_signed
from tests.outside.receiver import AMPLE_IN, Receiver, until

T = TypeVar("T")

SHORT_IN = 0.3
FORM = {"a": "1 & 2"}


@asynccontextmanager
async def opened() -> AsyncIterator[Outside]:
    outside = Outside()
    try:
        yield outside
    finally:
        await outside.close()


def ask(work: Callable[[Outside], Awaitable[T]]) -> T:
    """What `work` returns, given a client."""

    async def run() -> T:
        async with opened() as outside:
            return await work(outside)

    return asyncio.run(run())


def post(uri: str, *, within: float = AMPLE_IN, longest: int = MAX_LENGTH) -> Answer:
    return ask(lambda outside: outside.post_form(uri, FORM, within=within, longest=longest))


class TestACall:
    def test_posts_a_form_under_our_name(self, receiver: Receiver) -> None:
        assert post(receiver.uri).status == 200
        (request,) = receiver.received
        assert (request.path, request.form) == ("/logout", {"a": ["1 & 2"]})
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.headers["user-agent"] == "jwtauth"

    def test_keeps_no_cookies(self, receiver: Receiver) -> None:
        receiver.headers = {"Set-Cookie": "who=ada; Path=/"}

        async def twice(outside: Outside) -> None:
            await outside.post_form(receiver.uri, FORM, within=AMPLE_IN)
            await outside.post_form(receiver.uri, FORM, within=AMPLE_IN)

        ask(twice)
        assert len(receiver.received) == 2
        assert not [request for request in receiver.received if "cookie" in request.headers]

    @pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
    def test_asks_no_proxy(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.delenv("NO_PROXY", raising=False)
        with Receiver() as proxy:
            monkeypatch.setenv(name, proxy.origin)
            assert post(receiver.uri).status == 200
            assert not proxy.received

    def test_sends_no_password_of_a_netrc_file(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login ada password x\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        post(receiver.uri)
        assert "authorization" not in receiver.received[0].headers

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_follows_no_redirect(self, receiver: Receiver, status: int) -> None:
        with Receiver() as elsewhere:
            receiver.status, receiver.headers = status, {"Location": elsewhere.uri}
            assert post(receiver.uri).status == status
            assert not elsewhere.received

    def test_goes_to_ipv6_loopback_too(self) -> None:
        with Receiver("::1") as receiver:
            assert post(receiver.uri).status == 200


class TestAUri:
    @pytest.mark.parametrize(
        "uri",
        [
            "http://client.example/logout",
            "http://localhost/logout",
            "http://127.0.0.1.client.example/logout",
            "http://127.1/logout",
            "http://2130706433/logout",
            "http://0.0.0.0/logout",
            "http://10.0.0.1/logout",
            "http://[::]/logout",
            "HTTP://client.example/logout",
        ],
    )
    def test_of_http_must_be_a_literal_loopback_address(self, uri: str) -> None:
        with pytest.raises(NoAnswer, match="http"):
            post(uri)

    def test_with_a_user_or_password_is_not_called(self, receiver: Receiver) -> None:
        for userinfo in ("ada@", "ada:secret@", ":secret@"):
            with pytest.raises(NoAnswer, match="user or password") as refusal:
                post(receiver.uri.replace("://", f"://{userinfo}"))
            assert "secret" not in str(refusal.value)
        assert not receiver.received

    @pytest.mark.parametrize(
        "uri",
        ["", "logout", "/logout", "//127.0.0.1/logout", "ftp://127.0.0.1/", "file:///etc/passwd", "https:///logout"],
    )
    def test_of_another_kind_is_not_called(self, uri: str) -> None:
        with pytest.raises(NoAnswer, match="not an https URI"):
            post(uri)

    @pytest.mark.parametrize(
        "uri",
        ["https://[::1/", "https://a\nb.example/", "https://a.example:99999/", "https://" + "a" * 70 + ".example/"],
    )
    def test_that_cannot_be_read_is_no_answer(self, uri: str) -> None:
        with pytest.raises(NoAnswer):
            post(uri)


class TestACertificate:
    def test_that_nobody_vouches_for_is_not_believed(self, tmp_path: Path) -> None:
        with Receiver(certificate=self_signed(tmp_path / "client.pem", "127.0.0.1")) as receiver:
            with pytest.raises(NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
                post(receiver.uri)
            assert not receiver.received

    def test_is_believed_where_the_operator_vouches_for_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certificate = self_signed(tmp_path / "client.pem", "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Receiver(certificate=certificate) as receiver:
            assert post(receiver.uri).status == 200

    def test_of_somebody_else_is_not_believed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        certificate = self_signed(tmp_path / "client.pem", "127.0.0.2")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Receiver(certificate=certificate) as receiver:
            with pytest.raises(NoAnswer, match="CERTIFICATE_VERIFY_FAILED"):
                post(receiver.uri)
            assert not receiver.received

    def test_cannot_be_judged_where_the_authorities_cannot_be_read(
        self, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
        with pytest.raises(NoAnswer, match="no certificate authorities can be read"):
            post(receiver.uri)
        assert not receiver.received


class TestTime:
    def test_is_bounded_where_nobody_answers(self, receiver: Receiver) -> None:
        receiver.hangs = True
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=r"within 0\.3 seconds"):
            post(receiver.uri, within=SHORT_IN)
        assert time.monotonic() - began < AMPLE_IN / 2
        assert receiver.received

    def test_is_bounded_where_a_body_never_ends(self, receiver: Receiver) -> None:
        receiver.body = receiver.drip
        with pytest.raises(NoAnswer, match="within"):
            post(receiver.uri, within=SHORT_IN)

    def test_of_a_body_does_not_count_where_only_the_status_does(self, receiver: Receiver) -> None:
        receiver.headers = {"Content-Length": "10000000"}
        receiver.body = receiver.silence
        assert post(receiver.uri, within=1, longest=0) == Answer(status=200)

    def test_is_not_needed_where_connections_are_refused(self, receiver: Receiver) -> None:
        receiver.stop()
        with pytest.raises(NoAnswer):
            post(receiver.uri)
        receiver.restart()


class TestLength:
    def test_of_a_body_is_bounded(self, receiver: Receiver) -> None:
        receiver.body = lambda: b"x" * 100_000
        assert len(post(receiver.uri).body) == MAX_LENGTH

    def test_of_headers_is_bounded(self, receiver: Receiver) -> None:
        receiver.headers = {"X-Long": "x" * 1_000_000}
        with pytest.raises(NoAnswer):
            post(receiver.uri)

    def test_does_not_swell_when_a_body_comes_compressed(self, receiver: Receiver) -> None:
        receiver.headers = {"Content-Encoding": "gzip"}
        receiver.body = lambda: b"\x1f\x8b" * 1_000
        assert post(receiver.uri, longest=2_000).body == b"\x1f\x8b" * 1_000


class TestConnections:
    def test_are_bounded(self, receiver: Receiver) -> None:
        receiver.hangs = True

        async def many(outside: Outside) -> list[Answer]:
            calls = [outside.post_form(receiver.uri, FORM, within=AMPLE_IN) for _ in range(MAX_CONNECTIONS + 20)]
            waiting = asyncio.gather(*calls)
            await until(lambda: receiver.at_once >= MAX_CONNECTIONS)
            receiver.released.set()
            return await waiting

        assert [answer.status for answer in ask(many)] == [200] * (MAX_CONNECTIONS + 20)
        assert receiver.most_at_once == MAX_CONNECTIONS

    def test_are_let_go_when_a_call_is_broken_off(self, receiver: Receiver) -> None:
        """A client that hangs must not use up what the others need."""

        async def after_those_that_hang(outside: Outside) -> Answer:
            receiver.hangs = True
            calls = [outside.post_form(receiver.uri, FORM, within=SHORT_IN) for _ in range(2 * MAX_CONNECTIONS)]
            await asyncio.gather(*calls, return_exceptions=True)
            receiver.hangs = False
            return await outside.post_form(receiver.uri, FORM, within=AMPLE_IN)

        assert ask(after_those_that_hang).status == 200
