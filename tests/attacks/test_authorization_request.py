"""Authorization requests that somebody else wrote (SECURITY Z; RFC 6749 section 4.1.2.1, RFC 9207, OIDC Core 3.1.2)."""

import json
from base64 import urlsafe_b64decode
from typing import Final
from urllib.parse import urlencode, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.attacks.forging import EVIL, INJECTIONS, cookie, credentials, hidden, plant, send, tried, unsigned
from tests.attacks.pages import active, assert_stays, leads, skeleton, text
from tests.attacks.redirects import assert_told, carried
from tests.support import leaks
from tests.support.canary import Canary
from tests.support.person import CALLBACK, Person, answer, find_form, has_field, request
from tests.web.people import GOODBYE, RESOURCE, Service
from tests.web.site import claims_of

MARKUP: Final = leaks.may_be_written(
    "'\"></title></pre><script/src=//evil.example>a</script><img/src=x/onerror=a>{{7*7}}${7*7}<!--"
)
"""Breaks out of text, attributes, titles and templates."""


class TestTheClient:
    @pytest.mark.parametrize(
        "client_id", ["no-such-client", "WEB", "web ", "web\x00", "wéb", "x" * 4_000, "../web", "%77eb", *INJECTIONS]
    )
    def test_z_01_that_nobody_knows_is_told_on_a_page(self, service: Service, ada: Person, client_id: str) -> None:
        with service.writing_nothing():
            assert_stays(ada.authorize(client_id))

    def test_z_01_that_is_missing_is_told_on_a_page(self, ada: Person) -> None:
        assert_stays(ada.authorize(""))
        assert_stays(ada.open("/oauth/authorize"))

    def test_z_12_without_the_grant_is_refused_before_anybody_signs_in(self, service: Service) -> None:
        with service.browser() as nobody:
            assert_told(service, nobody.authorize("machine"), "unauthorized_client")

    def test_k_03_by_an_address_is_looked_up_nowhere(self, ada: Person) -> None:
        """A client_id is a name; a document of its own at that address is never fetched."""
        with Canary() as canary:
            for client_id in (f"{canary.url}/client.json", f"https://{canary.host}/client.json"):
                assert_stays(ada.authorize(client_id, redirect_uri=f"{canary.url}/callback"))
            assert not canary.was_asked()

    def test_without_the_implicit_grant_hears_so_before_anybody_signs_in(self, service: Service) -> None:
        with service.browser() as nobody:
            found = nobody.authorize(response_type="token", code_challenge="", code_challenge_method="")
            assert_told(service, found, "unsupported_response_type", "unauthorized_client")


class TestTheResponseType:  # RFC 9700 section 2.1.2
    @pytest.mark.parametrize("client_id", ["web", "spa", "own"])
    @pytest.mark.parametrize(
        "response_type",
        [
            "",
            "token",
            "id_token",
            "id_token token",
            "code token",
            "code id_token",
            "none",
            "CODE",
            "code code",
            "x" * 999,
        ],
    )
    def test_z_02_other_than_code_brings_no_token_to_the_front(
        self, service: Service, ada: Person, client_id: str, response_type: str
    ) -> None:
        with service.writing_nothing():
            found = ada.authorize(client_id, response_type=response_type)
            assert_told(service, found, "invalid_request", "unsupported_response_type")

    def test_z_02_implicit_is_for_clients_that_opted_in_and_never_in_a_query(self, service: Service) -> None:
        with service.browser() as person:
            implicit = {"response_type": "token", "code_challenge": "", "code_challenge_method": "", "scope": "read"}
            found = person.allow(person.sign_in(person.authorize("old", **implicit)))
            assert urlsplit(found.headers["location"]).query == ""
            assert "access_token" in carried(found)
            refused = person.authorize("old", **implicit, response_mode="query")
            assert "access_token" not in carried(refused)
            assert "refresh_token" not in found.headers["location"]


class TestTheIssuer:  # RFC 9207 section 2
    def test_z_13_is_named_in_every_good_answer(self, service: Service, ada: Person) -> None:
        assert answer(ada.authorize())["iss"] == service.server.url
        page = ada.authorize(response_mode="form_post")
        assert find_form(page, ["iss"]).values["iss"] == service.server.url

    @pytest.mark.parametrize("header", ["host", "x-forwarded-host", "forwarded", "x-original-host", "x-host"])
    def test_z_13_is_what_the_settings_say(self, service: Service, ada: Person, header: str) -> None:
        value = "host=evil.example" if header == "forwarded" else "evil.example"
        found = ada.http.get("/oauth/authorize", params=dict(request()), headers={header: value})
        assert found.status_code in (303, 400, 421)
        assert "evil.example" not in str(found.headers)
        if found.status_code == 303:
            assert answer(found)["iss"] == service.server.url

    def test_z_13_is_named_where_the_person_declines(self, service: Service) -> None:
        with service.browser() as person:
            assert_told(service, person.submit(person.authorize("web2"), ("cancel", "1")), "access_denied")
            page = person.sign_in(person.authorize("web2"))
            assert_told(service, person.deny(page), "access_denied")

    def test_z_13_is_announced(self, service: Service) -> None:
        for name in ("openid-configuration", "oauth-authorization-server"):
            found = service.http.get(f"/.well-known/{name}").json()
            assert found["authorization_response_iss_parameter_supported"] is True
            assert found["issuer"] == service.server.url


class TestParametersSentTwice:  # RFC 6749 section 3.1
    @pytest.mark.parametrize("name", ["client_id", "response_type", "state", "response_mode"])
    def test_z_03_that_address_the_answer_are_told_on_a_page(self, ada: Person, name: str) -> None:
        usual = {**request(), "response_mode": "query"}
        for value in (str(usual[name]), "other"):
            assert_stays(ada.http.get("/oauth/authorize", params=urlencode([*usual.items(), (name, value)])))

    @pytest.mark.parametrize(
        "name",
        [
            "scope",
            "nonce",
            "code_challenge",
            "code_challenge_method",
            "prompt",
            "max_age",
            "login_hint",
            "id_token_hint",
            "claims",
            "unknown",
            '"\\é\r\n<b>' + "x" * 100,
        ],
    )
    def test_z_03_are_refused(self, service: Service, ada: Person, name: str) -> None:
        query = urlencode([*{**request(), name: str(request().get(name, "1"))}.items(), (name, "2")])
        with service.writing_nothing():
            assert_told(service, ada.http.get("/oauth/authorize", params=query), "invalid_request")

    def test_z_03_resources_may_be_several(self, service: Service, ada: Person) -> None:
        assert has_field(ada.authorize(resource=[RESOURCE, RESOURCE]), "decision")
        refused = ada.authorize(resource=[RESOURCE, "https://evil.example/"])
        assert_told(service, refused, "invalid_target")


class TestTheState:  # RFC 6749 section 4.1.2
    @pytest.mark.parametrize(
        "state",
        [
            "plain",
            "a b+c%20d%2Bé",
            "&code=planted&iss=https://evil.example#?",
            "=;,/?:@&=+$-_.!~*'()",
            '"<>\\^`{|}',
            "\r\nLocation: https://evil.example\r\n\r\n",
            "\t \u2028\u202e\ufeff",
            "日本語 🔑 e\u0301",
            "%",
            "%zz%00",
            "0",
            "x" * 4_000,
            MARKUP,
        ],
    )
    def test_z_04_comes_back_byte_for_byte(self, ada: Person, state: str) -> None:
        for changes in ({}, {"scope": "no-such-scope"}, {"prompt": "consent"}):
            found = ada.authorize(state=state, **changes)
            if has_field(found, "decision"):
                found = ada.allow(found)
            assert "\r" not in found.headers["location"]
            assert found.headers["location"].isascii()
            assert carried(found)["state"] == state
        page = ada.authorize(state=state, response_mode="form_post")
        assert find_form(page, ["state"]).values["state"] == state

    def test_z_04_is_not_invented(self, ada: Person) -> None:
        assert "state" not in carried(ada.authorize(state=""))

    @pytest.mark.parametrize("length", [2_000, 8_000, 12_000, 16_000, 20_000, 26_000, 30_000])
    def test_z_04_too_long_to_travel_is_refused_at_once_and_never_cut(self, service: Service, length: int) -> None:
        """Sealed it is longer than it was sent: what the first page lets in must not strand the person at the next."""
        with service.browser() as person:
            first = person.http.get("/oauth/authorize", params=dict(request(state="s" * length, prompt="login")))
            if first.status_code != 303 or carries_an_error(first):
                assert first.status_code in (303, 400, 413, 414, 431)
                return
            page = person.follow(first)
            assert has_field(page, "password"), page.text
            page = person.sign_in(page)
            page = person.allow(page) if has_field(page, "decision") else page
            assert carried(page)["state"] == "s" * length


class TestRequestObjects:  # OpenID Connect Core 1.0 section 6, RFC 9101
    @pytest.mark.parametrize("client_id", ["web", "spa"])
    def test_z_05_override_nothing(self, service: Service, ada: Person, client_id: str) -> None:
        wanted = {**request(client_id), "redirect_uri": EVIL, "state": "evil", "iss": client_id}
        objects = (
            jwt.encode(wanted, "", algorithm="none"),
            jwt.encode(wanted, "x" * 32, algorithm="HS256"),
            jwt.encode(wanted, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
            "e30",
            "%" * 50,
        )
        for found in (ada.authorize(client_id, request=one) for one in objects):
            assert_told(service, found, "request_not_supported")

    def test_z_06_are_fetched_from_nowhere(self, service: Service, ada: Person) -> None:
        with Canary() as canary:
            for uri in (
                f"{canary.url}/object",
                f"https://{canary.host}/object",
                f"{canary.url}@evil.example/",
                f"gopher://{canary.host}/",
                "file:///etc/passwd",
                "urn:ietf:params:oauth:request_uri:planted",
                "http://169.254.169.254/latest/meta-data/",
            ):
                assert_told(service, ada.authorize(request_uri=uri), "request_uri_not_supported")
            told = ada.authorize(registration=json.dumps({"jwks_uri": canary.url, "logo_uri": canary.url}))
            assert_told(service, told, "registration_not_supported")
            assert not canary.was_asked()

    def test_z_06_are_not_announced(self, service: Service) -> None:
        found = service.http.get("/.well-known/openid-configuration").json()
        assert found.get("request_uri_parameter_supported") is False
        assert not found.get("request_parameter_supported")
        assert "pushed_authorization_request_endpoint" not in found


class TestPrompt:  # OpenID Connect Core 1.0 section 3.1.2.1
    @pytest.mark.parametrize(
        "prompt", ["none login", "login none", "none consent", "none none x", "None", "create", "x" * 500]
    )
    def test_z_07_that_contradicts_itself_is_refused(self, service: Service, ada: Person, prompt: str) -> None:
        assert_told(service, ada.authorize(prompt=prompt), "invalid_request")

    def test_z_07_none_shows_nobody_anything(self, service: Service, ada: Person) -> None:
        with service.browser() as nobody:
            assert_told(service, nobody.authorize(prompt="none"), "login_required")
        assert_told(service, ada.authorize("web2", prompt="none"), "consent_required")
        assert_told(service, ada.authorize(prompt="none", scope="openid email"), "consent_required")
        assert_told(service, ada.authorize(prompt="none", resource=RESOURCE), "consent_required")
        claims = json.dumps({"userinfo": {"phone_number": None}})
        assert_told(service, ada.authorize(prompt="none", claims=claims), "consent_required")
        assert_told(service, ada.authorize(prompt="none", max_age="0"), "login_required")

    def test_z_07_login_cannot_be_skipped_by_going_straight_to_consent(self, service: Service) -> None:
        with service.browser() as person:
            person.grant()
            page = person.authorize(prompt="login consent")
            assert has_field(page, "password")
            skipped = person.follow(
                person.http.post(
                    "/consent",
                    data={
                        "csrf": hidden(page, "csrf"),
                        "transaction": hidden(page, "transaction"),
                        "decision": "allow",
                    },
                    headers={"origin": person.url},
                )
            )
            assert has_field(skipped, "password")

    def test_z_07_consent_cannot_be_skipped_by_opening_the_page_again(self, ada: Person) -> None:
        page = ada.authorize(prompt="consent")
        for again in (ada.open(str(page.url)), ada.open(str(page.url))):
            assert has_field(again, "decision")


class TestOddParameters:
    def test_z_08_that_are_unknown_are_ignored(self, ada: Person) -> None:
        found = ada.authorize(**{"extra": "foobar", "code": "planted", "iss": EVIL, "user": "bob", "sub": "u.bob"})
        assert carried(found)["code"] != "planted"

    @pytest.mark.parametrize("max_age", ["-1", "abc", "1e3", "1.5", "0x10", "٣", " 5", "5 ", "99999999999", "NaN", "²"])
    def test_z_09_bad_max_age(self, service: Service, ada: Person, max_age: str) -> None:
        assert_told(service, ada.authorize(max_age=max_age), "invalid_request")

    @pytest.mark.parametrize(
        "mode", ["fragment", "query.jwt", "jwt", "web_message", "okta_post_message", "QUERY", "none"]
    )
    def test_z_11_bad_response_mode(self, service: Service, ada: Person, mode: str) -> None:
        assert_told(service, ada.authorize(response_mode=mode), "invalid_request")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("scope", "no-such-scope"),
            ("scope", "openid\tprofile"),
            ("scope", "openid admin"),
            ("scope", 'openid "'),
            ("scope", "openid " * 2_000),
            ("scope", "x" * 10_000),
            ("nonce", "n" * 1_025),
            ("claims", "{"),
            ("claims", "[]"),
            ("claims", "null"),
            ("claims", '{"id_token": []}'),
            ("claims", '{"userinfo": {"a": ' + "[" * 1_500 + "]" * 1_500 + "}}"),
            ("claims", "[" * 4_000),
            ("claims", '{"a": 1e999999}'),
            ("claims", '{"x": "' + "y" * 5_000 + '"}'),
            ("claims", '"\\ud800"'),
            ("resource", "https://evil.example/"),
            ("resource", "not a URI"),
            ("resource", RESOURCE + "/"),
            ("ui_locales", "../../../etc/passwd"),
            ("ui_locales", "x-y-z " * 500),
            ("ui_locales", "de_DE.UTF-8 \x7f é"),
            ("display", "none of them"),
            ("login_hint", "x" * 9_000),
            ("login_hint", "\r\n\u202e\ud7ff"),
            ("acr_values", "urn:evil"),
            ("id_token_hint", "x" * 9_000),
            ("id_token_hint", "..."),
            ("code_challenge", "x" * 9_000),
            ("response_mode", "\x7f"),
        ],
    )
    def test_z_11_never_upset_the_server(self, service: Service, ada: Person, name: str, value: str) -> None:
        with service.browser() as nobody:
            for person in (ada, nobody):
                found = person.authorize(**{name: value})
                assert found.status_code in (200, 303, 400)
                if found.status_code == 303:
                    assert carried(found)["state"] == "a-state"


PARAMETERS: Final = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "ui_locales",
    "id_token_hint",
    "claims",
    "resource",
)


class TestMarkup:  # reflected cross-site scripting
    @pytest.mark.parametrize("name", PARAMETERS)
    def test_z_10_in_a_parameter_stays_text(self, ada: Person, nobody: Person, name: str) -> None:
        for person in (ada, nobody):
            harmless, evil = (
                person.open("/oauth/authorize", {**request("web2"), name: value}) for value in ("harmless", MARKUP)
            )
            assert evil.status_code == harmless.status_code
            if evil.status_code == 303:
                assert not set("<>\"' {}") & set(evil.headers["location"])
                assert evil.content == b""
                continue
            assert skeleton(evil) == skeleton(harmless)
            assert leads(evil) == leads(harmless)
            assert [tag for tag, _ in active(evil) if tag != "link"] == []
            policy = evil.headers["content-security-policy"]
            assert "script-src" not in policy
            assert "unsafe" not in policy
            assert "evil" not in policy

    def test_z_10_in_the_name_of_a_parameter_stays_text(self, ada: Person) -> None:
        for value in ("1", MARKUP):
            query = urlencode([(MARKUP, value), (MARKUP, value)])
            page = ada.http.get("/oauth/authorize", params=query)
            assert_stays(page)
            page = ada.http.get("/oauth/logout", params=query)
            assert_stays(page)

    def test_z_10_in_what_is_typed_stays_text(self, nobody: Person) -> None:
        page = nobody.authorize()
        for typed in (credentials(MARKUP), credentials("ada", MARKUP), credentials(MARKUP * 50, MARKUP * 50)):
            again = tried(nobody, page, typed)
            assert_stays(again)
        assert find_form(tried(nobody, page, credentials(MARKUP)), ["username"]).values["username"] == MARKUP

    @pytest.mark.parametrize("field", ["transaction", "csrf", "cancel", "switch", MARKUP])
    def test_z_10_in_a_hidden_field_stays_text(self, nobody: Person, field: str) -> None:
        for path in ("/login", "/consent", "/account", "/oauth/logout"):
            page = nobody.authorize("web2")
            fields = {"csrf": hidden(page, "csrf"), "transaction": hidden(page, "transaction"), field: MARKUP}
            found = nobody.follow(nobody.http.post(path, data=fields, headers={"origin": nobody.url}))
            if found.status_code != 303:  # else the answer "cancelled" is on its way to the client
                assert_stays(found, 200, 400)

    @pytest.mark.parametrize("mode", ["query", "form_post"])
    def test_z_10_in_the_answer_of_a_form_stays_text(self, ada: Person, mode: str) -> None:
        """The one page with a script: what it posts is the state as it was sent, and nowhere else than registered."""
        for changes in ({}, {"scope": "no-such-scope"}):
            found = ada.authorize(state=MARKUP, response_mode=mode, **changes)
            if mode == "query":
                assert carried(found)["state"] == MARKUP
                continue
            assert skeleton(found) == skeleton(ada.authorize(state="harmless", response_mode=mode, **changes))
            form = find_form(found, ["state"])
            assert (form.action, form.values["state"]) == (CALLBACK, MARKUP)
            assert [attributes for tag, attributes in active(found) if tag == "script"] == [
                {"src": "/submit.js", "defer": ""}
            ]
            policy = found.headers["content-security-policy"]
            assert "script-src 'self';" in policy
            assert "form-action https:;" in policy

    @pytest.mark.parametrize("path", ["/nope", "/login", "/account", "/oauth/logout", "/"])
    def test_z_10_in_a_path_query_or_header_stays_text(self, ada: Person, path: str) -> None:
        headers = dict.fromkeys(["accept-language", "referer", "x-forwarded-for", "x-request-id", "origin"], MARKUP)
        for query in ({}, {"done": MARKUP, "transaction": MARKUP, "error": MARKUP}):
            assert_stays(ada.follow(ada.http.get(path, params=query, headers=headers)), 200, 400, 404)
        assert "<script" not in ada.http.get(f"{path}/<script>alert(1)</script>").text.lower()

    def test_z_10_is_not_calculated_by_a_template(self, ada: Person) -> None:
        page = ada.authorize("{{7777*7777}}{% raw %}${7777*7777}#{7777*7777}<%= 7777*7777 %>")
        assert "60481729" not in text(page)
        assert "{{7777*7777}}" in text(page)


class TestTheTransaction:
    def test_z_14_is_sealed(self, service: Service) -> None:
        """Neither its page, its address nor a cookie shows what is in it."""
        with service.browser() as person:
            page = person.authorize(nonce="a-nonce-to-be-kept", state="a-state-to-be-kept", login_hint="")
            for kept in ("a-nonce-to-be-kept", "a-state-to-be-kept", request()["code_challenge"]):
                assert str(kept) not in page.text + str(page.url) + str(person.http.cookies)

    def test_z_14_is_told_by_no_cookie_and_continued_by_no_changed_one(self, service: Service) -> None:
        """Cookies are random names, however they are decoded; under another one nothing goes on."""
        with service.browser() as person:
            page = person.sign_in(person.authorize("web2", prompt="consent", nonce="a-nonce-to-be-kept"))
            cookies = {kind: cookie(person, kind) for kind in ("browser", "session")}
            for value in cookies.values():
                assert len(value) >= 22
                decoded = urlsafe_b64decode(value + "=" * (-len(value) % 4))
                for known in (b"ada", b"web2", b"a-nonce-to-be-kept", b"openid", b"{", b'"'):
                    assert known not in value.encode()
                    assert len(known) < 3 or known not in decoded
            for kind, value in cookies.items():
                for changed in (swapped(value[0]) + value[1:], value[:-1], value + "A", value[::-1]):
                    plant(person, kind, changed)
                    with service.writing_nothing():
                        assert "code=" not in tried(person, page, {"decision": "allow"}).headers.get("location", "")
                    plant(person, kind, value)
            assert "code" in answer(person.allow(page))

    def test_z_14_changed_anywhere_is_refused(self, service: Service) -> None:
        with service.browser() as person:
            page = person.authorize()
            sealed = hidden(page, "transaction")
            half = len(sealed) // 2
            forged = [
                sealed[:place] + swapped(sealed[place]) + sealed[place + 1 :] for place in range(0, len(sealed), 40)
            ]
            forged += [
                sealed[:half],
                sealed[half:],
                sealed * 2,
                sealed[::-1],
                sealed + "A",
                sealed.upper(),
                "",
                "{}",
                "é",
            ]
            forged += ["gAAAAA", "null", "0" * 9_000, hidden(page, "csrf")]
            with service.writing_nothing():
                for one in forged:
                    assert_stays(person.follow(send(person, page, {**credentials(), "transaction": one})))
                    assert_stays(person.open("/login", {"transaction": one}))

    def test_z_14_given_twice_is_refused(self, service: Service) -> None:
        with service.browser() as person:
            page, other = person.authorize(), person.authorize("web2")
            body = urlencode(
                [
                    *find_form(page, ["csrf"]).values.items(),
                    *credentials().items(),
                    ("transaction", hidden(other, "transaction")),
                ]
            )
            headers = {"content-type": "application/x-www-form-urlencoded", "origin": person.url}
            assert_stays(person.http.post("/login", content=body, headers=headers))

    def test_z_14_does_not_take_its_parameters_from_the_form(self, service: Service) -> None:
        planted = {
            "client_id": "web2",
            "redirect_uri": EVIL,
            "scope": "openid read write",
            "state": "planted",
            "code_challenge": "x" * 43,
            "response_type": "token",
            "response_mode": "fragment",
            "username": "ada",
        }
        with service.browser() as person:
            page = person.follow(send(person, person.authorize(scope="openid phone"), {**planted, **credentials()}))
            code = answer(person.follow(send(person, page, {**planted, "decision": "allow"})))["code"]
            granted = service.redeem(code).json()
            assert granted["scope"] == "openid phone"


class TestTheHint:  # OpenID Connect Core 1.0 section 3.1.2.1
    def test_z_15_signs_nobody_in(self, service: Service, ada: Person) -> None:
        hint = service.tokens(ada)["id_token"]
        with service.browser() as nobody:
            for prompt in ("none", ""):
                found = nobody.authorize(id_token_hint=hint, prompt=prompt)
                if prompt:
                    assert_told(service, found, "login_required")
                else:
                    assert has_field(found, "password")

    def test_z_15_of_somebody_else_is_not_answered_with_the_person_at_hand(self, service: Service, ada: Person) -> None:
        with service.browser() as person:
            page = person.allow(person.sign_in(person.authorize(), "bob"))
            hint = service.redeem(answer(page)["code"]).json()["id_token"]
        assert claims_of(hint)["sub"] == "u.bob"
        assert_told(service, ada.authorize(id_token_hint=hint, prompt="none"), "login_required")
        assert has_field(ada.authorize(id_token_hint=hint), "password")
        asked = json.dumps({"id_token": {"sub": {"value": "u.bob"}}})
        assert_told(service, ada.authorize(claims=asked, prompt="none"), "login_required")

    def test_z_15_that_is_forged_is_worth_nothing(self, service: Service, ada: Person) -> None:
        tokens = service.tokens(ada)
        genuine = claims_of(tokens["id_token"])
        stranger = rsa.generate_private_key(65_537, 2_048)
        forged = (
            unsigned(tokens["id_token"]),
            jwt.encode(genuine, stranger, algorithm="RS256"),
            jwt.encode(genuine, stranger, algorithm="RS256", headers=jwt.get_unverified_header(tokens["id_token"])),
            jwt.encode({**genuine, "iss": "https://evil.example"}, stranger, algorithm="RS256"),
            tokens["access_token"],
            tokens["id_token"][:-4] + "AAAA",
            "ada",
        )
        for hint in forged:
            assert_told(service, ada.authorize(id_token_hint=hint, prompt="none"), "login_required")
            asked = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE}
            assert has_field(ada.open("/oauth/logout", asked), "decision")
        assert "code" in answer(ada.authorize(id_token_hint=tokens["id_token"], prompt="none"))


def carries_an_error(response: httpx.Response) -> bool:
    """Whether the client is told of an error."""
    return "error=" in response.headers["location"].partition("?")[2]


def swapped(character: str) -> str:
    """Another character of the same alphabet."""
    return "A" if character != "A" else "B"
