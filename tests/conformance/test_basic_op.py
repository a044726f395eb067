"""The Basic OP plan of the OpenID certification, module by module, over HTTP (OpenID Connect Core 1.0)."""

import json
import time
from typing import Any, Final

import httpx
import jwt
import pytest

from jwtauth.errors import InvalidGrant
from tests.conformance.conftest import APPLICATION, SECOND_CALLBACK
from tests.conformance.relying_party import (
    DESCRIPTION,
    RelyingParty,
    SignedIn,
    assert_token_answer,
    measured_bits,
    post_from_elsewhere,
    wait_past,
)
from tests.endpoints.conftest import Desk
from tests.support import plain
from tests.support.home import SECRET
from tests.support.person import (
    CALLBACK,
    CHALLENGE,
    VERIFIER,
    Person,
    answer,
    find_form,
    has_field,
    redemption,
    title,
)
from tests.web.people import Service
from tests.web.site import assert_refused, claims_of

EVERYTHING: Final = "openid profile email address phone"

PROFILE: Final[dict[str, Any]] = {
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "middle_name": "Augusta",
    "nickname": "Countess",
    "preferred_username": "ada",
    "profile": "https://ada.example/",
    "picture": "https://ada.example/ada.png",
    "website": "https://ada.example/engine",
    "gender": "female",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "updated_at": 1_700_000_000,
}
EMAIL: Final = {"email": "ada@example.org", "email_verified": True}
ADDRESS: Final = {
    "address": {"formatted": "12 St James's Square\nLondon", "locality": "London", "country": "GB"},
}
PHONE: Final = {"phone_number": "+44 20 7946 0000", "phone_number_verified": False}


def as_json(claims: Any) -> str:
    """Text in which 1, 1.0, true and "1" are four different things."""
    return json.dumps(claims, sort_keys=True)


class TestTheStrictClient:
    """The checks that all the other tests rest on can fail."""

    def test_believes_no_other_nonce(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person)
        with pytest.raises(AssertionError):
            party.verified(found.id_token, nonce="another", access_token=found.access_token)

    def test_believes_no_other_access_token(self, party: RelyingParty, person: Person) -> None:
        found, other = party.sign_in(person), party.sign_in(person)
        with pytest.raises(AssertionError):
            party.verified(found.id_token, nonce=found.claims["nonce"], access_token=other.access_token)

    def test_believes_no_token_for_another_client(
        self, party: RelyingParty, second: RelyingParty, person: Person
    ) -> None:
        found = party.sign_in(person)
        with pytest.raises(jwt.InvalidAudienceError):
            second.verified(found.id_token, nonce=found.claims["nonce"], access_token=found.access_token)

    def test_believes_no_changed_token(self, party: RelyingParty, person: Person) -> None:
        found, other = party.sign_in(person), party.sign_in(person)
        head, _, signature = found.id_token.split(".")
        forged = ".".join((head, other.id_token.split(".")[1], signature))
        with pytest.raises(jwt.InvalidSignatureError):
            party.verified(forged, nonce=other.claims["nonce"], access_token=other.access_token)


class TestServer:
    def test_oidcc_server(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person, scope="openid")
        told = party.userinfo(found.access_token)
        assert told.status_code == 200
        assert told.json() == {"sub": found.claims["sub"]}

    def test_oidcc_server_for_the_second_client(
        self, party: RelyingParty, second: RelyingParty, person: Person
    ) -> None:
        first, found = party.sign_in(person), second.sign_in(person)
        assert {name: found.answer[name] for name in ("dummy1", "dummy2")} == {"dummy1": "lorem", "dummy2": "ipsum"}
        assert found.claims["sub"] == first.claims["sub"], "the subject type is public"
        assert second.userinfo(found.access_token).json()["sub"] == found.claims["sub"]

    def test_oidcc_server_client_secret_post(self, service: Service, person: Person) -> None:
        found = RelyingParty(service, "poster", is_secret_posted=True).sign_in(person)
        assert found.claims["aud"] == "poster"

    def test_oidcc_server_client_secret_post_is_no_wish_but_a_registration(
        self, service: Service, person: Person
    ) -> None:
        code = RelyingParty(service, "poster").asked()
        sent = person.grant("poster", **code)
        assert_refused(RelyingParty(service, "poster").redeem(sent["code"]), 401, "invalid_client")

    def test_oidcc_server_leads_back_with_303_and_nothing_to_keep(self, party: RelyingParty, person: Person) -> None:
        party.sign_in(person)
        seen = party.sends(person)
        assert seen.status_code == 303
        assert seen.headers["cache-control"] == "no-store"
        assert seen.headers["referrer-policy"] == "no-referrer"

    def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(
        self, party: RelyingParty, person: Person
    ) -> None:
        found = party.sign_in(person, nonce="")
        assert "nonce" not in found.claims

    def test_a_request_without_state_gets_none_back(self, party: RelyingParty, person: Person) -> None:
        assert "state" not in party.sign_in(person, state="").answer

    def test_a_request_without_openid_gets_no_id_token(self, party: RelyingParty, person: Person) -> None:
        sent = person.grant(party.client_id, **party.asked(scope="read"))
        tokens = party.redeem(sent["code"]).json()
        assert "id_token" not in tokens
        assert_refused(party.userinfo(tokens["access_token"]), 403, "insufficient_scope")


class TestResponseType:
    def test_oidcc_response_type_missing(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked(response_type="")
        error = party.refused(party.sends(person, **asked), asked)
        assert error in ("invalid_request", "unsupported_response_type")

    @pytest.mark.parametrize(
        "response_type", ["id_token", "code id_token", "code token", "code id_token token", "none", "CODE"]
    )
    def test_whatever_is_not_advertised_is_not_given(
        self, party: RelyingParty, person: Person, response_type: str
    ) -> None:
        assert response_type not in party.metadata["response_types_supported"]
        asked = party.asked(response_type=response_type)
        assert party.refused(party.sends(person, **asked), asked) == "unsupported_response_type"

    def test_a_token_is_not_given_in_the_front_channel(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked(response_type="token")
        seen = party.sends(person, **asked)
        sent = dict(httpx.QueryParams(httpx.URL(seen.headers["location"]).fragment))
        assert (sent["error"], sent["state"]) == ("unsupported_response_type", asked["state"])
        assert "access_token" not in sent


class TestIdToken:
    def test_oidcc_idtoken_signature(self, party: RelyingParty, person: Person) -> None:
        header = jwt.get_unverified_header(party.sign_in(person).id_token)
        assert header["alg"] == "RS256", "the default where nothing was registered (section 2)"
        published = plain.get(party.metadata["jwks_uri"]).json()["keys"]
        assert [key["kty"] for key in published if key["kid"] == header["kid"]] == ["RSA"]

    def test_oidcc_idtoken_unsigned(self, party: RelyingParty) -> None:
        assert "none" not in party.metadata["id_token_signing_alg_values_supported"]
        assert "none" not in party.metadata.get("request_object_signing_alg_values_supported", ())

    @pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
    def test_is_signed_with_the_algorithm_that_was_registered(
        self, service: Service, person: Person, algorithm: str
    ) -> None:
        client = service.home.client(f"signed-{algorithm}", id_token_algorithm=algorithm, **APPLICATION)
        RelyingParty(service, client.client_id, algorithm=algorithm).sign_in(person)

    def test_advertises_exactly_what_it_can_sign_with(self, party: RelyingParty) -> None:
        advertised = party.metadata["id_token_signing_alg_values_supported"]
        assert sorted(advertised) == ["ES256", "EdDSA", "PS256", "RS256"]

    def test_has_no_claim_that_is_not_advertised(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person, scope=EVERYTHING, claims='{"id_token":{"email":null,"address":null}}')
        assert found.claims.keys() <= {*party.metadata["claims_supported"]}

    def test_says_when_a_person_signed_in_and_not_when_it_was_made(self, party: RelyingParty, person: Person) -> None:
        first = party.sign_in(person)
        wait_past(first.claims["iat"])
        again = party.sign_in_at_once(person)
        assert again.claims["auth_time"] == first.claims["auth_time"]
        assert again.claims["iat"] > first.claims["iat"]


class TestUserinfo:
    def told(self, response: httpx.Response, found: SignedIn) -> None:
        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        assert response.json()["sub"] == found.claims["sub"]
        assert response.json()["name"] == PROFILE["name"]

    def test_oidcc_userinfo_get(self, service: Service, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person)
        bearer = {"authorization": f"Bearer {found.access_token}"}
        self.told(service.http.get(party.metadata["userinfo_endpoint"], headers=bearer), found)

    def test_oidcc_userinfo_post_header(self, service: Service, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person)
        bearer = {"authorization": f"Bearer {found.access_token}"}
        self.told(service.http.post(party.metadata["userinfo_endpoint"], headers=bearer), found)

    def test_oidcc_userinfo_post_body(self, service: Service, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person)
        form = {"access_token": found.access_token}
        self.told(service.http.post(party.metadata["userinfo_endpoint"], data=form), found)


class TestScope:
    def told(self, party: RelyingParty, person: Person, scope: str) -> dict[str, Any]:
        """What userinfo says beside `sub`."""
        found = party.sign_in(person, scope=scope)
        assert {*found.tokens["scope"].split()} == {*scope.split()}
        told: dict[str, Any] = party.userinfo(found.access_token).json()
        assert told.pop("sub") == found.claims["sub"]
        return told

    def test_oidcc_scope_profile(self, party: RelyingParty, person: Person) -> None:
        assert as_json(self.told(party, person, "openid profile")) == as_json(PROFILE)

    def test_oidcc_scope_email(self, party: RelyingParty, person: Person) -> None:
        assert as_json(self.told(party, person, "openid email")) == as_json(EMAIL)

    def test_oidcc_scope_address(self, party: RelyingParty, person: Person) -> None:
        assert as_json(self.told(party, person, "openid address")) == as_json(ADDRESS)

    def test_oidcc_scope_phone(self, party: RelyingParty, person: Person) -> None:
        assert as_json(self.told(party, person, "openid phone")) == as_json(PHONE)

    def test_oidcc_scope_all(self, party: RelyingParty, person: Person) -> None:
        assert as_json(self.told(party, person, EVERYTHING)) == as_json({**PROFILE, **EMAIL, **ADDRESS, **PHONE})

    def test_what_is_not_known_is_absent_and_never_null(self, party: RelyingParty, person: Person) -> None:
        page = person.authorize(party.client_id, **party.asked(scope=EVERYTHING))
        person.sign_in(page, "bob")
        assert self.told(party, person, EVERYTHING) == {"preferred_username": "bob"}

    def test_what_scopes_stand_for_is_advertised(self, party: RelyingParty) -> None:
        told = {*PROFILE, *EMAIL, *ADDRESS, *PHONE}
        assert told <= {*party.metadata["claims_supported"]}
        assert {*EVERYTHING.split()} <= {*party.metadata["scopes_supported"]}


class TestParameters:
    def test_oidcc_alternate_happy_flow(self, service: Service, party: RelyingParty, person: Person) -> None:
        asked = party.asked(scope="phone address email profile openid")
        backwards = dict(reversed(party.request(**asked).items()))
        sent = party.lead_back(person, person.http.get(party.metadata["authorization_endpoint"], params=backwards))
        form = dict(reversed(redemption(sent["code"], code_verifier="").items()))
        tokens = service.granted(form, auth=(party.client_id, SECRET))
        party.verified(tokens["id_token"], nonce=asked["nonce"], access_token=tokens["access_token"])
        assert party.userinfo(tokens["access_token"]).json()["phone_number"] == PHONE["phone_number"]

    @pytest.mark.parametrize("display", ["page", "popup", "touch", "wap"])
    def test_oidcc_display(self, party: RelyingParty, person: Person, display: str) -> None:
        assert party.sign_in(person, display=display).claims["sub"]

    def test_oidcc_ui_locales(self, party: RelyingParty, person: Person) -> None:
        seen = party.sends(person, ui_locales="se de en")
        assert person.follow(seen).headers["content-language"] == "de"
        assert party.sign_in(person, ui_locales="se de en").claims["sub"]

    def test_oidcc_claims_locales(self, party: RelyingParty, person: Person) -> None:
        assert party.sign_in(person, claims_locales="se de en").claims["sub"]

    def test_oidcc_login_hint(self, party: RelyingParty, person: Person) -> None:
        seen = person.follow(party.sends(person, login_hint="ada"))
        assert find_form(seen, ["username"]).values["username"] == "ada"
        assert party.sign_in(person, login_hint="ada").claims["sub"]

    def test_oidcc_ensure_request_with_unknown_parameter_succeeds(self, party: RelyingParty, person: Person) -> None:
        assert party.sign_in(person, extra="foobar").claims["sub"]

    def test_oidcc_ensure_request_with_acr_values_succeeds(self, party: RelyingParty, person: Person) -> None:
        supported = party.metadata["acr_values_supported"]
        found = party.sign_in(person, acr_values=" ".join(supported))
        assert found.claims["acr"] in supported

    def test_oidcc_ensure_request_with_acr_values_that_nobody_knows_succeeds(
        self, party: RelyingParty, person: Person
    ) -> None:
        assert type(party.sign_in(person, acr_values="urn:example:gold 9").claims["acr"]) is str

    def test_oidcc_ensure_post_request_succeeds(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked()
        seen = post_from_elsewhere(person, party.metadata["authorization_endpoint"], party.request(**asked))
        party.finish(party.lead_back(person, seen), asked)

    def test_oidcc_ensure_post_request_counts_who_is_signed_in(self, party: RelyingParty, person: Person) -> None:
        party.sign_in(person)
        asked = party.asked(prompt="none")
        seen = post_from_elsewhere(person, party.metadata["authorization_endpoint"], party.request(**asked))
        party.finish(answer(seen), asked)


class TestClaimsParameter:
    def test_oidcc_claims_essential(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person, scope="openid", claims='{"userinfo":{"name":{"essential":true}}}')
        assert party.userinfo(found.access_token).json() == {"sub": found.claims["sub"], "name": PROFILE["name"]}

    def test_oidcc_claims_essential_in_the_id_token(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person, scope="openid", claims='{"id_token":{"name":{"essential":true}}}')
        assert found.claims["name"] == PROFILE["name"]
        assert party.userinfo(found.access_token).json() == {"sub": found.claims["sub"]}

    def test_what_is_asked_for_and_not_known_is_no_error(self, party: RelyingParty, person: Person) -> None:
        wish = '{"userinfo":{"shoe_size":{"essential":true},"email":null},"id_token":{"acr":{"essential":true}}}'
        found = party.sign_in(person, scope="openid", claims=wish)
        told = party.userinfo(found.access_token).json()
        assert told == {"sub": found.claims["sub"], "email": EMAIL["email"]}
        assert found.claims["acr"]

    def test_a_subject_asked_for_is_the_only_one_who_will_do(self, party: RelyingParty, person: Person) -> None:
        of_ada = party.sign_in(person).claims["sub"]
        party.sign_in_at_once(person, claims=json.dumps({"id_token": {"sub": {"value": of_ada}}}))
        asked = party.asked(prompt="none", claims='{"id_token":{"sub":{"value":"u.bob"}}}')
        assert party.refused(party.sends(person, **asked), asked) == "login_required"

    @pytest.mark.parametrize("wish", ['{"essential":true,"value":"9"}', '{"essential":true,"values":["8","9"]}'])
    def test_an_essential_acr_that_cannot_be_had_is_a_failed_sign_in(
        self, party: RelyingParty, person: Person, wish: str
    ) -> None:
        """Section 5.5.1.1, and the code that is registered for it."""
        party.sign_in(person)
        asked = party.asked(claims=f'{{"id_token":{{"acr":{wish}}}}}')
        error = party.refused(party.sends(person, **asked), asked)
        assert error in ("unmet_authentication_requirements", "access_denied")

    def test_an_essential_acr_that_can_be_had_is_had(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person, claims='{"id_token":{"acr":{"essential":true,"values":["9","1"]}}}')
        assert found.claims["acr"] == "1"


class TestPrompt:
    def test_oidcc_prompt_login(self, party: RelyingParty, person: Person) -> None:
        first = party.sign_in(person)
        wait_past(first.claims["auth_time"])
        seen = party.sends(person, prompt="login")
        assert has_field(person.follow(seen), "password")
        again = party.sign_in(person, prompt="login")
        assert again.claims["auth_time"] > first.claims["auth_time"]
        assert again.claims["sub"] == first.claims["sub"]

    def test_oidcc_prompt_login_is_not_met_by_coming_again(self, party: RelyingParty, person: Person) -> None:
        party.sign_in(person)
        page = person.follow(party.sends(person, prompt="login"))
        for _ in range(2):
            page = person.follow(person.http.get(str(page.url)))
            assert has_field(page, "password")
        assert has_field(person.sign_in(page, password="wrong"), "password")

    def test_prompt_consent_asks_again(self, party: RelyingParty, person: Person) -> None:
        first = party.sign_in(person)
        seen = person.follow(party.sends(person, prompt="consent"))
        assert has_field(seen, "decision")
        assert not has_field(seen, "password")
        assert party.sign_in(person, prompt="consent").claims["auth_time"] == first.claims["auth_time"]

    def test_oidcc_prompt_none_not_logged_in(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked(prompt="none")
        assert party.refused(party.sends(person, **asked), asked) == "login_required"

    def test_oidcc_prompt_none_logged_in(self, party: RelyingParty, person: Person) -> None:
        first = party.sign_in(person)
        again = party.sign_in_at_once(person, prompt="none")
        for name in ("sub", "auth_time", "sid"):
            assert again.claims[name] == first.claims[name]

    def test_prompt_none_is_refused_where_consent_is_missing(
        self, service: Service, party: RelyingParty, person: Person
    ) -> None:
        party.sign_in(person)
        unseen = RelyingParty(service, service.home.client("unseen", **APPLICATION).client_id)
        asked = unseen.asked(prompt="none")
        assert unseen.refused(unseen.sends(person, **asked), asked) == "consent_required"

    def test_oidcc_id_token_hint(self, party: RelyingParty, person: Person) -> None:
        first = party.sign_in(person)
        again = party.sign_in_at_once(person, prompt="none", id_token_hint=first.id_token)
        assert (again.claims["sub"], again.claims["auth_time"]) == (first.claims["sub"], first.claims["auth_time"])

    def test_oidcc_id_token_hint_of_somebody_else_signs_nobody_in(
        self, service: Service, party: RelyingParty, person: Person
    ) -> None:
        of_ada = party.sign_in(person).id_token
        with service.browser() as other:
            other.sign_in(other.authorize(party.client_id, **party.asked()), "bob")
            asked = party.asked(prompt="none", id_token_hint=of_ada)
            assert party.refused(party.sends(other, **asked), asked) == "login_required"
            assert has_field(other.follow(party.sends(other, id_token_hint=of_ada)), "password")

    def test_oidcc_id_token_hint_that_is_none_signs_nobody_in(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person)
        unsigned = jwt.encode(found.claims, "", algorithm="none")
        for hint in (unsigned, found.access_token, found.id_token[:-8] + "AAAAAAAA", "nonsense"):
            asked = party.asked(prompt="none", id_token_hint=hint)
            assert party.refused(party.sends(person, **asked), asked) == "login_required"


class TestMaxAge:
    def test_oidcc_max_age_1(self, party: RelyingParty, person: Person) -> None:
        first = party.sign_in(person, max_age="10")
        wait_past(first.claims["auth_time"] + 1)
        began_at = int(time.time())
        assert has_field(person.follow(party.sends(person, max_age="1")), "password")
        again = party.sign_in(person, max_age="1")
        assert began_at <= again.claims["auth_time"] <= time.time()
        assert again.claims["auth_time"] > first.claims["auth_time"]
        assert again.claims["sub"] == first.claims["sub"]

    def test_oidcc_max_age_10000(self, party: RelyingParty, person: Person) -> None:
        first = party.sign_in(person, max_age="15000")
        again = party.sign_in_at_once(person, max_age="10000")
        assert again.claims["auth_time"] == first.claims["auth_time"]

    def test_max_age_0_asks_even_who_signed_in_this_very_second(self, party: RelyingParty, person: Person) -> None:
        party.sign_in(person)
        assert has_field(person.follow(party.sends(person, max_age="0")), "password"), "it means prompt=login"

    def test_max_age_with_prompt_none_is_refused_where_the_sign_in_is_too_old(
        self, service: Service, party: RelyingParty, person: Person
    ) -> None:
        sid = party.sign_in(person).claims["sid"]
        service.execute("UPDATE sessions SET auth_time = auth_time - 20000 WHERE sid = ?", sid)
        asked = party.asked(prompt="none", max_age="10000")
        assert party.refused(party.sends(person, **asked), asked) == "login_required"
        party.sign_in_at_once(person, prompt="none", max_age="30000")


class TestCode:
    def test_oidcc_codereuse(self, service: Service, party: RelyingParty, person: Person) -> None:
        found, other = party.sign_in(person), party.sign_in(person)
        assert_refused(party.redeem(found.answer["code"]), 400, "invalid_grant")
        assert_refused(party.userinfo(found.access_token), 401, "invalid_token")
        assert_refused(party.refresh(found.refresh_token), 400, "invalid_grant")
        assert not service.is_active(found.access_token, auth=(party.client_id, SECRET))
        assert party.userinfo(other.access_token).status_code == 200, "only what the code brought ends"

    def test_oidcc_codereuse_30seconds(self, party: RelyingParty, person: Person, desk: Desk) -> None:
        found = party.sign_in(person)
        desk.clock.move(30)
        with pytest.raises(InvalidGrant):
            desk.token(party.client_id, **redemption(found.answer["code"], code_verifier=""))
        assert_refused(party.userinfo(found.access_token), 401, "invalid_token")

    def test_is_good_for_60_seconds_and_no_longer(self, party: RelyingParty, person: Person, desk: Desk) -> None:
        codes = [person.grant(party.client_id, **party.asked())["code"] for _ in range(2)]
        desk.clock.at = int(time.time()) + 50
        assert desk.token(party.client_id, **redemption(codes[0], code_verifier="")).access_token
        desk.clock.move(10)
        with pytest.raises(InvalidGrant):
            desk.token(party.client_id, **redemption(codes[1], code_verifier=""))

    def test_is_of_the_client_that_asked(self, party: RelyingParty, second: RelyingParty, person: Person) -> None:
        asked = party.asked()
        sent = person.grant(party.client_id, **asked)
        assert_refused(second.redeem(sent["code"]), 400, "invalid_grant")
        party.finish(sent, asked)


class TestRedirectUri:
    def test_oidcc_ensure_registered_redirect_uri(self, party: RelyingParty, person: Person) -> None:
        party.sign_in(person)
        for wrong in (f"{CALLBACK}/foobar", f"{CALLBACK}?foo=bar", "https://evil.example/", SECOND_CALLBACK):
            page = party.sends(person, redirect_uri=wrong)
            assert page.status_code == 400
            assert "location" not in page.headers
            assert title(page).startswith("No safe way back to the application")

    def test_a_page_for_an_unknown_client_says_so(self, party: RelyingParty, person: Person) -> None:
        page = party.sends(person, client_id="nobody")
        assert page.status_code == 400
        assert "location" not in page.headers
        assert title(page).startswith("Unknown application")

    def test_has_to_be_sent_even_where_one_is_registered(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked(redirect_uri="")
        assert party.refused(party.sends(person, **asked), asked) == "invalid_request"


class TestRequestObject:
    """None is supported, signed or not, and to ignore one would be to grant another request."""

    def unsigned(self, **claims: str) -> str:
        return jwt.encode({"iss": "exempt", "aud": "anybody", **claims}, "", algorithm="none")

    def test_is_advertised_as_not_supported(self, party: RelyingParty) -> None:
        assert party.metadata.get("request_parameter_supported", False) is False
        assert party.metadata["request_uri_parameter_supported"] is False, "the default is true"

    def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
        self, party: RelyingParty, person: Person
    ) -> None:
        asked = party.asked(request=self.unsigned(scope="openid"))
        assert party.refused(party.sends(person, **asked), asked) == "request_not_supported"

    def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
        self, party: RelyingParty, person: Person
    ) -> None:
        asked = party.asked(request_uri="https://app.example/request.jwt")
        assert party.refused(party.sends(person, **asked), asked) == "request_uri_not_supported"

    def test_oidcc_ensure_request_object_with_redirect_uri(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked(request=self.unsigned(redirect_uri="https://evil.example/"))
        assert party.refused(party.sends(person, **asked), asked) == "request_not_supported"

    def test_oidcc_ensure_request_object_with_redirect_uri_beside_an_unregistered_one(
        self, party: RelyingParty, person: Person
    ) -> None:
        page = party.sends(person, request=self.unsigned(redirect_uri=CALLBACK), redirect_uri="https://evil.example/")
        assert page.status_code == 400
        assert "location" not in page.headers


class TestRefreshToken:
    def refreshed(self, party: RelyingParty, refresh_token: str) -> dict[str, Any]:
        response = party.refresh(refresh_token)
        assert response.status_code == 200, response.text
        assert_token_answer(response)
        found: dict[str, Any] = response.json()
        return found

    @pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
    def test_oidcc_refresh_token(self, party: RelyingParty, person: Person, scope: str) -> None:
        found = party.sign_in(person, scope=scope, prompt="consent")
        tokens = self.refreshed(party, found.refresh_token)
        assert tokens["access_token"] != found.access_token
        assert party.userinfo(tokens["access_token"]).json()["sub"] == found.claims["sub"]
        claims = party.verified(tokens["id_token"], nonce="", access_token=tokens["access_token"])
        for name in ("iss", "sub", "aud", "auth_time", "sid"):
            assert claims[name] == found.claims[name]
        assert claims["iat"] >= found.claims["iat"]

    def test_oidcc_refresh_token_of_another_client(
        self, party: RelyingParty, second: RelyingParty, person: Person
    ) -> None:
        found = second.sign_in(person)
        assert_refused(party.refresh(found.refresh_token), 400, "invalid_grant")
        assert self.refreshed(second, found.refresh_token)["access_token"], "a thief's attempt ends nothing"


class TestPkce:
    def test_oidcc_ensure_request_with_valid_pkce_succeeds(self, party: RelyingParty, person: Person) -> None:
        party.sign_in(person, verifier=VERIFIER, code_challenge=CHALLENGE, code_challenge_method="S256")

    def test_a_challenge_once_sent_counts(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked(code_challenge=CHALLENGE, code_challenge_method="S256")
        sent = person.grant(party.client_id, **asked)
        assert_refused(party.redeem(sent["code"]), 400, "invalid_grant")
        assert_refused(party.redeem(sent["code"], verifier=VERIFIER[::-1]), 400, "invalid_grant")
        party.finish(sent, asked, verifier=VERIFIER)

    def test_need_1_is_required_of_everybody_else(self, service: Service, person: Person) -> None:
        web = RelyingParty(service, "web")
        asked = web.asked()
        assert web.refused(web.sends(person, **asked), asked) == "invalid_request"


class TestWhatTheServerNeeds:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"response_type": 'to"k\\en\n'}, "unsupported_response_type"),
            ({"prompt": 'nöne "\\'}, "invalid_request"),
            ({"prompt": "none login"}, "invalid_request"),
            ({"max_age": '-1"\\'}, "invalid_request"),
            ({"scope": 'openid "\\é'}, "invalid_scope"),
            ({"resource": 'https://else"where\\.example/\u00e9'}, "invalid_target"),
            ({"claims": '{"é\\"'}, "invalid_request"),
            ({"code_challenge": 'é"\\', "code_challenge_method": "plain"}, "invalid_request"),
            ({"nonce": 'é"\\' * 400}, "invalid_request"),
            ({"response_mode": 'é"\\'}, "invalid_request"),
            ({"registration": '{"é":"\\"}'}, "registration_not_supported"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
    )
    def test_need_5_errors_at_the_client_have_a_registered_code_state_iss_and_a_clean_description(
        self, party: RelyingParty, person: Person, changes: dict[str, str], code: str
    ) -> None:
        asked = party.asked(**changes)
        assert party.refused(party.sends(person, **asked), asked) == code

    def test_need_5_a_person_who_refuses_is_heard_of(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked(prompt="consent")
        page = person.sign_in(person.follow(party.sends(person, **asked)))
        assert party.refused(person.deny(page), asked) == "access_denied"

    def test_need_5_a_person_who_cancels_is_heard_of(self, party: RelyingParty, person: Person) -> None:
        asked = party.asked()
        page = person.follow(party.sends(person, **asked))
        assert party.refused(person.submit(page, ("cancel", "1")), asked) == "access_denied"

    @pytest.mark.parametrize(
        ("form", "code"),
        [
            ({}, "invalid_request"),
            ({"grant_type": 'é"\\\n'}, "unsupported_grant_type"),
            ({"grant_type": "authorization_code", "code": 'é"\\'}, "invalid_grant"),
            ({"grant_type": "authorization_code"}, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": 'é"\\'}, "invalid_grant"),
        ],
    )
    def test_need_5_errors_at_the_token_endpoint_have_a_clean_description(
        self, service: Service, form: dict[str, str], code: str
    ) -> None:
        response = service.token(form, auth=("exempt", SECRET))
        assert_refused(response, 400, code)
        assert DESCRIPTION.fullmatch(response.json()["error_description"])

    def test_need_6_codes_and_tokens_cannot_be_guessed(self, party: RelyingParty, person: Person) -> None:
        found = [party.sign_in(person) for _ in range(3)]
        for name in ("code", "access_token", "refresh_token"):
            values = [one.answer.get(name) or one.tokens[name] for one in found]
            assert len({*values}) == len(values)
            assert min(map(measured_bits, values)) >= 96
            assert min(map(len, values)) * 6 >= 128

    def test_need_6_an_access_token_lives_as_long_as_it_is_said_to(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person)
        claims = claims_of(found.access_token)
        assert claims["exp"] - claims["iat"] == found.tokens["expires_in"]
