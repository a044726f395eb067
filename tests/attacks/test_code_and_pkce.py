"""Stolen, guessed, replayed and downgraded codes (SECURITY P, C; RFC 6749 section 4.1, RFC 7636, RFC 9700)."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

import httpx
import pytest

from tests.attacks.forging import INJECTIONS
from tests.attacks.redirects import assert_told
from tests.support import leaks
from tests.support.home import SECRET
from tests.support.person import CHALLENGE, VERIFIER, Person, answer, redemption
from tests.web.people import RESOURCE, Service
from tests.web.site import assert_refused, basic

OTHER_VERIFIER: Final = "another-verifier-that-is-long-enough-for-pkce-as-well"


class TestTheChallenge:  # RFC 7636 section 4.3, RFC 9700 section 2.1.1
    @pytest.mark.parametrize("client_id", ["web", "spa", "own"])
    @pytest.mark.parametrize(
        ("challenge", "method"),
        [
            pytest.param("", "", id="none"),
            pytest.param(CHALLENGE, "plain", id="plain"),
            pytest.param(VERIFIER, "plain", id="plain verifier"),
            pytest.param(CHALLENGE, "", id="no method, which means plain"),
            pytest.param("", "S256", id="method alone"),
            pytest.param(CHALLENGE, "s256", id="lower case"),
            pytest.param(CHALLENGE, "S256 ", id="space"),
            pytest.param(CHALLENGE, "S512", id="unknown method"),
            pytest.param(CHALLENGE[:-1], "S256", id="42 characters"),
            pytest.param(CHALLENGE + "A", "S256", id="44 characters"),
            pytest.param(CHALLENGE + "=", "S256", id="padding"),
            pytest.param(CHALLENGE + "\n", "S256", id="line feed"),
            pytest.param("+" + CHALLENGE[1:], "S256", id="other alphabet"),
            pytest.param("é" + CHALLENGE[1:], "S256", id="beyond ASCII"),
            pytest.param(" " * 43, "S256", id="spaces"),
        ],
    )
    def test_p_01_02_03_must_be_there_and_of_s256(
        self, service: Service, ada: Person, client_id: str, challenge: str, method: str
    ) -> None:
        found = ada.authorize(client_id, code_challenge=challenge, code_challenge_method=method)
        assert_told(service, found, "invalid_request")

    @pytest.mark.parametrize(
        ("challenge", "method"), [(CHALLENGE, "plain"), (CHALLENGE, ""), ("", "S256"), ("x", "S256")]
    )
    def test_p_02_of_an_exempt_client_must_be_right_where_it_is_sent(
        self, service: Service, ada: Person, challenge: str, method: str
    ) -> None:
        found = ada.authorize("exempt", code_challenge=challenge, code_challenge_method=method)
        assert_told(service, found, "invalid_request")

    def test_p_02_plain_is_not_announced(self, service: Service) -> None:
        found = service.http.get("/.well-known/oauth-authorization-server").json()
        assert found["code_challenge_methods_supported"] == ["S256"]


class TestTheVerifier:  # RFC 7636 section 4.6
    @pytest.mark.parametrize(
        "verifier",
        [
            pytest.param("", id="missing"),
            pytest.param(OTHER_VERIFIER, id="wrong"),
            pytest.param(VERIFIER[:42], id="short"),
            pytest.param(CHALLENGE, id="the challenge"),
            pytest.param(VERIFIER.upper(), id="other case"),
            pytest.param(VERIFIER + " ", id="space behind"),
            pytest.param(VERIFIER + "\n", id="line feed behind"),
            pytest.param(VERIFIER + "=", id="padding"),
            pytest.param(VERIFIER[:-1], id="one character less"),
            pytest.param(VERIFIER * 3, id="too long"),
            pytest.param("é" * 43, id="beyond ASCII"),
        ],
    )
    @pytest.mark.parametrize("client_id", ["web", "spa"])
    def test_p_04_p_13_wrong_earns_nothing_and_burns_nothing(
        self, service: Service, ada: Person, client_id: str, verifier: str
    ) -> None:
        """The code stays good for whoever has the right one: a thief of the code cannot keep the owner out."""
        is_public = client_id == "spa"
        code = ada.grant(client_id)["code"]
        with service.writing_nothing():
            refused = service.redeem(code, client_id=client_id, is_public=is_public, code_verifier=verifier)
            assert_refused(refused, 400, "invalid_grant")
        assert service.redeem(code, client_id=client_id, is_public=is_public).status_code == 200

    def test_p_04_of_another_transaction_is_wrong(self, service: Service, ada: Person) -> None:
        challenge = "N2hSHJoaTwKbkX3JVoLD3UK4Vb1pBjbxyjGkqNJ5rDw"
        mine, theirs = ada.grant()["code"], ada.grant(code_challenge=challenge)["code"]
        assert_refused(service.redeem(theirs), 400, "invalid_grant")
        assert service.redeem(mine).status_code == 200

    @pytest.mark.parametrize("verifier", [VERIFIER, leaks.may_be_written(CHALLENGE), "x" * 43])
    def test_p_12_where_no_challenge_was_sent_is_refused(self, service: Service, ada: Person, verifier: str) -> None:
        """An attacker has taken the challenge out of the request (RFC 9700 section 4.8.2)."""
        code = ada.grant("exempt", code_challenge="", code_challenge_method="")["code"]
        refused = service.redeem(code, client_id="exempt", code_verifier=verifier)
        assert_refused(refused, 400, "invalid_grant")
        assert service.redeem(code, client_id="exempt", code_verifier="").status_code == 200

    def test_p_12_of_an_exempt_client_counts_where_a_challenge_was_sent(self, service: Service, ada: Person) -> None:
        code = ada.grant("exempt")["code"]
        assert_refused(service.redeem(code, client_id="exempt", code_verifier=""), 400, "invalid_grant")
        assert service.redeem(code, client_id="exempt").status_code == 200


class TestTheCode:  # RFC 6749 sections 4.1.2, 10.5
    @pytest.mark.parametrize("thief", ["web2", "exempt", "own", "two"])
    def test_p_05_of_another_client_earns_nothing_and_burns_nothing(
        self, service: Service, ada: Person, thief: str
    ) -> None:
        code = ada.grant()["code"]
        with service.writing_nothing():
            assert_refused(service.redeem(code, client_id=thief), 400, "invalid_grant")
            assert_refused(service.redeem(code, client_id="spa", is_public=True), 400, "invalid_grant")
            assert_refused(service.redeem(code, client_id="machine"), 400, "unauthorized_client")
        assert service.redeem(code).status_code == 200

    def test_p_06_used_again_takes_its_tokens_along_and_no_others(self, service: Service, ada: Person) -> None:
        others = service.tokens(ada)
        code = ada.grant()["code"]
        first = service.redeem(code).json()
        refreshed = service.refresh(first["refresh_token"], auth=("web", SECRET)).json()
        assert_refused(service.redeem(code), 400, "invalid_grant")
        for token in (first["access_token"], refreshed["access_token"]):
            assert service.userinfo(token).status_code == 401
            assert not service.is_active(token, auth=("web", SECRET))
        for token in (first["refresh_token"], refreshed["refresh_token"]):
            assert_refused(service.refresh(token, auth=("web", SECRET)), 400, "invalid_grant")
        assert_refused(service.redeem(code), 400, "invalid_grant")
        assert service.userinfo(others["access_token"]).status_code == 200
        assert service.refresh(others["refresh_token"], auth=("web", SECRET)).status_code == 200

    @pytest.mark.parametrize(("client_id", "verifier"), [("web2", VERIFIER), ("web", OTHER_VERIFIER), ("web", "")])
    def test_p_06_stolen_after_its_use_ends_nothing(
        self, service: Service, ada: Person, client_id: str, verifier: str
    ) -> None:
        """A code stands in histories and logs: without secret and verifier it must not be worth a denial of service."""
        code = ada.grant()["code"]
        tokens = service.redeem(code).json()
        with service.writing_nothing():
            assert_refused(service.redeem(code, client_id=client_id, code_verifier=verifier), 400, "invalid_grant")
        assert service.userinfo(tokens["access_token"]).status_code == 200

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
    def test_p_07_is_redeemed_by_post_alone(self, service: Service, ada: Person, method: str) -> None:
        code = ada.grant()["code"]
        headers = {"authorization": basic("web", SECRET)}
        for query in (redemption(code), {}):
            response = service.http.request(method, "/oauth/token", headers=headers, params=query)
            assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert service.redeem(code).status_code == 200

    @pytest.mark.parametrize(
        "code",
        [
            "x",
            "ac_",
            "ac_" + "A" * 48,
            "ac_" + "é" * 48,
            "x" * 10_000,
            "null",
            "../../etc/passwd",
            "\x01\x7f\u202e",
            *INJECTIONS,
        ],
    )
    def test_p_08_that_was_never_given_is_refused(self, service: Service, code: str) -> None:
        with service.writing_nothing():
            assert_refused(service.redeem(code), 400, "invalid_grant")

    def test_p_08_respelled_is_another(self, service: Service, ada: Person) -> None:
        code = ada.grant()["code"]
        spellings = [
            code + "=",
            code + " ",
            " " + code,
            code.lower(),
            code.upper(),
            code[3:],
            "rt_" + code[3:],
            code + "A",
        ]
        spellings += [code[:-1], code + "\n", code.replace("ac_", "AC_"), code + code, "." + code]
        with service.writing_nothing():
            for spelling in spellings:
                assert_refused(service.redeem(spelling), 400, "invalid_grant")
        assert service.redeem(code).status_code == 200

    def test_p_08_is_no_refresh_token_and_a_refresh_token_no_code(self, service: Service, ada: Person) -> None:
        code = ada.grant()["code"]
        assert_refused(service.refresh(code, auth=("web", SECRET)), 400, "invalid_grant")
        assert_refused(service.refresh("rt_" + code[3:], auth=("web", SECRET)), 400, "invalid_grant")
        tokens = service.redeem(code).json()
        for token in (tokens["refresh_token"], "ac_" + tokens["refresh_token"][3:], tokens["access_token"]):
            assert_refused(service.redeem(token), 400, "invalid_grant")
        assert service.userinfo(tokens["access_token"]).status_code == 200

    def test_p_09_cannot_be_changed_into_the_next_one(self, service: Service, ada: Person) -> None:
        """Every bit counts: neither the grant nor the proof can be altered by somebody who has another code."""
        mine, theirs = (raw(ada.grant()["code"]) for _ in range(2))
        with service.writing_nothing():
            for place in range(len(mine)):
                forged = mine[:place] + bytes([mine[place] ^ 1]) + mine[place + 1 :]
                assert_refused(service.redeem(encoded(forged)), 400, "invalid_grant")
            for cut in range(1, len(mine)):
                spliced = theirs[:cut] + mine[cut:]
                if spliced not in (mine, theirs):
                    assert_refused(service.redeem(encoded(spliced)), 400, "invalid_grant")

    def test_p_09_has_more_than_128_bits_that_nobody_can_foresee(self, ada: Person) -> None:
        proofs = [int.from_bytes(raw(ada.grant()["code"])[-22:], "big") for _ in range(32)]
        ones = [sum(proof >> bit & 1 for proof in proofs) for bit in range(176)]
        assert sum(3 <= count <= 29 for count in ones) >= 170, "bits that hardly change between 32 codes"
        assert len({proof >> 88 for proof in proofs} | {proof & (1 << 88) - 1 for proof in proofs}) == 64

    def test_p_10_is_good_for_a_minute_at_most(self, service: Service, ada: Person) -> None:
        code = ada.grant()["code"]
        newest = "id = (SELECT max(id) FROM grants)"
        assert service.execute(f"UPDATE grants SET code_expires_at = code_expires_at WHERE {newest}"
                               " AND code_expires_at - created_at BETWEEN 1 AND 60") == 1  # fmt: skip
        now = int(time.time())
        assert service.execute(f"UPDATE grants SET code_expires_at = ? WHERE {newest}", now) == 1
        assert_refused(service.redeem(code), 400, "invalid_grant")

    def test_p_10_ends_with_the_session_in_which_it_was_given(self, service: Service) -> None:
        with service.browser() as person:
            code, offline = person.grant("own")["code"], person.grant("own", scope="openid offline_access")["code"]
            page = person.open("/oauth/logout")
            person.submit(page, ("decision", "sign_out"))
            assert_refused(service.redeem(code, client_id="own"), 400, "invalid_grant")
            assert service.redeem(offline, client_id="own").status_code == 200

    def test_widens_nothing(self, service: Service, ada: Person) -> None:
        code = ada.grant(scope="openid")["code"]
        granted = service.redeem(code, scope="openid email admin").json()
        assert granted["scope"] == "openid"
        code = ada.grant()["code"]
        assert_refused(service.redeem(code, resource="https://evil.example/"), 400, "invalid_target")
        assert_refused(service.redeem(code, resource=RESOURCE), 400, "invalid_target")
        assert service.redeem(code).status_code == 200

    def test_given_before_a_person_was_disabled_is_worth_nothing(self, service: Service) -> None:
        carol = service.home.user("carol")
        with service.browser() as person:
            code = answer(person.sign_in(person.authorize("own"), "carol"))["code"]
        now = int(time.time())
        service.home.ask(lambda store: store.administration.disable_user(carol, now=now))
        assert_refused(service.redeem(code, client_id="own"), 400, "invalid_grant")


class TestTheClient:  # RFC 6749 section 2.3; SECURITY C, wherever a code is at stake
    @pytest.mark.parametrize(
        "auth",
        [("web", "wrong"), ("web", ""), ("web", SECRET + " "), ("no-such-client", SECRET), ("", SECRET), ("", "")],
    )
    def test_c_01_c_02_that_fails_to_authenticate_burns_no_code(
        self, service: Service, ada: Person, auth: tuple[str, str]
    ) -> None:
        code = ada.grant()["code"]
        with service.writing_nothing():
            refused = service.token(redemption(code), auth=auth)
            assert_refused(refused, 401, "invalid_client")
            assert refused.headers["www-authenticate"].startswith("Basic ")
        assert service.redeem(code).status_code == 200

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param({}, id="nothing at all"),
            pytest.param({"client_id": "web"}, id="its name alone"),
            pytest.param({"client_id": "web", "client_secret": "wrong"}, id="wrong in the form"),
            pytest.param({"client_id": "web", "client_secret": SECRET}, id="in the form, registered for Basic"),
        ],
    )
    def test_c_08_c_09_c_10_without_its_own_method_burns_no_code(
        self, service: Service, ada: Person, more: dict[str, str]
    ) -> None:
        code = ada.grant()["code"]
        with service.writing_nothing():
            refused = service.token({**redemption(code), **more}, auth=None)
            assert refused.status_code in (400, 401)
            assert refused.json()["error"] in ("invalid_client", "invalid_request")
        assert service.redeem(code).status_code == 200

    @pytest.mark.parametrize("secret", ["", SECRET, "x"])
    def test_c_09_that_is_public_does_not_pass_with_a_secret(self, service: Service, ada: Person, secret: str) -> None:
        code = ada.grant("spa")["code"]
        refused = service.token(redemption(code), auth=("spa", secret))
        assert_refused(refused, 401, "invalid_client")
        assert service.redeem(code, client_id="spa", is_public=True).status_code == 200

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param({"client_id": "web", "client_secret": SECRET}, id="C-03 two methods"),
            pytest.param({"client_secret": SECRET}, id="C-03 secret twice"),
            pytest.param({"client_id": "web2"}, id="C-04 two clients"),
            pytest.param({"client_id": "spa"}, id="C-04 a public one beside it"),
        ],
    )
    def test_c_03_c_04_that_is_two_clients_at_once_is_refused(
        self, service: Service, ada: Person, more: dict[str, str]
    ) -> None:
        code = ada.grant()["code"]
        with service.writing_nothing():
            refused = service.token({**redemption(code), **more}, auth=("web", SECRET))
            assert refused.status_code in (400, 401)
        assert service.redeem(code).status_code == 200

    def test_c_04_with_two_authorization_headers_is_refused(self, service: Service, ada: Person) -> None:
        code = ada.grant()["code"]
        for pair in ((basic("web", SECRET), basic("web", SECRET)), (basic("web", "x"), basic("web", SECRET))):
            headers = [("authorization", value) for value in pair]
            refused = service.http.post("/oauth/token", data=redemption(code), headers=headers)
            assert refused.status_code in (400, 401)
        assert service.redeem(code).status_code == 200

    @pytest.mark.parametrize("name", ["code", "code_verifier", "client_id", "client_secret", "grant_type"])
    def test_c_05_that_sends_something_in_the_query_is_refused(self, service: Service, ada: Person, name: str) -> None:
        """Whether it stands there alone or a second time; the log is grepped in test_leaks.py."""
        code = ada.grant()["code"]
        value = {**redemption(code), "client_id": "web", "client_secret": SECRET}[name]
        with service.writing_nothing():
            without = {other: text for other, text in redemption(code).items() if other != name}
            for form in (redemption(code), without):
                headers = {"authorization": basic("web", SECRET)}
                refused = service.http.post("/oauth/token", params={name: value}, data=form, headers=headers)
                assert_refused(refused, 400, "invalid_request")
        assert service.redeem(code).status_code == 200

    @pytest.mark.parametrize(
        "grant_type",
        ["authorization_code ", "Authorization_Code", "authorization_code\n", "implicit", "code", "urn:x", "0"],
    )
    def test_c_11_with_an_odd_grant_type_is_refused(self, service: Service, ada: Person, grant_type: str) -> None:
        refused = service.redeem(ada.grant()["code"], grant_type=grant_type)
        assert_refused(refused, 400, "unsupported_grant_type")

    @pytest.mark.parametrize("name", ["code", "code_verifier", "redirect_uri", "grant_type", "client_id"])
    def test_c_12_that_sends_something_twice_is_refused(self, service: Service, ada: Person, name: str) -> None:
        code = ada.grant()["code"]
        pairs = [*redemption(code).items()]
        for value in (dict(pairs).get(name, "web"), "other"):
            refused = service.token([*pairs, (name, value), (name, value)], auth=("web", SECRET))
            assert_refused(refused, 400, "invalid_request")
        assert service.redeem(code).status_code == 200

    def test_c_13_that_sends_json_or_multipart_is_refused(self, service: Service, ada: Person) -> None:
        code = ada.grant()["code"]
        headers = {"authorization": basic("web", SECRET)}
        responses = [
            service.http.post("/oauth/token", json=redemption(code), headers=headers),
            service.http.post("/oauth/token", data=redemption(code), files={"file": b"x"}, headers=headers),
            posted(service, redemption(code), "text/plain"),
            posted(service, redemption(code), "application/x-www-form-urlencoded-2"),
        ]
        assert [response.status_code for response in responses] == [415] * 4
        assert service.redeem(code).status_code == 200

    @pytest.mark.parametrize("client_id", INJECTIONS)
    def test_c_14_with_an_injected_name_is_nobody(self, service: Service, client_id: str) -> None:
        with service.writing_nothing():
            assert_refused(service.token(redemption("x"), auth=(client_id, SECRET)), 401, "invalid_client")
            assert_refused(service.token({**redemption("x"), "client_id": client_id}, auth=None), 401, "invalid_client")


def posted(service: Service, form: Mapping[str, str], content_type: str) -> httpx.Response:
    """A token request that says it is of another type."""
    headers = {"authorization": basic("web", SECRET), "content-type": content_type}
    return service.http.post("/oauth/token", content=str(httpx.QueryParams(dict(form))), headers=headers)


def raw(code: str) -> bytes:
    """What is behind a code's characters."""
    return urlsafe_b64decode(code.removeprefix("ac_"))


def encoded(raw_code: bytes) -> str:
    """A code as it would be written."""
    return "ac_" + urlsafe_b64encode(raw_code).decode()
