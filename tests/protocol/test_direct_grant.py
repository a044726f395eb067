"""A grant that begins at the token endpoint, without a browser: what it is worth and for how long."""

from typing import Any

import pytest

from jwtauth.protocol import direct_grant
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.records import Client, GrantType
from tests.protocol import records
from tests.protocol.records import NOW

ONCE = (GrantType.PASSWORD,)


def start(client: Client | None = None, *, grant_type: str = GrantType.PASSWORD, **changes: Any) -> Start:
    asked: dict[str, Any] = {"scope": "read", "resource": (), "secret_number": 2, "now": NOW, **changes}
    return direct_grant.start(client or records.client(), records.user(epoch=6), grant_type=grant_type, **asked)


class TestTheGrant:
    def test_says_whose_it_is_and_what_was_read_before_the_proof_was_checked(self) -> None:
        client = records.client(epoch=5, resources=("https://api.example",))
        grant = start(client, resource=("https://api.example",)).grant
        assert (grant.client_id, grant.client_epoch, grant.user_id, grant.user_epoch) == (1, 5, 42, 6)
        assert (grant.scope, grant.resources, grant.secret_number) == (("read",), ("https://api.example",), 2)

    def test_knows_neither_browser_nor_code(self) -> None:
        grant = start().grant
        assert (grant.session_id, grant.auth_time, grant.code_challenge, grant.code_expires_at) == (None,) * 4
        assert (grant.redirect_uri, grant.nonce, grant.transaction, grant.consent, grant.exchanged) == (None,) * 5

    def test_lives_as_long_as_its_refresh_token(self) -> None:
        begun = start()
        assert begun.has_refresh_token
        assert (begun.grant.expires_at, begun.grant.ends_at) == (NOW + 86_400, NOW + 604_800)

    def test_lives_as_long_as_its_access_token_where_the_client_does_not_refresh(self) -> None:
        begun = start(records.client(grant_types=ONCE))
        assert not begun.has_refresh_token
        assert begun.grant.expires_at == NOW + 3_600

    def test_never_outlives_its_end(self) -> None:
        realm = records.realm(refresh_token_in=604_801)
        assert start(records.client(realm=realm)).grant.expires_at == NOW + 604_800

    def test_covers_its_access_token_where_the_realm_wants_shorter_grants(self) -> None:
        realm = records.realm(grant_in=60)
        begun = start(records.client(realm=realm, grant_types=ONCE))
        assert begun.grant.expires_at == begun.grant.ends_at == NOW + 3_600


class TestTheToken:
    REALM = records.realm(access_token_in_by={"password": 1_800, "urn:x": 60}, names_grant_type=True)

    def test_is_about_the_person_with_the_roles_of_the_realm(self) -> None:
        permission = start().permission
        assert (permission.subject, permission.username, permission.uid) == ("u.ada", "ada", 42)
        assert (permission.client_id, permission.authorities) == ("player", ("ROLE_USER",))
        assert (permission.scope, permission.audience) == (("read",), ("https://music.example",))

    @pytest.mark.parametrize(
        ("grant_type", "lives_in"), [("password", 1_800), ("urn:x", 60), ("external_token", 3_600)]
    )
    def test_lives_as_long_as_the_realm_says_for_the_grant(self, grant_type: str, lives_in: int) -> None:
        begun = start(records.client(realm=self.REALM, grant_types=(grant_type,)), grant_type=grant_type)
        assert begun.permission.lifetime_in == lives_in
        assert begun.grant.expires_at == NOW + lives_in

    def test_says_by_which_grant_it_came_to_be_only_where_the_realm_wants_that(self) -> None:
        assert start(records.client(realm=self.REALM), grant_type="urn:x").permission.grant_type == "urn:x"
        assert start(grant_type="urn:x").permission.grant_type is None
