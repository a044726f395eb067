"""Revocation: RFC 7009 section 2.1, SECURITY I-06."""

import pytest

from jwtauth.protocol import revocation
from jwtauth.protocol.records import Client, Grant
from jwtauth.protocol.revocation import DenyPosition, EndGrant, Nothing
from tests.protocol import records
from tests.protocol.records import NOW

OWNER = records.client()
OTHER = records.client(id=2, client_id="other")


class TestARefreshToken:
    def test_ends_its_grant(self) -> None:
        assert revocation.decide_refresh_token(records.grant(), OWNER, OWNER) == EndGrant(9)

    def test_ends_it_even_after_it_expired(self) -> None:
        assert revocation.decide_refresh_token(records.grant(expires_at=NOW - 1), OWNER, OWNER) == EndGrant(9)

    @pytest.mark.parametrize("grant", [None, records.grant(ended_at=NOW), records.grant(client_id=2)])
    def test_does_nothing_where_it_is_unknown_over_or_anothers(self, grant: Grant | None) -> None:
        assert revocation.decide_refresh_token(grant, OWNER, OWNER) == Nothing()


class TestAnAccessToken:
    def test_denies_its_position(self) -> None:
        assert revocation.decide_access_token(records.access_token(), 7, OWNER, OWNER) == DenyPosition(7)

    def test_does_nothing_where_it_is_anothers(self) -> None:
        assert revocation.decide_access_token(records.access_token(), 7, OTHER, OWNER) == Nothing()


class TestAPartner:
    """Who redeems for the owner revokes for it too; nobody else does (SECURITY I-06)."""

    OWNED = records.owned()
    PARTNER = records.partner()
    GIVEN = records.grant(client_id=OWNED.id)
    TOKEN = records.access_token(client_id=OWNED.client_id)

    def test_revokes_what_was_given_to_the_owner(self) -> None:
        assert revocation.decide_refresh_token(self.GIVEN, self.PARTNER, self.OWNED) == EndGrant(9)
        assert revocation.decide_access_token(self.TOKEN, 7, self.PARTNER, self.OWNED) == DenyPosition(7)

    @pytest.mark.parametrize(
        ("client", "owner"),
        [
            pytest.param(OTHER, OWNED, id="not named"),
            pytest.param(PARTNER, records.owned(redeemed_by=None), id="named no more"),
            pytest.param(PARTNER, records.owned(realm=records.realm(id=2, name="films")), id="of another realm"),
            pytest.param(PARTNER, None, id="the owner is gone"),
        ],
    )
    def test_is_nobody_else(self, client: Client, owner: Client | None) -> None:
        assert revocation.decide_refresh_token(self.GIVEN, client, owner) == Nothing()
        assert revocation.decide_access_token(self.TOKEN, 7, client, owner) == Nothing()

    def test_is_not_the_other_way_round(self) -> None:
        """What was given to the partner is the partner's alone."""
        own = records.access_token(client_id=self.PARTNER.client_id)
        assert revocation.decide_access_token(own, 7, self.OWNED, self.PARTNER) == Nothing()
        grant = records.grant(client_id=self.PARTNER.id)
        assert revocation.decide_refresh_token(grant, self.OWNED, self.PARTNER) == Nothing()
