"""Introspection: RFC 7662 section 2, SECURITY group I."""

from typing import Any

import msgspec
import pytest

from jwtauth.errors import InvalidClient
from jwtauth.protocol import introspection
from jwtauth.protocol.introspection import INACTIVE, Active, Inactive
from jwtauth.protocol.records import AuthMethod, Client, Realm, User
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


class TestTheRealmAbove:
    """A realm may name a parent: it may ask about the parent's tokens, and sees only its own roles."""

    CHILD = records.realm(id=4, name="jazz", audience="https://jazz.example", parent="music")
    GRANDCHILD = records.realm(id=5, name="bebop", audience="https://bebop.example", parent="jazz")
    SIBLING = records.realm(id=6, name="folk", audience="https://folk.example", parent="music")
    ADA = records.user(roles={"music": ("ROLE_USER",), "jazz": ("ROLE_HORN", "ROLE_DRUM"), "bebop": ("ROLE_SOLO",)})

    def ask(self, realm: Realm, *, owner: Client = OWNER, user: User | None = ADA, **claims: Any) -> Active | Inactive:
        return introspection.decide(records.access_token(**claims), owner, stranger(realm=realm), user)

    def test_tells_about_its_tokens_with_the_roles_of_the_realm_that_asks(self) -> None:
        answer = self.ask(self.CHILD)
        assert isinstance(answer, Active)
        assert answer.authorities == ("ROLE_HORN", "ROLE_DRUM")
        assert (answer.sub, answer.client_id, answer.scope) == ("u.ada", "player", "read write")

    @pytest.mark.parametrize(
        "user", [pytest.param(None, id="nobody known"), pytest.param(records.user(), id="no member of the child")]
    )
    def test_never_tells_its_own_roles(self, user: User | None) -> None:
        answer = self.ask(self.CHILD, user=user)
        assert isinstance(answer, Active)
        assert answer.authorities == ()

    def test_never_tells_the_roles_of_a_machine(self) -> None:
        machine: dict[str, Any] = {
            "sub": "player",
            "username": msgspec.UNSET,
            "uid": msgspec.UNSET,
            "authorities": ("ROLE_PLAYER",),
        }
        answer = self.ask(self.CHILD, user=None, **machine)
        assert isinstance(answer, Active)
        assert answer.authorities == ()

    @pytest.mark.parametrize(
        ("caller", "owner"),
        [
            pytest.param(GRANDCHILD, OWNER, id="two below"),
            pytest.param(SIBLING, stranger(id=7, realm=CHILD), id="beside"),
            pytest.param(OWNER.realm, stranger(id=7, realm=CHILD), id="above"),
            pytest.param(FILMS, OWNER, id="elsewhere"),
        ],
    )
    def test_i_02_is_the_one_above_and_no_other(self, caller: Realm, owner: Client) -> None:
        assert self.ask(caller, owner=owner) is INACTIVE

    def test_is_not_asked_for_where_the_token_is_of_the_callers_own_realm(self) -> None:
        assert not introspection.is_of_parent(stranger(realm=self.CHILD), neighbour(realm=self.CHILD))
        assert not introspection.is_of_parent(None, stranger(realm=self.CHILD))
        assert introspection.is_of_parent(OWNER, stranger(realm=self.CHILD))

    def test_of_a_realm_without_one_is_nobody(self) -> None:
        """No parent is not the name of a realm."""
        assert not introspection.is_of_parent(OWNER, stranger())
