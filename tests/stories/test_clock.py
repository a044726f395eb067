"""The clock of the machine jumps while the service runs, and before it starts (SECURITY S-06).

The process is given another clock by libfaketime (`faketime`), an hour ahead or an hour behind; what measures
durations, CLOCK_MONOTONIC, goes on evenly, as it does on a machine whose clock is set.
"""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from jwtauth.keyring import rotation
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol import status_list
from tests.support.home import PASSWORD
from tests.support.live import LiveServer
from tests.web.site import Site, assert_refused, claims_of, decoded

HOUR: Final = 3_600
LIFETIME_IN: Final = 7_200
"""Of access tokens: so they are alive whichever way the clock jumps."""
PLACES: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
PERSON: Final = {"grant_type": "password", "username": "ada", "password": PASSWORD}


class Clock:
    """What the service thinks the time is: so many seconds beside ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._set(0)

    @contextmanager
    def moved(self, seconds: int) -> Iterator[None]:
        """For as long as this goes on."""
        self._set(seconds)
        try:
            yield
        finally:
            self._set(0)

    def environment(self, library: Path) -> dict[str, str]:
        """The variables of a process that has this clock."""
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def _set(self, seconds: int) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self._path)


@pytest.fixture(scope="module")
def library() -> Path:
    found = [path for place in PLACES for path in Path(place).glob("**/faketime/libfaketimeMT.so.1")]
    if not found:
        warnings.warn("SKIPPED: what a clock that jumps does to a running service: no libfaketime here", stacklevel=2)
        pytest.skip("there is no libfaketime on this machine")
    return found[0]


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock") / "offset")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, library: Path, clock: Clock) -> Iterator[Site]:
    path = tmp_path_factory.mktemp("site")
    site = Site(path)
    site.server = LiveServer(path, port=site.server.port, environment=clock.environment(library), is_forked=False)
    site.home.realm(roles=("ROLE_USER",), access_token_in=LIFETIME_IN)
    site.home.client("service")
    for username in ("ada", "bob"):
        site.home.user(username)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


def refreshed(site: Site, tokens: dict[str, Any]) -> dict[str, Any]:
    response = site.refresh(tokens["refresh_token"])
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def kids(site: Site) -> set[str]:
    return {key["kid"] for key in site.http.get("/.well-known/jwks.json").json()["keys"]}


def is_published(site: Site, access_token: str) -> bool:
    """Whether the status list says that the token was revoked."""
    status = claims_of(access_token)["status"]["status_list"]
    token = site.http.get(httpx.URL(status["uri"]).path).text
    statuses = status_list.decode(status_list.read(decoded(token.split(".")[1])).status_list.lst)
    return status_list.status_of(statuses, status["idx"]) == 1


EITHER_WAY: Final = pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["ahead", "behind"])


class TestAClockThatJumps:
    """Nothing revives, nothing ends, nobody waits, whichever way it jumps (S-06)."""

    @EITHER_WAY
    def test_is_the_clock_that_the_service_has(self, site: Site, clock: Clock, seconds: int) -> None:
        """Otherwise the tests here would say nothing."""
        with clock.moved(seconds):
            assert abs(claims_of(site.machine())["iat"] - time.time() - seconds) < HOUR / 2

    @EITHER_WAY
    def test_revives_nothing_that_was_revoked(self, site: Site, clock: Clock, seconds: int) -> None:
        machine, gone = site.machine(), site.person()
        for token in (machine, gone["refresh_token"]):
            assert site.post("/oauth/revoke", {"token": token}).status_code == 200
        with clock.moved(seconds):
            for token in (machine, gone["access_token"]):
                assert not site.is_active(token)
                assert is_published(site, token)
            assert_refused(site.refresh(gone["refresh_token"]), 400, "invalid_grant")
        assert not site.is_active(machine)

    @EITHER_WAY
    def test_makes_no_used_refresh_token_fresh(self, site: Site, clock: Clock, seconds: int) -> None:
        first = site.person()
        second = refreshed(site, first)
        third = refreshed(site, second)
        with clock.moved(seconds):
            assert_refused(site.refresh(first["refresh_token"]), 400, "invalid_grant")
            assert_refused(site.refresh(third["refresh_token"]), 400, "invalid_grant")
        assert not site.is_active(third["access_token"])

    @EITHER_WAY
    def test_breaks_no_grant_off(self, site: Site, clock: Clock, seconds: int) -> None:
        """Neither one from before the jump, nor one from before the clock was set right again."""
        before = site.person()
        with clock.moved(seconds):
            after = refreshed(site, before)
            meanwhile = site.person()
            assert 0 < after["expires_in"] <= LIFETIME_IN
            assert 0 < meanwhile["expires_in"] <= LIFETIME_IN
        for tokens in (after, meanwhile):
            right = refreshed(site, tokens)
            assert 0 < right["expires_in"] <= LIFETIME_IN
            assert site.is_active(right["access_token"])

    @EITHER_WAY
    def test_gives_no_status_position_twice(self, site: Site, clock: Clock, seconds: int) -> None:
        tokens = [site.machine()]
        with clock.moved(seconds):
            tokens += [site.machine() for _ in range(3)]
        tokens += [site.machine() for _ in range(3)]
        statuses = [claims_of(token)["status"]["status_list"] for token in tokens]
        assert len({(status["uri"], status["idx"]) for status in statuses}) == len(tokens)

    def test_makes_nobody_wait_for_an_hour(self, site: Site, clock: Clock) -> None:
        """Wrong passwords from before the clock was set back are an hour in the future."""
        form = {**PERSON, "username": "bob"}
        with clock.moved(HOUR):
            assert any(site.token({**form, "password": "wrong"}).status_code == 429 for _ in range(20))
        wrong = site.token({**form, "password": "wrong"})
        assert wrong.status_code == 400, "nobody can tell how long ago the others were"
        with clock.moved(HOUR):
            assert site.token(form).status_code == 200

    def test_takes_no_key_out_of_the_jwks(self, site: Site, clock: Clock) -> None:
        """Also not where a successor signs by the one clock and not yet by the other."""
        rotation.rotate(KeyFolder(site.home.source.keys), "ES256", publish_in=HOUR // 2, now=int(time.time()))
        site.home.ask(lambda store: store.administration.announce_keys())
        known = kids(site)
        assert len(known) == 3
        for seconds in (HOUR, -HOUR, 0):
            with clock.moved(seconds):
                assert kids(site) == known
                assert site.is_active(site.machine())

    def test_back_before_a_start_changes_nothing_of_this(self, site: Site, clock: Clock) -> None:
        tokens, gone = site.person(), site.machine()
        assert site.post("/oauth/revoke", {"token": gone}).status_code == 200
        known = kids(site)
        site.server.stop()
        with clock.moved(-HOUR):
            site.server.start()
            assert kids(site) == known
            assert not site.is_active(gone)
            tokens = refreshed(site, tokens)
            assert site.is_active(tokens["access_token"])
        assert not site.is_active(gone)
        assert refreshed(site, tokens)["expires_in"] > 0
