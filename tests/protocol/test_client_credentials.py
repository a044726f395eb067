"""The client credentials grant: RFC 6749 section 4.4, SECURITY C-09."""

import pytest

from jwtauth.errors import InvalidScope, InvalidTarget, UnauthorizedClient
from jwtauth.protocol import client_credentials
from jwtauth.protocol.client_credentials import Request
from jwtauth.protocol.records import AuthMethod, Client, GrantType, Permission
from tests.protocol import records
from tests.protocol.records import NOW


def decide(request: Request, client: Client) -> Permission:
    return client_credentials.decide(request, client, now=NOW)


class TestPermission:  # RFC 9068 section 2.2: sub is the client where no resource owner is involved
    def test_is_about_the_client_itself(self) -> None:
        permission = decide(Request(), records.client())
        assert (permission.subject, permission.client_id) == ("player", "player")
        assert (permission.username, permission.uid) == (None, None)

    def test_carries_the_clients_own_authorities(self) -> None:
        assert decide(Request(), records.client()).authorities == ("ROLE_PLAYER",)

    @pytest.mark.parametrize(("own", "lives_in"), [(None, 3_600), (60, 60)])
    def test_lives_as_long_as_the_client_says_else_its_realm(self, own: int | None, lives_in: int) -> None:
        assert decide(Request(), records.client(access_token_in=own)).lifetime_in == lives_in


class TestScope:
    @pytest.mark.parametrize(
        ("default_scope", "asked", "granted"),
        [
            ((), None, ("read", "write")),
            (("read",), None, ("read",)),
            (("read",), "write", ("write",)),
            ((), "write read", ("write", "read")),
        ],
    )
    def test_is_what_was_asked_for_or_the_default(
        self, default_scope: tuple[str, ...], asked: str | None, granted: tuple[str, ...]
    ) -> None:
        assert decide(Request(scope=asked), records.client(default_scope=default_scope)).scope == granted

    def test_must_not_exceed_the_clients(self) -> None:
        with pytest.raises(InvalidScope):
            decide(Request(scope="read admin"), records.client())


class TestResource:  # RFC 8707 section 2
    @pytest.mark.parametrize(
        ("asked", "audience"),
        [
            ((), ("https://music.example",)),
            (("https://api.example",), ("https://api.example",)),
            (("https://files.example", "https://api.example"), ("https://files.example", "https://api.example")),
        ],
    )
    def test_is_the_audience_else_the_realms_own(self, asked: tuple[str, ...], audience: tuple[str, ...]) -> None:
        assert decide(Request(resource=asked), records.client()).audience == audience

    def test_must_be_one_of_the_clients(self) -> None:
        with pytest.raises(InvalidTarget):
            decide(Request(resource=("https://elsewhere.example",)), records.client())


class TestClient:
    def test_must_be_able_to_keep_a_secret(self) -> None:
        with pytest.raises(UnauthorizedClient):
            decide(Request(), records.client(auth_method=AuthMethod.NONE))

    def test_must_have_registered_the_grant(self) -> None:
        with pytest.raises(UnauthorizedClient):
            decide(Request(), records.client(grant_types=(GrantType.PASSWORD,)))
