"""Status positions: Token Status List, draft-ietf-oauth-status-list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.protocol import status_list
from jwtauth.protocol.status_list import LIST_SIZE, PositionSet

CHUNK = 4_096
borders = st.sampled_from([0, CHUNK, 2 * CHUNK, LIST_SIZE - CHUNK, LIST_SIZE, 3 * LIST_SIZE])
positions = st.builds(lambda border, offset: max(0, border + offset), borders, st.integers(-40, 40))
sizes = st.one_of(
    st.integers(1, 70), st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5]), st.just(0)
)

# fmt: off
MALFORMED = [
    "", "-", "3", "3-", "-0", "3-x", "x-0", "3-0-0", "3--1", "+3-0", " 3-0", "3-0 ", "3-0\n", "3-٠", "٣-0",
    "3_0-0", "03-0", "3-00", "3-01", "3-" + "9" * 5_000, "../3-0", "3-0/",
]
# fmt: on


class TestName:
    @given(st.integers(0, 2**50), st.integers(0, 2**32))
    def test_and_index_stand_for_one_position(self, position: int, epoch: int) -> None:
        name, idx = status_list.list_name(position, epoch=epoch), status_list.index(position)
        assert 0 <= idx < LIST_SIZE
        assert status_list.position_of(name, idx, epoch=epoch) == position

    @pytest.mark.parametrize(
        ("position", "name", "idx"),
        [(0, "3-0", 0), (LIST_SIZE - 1, "3-0", LIST_SIZE - 1), (LIST_SIZE, "3-1", 0), (5 * LIST_SIZE + 9, "3-5", 9)],
    )
    def test_carries_the_epoch_and_the_lists_number(self, position: int, name: str, idx: int) -> None:
        assert (status_list.list_name(position, epoch=3), status_list.index(position)) == (name, idx)

    @pytest.mark.parametrize("name", ["2-0", "4-0", "33-0"])
    def test_of_another_epoch_stands_for_nothing(self, name: str) -> None:
        """A restored database never answers for lists of the time that it has forgotten."""
        assert status_list.position_of(name, 0, epoch=3) is None

    @pytest.mark.parametrize(
        "name",
        MALFORMED,
    )
    def test_that_is_malformed_stands_for_nothing(self, name: str) -> None:
        assert status_list.position_of(name, 0, epoch=3) is None

    @pytest.mark.parametrize("idx", [-1, LIST_SIZE, 2**63])
    def test_with_an_index_outside_the_list_stands_for_nothing(self, idx: int) -> None:
        assert status_list.position_of("3-0", idx, epoch=3) is None

    @given(st.text())
    def test_is_read_or_not_whatever_it_is(self, name: str) -> None:
        position = status_list.position_of(name, 0, epoch=3)
        assert position is None or status_list.list_name(position, epoch=3) == name


class TestPositionSet:
    @given(st.lists(st.tuples(positions, sizes), max_size=12), st.lists(positions, max_size=20))
    def test_is_a_set_whatever_is_added(self, runs: list[tuple[int, int]], probes: list[int]) -> None:
        found, expected = PositionSet(), set[int]()
        for position, size in runs:
            found.add(position, size)
            expected.update(range(position, position + size))
        assert list(found) == sorted(expected)
        edges = [edge for position, size in runs for edge in (position - 1, position, position + size)]
        assert all((probe in found) is (probe in expected) for probe in [*probes, *edges] if probe >= 0)

    def test_is_empty_at_first(self) -> None:
        assert 0 not in PositionSet()
        assert not list(PositionSet())

    def test_keeps_a_whole_chunk_whole_when_one_of_it_is_added_again(self) -> None:
        found = PositionSet()
        found.add(0, CHUNK)
        found.add(5)
        assert list(found) == list(range(CHUNK))

    def test_never_lets_one_set_change_another(self) -> None:
        """Full chunks are one shared constant."""
        first, second = PositionSet(), PositionSet()
        first.add(0, CHUNK)
        second.add(0, CHUNK)
        first.add(CHUNK, 3)
        assert (len(list(first)), len(list(second))) == (CHUNK + 3, CHUNK)

    def test_holds_the_example_of_the_draft(self) -> None:
        """Section 4.1: the 1-bit example, statuses of the indices 0 to 15."""
        statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
        found = PositionSet()
        for idx, status in enumerate(statuses):
            if status:
                found.add(idx)
        assert [int(idx in found) for idx in range(16)] == statuses
