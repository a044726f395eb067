"""The resource owner password credentials grant: RFC 6749 section 4.3."""

from typing import Any

import pytest

from jwtauth.errors import InvalidGrant, InvalidRequest, InvalidScope, InvalidTarget, OAuthError, UnauthorizedClient
from jwtauth.protocol import password
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.password import MAX_PASSWORD_BYTES, Request, Weakness
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
            password.check(asked, client, now=NOW)

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
        password.check(asked, records.client(), now=NOW)


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


class TestOnAPage:
    """People who sign in or choose a password there."""

    @pytest.mark.parametrize(
        ("username", "sent", "is_within"),
        [
            ("ada", "secret", True),
            ("", "", True),
            ("x" * 256, "x" * MAX_PASSWORD_BYTES, True),
            ("x" * 257, "secret", False),
            ("ada", "x" * (MAX_PASSWORD_BYTES + 1), False),
            ("ada", "é" * (MAX_PASSWORD_BYTES // 2 + 1), False),
        ],
    )
    def test_b_09_a_giant_is_not_looked_at(self, username: str, sent: str, is_within: bool) -> None:
        assert password.is_within_bounds(username, sent) is is_within

    @pytest.mark.parametrize(
        ("new", "repeated", "weakness"),
        [
            ("12345678", "12345678", None),
            ("ääääääää", "ääääääää", None),
            ("correct horse battery staple", "correct horse battery staple", None),
            ("x" * MAX_PASSWORD_BYTES, "x" * MAX_PASSWORD_BYTES, None),
            ("1234567", "1234567", Weakness.SHORT),
            ("", "", Weakness.SHORT),
            ("ä" * 7, "ä" * 7, Weakness.SHORT),
            ("x" * (MAX_PASSWORD_BYTES + 1), "x" * (MAX_PASSWORD_BYTES + 1), Weakness.LONG),
            ("é" * (MAX_PASSWORD_BYTES // 2 + 1), "é" * (MAX_PASSWORD_BYTES // 2 + 1), Weakness.LONG),
            ("12345678", "12345679", Weakness.DIFFERENT),
            ("12345678", "12345678 ", Weakness.DIFFERENT),
            ("12345678", "", Weakness.DIFFERENT),
        ],
    )
    def test_a_new_one_has_a_length_and_is_typed_twice(
        self, new: str, repeated: str, weakness: Weakness | None
    ) -> None:
        assert password.weakness(new, repeated) is weakness

    def test_the_longest_that_may_be_chosen_may_be_used(self) -> None:
        assert password.weakness("x" * MAX_PASSWORD_BYTES, "x" * MAX_PASSWORD_BYTES) is None
        assert password.is_within_bounds("ada", "x" * MAX_PASSWORD_BYTES)


class TestTheHash:
    """That a password is checked against: none for whoever could not be let in, so that nothing matches."""

    HASH = records.user().password_hash

    def test_is_the_persons(self) -> None:
        assert password.hash_to_check(records.client(), records.user()) == self.HASH

    @pytest.mark.parametrize(
        "user",
        [
            pytest.param(None, id="unknown"),
            pytest.param(records.user(disabled_at=NOW), id="disabled"),
            pytest.param(records.user(password_hash=None), id="without a password"),
        ],
    )
    @pytest.mark.parametrize("client", [None, records.client()])
    def test_is_none_for_nobody(self, client: Client | None, user: User | None) -> None:
        assert password.hash_to_check(client, user) is None

    def test_is_asked_of_a_stranger_only_on_the_way_to_the_account_page(self) -> None:
        stranger = records.user(roles={"films": ()})
        assert password.hash_to_check(records.client(), stranger) is None
        assert password.hash_to_check(None, stranger) == self.HASH
