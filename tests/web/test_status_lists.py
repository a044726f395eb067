"""Published status lists (draft-ietf-oauth-status-list-21): what verifiers get, how soon, for how long it is good."""

import asyncio
import gzip
import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct

from jwtauth.issuer.status_lists import PERIOD_IN
from jwtauth.keyring import rotation
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol import status_list
from jwtauth.protocol.claims import GRACE_IN
from jwtauth.protocol.status_list import LIST_SIZE, MAX_LENGTH, StatusListToken
from jwtauth.web import server as web_server
from jwtauth.web import status
from jwtauth.web.types import HTTPScope, Message
from tests.endpoints.conftest import Desk
from tests.support import forking, plain, waiting
from tests.support.home import Home
from tests.web.site import Site, claims_of, decoded, populate

LIST = f"{status.PATH}/1-0"
EVENTS = f"{status.PATH}/events"
WITHIN = 60.0
wait_until = partial(waiting.wait_until, within=WITHIN)
ROUNDS = 3
"""A deadline for what ought to happen at once, in seconds."""


class Answer(Struct, frozen=True):
    """What the ASGI callable said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> StatusListToken:
        return status_list.read(decoded(self.body.decode().split(".")[1]))


def ask(desk: Desk, name: str = "1-0", *, handler: Any = None, method: str = "GET", **headers: str) -> Answer:
    """A request below `/oauth/status` of an issuer whose clock a test moves."""
    return desk.run(talk(handler or status.handler(desk.issuer, status.PATH), name, method=method, **headers))


async def talk(handler: Any, name: str, *, method: str = "GET", **headers: str) -> Answer:
    sent: list[Message] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    await asyncio.wait_for(handler(scope(name, method=method, **headers), receive, send), WITHIN)
    start: Any = sent[0]
    body = b"".join(message["body"] for message in sent[1:] if message["type"] == "http.response.body")
    return Answer(start["status"], {key.decode(): value.decode() for key, value in start["headers"]}, body)


def scope(name: str, *, method: str = "GET", **headers: str) -> HTTPScope:
    encoded = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    path = f"{status.PATH}/{name}".rstrip("/")
    found: HTTPScope = {"type": "http", "method": method, "path": path, "headers": encoded}  # type: ignore[typeddict-item]
    return found


def pointed(access_token: str) -> tuple[str, int]:
    """The list's URI and the index that a token names."""
    listed = claims_of(access_token)["status"]["status_list"]
    return listed["uri"], listed["idx"]


def execute(home: Home, statement: str, *values: object) -> list[Any]:
    """Ask or change the database behind the service's back."""
    with closing(sqlite3.connect(home.source.database, timeout=10)) as database, database:
        return database.execute(statement, values).fetchall()


def is_set(token: StatusListToken, access_token: str) -> bool:
    return status_list.status_of(status_list.decode(token.status_list.lst), pointed(access_token)[1]) == 1


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    """With the client `service` and the person `ada`."""
    home.client("service")
    home.user("ada")
    desk = Desk(home)
    yield desk
    desk.close()


class TestAList:  # section 5.1
    def test_is_signed_with_a_published_key_and_has_its_own_type(self, desk: Desk) -> None:
        found = ask(desk)
        assert found.status == 200
        assert found.headers["content-type"] == "application/statuslist+jwt"
        payload = desk.issuer.keyring.open(found.body.decode(), typ="statuslist+jwt", now=desk.issuer.now())
        assert payload == decoded(found.body.decode().split(".")[1])

    def test_is_at_the_uri_that_tokens_name_and_says_so(self, desk: Desk) -> None:
        uri, _ = pointed(desk.person().access_token)
        found = ask(desk, uri.rpartition("/")[2])
        assert found.token.sub == uri
        status_list.check(found.token, uri=uri, issuer=desk.issuer.settings.issuer, now=desk.issuer.now())

    def test_has_a_bit_for_every_position_and_sets_those_that_were_revoked(self, desk: Desk) -> None:
        dead, live = desk.person().access_token, desk.person().access_token
        desk.revoke(dead)
        token = ask(desk).token
        assert (is_set(token, dead), is_set(token, live)) == (True, False)
        statuses = status_list.decode(token.status_list.lst)
        assert token.status_list.bits == 1
        assert len(statuses) == MAX_LENGTH
        assert sum(byte.bit_count() for byte in statuses) == 1

    def test_says_how_long_it_is_used(self, home: Home) -> None:
        (home.path / "jwtauth.toml").write_text("status_list_ttl = 7\nargon2_memory = 8192\nargon2_passes = 1\n")
        desk = Desk(home)
        token = ask(desk).token
        desk.close()
        assert token.ttl == 7
        assert token.iat == desk.clock.at
        assert PERIOD_IN <= token.exp - token.iat <= 2 * PERIOD_IN

    def test_may_be_kept_but_must_be_asked_about(self, desk: Desk) -> None:
        assert ask(desk).headers["cache-control"] == "max-age=0"
        assert ask(desk).headers["vary"] == "accept-encoding"

    @pytest.mark.parametrize("name", ["1-1", "2-0", "0-0", "01-0", "1-00", "1--1", "1-0/", "x", "1", f"1-{'9' * 18}"])
    def test_is_404_of_another_epoch_a_list_not_begun_or_no_list(self, desk: Desk, name: str) -> None:
        found = ask(desk, f"{name}x" if name.endswith("/") else name)
        assert found.status == 404
        assert found.headers["cache-control"] == "no-store"

    def test_of_a_restored_database_has_another_name(self, home: Home) -> None:
        execute(home, "UPDATE state SET epoch = epoch + 1")
        restored = Desk(home)
        assert (ask(restored, "1-0").status, ask(restored, "2-0").status) == (404, 200)
        restored.close()

    def test_is_small_with_a_million_live_positions_and_a_thousand_revoked(self, home: Home, desk: Desk) -> None:
        client = desk.run(desk.issuer.store.directory.client("service"))
        assert client is not None
        positions, now = desk.issuer.store.positions, desk.issuer.now()
        for _ in range(16):
            assert desk.run(positions.take_block(client, size=65_535, use_until=now + 60, now=now)) is not None

        async def deny() -> None:
            chosen = random.Random(1).sample(range(1_000_000), 1_000)
            await asyncio.gather(*[positions.deny(position, now=now) for position in chosen])

        desk.run(deny())
        assert len(ask(desk).body) < 5_000
        assert sum(byte.bit_count() for byte in positions.denied_in(0)) == 1_000
        assert len(ask(desk, accept_encoding="gzip").body) < 4_000


class TestETag:  # RFC 9110 section 13.1.2
    def test_is_answered_304_while_nothing_changes(self, desk: Desk) -> None:
        etag = ask(desk).headers["etag"]
        for known in (etag, etag.removeprefix("W/"), f'"other", {etag}'):
            found = ask(desk, if_none_match=known)
            assert (found.status, found.body, found.headers["etag"]) == (304, b"", etag)
        assert ask(desk, if_none_match='W/"other"').status == 200

    def test_changes_with_a_revocation_in_its_list(self, desk: Desk) -> None:
        token = desk.person().access_token
        before = ask(desk).headers["etag"]
        desk.revoke(token)
        found = ask(desk, if_none_match=before)
        assert found.status == 200
        assert is_set(found.token, token)

    def test_stays_with_a_sign_in_and_with_a_revocation_in_another_list(self, home: Home, desk: Desk) -> None:
        desk.person()
        execute(home, "UPDATE state SET next_position = ?", LIST_SIZE)
        before = ask(desk).headers["etag"]
        desk.revoke(desk.person().access_token)
        assert ask(desk, if_none_match=before).status == 304
        assert ask(desk, "1-1").headers["etag"] != before

    def test_changes_with_an_emergency_rotation(self, home: Home, desk: Desk) -> None:
        """The list in hand was signed with a key that nobody may trust any more."""
        before = ask(desk)
        rotation.replace_now(KeyFolder(home.source.keys), "ES256", now=desk.clock.at)
        desk.run(desk.issuer.store.administration.announce_keys())
        found = ask(desk, if_none_match=before.headers["etag"])
        assert found.status == 200
        desk.issuer.keyring.open(found.body.decode(), typ=status_list.TYPE, now=desk.issuer.now())

    def test_is_never_answered_304_past_the_expiry_of_the_copy(self, desk: Desk) -> None:
        desk.clock.at += PERIOD_IN - desk.clock.at % PERIOD_IN - 1  # the last second of a period
        copy = ask(desk)
        statuses = []
        for _ in range(100):
            desk.clock.move(PERIOD_IN // 20)
            found = ask(desk, if_none_match=copy.headers["etag"])
            statuses.append(found.status)
            if found.status == 200:
                copy = found
            assert desk.clock.at + PERIOD_IN // 2 < copy.token.exp
        assert 5 <= statuses.count(200) <= 6


class TestEncoding:  # RFC 9110 section 12.5.3
    @pytest.mark.parametrize("accepted", ["gzip", "br, gzip", "gzip;q=0.5, br", "GZIP", "identity;q=0.1,gzip;q=1.0"])
    def test_is_gzip_for_those_who_take_it(self, desk: Desk, accepted: str) -> None:
        found = ask(desk, accept_encoding=accepted)
        assert found.headers["content-encoding"] == "gzip"
        assert gzip.decompress(found.body) == ask(desk).body

    @pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, br", "xgzipx"])
    def test_is_plain_for_others(self, desk: Desk, accepted: str) -> None:
        found = ask(desk, accept_encoding=accepted)
        assert "content-encoding" not in found.headers
        assert found.token.sub


class TestLifeOfAList:
    def test_ends_when_the_last_token_that_may_name_it_has_expired(self, home: Home, desk: Desk) -> None:
        answer = desk.person()
        execute(home, "UPDATE state SET next_position = ?", LIST_SIZE)
        lifetime = desk.issuer.settings.max_token_lifetime
        ((expires_at,),) = execute(home, "SELECT expires_at FROM grants")
        desk.clock.at = expires_at + lifetime + GRACE_IN - 1
        sweep(desk)
        assert ask(desk).status == 200
        assert uris(desk) == ["1-0", "1-1"]
        desk.clock.move(1)
        sweep(desk)
        assert ask(desk).status == 404
        assert uris(desk) == ["1-1"]
        assert pointed(answer.access_token)[0].endswith("/1-0")

    def test_of_machine_tokens_ends_with_the_last_block(self, home: Home, desk: Desk) -> None:
        desk.token(grant_type="client_credentials")
        execute(home, "UPDATE state SET next_position = ?", LIST_SIZE)
        ((use_until,),) = execute(home, "SELECT use_until FROM blocks")
        desk.clock.at = use_until + desk.issuer.settings.max_token_lifetime + GRACE_IN - 1
        sweep(desk)
        assert ask(desk).status == 200
        desk.clock.move(1)
        sweep(desk)
        assert ask(desk).status == 404

    def test_in_use_is_there_before_its_first_token(self, desk: Desk) -> None:
        assert ask(desk).status == 200


def sweep(desk: Desk) -> None:
    """An ordinary write, in which rows go that nobody needs any more."""
    assert desk.person()


def uris(desk: Desk) -> list[str]:
    """The names of all lists."""
    found = ask(desk, "")
    assert found.headers["content-type"] == "application/json"
    return [uri.rpartition("/")[2] for uri in json.loads(found.body)["status_lists"]]


class TestAggregation:  # section 9.3
    def test_names_the_lists_that_tokens_name(self, home: Home, desk: Desk) -> None:
        named = [pointed(desk.person().access_token)[0]]
        execute(home, "UPDATE state SET next_position = ?", 3 * LIST_SIZE)
        named.append(pointed(desk.person().access_token)[0])
        assert json.loads(ask(desk, "").body) == {"status_lists": named}
        assert [uri.rpartition("/")[2] for uri in named] == ["1-0", "1-3"]


class TestListeners:
    def test_are_bounded(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jwtauth.web.status.MAX_LISTENERS", 2)
        handler = status.handler(desk.issuer, status.PATH)

        async def story() -> tuple[Answer, Answer]:
            listeners = [await Listener(handler).begun() for _ in range(2)]
            refused = await talk(handler, "events")
            await listeners[0].leave()
            another = await Listener(handler).begun()  # the place is free again
            refused_again = await talk(handler, "events")
            for listener in (listeners[1], another):
                await listener.leave()
            return refused, refused_again

        for refused in desk.run(story()):
            assert refused.status == 503
            assert refused.headers["retry-after"] == "60"
            assert refused.headers["access-control-allow-origin"] == "*"
            assert json.loads(refused.body)["error"] == "temporarily_unavailable"

    def test_who_only_asks_for_the_head_take_no_place(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jwtauth.web.status.MAX_LISTENERS", 1)
        handler = status.handler(desk.issuer, status.PATH)
        answers = [ask(desk, "events", handler=handler, method="HEAD") for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[0].headers["content-type"] == "text/event-stream"

    def test_are_let_go_where_the_database_was_restored(self, home: Home, desk: Desk) -> None:
        """Too late for a 503: the stream ends as it should."""

        async def story() -> list[Any]:
            listener = await Listener(status.handler(desk.issuer, status.PATH)).begun()
            execute(home, "UPDATE state SET epoch = epoch + 1")
            await asyncio.wait_for(listener.task, WITHIN)
            return listener.sent

        sent = desk.run(story())
        assert sent[0]["status"] == 200
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        assert ask(desk).status == 503


class Listener:
    """Somebody who keeps a stream open."""

    def __init__(self, handler: Any) -> None:
        self.sent: list[Any] = []
        self.left = asyncio.Event()
        self.is_heard = asyncio.Event()
        self.task = asyncio.ensure_future(handler(scope("events"), self.receive, self.send))

    async def begun(self) -> "Listener":
        await asyncio.wait_for(self.is_heard.wait(), WITHIN)
        assert self.sent[0]["status"] == 200
        return self

    async def leave(self) -> None:
        self.left.set()
        await asyncio.wait_for(self.task, WITHIN)

    async def receive(self) -> Any:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.is_heard.set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two workers."""
    site = Site(tmp_path_factory.mktemp("lists"), workers=2)
    name_issuer(site)
    populate(site)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


def name_issuer(site: Site) -> None:
    """Write down the address at which the service is its own issuer, so that commands know whose tokens are ours."""
    with (site.home.path / "jwtauth.toml").open("a") as settings:
        settings.write(f'issuer = "{site.server.url}"\n')


def fetched_by_both(site: Site) -> list[httpx.Response]:
    """The list as each of the two workers signed it: signatures differ, for ECDSA has a random part."""
    found: dict[bytes, httpx.Response] = {}
    deadline = time.monotonic() + WITHIN
    while len(found) < 2 and time.monotonic() < deadline:
        response = plain.get(site.server.url + LIST)
        found.setdefault(response.content.rpartition(b".")[2], response)
    assert len(found) == 2
    return list(found.values())


def jwtauth(path: Path, *arguments: str) -> Any:
    """A command in a process of its own, as an operator types it beside the running service."""
    done = forking.run(*arguments, "--json", folder=path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestTwoWorkers:
    def test_have_the_same_etag_before_and_after_a_revocation(self, site: Site) -> None:
        token = site.machine()
        before = fetched_by_both(site)
        jwtauth(site.home.path, "token", "revoke", token)
        after = fetched_by_both(site)
        assert len({response.headers["etag"] for response in before}) == 1
        assert len({response.headers["etag"] for response in after}) == 1
        assert before[0].headers["etag"] != after[0].headers["etag"]
        bits = [is_set(status_list.read(decoded(response.text.split(".")[1])), token) for response in (*before, *after)]
        assert bits == [False, False, True, True]

    def test_answer_304_to_the_etag_of_the_other(self, site: Site) -> None:
        etag = fetched_by_both(site)[0].headers["etag"]
        answers = [plain.get(site.server.url + LIST, headers={"if-none-match": etag}) for _ in range(12)]
        assert {answer.status_code for answer in answers} == {304}

    def test_have_another_etag_after_an_emergency_rotation(self, site: Site) -> None:
        before = fetched_by_both(site)[0].headers["etag"]
        jwtauth(site.home.path, "keys", "rotate", "--now", "--yes")
        after = fetched_by_both(site)
        assert len({response.headers["etag"] for response in after} - {before}) == 1
        kids = {key["kid"] for key in site.http.get("/.well-known/jwks.json").json()["keys"]}
        assert {json.loads(decoded(response.text.split(".")[0]))["kid"] for response in after} <= kids


class TestHttp:
    def test_head_is_get_without_the_body(self, site: Site) -> None:
        for path in (LIST, status.PATH):
            shown, headed = (site.http.request(method, path) for method in ("GET", "HEAD"))
            assert (headed.status_code, headed.content) == (200, b"")
            headed.headers.pop("date")
            assert headed.headers.items() <= shown.headers.items()

    def test_head_of_the_news_leaves_the_connection_usable(self, site: Site) -> None:
        assert site.http.head(EVENTS).headers["content-type"] == "text/event-stream"
        assert site.http.get(LIST).status_code == 200

    def test_gzip_unpacks_to_the_same(self, site: Site) -> None:
        zipped = site.http.get(LIST, headers={"accept-encoding": "gzip"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.headers["content-type"] == "application/statuslist+jwt"
        assert zipped.text.count(".") == 2

    @pytest.mark.parametrize("path", [LIST, status.PATH, f"{status.PATH}/", f"{status.PATH}/9-9"])
    def test_scripts_of_every_origin_may_read(self, site: Site, path: str) -> None:
        response = site.http.get(path, headers={"origin": "https://anybody.example"})
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers
        assert "etag" in response.headers["access-control-expose-headers"]

    def test_scripts_of_every_origin_may_ask_whether_their_copy_is_good(self, site: Site) -> None:
        asked = {"origin": "https://anybody.example", "access-control-request-method": "GET"}
        response = site.http.options(LIST, headers={**asked, "access-control-request-headers": "if-none-match"})
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-headers"] == "if-none-match"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_other_methods_are_refused(self, site: Site, method: str) -> None:
        response = site.http.request(method, LIST)
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, HEAD, OPTIONS"
        assert response.headers["access-control-allow-origin"] == "*"

    def test_metadata_names_the_list_of_lists(self, site: Site) -> None:
        for document in ("oauth-authorization-server", "openid-configuration"):
            metadata = site.http.get(f"/.well-known/{document}").json()
            uri = metadata["status_list_aggregation_endpoint"]
            assert uri == site.server.url + status.PATH
            lists = plain.get(uri).json()["status_lists"]
            assert pointed(site.machine())[0] in lists
            assert {plain.get(uri).status_code for uri in lists} == {200}


class Ear(Thread):
    """Listens to the news until the stream ends; remembers each changed list and when it was told."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.changed: list[tuple[float, str]] = []
        self.is_listening = False
        self._url = url

    def run(self) -> None:
        # A stream that a stopping server cuts off is what one of the tests is about.
        with suppress(httpx.TransportError), httpx.stream("GET", self._url + EVENTS, timeout=30) as response:
            assert response.headers["content-type"] == "text/event-stream"
            for line in response.iter_lines():
                self.is_listening = True
                if line.startswith("data: "):
                    self.changed.append((time.monotonic(), msgspec.json.decode(line[6:])["uri"]))

    def __enter__(self) -> "Ear":
        self.start()
        wait_until(lambda: self.is_listening)
        return self

    def __exit__(self, *problem: object) -> None:
        pass  # a daemon: it ends with the server, or with the tests


class TestNews:
    def test_come_within_a_second_of_a_revocation_by_another_process(self, site: Site) -> None:
        """In one round at least: a machine that has other work delays some."""
        other = site.machine()
        took = []
        with Ear(site.server.url) as first, Ear(site.server.url) as second:
            for number in range(1, ROUNDS + 1):
                token = site.machine()
                jwtauth(site.home.path, "token", "revoke", token)
                committed_by = time.monotonic()
                wait_until(lambda: len(first.changed) == len(second.changed) == number)  # noqa: B023 - asked at once
                told = (first.changed[-1], second.changed[-1])
                took.append(max(told_at for told_at, _ in told) - committed_by)
                assert [uri for _, uri in told] == [pointed(token)[0]] * 2
                published = status_list.read(decoded(plain.get(pointed(token)[0]).text.split(".")[1]))
                assert is_set(published, token)
        assert min(took) < 1.0
        assert site.is_active(other)

    def test_are_not_told_where_a_token_was_issued(self, site: Site) -> None:
        with Ear(site.server.url) as ear:
            site.person()
            dead = site.machine()
            jwtauth(site.home.path, "token", "revoke", dead)
            wait_until(lambda: ear.changed)
            assert len(ear.changed) == 1


class TestStop:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_takes_no_longer_because_somebody_listens(self, home: Home, workers: int) -> None:
        site = Site(home.path, workers=workers)
        with site:
            ears = [Ear(site.server.url).__enter__() for _ in range(4)]
            began = time.monotonic()
            site.server.stop()
            assert time.monotonic() - began < web_server.GRACE_IN / 2
            for ear in ears:
                ear.join(WITHIN)
                assert not ear.is_alive()
        assert "Traceback" not in site.server.log.read_text()
