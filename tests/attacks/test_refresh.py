"""Refresh tokens used again, kept too long, or replayed after a crash (SECURITY F, S-14; RFC 9700 section 4.14)."""

import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest

from tests.support.home import SECRET
from tests.support.live import LiveServer
from tests.support.person import Person
from tests.web.people import RESOURCE, Service
from tests.web.site import assert_refused, claims_of

WEB: Final = ("web", SECRET)
NEWEST: Final = "id = (SELECT max(id) FROM grants)"
LONG: Final = 100 * 86_400
"""Longer than anything lives, in seconds."""


def refreshed(service: Service, tokens: Mapping[str, Any], **more: str) -> dict[str, Any]:
    """What the next token of the grant is answered with."""
    response = service.refresh(tokens["refresh_token"], auth=WEB, **more)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def assert_dead(service: Service, *answers: Mapping[str, Any]) -> None:
    """Neither of the tokens in these answers is good for anything."""
    for tokens in answers:
        assert_refused(service.refresh(tokens["refresh_token"], auth=WEB), 400, "invalid_grant")
        assert not service.is_active(tokens["access_token"], auth=WEB)
        assert service.userinfo(tokens["access_token"]).status_code == 401


class TestRotation:  # RFC 9700 section 4.14.2
    def test_f_06_gives_another_token_at_each_use(self, service: Service, ada: Person) -> None:
        answers = [service.tokens(ada)]
        for _ in range(3):
            answers.append(refreshed(service, answers[-1]))
        assert len({tokens["refresh_token"] for tokens in answers}) == 4
        assert len({tokens["access_token"] for tokens in answers}) == 4

    def test_f_06_repeats_itself_for_the_direct_predecessor_alone(self, service: Service, ada: Person) -> None:
        """An answer that was lost is given once more; a window that opened for any older token would let a thief in."""
        other, first = service.tokens(ada), service.tokens(ada)
        second = refreshed(service, first)
        assert refreshed(service, first)["refresh_token"] == second["refresh_token"]
        third = refreshed(service, second)
        assert refreshed(service, second)["refresh_token"] == third["refresh_token"]
        assert_refused(service.refresh(first["refresh_token"], auth=WEB), 400, "invalid_grant")
        assert_dead(service, first, second, third)
        assert refreshed(service, other), "another grant of the same person and client lives on"

    def test_f_06_f_07_ends_the_family_when_the_window_has_passed(self, service: Service, ada: Person) -> None:
        first = service.tokens(ada)
        second = refreshed(service, first)
        assert service.execute(f"UPDATE grants SET rotated_at = rotated_at - 31 WHERE {NEWEST}") == 1
        assert_refused(service.refresh(first["refresh_token"], auth=WEB), 400, "invalid_grant")
        assert_dead(service, first, second)

    def test_f_07_is_noticed_whoever_of_the_two_comes_first(self, service: Service, ada: Person) -> None:
        """The thief has refreshed twice when the owner comes back with the token that was stolen."""
        stolen = service.tokens(ada)
        thief = refreshed(service, refreshed(service, stolen))
        assert_refused(service.refresh(stolen["refresh_token"], auth=WEB), 400, "invalid_grant")
        assert_dead(service, stolen, thief)


class TestLifetimes:  # RFC 9700 section 4.14.2, RFC 8707 section 2.2
    def test_f_11_a_grant_that_nobody_used_is_over(self, service: Service, ada: Person) -> None:
        tokens = service.tokens(ada)
        assert service.execute(f"UPDATE grants SET expires_at = ? WHERE {NEWEST}", int(time.time())) == 1
        with service.writing_nothing():
            assert_refused(service.refresh(tokens["refresh_token"], auth=WEB), 400, "invalid_grant")

    def test_f_11_a_refresh_prolongs_up_to_the_absolute_end_and_not_beyond(self, service: Service, ada: Person) -> None:
        tokens = service.tokens(ada)
        end = int(time.time()) + 1_000
        assert service.execute(f"UPDATE grants SET expires_at = ? - 500, ends_at = ? WHERE {NEWEST}", end, end) == 1
        refreshed(service, tokens)
        assert service.execute(f"UPDATE grants SET ends_at = ends_at WHERE {NEWEST} AND expires_at = ?", end) == 1

    def test_f_11_what_was_narrow_stays_narrow(self, service: Service, ada: Person) -> None:
        tokens = service.tokens(ada, scope="openid read", resource=RESOURCE, prompt="consent")
        for _ in range(3):
            wide = service.refresh(tokens["refresh_token"], auth=WEB, scope="openid read write")
            assert_refused(wide, 400, "invalid_scope")
            tokens = refreshed(service, tokens)
            claims = claims_of(tokens["access_token"])
            assert (claims["scope"], claims["aud"]) == ("openid read", RESOURCE)


class TestEvidence:
    def test_s_14_is_kept_as_long_as_the_family_lives(self, service: Service, ada: Person) -> None:
        """Writes delete what is over in small bites; a used code is not over before its tokens are."""
        code = ada.grant()["code"]
        first = service.redeem(code).json()
        second = refreshed(service, first)
        past = int(time.time()) - 120
        assert (
            service.execute(f"UPDATE grants SET code_expires_at = ?, redeemed_at = ? WHERE {NEWEST}", past, past) == 1
        )
        write(service, ada, times=8)
        assert_refused(service.redeem(code), 400, "invalid_grant")
        assert_dead(service, first, second)

    def test_s_14_that_was_swept_leaves_a_plain_refusal(self, service: Service, ada: Person) -> None:
        code = ada.grant()["code"]
        first = service.redeem(code).json()
        second = refreshed(service, first)
        (grant_id,) = (row[0] for row in service.dump(["grants"])["grants"][-1:])
        moved = "created_at = created_at - ?1, expires_at = expires_at - ?1, ends_at = ends_at - ?1, sweep_at = 0"
        assert service.execute(f"UPDATE grants SET {moved} WHERE {NEWEST}", LONG) == 1
        write(service, ada, times=8)
        assert grant_id not in [row[0] for row in service.dump(["grants"])["grants"]], "the grant was not swept"
        with service.writing_nothing():
            assert_refused(service.redeem(code), 400, "invalid_grant")
            for tokens in (first, second):
                assert_refused(service.refresh(tokens["refresh_token"], auth=WEB), 400, "invalid_grant")
                assert service.post("/oauth/revoke", {"token": tokens["refresh_token"]}, auth=WEB).status_code == 200


class TestARestart:
    @pytest.fixture
    def killed(self, service: Service, ada: Person) -> dict[str, Any]:
        """What somebody had recorded when the process was killed without a word; it runs again."""
        used_code, ended = ada.grant()["code"], service.tokens(ada)
        tokens = [service.redeem(used_code).json()]
        for _ in range(2):
            tokens.append(refreshed(service, tokens[-1]))
        assert service.post("/oauth/revoke", {"token": ended["access_token"]}, auth=WEB).status_code == 200
        service.server.kill()
        service.http.close()
        service.server = LiveServer(service.home.path, port=service.server.port).start()
        service.http = httpx.Client(base_url=service.server.url, timeout=20, verify=False)
        return {"code": used_code, "tokens": tokens, "ended": ended}

    def test_f_10_brings_nothing_back_that_was_used_or_ended(self, service: Service, killed: dict[str, Any]) -> None:
        first, _, last = killed["tokens"]
        assert_dead(service, killed["ended"])
        assert service.is_active(last["access_token"], auth=WEB)
        following = refreshed(service, last)
        assert_refused(service.refresh(first["refresh_token"], auth=WEB), 400, "invalid_grant")
        assert_dead(service, *killed["tokens"], following)
        assert_refused(service.redeem(killed["code"]), 400, "invalid_grant")


def write(service: Service, person: Person, *, times: int) -> None:
    """Ordinary writes, in which what is over is deleted."""
    for _ in range(times):
        service.redeem(person.grant("own")["code"], client_id="own")
