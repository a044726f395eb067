"""Revocation: RFC 7009 section 2.1, SECURITY I-06."""

import pytest

from jwtauth.protocol import revocation
from jwtauth.protocol.records import Grant
from jwtauth.protocol.revocation import DenyPosition, EndGrant, Nothing
from tests.protocol import records
from tests.protocol.records import NOW

OWNER = records.client()
OTHER = records.client(id=2, client_id="other")


class TestARefreshToken:
    def test_ends_its_grant(self) -> None:
        assert revocation.decide_refresh_token(records.grant(), OWNER) == EndGrant(9)

    def test_ends_it_even_after_it_expired(self) -> None:
        assert revocation.decide_refresh_token(records.grant(expires_at=NOW - 1), OWNER) == EndGrant(9)

    @pytest.mark.parametrize("grant", [None, records.grant(ended_at=NOW), records.grant(client_id=2)])
    def test_does_nothing_where_it_is_unknown_over_or_anothers(self, grant: Grant | None) -> None:
        assert revocation.decide_refresh_token(grant, OWNER) == Nothing()


class TestAnAccessToken:
    def test_denies_its_position(self) -> None:
        assert revocation.decide_access_token(records.access_token(), 7, OWNER) == DenyPosition(7)

    def test_does_nothing_where_it_is_anothers(self) -> None:
        assert revocation.decide_access_token(records.access_token(), 7, OTHER) == Nothing()
