"""The resource owner password credentials grant: RFC 6749 section 4.3."""

from typing import Any

import pytest

from jwtauth.errors import InvalidGrant, InvalidRequest, InvalidScope, InvalidTarget, OAuthError, UnauthorizedClient
from jwtauth.protocol import password
from jwtauth.protocol.password import MAX_PASSWORD_BYTES, Request, Start
from jwtauth.protocol.records import Client, GrantType, User
from tests.protocol import records
from tests.protocol.records import NOW


def request(**changes: Any) -> Request:
    return Request(**{"username": "ada", "password": "secret", **changes})


def decide(
    asked: Request | None = None,
    client: Client | None = None,
    user: User | None = records.user(),  # noqa: B008 - a frozen record
    *,
    password_matches: bool = True,
) -> Start:
    return password.decide(
        asked or request(),
        client or records.client(),
        user,
        password_matches=password_matches,
        secret_number=2,
        now=NOW,
    )


class TestBeforeTheHash:
    """Whatever needs no password is refused before one is hashed (SECURITY B-09)."""

    @pytest.mark.parametrize(
        ("client", "asked", "refusal"),
        [
            (records.client(grant_types=("client_credentials",)), request(), UnauthorizedClient),
            (records.client(), request(password="x" * (MAX_PASSWORD_BYTES + 1)), InvalidRequest),
            (records.client(), request(password="é" * (MAX_PASSWORD_BYTES // 2 + 1)), InvalidRequest),
            (records.client(), request(username="x" * 257), InvalidRequest),
            (records.client(), request(scope="admin"), InvalidScope),
            (records.client(), request(resource=("https://elsewhere.example",)), InvalidTarget),
        ],
    )
    def test_refuses(self, client: Client, asked: Request, refusal: type[OAuthError]) -> None:
        with pytest.raises(refusal):
            password.check(asked, client)

    @pytest.mark.parametrize(
        "asked",
        [
            request(),
            request(password="x" * MAX_PASSWORD_BYTES),
            request(username="x" * 256),
            request(scope="read", resource=("https://api.example",)),
        ],
    )
    def test_lets_pass(self, asked: Request) -> None:
        password.check(asked, records.client())


class TestRefusal:  # RFC 6749 section 5.2
    @pytest.mark.parametrize(
        ("user", "matches"),
        [
            pytest.param(None, False, id="unknown"),
            pytest.param(None, True, id="unknown though a hash matched"),
            pytest.param(records.user(), False, id="wrong password"),
            pytest.param(records.user(disabled_at=NOW), True, id="disabled"),
            pytest.param(records.user(roles={"films": ("ROLE_ADMIN",)}), True, id="no member"),
        ],
    )
    def test_is_the_same_for_every_reason(self, user: User | None, matches: bool) -> None:
        with pytest.raises(InvalidGrant) as refusal:
            decide(user=user, password_matches=matches)
        assert str(refusal.value) == password.REFUSED

    def test_names_what_exceeds_the_client_whatever_the_password(self) -> None:
        """It says nothing of the person, and a caller that forgot `check` opens the grant to nobody."""
        with pytest.raises(InvalidScope):
            decide(request(scope="admin"), password_matches=False)
        with pytest.raises(UnauthorizedClient):
            decide(client=records.client(grant_types=()))

    @pytest.mark.parametrize(
        ("changes", "refusal"), [({"scope": "admin"}, InvalidScope), ({"resource": ("https://x",)}, InvalidTarget)]
    )
    def test_names_what_exceeds_the_client(self, changes: dict[str, Any], refusal: type[OAuthError]) -> None:
        with pytest.raises(refusal):
            decide(request(**changes))


class TestGrant:
    def test_carries_the_epochs_that_were_read_before_the_password_was_checked(self) -> None:
        grant = decide(client=records.client(epoch=5), user=records.user(epoch=6)).grant
        assert (grant.client_id, grant.client_epoch, grant.user_id, grant.user_epoch) == (1, 5, 42, 6)

    def test_names_the_server_secret_of_its_refresh_token(self) -> None:
        assert decide().grant.secret_number == 2

    def test_lives_as_long_as_a_refresh_token_unless_refreshed(self) -> None:
        grant = decide().grant
        assert (grant.expires_at, grant.ends_at) == (NOW + 86_400, NOW + 604_800)

    def test_lives_as_long_as_its_access_token_where_there_is_no_refresh_token(self) -> None:
        start = decide(client=records.client(grant_types=(GrantType.PASSWORD,), access_token_in=60))
        assert not start.has_refresh_token
        assert start.grant.expires_at == NOW + 60

    @pytest.mark.parametrize(("grant_in", "expires_in"), [(10_000, 10_000), (100, 3_600)])
    def test_never_outlives_grant_in_but_covers_its_access_token(self, grant_in: int, expires_in: int) -> None:
        grant = decide(client=records.client(realm=records.realm(grant_in=grant_in))).grant
        assert grant.expires_at == grant.ends_at == NOW + expires_in

    def test_remembers_the_resources_that_were_asked_for(self) -> None:
        start = decide(request(resource=("https://api.example",)))
        assert start.grant.resources == start.permission.audience == ("https://api.example",)


class TestPermission:
    def test_is_about_the_person_with_the_roles_of_this_realm(self) -> None:
        permission = decide().permission
        assert (permission.subject, permission.username, permission.uid) == ("u.ada", "ada", 42)
        assert permission.authorities == ("ROLE_USER",)

    @pytest.mark.parametrize(
        ("default_scope", "asked", "granted"),
        [
            ((), None, ("read", "write")),
            (("read",), None, ("read",)),
            (("read",), "write", ("write",)),
        ],
    )
    def test_has_the_scope_asked_for_or_the_clients_default(
        self, default_scope: tuple[str, ...], asked: str | None, granted: tuple[str, ...]
    ) -> None:
        start = decide(request(scope=asked), records.client(default_scope=default_scope))
        assert start.permission.scope == start.grant.scope == granted
