"""What tokens will say: RFC 9068 section 2.2."""

import pytest

from jwtauth.errors import UnauthorizedClient
from jwtauth.protocol import permissions
from jwtauth.protocol.records import Client, GrantType, User
from tests.protocol import records
from tests.protocol.records import NOW


class TestAGrantType:  # RFC 6749 section 5.2
    @pytest.mark.parametrize("grant_type", list(GrantType))
    def test_is_for_clients_that_registered_it(self, grant_type: GrantType) -> None:
        permissions.require_grant_type(records.client(grant_types=(grant_type,)), grant_type)
        others = tuple(other for other in GrantType if other is not grant_type)
        with pytest.raises(UnauthorizedClient, match=grant_type):
            permissions.require_grant_type(records.client(grant_types=others), grant_type)


class TestAPerson:
    @pytest.mark.parametrize(
        ("user", "may_use"),
        [
            (records.user(), True),
            (records.user(roles={"music": ()}), True),
            (records.user(roles={"films": ("ROLE_ADMIN",)}), False),
            (records.user(roles={}), False),
            (records.user(disabled_at=NOW), False),
        ],
        ids=["a member", "a member without roles", "a member elsewhere", "no member", "disabled"],
    )
    def test_may_use_the_clients_of_the_realms_that_it_is_a_member_of(self, user: User, may_use: bool) -> None:
        assert permissions.may_use(records.client(), user) is may_use

    def test_has_the_roles_of_the_clients_realm_and_no_others(self) -> None:  # section 2.2.3.1
        permission = permissions.of_person(
            records.client(), records.user(), scope=("read",), resources=(), userinfo_claims=("email",)
        )
        assert permission.authorities == ("ROLE_USER",)
        assert (permission.subject, permission.username, permission.uid) == ("u.ada", "ada", 42)
        assert (permission.scope, permission.userinfo_claims) == (("read",), ("email",))


class TestAMachine:
    def test_speaks_for_itself_with_its_own_roles(self) -> None:
        permission = permissions.of_machine(records.client(), scope=("read",), resources=())
        assert permission.subject == permission.client_id == "player"
        assert permission.authorities == ("ROLE_PLAYER",)
        assert (permission.username, permission.uid, permission.userinfo_claims) == (None, None, ())


class TestTheAudience:  # section 3
    RESOURCES = ("https://api.example",)

    def test_is_what_was_asked_for_else_the_realms(self) -> None:
        for resources, audience in ((self.RESOURCES, self.RESOURCES), ((), ("https://music.example",))):
            machine = permissions.of_machine(records.client(), scope=(), resources=resources)
            person = permissions.of_person(records.client(), records.user(), scope=(), resources=resources)
            assert machine.audience == person.audience == audience


class TestTheLifetime:
    @pytest.mark.parametrize(
        ("client", "lives_in"), [(records.client(), 3_600), (records.client(access_token_in=60), 60)]
    )
    def test_is_the_clients_own_else_the_realms(self, client: Client, lives_in: int) -> None:
        assert permissions.access_token_in(client) == lives_in
        assert permissions.of_machine(client, scope=(), resources=()).lifetime_in == lives_in


class TestTheDefaultScope:  # RFC 6749 section 3.3
    def test_is_what_the_client_registered_else_all(self) -> None:
        assert permissions.default_scope(records.client()) == ("read", "write")
        assert permissions.default_scope(records.client(default_scope=("read",))) == ("read",)
