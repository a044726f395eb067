"""Codes for attackers' addresses (SECURITY R; RFC 9700 section 4.1, RFC 6749 section 10.15)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from click.testing import CliRunner

from jwtauth.cli.commands import root
from tests.attacks.forging import EVIL, credentials, send, unsigned
from tests.attacks.pages import assert_stays
from tests.support.person import CALLBACK, Person, answer, request
from tests.web.people import GOODBYE, LOOPBACK, PRIVATE, Service
from tests.web.site import assert_refused

LOOK_ALIKES = {
    "suffix": CALLBACK + "x",
    "trailing slash": CALLBACK + "/",
    "path parameter": CALLBACK + ";a=b",
    "query": CALLBACK + "?a=b",
    "empty query": CALLBACK + "?",
    "fragment": CALLBACK + "#a",
    "empty fragment": CALLBACK + "#",
    "prefix": "https://app.example/callbac",
    "origin alone": "https://app.example",
    "longer host": "https://app.example.evil.example/callback",
    "host as path": "https://evil.example/https://app.example/callback",
    "userinfo": "https://app.example@evil.example/callback",
    "userinfo with password": "https://app.example:x@evil.example/callback",
    "own userinfo": "https://ada@app.example/callback",
    "sub-domain": "https://evil.app.example/callback",
    "host with prefix": "https://evilapp.example/callback",
    "trailing dot": "https://app.example./callback",
    "default port": "https://app.example:443/callback",
    "other port": "https://app.example:8443/callback",
    "http": "http://app.example/callback",
    "case of the scheme": "HTTPS://app.example/callback",
    "case of the host": "https://APP.example/callback",
    "case of the path": "https://app.example/Callback",
    "dot segment": "https://app.example/./callback",
    "two dots": "https://app.example/evil/../callback",
    "two dots behind": CALLBACK + "/../evil",
    "encoded two dots": CALLBACK + "/%2e%2e/evil",
    "two slashes": "https://app.example//callback",
    "encoded letter": "https://app.example/%63allback",
    "double encoding": "https://app.example/%2563allback",
    "encoded NUL as text": CALLBACK + "%00.evil.example",
    "backslash": "https://app.example\\@evil.example/callback",
    "backslash behind": CALLBACK + "\\..\\evil",
    "line break": CALLBACK + "\r\nLocation: https://evil.example/",
    "NUL": CALLBACK + "\x00.evil.example",
    "leading space": " " + CALLBACK,
    "trailing space": CALLBACK + " ",
    "trailing line feed": CALLBACK + "\n",
    "tab inside": "https://app.exa\tmple/callback",
    "cyrillic letter": "https://\u0430pp.example/callback",
    "ideographic full stop": "https://app\u3002example/callback",
    "fullwidth letter": "https://app.example/callbac\uff4b",
    "combining letter": CALLBACK + "\u0301",
    "no scheme": "//app.example/callback",
    "path alone": "/callback",
    "no slashes": "https:app.example/callback",
    "three slashes": "https:///app.example/callback",
    "semicolon": "https://app.example;@evil.example/callback",
    "IPv6": "https://[::ffff:127.0.0.1]/callback",
    "broken IPv6": "https://[app.example/callback",
    "javascript": "javascript:alert(1)//https://app.example/callback",
    "data": "data:text/html,https://app.example/callback",
    "two in one": f"{CALLBACK} {EVIL}",
    "list": f"{CALLBACK},{EVIL}",
    "wildcard": "https://app.example/*",
    "another client's": "https://app.example/other",
}


class TestRegistration:  # RFC 9700 section 2.1, RFC 8252 sections 7 and 8
    @pytest.mark.parametrize(
        "redirect_uri",
        [
            "https://*.example/callback",
            "https://app.example/*",
            "https://app.example/callback#",
            "https://app.example/callback#a",
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "http://app.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "https://ada@app.example/callback",
            "https://app.example/../callback",
            "https://app.example\\@evil.example/",
            "https://\u0430pp.example/callback",
            "https:app.example/callback",
            "//app.example/callback",
            "/callback",
        ],
    )
    @pytest.mark.parametrize("kind", [(), ("--public", "--native")], ids=["web", "native"])
    def test_r_01_of_what_is_ambiguous_or_unsafe_is_refused(
        self, service: Service, ada: Person, kind: tuple[str, ...], redirect_uri: str
    ) -> None:
        """There is one way to register, the command line; and what it refused is nobody's address afterwards."""
        arguments = ["--folder", str(service.home.path), "client", "create", "registered"]
        done = CliRunner().invoke(root, [*arguments, *kind, "--redirect-uri", redirect_uri])
        assert done.exit_code == 1, done.output
        assert "redirect_uri" in done.stderr
        assert_stays(ada.authorize("registered", redirect_uri=redirect_uri))


class TestTheRedirectUri:  # RFC 9700 section 2.1, OpenID Connect Core 1.0 section 3.1.2.1
    @pytest.mark.parametrize("look_alike", [pytest.param(uri, id=name) for name, uri in LOOK_ALIKES.items()])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_r_02_is_compared_character_by_character(
        self, service: Service, ada: Person, method: str, look_alike: str
    ) -> None:
        with service.writing_nothing():
            assert_stays(asked(ada, method, request(redirect_uri=look_alike)))

    def test_r_02_is_good_as_it_was_registered(self, ada: Person) -> None:
        """The counter-check: with the same person the right address yields a code at once."""
        for method in ("GET", "POST"):
            assert "code" in answer(asked(ada, method, request()))

    @pytest.mark.parametrize(
        "query",
        [
            pytest.param([("redirect_uri", EVIL), ("redirect_uri", CALLBACK)], id="evil first"),
            pytest.param([("redirect_uri", CALLBACK), ("redirect_uri", EVIL)], id="evil last"),
            pytest.param([("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)], id="the same"),
            pytest.param([("redirect_uri", ""), ("redirect_uri", EVIL)], id="empty first"),
            pytest.param([("redirect_uri[]", CALLBACK), ("redirect_uri", EVIL)], id="array and evil"),
            pytest.param([("redirect_uri\x00", CALLBACK), ("redirect_uri", EVIL)], id="NUL in a name"),
        ],
    )
    def test_r_03_sent_twice_is_refused_here(self, ada: Person, query: list[tuple[str, str]]) -> None:
        usual = [(name, str(value)) for name, value in request(redirect_uri="").items()]
        for pairs in (usual + query, query + usual):
            assert_stays(ada.http.get("/oauth/authorize", params=urlencode(pairs)))

    @pytest.mark.parametrize(
        "name", ["redirect_uri[]", "redirect_uri[0]", "Redirect_URI", "redirect_uri ", "return_to"]
    )
    def test_r_03_of_an_array_or_another_spelling_is_not_heeded(self, ada: Person, name: str) -> None:
        found = ada.http.get("/oauth/authorize", params={**request(), name: EVIL})
        assert found.headers["location"].startswith(f"{CALLBACK}?code=")

    def test_r_03_split_between_query_and_form_is_refused_here(self, ada: Person) -> None:
        form = request()
        found = ada.http.post("/oauth/authorize", params={"redirect_uri": EVIL}, data=form)
        assert_stays(ada.follow(found))

    @pytest.mark.parametrize(
        "fault",
        [
            {"scope": "no-such-scope"},
            {"response_type": "token"},
            {"response_type": "no-such-type"},
            {"response_type": ""},
            {"response_mode": "fragment"},
            {"response_mode": "form_post"},
            {"response_mode": "no-such-mode"},
            {"code_challenge": ""},
            {"prompt": "none login"},
            {"prompt": "none"},
            {"max_age": "-1"},
            {"request": "e30.e30."},
            {"request_uri": "https://evil.example/object"},
            {"claims": "{"},
            {"resource": "https://evil.example/"},
            {"registration": "{}"},
        ],
    )
    def test_r_04_is_proven_before_any_error_is_sent_to_it(
        self, service: Service, ada: Person, fault: dict[str, str]
    ) -> None:
        for changes in (fault, {**fault, "client_id": "no-such-client"}, {**fault, "client_id": "machine"}):
            assert_stays(ada.authorize(**{**changes, "redirect_uri": EVIL}))
        with service.browser() as nobody:
            assert_stays(nobody.authorize(**{**fault, "redirect_uri": EVIL}))

    def test_missing_is_only_guessed_where_there_is_one(self, ada: Person) -> None:
        assert_stays(ada.authorize("two", redirect_uri="", scope="read"))
        assert_stays(ada.authorize("bare", redirect_uri="", scope="read"))
        assert answer(ada.authorize("web", redirect_uri=""))["error"] == "invalid_request"

    @pytest.mark.parametrize(
        "redirect_uri",
        [EVIL, "https://app.example/other", CALLBACK + "/", CALLBACK + "?", CALLBACK.upper(), "", " " + CALLBACK],
    )
    def test_r_05_at_the_token_endpoint_must_be_the_same(
        self, service: Service, ada: Person, redirect_uri: str
    ) -> None:
        """Also another one that is registered; and whoever tries with a wrong one burns nothing (P-13)."""
        code = ada.grant("two")["code"]
        with service.writing_nothing():
            refused = service.redeem(code, client_id="two", redirect_uri=redirect_uri)
            assert_refused(refused, 400, "invalid_grant")
        assert service.redeem(code, client_id="two").status_code == 200

    @pytest.mark.parametrize("client_id", ["loopback", "web", "spa"])
    @pytest.mark.parametrize(
        "redirect_uri", ["http://127.0.0.1:7778/callback", "http://127.0.0.1/callback", "http://[::1]:7777/callback"]
    )
    def test_r_07_of_a_web_client_has_no_other_port(self, ada: Person, client_id: str, redirect_uri: str) -> None:
        assert_stays(ada.authorize(client_id, redirect_uri=redirect_uri))

    @pytest.mark.parametrize("port", [":1024", ":7778", ":65535", ""])
    def test_r_07_of_a_native_client_on_loopback_has_any_port(self, service: Service, ada: Person, port: str) -> None:
        redirect_uri = f"http://127.0.0.1{port}/callback"
        page = ada.authorize("native", redirect_uri=redirect_uri)
        code = answer(ada.allow(page), to=redirect_uri + "?")["code"]
        refused = service.redeem(code, client_id="native", is_public=True, redirect_uri=LOOPBACK)
        assert_refused(refused, 400, "invalid_grant")  # the port is part of what must be the same
        good = service.redeem(code, client_id="native", is_public=True, redirect_uri=redirect_uri)
        assert good.status_code == 200

    @pytest.mark.parametrize(
        "redirect_uri",
        [
            "http://localhost:7777/callback",
            "http://localhost/callback",
            "http://127.0.0.2:7777/callback",
            "http://127.1:7777/callback",
            "http://2130706433:7777/callback",
            "http://0x7f000001:7777/callback",
            "http://0.0.0.0:7777/callback",
            "http://[::1]:7777/callback",
            "http://[::ffff:127.0.0.1]:7777/callback",
            "http://127.0.0.1.evil.example:7777/callback",
            "http://127.0.0.1:7777@evil.example/callback",
            "http://127.0.0.1:7777:80/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:-1/callback",
            "http://127.0.0.1:07777/callback",
            "http://127.0.0.1:\u0667\u0667/callback",
            "http://127.0.0.1:7778/other",
            "http://127.0.0.1:7778/callback?a=b",
            "http://127.0.0.1:7778/callback#a",
            "http://127.0.0.1:7778",
            "https://127.0.0.1:7777/callback",
            "HTTP://127.0.0.1:7777/callback",
            "com.example.app:/other",
            "com.example.app://callback",
            "com.example.app.evil:/callback",
            "COM.example.app:/callback",
        ],
    )
    def test_r_07_of_a_native_client_is_free_in_nothing_else(self, ada: Person, redirect_uri: str) -> None:
        assert_stays(ada.authorize("native", redirect_uri=redirect_uri))

    def test_r_07_of_a_native_client_may_be_its_scheme(self, ada: Person) -> None:
        page = ada.authorize("native", redirect_uri=PRIVATE)
        assert "code" in answer(ada.allow(page), to=PRIVATE + "?")

    def test_r_08_keeps_its_own_query_and_gets_more_behind_it(self, ada: Person) -> None:
        tenant = "https://app.example/callback?tenant=7"
        page = ada.authorize("queried", redirect_uri=tenant)
        sent = ada.allow(page).headers["location"]
        assert sent.startswith(f"{tenant}&code=")
        assert sent.count("?") == 1
        refused = ada.authorize("queried", redirect_uri=tenant, scope="no-such-scope").headers["location"]
        assert refused.startswith(f"{tenant}&error=invalid_scope")

    @pytest.mark.parametrize("query", ["tenant=8", "tenant=7&tenant=8", "", "tenant=7&code=planted", "TENANT=7"])
    def test_r_08_has_no_other_query(self, ada: Person, query: str) -> None:
        assert_stays(ada.authorize("queried", redirect_uri=f"{CALLBACK}?{query}"))


class TestTheWayBack:  # SECURITY
    @pytest.mark.parametrize("name", ["return_to", "next", "redirect_uri", "continue", "url", "target", "ReturnUrl"])
    def test_r_09_is_never_named_by_the_browser(self, service: Service, name: str) -> None:
        with service.browser() as person:
            page = person.authorize("own")
            page = person.open(f"{page.url}&{name}={EVIL}")
            done = person.follow(send(person, page, {**credentials(), name: EVIL}))
            assert done.headers["location"].startswith(f"{CALLBACK}?code=")

    @pytest.mark.parametrize("name", ["return_to", "next", "redirect_uri", "done"])
    @pytest.mark.parametrize("target", [EVIL, "//evil.example", "/\\evil.example", "javascript:alert(1)"])
    def test_r_09_after_a_visit_to_the_account_leads_to_the_account(
        self, service: Service, name: str, target: str
    ) -> None:
        with service.browser() as person:
            page = person.open("/login", {name: target})
            assert_stays(page, 200)
            account = person.follow(send(person, page, {**credentials(), name: target}))
            assert (account.status_code, account.url.path) == (200, "/account")
            assert_stays(person.open("/account", {name: target}), 200)

    def test_r_10_b_01_is_always_303(self, service: Service) -> None:
        """307 and 308 would send the password on to the application, 302 may (RFC 9700 section 4.12)."""
        with service.browser() as person:
            redirects = [person.http.post("/oauth/authorize", data=request(prompt="consent"))]
            page = person.follow(redirects[0])
            redirects.append(send(person, page, credentials()))
            page = person.follow(redirects[1])
            redirects.append(person.post(page, ("decision", "allow")))
            redirects.append(person.post(person.authorize("web2"), ("decision", "deny")))
            redirects.append(person.post(person.authorize("web2"), ("switch", "1")))
            redirects.append(person.authorize(scope="no-such-scope"))
            redirects.append(person.http.get("/account", headers={"cookie": ""}))
            account = person.open("/account")
            redirects.append(person.post(account, ("action", "end_all")))
        assert [response.status_code for response in redirects] == [303] * len(redirects)
        assert all(response.content == b"" for response in redirects)


class TestAfterALogout:  # OpenID Connect RP-Initiated Logout 1.0 section 3
    @pytest.mark.parametrize(
        "goodbye",
        [
            EVIL,
            GOODBYE + "/",
            GOODBYE + "?a=b",
            GOODBYE + "#a",
            GOODBYE.upper(),
            "https://app.example@evil.example/goodbye",
            "https://app.example.evil.example/goodbye",
            "//evil.example",
            "javascript:alert(1)",
            CALLBACK,
            "/",
        ],
    )
    def test_r_06_nobody_is_sent_to_an_unregistered_address(self, service: Service, goodbye: str) -> None:
        """Not even with the best of hints; and the person is signed out all the same."""
        with service.browser() as person:
            hint = service.tokens(person)["id_token"]
            asked = {"id_token_hint": hint, "post_logout_redirect_uri": goodbye, "state": "s"}
            assert_stays(person.open("/oauth/logout", asked), 200)
            assert answer(person.authorize(prompt="none"))["error"] == "login_required"

    def test_r_06_nobody_is_sent_anywhere_without_a_hint_of_ours(self, service: Service, ada: Person) -> None:
        tokens = service.tokens(ada)
        hints: list[Mapping[str, Any]] = [
            {},
            {"client_id": "web"},
            {"id_token_hint": "e30.e30."},
            {"id_token_hint": tokens["access_token"]},
            {"id_token_hint": tokens["refresh_token"]},
            {"id_token_hint": unsigned(tokens["id_token"])},
            {"id_token_hint": tokens["id_token"], "client_id": "web2"},
            {"id_token_hint": [tokens["id_token"], tokens["id_token"]]},
        ]
        with service.browser() as nobody:
            for sent in hints:
                for person in (ada, nobody):
                    page = person.open("/oauth/logout", {**sent, "post_logout_redirect_uri": GOODBYE})
                    assert_stays(page, 200, 400)
        assert "code" in answer(ada.authorize(prompt="none")), "somebody was signed out without being asked"

    @pytest.mark.parametrize("order", [(GOODBYE, EVIL), (EVIL, GOODBYE)])
    def test_r_06_two_addresses_are_none(self, service: Service, ada: Person, order: tuple[str, str]) -> None:
        hint = service.tokens(ada)["id_token"]
        asked = {"id_token_hint": hint, "post_logout_redirect_uri": list(order)}
        assert_stays(ada.open("/oauth/logout", asked))

    def test_r_06_the_registered_address_is_reached_with_the_state_as_it_was_sent(self, service: Service) -> None:
        state = "a b&c=d#e%0d%0a\r\nLocation: https://evil.example"
        with service.browser() as person:
            hint = service.tokens(person)["id_token"]
            asked = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE, "state": state}
            assert answer(person.open("/oauth/logout", asked), to=GOODBYE) == {"state": state}


def asked(person: Person, method: str, query: Mapping[str, str | list[str]]) -> httpx.Response:
    """An authorization request by either method, followed within the issuer."""
    if method == "GET":
        return person.open("/oauth/authorize", query)
    return person.follow(person.http.post("/oauth/authorize", data=dict(query)))
