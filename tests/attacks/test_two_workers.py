"""What must hold across workers: a code is redeemed once, guesses are counted together (SECURITY P-11, B-10, S-13)."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Final

import httpx
import pytest

from tests.attacks.forging import credentials, tried
from tests.support import plain
from tests.support.home import PASSWORD, SECRET
from tests.support.person import Person, answer, find_form, redemption
from tests.web.people import Service, running
from tests.web.site import assert_refused, basic, bucket

THREADS: Final = 50
CHAINS: Final = 6
"""Grants of one person that are refreshed without pause."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers on one database; every connection may meet another one."""
    yield from running(tmp_path_factory.mktemp("service"), workers=2)


def at_once(attempt: Callable[[int], httpx.Response], threads: int = THREADS) -> list[httpx.Response]:
    """The answers to as many attempts, all begun at the same moment."""
    start = Barrier(threads, timeout=20)

    def one(number: int) -> httpx.Response:
        start.wait()
        return attempt(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def redeemed(service: Service, code: str, *, verifier: str | None = None) -> httpx.Response:
    form = redemption(code, **({} if verifier is None else {"code_verifier": verifier}))
    headers = {"authorization": basic("web", SECRET)}
    return plain.post(f"{service.server.url}/oauth/token", data=form, headers=headers, timeout=20)


def renewed(service: Service, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    headers = {"authorization": basic("own", SECRET)}
    return plain.post(f"{service.server.url}/oauth/token", data=form, headers=headers, timeout=20)


class TestACode:
    def test_p_11_is_redeemed_by_exactly_one_of_fifty(self, service: Service, ada: Person) -> None:
        for _ in range(3):
            code = ada.grant()["code"]
            answers = at_once(lambda _, code=code: redeemed(service, code))  # type: ignore[misc]
            assert Counter(response.status_code for response in answers) == {200: 1, 400: THREADS - 1}
            for response in answers:
                if response.status_code == 400:
                    assert_refused(response, 400, "invalid_grant")
            (won,) = [response.json() for response in answers if response.status_code == 200]
            assert service.userinfo(won["access_token"]).status_code == 401, "who comes second ends the grant"
            assert_refused(service.refresh(won["refresh_token"], auth=("web", SECRET)), 400, "invalid_grant")

    def test_p_11_among_wrong_attempts_is_redeemed_by_the_right_one(self, service: Service, ada: Person) -> None:
        code = ada.grant()["code"]
        answers = at_once(lambda number: redeemed(service, code, verifier="x" * 43 if number else None))
        assert [response.status_code for response in answers] == [200] + [400] * (THREADS - 1)
        assert service.userinfo(answers[0].json()["access_token"]).status_code == 200


class TestATransaction:
    def test_b_13_sent_fifty_times_at_once_gives_one_code(self, service: Service, ada: Person) -> None:
        page = ada.authorize(prompt="consent")
        form = find_form(page, ["csrf"])
        headers = {"cookie": "; ".join(f"{one.name}={one.value}" for one in ada.http.cookies.jar), "origin": ada.url}

        def allow(_: int) -> httpx.Response:
            return plain.post(
                ada.url + form.action, data={**form.values, "decision": "allow"}, headers=headers, timeout=20
            )

        answers = at_once(allow)
        assert {response.status_code for response in answers} == {303}
        assert len({answer(response)["code"] for response in answers}) == 1


class TestRefreshing:
    def test_f_12_in_a_race_with_the_end_wins_nothing_that_lasts(self, service: Service) -> None:
        """While many refresh, the person is disabled: whatever was won on the way is dead, and stays so."""
        hedy = service.home.user("hedy")
        with service.browser() as person:
            person.sign_in(person.open("/login"), "hedy")
            chains = [[service.tokens(person, "own", scope="openid offline_access")] for _ in range(CHAINS)]

        def go_on(number: int) -> httpx.Response:
            if number == CHAINS:
                service.home.ask(lambda store: store.administration.disable_user(hedy, now=int(time.time())))
            chain, response = chains[number % CHAINS], httpx.Response(200)
            for _ in range(1_000):
                response = renewed(service, chain[-1]["refresh_token"])
                if response.status_code != 200:
                    break
                chain.append(response.json())
            return response

        for response in at_once(go_on, threads=CHAINS + 1):
            assert_refused(response, 400, "invalid_grant")
        assert sum(len(chain) for chain in chains) > CHAINS, "nobody has refreshed before the end"
        service.home.ask(lambda store: store.administration.enable_user(hedy, now=int(time.time())))
        for chain in chains:
            assert_refused(renewed(service, chain[-1]["refresh_token"]), 400, "invalid_grant")
            assert not [one for one in chain[-3:] if service.is_active(one["access_token"], auth=("own", SECRET))]


class TestASession:
    def test_s_13_begun_or_ended_at_one_worker_is_so_at_the_other(self, service: Service) -> None:
        with service.browser() as person:
            tried(person, person.open("/login"), credentials())
            cookies = {"cookie": "; ".join(f"{one.name}={one.value}" for one in person.http.cookies.jar)}
            url = f"{service.server.url}/account"
            for _ in range(12):
                assert plain.get(url, headers=cookies).status_code == 200
            person.submit(person.open("/oauth/logout"), ("decision", "sign_out"))
            for _ in range(12):
                assert plain.get(url, headers=cookies).status_code == 303

    def test_b_02_signed_in_many_times_at_once_has_a_new_cookie_each_time(self, service: Service) -> None:
        with service.browser() as person:
            page = person.authorize("own", prompt="login")
            form = find_form(page, ["csrf"])
            headers = {
                "cookie": "; ".join(f"{one.name}={one.value}" for one in person.http.cookies.jar),
                "origin": person.url,
            }

            def sign_in(_: int) -> httpx.Response:
                body = {**form.values, **credentials()}
                return plain.post(person.url + form.action, data=body, headers=headers, timeout=20)

            answers = at_once(sign_in, threads=16)
            assert {response.status_code for response in answers} == {303}
            made = [
                response.headers["set-cookie"].partition(";")[0]
                for response in answers
                if "set-cookie" in response.headers
            ]
            assert len(made) == len({*made})


class TestGuessing:
    def test_b_10_is_counted_together(self, service: Service) -> None:
        service.home.user("frida")
        with service.browser() as person:
            statuses = []
            for number in range(12):
                page = person.authorize("own")
                statuses.append(tried(person, page, credentials("frida", f"wrong {number}")).status_code)
                person.http.headers["connection"] = "close"
            assert statuses.index(429) <= 8, "each worker has forgiven five guesses of its own"
            assert set(statuses[5:]) <= {400, 429}

    def test_b_10_a_burst_slips_through_nowhere(self, service: Service) -> None:
        """Fifty guesses at once, the right password among them: few are looked at."""
        service.home.user("gustav")
        with service.browser() as person:
            page = person.authorize("own")
            form = find_form(page, ["csrf"])
            headers = {
                "cookie": "; ".join(f"{one.name}={one.value}" for one in person.http.cookies.jar),
                "origin": person.url,
            }

            def guess(number: int) -> httpx.Response:
                body = {**form.values, **credentials("gustav", f"wrong {number}")}
                return plain.post(person.url + form.action, data=body, headers=headers, timeout=20)

            at_once(guess)
            counted = service.dump(["attempts"])["attempts"]
            (looked_at,) = [row[1] for row in counted if row[0] == bucket("user gustav")]
            assert 5 <= looked_at <= 10, "the fifth wrong guess makes all others wait"
            waiting = tried(person, person.authorize("own"), credentials("gustav", PASSWORD))
            assert waiting.status_code == 429 or "code" in answer(waiting)
