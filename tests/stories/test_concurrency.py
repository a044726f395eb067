"""Many at once, over two worker processes: one successor, one truth (SECURITY F-01, S-13, D-04)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest

from tests.support.home import SECRET
from tests.web.site import Site, assert_refused, claims_of, populate

CALLERS = 50


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("two"), workers=2)
    populate(site)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


def together(site: Site, count: int, path: str, form: dict[str, str]) -> Sequence[httpx.Response]:
    """What each of `count` threads got for the same request, sent at one moment on connections that are open."""
    barrier = Barrier(count)

    def send(_: int) -> httpx.Response:
        with httpx.Client(base_url=site.server.url, timeout=20, verify=False, auth=("service", SECRET)) as http:
            http.get("/healthz")
            barrier.wait()
            return http.post(path, data=form)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(send, range(count)))


def fresh(site: Site, path: str, form: dict[str, str]) -> httpx.Response:
    """A request on a connection of its own, so that any worker may get it."""
    headers = {"Connection": "close"}
    with httpx.Client(base_url=site.server.url, timeout=20, verify=False) as http:
        return http.post(path, data=form, auth=("service", SECRET), headers=headers)


class TestOneRefreshToken:
    def test_f_01_used_50_times_at_once_has_one_successor_that_works(self, site: Site) -> None:
        for _ in range(3):
            token = site.person()["refresh_token"]
            form = {"grant_type": "refresh_token", "refresh_token": token}
            answers = together(site, CALLERS, "/oauth/token", form)
            assert {answer.status_code for answer in answers} == {200}
            successors = {answer.json()["refresh_token"] for answer in answers}
            assert len(successors) == 1
            assert token not in successors
            for answer in answers:
                assert site.is_active(answer.json()["access_token"])
            assert site.refresh(successors.pop()).status_code == 200

    def test_f_01_used_50_times_at_once_has_one_winner_where_the_realm_is_strict(self, site: Site) -> None:
        site.home.realm(retry_in=0)
        try:
            for _ in range(3):
                form = {"grant_type": "refresh_token", "refresh_token": site.person()["refresh_token"]}
                answers = together(site, CALLERS, "/oauth/token", form)
                won = [answer for answer in answers if answer.status_code == 200]
                assert len(won) == 1
                for answer in answers:
                    if answer is not won[0]:
                        assert_refused(answer, 400, "invalid_grant")
                granted = won[0].json()
                assert not site.is_active(granted["access_token"]), "somebody else had the token: the grant is over"
                assert_refused(site.refresh(granted["refresh_token"]), 400, "invalid_grant")
        finally:
            site.home.realm(retry_in=30)


class TestRefreshing:
    def test_again_after_a_lost_answer_gives_the_same_successor(self, site: Site) -> None:
        token = site.person()["refresh_token"]
        lost = fresh(site, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": token}).json()
        again = fresh(site, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": token}).json()
        assert again["refresh_token"] == lost["refresh_token"]
        assert site.refresh(again["refresh_token"]).status_code == 200

    def test_with_a_used_token_ends_the_grant_at_every_worker(self, site: Site) -> None:
        first = site.person()
        second = site.refresh(first["refresh_token"]).json()
        third = site.refresh(second["refresh_token"]).json()
        assert_refused(site.refresh(first["refresh_token"]), 400, "invalid_grant")
        for granted in (first, second, third):
            answers = [fresh(site, "/oauth/introspect", {"token": granted["access_token"]}) for _ in range(8)]
            assert {answer.content for answer in answers} == {b'{"active":false}'}
            form = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
            assert {fresh(site, "/oauth/token", form).status_code for _ in range(4)} == {400}


class TestARevocation:
    def test_s_13_is_known_to_every_worker_when_it_is_answered(self, site: Site) -> None:
        for _ in range(10):
            token = site.machine()
            assert fresh(site, "/oauth/introspect", {"token": token}).json()["active"] is True
            assert fresh(site, "/oauth/revoke", {"token": token}).status_code == 200
            answers = together(site, 8, "/oauth/introspect", {"token": token})
            assert {answer.content for answer in answers} == {b'{"active":false}'}

    def test_s_13_is_asked_of_both_workers_in_this_test(self, site: Site) -> None:
        """Otherwise the tests here would say nothing. Each worker counts up in a block of its own, so that the
        positions of both together go up and down."""
        last = -1
        for _ in range(400):
            answer = fresh(site, "/oauth/token", {"grant_type": "client_credentials"}).json()
            idx = claims_of(answer["access_token"])["status"]["status_list"]["idx"]
            if idx < last:
                return
            last = idx
        raise AssertionError("one worker answered 400 connections in a row")


class TestAFloodOfPasswords:
    def test_d_04_leaves_keys_and_introspection_quick_and_breaks_nothing(self, site: Site) -> None:
        token = site.machine()

        def flood() -> int:
            form = {"grant_type": "password", "username": "nobody-here", "password": "x"}
            return fresh(site, "/oauth/token", form).status_code

        with ThreadPoolExecutor(40) as pool:
            waiting = [pool.submit(flood) for _ in range(120)]
            assert site.http.get("/.well-known/jwks.json").status_code == 200
            assert site.is_active(token)
            assert {future.result() for future in waiting} <= {400, 429, 503}
