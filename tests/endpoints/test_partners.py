"""A client whose codes and refresh tokens another one redeems (setting redeemed_by), and whose all of it is."""

import pytest

from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import InvalidClient, InvalidGrant
from tests.endpoints.conftest import APPLICATION, Browser, Desk
from tests.web.site import claims_of

OWNER, PARTNER = "alfrescoapp", "SkyVaultapp"
NO_CHALLENGE = {"code_challenge": "", "code_challenge_method": ""}


@pytest.fixture
def pair(desk: Desk) -> Desk:
    """The owner without a secret, and its partner, which has fewer scopes and other roles."""
    desk.home.client(OWNER, **APPLICATION, secrets=(), requires_pkce=False, redeemed_by=PARTNER)
    desk.home.client(PARTNER, scope=("backend",), authorities=("ROLE_PARTNER",))
    return desk


@pytest.fixture
def code(pair: Desk, browser: Browser) -> str:
    """Given to the owner."""
    return browser.grant(OWNER, **NO_CHALLENGE)["code"]


def redeem(desk: Desk, code: str, client_id: str = PARTNER) -> TokenAnswer:
    """By a client that has proven itself; no challenge was sent."""
    return desk.redeem(code, client_id, code_verifier="")


class TestAPartner:
    def test_gets_tokens_that_say_the_owners_client_id(self, pair: Desk, code: str) -> None:
        granted = redeem(pair, code)
        access, identity = claims_of(granted.access_token), claims_of(str(granted.id_token))
        assert (access["client_id"], access["scope"]) == (OWNER, "openid profile")
        assert access["authorities"] == ["ROLE_USER"]
        assert (identity["aud"], identity["sub"], identity["nonce"]) == (OWNER, "u.ada", "a-nonce")

    def test_gets_them_after_a_refresh_too(self, pair: Desk, code: str) -> None:
        refreshed = pair.refresh(redeem(pair, code), PARTNER)
        access, identity = claims_of(refreshed.access_token), claims_of(str(refreshed.id_token))
        assert (access["client_id"], identity["aud"]) == (OWNER, OWNER)

    def test_tells_the_log_whose_grant_it_is(self, pair: Desk, code: str) -> None:
        redeem(pair, code)
        assert [event.client_id for event in pair.events if event.name == "code.redeemed"] == [OWNER]

    def test_p_06_that_redeems_a_code_twice_ends_the_grant(self, pair: Desk, code: str) -> None:
        granted = redeem(pair, code)
        with pytest.raises(InvalidGrant):
            redeem(pair, code)
        assert pair.reasons_of("grant.ended") == ["code redeemed twice"]
        with pytest.raises(InvalidGrant):
            pair.refresh(granted, PARTNER)
        assert not pair.is_active(granted.access_token)

    def test_f_07_that_reuses_a_refresh_token_ends_the_grant(self, pair: Desk, code: str) -> None:
        granted = redeem(pair, code)
        successor = pair.refresh(granted, PARTNER)
        pair.clock.move(31)
        with pytest.raises(InvalidGrant):
            pair.refresh(granted, PARTNER)
        with pytest.raises(InvalidGrant):
            pair.refresh(successor, PARTNER)

    def test_revokes_what_it_redeemed(self, pair: Desk, code: str) -> None:
        granted = redeem(pair, code)
        assert pair.is_active(granted.access_token)
        pair.revoke(str(granted.refresh_token), PARTNER)
        assert not pair.is_active(granted.access_token)

    def test_that_is_named_no_more_is_refused_from_then_on(self, pair: Desk, code: str) -> None:
        granted = redeem(pair, code)
        pair.change_client(OWNER, redeemed_by=None)
        with pytest.raises(InvalidGrant):
            pair.refresh(granted, PARTNER)

    def test_gets_nothing_more_once_the_owner_is_disabled(self, pair: Desk, code: str) -> None:
        granted = redeem(pair, code)
        pair.disable_client(OWNER)
        with pytest.raises(InvalidGrant):
            pair.refresh(granted, PARTNER)


class TestWhoeverIsNoPartner:
    def test_p_05_is_refused_and_burns_nothing(self, pair: Desk, code: str) -> None:
        for other in ("service", "web", "old"):
            with pytest.raises(InvalidGrant):
                redeem(pair, code, other)
        assert redeem(pair, code)

    def test_p_06_is_refused_without_effect_where_the_code_was_used(self, pair: Desk, code: str) -> None:
        granted = redeem(pair, code)
        for other in ("service", "web"):
            with pytest.raises(InvalidGrant):
                redeem(pair, code, other)
            with pytest.raises(InvalidGrant):
                pair.refresh(granted, other)
            pair.revoke(str(granted.refresh_token), other)
            pair.revoke(granted.access_token, other)
        assert pair.refresh(granted, PARTNER).access_token

    def test_c_01_the_owner_itself_has_no_proof(self, pair: Desk, code: str) -> None:
        with pytest.raises(InvalidClient):
            redeem(pair, code, OWNER)
        assert redeem(pair, code)

    def test_the_owner_redeems_nothing_of_its_partners(self, pair: Desk, browser: Browser) -> None:
        pair.change_client(PARTNER, **APPLICATION)
        pair.home.client("proven-owner", **APPLICATION, redeemed_by=PARTNER)
        code = browser.grant(PARTNER)["code"]
        with pytest.raises(InvalidGrant):
            pair.redeem(code, "proven-owner")
        assert claims_of(pair.redeem(code, PARTNER).access_token)["client_id"] == PARTNER

    def test_a_partners_partner_has_nothing_of_the_first(self, pair: Desk, code: str) -> None:
        pair.home.client("third")
        pair.change_client(PARTNER, redeemed_by="third")
        with pytest.raises(InvalidGrant):
            redeem(pair, code, "third")
        assert redeem(pair, code)

    def test_a_partner_of_another_realm_has_nothing(self, desk: Desk, browser: Browser) -> None:
        elsewhere = desk.home.realm("elsewhere")
        desk.home.client(OWNER, **APPLICATION, secrets=(), requires_pkce=False, redeemed_by="stranger")
        desk.home.client("stranger", realm=elsewhere)
        desk.change_user(roles={"default": ("ROLE_USER",), "elsewhere": ()})
        code = browser.grant(OWNER, **NO_CHALLENGE)["code"]
        with pytest.raises(InvalidGrant):
            redeem(desk, code, "stranger")
