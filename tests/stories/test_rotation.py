"""Keys change under running workers: nobody notices, and in an emergency everybody does (SECURITY J-15, S-12)."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import jwt
import pytest
from msgspec.structs import replace

from jwtauth.errors import InvalidToken
from jwtauth.keyring.folder import KeyFolder
from jwtauth.verifier import Verifier
from tests.support import forking, plain
from tests.support.home import SECRET
from tests.web.site import Site, assert_refused, populate

ASKED = 12
"""Fresh connections per question, so that both workers answer."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "rotating", workers=2)
    populate(site)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


def rotate(site: Site, *options: str) -> dict[str, Any]:
    """`jwtauth keys rotate`, as an operator types it beside the running service."""
    done = forking.run("keys", "rotate", "--json", *options, folder=site.home.path)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def kids(site: Site, algorithm: str = "ES256") -> list[set[str]]:
    """The published kids of one line, that of access tokens unless told, as fresh connections see them."""
    answers = [plain.get(f"{site.server.url}/.well-known/jwks.json") for _ in range(ASKED)]
    return [{key["kid"] for key in answer.json()["keys"] if key["alg"] == algorithm} for answer in answers]


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


class Reader(Thread):
    """Gets tokens and has them verified offline without pause; remembers what went wrong."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.verified: list[str] = []
        self.stopped = Event()
        self._url = site.server.url
        self._verifier = Verifier(site.server.url, site.home.realm().audience)

    def run(self) -> None:
        with httpx.Client(base_url=self._url, auth=("service", SECRET), timeout=20) as http:
            while not self.stopped.is_set():
                response = http.post("/oauth/token", data={"grant_type": "client_credentials"})
                try:
                    token = response.json()["access_token"]
                    self._verifier.verify(token)
                    self.verified.append(token)
                except (InvalidToken, KeyError) as problem:
                    self.problems.append(repr(problem))

    def wait_for(self, count: int) -> None:
        wanted = len(self.verified) + count
        while len(self.verified) < wanted and self.is_alive() and not self.problems:
            self.join(0.005)


def let_it_sign(site: Site, kid: str) -> None:
    """Move a waiting key's first instant into the past and announce it: what waiting for it would do."""
    folder = KeyFolder(site.home.source.keys)
    (record,) = [record for record, _ in folder.read_keys() if record.kid == kid]
    folder.replace_key(replace(record, signs_at=record.created_at))
    site.home.ask(lambda store: store.administration.announce_keys())


class TestARotation:
    def test_publishes_first_signs_later_and_never_fails_a_verification(self, site: Site) -> None:
        (old,) = kids(site)[0]
        reader = Reader(site)
        reader.start()
        try:
            reader.wait_for(20)
            record = rotate(site)
            assert kids(site) == [{old, record["kid"]}] * ASKED
            reader.wait_for(20)
            assert {kid_of(token) for token in reader.verified} == {old}, (
                "the new key must not sign before caches know it"
            )
            let_it_sign(site, record["kid"])
            reader.wait_for(60)
            assert kid_of(reader.verified[-1]) == record["kid"]
            assert kids(site) == [{old, record["kid"]}] * ASKED
        finally:
            reader.stopped.set()
            reader.join()
        assert reader.problems == []
        assert {site.is_active(token) for token in reader.verified[:5] + reader.verified[-5:]} == {True}

    def test_leaves_refresh_tokens_alone(self, site: Site) -> None:
        granted = site.person()
        let_it_sign(site, rotate(site)["kid"])
        refreshed = site.refresh(granted["refresh_token"])
        assert refreshed.status_code == 200
        assert site.is_active(granted["access_token"])

    def test_of_the_server_secret_keeps_refresh_tokens_and_retries(self, site: Site) -> None:
        granted = site.person()
        lost = site.refresh(granted["refresh_token"]).json()["refresh_token"]
        rotate(site, "--secret")
        for _ in range(ASKED):
            again = _fresh_refresh(site, granted["refresh_token"])
            assert again.json()["refresh_token"] == lost, "a retry must give the same bytes on every worker"
        newer = _fresh_refresh(site, lost).json()["refresh_token"]
        assert _fresh_refresh(site, newer).status_code == 200


class TestAnEmergency:
    def test_takes_the_kid_out_of_the_jwks_and_its_tokens_down_at_once(self, site: Site) -> None:
        (old,) = kids(site)[0]
        machine, granted = site.machine(), site.person()
        assert site.is_active(machine)
        record = rotate(site, "--now", "--yes")
        assert record["removed_keys"] == [old]
        assert kids(site) == [{record["kid"]}] * ASKED
        for token in (machine, granted["access_token"]):
            for _ in range(ASKED):
                answer = _fresh_introspection(site, token)
                assert answer.content == b'{"active":false}'
            assert_refused(site.http.get("/oauth/tokeninfo", params={"access_token": token}), 401, "invalid_token")
        assert kid_of(site.machine()) == record["kid"]

    def test_signs_nobody_out(self, site: Site) -> None:
        granted = site.person()
        rotate(site, "--now", "--yes")
        refreshed = site.refresh(granted["refresh_token"])
        assert refreshed.status_code == 200
        assert site.is_active(refreshed.json()["access_token"])

    def test_of_the_server_secret_ends_every_refresh_token_at_every_worker(self, site: Site) -> None:
        granted = site.person()
        rotate(site, "--secret", "--now", "--yes")
        for _ in range(ASKED):
            assert_refused(_fresh_refresh(site, granted["refresh_token"]), 400, "invalid_grant")
        assert site.is_active(granted["access_token"])
        assert site.refresh(site.person()["refresh_token"]).status_code == 200


def _fresh_refresh(site: Site, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return plain.post(f"{site.server.url}/oauth/token", data=form, auth=("service", SECRET))


def _fresh_introspection(site: Site, token: str) -> httpx.Response:
    return plain.post(f"{site.server.url}/oauth/introspect", data={"token": token}, auth=("service", SECRET))
