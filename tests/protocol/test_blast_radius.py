"""What a revocation's selection means, and what it says about being less precise than it was asked to be."""

from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.errors import ConfigurationError, InvalidScope
from jwtauth.protocol import blast_radius
from jwtauth.protocol.blast_radius import Interval, Radius, Selection
from jwtauth.protocol.records import GrantType
from tests.protocol import records
from tests.protocol.records import NOW

TODAY = Interval(from_at=NOW - 3_600, until_at=NOW)
ONE_EACH: dict[str, Any] = {
    "grant_id": 9,
    "position": 7,
    "user_id": 42,
    "client_id": 1,
    "scope": "read",
    "issued": TODAY,
}


class TestCheck:
    @pytest.mark.parametrize("name", ONE_EACH)
    def test_takes_each_criterion_alone(self, name: str) -> None:
        blast_radius.check(Selection(**{name: ONE_EACH[name]}), now=NOW)

    def test_takes_criteria_together(self) -> None:
        blast_radius.check(Selection(user_id=42, client_id=1, scope="read", issued=TODAY), now=NOW)

    def test_refuses_none(self) -> None:
        with pytest.raises(ConfigurationError, match="nothing is selected"):
            blast_radius.check(Selection(), now=NOW)

    @pytest.mark.parametrize("name", ["grant_id", "position"])
    @pytest.mark.parametrize("other", ONE_EACH)
    def test_refuses_criteria_beside_one_grant_or_token(self, name: str, other: str) -> None:
        if name != other:
            with pytest.raises(ConfigurationError, match="is one thing"):
                blast_radius.check(Selection(**{name: ONE_EACH[name], other: ONE_EACH[other]}), now=NOW)

    @pytest.mark.parametrize("scope", ["", " ", "read write", " read", "read read"])
    def test_refuses_what_is_not_one_scope_value(self, scope: str) -> None:
        with pytest.raises(ConfigurationError, match="expected one scope value"):
            blast_radius.check(Selection(scope=scope), now=NOW)

    def test_refuses_what_no_scope_value_can_be(self) -> None:
        with pytest.raises(InvalidScope):
            blast_radius.check(Selection(scope='re"ad'), now=NOW)

    def test_takes_an_interval_of_one_instant_and_one_that_reaches_into_the_future(self) -> None:
        for until_at in (NOW, NOW + 100):
            blast_radius.check(Selection(issued=Interval(from_at=NOW, until_at=until_at)), now=NOW)

    def test_refuses_an_interval_that_ends_before_it_begins(self) -> None:
        with pytest.raises(ConfigurationError, match="earlier instant first"):
            blast_radius.check(Selection(issued=Interval(from_at=NOW, until_at=NOW - 1)), now=NOW)

    def test_refuses_an_interval_in_the_future(self) -> None:
        with pytest.raises(ConfigurationError, match="nothing was issued then"):
            blast_radius.check(Selection(issued=Interval(from_at=NOW + 1, until_at=NOW + 2)), now=NOW)


class TestEndsSessions:
    def test_only_for_all_of_a_person(self) -> None:
        assert Selection(user_id=42).ends_sessions
        for name in ("client_id", "scope", "issued"):
            assert not Selection(**{"user_id": 42, name: ONE_EACH[name]}).ends_sessions
            assert not Selection(**{name: ONE_EACH[name]}).ends_sessions


class TestHitsMachine:
    machine = records.client(grant_types=(GrantType.CLIENT_CREDENTIALS,))

    @pytest.mark.parametrize(
        ("selection", "is_hit"),
        [
            (Selection(client_id=1), True),
            (Selection(client_id=2), False),
            (Selection(scope="read"), True),
            (Selection(scope="rea"), False),
            (Selection(scope="read", client_id=2), False),
            (Selection(issued=TODAY), True),
            (Selection(user_id=42), False),
            (Selection(user_id=42, client_id=1), False),
            (Selection(grant_id=9), False),
            (Selection(position=7), False),
        ],
    )
    def test_where_client_and_scope_match_and_no_person_is_named(self, selection: Selection, is_hit: bool) -> None:
        assert selection.hits_machine(self.machine) is is_hit

    def test_not_by_scope_where_the_client_gets_no_machine_tokens(self) -> None:
        people_only = replace(self.machine, grant_types=(GrantType.PASSWORD,))
        assert not Selection(scope="read").hits_machine(people_only)
        assert Selection(client_id=1).hits_machine(people_only)  # it may have got some before it was changed


class TestSurplus:
    def test_is_nothing_where_the_selection_is_exact(self) -> None:
        radius = Radius(sessions=1, grants=3, blocks=2, positions=131, machines=("a", "b"))
        for selection in (Selection(client_id=1), Selection(user_id=42), Selection(grant_id=1)):
            assert list(blast_radius.surplus(selection, radius)) == []

    def test_is_nothing_where_only_grants_are_hit(self) -> None:
        selection = Selection(scope="read", issued=TODAY)
        assert list(blast_radius.surplus(selection, Radius(grants=3, positions=3))) == []

    def test_names_the_clients_all_of_whose_machine_tokens_end(self) -> None:
        radius = Radius(blocks=2, positions=128, machines=("a", "b"))
        (by_scope,) = blast_radius.surplus(Selection(scope="read"), radius)
        assert by_scope.startswith("more than asked: ")
        assert "all of a b end" in by_scope
        (by_time,) = blast_radius.surplus(Selection(issued=TODAY), radius)
        assert "up to an hour before or after" in by_time

    def test_says_how_many_grants_may_have_been_missed(self) -> None:
        (spared,) = blast_radius.surplus(Selection(issued=TODAY), Radius(spared=12))
        assert spared.startswith("less than you may want: 12 older grants")
