"""What tokens will say: RFC 9068 section 2.2."""

import pytest

from jwtauth.errors import UnauthorizedClient
from jwtauth.protocol import permissions
from jwtauth.protocol.records import AuthMethod, Client, GrantType, User
from tests.protocol import records
from tests.protocol.records import NOW


class TestAGrantType:  # RFC 6749 section 5.2
    @pytest.mark.parametrize("grant_type", list(GrantType))
    def test_is_for_clients_that_registered_it(self, grant_type: GrantType) -> None:
        permissions.require_grant_type(records.client(grant_types=(grant_type,)), grant_type, now=NOW)
        others = tuple(other for other in GrantType if other is not grant_type)
        with pytest.raises(UnauthorizedClient, match=grant_type):
            permissions.require_grant_type(records.client(grant_types=others), grant_type, now=NOW)


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
            records.client(),
            records.user(),
            scope=("read",),
            resources=(),
            grant_type=GrantType.PASSWORD,
            userinfo_claims=("email",),
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
            person = permissions.of_person(
                records.client(), records.user(), scope=(), resources=resources, grant_type=GrantType.PASSWORD
            )
            assert machine.audience == person.audience == audience


class TestTheLifetime:
    BY = records.realm(access_token_in_by={"password": 1_800, "client_credentials": 900})

    @pytest.mark.parametrize(
        ("client", "of_machine", "of_password", "of_code"),
        [
            pytest.param(records.client(), 3_600, 3_600, 3_600, id="the realm's"),
            pytest.param(records.client(realm=BY), 900, 1_800, 3_600, id="the realm's for the grant type"),
            pytest.param(records.client(access_token_in=60), 60, 60, 60, id="the client's own"),
            pytest.param(records.client(realm=BY, access_token_in=60), 60, 60, 60, id="the client's own before all"),
        ],
    )
    def test_is_the_clients_own_else_the_realms_for_the_grant_type_else_the_realms(
        self, client: Client, of_machine: int, of_password: int, of_code: int
    ) -> None:
        assert permissions.of_machine(client, scope=(), resources=()).lifetime_in == of_machine
        for grant_type, lives_in in ((GrantType.PASSWORD, of_password), (GrantType.AUTHORIZATION_CODE, of_code)):
            person = permissions.of_person(client, records.user(), scope=(), resources=(), grant_type=grant_type)
            assert person.lifetime_in == permissions.access_token_in(client, grant_type) == lives_in

    def test_is_at_most_the_longest_of_the_clients_grants(self) -> None:
        assert permissions.longest_access_token_in(records.client(realm=self.BY)) == 3_600
        longer = records.realm(access_token_in_by={"password": 7_200})
        assert permissions.longest_access_token_in(records.client(realm=longer)) == 7_200
        without = records.client(realm=longer, grant_types=(GrantType.CLIENT_CREDENTIALS,))
        assert permissions.longest_access_token_in(without) == 3_600

    def test_is_kept_by_a_refresh_from_how_the_grant_began(self) -> None:
        realm = records.realm(access_token_in_by={"password": 1_800, "authorization_code": 600, "refresh_token": 5})
        for grant, lives_in in ((records.grant(), 1_800), (records.code(), 600)):
            found = permissions.of_grant(
                records.client(realm=realm), records.user(), grant, scope=("read",), granted=(), now=NOW
            )
            assert found.lifetime_in == lives_in


class TestHowItCameToBe:
    NAMING = records.client(realm=records.realm(names_grant_type=True))

    def test_is_said_only_where_the_realm_wants_it(self) -> None:
        for client, machine, code, password in (
            (records.client(), None, None, None),
            (self.NAMING, "client_credentials", "authorization_code", "password"),
        ):
            assert permissions.of_machine(client, scope=(), resources=()).grant_type == machine
            for grant, name in ((records.code(), code), (records.grant(), password)):
                found = permissions.of_grant(client, records.user(), grant, scope=(), granted=(), now=NOW)
                assert found.grant_type == name


class TestActingFor:
    """A partner redeems what was given to the one client that names it (setting redeemed_by)."""

    ELSEWHERE = records.realm(id=2, name="films", audience="https://films.example")

    def test_is_everybody_for_itself(self) -> None:
        assert permissions.acts_for(records.client(), records.client())

    def test_is_the_partner_that_the_owner_names(self) -> None:
        assert permissions.acts_for(records.partner(), records.owned())

    @pytest.mark.parametrize(
        ("client", "owner"),
        [
            pytest.param(records.owned(), records.partner(), id="the owner for its partner"),
            pytest.param(records.client(), records.owned(), id="another client of the realm"),
            pytest.param(records.partner(realm=ELSEWHERE), records.owned(), id="a partner of another realm"),
            pytest.param(records.partner(), records.owned(realm=ELSEWHERE), id="for an owner of another realm"),
            pytest.param(records.partner(), records.owned(disabled_at=1), id="for a disabled owner"),
            pytest.param(
                records.partner(realm=records.realm(disabled_at=1)),
                records.owned(realm=records.realm(disabled_at=1)),
                id="in a disabled realm",
            ),
            pytest.param(records.partner(client_id="skyvaultapp"), records.owned(), id="a name in another case"),
            pytest.param(records.partner(), records.owned(redeemed_by=None), id="for whom names nobody"),
            pytest.param(records.client(disabled_at=1), records.client(disabled_at=1), id="disabled, for itself"),
            pytest.param(records.partner(auth_method=AuthMethod.NONE), records.owned(), id="a partner without secret"),
            pytest.param(
                records.partner(secretless_grants=("password",)), records.owned(), id="one that may come without it"
            ),
        ],
    )
    def test_is_nobody_else(self, client: Client, owner: Client) -> None:
        assert not permissions.acts_for(client, owner)

    def test_does_not_pass_on(self) -> None:
        """a is redeemed by b and b by c: c has nothing of a's."""
        first = records.owned(id=3, client_id="a", redeemed_by="b")
        second = records.owned(id=4, client_id="b", redeemed_by="c")
        third = records.partner(id=5, client_id="c")
        assert permissions.acts_for(second, first)
        assert permissions.acts_for(third, second)
        assert not permissions.acts_for(third, first)


class TestTheDefaultScope:  # RFC 6749 section 3.3
    def test_is_what_the_client_registered_else_all(self) -> None:
        assert permissions.default_scope(records.client()) == ("read", "write")
        assert permissions.default_scope(records.client(default_scope=("read",))) == ("read",)
