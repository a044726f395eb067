"""What older clients may do until their realm's sunset, and clients that need no secret for some grants."""

from typing import Any

import pytest

from jwtauth.endpoints import check_token, introspect, revoke, token
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    TooManyAttempts,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from jwtauth.protocol import throttling
from tests.endpoints.conftest import APPLICATION, Browser, Desk, answer, request
from tests.support.home import ALL_GRANTS, PASSWORD
from tests.web.site import claims_of

ADA = {"grant_type": "password", "username": "ada", "password": PASSWORD}
SMS = "urn:example:sms"


def close_doors(desk: Desk, *, after: int) -> None:
    """Set the realm's sunset."""
    desk.home.realm(sunset_at=desk.clock.at + after)
    desk.issuer.store.refresh()


def unproven(desk: Desk, address: str = "", **form: str) -> TokenAnswer:
    """A request of `old-one` that sends no secret."""
    asked = Request(parameters={"client_id": "old-one", **form}, address=address)
    return desk.run(token.answer(desk.issuer, asked))


@pytest.fixture
def old(desk: Desk) -> Desk:
    """With a client that needs no secret for passwords, codes and refreshing."""
    secretless = ("password", "authorization_code", "refresh_token")
    settings = {**APPLICATION, "grant_types": ALL_GRANTS, "secretless_grants": secretless}
    desk.home.client("old-one", **settings)
    return desk


class TestTheSunset:
    def test_ends_passwords_at_its_second(self, desk: Desk) -> None:
        close_doors(desk, after=10)
        desk.clock.move(9)
        assert desk.person().access_token
        desk.clock.move(1)
        with pytest.raises(UnauthorizedClient):
            desk.person()

    def test_lets_what_began_before_go_on(self, desk: Desk) -> None:
        granted = desk.person()
        close_doors(desk, after=10)
        desk.clock.move(11)
        assert desk.is_active(granted.access_token)
        assert desk.refresh(granted).access_token
        assert desk.token(grant_type="client_credentials").access_token

    def test_ends_requests_without_a_secret_at_its_second(self, old: Desk) -> None:
        close_doors(old, after=10)
        old.clock.move(9)
        granted = unproven(old, **ADA)
        old.clock.move(1)
        with pytest.raises(InvalidClient):
            unproven(old, grant_type="refresh_token", refresh_token=str(granted.refresh_token))
        assert old.refresh(granted, "old-one").access_token

    def test_makes_reusable_tokens_rotate_and_notice_reuse(self, desk: Desk) -> None:
        desk.change_client("service", refresh_token_is_reusable=True)
        granted = desk.person()
        assert desk.refresh(granted).refresh_token == granted.refresh_token
        close_doors(desk, after=0)
        rotated = desk.refresh(granted)
        assert rotated.refresh_token != granted.refresh_token
        desk.clock.move(31)
        with pytest.raises(InvalidGrant):
            desk.refresh(granted)
        with pytest.raises(InvalidGrant):
            desk.refresh(rotated)

    def test_ends_tokens_in_front_even_for_whoever_is_signing_in(self, desk: Desk, browser: Browser) -> None:
        asked = {"response_type": "token", "scope": "read", "code_challenge": "", "code_challenge_method": ""}
        page = browser.authorize("old", **asked)
        close_doors(desk, after=0)
        told = answer(browser.sign_in(page))
        assert (told["error"], told["state"]) == ("unauthorized_client", "a-state")
        assert "access_token" not in told


class TestWithoutASecret:
    def test_a_named_grant_is_given(self, old: Desk) -> None:
        granted = unproven(old, **ADA)
        assert claims_of(granted.access_token)["client_id"] == "old-one"
        assert unproven(old, grant_type="refresh_token", refresh_token=str(granted.refresh_token)).access_token

    def test_a_code_is_redeemed_only_with_its_verifier(self, old: Desk, browser: Browser) -> None:
        code = browser.grant("old-one")["code"]
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": APPLICATION["redirect_uris"][0]}
        with pytest.raises(InvalidGrant):
            unproven(old, **asked)

    def test_every_other_grant_is_refused(self, old: Desk) -> None:
        with pytest.raises(InvalidClient):
            unproven(old, grant_type="client_credentials")
        with pytest.raises(UnsupportedGrantType):
            unproven(old, grant_type=SMS)

    def test_a_wrong_secret_is_refused(self, old: Desk) -> None:
        with pytest.raises(InvalidClient):
            unproven(old, client_secret="wrong", **ADA)
        wrong = request("old-one", **ADA)
        wrong = Request(parameters=wrong.parameters, authorization=(wrong.authorization[0][:-4] + "AAAA",))
        with pytest.raises(InvalidClient):
            old.run(token.answer(old.issuer, wrong))

    @pytest.mark.parametrize("grant_type", ["", "password", "authorization_code", "refresh_token"])
    @pytest.mark.parametrize("story", [introspect.answer, check_token.answer, revoke.answer])
    def test_i_01_i_07_nothing_is_said_or_done_about_tokens(self, old: Desk, story: Any, grant_type: str) -> None:
        """Also not to whoever says the name of a grant there."""
        granted = unproven(old, **ADA)
        form = {"client_id": "old-one", "token": granted.access_token}
        if grant_type:
            form["grant_type"] = grant_type
        with pytest.raises(InvalidClient):
            old.run(story(old.issuer, Request(parameters=dict(form))))
        assert old.refresh(granted, "old-one").access_token

    def test_b_10_guesses_are_counted_by_address_too(self, old: Desk) -> None:
        """Nothing proves the client, so whoever tries one password on many people comes from where they come from."""
        for guess in range(throttling.ADDRESS.free):
            with pytest.raises(InvalidGrant):
                unproven(old, "198.51.100.7", **{**ADA, "username": f"nobody-{guess}"})
        with pytest.raises(TooManyAttempts):
            unproven(old, "198.51.100.7", **ADA)
        assert unproven(old, "203.0.113.9", **ADA).access_token
        proven = Request(parameters=dict(ADA), authorization=request("service").authorization, address="198.51.100.7")
        assert old.run(token.answer(old.issuer, proven)).access_token


class TestAnUnknownGrant:  # RFC 6749 section 5.2
    def test_is_refused_to_everybody_alike(self, desk: Desk) -> None:
        with pytest.raises(UnsupportedGrantType):
            desk.token(grant_type="device_code")
        for anybody in (Request(parameters={"grant_type": "device_code"}), request("nobody", grant_type="device_code")):
            with pytest.raises(UnsupportedGrantType):
                desk.run(token.answer(desk.issuer, anybody))

    def test_needs_a_name(self, desk: Desk) -> None:
        with pytest.raises(InvalidRequest):
            desk.token()


class TestAGrantOfTheRealmsOwn:
    @pytest.fixture
    def own(self, desk: Desk) -> Desk:
        """A realm with a grant of its own, and the client that may use it."""
        realm = desk.home.realm(
            custom_grants={SMS: "tests.support.custom"},
            access_token_in_by={SMS: 60, "password": 1_800},
            names_grant_type=True,
        )
        desk.home.client("sms", realm=realm, grant_types=(SMS, "refresh_token"), default_scope=("read",))
        return desk

    def ask(self, desk: Desk, client_id: str = "sms", **form: str) -> TokenAnswer:
        return desk.token(client_id, grant_type=SMS, **form)

    def test_brings_tokens_about_the_person_whom_the_module_names(self, own: Desk) -> None:
        granted = self.ask(own, **{"for": "ada"})
        claims = claims_of(granted.access_token)
        assert (claims["sub"], claims["scope"], claims["grant_type"]) == ("u.ada", "read", SMS)
        assert granted.expires_in == 60

    def test_lives_as_long_after_a_refresh_and_says_the_same(self, own: Desk) -> None:
        refreshed = own.refresh(self.ask(own, **{"for": "ada"}), "sms")
        assert refreshed.expires_in == 60
        assert claims_of(refreshed.access_token)["grant_type"] == SMS

    def test_is_refused_in_the_modules_words(self, own: Desk) -> None:
        with pytest.raises(InvalidGrant, match=f"^sms is refused at {own.clock.at}$"):
            self.ask(own, **{"for": "refused"})

    @pytest.mark.parametrize("username", ["nobody", "mallory", "eve"])
    def test_lets_in_nobody_who_may_not_use_the_client(self, own: Desk, username: str) -> None:
        own.home.user("mallory", roles={})
        own.home.user("eve", disabled_at=own.clock.at - 1)
        with pytest.raises(InvalidGrant):
            self.ask(own, **{"for": username})

    def test_gives_no_scope_beyond_the_clients(self, own: Desk) -> None:
        for whom in ({"for": "ada"}, {}):
            with pytest.raises(InvalidScope):
                self.ask(own, permit="admin", **whom)

    def test_may_be_about_the_machine_itself_and_then_writes_no_grant(self, own: Desk) -> None:
        granted = self.ask(own, permit="write")
        claims = claims_of(granted.access_token)
        assert (claims["sub"], claims["scope"]) == ("sms", "write")
        assert "username" not in claims
        assert not isinstance(granted.refresh_token, str)
        assert not [event for event in own.events if event.name == "grant.started"]

    def test_is_for_clients_that_registered_it(self, own: Desk) -> None:
        with pytest.raises(UnauthorizedClient):
            self.ask(own, "service", **{"for": "ada"})

    def test_is_unknown_in_every_other_realm(self, own: Desk) -> None:
        own.home.client("elsewhere", realm=own.home.realm("elsewhere"), grant_types=(SMS,))
        with pytest.raises(UnsupportedGrantType):
            self.ask(own, "elsewhere", **{"for": "ada"})

    def test_is_looked_at_only_once_the_client_has_proven_itself(self, own: Desk) -> None:
        asked = Request(parameters={"grant_type": SMS, "client_id": "sms", "for": "refused"})
        with pytest.raises(InvalidClient):
            own.run(token.answer(own.issuer, asked))


class TestTheRealmAbove:
    @pytest.fixture
    def family(self, desk: Desk) -> Desk:
        """default above child above grandchild, and a sibling of child; a client that asks in each."""
        desk.home.realm(roles=("ROLE_USER",))
        for name, parent in (("child", "default"), ("grandchild", "child"), ("sibling", "default")):
            desk.home.client(name, realm=desk.home.realm(name, parent=parent, roles=(f"ROLE_{name}",)))
        roles = {"default": ("ROLE_USER",), "child": ("ROLE_child",), "grandchild": ("ROLE_grandchild",)}
        desk.change_user(roles=roles)
        return desk

    def authorities(self, desk: Desk, access_token: str, caller: str) -> Any:
        told = desk.run(introspect.answer(desk.issuer, request(caller, token=access_token)))
        return list(told.authorities) if told.active else None

    def test_is_seen_with_the_childs_roles_and_no_others(self, family: Desk) -> None:
        access_token = family.person().access_token
        assert self.authorities(family, access_token, "service") == ["ROLE_USER"]
        assert self.authorities(family, access_token, "child") == ["ROLE_child"]
        assert self.authorities(family, access_token, "sibling") == []
        assert self.authorities(family, access_token, "grandchild") is None
        checked = family.run(check_token.answer(family.issuer, request("child", token=access_token)))
        assert checked.authorities == ("ROLE_child",)

    def test_sees_nothing_of_the_child(self, family: Desk) -> None:
        family.change_user(roles=dict.fromkeys(("default", "child", "grandchild", "sibling"), ()))
        access_token = family.person("child").access_token
        for caller in ("service", "sibling"):
            assert self.authorities(family, access_token, caller) is None
        assert self.authorities(family, access_token, "grandchild") == []

    def test_shows_the_roles_of_this_moment(self, family: Desk) -> None:
        access_token = family.person().access_token
        family.change_user(roles={"default": ("ROLE_USER",)})
        family.clock.move(1)
        assert self.authorities(family, access_token, "child") in ([], None)

    def test_shows_no_roles_of_its_machines(self, family: Desk) -> None:
        family.change_client("service", authorities=("ROLE_SERVICE",))
        access_token = family.token(grant_type="client_credentials").access_token
        assert self.authorities(family, access_token, "service") == ["ROLE_SERVICE"]
        assert self.authorities(family, access_token, "child") == []


class TestADefaultRedirectUri:  # RFC 6749 section 3.1.2.3
    TWO = ("https://app.example/callback", "https://app.example/other")

    def test_takes_the_answer_and_is_not_asked_for_again(self, desk: Desk, browser: Browser) -> None:
        desk.change_client("web", redirect_uris=self.TWO, default_redirect_uri=self.TWO[1])
        code = browser.grant(redirect_uri="", scope="read")["code"]
        assert desk.redeem(code, redirect_uri="").access_token


class TestTheLifetimes:
    def test_are_kept_by_refreshes_from_how_the_grant_began(self, desk: Desk, browser: Browser) -> None:
        desk.home.realm(access_token_in_by={"password": 1_800, "authorization_code": 600, "refresh_token": 5})
        by_password, by_code = desk.person(), browser.tokens()
        assert (by_password.expires_in, by_code.expires_in) == (1_800, 600)
        assert (desk.refresh(by_password).expires_in, desk.refresh(by_code, "web").expires_in) == (1_800, 600)

    def test_of_a_client_go_before_its_realms(self, desk: Desk) -> None:
        desk.home.realm(access_token_in_by={"password": 1_800})
        desk.change_client("service", access_token_in=7)
        assert desk.person().expires_in == 7
