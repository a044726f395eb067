"""A revocation reaches offline verifiers (Token Status List, draft-ietf-oauth-status-list-21 sections 8.3, 13.7)."""

import asyncio
import gc
import gzip
import random
import threading
import time
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from jwtauth.keyring import jws
from jwtauth.protocol.status_list import MAX_LENGTH
from jwtauth.verifier import InvalidToken, StatusUnavailable, Unavailable, Verifier, flight, status_cache
from jwtauth.verifier.fetch import MAX_LENGTH as MAX_DOCUMENT
from jwtauth.verifier.lists import HeldList, NoList
from jwtauth.verifier.status_cache import StatusCache
from tests.verifier.issuing import JWKS, LIST, METADATA, Answer, Clock, Issuing, eventually
from tests.verifier.test_key_cache import refuses, together

OTHER = "/oauth/status/1-1"


def warm(issuing: Issuing, **options: Any) -> Verifier:
    """A verifier that has the keys and the first list."""
    verifier = issuing.verifier(**options)
    assert verifier.verify(issuing.old_token(idx=9)).jti == "t-1"
    return verifier


def poll(issuing: Issuing, verifier: Verifier) -> None:
    """Let the list be due, and wait until it was asked for again."""
    before = len(issuing.statuses)
    issuing.monotonic.move(issuing.ttl)
    verifier.verify(issuing.old_token(idx=9))
    assert eventually(lambda: {LIST, JWKS} <= {path for path, _ in issuing.statuses[before:]})
    settle(verifier)


def settle(verifier: Verifier) -> None:
    """Wait until what was fetched has been judged."""
    assert eventually(lambda: not is_fetching(verifier))


def is_fetching(verifier: Verifier) -> bool:
    return any(entry.flight is not None for entry in verifier._lists._entries.values())


def is_unavailable(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except StatusUnavailable:
        return True
    return False


def pollers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jwtauth-status"]


class TestStatus:
    def test_that_is_valid_lets_a_token_pass(self, issuing: Issuing) -> None:
        assert issuing.verifier().verify(issuing.old_token()).jti == "t-1"

    def test_that_is_not_refuses_it(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        with pytest.raises(InvalidToken, match="revoked"):
            issuing.verifier().verify(issuing.old_token(4))

    def test_of_another_token_is_not_asked(self, issuing: Issuing) -> None:
        for idx in (0, 3, 5, 12, 4 + 8 * 1000):
            issuing.revoke(idx)
        assert issuing.verifier().verify(issuing.old_token(4)).jti == "t-1"

    @pytest.mark.parametrize(("idx", "is_there"), [(15, True), (16, False), (1 << 20, False), (1 << 70, False)])
    def test_beyond_the_end_of_the_list_refuses_it(self, issuing: Issuing, idx: int, is_there: bool) -> None:
        issuing.lists[LIST] = bytearray(2)
        assert refuses(issuing.verifier(), issuing.old_token(idx)) is not is_there

    def test_beyond_the_end_of_a_list_that_shrank_refuses_it(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        assert verifier.verify(issuing.old_token(1 << 19)).jti == "t-1"
        issuing.lists[LIST] = bytearray(2)
        poll(issuing, verifier)
        with pytest.raises(InvalidToken, match="beyond"):
            verifier.verify(issuing.old_token(1 << 19))

    @pytest.mark.parametrize(("bits", "octet"), [(2, 0b10_00_00_00), (4, 0b0011_0000), (8, 0b0000_0010)])
    def test_may_take_several_bits_and_any_but_0_refuses(self, issuing: Issuing, bits: int, octet: int) -> None:
        lst = urlsafe_b64encode(zlib.compress(bytes([octet]) * 4)).rstrip(b"=").decode()
        issuing.list_claims = {"status_list": {"bits": bits, "lst": lst}}
        verifier, last = issuing.verifier(), 8 // bits - 1
        assert refuses(verifier, issuing.old_token(last))
        assert refuses(verifier, issuing.old_token(0)) is (bits == 8)

    def test_is_asked_after_the_signature(self, issuing: Issuing) -> None:
        """What an attacker wrote makes nobody fetch a list."""
        verifier = issuing.verifier()
        forged = issuing.old_token()[:-8] + "AAAAAAAA"
        with pytest.raises(InvalidToken):
            verifier.verify(forged)
        assert issuing.polls == 0

    def test_is_not_asked_where_that_is_switched_off(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        verifier = issuing.verifier(status=False)
        assert verifier.verify(issuing.old_token(4)).jti == "t-1"
        assert issuing.polls == 0
        assert verifier.lag() == float("inf")
        assert not pollers()


class TestFirstToken:
    """Of a list that is not known yet."""

    def test_waits_for_the_list_once_for_any_number_of_threads(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        verifier, token = issuing.verifier(), issuing.old_token(4)
        assert set(together(lambda: verifier.verify(token))) == {InvalidToken}
        assert (issuing.polls, issuing.fetches) == (1, 1)

    def test_waits_for_the_list_once_for_any_number_of_coroutines(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(), issuing.old_token()

        async def many() -> list[object]:
            return await asyncio.gather(*(verifier.averify(token) for _ in range(200)))

        assert len(asyncio.run(many())) == 200
        assert (issuing.polls, issuing.fetches) == (1, 1)

    def test_leaves_the_event_loop_free_meanwhile(self, issuing: Issuing) -> None:
        verifier = issuing.verifier()
        verifier.verify(issuing.token())
        issuing.lists[OTHER] = bytearray(MAX_LENGTH)
        issuing.gate.clear()

        async def story() -> int:
            verifying = asyncio.create_task(verifier.averify(issuing.old_token(uri=issuing.issuer + OTHER)))
            turns = 0
            while OTHER not in issuing.requests:
                await asyncio.sleep(0.001)
                turns += 1
            issuing.gate.set()
            assert (await verifying).jti == "t-1"
            return turns

        assert asyncio.run(story()) > 0

    def test_passes_at_once_if_it_is_young(self, issuing: Issuing) -> None:
        """Younger than `ttl`: no revocation of it could have been seen yet anyway."""
        verifier = issuing.verifier()
        verifier.verify(issuing.token())
        issuing.lists[OTHER] = bytearray(MAX_LENGTH)
        issuing.revoke(4, OTHER)
        issuing.gate.clear()
        token = issuing.old_token(4, issuing.issuer + OTHER, iat=issuing.born_at - 14)
        assert verifier.verify(token).jti == "t-1"  # although no answer has come
        issuing.gate.set()
        assert eventually(lambda: refuses(verifier, token))

    def test_waits_if_it_is_not_young_any_more(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        assert refuses(issuing.verifier(), issuing.old_token(4, iat=issuing.born_at - 15))

    def test_is_refused_where_the_issuer_has_no_such_list(self, issuing: Issuing) -> None:
        """Restored from a backup: lists of the time that the issuer has forgotten answer 404."""
        verifier = issuing.verifier()
        forgotten = issuing.issuer + "/oauth/status/0-7"
        with pytest.raises(InvalidToken, match="no longer published"):
            verifier.verify(issuing.old_token(uri=forgotten))
        assert refuses(verifier, issuing.old_token(uri=forgotten, iat=issuing.born_at))
        assert issuing.requests.count("/oauth/status/0-7") == 1

    def test_is_neither_good_nor_bad_while_the_list_cannot_be_had(self, issuing: Issuing) -> None:
        issuing.answers[LIST] = Answer(500)
        verifier, token = issuing.verifier(), issuing.old_token()
        for _ in range(20):
            with pytest.raises(StatusUnavailable, match="answered 500") as refusal:
                verifier.verify(token)
        assert not isinstance(refusal.value, InvalidToken)
        assert refusal.value.retry_after_in > 0
        assert issuing.polls == 1
        issuing.answers.clear()
        issuing.monotonic.move(5)
        assert verifier.verify(token).jti == "t-1"

    def test_does_not_wait_for_ever(self, issuing: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
        verifier = issuing.verifier()
        verifier.verify(issuing.token())
        issuing.lists[OTHER] = bytearray(MAX_LENGTH)
        monkeypatch.setattr(flight, "FLIGHT_IN", 0.2)
        issuing.gate.clear()
        started_at = time.monotonic()
        with pytest.raises(StatusUnavailable):
            verifier.verify(issuing.old_token(uri=issuing.issuer + OTHER))
        assert time.monotonic() - started_at < 3
        issuing.gate.set()


class TestWarmVerifier:
    def test_makes_no_request_however_many_tokens_it_sees(self, issuing: Issuing) -> None:
        issuing.lists[OTHER] = bytearray(MAX_LENGTH)
        verifier = warm(issuing)
        tokens = [issuing.old_token(idx, issuing.issuer + path) for idx in range(50) for path in (LIST, OTHER)]
        verifier.verify(tokens[1])
        issuing.revoke(7)
        before = len(issuing.requests)
        issuing.monotonic.move(issuing.ttl - 1)
        for token in tokens * 5:
            verifier.verify(token)
        assert len(issuing.requests) == before

    def test_asks_for_its_lists_every_ttl_and_for_the_keys_with_them(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        for number in range(2, 5):
            poll(issuing, verifier)
            assert (issuing.polls, issuing.fetches) == (number, number)

    def test_asks_for_no_list_that_no_token_named(self, issuing: Issuing) -> None:
        issuing.lists[OTHER] = bytearray(MAX_LENGTH)
        poll(issuing, warm(issuing))
        assert OTHER not in issuing.requests

    def test_never_waits_for_a_poll(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        issuing.gate.clear()
        issuing.monotonic.move(issuing.ttl + 1)
        assert set(together(lambda: verifier.verify(issuing.old_token()).jti)) == {"t-1"}  # no answer has come
        issuing.gate.set()
        assert eventually(lambda: issuing.polls == 2)
        settle(verifier)
        assert issuing.polls == 2

    def test_is_told_in_one_line_that_nothing_changed(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        poll(issuing, verifier)
        assert [status for path, status in issuing.statuses if path == LIST] == [200, 304]
        issuing.revoke(4)
        poll(issuing, verifier)
        assert [status for path, status in issuing.statuses if path == LIST] == [200, 304, 200]
        assert refuses(verifier, issuing.old_token(4))

    def test_takes_no_304_for_a_list_that_is_over(self, issuing: Issuing) -> None:
        issuing.list_claims = {"exp": issuing.born_at + 100}
        verifier = warm(issuing, leeway_in=0, stale_for=30)
        issuing.clock.move(100)
        issuing.monotonic.move(100)
        assert is_unavailable(verifier, issuing.old_token())
        assert {status for path, status in issuing.statuses if path == LIST} == {200}

    def test_asks_anew_where_the_key_of_the_list_was_withdrawn(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        etag = issuing.answer(LIST).headers["ETag"]
        issuing.key = jws.generate("ES256")
        issuing.published = [issuing.key.jwk]
        issuing.answers[LIST] = Answer(304, headers={"ETag": etag})
        issuing.monotonic.move(issuing.ttl)
        verifier._lists.find(f"{issuing.issuer}{LIST}", is_young=False)
        assert eventually(lambda: issuing.fetches == 2)
        settle(verifier)
        issuing.answers.clear()
        poll(issuing, verifier)
        assert [status for path, status in issuing.statuses if path == LIST] == [200, 304, 200]

    def test_sees_an_emergency_rotation_with_the_next_poll(self, issuing: Issuing) -> None:
        verifier, stolen = warm(issuing), issuing.old_token()
        issuing.key = jws.generate("ES256")
        issuing.published = [issuing.key.jwk]
        issuing.monotonic.move(issuing.ttl)
        verifier.verify(stolen)
        assert eventually(lambda: refuses(verifier, stolen))

    def test_polls_sooner_than_ttl_if_the_list_ends_sooner(self, issuing: Issuing) -> None:
        issuing.list_claims = {"exp": issuing.born_at + 6}
        verifier = warm(issuing, leeway_in=0)
        issuing.list_claims = {}
        issuing.monotonic.move(6)
        verifier.verify(issuing.old_token())
        assert eventually(lambda: issuing.polls == 2)


class TestRevocation:
    """By the clock on the wall."""

    def test_is_seen_within_ttl(self, live: Issuing) -> None:
        live.ttl = 1
        verifier, token = warm(live), live.old_token(4)
        assert not refuses(verifier, token)
        live.revoke(4)
        assert within(live.ttl + 1, lambda: refuses(verifier, token))

    def test_is_seen_within_ttl_though_no_token_came_meanwhile(self, live: Issuing) -> None:
        live.ttl = 1
        verifier, token = warm(live), live.old_token(4)
        live.revoke(4)
        polls = live.polls
        assert within(live.ttl + 1, lambda: live.polls > polls)
        settle(verifier)
        assert refuses(verifier, token)

    def test_is_undone_by_no_older_list(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        verifier = warm(issuing)
        issuing.lists[LIST] = bytearray(MAX_LENGTH)
        issuing.list_claims = {"iat": issuing.born_at - 1}
        poll(issuing, verifier)
        assert refuses(verifier, issuing.old_token(4))
        issuing.list_claims = {}
        issuing.monotonic.move(5)
        verifier.verify(issuing.old_token(9))
        assert eventually(lambda: not refuses(verifier, issuing.old_token(4)))

    def test_may_come_twice_from_workers_that_signed_it_at_different_times(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        issuing.answers[LIST] = Answer(body=issuing.list_token(iat=issuing.born_at - 600, ttl=25))
        poll(issuing, verifier)
        assert verifier.lag() == 25
        issuing.revoke(4)
        issuing.answers[LIST] = Answer(body=issuing.list_token(iat=issuing.born_at - 300))
        issuing.monotonic.move(10)
        poll(issuing, verifier)
        assert not refuses(verifier, issuing.old_token(4))  # still compared with the latest


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.01)
    return False


class TestUnreachableIssuer:
    def test_is_done_without_for_the_stated_time_and_then_nothing_passes(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing, stale_for=200), issuing.old_token()
        issuing.stop()
        issuing.monotonic.move(issuing.ttl + 199)
        assert verifier.verify(token).jti == "t-1"
        issuing.monotonic.move(1)
        assert is_unavailable(verifier, token)
        issuing.restart()
        issuing.monotonic.move(5)
        assert verifier.verify(token).jti == "t-1"

    def test_is_done_without_for_an_hour_unless_told_otherwise(self, issuing: Issuing) -> None:
        issuing.cache_control = "max-age=3600"
        verifier, token = warm(issuing), issuing.old_token()
        issuing.answers = {LIST: Answer(503), JWKS: Answer(503)}
        issuing.monotonic.move(issuing.ttl + 3599)
        assert verifier.verify(token).jti == "t-1"
        issuing.monotonic.move(1)
        assert is_unavailable(verifier, token)

    def test_is_done_without_for_ever_where_that_was_chosen(self, issuing: Issuing) -> None:
        issuing.revoke(5)
        verifier = warm(issuing, stale_for=10, when_unreachable="accept")
        issuing.stop()
        issuing.monotonic.move(100_000)
        assert verifier.verify(issuing.old_token(4)).jti == "t-1"
        assert refuses(verifier, issuing.old_token(5))  # what was known stays known
        assert verifier.verify(issuing.old_token(4, issuing.issuer + OTHER)).jti == "t-1"
        assert verifier.lag() >= 100_000
        issuing.restart()

    def test_is_asked_again_after_a_pause(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        issuing.answers[LIST] = Answer(500)
        poll(issuing, verifier)
        for number in range(3, 6):
            for _ in range(50):
                verifier.verify(issuing.old_token())
            assert issuing.polls == number - 1
            issuing.monotonic.move(5)
            verifier.verify(issuing.old_token())
            assert eventually(lambda number=number: issuing.polls == number)  # type: ignore[misc]
            settle(verifier)

    def test_that_was_killed_is_done_without_by_the_clock_on_the_wall(self, live: Issuing) -> None:
        live.ttl = 1
        verifier, token = warm(live, stale_for=1), live.old_token()
        live.stop()
        killed_at = time.monotonic()
        assert within(5, lambda: is_unavailable(verifier, token))
        assert 0.9 < time.monotonic() - killed_at < 3
        live.restart()
        assert within(8, lambda: not is_unavailable(verifier, token))

    @pytest.mark.parametrize("option", ["never", ""])
    def test_needs_a_choice_that_is_known(self, issuing: Issuing, option: str) -> None:
        with pytest.raises(ValueError, match=r"^when_unreachable: "):
            issuing.verifier(when_unreachable=option)


_FOREIGN = jws.generate("ES256")


def bomb() -> str:
    return urlsafe_b64encode(zlib.compress(bytes(1 << 26), 9)).rstrip(b"=").decode()


def lists_of(**claims: Any) -> Callable[[Issuing], Answer]:
    return lambda issuing: Answer(body=issuing.list_token(**claims))


def unsigned(issuing: Issuing) -> Answer:
    header, payload, _ = issuing.list_token().split(b".")
    return Answer(body=header + b"." + payload + b".")


def changed(issuing: Issuing) -> Answer:
    header, _, signature = issuing.list_token().split(b".")
    _, payload, _ = issuing.list_token(ttl=9).split(b".")
    return Answer(body=b".".join((header, payload, signature)))


def of_a_foreigner(issuing: Issuing) -> Answer:
    issuing.list_key = _FOREIGN
    return Answer(body=issuing.list_token())


def of_another_type(issuing: Issuing) -> Answer:
    issuing.list_type = "at+jwt"
    return Answer(body=issuing.list_token())


def said(body: bytes, **headers: str) -> Callable[[Issuing], Answer]:
    return lambda issuing: Answer(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


LIES: dict[str, Callable[[Issuing], Answer]] = {
    "signature of a foreign key": of_a_foreigner,
    "no signature": unsigned,
    "payload changed": changed,
    "an access token": of_another_type,
    "list of another URI": lambda issuing: Answer(body=issuing.list_token(sub=f"{issuing.issuer}/oauth/status/1-1")),
    "no sub": lists_of(sub=...),
    "another issuer": lists_of(iss="https://evil.example"),
    "expired": lists_of(exp=1_900_000_000 - 60),
    "no exp": lists_of(exp=...),
    "from the future": lists_of(iat=1_900_000_061),
    "ttl of nought": lists_of(ttl=0),
    "three bits": lists_of(status_list={"bits": 3, "lst": "eNrbuRgAAhcBXQ"}),
    "no list": lists_of(status_list=...),
    "nothing in the list": lists_of(status_list={"bits": 1, "lst": ""}),
    "a bomb in the list": lists_of(status_list={"bits": 1, "lst": bomb()}),
    "a bomb around the list": said(gzip.compress(bytes(1 << 26)), Content_Encoding="gzip"),
    "a broken gzip": said(gzip.compress(bytes(100))[:-9], Content_Encoding="gzip"),
    "an encoding that nobody asked for": lambda issuing: Answer(
        body=issuing.list_token(), headers={"Content-Encoding": "br"}
    ),
    "more than may be read": said(b"A" * (MAX_DOCUMENT + 1)),
    "HTML": said(b"<html>"),
    "nothing": said(b""),
    "dots": said(b".."),
    "four parts": lambda issuing: Answer(body=issuing.list_token() + b".AA"),
    "no ASCII": said(b"\xff.\xff.\xff"),
    "a redirect": lambda issuing: Answer(302, headers={"Location": issuing.issuer + "/elsewhere"}),
    "nothing changed, though nobody asked that": lambda issuing: Answer(304),
    "an error": lambda issuing: Answer(500),
}


class TestList:
    """Believed only if the issuer's key signed it for this URI."""

    @pytest.mark.parametrize("name", LIES)
    def test_that_is_a_lie_is_no_list(self, issuing: Issuing, name: str) -> None:
        verifier = issuing.verifier()
        issuing.answers[LIST] = LIES[name](issuing)
        assert is_unavailable(verifier, issuing.old_token())
        assert set(issuing.requests) <= {METADATA, JWKS, LIST}

    @pytest.mark.parametrize("name", LIES)
    def test_that_is_a_lie_does_not_replace_the_true_one(self, issuing: Issuing, name: str) -> None:
        issuing.revoke(4)
        verifier = warm(issuing)
        issuing.lists[LIST] = bytearray(MAX_LENGTH)
        issuing.answers[LIST] = LIES[name](issuing)
        poll(issuing, verifier)
        assert refuses(verifier, issuing.old_token(4))
        assert verifier.verify(issuing.old_token(9)).jti == "t-1"

    def test_that_is_true_passes_where_the_lies_do_not(self, issuing: Issuing) -> None:
        issuing.answers[LIST] = Answer(body=issuing.list_token(iss=issuing.issuer))
        assert issuing.verifier().verify(issuing.old_token()).jti == "t-1"

    @pytest.mark.parametrize("name", ["a bomb around the list", "a broken gzip"])
    def test_that_swells_is_not_even_read(self, issuing: Issuing, name: str) -> None:
        issuing.answers[LIST] = LIES[name](issuing)
        with pytest.raises(StatusUnavailable, match="cut off, or longer"):
            issuing.verifier().verify(issuing.old_token())

    @pytest.mark.parametrize("has_gzip", [False, True])
    def test_may_be_full_and_compressed_twice(self, issuing: Issuing, has_gzip: bool) -> None:
        issuing.has_gzip = has_gzip
        issuing.lists[LIST] = bytearray(random.Random(7).randbytes(MAX_LENGTH))
        assert len(issuing.list_token()) > 200_000
        verifier, last = issuing.verifier(), (1 << 20) - 1
        issuing.revoke(last)
        assert refuses(verifier, issuing.old_token(last))

    def test_may_be_signed_by_a_key_that_is_new(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        old = issuing.key
        issuing.rotate()
        issuing.revoke(4)
        poll(issuing, verifier)
        issuing.key = old
        assert refuses(verifier, issuing.old_token(4))


class TestLag:
    def test_is_ttl_while_the_issuer_answers(self, issuing: Issuing) -> None:
        issuing.ttl = 40
        verifier = issuing.verifier()
        assert verifier.lag() == 15
        verifier.verify(issuing.old_token())
        issuing.monotonic.move(39)
        assert verifier.lag() == 40

    def test_grows_while_it_does_not_until_nothing_passes(self, issuing: Issuing) -> None:
        verifier = warm(issuing, stale_for=100)
        issuing.answers[LIST] = Answer(500)
        poll(issuing, verifier)
        assert verifier.lag() == 20  # the next poll is five seconds away
        issuing.monotonic.move(60)
        assert verifier.lag() == 75
        issuing.monotonic.move(1000)
        assert verifier.lag() == 115

    def test_is_ttl_again_afterwards(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        issuing.monotonic.move(600)
        assert verifier.lag() == 600
        verifier.verify(issuing.old_token())
        assert eventually(lambda: verifier.lag() == 15)


class TestBounds:
    def test_hold_so_many_lists_and_no_more(self, issuing: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(status_cache, "MAX_LISTS", 2)
        verifier = issuing.verifier()
        for number in range(5):
            issuing.lists[f"/oauth/status/1-{number}"] = bytearray(2)
            issuing.monotonic.move(0.1)
            assert verifier.verify(issuing.old_token(uri=f"{issuing.issuer}/oauth/status/1-{number}")).jti == "t-1"
        assert [uri[-1] for uri in verifier._lists._entries] == ["3", "4"]

    def test_let_a_list_go_that_nobody_names_and_end_the_thread(
        self, live: Issuing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.ttl = 1
        monkeypatch.setattr(status_cache, "IDLE_IN", 0.5)
        verifier = warm(live, stale_for=0)
        assert pollers()
        assert eventually(lambda: not pollers())
        assert verifier.verify(live.old_token()).jti == "t-1"
        assert pollers()

    def test_end_the_thread_of_a_verifier_that_nobody_holds(self, live: Issuing) -> None:
        verifier = warm(live)
        live.verifiers.clear()
        assert pollers()
        del verifier
        gc.collect()
        assert eventually(lambda: not pollers())


class TestClosing:
    def test_ends_the_thread(self, live: Issuing) -> None:
        with live.verifier() as verifier:
            verifier.verify(live.old_token())
            assert len(pollers()) == 1
        assert not pollers()
        verifier.close()

    def test_is_fine_where_nothing_was_started(self, issuing: Issuing) -> None:
        issuing.verifier().close()
        assert issuing.requests == []

    def test_leaves_what_is_there_until_it_is_stale(self, issuing: Issuing) -> None:
        verifier, token = warm(issuing, stale_for=10), issuing.old_token()
        verifier.close()
        issuing.monotonic.move(issuing.ttl + 9)
        assert verifier.verify(token).jti == "t-1"
        issuing.monotonic.move(1)
        assert is_unavailable(verifier, token)
        assert issuing.polls == 1

    def test_lets_nobody_wait(self, issuing: Issuing) -> None:
        verifier = warm(issuing)
        issuing.lists[OTHER] = bytearray(MAX_LENGTH)
        issuing.gate.clear()
        refusals: list[Unavailable] = []

        def wait() -> None:
            with pytest.raises(StatusUnavailable) as refusal:
                verifier.verify(issuing.old_token(uri=issuing.issuer + OTHER))
            refusals.append(refusal.value)

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert eventually(lambda: OTHER in issuing.requests)
        verifier.close()
        waiting.join(2)
        assert len(refusals) == 1
        started_at = time.monotonic()
        assert is_unavailable(verifier, issuing.old_token(uri=f"{issuing.issuer}/oauth/status/1-2"))
        assert time.monotonic() - started_at < 3
        issuing.gate.set()


class TestCache:
    """The instants alone, by a clock that is moved."""

    LIST = HeldList(statuses=bytes(2), bits=1, kid="k", etag="", issued_at=0, expires_at=9_000, ttl=600)

    def cache(self, clock: Clock, **options: Any) -> StatusCache:
        return StatusCache(**{"stale_for": 10, "is_open": False, "monotonic": clock, "wake": lambda: None, **options})

    def held(self, clock: Clock) -> StatusCache:
        cache = self.cache(clock)
        cache.find("u", is_young=True)
        (order,) = cache.orders()
        cache.land(order, self.LIST, asked_at=clock(), last_for=600)
        return cache

    def test_lets_an_announced_list_be_fetched_twice_a_second_at_most(self) -> None:
        clock = Clock(1000)
        cache = self.held(clock)
        assert cache.next_in() == 600
        cache.announce("u")
        assert cache.next_in() == 0.5
        clock.move(0.5)
        assert len(cache.orders()) == 1

    def test_fetches_a_list_again_that_changed_while_it_was_fetched(self) -> None:
        clock = Clock(1000)
        cache = self.held(clock)
        clock.move(600)
        (order,) = cache.orders()
        cache.announce(None)
        assert cache.orders() == []
        cache.land(order, self.LIST, asked_at=clock(), last_for=600)
        assert cache.next_in() == 0.5

    @pytest.mark.parametrize("is_open", [False, True])
    def test_lets_nobody_wait_for_what_was_never_ordered(self, is_open: bool) -> None:
        cache = self.cache(Clock(1000), is_open=is_open)
        waiting = cache.find("u", is_young=False)
        assert isinstance(waiting, flight.Flight)
        cache.end()
        if is_open:
            assert waiting.wait() is None
        else:
            with pytest.raises(StatusUnavailable, match="closed"):
                waiting.wait()
        assert cache.orders() == []

    def test_takes_nothing_from_a_fetch_that_was_given_up(self) -> None:
        clock = Clock(1000)
        cache = self.cache(clock)
        cache.find("u", is_young=True)
        (lost,) = cache.orders()
        clock.move(flight.FLIGHT_IN)
        (order,) = cache.orders()
        cache.land(lost, NoList(), asked_at=1000, last_for=600)
        assert cache.ready("u") is None
        cache.land(order, self.LIST, asked_at=clock(), last_for=600)
        assert cache.ready("u") is self.LIST
