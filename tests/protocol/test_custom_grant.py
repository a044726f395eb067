"""Grants of a realm's own: a module says who is let in, everything else is seen to here."""

from typing import Any

import pytest

from jwtauth.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError
from jwtauth.protocol import custom_grant
from jwtauth.protocol.custom_grant import Permit, Request
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.records import Client, GrantType, Permission, User
from tests.protocol import records
from tests.protocol.records import NOW

SMS = "urn:example:sms"
REALM = records.realm(
    custom_grants={SMS: "example.sms"}, access_token_in_by={SMS: 60, "client_credentials": 7}, names_grant_type=True
)
CLIENT = records.client(realm=REALM, grant_types=(SMS, GrantType.REFRESH_TOKEN), default_scope=("read",))


def request(**changes: Any) -> Request:
    return Request(grant_type=SMS, parameters={"phone": "+44"}, **changes)


def decide(
    permit: Permit | None = None,
    user: User | None = records.user(),  # noqa: B008 - a frozen record
    *,
    client: Client = CLIENT,
    **asked: Any,
) -> Start:
    found = permit or Permit(username="ada")
    return custom_grant.decide(request(**asked), found, client, user, secret_number=2, now=NOW)


def machine(permit: Permit | None = None, *, client: Client = CLIENT, **asked: Any) -> Permission:
    return custom_grant.of_machine(request(**asked), permit or Permit(), client)


class TestAPerson:
    def test_gets_a_grant_of_the_client(self) -> None:
        begun = decide()
        assert (begun.grant.client_id, begun.grant.user_id, begun.grant.secret_number) == (1, 42, 2)
        assert (begun.permission.subject, begun.permission.authorities) == ("u.ada", ("ROLE_USER",))
        assert begun.has_refresh_token

    @pytest.mark.parametrize(
        "user",
        [
            pytest.param(None, id="unknown"),
            pytest.param(records.user(disabled_at=NOW - 1), id="disabled"),
            pytest.param(records.user(roles={}), id="no member"),
            pytest.param(records.user(roles={"films": ("ROLE_ADMIN",)}), id="a member elsewhere"),
        ],
    )
    def test_who_may_not_use_the_client_is_refused_whatever_the_module_said(self, user: User | None) -> None:
        with pytest.raises(InvalidGrant) as refusal:
            decide(user=user)
        assert str(refusal.value) == custom_grant.REFUSED

    def test_is_refused_before_the_scope_is_looked_at(self) -> None:
        with pytest.raises(InvalidGrant):
            decide(Permit(username="ada", scope="admin"), None)


class TestScope:
    """What the module allows, within what the client may have."""

    @pytest.mark.parametrize(
        ("permitted", "granted"),
        [(None, ("read",)), ("write", ("write",)), ("read write", ("read", "write"))],
        ids=["the client's default", "what it says", "all of it"],
    )
    def test_is_what_the_module_says_else_the_clients_default(
        self, permitted: str | None, granted: tuple[str, ...]
    ) -> None:
        begun = decide(Permit(username="ada", scope=permitted))
        assert begun.grant.scope == begun.permission.scope == granted
        assert machine(Permit(scope=permitted)).scope == granted

    @pytest.mark.parametrize("permitted", ["admin", "read admin", "READ", "read\twrite", "offline_access"])
    def test_is_never_beyond_the_clients(self, permitted: str) -> None:
        with pytest.raises(InvalidScope):
            decide(Permit(username="ada", scope=permitted))
        with pytest.raises(InvalidScope):
            machine(Permit(scope=permitted))


class TestResource:  # RFC 8707 section 2
    def test_is_one_of_the_clients(self) -> None:
        asked = ("https://api.example",)
        assert decide(resource=asked).permission.audience == decide(resource=asked).grant.resources == asked
        assert machine(resource=asked).audience == asked

    def test_j_14_of_somebody_else_is_refused(self) -> None:
        for ask in (decide, machine):
            with pytest.raises(InvalidTarget):
                ask(resource=("https://elsewhere.example",))


class TestAMachine:
    def test_speaks_for_itself(self) -> None:
        permission = machine()
        assert permission.subject == permission.client_id == "player"
        assert (permission.username, permission.uid, permission.authorities) == (None, None, ("ROLE_PLAYER",))


class TestTheToken:
    """Of a person or of a machine: the realm's settings for this very grant count."""

    def test_lives_as_long_as_the_realm_says_for_the_grant(self) -> None:
        assert decide().permission.lifetime_in == 60
        assert machine().lifetime_in == 60

    def test_says_by_which_grant_it_came_to_be(self) -> None:
        assert decide().permission.grant_type == SMS
        assert machine().grant_type == SMS


class TestWhateverTheModulePermits:
    def test_ends_in_a_registered_code(self) -> None:
        for permit in (Permit(username="ada", scope="\x00"), Permit(username="ada", scope="x" * 100_000)):
            with pytest.raises(OAuthError):
                decide(permit)
