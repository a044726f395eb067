"""When keys are fetched, and what happens while they cannot be."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_urlsafe

import pytest

from jwtauth.keyring import jws
from jwtauth.verifier import InvalidToken, KeysUnavailable, Verifier
from tests.verifier.issuing import JWKS, Answer, Issuing, assemble, eventually

THREADS = 16


def together(work: Callable[[], object]) -> list[object]:
    """What many threads, started at one instant, got or were refused with."""
    barrier = threading.Barrier(THREADS)

    def run() -> object:
        barrier.wait()
        try:
            return work()
        except (InvalidToken, KeysUnavailable) as refusal:
            return type(refusal)

    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(THREADS)]]


def with_unknown_kid(issuing: Issuing) -> str:
    header = {"alg": "ES256", "kid": token_urlsafe(8), "typ": "at+jwt"}
    return assemble(header, issuing.claims(), bytes(64))


class TestFirstUse:
    def test_fetches_once_for_any_number_of_threads(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        assert len(set(together(lambda: verifier.verify(token).jti))) == 1
        assert issuing.fetches == 1

    def test_fetches_once_for_any_number_of_coroutines(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()

        async def many() -> list[object]:
            return await asyncio.gather(*(verifier.averify(token) for _ in range(200)))

        assert len(asyncio.run(many())) == 200
        assert issuing.fetches == 1

    def test_without_an_issuer_is_no_verdict_on_the_token(self, issuing: Issuing) -> None:
        issuing.stop()
        verifier = issuing.verifier(status=False)
        with pytest.raises(KeysUnavailable) as refusal:
            verifier.verify(issuing.token())
        assert not isinstance(refusal.value, InvalidToken)
        assert refusal.value.retry_after_in > 0
        issuing.restart()

    def test_without_an_issuer_is_tried_again_after_a_pause(self, issuing: Issuing) -> None:
        issuing.answers[JWKS] = Answer(503)
        verifier, token = issuing.verifier(status=False), issuing.token()
        for _ in range(20):
            with pytest.raises(KeysUnavailable):
                verifier.verify(token)
        assert issuing.fetches == 1
        issuing.answers.clear()
        issuing.monotonic.move(5)
        assert verifier.verify(token).jti == "t-1"

    def test_with_an_unknown_kid_fetches_once(self, issuing: Issuing) -> None:
        with pytest.raises(InvalidToken):
            issuing.verifier(status=False).verify(with_unknown_kid(issuing))
        assert issuing.fetches == 1


class TestFreshKeys:
    @pytest.mark.parametrize(
        ("cache_control", "lifetime_in"),
        [("max-age=300", 300), ("max-age=1", 60), ("max-age=999999", 3600), ("", 300), ("no-store", 60)],
    )
    def test_last_as_long_as_the_answer_says_within_bounds(
        self, issuing: Issuing, cache_control: str, lifetime_in: int
    ) -> None:
        issuing.cache_control = cache_control
        verifier, token = issuing.verifier(status=False), issuing.token()
        verifier.verify(token)
        issuing.monotonic.move(lifetime_in - 1)
        verifier.verify(token)
        assert issuing.fetches == 1
        issuing.monotonic.move(1)
        verifier.verify(token)
        assert eventually(lambda: issuing.fetches == 2)


class TestUnknownKid:
    def test_of_a_new_key_is_fetched_at_once(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        verifier.verify(issuing.token())
        issuing.rotate()
        assert verifier.verify(issuing.token()).jti == "t-1"
        assert issuing.fetches == 2

    def test_is_fetched_once_for_any_number_of_threads(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        verifier.verify(issuing.token())
        issuing.rotate()
        token = issuing.token()
        assert set(together(lambda: verifier.verify(token).jti)) == {"t-1"}
        assert issuing.fetches == 2

    def test_that_nobody_published_is_refused_to_all_threads(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        verifier.verify(issuing.token())
        assert set(together(lambda: verifier.verify(with_unknown_kid(issuing)))) == {InvalidToken}
        assert issuing.fetches == 2

    def test_in_a_flood_of_a_thousand_costs_one_fetch_a_minute(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        verifier.verify(issuing.token())
        for minute in range(1, 4):
            for _ in range(1000):
                with pytest.raises(InvalidToken):
                    verifier.verify(with_unknown_kid(issuing))
            assert verifier.verify(issuing.token()).jti == "t-1"
            assert issuing.fetches == 1 + minute
            issuing.monotonic.move(60)

    def test_is_no_verdict_while_the_issuer_cannot_be_asked(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        known = issuing.token()
        verifier.verify(known)
        issuing.rotate()
        issuing.answers[JWKS] = Answer(500)
        for _ in range(20):
            with pytest.raises(KeysUnavailable):
                verifier.verify(issuing.token())
        assert issuing.fetches == 2
        assert verifier.verify(known).jti == "t-1"

    def test_does_not_hold_up_tokens_of_known_keys(self, issuing: Issuing) -> None:
        verifier, known = issuing.verifier(status=False), issuing.token()
        verifier.verify(known)
        issuing.gate.clear()
        unknown = with_unknown_kid(issuing)
        waiting = threading.Thread(target=refuses, args=(verifier, unknown))
        waiting.start()
        assert eventually(lambda: len(issuing.requests) == 3)
        assert verifier.verify(known).jti == "t-1"
        issuing.gate.set()
        waiting.join()


class TestExpiredKeys:
    def test_are_refreshed_in_the_background(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        verifier.verify(token)
        issuing.gate.clear()
        issuing.monotonic.move(301)
        assert verifier.verify(token).jti == "t-1"  # although no answer has come
        issuing.gate.set()
        assert eventually(lambda: issuing.fetches == 2)

    def test_are_refreshed_once_for_any_number_of_threads(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        verifier.verify(token)
        issuing.gate.clear()
        issuing.monotonic.move(301)
        assert set(together(lambda: verifier.verify(token).jti)) == {"t-1"}
        issuing.gate.set()
        assert eventually(lambda: issuing.fetches == 2)
        assert issuing.requests.count("/.well-known/oauth-authorization-server") == 2

    def test_that_were_withdrawn_are_refused_after_the_refresh(self, issuing: Issuing) -> None:
        verifier, withdrawn = issuing.verifier(status=False), issuing.token()
        verifier.verify(withdrawn)
        issuing.key = jws.generate("ES256")
        issuing.published = [issuing.key.jwk]
        issuing.monotonic.move(301)
        verifier.verify(withdrawn)
        assert eventually(lambda: refuses(verifier, withdrawn))

    def test_are_used_while_the_issuer_is_unreachable_and_then_refused(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False, stale_for=600), issuing.token()
        verifier.verify(token)
        issuing.stop()
        issuing.monotonic.move(300 + 599)
        assert verifier.verify(token).jti == "t-1"
        issuing.monotonic.move(1)
        with pytest.raises(KeysUnavailable):
            verifier.verify(token)
        issuing.restart()
        issuing.monotonic.move(5)
        assert verifier.verify(token).jti == "t-1"

    def test_are_used_for_an_hour_unless_told_otherwise(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        verifier.verify(token)
        issuing.answers[JWKS] = Answer(500)
        issuing.monotonic.move(300 + 3599)
        assert verifier.verify(token).jti == "t-1"
        issuing.monotonic.move(1)
        with pytest.raises(KeysUnavailable):
            verifier.verify(token)

    def test_are_not_used_at_all_where_stale_for_is_nought(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False, stale_for=0), issuing.token()
        verifier.verify(token)
        issuing.answers[JWKS] = Answer(500)
        issuing.monotonic.move(300)
        with pytest.raises(KeysUnavailable):
            verifier.verify(token)

    def test_are_kept_when_the_refresh_brings_nonsense(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        verifier.verify(token)
        issuing.answers[JWKS] = Answer(body=b"<html>")
        issuing.monotonic.move(301)
        verifier.verify(token)
        assert eventually(lambda: issuing.fetches == 2)
        assert verifier.verify(token).jti == "t-1"

    def test_cost_an_unreachable_issuer_one_request_per_pause(self, issuing: Issuing) -> None:
        verifier, token = issuing.verifier(status=False), issuing.token()
        verifier.verify(token)
        issuing.answers[JWKS] = Answer(500)
        issuing.monotonic.move(301)
        for _ in range(3):
            before = issuing.fetches
            verifier.verify(token)
            assert eventually(lambda: not is_fetching())
            for _ in range(100):
                verifier.verify(token)
            assert issuing.fetches == before + 1
            issuing.monotonic.move(5)


class TestEventLoop:
    def test_goes_on_while_keys_are_fetched(self, issuing: Issuing) -> None:
        issuing.gate.clear()

        async def story() -> int:
            verifying = asyncio.create_task(issuing.verifier(status=False).averify(issuing.token()))
            turns = 0
            while not issuing.requests:
                await asyncio.sleep(0.001)
                turns += 1
            issuing.gate.set()
            assert (await verifying).jti == "t-1"
            return turns

        assert asyncio.run(story()) > 0

    def test_may_give_up_waiting_without_harm_to_others(self, issuing: Issuing) -> None:
        issuing.gate.clear()

        async def story() -> None:
            verifier, token = issuing.verifier(status=False), issuing.token()
            impatient = asyncio.create_task(verifier.averify(token))
            patient = asyncio.create_task(verifier.averify(token))
            await asyncio.to_thread(eventually, lambda: bool(issuing.requests))
            impatient.cancel()
            await asyncio.wait([impatient])
            assert impatient.cancelled()
            issuing.gate.set()
            assert (await patient).jti == "t-1"

        asyncio.run(story())
        assert issuing.fetches == 1

    def test_may_be_another_one_each_time(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        asyncio.run(verifier.averify(issuing.token()))
        issuing.rotate()
        asyncio.run(verifier.averify(issuing.token()))
        assert issuing.fetches == 2

    def test_gets_the_same_refusals(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        with pytest.raises(InvalidToken):
            asyncio.run(verifier.averify(with_unknown_kid(issuing)))
        issuing.stop()
        with pytest.raises(KeysUnavailable):
            asyncio.run(issuing.verifier(status=False).averify(issuing.token()))
        issuing.restart()


class TestFetchThatNeverEnds:
    def test_is_given_up_and_another_may_start(self, issuing: Issuing) -> None:
        """As after a fork: the thread that fetches does not exist in the child."""
        verifier, token = issuing.verifier(status=False), issuing.token()
        issuing.gate.clear()
        lost = threading.Thread(target=verifier.verify, args=(token,))
        lost.start()
        assert eventually(lambda: len(issuing.requests) == 1)
        issuing.monotonic.move(13)
        second = threading.Thread(target=verifier.verify, args=(token,))
        second.start()
        assert eventually(lambda: len(issuing.requests) == 2)
        issuing.gate.set()
        lost.join()
        second.join()
        assert verifier.verify(token).jti == "t-1"


def refuses(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except InvalidToken:
        return True
    return False


def is_fetching() -> bool:
    return any(thread.name == "jwtauth-keys" for thread in threading.enumerate())
