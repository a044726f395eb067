"""The back-channel logout plan of the OpenID certification, with a real receiver (OpenID Back-Channel Logout 1.0)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest

from jwtauth.endpoints import tell_logouts
from tests.conformance.conftest import APPLICATION
from tests.conformance.relying_party import RelyingParty, SignedIn, post_from_elsewhere, wait_until
from tests.endpoints.conftest import Desk
from tests.outside.receiver import Receiver
from tests.support.person import Person
from tests.web.people import GOODBYE, Service


def log_out(party: RelyingParty, person: Person, hint: str) -> httpx.Response:
    sent = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE}
    return person.http.get(party.metadata["end_session_endpoint"], params=sent)


def let_wait_pass(service: Service) -> None:
    """Write the instant of the next attempt a minute into the past: what waiting for it would do."""
    assert service.execute("UPDATE logouts SET due_at = due_at - 60") == 1


def leads_to_goodbye(seen: httpx.Response) -> bool:
    return (seen.status_code, seen.headers["location"]) == (303, GOODBYE)


@pytest.fixture(scope="module")
def receivers(service: Service) -> Iterator[dict[str, Receiver]]:
    """The web servers of two applications, registered as such."""
    with Receiver() as one, Receiver() as two:
        service.home.client("told", backchannel_logout_uri=f"{one.origin}/logout?tenant=7", **APPLICATION)
        service.home.client("told-too", backchannel_logout_uri=two.uri, id_token_algorithm="ES256", **APPLICATION)
        yield {"told": one, "told-too": two}


@pytest.fixture
def receiver(receivers: dict[str, Receiver]) -> Receiver:
    """That of the application under test, with nothing received yet."""
    for each in receivers.values():
        each.received.clear()
    return receivers["told"]


@pytest.fixture
def party(service: Service, receiver: Receiver) -> RelyingParty:
    """An application that wants to be told."""
    return RelyingParty(service, "told")


@pytest.fixture
def other(service: Service, receiver: Receiver) -> RelyingParty:
    """Another one."""
    return RelyingParty(service, "told-too", algorithm="ES256")


@pytest.fixture
def found(party: RelyingParty, person: Person) -> SignedIn:
    """A person signed in with the application."""
    return party.sign_in(person)


class TestDiscovery:  # section 2.1
    def test_oidcc_backchannel_rp_initiated_logout_discovery(self, party: RelyingParty) -> None:
        assert party.metadata["backchannel_logout_supported"] is True
        assert party.metadata["backchannel_logout_session_supported"] is True

    def test_session_supported_means_that_an_id_token_names_its_session(self, found: SignedIn) -> None:
        assert type(found.claims["sid"]) is str
        assert found.claims["sid"]


class TestLogoutToken:  # sections 2.4 and 2.6
    def test_oidcc_backchannel_rp_initiated_logout(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver
    ) -> None:
        assert leads_to_goodbye(log_out(party, person, found.id_token))
        (token,) = receiver.tokens
        claims = party.verified_logout(token)
        assert (claims["sub"], claims["sid"]) == (found.claims["sub"], found.claims["sid"])
        assert 0 < claims["exp"] - claims["iat"] <= 120, "as section 4 advises"

    def test_is_posted_as_a_form_that_holds_nothing_else(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver
    ) -> None:
        log_out(party, person, found.id_token)
        (request,) = receiver.received
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.form.keys() == {"logout_token"}
        assert request.path == "/logout?tenant=7", "the registered URI, its query included (section 2.2)"
        assert not {"cookie", "authorization"}.intersection(request.headers)

    def test_is_no_id_token_and_no_id_token_is_one(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver
    ) -> None:
        log_out(party, person, found.id_token)
        (token,) = receiver.tokens
        with pytest.raises(AssertionError):
            party.verified(token, nonce="", access_token=found.access_token)
        with pytest.raises(jwt.MissingRequiredClaimError):
            party.verified_logout(found.id_token)
        asked = party.asked(prompt="none", id_token_hint=token)
        assert party.refused(party.sends(person, **asked), asked) == "login_required"

    def test_has_a_jti_of_its_own(
        self, party: RelyingParty, other: RelyingParty, person: Person, receivers: dict[str, Receiver]
    ) -> None:
        jtis = set()
        for _ in range(2):
            found = party.sign_in(person)
            other.sign_in(person)
            log_out(party, person, found.id_token)
        for each, to in ((party, "told"), (other, "told-too")):
            jtis |= {each.verified_logout(token)["jti"] for token in receivers[to].tokens}
        assert len(jtis) == 4


class TestWhoIsTold:  # section 2.3
    def test_every_client_of_the_session_is_told_in_its_own_words(
        self, party: RelyingParty, other: RelyingParty, person: Person, receivers: dict[str, Receiver]
    ) -> None:
        found, also = party.sign_in(person), other.sign_in(person)
        assert also.claims["sid"] == found.claims["sid"]
        assert leads_to_goodbye(log_out(party, person, found.id_token))
        for each, to in ((party, "told"), (other, "told-too")):
            (token,) = receivers[to].tokens
            assert each.verified_logout(token)["sid"] == found.claims["sid"]

    def test_a_client_is_told_once_however_often_it_signed_the_person_in(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver
    ) -> None:
        for _ in range(3):
            party.sign_in_at_once(person)
        log_out(party, person, found.id_token)
        assert len(receiver.tokens) == 1

    def test_a_client_that_took_no_part_is_not_told(
        self, party: RelyingParty, person: Person, found: SignedIn, receivers: dict[str, Receiver]
    ) -> None:
        log_out(party, person, found.id_token)
        assert receivers["told"].tokens
        assert not receivers["told-too"].received

    def test_of_other_browsers_nothing_is_told(
        self, service: Service, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver
    ) -> None:
        with service.browser() as elsewhere:
            kept = party.sign_in(elsewhere)
            log_out(party, person, found.id_token)
            assert kept.claims["sid"] not in {party.verified_logout(token)["sid"] for token in receiver.tokens}
            party.sign_in_at_once(elsewhere, prompt="none")

    def test_a_client_with_offline_access_is_told_and_keeps_its_refresh_token(
        self, party: RelyingParty, person: Person, receiver: Receiver
    ) -> None:
        """Section 2.7: refresh tokens issued with offline_access normally should not be revoked."""
        found = party.sign_in(person, scope="openid offline_access", prompt="consent")
        log_out(party, person, found.id_token)
        (token,) = receiver.tokens
        assert party.verified_logout(token)["sid"] == found.claims["sid"]
        assert party.refresh(found.refresh_token).status_code == 200

    def test_a_client_is_told_when_another_one_asks(
        self, party: RelyingParty, other: RelyingParty, person: Person, receivers: dict[str, Receiver]
    ) -> None:
        found, also = party.sign_in(person), other.sign_in(person)
        log_out(other, person, also.id_token)
        (token,) = receivers["told"].tokens
        assert party.verified_logout(token)["sid"] == found.claims["sid"]

    def test_a_client_is_told_when_the_person_signs_out_unasked(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver
    ) -> None:
        person.submit(person.open("/oauth/logout"), ("decision", "sign_out"))
        (token,) = receiver.tokens
        assert party.verified_logout(token)["sid"] == found.claims["sid"]


class TestHoweverASessionEnds:  # section 2: whenever the issuer signs somebody out
    """Whoever takes the notice first delivers it: the service's own loop, or the one that is run here at once."""

    def test_by_a_post_from_the_application_the_others_are_told(
        self, party: RelyingParty, other: RelyingParty, person: Person, receivers: dict[str, Receiver]
    ) -> None:
        found, also = party.sign_in(person), other.sign_in(person)
        form = {"id_token_hint": also.id_token, "post_logout_redirect_uri": GOODBYE}
        assert leads_to_goodbye(post_from_elsewhere(person, other.metadata["end_session_endpoint"], form))
        (token,) = receivers["told"].tokens
        assert party.verified_logout(token)["sid"] == found.claims["sid"]

    def test_by_somebody_else_signing_in(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver, desk: Desk
    ) -> None:
        page = person.follow(party.sends(person, prompt="select_account"))
        person.sign_in(page, "bob")
        self.assert_told(party, found, receiver, desk)

    def test_on_the_account_page_of_another_browser(
        self, service: Service, party: RelyingParty, found: SignedIn, receiver: Receiver, desk: Desk
    ) -> None:
        with service.browser() as elsewhere:
            page = elsewhere.sign_in(elsewhere.open("/account"))
            elsewhere.submit(page, ("action", "end_session"), sid=found.claims["sid"])
        self.assert_told(party, found, receiver, desk)

    def test_everywhere(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver, desk: Desk
    ) -> None:
        page = person.open("/account")
        person.submit(page, ("action", "end_all"))
        self.assert_told(party, found, receiver, desk)

    def test_by_an_operator(
        self, service: Service, party: RelyingParty, person: Person, receiver: Receiver, desk: Desk
    ) -> None:
        cleo = service.home.user("cleo")
        person.sign_in(person.follow(party.sends(person)), "cleo")
        found = party.sign_in(person)
        service.home.ask(lambda store: store.administration.disable_user(cleo, now=desk.clock.at))
        self.assert_told(party, found, receiver, desk)

    def assert_told(self, party: RelyingParty, found: SignedIn, receiver: Receiver, desk: Desk) -> None:
        desk.clock.at = int(time.time())
        desk.run(tell_logouts.deliver_due(desk.issuer))
        sid = found.claims["sid"]
        wait_until(lambda: sid in {party.verified_logout(token)["sid"] for token in receiver.tokens})


class TestWhen:  # sections 2.5 and 2.8
    def test_before_the_browser_is_sent_on(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver
    ) -> None:
        receiver.hangs = True
        try:
            with ThreadPoolExecutor(1) as pool:
                leaving = pool.submit(log_out, party, person, found.id_token)
                wait_until(lambda: receiver.at_once == 1)
                assert not leaving.done()
                receiver.released.set()
                assert leads_to_goodbye(leaving.result(timeout=2))
        finally:
            receiver.hangs = False
            receiver.released.clear()

    def test_again_where_the_client_was_down_and_the_person_did_not_wait(
        self,
        service: Service,
        party: RelyingParty,
        person: Person,
        found: SignedIn,
        receiver: Receiver,
        desk: Desk,
    ) -> None:
        receiver.stop()
        try:
            assert leads_to_goodbye(log_out(party, person, found.id_token))
        finally:
            receiver.restart()
        assert not receiver.tokens
        let_wait_pass(service)
        desk.run(tell_logouts.deliver_due(desk.issuer))
        wait_until(lambda: len(receiver.tokens) == 1)
        assert party.verified_logout(receiver.tokens[0])["sid"] == found.claims["sid"]

    def test_again_where_the_client_answered_an_error(
        self,
        service: Service,
        party: RelyingParty,
        person: Person,
        found: SignedIn,
        receiver: Receiver,
        desk: Desk,
    ) -> None:
        receiver.status = 500
        try:
            assert leads_to_goodbye(log_out(party, person, found.id_token))
        finally:
            receiver.status = 200
        let_wait_pass(service)
        desk.run(tell_logouts.deliver_due(desk.issuer))
        wait_until(lambda: len(receiver.tokens) == 2)
        first, second = map(party.verified_logout, receiver.tokens)
        assert first["sid"] == second["sid"] == found.claims["sid"]
        assert first["jti"] != second["jti"], "a new token for each attempt"

    def test_once_where_the_client_heard_it(
        self, party: RelyingParty, person: Person, found: SignedIn, receiver: Receiver, desk: Desk
    ) -> None:
        log_out(party, person, found.id_token)
        desk.clock.move(86_400)
        desk.run(tell_logouts.deliver_due(desk.issuer))
        assert len(receiver.tokens) == 1
