"""A backup is restored: nothing that was issued before revives, whatever was done since (SECURITY S-07).

The service runs meanwhile, with two workers; which of them answers is up to the kernel.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import httpx
import pytest
from click.testing import CliRunner
from msgspec import Struct

from jwtauth.cli.commands import root
from jwtauth.errors import InvalidToken
from jwtauth.protocol import status_list
from jwtauth.protocol.records import GrantType
from jwtauth.verifier import Verifier
from tests.support import plain, waiting
from tests.support.home import PASSWORD, SECRET
from tests.support.live import LiveServer
from tests.support.person import CALLBACK, Person, answer, has_field
from tests.web.people import CODE, OIDC, Service
from tests.web.site import Site, assert_refused, basic, claims_of

ASKED: Final = 8
"""Fresh connections per question, so that both workers answer."""
WITHIN: Final = 30.0
wait_until = partial(waiting.wait_until, within=WITHIN)
TTL: Final = 1
NEW_PASSWORD: Final = "another battery staple"
BY_PASSWORD: Final = (GrantType.PASSWORD, GrantType.REFRESH_TOKEN)
DESK: Final = ("desk", SECRET)
APP: Final = ("app", SECRET)
ROBOT: Final = ("robot", SECRET)


def service_at(path: Path, **settings: Any) -> Service:
    """An application that people sign in to, one that knows their passwords, and a machine."""
    service = Service(path, status_list_ttl=TTL, **settings)
    service.home.client("app", scope=OIDC, grant_types=CODE, redirect_uris=(CALLBACK,))
    service.home.client("desk", grant_types=BY_PASSWORD)
    service.home.client("robot", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read",))
    for username in ("ada", "bob"):
        service.home.user(username)
    return service


def operate(site: Site, *arguments: str) -> dict[str, Any]:
    """A command beside the running service, as an operator types it."""
    done = CliRunner().invoke(root, ["--folder", str(site.home.path), *arguments, "--json"])
    assert done.exit_code == 0, done.output
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def is_ready(site: Site) -> bool:
    """Whether every worker has noticed, and the second is over in which it answers nobody."""
    return all(plain.get(f"{site.server.url}/readyz").status_code == 200 for _ in range(ASKED))


def is_accepted(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except InvalidToken:
        return False
    return True


def introspections(site: Site, token: str) -> set[bool]:
    """What the workers say."""
    headers = {"authorization": basic(*DESK)}
    asked = (
        plain.post(f"{site.server.url}/oauth/introspect", data={"token": token}, headers=headers) for _ in range(ASKED)
    )
    return {answered.json()["active"] for answered in asked}


def list_uri(token: str) -> str:
    return str(claims_of(token)["status"]["status_list"]["uri"])


class Earlier(Struct, frozen=True, kw_only=True):
    """What was issued before the restore; each by what had become of it."""

    refresh_tokens: dict[str, tuple[str, tuple[str, str]]]
    """With the client that it belongs to."""
    codes: dict[str, str]
    access_tokens: dict[str, str]
    ada: Person
    """Signed in since before the backup."""
    bob: Person
    """Signed in before the backup; signed out and took the consent back after it."""
    half_way: tuple[Person, httpx.Response]
    """Before a sign-in page."""


class Restored(Struct, frozen=True, kw_only=True):
    """A running service, what it had issued, and a resource server that had verified some of it."""

    service: Service
    earlier: Earlier
    verifier: Verifier
    backup: dict[str, Any]
    record: dict[str, Any]


def live(service: Service, file: Path, people: tuple[Person, Person, Person]) -> tuple[Earlier, dict[str, Any]]:
    """A service's day with a backup at noon."""
    ada, bob, stranger = people
    of_ada = service.tokens(ada, "app", scope="openid offline_access read")
    untouched, rotated, revoked = (service.person(auth=DESK) for _ in range(3))
    pending = bob.allow(bob.sign_in(bob.authorize("app", scope="openid read"), "bob"))
    machine, revoked_machine = (service.machine(auth=ROBOT) for _ in range(2))

    backup = operate(service, "backup", str(file))

    successor = service.refresh(rotated["refresh_token"], auth=DESK).json()
    successor_of_that = service.refresh(successor["refresh_token"], auth=DESK).json()
    for lost, auth in ((revoked["refresh_token"], DESK), (revoked_machine, ROBOT)):
        assert service.post("/oauth/revoke", {"token": lost}, auth=auth).status_code == 200
    redeemed = answer(pending)["code"]
    of_bob = service.redeem(redeemed, client_id="app").json()
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD}
    assert bob.submit(bob.open("/account"), None, **change).status_code == 200
    bob.submit(bob.open("/account"), ("action", "end_application"), client_id="app")
    bob.submit(bob.open("/account"), ("action", "end_all"))
    later = service.person(auth=DESK)
    unredeemed = ada.grant("app", scope="openid read")["code"]
    page = stranger.authorize("app")

    issued = {
        "never used": untouched,
        "used": rotated,
        "its successor, used": successor,
        "the successor of that": successor_of_that,
        "revoked": revoked,
        "of a later sign-in": later,
    }
    with_browser = {"with a browser": of_ada, "of a consent withdrawn": of_bob}
    earlier = Earlier(
        refresh_tokens={
            **{name: (tokens["refresh_token"], DESK) for name, tokens in issued.items()},
            **{name: (tokens["refresh_token"], APP) for name, tokens in with_browser.items()},
        },
        codes={"redeemed": redeemed, "not redeemed": unredeemed},
        access_tokens={
            **{name: tokens["access_token"] for name, tokens in {**issued, **with_browser}.items()},
            "of a machine": machine,
            "of a machine, revoked": revoked_machine,
        },
        ada=ada,
        bob=bob,
        half_way=(stranger, page),
    )
    return earlier, backup


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    path = tmp_path_factory.mktemp("restored")
    service = service_at(path / "service", workers=2)
    with (
        service,
        service.browser() as ada,
        service.browser() as bob,
        service.browser() as stranger,
        Verifier(service.server.url, service.home.realm().audience) as verifier,
    ):
        earlier, backup = live(service, path / "noon.backup", (ada, bob, stranger))
        for name in ("never used", "of a later sign-in", "of a machine"):
            assert is_accepted(verifier, earlier.access_tokens[name])
        record = operate(service, "restore", str(path / "noon.backup"), "--yes")
        wait_until(lambda: is_ready(service))
        yield Restored(service=service, earlier=earlier, verifier=verifier, backup=backup, record=record)
    assert "Traceback" not in service.server.log.read_text()


REFRESH_TOKENS: Final = (
    "never used",
    "used",
    "its successor, used",
    "the successor of that",
    "revoked",
    "of a later sign-in",
    "with a browser",
    "of a consent withdrawn",
)
ACCESS_TOKENS: Final = (*REFRESH_TOKENS, "of a machine", "of a machine, revoked")


class TestWhatWasIssuedBefore:
    """S-07: replayed after the restore, everything is refused; what was alive, and what had been used or ended."""

    @pytest.mark.parametrize("name", REFRESH_TOKENS)
    def test_refresh_tokens_are_refused(self, restored: Restored, name: str) -> None:
        token, auth = restored.earlier.refresh_tokens[name]
        for _ in range(3):
            assert_refused(restored.service.refresh(token, auth=auth), 400, "invalid_grant")

    @pytest.mark.parametrize("name", ["redeemed", "not redeemed"])
    def test_codes_are_refused(self, restored: Restored, name: str) -> None:
        response = restored.service.redeem(restored.earlier.codes[name], client_id="app")
        assert_refused(response, 400, "invalid_grant")

    @pytest.mark.parametrize("name", ACCESS_TOKENS)
    def test_access_tokens_are_inactive_at_every_worker(self, restored: Restored, name: str) -> None:
        assert introspections(restored.service, restored.earlier.access_tokens[name]) == {False}

    @pytest.mark.parametrize("name", ACCESS_TOKENS)
    def test_access_tokens_are_refused_by_who_verifies_offline(self, restored: Restored, name: str) -> None:
        token = restored.earlier.access_tokens[name]
        wait_until(lambda: not is_accepted(restored.verifier, token))

    def test_status_lists_are_gone_for_good(self, restored: Restored) -> None:
        for uri in {list_uri(token) for token in restored.earlier.access_tokens.values()}:
            assert {plain.get(uri).status_code for _ in range(ASKED)} == {404}

    def test_a_browser_is_signed_in_no_more(self, restored: Restored) -> None:
        """Also that of somebody who never signed out: which sessions ended since, the backup cannot know."""
        for person in (restored.earlier.ada, restored.earlier.bob):
            assert has_field(person.open("/account"), "password")

    def test_a_sign_in_that_was_half_way_leads_nowhere(self, restored: Restored) -> None:
        person, page = restored.earlier.half_way
        arrived = person.sign_in(page)
        assert not arrived.headers.get("location", "").startswith(CALLBACK)
        assert not has_field(arrived, "decision")


class TestAfterwards:
    def test_says_what_was_copied_and_what_was_ended(self, restored: Restored) -> None:
        assert restored.backup["users"] == 2
        assert restored.backup["grants"] == 5
        assert restored.record["epoch"] > max(restored.backup["epoch"], time.time() - 600)
        assert restored.record["ended_grants"] == 5

    def test_the_log_of_the_service_says_so_once_for_each_worker(self, restored: Restored) -> None:
        said = f"WARNING a backup was restored: epoch {restored.record['epoch']}; everything issued before is over"
        assert restored.service.server.log.read_text().count(said) == 2

    def test_people_and_machines_get_tokens_that_work_everywhere(self, restored: Restored) -> None:
        service = restored.service
        for tokens in (service.person(auth=DESK) for _ in range(ASKED)):
            assert introspections(service, tokens["access_token"]) == {True}
            assert is_accepted(restored.verifier, tokens["access_token"])
            assert service.refresh(tokens["refresh_token"], auth=DESK).status_code == 200
        machines = [service.machine(auth=ROBOT) for _ in range(ASKED)]
        assert len({json.dumps(claims_of(token)["status"]) for token in machines}) == ASKED
        assert all(is_accepted(restored.verifier, token) for token in machines)

    def test_a_revocation_reaches_everybody_as_ever(self, restored: Restored) -> None:
        lost, kept = (restored.service.person(auth=DESK)["access_token"] for _ in range(2))
        assert is_accepted(restored.verifier, lost)
        assert restored.service.post("/oauth/revoke", {"token": lost}, auth=DESK).status_code == 200
        assert introspections(restored.service, lost) == {False}
        wait_until(lambda: not is_accepted(restored.verifier, lost))
        assert is_accepted(restored.verifier, kept)

    def test_passwords_and_consents_are_those_of_the_backup(self, restored: Restored) -> None:
        with restored.service.browser() as person:
            page = person.sign_in(person.authorize("app", scope="openid offline_access read"))
            assert answer(page)["code"], "ada allowed it before the backup and never took it back"

    def test_a_consent_that_was_withdrawn_since_is_asked_for_again(self, restored: Restored) -> None:
        with restored.service.browser() as person:
            page = person.sign_in(person.authorize("app", scope="openid read"), "bob", PASSWORD)
            assert has_field(page, "decision")


class Load(Thread):
    """Somebody who signs in without pause; remembers what was acknowledged, and when."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.acknowledged: list[dict[str, Any]] = []
        self.refusals: list[int] = []
        self.stopped = Event()
        self._url = url

    def run(self) -> None:
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        with httpx.Client(base_url=self._url, timeout=WITHIN, verify=False, auth=DESK) as http:
            while not self.stopped.is_set():
                response = http.post("/oauth/token", data=form)
                if response.status_code == 200:
                    self.acknowledged.append(response.json())
                else:
                    self.refusals.append(response.status_code)


def positions(tokens: list[dict[str, Any]]) -> set[int]:
    found = set()
    for each in tokens:
        listed = claims_of(each["access_token"])["status"]["status_list"]
        name = listed["uri"].rpartition("/")[2]
        position = status_list.position_of(name, listed["idx"], epoch=int(name.partition("-")[0]))
        assert position is not None
        found.add(position)
    return found


class TestUnderLoad:
    def test_a_backup_has_all_that_was_acknowledged_and_a_restore_ends_all_of_it(self, tmp_path: Path) -> None:
        service = service_at(tmp_path / "service", workers=2)
        with service:
            load = [Load(service.server.url) for _ in range(3)]
            for each in load:
                each.start()
            try:
                wait_until(lambda: all(len(each.acknowledged) >= 3 for each in load))
                preceding = [tokens for each in load for tokens in each.acknowledged]
                operate(service, "backup", str(tmp_path / "one.backup"))
                seen = [len(each.acknowledged) for each in load]
                wait_until(lambda: all(len(each.acknowledged) > count for each, count in zip(load, seen, strict=True)))
                before = [tokens for each in load for tokens in each.acknowledged]
                epoch = operate(service, "restore", str(tmp_path / "one.backup"), "--yes")["epoch"]
                wait_until(lambda: all(_is_of(each.acknowledged[-1], epoch) for each in load))
            finally:
                for each in load:
                    each.stopped.set()
                    each.join()
            wait_until(lambda: is_ready(service))
            with closing(sqlite3.connect(tmp_path / "one.backup")) as copy:
                copied = {position for (position,) in copy.execute("SELECT position FROM grants")}
            assert positions(preceding) <= copied
            assert {status for each in load for status in each.refusals} <= {400, 503}
            for tokens in (preceding[0], preceding[-1], before[-1]):
                assert_refused(service.refresh(tokens["refresh_token"], auth=DESK), 400, "invalid_grant")
                assert introspections(service, tokens["access_token"]) == {False}
            for tokens in (each.acknowledged[-1] for each in load):
                assert service.refresh(tokens["refresh_token"], auth=DESK).status_code == 200
        assert "Traceback" not in service.server.log.read_text()


def _is_of(tokens: dict[str, Any], epoch: int) -> bool:
    return list_uri(tokens["access_token"]).rpartition("/")[2].startswith(f"{epoch}-")


class TestALostDatabase:
    def test_is_replaced_and_the_service_says_that_it_has_to_be_restarted(self, tmp_path: Path) -> None:
        """Nobody can say then which epoch it had: that of the restore is new all the same."""
        service = service_at(tmp_path / "service")
        file = tmp_path / "one.backup"
        with service:
            first = service.person(auth=DESK)
            operate(service, "backup", str(file))
            operate(service, "restore", str(file), "--yes")
            wait_until(lambda: service.token(_PERSON, auth=DESK).status_code == 200)
            second = service.person(auth=DESK)
            service.home.source.database.rename(tmp_path / "lost.db")
            operate(service, "restore", str(file), "--yes")
            wait_until(lambda: service.post("/oauth/introspect", {"token": "x"}, auth=DESK).status_code == 503)
            assert service.http.get("/readyz").status_code == 503
            for path, form in (("/oauth/introspect", {"token": second["access_token"]}), ("/oauth/token", _PERSON)):
                assert_refused(service.post(path, form, auth=DESK), 503, "temporarily_unavailable")
            service.server.stop()
            service.server = LiveServer(service.home.path, port=service.server.port).start()
            for tokens in (first, second):
                assert_refused(service.refresh(tokens["refresh_token"], auth=DESK), 400, "invalid_grant")
                assert not service.is_active(tokens["access_token"], auth=DESK)
            assert service.is_active(service.person(auth=DESK)["access_token"], auth=DESK)


_PERSON: Final = {"grant_type": "password", "username": "ada", "password": PASSWORD}
