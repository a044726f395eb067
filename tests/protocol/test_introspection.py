"""Introspection: RFC 7662 section 2, SECURITY group I."""

from typing import Any

import msgspec
import pytest

from jwtauth.errors import InvalidClient
from jwtauth.protocol import introspection
from jwtauth.protocol.introspection import INACTIVE, Active
from jwtauth.protocol.records import AuthMethod, Client
from tests.protocol import records
from tests.protocol.records import ISSUER, NOW

OWNER = records.client()
FILMS = records.realm(id=2, name="films", audience="https://films.example")


def neighbour(**changes: Any) -> Client:
    """Another client of the owner's realm, with no resource of its own."""
    return records.client(**{"id": 2, "client_id": "neighbour", "resources": (), **changes})


def stranger(**changes: Any) -> Client:
    """A client of another realm."""
    return records.client(**{"id": 3, "client_id": "stranger", "realm": FILMS, "resources": (), **changes})


class TestCaller:  # RFC 7662 section 2.1
    @pytest.mark.parametrize("method", [AuthMethod.BASIC, AuthMethod.POST])
    def test_passes_where_it_has_proven_who_it_is(self, method: AuthMethod) -> None:
        introspection.check_caller(records.client(auth_method=method))

    def test_is_refused_where_it_is_public(self) -> None:
        with pytest.raises(InvalidClient):
            introspection.check_caller(records.client(auth_method=AuthMethod.NONE))


class TestWhoMayKnow:  # SECURITY I-02: token scanning by a foreign client
    @pytest.mark.parametrize(
        ("caller", "aud", "may_know"),
        [
            pytest.param(OWNER, "https://elsewhere.example", True, id="the owner"),
            pytest.param(neighbour(), "https://music.example", True, id="the realm's audience"),
            pytest.param(neighbour(resources=("https://api.example",)), "https://api.example", True, id="its resource"),
            pytest.param(neighbour(), ("https://api.example", "https://music.example"), True, id="one of several"),
            pytest.param(neighbour(), "https://api.example", False, id="another's resource"),
            pytest.param(stranger(), "https://music.example", False, id="of another realm"),
            pytest.param(stranger(), "https://films.example", False, id="of another realm, though for its audience"),
            pytest.param(
                stranger(resources=("https://api.example",)), "https://api.example", False, id="foreign, same resource"
            ),
            pytest.param(stranger(introspects_realms=("music",)), "https://music.example", True, id="allowed by name"),
            pytest.param(stranger(introspects_realms=("mus",)), "https://music.example", False, id="another name"),
        ],
    )
    def test_is_the_owner_the_audience_or_named(self, caller: Client, aud: Any, may_know: bool) -> None:
        answer = introspection.decide(records.access_token(aud=aud), OWNER, caller)
        assert answer.active is may_know


class TestInactive:  # RFC 7662 section 2.2: should not include any additional information
    def test_is_a_token_that_is_not_live(self) -> None:
        assert introspection.decide(None, OWNER, OWNER) is INACTIVE

    def test_is_a_token_whose_client_is_gone(self) -> None:
        assert introspection.decide(records.access_token(), None, OWNER) is INACTIVE

    def test_says_nothing_more(self) -> None:
        assert msgspec.json.encode(INACTIVE) == b'{"active":false}'


class TestActive:
    def answer(self, **claims: Any) -> dict[str, Any]:
        active = introspection.decide(records.access_token(**claims), OWNER, OWNER)
        assert isinstance(active, Active)
        decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(active))
        return decoded

    def test_says_what_the_token_says(self) -> None:
        assert self.answer() == {
            "active": True,
            "scope": "read write",
            "client_id": "player",
            "username": "ada",
            "token_type": "Bearer",
            "exp": NOW + 3_540,
            "iat": NOW - 60,
            "sub": "u.ada",
            "aud": "https://music.example",
            "iss": ISSUER,
            "jti": "token-1",
            "authorities": ["ROLE_USER"],
            "uid": 42,
        }

    def test_names_no_person_for_a_machine(self) -> None:
        machine = self.answer(username=msgspec.UNSET, uid=msgspec.UNSET)
        assert {"username", "uid"}.isdisjoint(machine)
