"""The RP-initiated logout plan of the OpenID certification, module by module (OpenID RP-Initiated Logout 1.0)."""

import time
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.keyring import Keyring
from tests.conformance.conftest import APPLICATION
from tests.conformance.relying_party import RelyingParty, SignedIn, post_from_elsewhere
from tests.support.person import Person, find_form, has_field, title
from tests.web.people import GOODBYE, Service
from tests.web.site import assert_refused

ELSEWHERE = "https://app.example/elsewhere"


def log_out(party: RelyingParty, person: Person, **sent: str) -> httpx.Response:
    """The application sends the person to sign out; the page at the end, or the way to the application."""
    return person.follow(person.http.get(party.metadata["end_session_endpoint"], params=sent))


def is_signed_in(party: RelyingParty, person: Person) -> bool:
    """What a silent request finds out."""
    asked = party.asked(prompt="none")
    seen = party.sends(person, **asked)
    return "code" in httpx.URL(seen.headers["location"]).params or party.refused(seen, asked) != "login_required"


def asks(page: httpx.Response) -> bool:
    """Whether the person is asked first; and if so, is nowhere else."""
    return page.status_code == 200 and title(page).startswith("Sign out?") and has_field(page, "decision")


def says_done(page: httpx.Response) -> bool:
    return page.status_code == 200 and title(page).startswith("Signed out") and "location" not in page.headers


@pytest.fixture
def found(party: RelyingParty, person: Person) -> SignedIn:
    """A person signed in with one application."""
    return party.sign_in(person)


class TestRpInitiatedLogout:
    def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(self, party: RelyingParty) -> None:
        assert party.metadata["end_session_endpoint"].startswith(party.metadata["issuer"])

    def test_oidcc_rp_initiated_logout(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        state = "aß &=+%/?#"
        seen = log_out(party, person, id_token_hint=found.id_token, post_logout_redirect_uri=GOODBYE, state=state)
        assert seen.status_code == 303
        location = httpx.URL(seen.headers["location"])
        assert str(location.copy_with(query=None)) == GOODBYE
        assert dict(location.params) == {"state": state}
        assert not is_signed_in(party, person)

    def test_oidcc_rp_initiated_logout_no_state(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        seen = log_out(party, person, id_token_hint=found.id_token, post_logout_redirect_uri=GOODBYE)
        assert (seen.status_code, seen.headers["location"]) == (303, GOODBYE)
        assert not is_signed_in(party, person)

    def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        seen = log_out(party, person, id_token_hint=found.id_token, post_logout_redirect_uri=ELSEWHERE, state="s")
        assert says_done(seen) or asks(seen)

    def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        added = f"{GOODBYE}?foo=bar"
        seen = log_out(party, person, id_token_hint=found.id_token, post_logout_redirect_uri=added, state="s")
        assert says_done(seen) or asks(seen)

    def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        assert says_done(log_out(party, person, id_token_hint=found.id_token, state="s"))
        assert not is_signed_in(party, person)

    def test_oidcc_rp_initiated_logout_no_id_token_hint(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        page = log_out(party, person, post_logout_redirect_uri=GOODBYE, state="s")
        assert asks(page)
        assert is_signed_in(party, person), "nothing proves that anybody asked (SECURITY B-15)"
        assert says_done(person.submit(page, ("decision", "sign_out")))
        assert not is_signed_in(party, person)

    def test_oidcc_rp_initiated_logout_no_id_token_hint_but_a_client_id(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        page = log_out(party, person, client_id=party.client_id, post_logout_redirect_uri=GOODBYE, state="s")
        assert asks(page)
        assert says_done(person.submit(page, ("decision", "sign_out")))

    def test_oidcc_rp_initiated_logout_no_params(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        page = log_out(party, person)
        assert asks(page)
        assert says_done(person.submit(page, ("decision", "sign_out")))
        assert not is_signed_in(party, person)

    def test_oidcc_rp_initiated_logout_only_state(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        page = log_out(party, person, state="s")
        assert asks(page)
        assert says_done(person.submit(page, ("decision", "sign_out")))
        assert not is_signed_in(party, person)

    def test_oidcc_rp_initiated_logout_bad_id_token_hint(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        self.refuses_as_hint(party, person, jwt.encode(found.claims, "", algorithm="none"))

    def test_oidcc_rp_initiated_logout_modified_id_token_hint(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        kid = jwt.get_unverified_header(found.id_token)["kid"]
        foreign = generate_private_key(public_exponent=65_537, key_size=2_048)
        forged = jwt.encode(found.claims, foreign, algorithm="RS256", headers={"kid": kid})
        self.refuses_as_hint(party, person, forged)
        head, payload, signature = found.id_token.split(".")
        self.refuses_as_hint(party, person, f"{head}.{payload}.{signature[:-6]}AAAAAA")

    def test_takes_no_other_token_of_ours_for_a_hint(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        self.refuses_as_hint(party, person, found.access_token)
        self.refuses_as_hint(party, person, found.refresh_token)

    def refuses_as_hint(self, party: RelyingParty, person: Person, hint: str) -> None:
        assert asks(log_out(party, person, id_token_hint=hint, post_logout_redirect_uri=GOODBYE, state="s"))
        assert is_signed_in(party, person)


class TestTheHint:
    """Section 2: what proves that a client asks, and for whom."""

    def test_is_as_good_by_post(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        form = {"id_token_hint": found.id_token, "post_logout_redirect_uri": GOODBYE, "state": "s"}
        seen = post_from_elsewhere(person, party.metadata["end_session_endpoint"], form)
        assert (seen.status_code, seen.headers["location"]) == (303, f"{GOODBYE}?state=s")
        assert not is_signed_in(party, person)
        assert_refused(party.refresh(found.refresh_token), 400, "invalid_grant")

    def test_may_have_expired(self, service: Service, party: RelyingParty, person: Person, found: SignedIn) -> None:
        then = int(time.time()) - 86_400
        expired = signed(service, {**found.claims, "iat": then, "exp": then + 3_600})
        with pytest.raises(jwt.ExpiredSignatureError):
            party.opened(expired, required=())
        seen = log_out(party, person, id_token_hint=expired, post_logout_redirect_uri=GOODBYE)
        assert (seen.status_code, seen.headers["location"]) == (303, GOODBYE)
        assert not is_signed_in(party, person)

    def test_of_another_issuer_is_none(
        self, service: Service, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        foreign = signed(service, {**found.claims, "iss": "https://id.example"})
        assert asks(log_out(party, person, id_token_hint=foreign, post_logout_redirect_uri=GOODBYE))

    def test_of_somebody_else_signs_nobody_out_unasked(
        self, service: Service, party: RelyingParty, found: SignedIn
    ) -> None:
        with service.browser() as bob:
            bob.sign_in(bob.follow(party.sends(bob)), "bob")
            assert asks(log_out(party, bob, id_token_hint=found.id_token, post_logout_redirect_uri=GOODBYE))

    def test_of_one_client_beside_the_client_id_of_another_is_none(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        seen = log_out(
            party, person, id_token_hint=found.id_token, client_id="second", post_logout_redirect_uri=GOODBYE
        )
        assert asks(seen)
        assert is_signed_in(party, person)

    def test_beside_its_own_client_id_is_one(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        seen = log_out(
            party, person, id_token_hint=found.id_token, client_id=party.client_id, post_logout_redirect_uri=GOODBYE
        )
        assert (seen.status_code, seen.headers["location"]) == (303, GOODBYE)

    def test_leads_to_no_uri_of_another_client(
        self, service: Service, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        service.home.client("elsewhere", **{**APPLICATION, "post_logout_redirect_uris": (ELSEWHERE,)})
        assert says_done(log_out(party, person, id_token_hint=found.id_token, post_logout_redirect_uri=ELSEWHERE))

    def test_leads_back_as_well_when_nobody_is_signed_in_any_more(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        for _ in range(2):
            seen = log_out(party, person, id_token_hint=found.id_token, post_logout_redirect_uri=GOODBYE, state="s")
            assert (seen.status_code, seen.headers["location"]) == (303, f"{GOODBYE}?state=s")

    def test_when_it_is_none_leads_nowhere_when_nobody_is_signed_in(
        self, party: RelyingParty, service: Service
    ) -> None:
        with service.browser() as stranger:
            unsigned = jwt.encode({"iss": party.metadata["issuer"], "aud": "exempt", "sub": "u.ada"}, "", "none")
            seen = log_out(party, stranger, id_token_hint=unsigned, post_logout_redirect_uri=GOODBYE)
            assert says_done(seen)


class TestTheQuestion:
    def test_answered_with_no_leaves_everything_as_it_is(
        self, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        page = log_out(party, person)
        assert find_form(page, ["decision"]).values.keys() >= {"csrf"}
        person.submit(page, ("decision", "stay"))
        assert is_signed_in(party, person)
        assert party.userinfo(found.access_token).status_code == 200

    def test_is_not_answered_by_another_site(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        for forged in ({"decision": "sign_out"}, {"decision": "sign_out", "csrf": "guessed"}):
            person.http.post(party.metadata["end_session_endpoint"], data=forged)
            assert is_signed_in(party, person)

    def test_is_asked_by_post_as_well(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        """SECURITY B-15: a form on any page may be posted here, and browsers send no cookies with it."""
        page = post_from_elsewhere(person, party.metadata["end_session_endpoint"], {"state": "s"})
        assert is_signed_in(party, person)
        assert asks(page)

    def test_is_in_the_language_asked_for(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        assert log_out(party, person, ui_locales="fr").headers["content-language"] == "fr"


class TestWhatEnds:
    def test_is_what_was_given_in_the_session(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        log_out(party, person, id_token_hint=found.id_token)
        assert_refused(party.refresh(found.refresh_token), 400, "invalid_grant")
        assert_refused(party.userinfo(found.access_token), 401, "invalid_token")

    def test_is_a_code_on_its_way_as_well(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        sent = party.lead_back(person, party.sends(person))
        log_out(party, person, id_token_hint=found.id_token)
        assert_refused(party.redeem(sent["code"]), 400, "invalid_grant")

    def test_is_not_what_was_given_for_offline_access(self, party: RelyingParty, person: Person) -> None:
        found = party.sign_in(person, scope="openid offline_access", prompt="consent")
        log_out(party, person, id_token_hint=found.id_token)
        assert not is_signed_in(party, person)
        tokens = party.refresh(found.refresh_token).json()
        claims = party.verified(tokens["id_token"], nonce="", access_token=tokens["access_token"])
        assert claims["sub"] == found.claims["sub"]

    def test_is_not_the_session_of_another_browser(
        self, service: Service, party: RelyingParty, person: Person, found: SignedIn
    ) -> None:
        with service.browser() as elsewhere:
            kept = party.sign_in(elsewhere)
            assert kept.claims["sid"] != found.claims["sid"]
            log_out(party, person, id_token_hint=found.id_token)
            assert is_signed_in(party, elsewhere)
            assert party.userinfo(kept.access_token).status_code == 200

    def test_is_the_cookie_as_well(self, party: RelyingParty, person: Person, found: SignedIn) -> None:
        before = dict(person.http.cookies)
        log_out(party, person, id_token_hint=found.id_token)
        assert [name for name in before if "session" in name and name in person.http.cookies] == []
        person.http.cookies.update(before)
        assert not is_signed_in(party, person), "a cookie that was kept is worth nothing"


def signed(service: Service, claims: dict[str, Any]) -> str:
    """An ID token with these claims, signed as the service signs them."""
    keyring = Keyring(KeyFolder(service.home.source.keys), max_token_lifetime=86_400)
    return keyring.signing_key("RS256", now=int(time.time())).sign(msgspec.json.encode(claims), typ="JWT")
