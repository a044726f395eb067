"""Claims about a person: OpenID Connect Core 1.0 sections 5.1 to 5.5."""

from typing import Any

import pytest
from msgspec import UNSET

from jwtauth.errors import InsufficientScope, InvalidToken
from jwtauth.protocol import userinfo
from jwtauth.protocol.profile import BY_SCOPE, CLAIMS, Address, Profile
from jwtauth.protocol.records import Client, User
from tests.protocol import records
from tests.protocol.records import NOW

HOME = Address(locality="London", country="GB")
ADA = records.user(
    profile=Profile(
        name="Ada Lovelace",
        email="ada@example.org",
        email_verified=False,
        phone_number="+44 20 7946 0000",
        address=HOME,
    ),
    updated_at=NOW - 5,
)
PLAYER = records.application()

_UNSET: Any = object()


def decide(client: Client | None = PLAYER, user: User | None = ADA, **token: Any) -> dict[str, Any]:
    return userinfo.decide(records.access_token(**{"scope": "openid", **token}), client, user)


class TestTheAnswer:  # section 5.3.2
    def test_always_says_who_and_by_openid_alone_nothing_else(self) -> None:
        assert decide() == {"sub": "u.ada"}

    @pytest.mark.parametrize(
        ("scope", "told"),
        [
            ("profile", {"name": "Ada Lovelace", "preferred_username": "ada", "updated_at": NOW - 5}),
            ("email", {"email": "ada@example.org", "email_verified": False}),
            ("address", {"address": HOME}),
            ("phone", {"phone_number": "+44 20 7946 0000"}),
            ("read write offline_access", {}),
        ],
    )
    def test_tells_what_each_scope_value_stands_for(self, scope: str, told: dict[str, Any]) -> None:  # section 5.4
        assert decide(scope=f"openid {scope}") == {"sub": "u.ada", **told}

    def test_tells_what_was_asked_for_by_name_beside_the_scope(self) -> None:  # section 5.5
        found = decide(scope="openid email", userinfo_claims=("name", "email", "nickname"))
        assert found == {"sub": "u.ada", "name": "Ada Lovelace", "email": "ada@example.org", "email_verified": False}

    def test_never_has_a_claim_that_is_not_known(self) -> None:
        nameless = records.user(updated_at=0)
        assert decide(user=nameless, scope="openid profile email address phone") == {
            "sub": "u.ada",
            "preferred_username": "ada",
        }

    def test_has_nothing_that_no_claim_names(self) -> None:
        found = decide(scope="openid", userinfo_claims=("password_hash", "roles", "id", "sub", "epoch", "profile"))
        assert found == {"sub": "u.ada"}


class TestRefusal:  # section 5.3.3, RFC 6750 section 3.1
    @pytest.mark.parametrize(
        "token",
        [
            pytest.param({"scope": "profile email"}, id="I-13 without openid"),
            pytest.param({"scope": "openid2 xopenid"}, id="with a scope that only looks like it"),
            pytest.param({"scope": ""}, id="without any scope"),
            pytest.param({"uid": UNSET, "sub": "player"}, id="I-12 a machine's"),
        ],
    )
    def test_is_insufficient_scope_for_a_token_that_is_not_of_openid_connect(self, token: dict[str, Any]) -> None:
        with pytest.raises(InsufficientScope) as refusal:
            decide(**token)
        assert refusal.value.scope == "openid"

    @pytest.mark.parametrize("aud", ["https://api.example", ("https://music.example", "https://api.example"), ()])
    def test_is_invalid_token_for_another_resource(self, aud: Any) -> None:  # SECURITY J-12
        with pytest.raises(InvalidToken):
            decide(aud=aud)

    @pytest.mark.parametrize(
        "user",
        [
            pytest.param(None, id="gone"),
            pytest.param(records.user(disabled_at=NOW), id="disabled"),
            pytest.param(records.user(sub="u.another"), id="another by the same number"),
        ],
    )
    def test_is_invalid_token_where_the_person_is(self, user: User | None) -> None:
        with pytest.raises(InvalidToken):
            decide(user=user)

    @pytest.mark.parametrize(
        "client",
        [
            pytest.param(None, id="gone"),
            pytest.param(records.application(disabled_at=NOW), id="disabled"),
            pytest.param(records.application(realm=records.realm(disabled_at=NOW)), id="of a disabled realm"),
        ],
    )
    def test_is_invalid_token_where_the_client_is(self, client: Client | None) -> None:
        with pytest.raises(InvalidToken):
            decide(client)


class TestTheStandardClaims:  # section 5.1
    def test_all_belong_to_a_scope_value_and_to_a_member_of_the_profile_or_the_user(self) -> None:
        assert len(CLAIMS) == len(set(CLAIMS)) == sum(len(names) for names in BY_SCOPE.values())
        assert {*CLAIMS} == {*Profile.__struct_fields__, "preferred_username", "updated_at"}
