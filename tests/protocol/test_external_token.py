"""The token of another server for one of ours: what has to be proven, and that nothing outlives it."""

from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.errors import (
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from jwtauth.protocol import external_token, permissions, proofs
from jwtauth.protocol.direct_grant import Start
from jwtauth.protocol.external_token import REFUSED, UNKNOWN_LIFE_IN, Request
from jwtauth.protocol.proofs import Proof
from jwtauth.protocol.records import Client, GrantType, User
from tests.protocol.records import NOW, client, grant, realm, user
from tests.protocol.test_upstream import upstream

LIVE = Proof(is_live=True, username="ada", subject="u-1", expires_at=NOW + 86_400, jti="foreign-1")
DAY = 86_400


def request(**changes: Any) -> Request:
    return Request(**{"username": "ada", "password": "secret", "access_token": "foreign", **changes})


def caller(**changes: Any) -> Client:
    """A client whose realm has an upstream; its tokens live half an hour."""
    return client(**{"realm": realm(upstream=upstream(), access_token_in=1_800), **changes})


def decided(
    asked: Request | None = None,
    by: Client | None = None,
    proof: Proof = LIVE,
    *,
    person: User | None = user(),  # noqa: B008 - frozen
    matches: bool = True,
    was_exchanged: bool = False,
) -> Start:
    return external_token.decide(
        asked or request(),
        by or caller(),
        person,
        proof,
        password_matches=matches,
        was_exchanged=was_exchanged,
        secret_number=7,
        now=NOW,
    )


class TestCheck:
    def test_gives_the_upstream_to_ask(self) -> None:
        assert external_token.check(request(), caller(), now=NOW) == upstream()

    def test_refuses_a_client_without_the_grant(self) -> None:
        with pytest.raises(UnauthorizedClient):
            external_token.check(request(), caller(grant_types=(GrantType.PASSWORD,)), now=NOW)

    def test_refuses_a_realm_without_an_upstream(self) -> None:
        with pytest.raises(UnsupportedGrantType):
            external_token.check(request(), client(), now=NOW)

    @pytest.mark.parametrize(("sunset_at", "is_open"), [(NOW + 1, True), (NOW, False)])
    def test_refuses_once_the_realm_closed_its_legacy_doors(self, sunset_at: int, is_open: bool) -> None:
        by = caller(realm=realm(upstream=upstream(), sunset_at=sunset_at))
        if is_open:
            external_token.check(request(), by, now=NOW)
        else:
            with pytest.raises(UnauthorizedClient, match="switched off"):
                external_token.check(request(), by, now=NOW)

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"password": "x" * 1_025}, InvalidRequest),
            ({"username": "x" * 257}, InvalidRequest),
            ({"scope": "read admin"}, InvalidScope),
            ({"resource": ("https://other.example",)}, InvalidTarget),
        ],
    )
    def test_refuses_before_anybody_is_asked(self, changes: dict[str, Any], refusal: type[Exception]) -> None:
        with pytest.raises(refusal):
            external_token.check(request(**changes), caller(), now=NOW)


class TestRefusal:
    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ({"person": None}, "wrong username or password"),
            ({"matches": False}, "wrong username or password"),
            ({"person": user(disabled_at=NOW)}, "wrong username or password"),
            ({"person": user(roles={"films": ()})}, "wrong username or password"),
            ({"proof": proofs.dead("has expired")}, "has expired"),
            ({"proof": replace(LIVE, username=None)}, "does not say whose"),
            ({"proof": replace(LIVE, username="bob")}, "somebody else's"),
            ({"proof": replace(LIVE, username="Ada")}, "somebody else's"),
            ({"proof": replace(LIVE, username="ada ")}, "somebody else's"),
            ({"asked": request(username="ADA"), "proof": replace(LIVE, username="ADA")}, "somebody else's"),
            ({"was_exchanged": True}, "exchanged before"),
        ],
    )
    def test_is_the_same_whatever_is_wrong_and_tells_the_operator_what(
        self, facts: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(InvalidGrant) as refusal:
            decided(**facts)
        assert str(refusal.value) == REFUSED
        told = external_token.why_not(
            facts.get("asked", request()),
            caller(),
            facts.get("person", user()),
            facts.get("proof", LIVE),
            password_matches=facts.get("matches", True),
            was_exchanged=facts.get("was_exchanged", False),
        )
        assert reason in told


class TestStart:
    def test_is_about_the_local_person(self) -> None:
        start = decided(request(scope="read", resource=("https://api.example",)))
        assert (start.permission.subject, start.permission.username, start.permission.uid) == ("u.ada", "ada", 42)
        assert (start.permission.scope, start.permission.audience) == (("read",), ("https://api.example",))
        assert start.permission.authorities == ("ROLE_USER",)
        assert (start.grant.client_id, start.grant.user_id, start.grant.secret_number) == (1, 42, 7)

    def test_says_its_grant_type_where_the_realm_wants_that(self) -> None:
        by = caller(realm=realm(upstream=upstream(), names_grant_type=True))
        assert decided(by=by).permission.grant_type == "external_token"

    def test_lives_as_long_as_the_realm_says_for_this_grant(self) -> None:
        by = caller(realm=realm(upstream=upstream(), access_token_in_by={"external_token": 77}))
        assert decided(by=by).permission.lifetime_in == 77

    @pytest.mark.parametrize("left", [1, 10, 1_799])
    def test_never_outlives_the_foreign_token(self, left: int) -> None:
        start = decided(proof=replace(LIVE, expires_at=NOW + left))
        assert start.permission.lifetime_in == left
        assert start.grant.ends_at == start.grant.expires_at == NOW + left

    @pytest.mark.parametrize("left", [1_801, 3_600])
    def test_ends_with_the_foreign_token_however_often_it_is_refreshed(self, left: int) -> None:
        start = decided(proof=replace(LIVE, expires_at=NOW + left))
        assert start.has_refresh_token
        assert start.grant.ends_at == NOW + left
        kept = grant(ends_at=start.grant.ends_at, grant_type=start.grant.grant_type)
        last = permissions.of_grant(client(), user(), kept, scope=(), granted=(), now=NOW + left - 5)
        assert last.lifetime_in == 5

    def test_is_short_and_gives_no_refresh_token_where_nobody_knows_how_long(self) -> None:
        start = decided(proof=replace(LIVE, expires_at=None))
        assert start.permission.lifetime_in == UNKNOWN_LIFE_IN
        assert start.grant.ends_at == NOW + UNKNOWN_LIFE_IN
        assert not start.has_refresh_token

    def test_gives_no_refresh_token_to_a_client_without_that_grant(self) -> None:
        assert not decided(by=caller(grant_types=(GrantType.EXTERNAL_TOKEN,))).has_refresh_token

    @pytest.mark.parametrize(
        ("expires_at", "forget_at"), [(NOW + 50, NOW + 170), (None, NOW + external_token.REMEMBERED_IN)]
    )
    def test_names_the_foreign_token_until_it_cannot_be_replayed(self, expires_at: int | None, forget_at: int) -> None:
        start = decided(proof=replace(LIVE, expires_at=expires_at))
        assert start.grant.exchanged is not None
        assert start.grant.exchanged.forget_at == forget_at


class TestDigest:
    def digest(self, token: str = "foreign", jti: str | None = None, **changes: Any) -> bytes:
        return external_token.digest(request(access_token=token), upstream(**changes), replace(LIVE, jti=jti))

    def test_is_of_the_token_of_one_upstream(self) -> None:
        found = {self.digest(), self.digest("other"), self.digest(access_token_uri="https://third.example/token")}
        assert len(found) == 3

    def test_of_a_jwt_does_not_depend_on_its_signature(self) -> None:
        """SECURITY J-08: an ECDSA signature has a mirror image that is as good."""
        assert self.digest("eyJ.payload.one") == self.digest("eyJ.payload.two")
        assert self.digest("eyJ.payload.one") != self.digest("eyJ.other.one")

    @pytest.mark.parametrize(("one", "two"), [("v4.local.one", "v4.local.two"), ("eyJ.one", "eyJ.two")])
    def test_of_anything_else_is_of_all_of_it(self, one: str, two: str) -> None:
        assert self.digest(one) != self.digest(two)

    def test_is_the_same_with_padding_that_some_servers_ignore(self) -> None:
        assert self.digest("opaque") == self.digest("opaque=") == self.digest("opaque==")

    def test_goes_by_the_name_that_the_upstream_gave_it(self) -> None:
        assert self.digest("one", "jti-1") == self.digest("two", "jti-1")
        assert self.digest("one", "jti-1") != self.digest("one", "jti-2")
        assert self.digest("jti-1") != self.digest("text", "jti-1")
