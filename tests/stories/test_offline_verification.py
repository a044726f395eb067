"""Verifying offline on real sockets: nobody is asked while all is well, and what happens if nobody answers."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from jwtauth.errors import InvalidToken
from jwtauth.protocol.records import GrantType
from jwtauth.verifier import StatusUnavailable, Unavailable, Verifier
from tests.stories.relay import Relay
from tests.support import waiting
from tests.support.home import SECRET
from tests.web.site import Site

TTL: Final = 1
STALE_FOR: Final = 2
WITHIN: Final = 60.0
wait_until = partial(waiting.wait_until, within=WITHIN, every=0.005)
THREADS: Final = 16
CHECKS: Final = 2_000
LISTS: Final = "/oauth/status/"
AUDIENCE: Final = "https://reports.example"


def service_at(path: Path, **settings: Any) -> Site:
    """One machine, and its service."""
    site = Site(path, **settings)
    site.home.realm(audience=AUDIENCE)
    site.home.client("robot", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read",))
    return site


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as relay:
        yield relay


def machine(site: Site) -> str:
    return site.machine(auth=("robot", SECRET))


def revoke(site: Site, token: str) -> None:
    assert site.post("/oauth/revoke", {"token": token}, auth=("robot", SECRET)).status_code == 200


def verdict(verifier: Verifier, token: str) -> str:
    """What a verifier says of a token."""
    try:
        verifier.verify(token)
    except InvalidToken:
        return "refused"
    except Unavailable:
        return "unavailable"
    return "accepted"


def lists_in(relay: Relay) -> int:
    """How often a list was asked for."""
    return sum(count for path, count in relay.seen.items() if path.startswith(LISTS))


def sockets() -> int:
    """How many this process has open; listing them opens one descriptor more, which is gone afterwards."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link).startswith("socket:") for link in links if os.path.islink(link))


def threads() -> list[str]:
    """Those of verifiers, in this process."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("jwtauth-")]


def verdicts(verifier: Verifier, tokens: Sequence[str], ended: threading.Event) -> list[list[str]]:
    """What is said of each token until the end, without repetitions."""
    found: list[list[str]] = [[] for _ in tokens]
    while not ended.is_set():
        for said, token in zip(found, tokens, strict=True):
            now = verdict(verifier, token)
            if said[-1:] != [now]:
                said.append(now)
    return found


class TestWarm:
    def test_asks_nobody(self, tmp_path: Path, relay: Relay) -> None:
        """Two thousand checks of a hundred tokens in sixteen threads: not one request."""
        site = service_at(tmp_path, status_list_ttl=600, issuer=relay.url)
        with site, Verifier(relay.url, AUDIENCE) as verifier:
            relay.target = site.server.port
            tokens = [machine(site) for _ in range(100)]
            verifier.verify(tokens[0])
            wait_until(lambda: lists_in(relay) == 1 and "jwtauth-keys" not in threads())
            before = relay.seen
            with ThreadPoolExecutor(THREADS) as pool:
                found = set(pool.map(lambda number: verdict(verifier, tokens[number % 100]), range(CHECKS)))
            assert found == {"accepted"}
            assert relay.seen == before

    def test_asks_once_for_all_threads_while_lists_refresh(self, tmp_path: Path, relay: Relay) -> None:
        """However many threads verify: a poll per `ttl`, no failure, and what was refused is never let in again."""
        site = service_at(tmp_path, status_list_ttl=TTL, issuer=relay.url)
        with site, Verifier(relay.url, AUDIENCE) as verifier:
            relay.target = site.server.port
            good, lost = machine(site), machine(site)
            verifier.verify(lost)
            started_at = time.monotonic()
            ended = threading.Event()
            with ThreadPoolExecutor(THREADS) as pool:
                asking = [pool.submit(verdicts, verifier, (good, lost), ended) for _ in range(THREADS)]
                try:
                    wait_until(lambda: lists_in(relay) >= 2)
                    revoke(site, lost)
                    wait_until(lambda: lists_in(relay) >= 5)
                finally:
                    ended.set()
            polls = lists_in(relay)
            assert polls <= (time.monotonic() - started_at) / TTL + 2
            assert [asked.result() for asked in asking] == [[["accepted"], ["accepted", "refused"]]] * THREADS


class TestAnOutage:
    def test_of_the_issuer_is_borne_for_a_while_and_heals(self, tmp_path: Path) -> None:
        sockets_before = sockets()
        with service_at(tmp_path, status_list_ttl=TTL) as site:
            good, lost = machine(site), machine(site)
            with (
                Verifier(site.server.url, AUDIENCE, stale_for=STALE_FOR) as closed,
                Verifier(site.server.url, AUDIENCE, stale_for=STALE_FOR, when_unreachable="accept") as open_,
            ):
                assert {verdict(verifier, good) for verifier in (closed, open_)} == {"accepted"}
                revoke(site, lost)
                wait_until(lambda: {verdict(verifier, lost) for verifier in (closed, open_)} == {"refused"})
                site.server.kill()
                killed_at = time.monotonic()
                wait_until(lambda: verdict(closed, good) == "unavailable")
                lasted_for = time.monotonic() - killed_at
                assert STALE_FOR / 2 <= lasted_for <= TTL + STALE_FOR + 1
                with pytest.raises(StatusUnavailable):
                    closed.verify(good)
                assert verdict(closed, lost) == "unavailable"
                assert (verdict(open_, good), verdict(open_, lost)) == ("accepted", "refused")
                assert len(threads()) <= 4, "one thread of each for lists, and one for keys while they are fetched"
                site.server.start()
                wait_until(lambda: verdict(closed, good) == "accepted")
                assert verdict(closed, lost) == "refused"
            assert threads() == []
        assert sockets() <= sockets_before
