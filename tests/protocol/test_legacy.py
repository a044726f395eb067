"""What is only there so that older clients can move: RFC 8594, RFC 9700; when a realm's sunset_at comes it is over."""

from collections.abc import Callable
from typing import Any

import pytest

from jwtauth.errors import InvalidClient, UnauthorizedClient
from jwtauth.protocol import (
    authorization,
    authorization_code,
    client_auth,
    client_credentials,
    custom_grant,
    external_token,
    introspection,
    legacy,
    password,
    permissions,
    refresh_token,
)
from jwtauth.protocol.authorization_code import Redeem
from jwtauth.protocol.client_auth import Authenticated, Credentials
from jwtauth.protocol.introspection import Active
from jwtauth.protocol.records import AuthMethod, Client, GrantType, Pointer, Realm
from jwtauth.protocol.refresh_token import KeepToken, Rotate
from tests.protocol import records
from tests.protocol.records import CALLBACK, CHALLENGE, NOW, VERIFIER
from tests.protocol.test_upstream import upstream

POINTER = Pointer(grant_id=9, generation=3, secret_number=1)
BEFORE, AT, AFTER = NOW - 1, NOW, NOW + 1


def realm(sunset_at: int | None = NOW, **changes: Any) -> Realm:
    """A realm with every legacy door, which all close now unless told otherwise."""
    return records.realm(sunset_at=sunset_at, dialect="skyvault", upstream=upstream(), **changes)


def old(sunset_at: int | None = NOW, **changes: Any) -> Client:
    """A client that goes through all of them."""
    settings = {
        "realm": realm(sunset_at),
        "allows_implicit": True,
        "secretless_grants": (GrantType.PASSWORD,),
        "refresh_token_is_reusable": True,
    }
    return records.application(**{**settings, **changes})


def ask_with_a_password(client: Client, now: int) -> None:
    password.check(password.Request(username="ada", password="secret"), client, now=now)


def ask_with_a_foreign_token(client: Client, now: int) -> None:
    asked = external_token.Request(username="ada", password="secret", access_token="foreign")
    external_token.check(asked, client, now=now)


def ask_for_a_token_in_front(client: Client, now: int) -> None:
    sent = {"client_id": "player", "redirect_uri": CALLBACK, "response_type": "token", "scope": "read"}
    authorization.decide(dict(sent), client, records.addressee(), now=now)


def go_on_asking_for_a_token_in_front(client: Client, now: int) -> None:
    asked = records.authorization_request(response_type=authorization.ResponseType.TOKEN)
    authorization.check_still_allowed(asked, client, now=now)


def ask_without_a_secret(client: Client, now: int) -> None:
    unproven = Credentials(client_id="player", method=AuthMethod.NONE)
    client_auth.decide(unproven, client, grant_type=GrantType.PASSWORD, now=now)


def refresh(client: Client, now: int) -> Any:
    grant = records.grant(expires_at=NOW + 86_400)
    asked = refresh_token.Request(refresh_token="rt_...")
    return refresh_token.decide(asked, client, grant, POINTER, records.user(), now=now)


DOORS = [
    pytest.param(ask_with_a_password, UnauthorizedClient, id="password"),
    pytest.param(ask_with_a_foreign_token, UnauthorizedClient, id="external_token"),
    pytest.param(ask_for_a_token_in_front, UnauthorizedClient, id="implicit"),
    pytest.param(go_on_asking_for_a_token_in_front, UnauthorizedClient, id="implicit, signed in meanwhile"),
    pytest.param(ask_without_a_secret, InvalidClient, id="no secret"),
]


class TestTheSunset:  # RFC 8594
    @pytest.mark.parametrize(("door", "refusal"), DOORS)
    def test_closes_a_door_at_its_very_second(
        self, door: Callable[[Client, int], None], refusal: type[Exception]
    ) -> None:
        door(old(), BEFORE)
        for now in (AT, AFTER):
            with pytest.raises(refusal):
                door(old(), now)

    @pytest.mark.parametrize(("door", "refusal"), DOORS)
    def test_never_comes_where_no_date_is_set(
        self, door: Callable[[Client, int], None], refusal: type[Exception]
    ) -> None:
        door(old(None), 1 << 40)

    def test_names_the_door_and_the_way_out(self) -> None:
        with pytest.raises(UnauthorizedClient, match=r"^grant_type password: was switched off .* code with PKCE$"):
            ask_with_a_password(old(), AT)

    def test_makes_reusable_refresh_tokens_rotate(self) -> None:
        assert isinstance(refresh(old(), BEFORE), KeepToken)
        assert isinstance(refresh(old(), AT), Rotate)
        assert isinstance(refresh(old(None), AFTER), KeepToken)

    def test_makes_the_realm_speak_the_standard(self) -> None:
        assert [legacy.dialect_of(realm(), now=now) for now in (BEFORE, AT, AFTER)] == [
            "skyvault",
            "standard",
            "standard",
        ]
        assert legacy.dialect_of(realm(None), now=1 << 40) == "skyvault"

    def test_of_one_realm_is_none_of_anothers(self) -> None:
        other = old(realm=records.realm(id=2, name="films", dialect="skyvault"))
        ask_with_a_password(other, AFTER)
        assert legacy.dialect_of(other.realm, now=AFTER) == "skyvault"


class TestAfterTheSunset:
    """The realm is as strict as any other, and no stricter."""

    CLIENT = old(redirect_uris=(CALLBACK, "http://intranet.example/cb"))

    def test_codes_are_asked_for_and_redeemed(self) -> None:
        sent = {
            "client_id": "player",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        asked = authorization.decide(dict(sent), self.CLIENT, records.addressee(), now=AT)
        assert authorization.check_still_allowed(asked, self.CLIENT, now=AT) is self.CLIENT
        redemption = authorization_code.Request(code="ac_...", redirect_uri=CALLBACK, code_verifier=VERIFIER)
        verdict = authorization_code.decide(
            redemption, self.CLIENT, records.code(), records.user(), records.session(), now=AT
        )
        assert isinstance(verdict, Redeem)

    def test_grants_of_before_go_on(self) -> None:
        assert isinstance(refresh(old(refresh_token_is_reusable=False), AT), Rotate)

    def test_a_partner_still_redeems(self) -> None:
        owned, partner = records.owned(realm=realm()), records.partner(realm=realm())
        assert permissions.acts_for(partner, owned)

    def test_machines_go_on(self) -> None:
        assert (
            client_credentials.decide(client_credentials.Request(), records.client(realm=realm()), now=AT).subject
            == "player"
        )

    def test_grants_of_the_realms_own_go_on(self) -> None:
        client = records.client(realm=realm(custom_grants={"urn:x": "x"}), grant_types=("urn:x",))
        permissions.require_grant_type(client, "urn:x", now=AT)
        asked = custom_grant.Request(grant_type="urn:x", parameters={})
        permit = custom_grant.Permit(username="ada")
        assert custom_grant.decide(asked, permit, client, records.user(), secret_number=1, now=AT)

    def test_a_secret_still_proves_the_client(self) -> None:
        secret = client_auth.digest("s3cret")
        client = old(secrets=(records.generated_digest(secret),))
        proven = Credentials(client_id="player", method=AuthMethod.BASIC, secrets=("s3cret",))
        assert client_auth.decide(proven, client, grant_type=GrantType.PASSWORD, now=AT) == Authenticated(client)

    def test_tokens_of_before_are_still_told_about(self) -> None:
        client = records.client(realm=realm())
        assert isinstance(introspection.decide(records.access_token(), client, client), Active)


class TestGrantTypes:  # RFC 9700 section 2.4
    @pytest.mark.parametrize("grant_type", list(GrantType))
    def test_that_are_legacy_are_password_and_foreign_token(self, grant_type: GrantType) -> None:
        is_legacy = grant_type in (GrantType.PASSWORD, GrantType.EXTERNAL_TOKEN)
        assert (grant_type in legacy.GRANT_TYPES) is is_legacy
        if is_legacy:
            with pytest.raises(UnauthorizedClient):
                permissions.require_grant_type(old(), grant_type, now=AT)
        else:
            permissions.require_grant_type(old(), grant_type, now=AT)


class TestDoors:
    """By name they are counted: two doors never share one, and none says what a stranger sent."""

    def test_have_names_of_their_own(self) -> None:
        names = [
            legacy.QUERY,
            legacy.NO_SECRET,
            legacy.IMPLICIT,
            legacy.REUSABLE,
            legacy.of_path("/approve"),
            legacy.of_grant_type("password"),
            legacy.of_grant_type("external_token"),
        ]
        assert len(set(names)) == len(names)
