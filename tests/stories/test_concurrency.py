"""Many at once, over two worker processes: one successor, one truth (SECURITY F-01, S-13, D-04)."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import httpx
import pytest

from tests.support.home import SECRET
from tests.web.site import Site, assert_refused, populate

T = TypeVar("T")

CALLERS = 50


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("two"), workers=2)
    populate(site)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


def together(count: int, work: Callable[[], T]) -> Sequence[T]:
    """What each of `count` threads got that began at the same moment."""
    barrier = Barrier(count)

    def begin(_: int) -> T:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def fresh(site: Site, path: str, form: dict[str, str]) -> httpx.Response:
    """A request on a connection of its own, so that any worker may get it."""
    headers = {"Connection": "close"}
    with httpx.Client(base_url=site.server.url, timeout=20, verify=False) as http:
        return http.post(path, data=form, auth=("service", SECRET), headers=headers)


class TestOneRefreshToken:  # SECURITY F-01
    def test_used_50_times_at_once_has_one_successor_that_works(self, site: Site) -> None:
        for _ in range(3):
            token = site.person()["refresh_token"]
            form = {"grant_type": "refresh_token", "refresh_token": token}
            answers = together(CALLERS, lambda form=form: fresh(site, "/oauth/token", form))  # type: ignore[misc]
            assert {answer.status_code for answer in answers} == {200}
            successors = {answer.json()["refresh_token"] for answer in answers}
            assert len(successors) == 1
            assert token not in successors
            for answer in answers:
                assert site.is_active(answer.json()["access_token"])
            assert site.refresh(successors.pop()).status_code == 200

    def test_used_50_times_at_once_has_one_winner_where_the_realm_is_strict(self, site: Site) -> None:
        site.home.realm(retry_in=0)
        try:
            for _ in range(3):
                form = {"grant_type": "refresh_token", "refresh_token": site.person()["refresh_token"]}
                answers = together(CALLERS, lambda form=form: fresh(site, "/oauth/token", form))  # type: ignore[misc]
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


class TestARevocation:  # SECURITY S-13
    def test_is_known_to_every_worker_when_it_is_answered(self, site: Site) -> None:
        for _ in range(10):
            token = site.machine()
            assert fresh(site, "/oauth/introspect", {"token": token}).json()["active"] is True
            assert fresh(site, "/oauth/revoke", {"token": token}).status_code == 200
            answers = together(8, lambda token=token: fresh(site, "/oauth/introspect", {"token": token}))  # type: ignore[misc]
            assert {answer.content for answer in answers} == {b'{"active":false}'}

    def test_is_reached_by_both_workers_in_this_test(self, site: Site) -> None:
        """Otherwise the tests here would say nothing: both processes have to issue tokens."""
        tokens = [fresh(site, "/oauth/token", {"grant_type": "client_credentials"}).json() for _ in range(40)]
        assert len(tokens) == 40
        blocks = site.dump(("blocks",))["blocks"]
        assert len(blocks) >= 2, "each worker takes a block of its own"


class TestAFloodOfPasswords:  # SECURITY D-04
    def test_leaves_keys_and_introspection_quick_and_breaks_nothing(self, site: Site) -> None:
        token = site.machine()

        def flood() -> int:
            form = {"grant_type": "password", "username": "nobody-here", "password": "x"}
            return fresh(site, "/oauth/token", form).status_code

        with ThreadPoolExecutor(40) as pool:
            waiting = [pool.submit(flood) for _ in range(120)]
            assert site.http.get("/.well-known/jwks.json").status_code == 200
            assert site.is_active(token)
            assert {future.result() for future in waiting} <= {400, 429, 503}
