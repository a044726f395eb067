"""Dialects over HTTP: who is spoken to in which, and that strict clients beside them notice nothing (DESIGN.md)."""

import json
import re
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import httpx
import pytest

from jwtauth.dialects.dialect import STANDARD_NAME, Endpoint, Where
from jwtauth.dialects.registry import DIALECTS
from jwtauth.protocol import legacy
from jwtauth.protocol.records import AuthMethod
from tests.support import plain
from tests.support.home import PASSWORD, SECRET, Home
from tests.support.live import LiveServer
from tests.support.neighbours import NEIGHBOURS, client_id_of, neighbour, neighbours
from tests.support.person import CALLBACK, Person, has_field
from tests.web import people
from tests.web.site import FORM, Site, assert_refused, basic

STANDARD: Final = DIALECTS[STANDARD_NAME]
STANDARD_PATHS: Final = {endpoint.path for endpoint in STANDARD.endpoints}
STANDARD_PAGES: Final = {page.path for page in STANDARD.pages}
OWN_ENDPOINTS: Final = [
    (name, endpoint)
    for name in NEIGHBOURS
    for endpoint in DIALECTS[name].endpoints
    if endpoint.path not in STANDARD_PATHS
]
OWN: Final = [pytest.param(name, endpoint, id=f"{name} {endpoint.path}") for name, endpoint in OWN_ENDPOINTS]
OWN_PAGES: Final = sorted(
    {
        path
        for name in NEIGHBOURS
        for page in DIALECTS[name].pages
        if page.path not in STANDARD_PAGES
        for path in (page.path, *page.aliases)
    }
)
MACHINE: Final = {"grant_type": "client_credentials"}
ADA: Final = {"grant_type": "password", "username": "ada", "password": PASSWORD}
DEPRECATION: Final = f"@{legacy.DEPRECATED_AT}"
DAY: Final = 86_400


def token_endpoint(name: str) -> Endpoint:
    """The standard's path as a dialect says it."""
    found = {endpoint.path: endpoint for endpoint in (*STANDARD.endpoints, *DIALECTS[name].endpoints)}
    return found["/oauth/token"]


BY_QUERY: Final = [name for name in NEIGHBOURS if token_endpoint(name).parameters is Where.EITHER]
"""The dialects whose clients may send their parameters there in the query."""


def proof(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """How a neighbour proves itself: headers and parameters."""
    client_id = client_id_of(name)
    if DIALECTS[name].client.get("auth_method") is AuthMethod.POST:
        return {}, {"client_id": client_id, "client_secret": SECRET}
    return {"authorization": basic(client_id, SECRET)}, {}


def ask(
    site: Site, path: str, method: str = "POST", *, query: Any = None, form: Any = None, headers: Any = None
) -> httpx.Response:
    """One request, parameters where they are told to be."""
    body = str(httpx.QueryParams(form or {})).encode()
    sent = {"content-type": FORM, **(headers or {})} if body else {**(headers or {})}
    return site.http.request(method, path, params=query, content=body or None, headers=sent)


def by_query(site: Site, name: str, **more: str) -> httpx.Response:
    """A machine's token request of a neighbour with everything in the query."""
    headers, parameters = proof(name)
    return ask(site, "/oauth/token", query={**MACHINE, **parameters, **more}, headers=headers)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same clients where no realm speaks anything but the standard."""
    site = Site(tmp_path_factory.mktemp("alone"), body_timeout=1, allowed_hosts=("x",))
    site.home.client("service")
    site.home.client("portal", auth_method=AuthMethod.NONE, grant_types=("password", "refresh_token"))
    site.home.client("web", redirect_uris=(CALLBACK,))
    site.home.user("ada")
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


@pytest.fixture(scope="module")
def beside(site: Site) -> Site:
    """The shared service, with the one client that `alone` has and it had not."""
    site.home.client("web", redirect_uris=(CALLBACK,))
    return site


@pytest.fixture(scope="module")
def flarecast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service whose requests without a name are FLARECAST's."""
    site = Site(tmp_path_factory.mktemp("flarecast"))
    neighbours(site.home)
    site.home.client("service")
    with (site.home.path / "jwtauth.toml").open("a", encoding="utf-8") as settings:
        settings.write('default_realm = "flarecast"\n')
    with site:
        yield site


class TestTheNeighbours:
    """Whatever tests/attacks, tests/conformance and tests/web say of strict clients, they say beside all dialects."""

    def test_are_the_dialects_that_there_are(self) -> None:
        assert {*NEIGHBOURS, STANDARD_NAME} == {*DIALECTS}
        assert len(NEIGHBOURS) >= 4

    @pytest.mark.parametrize("dialect", NEIGHBOURS)
    def test_live_beside_machines(self, site: Site, dialect: str) -> None:
        assert dialect in spoken(site.home)

    def test_live_beside_people(self, tmp_path: Path) -> None:
        service = people.Service(tmp_path / "service")
        people.populate(service)
        service.http.close()
        assert spoken(service.home) == {STANDARD_NAME, *NEIGHBOURS}

    def test_let_the_strict_realm_be_strict(self, site: Site) -> None:
        realms = {realm.name: realm for realm in site.home.ask(lambda store: store.administration.realms())}
        assert realms["default"].dialect == STANDARD_NAME


def spoken(home: Home) -> set[str]:
    """The dialects of the realms that have an enabled client."""

    def named(store: Any) -> Any:
        return store.administration.clients()

    return {client.realm.dialect for client in home.ask(named) if client.is_enabled}


SERVICE: Final = {"authorization": basic("service", SECRET)}
IN_FORM: Final = {"client_id": "service", "client_secret": SECRET}
UNKNOWN: Final = {"authorization": basic("nobody", SECRET)}
JSON_BODY: Final = {"authorization": basic("service", SECRET), "content-type": "application/json"}

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "a machine": {"path": "/oauth/token", "form": MACHINE, "headers": SERVICE},
    "a secret in the form": {
        "path": "/oauth/token",
        "form": {**MACHINE, "client_id": "service", "client_secret": SECRET},
    },
    "a person": {"path": "/oauth/token", "form": ADA, "headers": SERVICE},
    "a person of a public client": {"path": "/oauth/token", "form": {**ADA, "client_id": "portal"}},
    "a wrong password": {"path": "/oauth/token", "form": {**ADA, "username": "x"}, "headers": SERVICE},
    "no secret": {"path": "/oauth/token", "form": {**ADA, "client_id": "service"}},
    "no client": {"path": "/oauth/token", "form": MACHINE},
    "an unknown client": {"path": "/oauth/token", "form": MACHINE, "headers": UNKNOWN},
    "an unknown client in the form": {"path": "/oauth/token", "form": {**ADA, "client_id": "nobody"}},
    "no grant": {"path": "/oauth/token", "form": {"scope": "read"}, "headers": SERVICE},
    "an unknown grant": {"path": "/oauth/token", "form": {"grant_type": "device_code"}, "headers": SERVICE},
    "a foreign token": {
        "path": "/oauth/token",
        "form": {**ADA, "grant_type": "external_token", "access_token": "x"},
        "headers": SERVICE,
    },
    "C-05 everything in the query": {"path": "/oauth/token", "query": MACHINE, "headers": SERVICE},
    "C-05 the client too": {
        "path": "/oauth/token",
        "query": {**MACHINE, "client_id": "service", "client_secret": SECRET},
    },
    "C-05 the grant in the form": {
        "path": "/oauth/token",
        "query": IN_FORM,
        "form": MACHINE,
    },
    "C-05 without a client": {"path": "/oauth/token", "query": MACHINE},
    "P-07 by GET": {"path": "/oauth/token", "method": "GET", "query": MACHINE, "headers": SERVICE},
    "P-07 by GET without a client": {"path": "/oauth/token", "method": "GET"},
    "a code without grant_type": {"path": "/oauth/token", "form": {"code": "x"}, "headers": SERVICE},
    "C-13 JSON": {"path": "/oauth/token", "form": MACHINE, "headers": JSON_BODY},
    "clientId": {"path": "/oauth/token", "form": {**MACHINE, "clientId": "x"}, "headers": SERVICE},
    "I-03 introspection by GET": {
        "path": "/oauth/introspect",
        "method": "GET",
        "query": {"token": "x"},
        "headers": SERVICE,
    },
    "introspection": {"path": "/oauth/introspect", "form": {"token": "x"}, "headers": SERVICE},
    "introspection by query": {"path": "/oauth/introspect", "query": {"token": "x"}, "headers": SERVICE},
    "introspection without a secret": {
        "path": "/oauth/introspect",
        "form": {"token": "x", "client_id": "service", "grant_type": "password"},
    },
    "check_token": {"path": "/oauth/check_token", "form": {"token": "x"}, "headers": SERVICE},
    "check_token by GET": {"path": "/oauth/check_token", "method": "GET", "query": {"token": "x"}, "headers": SERVICE},
    "check_token by query": {"path": "/oauth/check_token", "query": {"token": "x"}, "headers": SERVICE},
    "revocation": {"path": "/oauth/revoke", "form": {"token": "x"}, "headers": SERVICE},
    "revocation by query": {"path": "/oauth/revoke", "query": {"token": "x"}, "headers": SERVICE},
    "revocation by nobody": {"path": "/oauth/revoke", "form": {"token": "x"}},
    "tokeninfo": {"path": "/oauth/tokeninfo", "method": "GET", "query": {"access_token": "x"}},
    "tokeninfo of nothing": {"path": "/oauth/tokeninfo", "method": "GET"},
    "userinfo": {"path": "/oauth/userinfo", "method": "GET", "headers": {"authorization": "Bearer x"}},
    "I-11 userinfo by query": {"path": "/oauth/userinfo", "method": "GET", "query": {"access_token": "x"}},
    "an authorization request of nobody": {
        "path": "/oauth/authorize",
        "method": "GET",
        "headers": {"accept": "text/html"},
    },
    "Z-02 a token in front": {
        "path": "/oauth/authorize",
        "method": "GET",
        "query": {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "token", "state": "s"},
    },
    "P-01 no challenge": {
        "path": "/oauth/authorize",
        "method": "GET",
        "query": {"client_id": "web", "redirect_uri": CALLBACK, "response_type": "code", "state": "s"},
    },
    "R-02 another redirect_uri": {
        "path": "/oauth/authorize",
        "method": "GET",
        "query": {"client_id": "web", "redirect_uri": "http://app.example/callback", "response_type": "code"},
    },
    "a sign-in page of nobody": {"path": "/login", "method": "GET"},
    "a sign-in form of nobody": {"path": "/login", "form": {"username": "ada", "password": PASSWORD}},
}


class TestAStrictClient:
    """Is answered byte for byte as where no dialect is on."""

    @pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
    def test_is_answered_as_if_it_were_alone(self, beside: Site, alone: Site, request_: dict[str, Any]) -> None:
        assert comparable(beside, ask(beside, **request_)) == comparable(alone, ask(alone, **request_))

    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"])
    def test_h_09_is_told_of_the_same_endpoints(self, site: Site, alone: Site, path: str) -> None:
        there, here = (one.http.get(path).text.replace(one.server.url, "") for one in (site, alone))
        assert json.loads(there) == json.loads(here)

    @pytest.mark.parametrize(("dialect", "endpoint"), OWN)
    def test_gets_nothing_from_the_paths_of_others(self, site: Site, dialect: str, endpoint: Endpoint) -> None:
        token = site.machine()
        for headers in (SERVICE, {"authorization": f"Bearer {token}"}):
            for method in endpoint.methods:
                answer = ask(site, endpoint.path, method, form={**ADA, "token": token}, headers=headers)
                assert "refresh_token" not in answer.text
                assert "authorities" not in answer.text
                assert answer.status_code != 200 or "error" in answer.text or answer.json() == {"token": "-1"}

    def test_c_05_is_refused_its_query_whatever_dialect_is_named_there(self, site: Site) -> None:
        for name in NEIGHBOURS:
            for method in ("POST", "GET"):
                query = {**MACHINE, "client_id": client_id_of(name)}
                with site.writing_nothing():
                    answer = ask(site, "/oauth/token", method, query=query, headers=SERVICE)
                assert answer.status_code in (400, 405)
                assert "deprecation" not in answer.headers


def comparable(site: Site, response: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """What of an answer must be the same on two servers: all but the time, what is random, and where the server is."""
    headers = {name: unquote(value).replace(site.server.url, "") for name, value in response.headers.items()}
    for name in ("date", "set-cookie", "content-length", "x-request-id"):
        headers.pop(name, None)
    if "json" not in headers.get("content-type", ""):
        return response.status_code, headers, None
    body = response.json()
    for name in ("access_token", "refresh_token"):
        if name in body:
            body[name] = body[name][:3]
    return response.status_code, headers, body


class TestTheQuery:  # SECURITY C-05
    """Parameters are read from it only for clients whose realm has them there."""

    @pytest.mark.parametrize("dialect", NEIGHBOURS)
    def test_is_read_where_the_clients_realm_takes_it(self, site: Site, dialect: str) -> None:
        answer = by_query(site, dialect)
        if token_endpoint(dialect).parameters is Where.EITHER:
            assert answer.status_code == 200, answer.text
        else:
            assert (answer.status_code, "access_token" in answer.text) == (400, False)

    @pytest.mark.parametrize("dialect", BY_QUERY)
    def test_c_12_does_not_repeat_what_is_in_the_form(self, site: Site, dialect: str) -> None:
        headers, parameters = proof(dialect)
        answer = ask(
            site, "/oauth/token", query={**MACHINE, **parameters}, form={"scope": "read", **MACHINE}, headers=headers
        )
        assert answer.status_code == 400
        assert "access_token" not in answer.text

    def test_is_really_taken_by_some(self) -> None:
        """Else the tests above say nothing."""
        assert {token_endpoint(name).parameters for name in NEIGHBOURS} == {Where.EITHER, Where.FORM}


class TestARequestThatNamesTwoClients:  # SECURITY C-04
    """Never gets the leniency of the one and the rights of the other."""

    @pytest.mark.parametrize("dialect", NEIGHBOURS)
    def test_is_refused(self, site: Site, dialect: str) -> None:
        client_id = client_id_of(dialect)
        theirs = {"authorization": basic(client_id, SECRET)}
        requests: tuple[dict[str, Any], ...] = (
            {"query": {"client_id": client_id}, "form": MACHINE, "headers": SERVICE},
            {"query": {**MACHINE, "client_id": client_id}, "headers": SERVICE},
            {"query": {**MACHINE, "client_id": client_id, "client_secret": SECRET}, "headers": SERVICE},
            {"query": {**MACHINE, "client_id": client_id}, "form": IN_FORM},
            {"query": MACHINE, "form": IN_FORM, "headers": theirs},
            {"query": {**MACHINE, "client_id": "service"}, "headers": theirs},
            {"query": {**MACHINE, **IN_FORM}, "headers": theirs},
            {"form": {**MACHINE, "client_id": client_id}, "headers": SERVICE},
            {"form": {**MACHINE, "client_id": "service"}, "headers": theirs},
        )
        for request in requests:
            with site.writing_nothing():
                answer = ask(site, "/oauth/token", **request)
            assert answer.status_code in (400, 401), (request, answer.text)
            assert "access_token" not in answer.text

    @pytest.mark.parametrize("dialect", NEIGHBOURS)
    def test_by_two_headers_is_refused(self, site: Site, dialect: str) -> None:
        headers = [basic("service", SECRET), basic(client_id_of(dialect), SECRET)]
        for both in (headers, headers[::-1]):
            sent = [("content-type", FORM), *(("authorization", one) for one in both)]
            answer = site.http.post("/oauth/token", content=b"grant_type=client_credentials", headers=sent)
            assert answer.status_code == 400, answer.text


class TestOwnPaths:
    @pytest.mark.parametrize(("dialect", "endpoint"), OWN)
    def test_h_11_are_not_there_where_no_realm_speaks_the_dialect(
        self, alone: Site, dialect: str, endpoint: Endpoint
    ) -> None:
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            assert ask(alone, endpoint.path, method, headers=SERVICE).status_code == 404

    @pytest.mark.parametrize("path", OWN_PAGES)
    def test_of_people_are_not_there_either(self, alone: Site, path: str) -> None:
        for method in ("GET", "POST"):
            url = f"{alone.server.url}{path}"
            assert alone.http.request(method, url, headers={"accept": "text/html"}).status_code == 404

    @pytest.mark.parametrize(("dialect", "endpoint"), OWN)
    def test_are_there_where_one_does(self, site: Site, dialect: str, endpoint: Endpoint) -> None:
        headers, parameters = proof(dialect)
        for method in endpoint.methods:
            answer = ask(site, endpoint.path, method, form=parameters, headers=headers)
            assert answer.status_code not in (404, 405, 410, 500), answer.text

    @pytest.mark.parametrize(("dialect", "endpoint"), OWN)
    def test_h_06_name_the_methods_that_they_take(self, site: Site, dialect: str, endpoint: Endpoint) -> None:
        answer = ask(site, endpoint.path, "DELETE", headers=proof(dialect)[0])
        assert answer.status_code == 405
        assert answer.headers["allow"] == ", ".join(endpoint.methods)

    @pytest.mark.parametrize(("dialect", "endpoint"), OWN)
    def test_refuse_an_unknown_client(self, site: Site, dialect: str, endpoint: Endpoint) -> None:
        answer = ask(site, endpoint.path, endpoint.methods[-1], form={**ADA, "token": "x"}, headers=UNKNOWN)
        assert '"access_token":' not in answer.text
        assert answer.status_code != 200 or "error" in answer.text or answer.json() == {"token": "-1"}


class TestPages:
    """A page is in the dialect of the client on whose behalf the browser is here."""

    def refused(self, site: Site, client_id: str, **changes: str) -> httpx.Response:
        """The answer to an authorization request that may not be answered with a code."""
        query = {"client_id": client_id, "redirect_uri": CALLBACK, "response_type": "nonsense", "state": "s", **changes}
        return site.http.get("/oauth/authorize", params=query)

    @pytest.mark.parametrize("dialect", NEIGHBOURS)
    def test_carries_answers_back_with_the_status_of_the_dialect(self, site: Site, dialect: str) -> None:
        answer = self.refused(site, client_id_of(dialect))
        assert answer.status_code == DIALECTS[dialect].redirect_status
        assert answer.headers["location"].startswith(f"{CALLBACK}?error=unsupported_response_type")

    def test_b_01_carries_a_strict_clients_answers_back_with_303(self, beside: Site) -> None:
        assert self.refused(beside, "web").status_code == 303

    @pytest.mark.parametrize("dialect", [STANDARD_NAME, *NEIGHBOURS])
    def test_r_04_shows_faults_where_the_dialect_does(self, beside: Site, dialect: str) -> None:
        client_id = "web" if dialect == STANDARD_NAME else client_id_of(dialect)
        answer = self.refused(beside, client_id, redirect_uri="https://evil.example/")
        fault_path = DIALECTS[dialect].fault_path
        if fault_path is None:
            assert (answer.status_code, "location" in answer.headers) == (400, False)
        else:
            assert answer.headers["location"].startswith(f"{beside.server.url}{fault_path}?")

    @pytest.mark.parametrize("path", OWN_PAGES)
    def test_h_11_of_a_dialect_are_not_there_for_a_strict_client(self, beside: Site, path: str) -> None:
        for method in ("GET", "POST"):
            url = f"{beside.server.url}{path}"
            answer = beside.http.request(method, url, params={"client_id": "web"}, headers={"accept": "text/html"})
            assert answer.status_code in (404, 405)
            assert "deprecation" not in answer.headers

    @pytest.mark.parametrize("dialect", NEIGHBOURS)
    def test_z_14_stay_a_strict_clients_whoever_is_named_beside_its_transaction(
        self, beside: Site, dialect: str
    ) -> None:
        with Person(beside.server.url) as person:
            page = person.authorize("web", scope="read")
            assert has_field(page, "password")
            named = person.http.get(f"{page.url}&client_id={client_id_of(dialect)}")
            assert shape(named) == shape(page)

    @pytest.mark.parametrize("dialect", NEIGHBOURS)
    def test_of_an_own_path_say_that_they_will_end(self, site: Site, dialect: str) -> None:
        for page in DIALECTS[dialect].pages:
            answer = site.http.get(page.path, params={"client_id": client_id_of(dialect)})
            assert answer.headers.get("deprecation") == (None if page.path in STANDARD_PAGES else DEPRECATION)


def shape(page: httpx.Response) -> tuple[int, str]:
    """A page without what is new each time."""
    return page.status_code, re.sub(r'value="[^"]*"|transaction=[^"&]*', "", page.text)


class TestMethods:  # RFC 9110 section 15.5.6
    @pytest.mark.parametrize("dialect", [STANDARD_NAME, *NEIGHBOURS])
    def test_are_those_of_the_clients_dialect(self, site: Site, dialect: str) -> None:
        headers = SERVICE if dialect == STANDARD_NAME else {"authorization": basic(client_id_of(dialect), SECRET)}
        methods = STANDARD.endpoints[0].methods if dialect == STANDARD_NAME else token_endpoint(dialect).methods
        answer = ask(site, "/oauth/token", "GET", headers=headers)
        if "GET" in methods:
            assert answer.status_code in (400, 401)
        else:
            assert (answer.status_code, answer.headers["allow"]) == (405, ", ".join(methods))


class TestHowItIsSaidThatItWillEnd:  # RFC 9745, RFC 8594
    @pytest.mark.parametrize("dialect", BY_QUERY)
    def test_with_every_answer_through_a_legacy_door(self, site: Site, dialect: str) -> None:
        for answer in (by_query(site, dialect), by_query(site, dialect, scope="not-a-scope")):
            assert answer.headers["deprecation"] == DEPRECATION
            assert "sunset" not in answer.headers

    @pytest.mark.parametrize(("dialect", "endpoint"), OWN)
    def test_with_every_answer_of_an_own_path(self, site: Site, dialect: str, endpoint: Endpoint) -> None:
        headers, parameters = proof(dialect)
        answer = ask(site, endpoint.path, endpoint.methods[-1], form=parameters, headers=headers)
        assert answer.headers["deprecation"] == DEPRECATION

    def test_with_a_legacy_grant_of_a_strict_client(self, site: Site) -> None:
        assert site.token(ADA).headers["deprecation"] == DEPRECATION

    def test_where_a_secret_is_not_asked_for_whether_any_dialect_is_on_or_not(self, site: Site, alone: Site) -> None:
        for one in (site, alone):
            one.home.client("never-sent-one", secretless_grants=("refresh_token",))
            form = {"grant_type": "refresh_token", "refresh_token": "x"}
            unproven = one.token({**form, "client_id": "never-sent-one"}, auth=None)
            assert_refused(unproven, 400, "invalid_grant")
            assert unproven.headers["deprecation"] == DEPRECATION
            assert "deprecation" not in one.token(form, auth=("never-sent-one", SECRET)).headers

    def test_with_nothing_else(self, site: Site) -> None:
        token = site.machine()
        for answer in (
            site.token(MACHINE),
            site.token({"grant_type": "authorization_code", "code": "x"}),
            site.refresh("x"),
            site.post("/oauth/introspect", {"token": token}),
            site.post("/oauth/introspect", {"token": token, "grant_type": "password"}),
            site.post("/oauth/revoke", {"token": "x"}),
            site.http.get("/.well-known/openid-configuration"),
            site.http.get("/login"),
        ):
            assert {"deprecation", "sunset"}.isdisjoint(answer.headers), answer.request.url


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], int]:
    """Who was counted at which door after a day with every kind of use; the server has stopped."""
    site = Site(tmp_path_factory.mktemp("counted"))
    clients = neighbours(site.home)
    site.home.client("victim", realm=clients["onesait"].realm)
    site.home.client("service")
    site.home.user("ada", roles={"default": (), "onesait": ()})
    with site:
        for _ in range(2):
            assert by_query(site, "flarecast").status_code == 200
        assert ask(site, "/oauth/token", query={**MACHINE, "client_id": client_id_of("flarecast")}).status_code == 401
        assert site.token(MACHINE, auth=(client_id_of("aioauth"), SECRET)).status_code == 200
        assert site.post("/oauth/tokenize", MACHINE, auth=(client_id_of("aioauth"), SECRET)).status_code == 200
        token = site.granted(ADA)["access_token"]
        assert site.token({**ADA, "password": "wrong"}).status_code == 400
        assert site.post("/oauth/introspect", {"token": token, "grant_type": "password"}).status_code == 200
        told = site.post("/oauth-server/oauth/token", ADA, auth=(client_id_of("onesait"), SECRET))
        form = {"client_id": "victim", "access_token": told.json()["access_token"]}
        assert site.post("/user", form, auth=None).status_code == 200
    uses = site.home.ask(lambda store: store.legacy_uses.all())
    return {(use.client_id, use.door): use.count for use in uses}


class TestCounting:
    """What `jwtauth stats legacy` has to say of those that were proven and let in, and of nobody else."""

    def test_is_of_every_door_that_let_somebody_in(self, counted: dict[tuple[str, str], int]) -> None:
        assert counted[client_id_of("flarecast"), legacy.QUERY] == 2
        assert counted[client_id_of("aioauth"), legacy.of_path("/oauth/tokenize")] == 1
        assert counted[client_id_of("onesait"), legacy.of_path("/oauth-server/oauth/token")] == 1
        assert counted[client_id_of("onesait"), legacy.of_grant_type("password")] == 1

    def test_is_not_of_a_grant_that_was_only_named(self, counted: dict[tuple[str, str], int]) -> None:
        assert counted["service", legacy.of_grant_type("password")] == 1

    def test_is_of_nobody_who_did_not_ask(self, counted: dict[tuple[str, str], int]) -> None:
        assert {client_id for client_id, _ in counted} <= {"service", *map(client_id_of, NEIGHBOURS)}

    def test_is_not_of_the_standard(self, counted: dict[tuple[str, str], int]) -> None:
        assert {door for client_id, door in counted if client_id == client_id_of("aioauth")} == {
            legacy.of_path("/oauth/tokenize")
        }


class TestTheDocument:
    """/openapi.json describes only what some realm speaks."""

    def test_has_no_paths_of_dialects_that_nobody_speaks(self, alone: Site) -> None:
        described = alone.http.get("/openapi.json").json()["paths"]
        assert described.keys().isdisjoint(endpoint.path for _, endpoint in OWN_ENDPOINTS)

    def test_has_those_that_somebody_speaks_marked_as_deprecated(self, site: Site) -> None:
        described = site.http.get("/openapi.json").json()["paths"]
        for _, endpoint in OWN_ENDPOINTS:
            operations = described[endpoint.path]
            assert {*operations} == {method.lower() for method in endpoint.methods}
            assert all(operation["deprecated"] is True for operation in operations.values())

    @pytest.mark.parametrize("path", sorted(STANDARD_PATHS))
    def test_says_how_to_ask_the_standards_paths_as_the_standard_does(self, site: Site, alone: Site, path: str) -> None:
        """Answers are those of every dialect that has the path: who reads the document may be of any realm."""
        there, here = (one.http.get("/openapi.json").json()["paths"][path] for one in (site, alone))
        answers = [{method: operation.pop("responses") for method, operation in one.items()} for one in (there, here)]
        assert there == here
        assert not any(operation.get("deprecated") for operation in there.values())
        for method, statuses in answers[1].items():
            assert statuses.keys() <= answers[0][method].keys()


class TestTheDefaultRealm:
    """The setting default_realm says whose dialect a request has that names nobody."""

    def test_is_heeded_where_nobody_is_named(self, flarecast: Site) -> None:
        assert ask(flarecast, "/oauth/token", "GET", query=MACHINE).status_code == 401
        assert ask(flarecast, "/oauth/token", query=MACHINE, headers=UNKNOWN).status_code == 401

    def test_is_not_where_somebody_of_another_realm_is(self, flarecast: Site) -> None:
        refused = ask(flarecast, "/oauth/token", "GET", query=MACHINE, headers=SERVICE)
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert_refused(ask(flarecast, "/oauth/token", query=MACHINE, headers=SERVICE), 400, "invalid_request")
        assert ask(flarecast, "/oauth/token", form=MACHINE, headers=SERVICE).status_code == 200


class TestWhileItRuns:
    """Realms come, change and go without a restart, and the very next request sees it."""

    PATH: Final = "/oauth/tokenize"
    DIALECT: Final = "aioauth"

    @pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
    def running(
        self, request: pytest.FixtureRequest, home: Home, serve: Callable[..., LiveServer]
    ) -> tuple[Home, LiveServer]:
        """A strict realm alone, on one worker or two."""
        home.client("service")
        return home, serve(home, workers=request.param)

    def statuses(self, server: LiveServer, path: str = PATH, client_id: str = "", **query: str) -> set[int]:
        """What ten requests on connections of their own are answered; workers take them as they like."""
        headers = {"authorization": basic(client_id or client_id_of(self.DIALECT), SECRET), "content-type": FORM}
        url = f"{server.url}{path}"
        sent: dict[str, Any] = {"headers": headers, "params": query}
        if not query:
            sent["content"] = b"grant_type=client_credentials"
        return {plain.post(url, **sent).status_code for _ in range(10)}

    def test_follow_a_realm_from_its_birth_to_its_sunset(self, running: tuple[Home, LiveServer]) -> None:
        home, server = running
        assert self.statuses(server) == {404}
        neighbour(home, self.DIALECT)
        assert self.statuses(server) == {200}
        home.realm(self.DIALECT, sunset_at=4_000_000_000)
        assert self.statuses(server) == {200}
        headers = {"authorization": basic(client_id_of(self.DIALECT), SECRET)}
        form = {"grant_type": "client_credentials"}
        assert plain.post(f"{server.url}{self.PATH}", data=form, headers=headers).headers["sunset"] == formatdate(
            4_000_000_000, usegmt=True
        )
        home.realm(self.DIALECT, sunset_at=1)
        assert self.statuses(server) == {410}
        assert self.statuses(server, "/oauth/token") == {200}
        home.realm(self.DIALECT, sunset_at=None)
        assert self.statuses(server) == {200}
        home.realm(self.DIALECT, dialect=STANDARD_NAME)
        assert self.statuses(server) == {404}

    def test_follow_a_realm_that_learns_and_forgets_the_query(self, running: tuple[Home, LiveServer]) -> None:
        home, server = running
        client_id = home.client("plain", realm=home.realm("changing")).client_id
        ask_by_query = {"path": "/oauth/token", "client_id": client_id, "grant_type": "client_credentials"}
        assert self.statuses(server, **ask_by_query) == {400}
        home.realm("changing", dialect="skyvault")
        assert self.statuses(server, **ask_by_query) == {200}
        assert self.statuses(server, **{**ask_by_query, "client_id": "service"}) == {400}
        home.realm("changing", sunset_at=1)
        assert self.statuses(server, **ask_by_query) == {400}

    def test_describe_in_the_document_what_is_spoken_now(self, running: tuple[Home, LiveServer]) -> None:
        home, server = running

        def described() -> set[bool]:
            documents = [plain.get(f"{server.url}/openapi.json").json()["paths"] for _ in range(6)]
            return {self.PATH in paths for paths in documents}

        assert described() == {False}
        neighbour(home, self.DIALECT)
        assert described() == {True}
        home.realm(self.DIALECT, dialect=STANDARD_NAME)
        assert described() == {False}
