"""Hearing at once that a list changed: server-sent events (WHATWG HTML section 9.2)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.verifier import InvalidToken, Verifier, events
from tests.verifier.issuing import EVENTS, Answer, Issuing, eventually
from tests.verifier.test_key_cache import refuses
from tests.verifier.test_status import settle, warm, within

CHANGED = b'event: changed\ndata: {"uri":"u"}\n\n'


def listening(issuing: Issuing, **options: object) -> Verifier:
    """A warm verifier whose stream is open, and which has asked again since."""
    issuing.has_events = True
    verifier = warm(issuing, push=True, **options)
    assert eventually(lambda: issuing.streams == 1 and issuing.polls == 2)
    settle(verifier)
    return verifier


class TestAnnouncedRevocation:
    def test_is_seen_within_a_second(self, live: Issuing) -> None:
        live.ttl = 600
        verifier, token = listening(live), live.old_token(4)
        assert not refuses(verifier, token)
        live.revoke(4)
        assert within(1, lambda: refuses(verifier, token))

    def test_is_seen_whatever_comes_before_it(self, live: Issuing) -> None:
        live.ttl = 600
        verifier = listening(live)
        for noise in (b": hello\n\n", b"data: x\n\n", b'event: changed\ndata: {"uri":5}\n\n', b"event: changed\n\n"):
            live.tell(noise)
        live.revoke(4)
        assert within(1, lambda: refuses(verifier, live.old_token(4)))

    def test_of_a_list_that_nobody_named_makes_nobody_ask(self, live: Issuing) -> None:
        live.ttl = 600
        verifier = listening(live)
        live.tell(f'event: changed\ndata: {{"uri":"{live.issuer}/oauth/status/1-7"}}\n\n'.encode())
        live.revoke(4)
        assert within(1, lambda: refuses(verifier, live.old_token(4)))
        assert "/oauth/status/1-7" not in live.requests

    def test_makes_us_ask_twice_a_second_at_most(self, live: Issuing) -> None:
        live.ttl = 600
        verifier, before = listening(live), live.polls
        for idx in range(100, 400):
            live.revoke(idx)
        assert within(2, lambda: refuses(verifier, live.old_token(399)))
        assert live.polls <= before + 3


class TestStream:
    def test_that_breaks_is_opened_again_and_nothing_is_missed(
        self, live: Issuing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "RETRY_IN", 0.2)
        live.ttl = 600
        verifier = listening(live)
        live.has_events = False
        live.hang_up()
        assert eventually(lambda: live.streams == 0)
        live.revoke(4)  # nobody hears it
        assert not refuses(verifier, live.old_token(4))
        live.has_events = True
        assert eventually(lambda: refuses(verifier, live.old_token(4)))

    def test_that_is_broken_leaves_polling(self, live: Issuing) -> None:
        live.ttl = 1
        verifier = warm(live, push=True)
        assert eventually(lambda: EVENTS in live.requests)
        live.revoke(4)
        assert within(live.ttl + 1, lambda: refuses(verifier, live.old_token(4)))

    def test_that_is_silent_is_given_up(self, live: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "SILENCE_IN", 0.05)  # the heartbeat comes every 0.2 s
        monkeypatch.setattr(events, "RETRY_IN", 0.1)
        live.has_events = True
        warm(live, push=True)
        assert eventually(lambda: live.requests.count(EVENTS) > 1)

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(404),
            Answer(302, headers={"Location": "/elsewhere"}),
            Answer(200, b"<html>", {"Content-Type": "text/html"}),
            Answer(200, b"data: " + b"x" * 10_000, {"Content-Type": "text/event-stream"}),
        ],
    )
    def test_that_is_none_is_asked_for_again_later(
        self, live: Issuing, monkeypatch: pytest.MonkeyPatch, answer: Answer
    ) -> None:
        monkeypatch.setattr(events, "RETRY_IN", 0.1)
        live.answers[EVENTS] = answer
        verifier = warm(live, push=True)
        assert eventually(lambda: live.requests.count(EVENTS) > 1)
        assert "/elsewhere" not in live.requests
        assert verifier.verify(live.old_token()).jti == "t-1"

    def test_is_not_opened_unless_told(self, live: Issuing) -> None:
        live.has_events, live.ttl = True, 1
        warm(live)
        assert eventually(lambda: live.polls == 2)
        assert EVENTS not in live.requests

    def test_ends_with_the_verifier(self, live: Issuing) -> None:
        listening(live).close()
        assert eventually(lambda: live.streams == 0)

    def test_lets_nobody_claim_a_revocation(self, live: Issuing) -> None:
        """An event only says that there is something to fetch; what counts is signed."""
        verifier = listening(live)
        live.tell(f'event: changed\ndata: {{"uri":"{live.issuer}/oauth/status/1-0","idx":4}}\n\n'.encode())
        assert eventually(lambda: live.polls == 3)
        settle(verifier)
        try:
            assert verifier.verify(live.old_token(4)).jti == "t-1"
        except InvalidToken:
            pytest.fail("nobody revoked it")


def read(*chunks: bytes) -> list[str]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> list[str]:
        return [uri async for uri in events.read(stream())]

    return asyncio.run(collect())


class TestReading:
    @pytest.mark.parametrize(
        "text",
        [
            CHANGED,
            CHANGED.replace(b"\n", b"\r\n"),
            CHANGED.replace(b": ", b":"),
            b": heartbeat\n\n" + CHANGED,
            b"id: 7\nretry: 10\n" + CHANGED,
            b'data: {\ndata: "uri":"u"}\nevent: changed\n\n',
        ],
    )
    def test_finds_the_event_in_every_spelling(self, text: bytes) -> None:
        assert read(text) == ["u"]

    @given(st.integers(1, 40))
    def test_finds_it_however_it_is_cut(self, size: int) -> None:
        text = CHANGED * 3
        assert read(*(text[at : at + size] for at in range(0, len(text), size))) == ["u"] * 3

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b'event: changed\ndata: {"uri":"u"}\n',
            b'event: other\ndata: {"uri":"u"}\n\n',
            b'data: {"uri":"u"}\n\n',
            b'event: changed\n\ndata: {"uri":"u"}\n\n',
            b"event: changed\ndata: [1\n\n",
        ],
    )
    def test_finds_nothing_else(self, text: bytes) -> None:
        assert read(text) == []

    @pytest.mark.parametrize("text", [b"x" * 20_000, b"data: xxxxxxxxxxxxxxxx\n" * 1000])
    def test_reads_nothing_without_end(self, text: bytes) -> None:
        with pytest.raises(ValueError, match="longer than"):
            read(text)

    @given(st.lists(st.binary(max_size=50)))
    def test_survives_any_bytes(self, chunks: list[bytes]) -> None:
        assert read(*chunks) == []
