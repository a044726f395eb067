"""What other sites, other tabs and other people do to a browser that is signed in (SECURITY B; RFC 9700 section 4)."""

import re
from collections.abc import Mapping
from typing import Final

import pytest

from tests.attacks.forging import cookie, cookie_name, credentials, hidden, plant, send, tried
from tests.attacks.pages import assert_stays, leads, skeleton, text
from tests.support.home import PASSWORD
from tests.support.person import CALLBACK, Person, answer, find_form, has_field, title
from tests.web.people import GOODBYE, LOOPBACK, PRIVATE, Service
from tests.web.site import assert_refused, bucket, claims_of

FOREIGN: Final = (
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://localhost:{port}"},
    {"origin": "https://127.0.0.1:{port}"},
    {"origin": "http://127.0.0.1:{port}.evil.example"},
    {"origin": "http://127.0.0.1:{port}@evil.example"},
    {"origin": "{url}", "sec-fetch-site": "cross-site"},
    {"origin": "{url}", "sec-fetch-site": "same-site"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
)
"""What browsers say of a form that another site sent."""


def spelled(headers: Mapping[str, str], person: Person) -> dict[str, str]:
    port = person.url.rpartition(":")[2]
    return {name: value.format(port=port, url=person.url) for name, value in headers.items()}


class TestForgedForms:  # cross-site request forgery, SECURITY B-04, B-05
    @pytest.mark.parametrize("headers", FOREIGN)
    def test_b_05_of_another_site_sign_nobody_in(self, service: Service, headers: dict[str, str]) -> None:
        with service.browser() as person:
            page = person.authorize()
            assert_stays(send(person, page, credentials(), headers=spelled(headers, person)))
            assert cookie(person, "session") == ""

    @pytest.mark.parametrize("headers", FOREIGN)
    def test_b_05_of_another_site_allow_and_change_nothing(
        self, service: Service, ada: Person, headers: dict[str, str]
    ) -> None:
        sent = spelled(headers, ada)
        with service.writing_nothing():
            for decision in ("allow", "deny"):
                assert_stays(send(ada, ada.authorize("web2", prompt="consent"), {"decision": decision}, headers=sent))
            account = ada.open("/account")
            for action in ("end_session", "end_application", "end_all", "change_password"):
                assert_stays(send(ada, account, {"action": action, "client_id": "web"}, headers=sent))
            asked = ada.open("/oauth/logout")
            assert_stays(send(ada, asked, {"decision": "sign_out"}, headers=sent))
        assert "code" in answer(ada.authorize(prompt="none"))

    @pytest.mark.parametrize("headers", [{}, {"origin": "null"}, {"sec-fetch-site": "same-origin"}])
    def test_b_05_of_our_own_pages_are_taken_however_the_browser_puts_it(
        self, service: Service, headers: dict[str, str]
    ) -> None:
        """With our referrer policy Chromium calls the origin of our own forms `null`; old browsers say nothing."""
        with service.browser() as person:
            page = tried(person, person.authorize("own"), credentials(), headers=headers)
            assert "code" in answer(page)

    @pytest.mark.parametrize(
        "place", ["missing", "wrong", "empty", "truncated", "longer", "other browser", "in the query", "twice"]
    )
    @pytest.mark.parametrize("path", ["/login", "/consent", "/account", "/oauth/logout"])
    def test_b_04_without_this_browser_s_token_do_nothing(
        self, service: Service, ada: Person, path: str, place: str
    ) -> None:
        with service.browser() as attacker, service.browser() as fresh:
            theirs = hidden(attacker.authorize(), "csrf")
            for person in (fresh, ada):
                fields = find_form(person.authorize("web2", prompt="consent"), ["csrf"]).values
                mine = fields.pop("csrf")
                sent = {
                    "wrong": ["A" * len(mine)],
                    "empty": [""],
                    "truncated": [mine[:-1]],
                    "longer": [mine + "A"],
                    "other browser": [theirs],
                    "twice": [mine, mine],
                }.get(place, [])
                decision = "allow" if path == "/consent" else "sign_out"
                body = {**fields, **credentials(), "decision": decision, "action": "end_all", "csrf": sent}
                query = {"csrf": mine} if place == "in the query" else {}
                answered = person.http.post(path, params=query, data=body, headers={"origin": person.url})
                assert_stays(person.follow(answered), 200, 400)
            assert cookie(fresh, "session") == ""
        assert "code" in answer(ada.authorize(prompt="none"))

    def test_b_04_the_token_says_nothing_about_the_cookie(self, service: Service) -> None:
        with service.browser() as person:
            token = hidden(person.authorize(), "csrf")
            assert cookie(person, "browser")[:10] not in token
            assert len(token) >= 22

    def test_b_04_signing_in_somebody_else_s_browser_needs_its_page(self, service: Service) -> None:
        """Login CSRF: the attacker's own page and password, sent from the victim's browser."""
        with service.browser() as attacker, service.browser() as victim:
            page = attacker.authorize()
            victim.open("/")
            stolen = send(victim, page, credentials("bob"))
            assert_stays(stolen)
            assert cookie(victim, "session") == ""

    def test_forms_are_only_taken_as_forms(self, service: Service) -> None:
        """A page elsewhere can send text/plain without being asked for permission first."""
        with service.browser() as person:
            page = person.authorize()
            fields = {**find_form(page, ["csrf"]).values, **credentials()}
            for content_type in ("text/plain", "multipart/form-data; boundary=x", "application/json", ""):
                headers = {"content-type": content_type, "origin": person.url}
                refused = person.http.post(
                    "/login", content="&".join(f"{k}={v}" for k, v in fields.items()), headers=headers
                )
                assert_stays(refused, 400, 415)
            assert cookie(person, "session") == ""

    def test_nothing_is_changed_by_a_link(self, service: Service, ada: Person) -> None:
        page = ada.authorize("web2", prompt="consent")
        fields = {**find_form(page, ["csrf"]).values, "decision": "allow", "action": "end_all", **credentials()}
        with service.writing_nothing():
            for path in ("/login", "/consent", "/account", "/oauth/logout"):
                for decision in ("allow", "sign_out"):
                    assert_stays(ada.open(path, {**fields, "decision": decision}), 200, 400)
        assert "code" in answer(ada.authorize(prompt="none"))


class TestCookies:  # RFC 6265bis, RFC 9700 section 4.14
    def test_b_02_of_before_the_sign_in_are_worth_nothing_afterwards(self, service: Service) -> None:
        """Session fixation: an attacker has planted the cookie that will be signed in, so the cookie changes."""
        with service.browser() as victim, service.browser() as attacker:
            planted = "planted-by-an-attacker-long-enough-to-pass"
            for person in (victim, attacker):
                plant(person, "session", planted)
            victim.sign_in(victim.authorize())
            assert has_field(attacker.open("/login"), "password")
            assert answer(attacker.authorize("own", prompt="none"))["error"] == "login_required"

    def test_b_02_change_at_every_sign_in(self, service: Service) -> None:
        """Also where the same person only proves again who it is: then the old value is worth nothing any more."""
        seen = []
        with service.browser() as person, service.browser() as thief:
            for _ in range(3):
                page = person.authorize("own", prompt="login")
                person.sign_in(page)
                seen.append(cookie(person, "session"))
            assert len({*seen}) == 3
            assert all(len(value) >= 32 for value in seen)
            for value in seen[:2]:
                plant(thief, "session", value)
                assert has_field(thief.open("/login"), "password")

    def test_b_02_are_worth_nothing_after_the_logout(self, service: Service) -> None:
        with service.browser() as person:
            person.sign_in(person.authorize("own"))
            value = cookie(person, "session")
            person.submit(person.open("/oauth/logout"), ("decision", "sign_out"))
            assert cookie(person, "session") == ""
            plant(person, "session", value)
            assert answer(person.authorize("own", prompt="none"))["error"] == "login_required"

    def test_b_03_are_out_of_reach_of_scripts_and_other_sites(self, service: Service) -> None:
        with service.browser() as person:
            first = person.http.get("/login")
            made = [*first.headers.get_list("set-cookie")]
            made += send(person, first, credentials()).headers.get_list("set-cookie")
        assert len(made) == 3
        for one in made:
            attributes = {part.strip().lower() for part in one.split(";")[1:]}
            if "jwtauth-device" in one:
                attributes.remove("max-age=31536000")
            assert {"httponly", "path=/", "samesite=lax"} <= attributes
            assert not [part for part in attributes if part.startswith(("domain", "max-age", "expires"))]

    def test_b_03_are_given_once_and_not_with_every_page(self, service: Service, ada: Person) -> None:
        for path in ("/login", "/account", "/oauth/authorize", "/oauth/logout", "/"):
            assert "set-cookie" not in ada.http.get(path).headers

    @pytest.mark.parametrize(
        "value",
        ["", "x", "x" * 129, "x" * 4_000, '"', "a b", "%00", "é", "../..", "' OR 1=1 --", "x; jwtauth-session=y"],
    )
    def test_b_03_of_any_odd_value_sign_nobody_in(self, service: Service, value: str) -> None:
        with service.browser() as person:
            for kind in ("session", "browser"):
                headers = {b"cookie": f"{cookie_name(person, kind)}={value}".encode()}
                page = person.http.get("/login", headers=headers)
                assert_stays(page, 200)
                assert has_field(page, "password")
                assert person.http.get("/account", headers=headers).headers["location"].endswith("/login")

    def test_b_03_of_another_issuer_on_this_host_are_left_alone(self, service: Service) -> None:
        """Two issuers on one loopback host differ in the port, which cookies do not know: their names differ."""
        with service.browser() as person:
            person.open("/login")
            port = person.url.rpartition(":")[2]
            assert {found.name for found in person.http.cookies.jar} == {f"jwtauth-browser-{port}"}


class TestStolenTransactions:
    def test_b_07_do_not_go_on_in_another_browser(self, service: Service, ada: Person) -> None:
        with service.browser() as attacker:
            page = attacker.authorize("web2")
            address, sealed = str(page.url), hidden(page, "transaction")
        with service.writing_nothing(), service.browser() as fresh:
            for victim in (ada, fresh):
                assert_stays(victim.open(address))
                own = victim.authorize("web2", prompt="consent")
                for path, fields in (("/login", credentials()), ("/consent", {"decision": "allow"})):
                    sent = {"csrf": hidden(own, "csrf"), "transaction": sealed, **fields}
                    assert_stays(victim.http.post(path, data=sent, headers={"origin": victim.url}))
            assert cookie(fresh, "session") == ""

    def test_b_07_stolen_after_the_sign_in_yield_no_code(self, service: Service) -> None:
        with service.browser() as person, service.browser() as thief:
            page = person.sign_in(person.authorize("web2", prompt="consent"))
            assert has_field(page, "decision")
            assert_stays(thief.open(str(page.url)))
            sent = {**find_form(page, ["csrf"]).values, "decision": "allow"}
            assert_stays(thief.http.post("/consent", data=sent, headers={"origin": thief.url}))
            assert "code" in answer(person.allow(page))
            assert_stays(thief.open(str(page.url)))

    def test_b_07_with_the_browser_cookie_alone_yield_no_code(self, service: Service) -> None:
        """The transaction is the browser's, the session decides who is signed in."""
        with service.browser() as person, service.browser() as thief:
            page = person.sign_in(person.authorize("web2", prompt="consent"))
            plant(thief, "browser", cookie(person, "browser"))
            found = tried(thief, page, {"decision": "allow"})
            assert has_field(found, "password")


class TestGuessing:
    def test_b_08_tells_nobody_who_exists(self, service: Service) -> None:
        """Unknown, wrong password, disabled with the right one: the same page."""
        gone = service.home.user("gone")
        service.home.ask(lambda store: store.administration.disable_user(gone, now=1))
        with service.browser() as person:
            page = person.authorize("web")
            seen = [
                tried(person, page, credentials(*pair))
                for pair in (("ada", "wrong"), ("no-one-by-this-name", "wrong"), ("gone", PASSWORD))
            ]
        assert {found.status_code for found in seen} == {400}
        assert len({text(found) for found in seen}) == 1
        assert len({tuple(skeleton(found)) for found in seen}) == 1
        assert len({tuple(found.headers) for found in seen}) == 1
        service.let_wait_pass("user ada")

    @pytest.mark.parametrize("size", [1_025, 4_096, 60_000])
    def test_b_09_with_a_giant_password_costs_no_hash(self, service: Service, size: int) -> None:
        with service.browser() as person, service.writing_nothing():
            page = person.authorize()
            for username, password in (("bob", "x" * size), ("bob", "é" * (size // 2 + 1)), ("b" * size, PASSWORD)):
                found = tried(person, page, credentials(username, password))
                assert_stays(found, 400, 413)
                assert found.status_code == 413 or "Wrong username or password" in text(found)

    def test_b_09_with_more_than_a_body_may_have_is_refused_unread(self, service: Service) -> None:
        with service.browser() as person:
            assert_stays(tried(person, person.authorize(), credentials("bob", "x" * 100_000)), 413)

    def test_b_10_b_11_waits_longer_each_time_and_never_for_good(self, service: Service) -> None:
        service.home.user("dora")
        with service.browser() as person:
            page = person.authorize("own")
            statuses = [tried(person, page, credentials("dora", f"wrong {n}")).status_code for n in range(5)]
            assert statuses == [400] * 5
            guess_on(service, "dora", counted=5)
            waiting = tried(person, page, credentials("dora"))
            assert waiting.status_code == 429
            assert 1 <= int(waiting.headers["retry-after"]) <= 16
            service.let_wait_pass("user dora")
            assert "code" in answer(tried(person, page, credentials("dora")))

    def test_b_11_keeps_nobody_out_of_a_browser_that_is_known(self, service: Service) -> None:
        """Else anybody could lock anybody out by guessing; the stranger waits, right password or not."""
        service.home.user("gerda")
        with service.browser() as known, service.browser() as stranger:
            known.sign_in(known.open("/login"), "gerda")
            known.submit(known.open("/oauth/logout"), ("decision", "sign_out"))
            full = "INSERT OR REPLACE INTO attempts VALUES (?, 9, strftime('%s', 'now') + 1)"
            service.execute(full, bucket("user gerda"))
            assert_stays(tried(stranger, stranger.authorize("own"), credentials("gerda")), 429)
            assert "code" in answer(tried(known, known.authorize("own"), credentials("gerda")))
            plant(stranger, "device", "gAAAA-made-up")
            assert_stays(tried(stranger, stranger.authorize("own"), credentials("gerda")), 429)

    def test_b_10_with_rotating_addresses_waits_all_the_same(self, service: Service) -> None:
        """Nobody said that there is a proxy: what a stranger writes there is not believed (H-12)."""
        full = "INSERT OR REPLACE INTO attempts VALUES (?, 110, strftime('%s', 'now') + 1)"
        service.execute(full, bucket("address 127.0.0.1"))
        try:
            with service.browser() as person:
                page = person.authorize()
                for number in range(4):
                    address = f"203.0.113.{number}"
                    headers = {"x-forwarded-for": address, "forwarded": f"for={address}", "x-real-ip": address}
                    found = tried(person, page, credentials(f"someone {number}"), headers=headers)
                    assert_stays(found, 429)
        finally:
            service.execute("DELETE FROM attempts WHERE bucket = ?", bucket("address 127.0.0.1"))

    def test_b_10_on_the_account_page_is_counted_as_well(self, service: Service) -> None:
        service.home.user("emil")
        with service.browser() as person:
            tried(person, person.open("/login"), credentials("emil"))
            form = {
                "action": "change_password",
                "new_password": "a new password",
                "repeated_password": "a new password",
            }
            person.http.cookies.delete(f"jwtauth-device-{service.server.port}")  # another device, with a stolen session
            account = person.open("/account")
            statuses = [
                tried(person, account, {**form, "current_password": f"wrong {n}"}).status_code for n in range(5)
            ]
            assert statuses == [400] * 5
            guess_on(service, "emil", counted=5)
            assert tried(person, account, {**form, "current_password": PASSWORD}).status_code == 429
        with service.browser() as person:
            assert tried(person, person.authorize(), credentials("emil")).status_code == 429


def guess_on(service: Service, username: str, *, counted: int) -> None:
    """Let four more guesses have been made this moment: the wait is then long enough for the slowest machine."""
    statement = "UPDATE attempts SET count = count + 4, last_at = strftime('%s', 'now') WHERE bucket = ? AND count = ?"
    assert service.execute(statement, bucket(f"user {username}"), counted) == 1


class TestConsent:
    @pytest.mark.parametrize("redirect_uri", [LOOPBACK, PRIVATE, "http://127.0.0.1:50000/callback"])
    def test_b_12_is_asked_again_where_nothing_proves_who_asks(
        self, service: Service, ada: Person, redirect_uri: str
    ) -> None:
        for _ in range(2):
            page = ada.authorize("native", redirect_uri=redirect_uri)
            assert has_field(page, "decision")
            answer(ada.allow(page), to=redirect_uri)
        silent = answer(ada.authorize("native", redirect_uri=redirect_uri, prompt="none"), to=redirect_uri)
        assert silent["error"] in ("consent_required", "interaction_required")

    def test_b_12_k_04_names_where_the_answer_goes(self, ada: Person) -> None:
        assert "127.0.0.1:7777" in text(ada.authorize("native", redirect_uri=LOOPBACK))
        assert "com.example.app" in text(ada.authorize("native", redirect_uri=PRIVATE))
        assert "app.example" in text(ada.authorize("web2", prompt="consent"))

    def test_b_13_sent_again_gives_no_second_code(self, service: Service) -> None:
        with service.browser() as person:
            page = person.sign_in(person.authorize(prompt="consent"))
            codes = {answer(person.allow(page))["code"] for _ in range(3)}
            assert len(codes) == 1
            tokens = service.redeem(codes.pop()).json()
            with service.writing_nothing():
                for again in (person.allow(page), person.open(str(page.url)), person.deny(page)):
                    assert "code=" not in again.headers.get("location", "")
            assert service.userinfo(tokens["access_token"]).status_code == 200

    def test_b_13_takes_scopes_from_the_server_alone(self, service: Service) -> None:
        with service.browser() as person:
            page = person.sign_in(person.authorize(scope="openid", prompt="consent"))
            planted = {
                "decision": "allow",
                "scope": "openid email write",
                "claims": "email",
                "resource": "https://x.example",
            }
            code = answer(tried(person, page, planted))["code"]
            tokens = service.redeem(code).json()
            assert tokens["scope"] == "openid"
            assert service.userinfo(tokens["access_token"]).json() == {"sub": "u.ada"}

    @pytest.mark.parametrize("decision", ["", "yes", "ALLOW", "allow,deny", "true"])
    def test_b_13_is_only_what_the_buttons_say(self, service: Service, ada: Person, decision: str) -> None:
        with service.writing_nothing():
            assert_stays(send(ada, ada.authorize("web2", prompt="consent"), {"decision": decision}))

    def test_b_13_both_ways_at_once_is_none(self, service: Service, ada: Person) -> None:
        fields = find_form(ada.authorize("web2", prompt="consent"), ["csrf"]).values
        body = "&".join([*(f"{name}={value}" for name, value in fields.items()), "decision=deny", "decision=allow"])
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": ada.url}
        with service.writing_nothing():
            assert_stays(ada.http.post("/consent", content=body, headers=headers))

    def test_b_13_of_less_does_not_allow_more(self, service: Service) -> None:
        with service.browser() as person:
            page = person.sign_in(person.authorize("two", scope="openid"), "bob")
            answer(person.allow(page) if has_field(page, "decision") else page)
            for more in (
                {"scope": "openid email"},
                {"scope": "openid offline_access"},
                {"resource": "https://reports.example"},
            ):
                assert answer(person.authorize("two", prompt="none", **{"scope": "openid", **more}))["error"] == (
                    "consent_required"
                )

    def test_b_13_of_one_person_does_not_allow_for_another(self, service: Service, ada: Person) -> None:
        """Two tabs: the page asks ada, meanwhile bob has signed in. Pressing Allow must not give bob's account away."""
        with service.browser() as person:
            page = person.sign_in(person.authorize("web2", prompt="consent"))
            assert "ada" in text(page)
            other = person.authorize("own", prompt="select_account")
            answer(person.sign_in(other, "bob"))
            found = person.allow(page)
            if found.status_code == 303:
                told = service.redeem(answer(found)["code"], client_id="web2").json()
                assert claims_of(told["id_token"])["sub"] == "u.ada", "ada was asked, bob has answered"
            assert "bob" in text(found)


class TestParallelTabs:
    def test_b_14_both_finish_each_with_its_own(self, service: Service) -> None:
        with service.browser() as person:
            first = person.authorize("web", state="first", nonce="nonce-1", prompt="consent")
            second = person.authorize("web2", state="second", nonce="nonce-2", prompt="consent")
            second = person.sign_in(second)
            first = person.sign_in(first)
            told = [answer(person.allow(page)) for page in (first, second)]
            assert [one["state"] for one in told] == ["first", "second"]
            for client_id, code, nonce in (("web", told[0]["code"], "nonce-1"), ("web2", told[1]["code"], "nonce-2")):
                claims = claims_of(service.redeem(code, client_id=client_id).json()["id_token"])
                assert (claims["nonce"], claims["aud"]) == (nonce, client_id)

    def test_b_14_do_not_change_each_other_s_person_unseen(self, service: Service) -> None:
        with service.browser() as person:
            first = person.authorize("own", state="first")
            second = person.authorize("own", state="second")
            for page, username in ((first, "ada"), (second, "bob")):
                code = answer(person.sign_in(page, username))["code"]
                claims = claims_of(service.redeem(code, client_id="own").json()["id_token"])
                assert claims["sub"] == f"u.{username}"

    def test_b_14_going_back_to_the_sign_in_page_is_calm(self, service: Service) -> None:
        with service.browser() as person:
            page = person.authorize("own")
            code = answer(person.sign_in(page))["code"]
            for again in (person.open(str(page.url)), person.sign_in(page)):
                assert again.status_code == 303
                assert answer(again)["code"] == code
            assert service.redeem(code, client_id="own").status_code == 200
            for again in (person.open(str(page.url)), person.sign_in(page)):
                assert_stays(again, 200)
                assert "Already done" in title(again)

    def test_b_14_a_finished_transaction_is_not_finished_for_the_next_person(self, service: Service) -> None:
        """Ada has gone; who sits down at her browser and goes back gets no code of hers."""
        with service.browser() as person:
            page = person.authorize("own", scope="openid offline_access")
            answer(person.sign_in(page))
            person.submit(person.open("/oauth/logout"), ("decision", "sign_out"))
            again = person.open(str(page.url))
            assert "code=" not in again.headers.get("location", "")


class TestLogout:  # OpenID Connect RP-Initiated Logout 1.0 sections 2 and 6
    def test_b_15_without_a_hint_is_asked_first(self, service: Service, ada: Person) -> None:
        for sent in ({}, {"client_id": "web"}, {"post_logout_redirect_uri": GOODBYE}, {"logout_hint": "ada"}):
            for page in (ada.open("/oauth/logout", sent), ada.follow(ada.http.post("/oauth/logout", data=sent))):
                assert_stays(page, 200)
                assert has_field(page, "decision")
        stays = ada.submit(ada.open("/oauth/logout"), ("decision", "stay"))
        assert stays.url.path == "/account"
        assert "code" in answer(ada.authorize(prompt="none"))

    def test_b_15_with_another_person_s_hint_is_asked_first(self, service: Service, ada: Person) -> None:
        with service.browser() as person:
            code = answer(person.sign_in(person.authorize("own"), "bob"))["code"]
            hint = service.redeem(code, client_id="own").json()["id_token"]
        page = ada.open("/oauth/logout", {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE})
        assert has_field(page, "decision")
        assert "code" in answer(ada.authorize(prompt="none"))

    @pytest.mark.parametrize("sent", [{}, {"client_id": "web"}, {"post_logout_redirect_uri": GOODBYE}, {"csrf": "x"}])
    def test_b_15_posted_by_another_site_takes_no_cookie_away(self, service: Service, sent: dict[str, str]) -> None:
        """With such a form browsers send no cookies of ours (SameSite=Lax), but they heed what the answer sets."""
        with service.browser() as stranger:
            headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
            answered = stranger.http.post("/oauth/logout", data=sent, headers=headers)
        assert "session" not in answered.headers.get("set-cookie", "")

    def test_b_15_by_a_link_to_a_browser_without_session_takes_nothing_away(self, service: Service) -> None:
        with service.browser() as stranger:
            assert "session" not in stranger.http.get("/oauth/logout").headers.get("set-cookie", "")

    def test_posted_by_the_application_with_a_hint_ends_the_session_itself(self, service: Service) -> None:
        """Section 2 demands POST as well; the form comes from the application's site, so without our cookies."""
        with service.browser() as person, service.browser() as elsewhere:
            tokens = service.tokens(person)
            sent = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": GOODBYE, "state": "bye"}
            headers = {"origin": "https://app.example", "sec-fetch-site": "cross-site"}
            answered = elsewhere.http.post("/oauth/logout", data=sent, headers=headers)
            left = person.follow(answered)
            assert answer(left, to=GOODBYE) == {"state": "bye"}
            assert service.userinfo(tokens["access_token"]).status_code == 401
            assert_refused(
                service.refresh(tokens["refresh_token"], auth=("web", "a-secret-of-the-tests")), 400, "invalid_grant"
            )


class TestNames:  # SECURITY B-17, K-04
    EVIL: Final = "<script src=//evil.example></script>\"'><img src=x onerror=alert(1)>\u202ereversed{{7777*7777}}"

    def test_b_17_of_clients_and_people_stay_text_everywhere(self, service: Service) -> None:
        from_outside = self.EVIL
        service.home.client(
            "named",
            name=from_outside,
            scope=("openid", "read", "a<b>", 'x"onclick=1'),
            redirect_uris=(CALLBACK,),
            post_logout_redirect_uris=(GOODBYE,),
        )
        service.home.user(from_outside)
        with service.browser(**{"user-agent": re.sub("[^ -~]", "", from_outside)}) as person:
            asked = {"scope": "openid read a<b>"}
            sign_in = person.authorize("named", **asked)
            assert_stays(sign_in, 200)
            consent = person.sign_in(sign_in, from_outside)
            assert_stays(consent, 200)
            assert "<script src=//evil.example></script>" in text(consent)
            hint = service.redeem(answer(person.allow(consent))["code"], client_id="named").json()["id_token"]
            for page in (
                person.open("/account"),
                person.open("/oauth/logout", {"client_id": "named"}),
                person.open(str(sign_in.url)),
                person.authorize("named", redirect_uri="https://evil.example"),
            ):
                assert_stays(page, 200, 400)
                assert "60481729" not in text(page)
            out = person.open("/oauth/logout", {"id_token_hint": hint})
            assert_stays(out, 200)
            assert "Signed out" in title(out)

    def test_b_17_no_page_loads_anything_from_elsewhere(self, service: Service, ada: Person) -> None:
        for page in (
            ada.open("/"),
            ada.open("/account"),
            ada.authorize("web2", prompt="consent"),
            ada.open("/oauth/logout"),
            ada.open("/nope"),
        ):
            assert not [address for address in leads(page) if "//" in address]
