"""A logout token posted to a client: OpenID Connect Back-Channel Logout 1.0 sections 2.5 and 2.8."""

import asyncio

import pytest

from jwtauth.outside import backchannel_logout
from jwtauth.outside.backchannel_logout import Delivered, Failed
from jwtauth.outside.http import Outside
from tests.outside.receiver import Receiver


def send(uri: str, token: str = "aaa.bbb-_.ccc") -> Delivered | Failed:
    async def run() -> Delivered | Failed:
        outside = Outside()
        try:
            return await backchannel_logout.send(outside, uri, token)
        finally:
            await outside.close()

    return asyncio.run(run())


class TestRequest:  # section 2.5
    def test_is_a_form_with_the_token(self, receiver: Receiver) -> None:
        assert send(receiver.uri) == Delivered()
        (request,) = receiver.received
        assert request.form == {"logout_token": ["aaa.bbb-_.ccc"]}
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"

    def test_keeps_the_query_that_was_registered(self, receiver: Receiver) -> None:
        send(f"{receiver.uri}?tenant=a%20b")
        assert receiver.received[0].path == "/logout?tenant=a%20b"


class TestResponse:  # section 2.8
    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_of_success_ends_it(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        assert send(receiver.uri) == Delivered()

    @pytest.mark.parametrize("status", [302, 400, 401, 404, 410, 429, 500, 501, 503])
    def test_of_any_other_kind_leaves_it_to_be_tried_again(self, receiver: Receiver, status: int) -> None:
        receiver.status = status
        assert send(receiver.uri) == Failed(f"the client answered {status}")

    def test_counts_even_where_its_body_never_comes(self, receiver: Receiver) -> None:
        receiver.headers = {"Content-Length": "10000000"}
        receiver.body = receiver.silence
        assert send(receiver.uri) == Delivered()

    def test_counts_even_where_its_body_never_ends(self, receiver: Receiver) -> None:
        receiver.body = lambda: b"x" * 100_000
        assert send(receiver.uri) == Delivered()

    def test_that_does_not_come_leaves_it_to_be_tried_again(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backchannel_logout, "ANSWER_IN", 0.2)
        receiver.hangs = True
        assert send(receiver.uri) == Failed("there was no answer within 0.2 seconds")

    def test_is_not_asked_for_over_http(self) -> None:
        outcome = send("http://client.example/logout")
        assert isinstance(outcome, Failed)
        assert "https" in outcome.reason
