"""Tokens of a second, real server exchanged for ours: proven in every way, refused in every way, once each."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest

from jwtauth.issuer.upstreams import AT_ONCE
from jwtauth.keyring import jws
from jwtauth.outside.upstream import ANSWER_IN
from jwtauth.protocol.external_token import REFUSED, UNKNOWN_LIFE_IN
from tests.outside.liar import Liar, Saying
from tests.stories.two_servers import THERE, WAYS, TwoServers, running
from tests.support.home import PASSWORD, SECRET
from tests.support.live import free_port
from tests.web.site import RESOURCE, claims_of
from tests.web.test_forgeries import mirrored

WITHIN: Final = ANSWER_IN + 4
"""In so many seconds every refusal is there, on a machine that others use too."""

NO_GRANT: Final = (400, "invalid_grant", REFUSED)
NUMBERS = iter(range(1_000))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServers]:
    yield from running(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def liar() -> Iterator[Liar]:
    with Liar() as liar:
        yield liar


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    return response.status_code, response.json()["error"], response.json()["error_description"]


@contextmanager
def issuing_nothing(pair: TwoServers) -> Iterator[None]:
    """Whatever happens inside starts no grant and uses no foreign token up."""
    tables = ("grants", "exchanged")
    before = pair.here.dump(tables)
    yield
    assert pair.here.dump(tables) == before


def until_over(pair: TwoServers, token: str) -> None:
    """Return once the foreign token is not active there any more."""
    deadline = time.monotonic() + 10
    while pair.there.is_active(token, auth=("portal", SECRET)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestAForeignToken:
    @pytest.mark.parametrize("way", [*WAYS, "there"])
    def test_is_exchanged_for_one_of_ours(self, pair: TwoServers, way: str) -> None:
        answer = pair.exchange(way, pair.foreign_token(scope="openid profile read"), scope="read")
        assert answer.status_code == 200, answer.text
        given = answer.json()
        assert given["scope"] == "read"
        said = pair.here.post("/oauth/introspect", {"token": given["access_token"]}, auth=(way, SECRET)).json()
        assert (said["active"], said["username"], said["client_id"]) == (True, "ada", way)
        assert said["authorities"] == ["ROLE_USER"]
        assert said["exp"] - said["iat"] == given["expires_in"]

    @pytest.mark.parametrize("way", ["introspection", "keys"])
    def test_gives_a_refresh_token_that_ends_before_it(self, pair: TwoServers, way: str) -> None:
        given = pair.exchange(way, pair.foreign_token(by="lasting")).json()
        over_at = time.time() + 7_200
        assert given["expires_in"] == 1_800
        refreshed = pair.here.refresh(given["refresh_token"], auth=(way, SECRET))
        assert refreshed.status_code == 200, refreshed.text
        assert refreshed.json()["expires_in"] <= 1_800
        *_, newest = pair.here.dump(["grants"])["grants"]
        ends_at = newest[11]
        assert over_at - 60 < ends_at <= over_at + 1

    def test_gives_a_life_no_longer_than_its_own(self, pair: TwoServers) -> None:
        given = pair.exchange("introspection", pair.foreign_token(by="fleeting")).json()
        assert 0 < given["expires_in"] <= 900
        refreshed = pair.here.refresh(given["refresh_token"], auth=("introspection", SECRET))
        assert refreshed.json()["expires_in"] <= given["expires_in"]

    def test_gives_a_short_life_where_nobody_says_how_long_its_own_is(self, pair: TwoServers) -> None:
        given = pair.exchange("userinfo", pair.foreign_token(by="lasting")).json()
        assert given["expires_in"] == UNKNOWN_LIFE_IN
        assert "refresh_token" not in given

    def test_is_nowhere_to_be_found_afterwards(self, pair: TwoServers) -> None:
        """Neither it, nor the foreign refresh token, nor a password, nor our secret at the upstream."""
        token = pair.foreign_token()
        secret = pair.foreign()["refresh_token"]
        assert pair.exchange("introspection", token, refresh_token=secret).status_code == 200
        assert refusal(pair.exchange("introspection", token, refresh_token=secret)) == NO_GRANT
        kept = b"".join(path.read_bytes() for path in pair.here.home.path.glob("jwtauth.db*"))
        kept += pair.here.server.log.read_bytes()
        for value in (token, secret, PASSWORD, THERE, SECRET):
            assert value.encode() not in kept


class TestRefusal:
    @pytest.mark.parametrize("way", ["introspection", "userinfo", "there"])
    def test_of_what_was_revoked_there(self, pair: TwoServers, way: str) -> None:
        token = pair.foreign_token()
        assert pair.there.post("/oauth/revoke", {"token": token}, auth=("portal", SECRET)).status_code == 200
        with issuing_nothing(pair):
            assert refusal(pair.exchange(way, token)) == NO_GRANT

    @pytest.mark.parametrize("way", WAYS)
    def test_of_what_expired(self, pair: TwoServers, way: str) -> None:
        token = pair.foreign_token(by="brief")
        until_over(pair, token)
        with issuing_nothing(pair):
            assert refusal(pair.exchange(way, token)) == NO_GRANT

    @pytest.mark.parametrize("way", WAYS)
    def test_of_another_persons(self, pair: TwoServers, way: str) -> None:
        token = pair.foreign_token("bob")
        with issuing_nothing(pair):
            assert refusal(pair.exchange(way, token)) == NO_GRANT
            assert refusal(pair.exchange(way, pair.foreign_token("mallory"), "mallory")) == NO_GRANT
        assert pair.exchange(way, token, "bob").status_code == 200

    @pytest.mark.parametrize("way", WAYS)
    def test_of_a_wrong_password_leaves_the_token_as_good_as_it_was(self, pair: TwoServers, way: str) -> None:
        token = pair.foreign_token()
        with issuing_nothing(pair):
            assert refusal(pair.exchange(way, token, password=THERE)) == NO_GRANT
            assert refusal(pair.exchange(way, token, "nobody-of-that-name")) == NO_GRANT
        assert pair.exchange(way, token).status_code == 200

    @pytest.mark.parametrize("way", ["introspection", "keys"])
    def test_of_what_is_for_another_audience(self, pair: TwoServers, way: str) -> None:
        with issuing_nothing(pair):
            assert refusal(pair.exchange(way, pair.foreign_token(resource=RESOURCE))) == NO_GRANT

    @pytest.mark.parametrize("way", WAYS)
    def test_of_what_is_no_access_token(self, pair: TwoServers, way: str) -> None:
        forged = pair.foreign_token()[:-8] + "AAAAAAAA"
        with issuing_nothing(pair):
            for token in ("x", "a b", "line\nbreak", "é", "x" * 17_000, pair.foreign()["refresh_token"], forged):
                assert refusal(pair.exchange(way, token)) == NO_GRANT, token[:20]

    @pytest.mark.parametrize("way", WAYS)
    def test_of_a_token_of_ours(self, pair: TwoServers, way: str) -> None:
        ours = pair.exchange("introspection", pair.foreign_token()).json()["access_token"]
        with issuing_nothing(pair):
            assert refusal(pair.exchange(way, ours)) == NO_GRANT

    def test_of_a_client_whose_realm_trusts_nobody(self, pair: TwoServers) -> None:
        token = pair.foreign_token()
        assert refusal(pair.exchange("untrusting", token))[:2] == (400, "unsupported_grant_type")

    def test_of_a_client_without_the_grant(self, pair: TwoServers) -> None:
        assert refusal(pair.exchange("plain", pair.foreign_token()))[:2] == (400, "unauthorized_client")

    @pytest.mark.parametrize("missing", ["username", "password", "access_token"])
    def test_of_a_request_that_lacks_a_parameter(self, pair: TwoServers, missing: str) -> None:
        form = {"grant_type": "external_token", "username": "ada", "password": PASSWORD, "access_token": "t"}
        answer = pair.here.token(
            {name: value for name, value in form.items() if name != missing}, auth=("keys", SECRET)
        )
        status, code, description = refusal(answer)
        assert (status, code) == (400, "invalid_request")
        assert missing in description


class TestReplay:
    @pytest.mark.parametrize("way", WAYS)
    def test_is_refused_to_everybody(self, pair: TwoServers, way: str) -> None:
        token = pair.foreign_token()
        assert pair.exchange(way, token).status_code == 200
        with issuing_nothing(pair):
            assert refusal(pair.exchange(way, token)) == NO_GRANT
            assert refusal(pair.exchange(way, token, "bob")) == NO_GRANT
        second = pair.exchange(way, pair.foreign_token())
        assert second.status_code == 200, "another token of the same person is another token"

    @pytest.mark.parametrize("way", WAYS)
    def test_by_another_client_is_refused(self, pair: TwoServers, way: str) -> None:
        token = pair.foreign_token()
        assert pair.exchange(way, token).status_code == 200
        with issuing_nothing(pair):
            answer = pair.here.token(
                {"grant_type": "external_token", "username": "ada", "password": PASSWORD, "access_token": token},
                auth=(f"{way}-second", SECRET),
            )
            assert refusal(answer) == NO_GRANT

    def test_under_another_spelling_is_refused(self, pair: TwoServers) -> None:
        """SECURITY J-08: s and n - s are one signature."""
        token = pair.foreign_token()
        assert pair.exchange("keys", token).status_code == 200
        with issuing_nothing(pair):
            for spelling in (mirrored(token), f"{token}="):
                assert refusal(pair.exchange("keys", spelling)) == NO_GRANT
        fresh = mirrored(pair.foreign_token())
        assert pair.exchange("keys", fresh).status_code == 200, "it is the replay that is refused"

    @pytest.mark.parametrize("way", WAYS)
    def test_by_many_at_once_has_one_winner(self, pair: TwoServers, way: str) -> None:
        token = pair.foreign_token()
        before = len(pair.here.dump(["grants"])["grants"])
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: pair.exchange(way, token), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        assert {refusal(answer) for answer in answers if answer.status_code == 400} == {NO_GRANT}
        assert len(pair.here.dump(["grants"])["grants"]) == before + 1

    def test_after_the_grant_was_revoked_is_refused(self, pair: TwoServers) -> None:
        token = pair.foreign_token()
        ours = pair.exchange("keys", token).json()["access_token"]
        assert pair.here.post("/oauth/revoke", {"token": ours}, auth=("keys", SECRET)).status_code == 200
        assert refusal(pair.exchange("keys", token)) == NO_GRANT


class TestAPasswordCheckedThere:
    def test_is_the_one_that_counts(self, pair: TwoServers) -> None:
        token = pair.foreign_token("bob")
        with issuing_nothing(pair):
            assert refusal(pair.exchange("there", token, "bob", password=PASSWORD)) == NO_GRANT
        assert pair.exchange("there", token, "bob", password=THERE).status_code == 200

    def test_is_no_use_to_who_is_not_known_here(self, pair: TwoServers) -> None:
        with issuing_nothing(pair):
            assert refusal(pair.exchange("there", pair.foreign_token("mallory"), "mallory")) == NO_GRANT


Trust = Callable[..., str]


@pytest.fixture
def trust(pair: TwoServers, liar: Liar) -> Trust:
    """A realm that trusts the liar for one thing, and the real server for the others."""

    def make(way: str, url: str = "", **more: Any) -> str:
        to, name = url or liar.url, f"{way}-{next(NUMBERS)}"
        members: dict[str, Any] = {
            "introspection": {"introspection_uri": f"{to}/introspect"},
            "userinfo": {"userinfo_uri": f"{to}/userinfo"},
            "keys": {"jwks_uri": f"{to}/jwks", "issuer": pair.there.server.url, "audience": pair.audience},
            "passwords": {"checks_passwords": True, **pair.members("introspection")},
        }[way]
        pair.trust(name, url=to, **members, **more)
        pair.join("ada", name)
        return name

    return make


class TestAnUpstream:
    """Each clear, each in time, and nothing issued."""

    def unavailable(self, pair: TwoServers, realm: str, token: str) -> None:
        began = time.monotonic()
        with issuing_nothing(pair):
            answer = pair.exchange(realm, token)
        assert time.monotonic() - began < WITHIN
        assert refusal(answer)[:2] == (503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert SECRET not in answer.text

    @pytest.mark.parametrize("way", [*WAYS, "passwords"])
    def test_that_is_stopped(self, pair: TwoServers, trust: Trust, way: str) -> None:
        token = pair.foreign_token()
        self.unavailable(pair, trust(way, f"http://127.0.0.1:{free_port()}"), token)
        assert pair.exchange("keys", token).status_code == 200, "the foreign token was not used up"

    @pytest.mark.parametrize("way", ["keys", "passwords"])
    def test_that_never_answers(self, pair: TwoServers, trust: Trust, liar: Liar, way: str) -> None:
        liar.hangs = True
        self.unavailable(pair, trust(way), pair.foreign_token())
        assert liar.asked

    @pytest.mark.parametrize("way", [*WAYS, "passwords"])
    @pytest.mark.parametrize(
        "saying",
        [
            Saying(body=b"garbage"),
            Saying(body=b'{"active": true, "username": "ada"', media_type="application/json"),
            Saying(body=b'{"active": true, "username": "ada", "access_token": "a"}', media_type="text/html"),
            Saying(body=b'{"x": "' + b"x" * 10_000_000 + b'"}'),
            Saying(status=302, headers={"Location": "/elsewhere"}),
            Saying(status=500),
        ],
        ids=["garbage", "cut off", "text/html", "10 MB", "redirect", "500"],
    )
    def test_that_answers_what_is_no_answer(
        self, pair: TwoServers, trust: Trust, liar: Liar, way: str, saying: Saying
    ) -> None:
        liar.saying = saying
        self.unavailable(pair, trust(way), pair.foreign_token())
        assert not [asked for asked in liar.asked if asked.path == "/elsewhere"]

    @pytest.mark.parametrize(
        "body",
        [
            b'{"active": true}',
            b'{"active": true, "username": "bob"}',
            b'{"active": true, "username": ["ada"]}',
            b'{"active": "true", "username": "ada"}',
            b'{"active": true, "username": "ada", "exp": 1}',
            b'{"active": true, "username": "ada", "exp": "later"}',
            b'{"username": "ada"}',
        ],
    )
    def test_that_does_not_prove_it_is_a_refusal(self, pair: TwoServers, trust: Trust, liar: Liar, body: bytes) -> None:
        liar.saying = Saying(body=body)
        realm = trust("introspection")
        with issuing_nothing(pair):
            assert refusal(pair.exchange(realm, "opaque-token")) == NO_GRANT

    @pytest.mark.parametrize("name", ["sub", "username", "exp", "aud", "iss", "client_id"])
    def test_j_10_whose_token_says_something_twice_is_refused(
        self, pair: TwoServers, trust: Trust, liar: Liar, name: str
    ) -> None:
        """Parsers differ in which of the two they take; said once, the same token under the same key is good."""
        key = jws.generate("ES256")
        liar.saying = Saying(body=json.dumps({"keys": [key.jwk]}).encode())
        realm = trust("keys")
        once = {**claims_of(pair.foreign_token()), "jti": f"jti-{next(NUMBERS)}"}
        payload = json.dumps(once)
        twice = f'{{"{name}": "planted", {payload[1:]}'
        assert pair.exchange(realm, key.sign(payload.encode(), typ="at+jwt")).status_code == 200
        for spelt in (twice, twice.replace("jti-", "jti-again-")):
            with issuing_nothing(pair):
                assert refusal(pair.exchange(realm, key.sign(spelt.encode(), typ="at+jwt"))) == NO_GRANT

    def test_j_10_that_says_something_twice_proves_nothing(self, pair: TwoServers, trust: Trust, liar: Liar) -> None:
        liar.saying = Saying(body=b'{"active": false, "active": true, "username": "ada"}')
        self.unavailable(pair, trust("introspection"), "opaque-token")

    def test_whose_keys_are_not_those_of_the_token(self, pair: TwoServers, trust: Trust, liar: Liar) -> None:
        ours = pair.here.http.get("/.well-known/jwks.json").content
        liar.saying = Saying(body=ours)
        realm = trust("keys")
        with issuing_nothing(pair):
            for _ in range(5):
                assert refusal(pair.exchange(realm, pair.foreign_token())) == NO_GRANT
        assert len(liar.asked) == 1, "an unknown kid makes us fetch the keys once in a while only"

    def test_is_not_asked_before_the_password_was_right(self, pair: TwoServers, trust: Trust, liar: Liar) -> None:
        realm = trust("introspection")
        assert refusal(pair.exchange(realm, "opaque-token", password="wrong")) == NO_GRANT
        assert not liar.asked

    def test_that_is_slow_holds_up_few_of_its_own_and_nobody_else(
        self, pair: TwoServers, trust: Trust, liar: Liar
    ) -> None:
        liar.hangs = True
        realm, more = trust("introspection"), 8
        with ThreadPoolExecutor(AT_ONCE + more) as threads:
            waiting = [threads.submit(pair.exchange, realm, f"opaque-{number}") for number in range(AT_ONCE + more)]
            deadline = time.monotonic() + ANSWER_IN
            while sum(one.done() for one in waiting) < more:
                assert time.monotonic() < deadline, "who finds it busy is told so at once"
                time.sleep(0.01)
            assert pair.exchange("keys", pair.foreign_token()).status_code == 200
            assert len(liar.asked) == AT_ONCE
            liar.release()
            assert {one.result().status_code for one in waiting} <= {400, 503}
            assert sum(one.result().status_code == 503 for one in waiting) == more

    def test_that_is_down_costs_nobody_a_guess(self, pair: TwoServers, trust: Trust) -> None:
        realm = trust("passwords", f"http://127.0.0.1:{free_port()}")
        for _ in range(7):
            self.unavailable(pair, realm, "opaque-token")
