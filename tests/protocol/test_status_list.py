"""Status positions: Token Status List, draft-ietf-oauth-status-list."""

import tracemalloc
import zlib
from base64 import b64decode, urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InvalidToken
from jwtauth.protocol import status_list
from jwtauth.protocol.claims import LEEWAY_IN
from jwtauth.protocol.status_list import LIST_SIZE, MAX_LENGTH, PositionSet, StatusListToken

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


ONE_BIT = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
TWO_BITS = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
URI = "https://issuer.example/oauth/status/1-0"
ISSUER = "https://issuer.example"
NOW = 1_900_000_000

# Appendix C.1: what is not valid in a list of 2^20, and its `lst`.
SPARSE = (0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345)
ONE_BIT_LST = bytes.fromhex(
    "78daeddc010dc0200c0041a88249400ad2903e0f4bba00bd93f002beb7a2a2010000a91e0900000000000000000000000000000080729604"
    "000000000000000000000000000000000000000000000000000000000000000000000000000000005c6f4800000000000000fc2c24000000"
    "0000000000000000be1b12000000000000000000ecaa4b000000000000000000000000000000009b0b0900000000000000000038de940000"
    "0000000000002a30cc010000000080642f0bd8011b"
)


def packed(statuses: list[int], bits: int) -> bytes:
    """A list's bytes, laid out bit by bit as section 4.1 draws it."""
    whole = sum(status << (idx * bits) for idx, status in enumerate(statuses))
    return whole.to_bytes((len(statuses) * bits + 7) // 8, "little")


class TestList:  # section 4.1
    @pytest.mark.parametrize(
        ("statuses", "bits", "octets", "lst"),
        [(ONE_BIT, 1, "b9a3", "eNrbuRgAAhcBXQ"), (TWO_BITS, 2, "c944f9", "eNo76fITAAPfAgc")],
    )
    def test_of_the_draft_is_packed_and_unpacked(self, statuses: list[int], bits: int, octets: str, lst: str) -> None:
        assert packed(statuses, bits) == bytes.fromhex(octets)
        assert status_list.encode(bytes.fromhex(octets)) == lst
        assert status_list.decode(lst) == bytes.fromhex(octets)
        found = [status_list.status_of(bytes.fromhex(octets), idx, bits=bits) for idx in range(len(statuses))]
        assert found == statuses

    def test_of_a_million_positions_is_that_of_the_draft(self) -> None:  # Appendix C.1
        statuses = bytearray(MAX_LENGTH)
        for idx in SPARSE:
            statuses[idx >> 3] |= 1 << (idx & 7)
        assert b64decode(status_list.encode(bytes(statuses)) + "==", altchars=b"-_") == ONE_BIT_LST
        assert status_list.decode(urlsafe_b64encode(ONE_BIT_LST).decode().rstrip("=")) == statuses

    def test_is_laid_out_like_a_set_of_positions(self) -> None:
        found = PositionSet()
        for idx in SPARSE:
            found.add(idx)
        statuses = found.packed(0)
        assert len(statuses) * 8 == LIST_SIZE
        assert all(status_list.status_of(statuses, idx) for idx in SPARSE)
        assert int.from_bytes(statuses, "little").bit_count() == len(SPARSE)

    @given(st.binary(max_size=300))
    def test_survives_the_journey(self, statuses: bytes) -> None:
        assert status_list.decode(status_list.encode(statuses)) == statuses

    @given(st.sampled_from([1, 2, 4, 8]), st.data())
    def test_may_have_statuses_of_1_2_4_or_8_bits(self, bits: int, data: st.DataObject) -> None:
        statuses = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=8, max_size=64))
        octets = packed(statuses, bits)
        assert [status_list.status_of(octets, idx, bits=bits) for idx in range(len(statuses))] == statuses

    @pytest.mark.parametrize("bits", [1, 2, 4, 8])
    def test_says_nothing_beyond_its_end(self, bits: int) -> None:
        assert status_list.status_of(bytes(3), 24 // bits - 1, bits=bits) == 0
        assert status_list.status_of(bytes(3), 24 // bits, bits=bits) is None
        assert status_list.status_of(bytes(3), -1, bits=bits) is None
        assert status_list.status_of(bytes(3), 1 << 70, bits=bits) is None


class TestUnpacking:  # section 8.3
    def test_takes_a_list_of_the_greatest_length(self) -> None:
        assert len(status_list.decode(status_list.encode(bytes(MAX_LENGTH)))) == MAX_LENGTH

    @pytest.mark.parametrize("length", [MAX_LENGTH + 1, 1 << 28])
    def test_refuses_a_longer_one_without_unpacking_it(self, length: int) -> None:
        bomb = status_list.encode(bytes(length))
        tracemalloc.start()
        with pytest.raises(InvalidToken, match="more than"):
            status_list.decode(bomb)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * MAX_LENGTH + 4 * len(bomb)

    @pytest.mark.parametrize(
        "lst",
        [
            "",
            "e",
            "eNrbuRgAAhcBXQ===",
            "eNrbuRgAAhcB",
            "eNrbuRgAAhcBXQAA",
            "not base64!",
            "eNrb\nuRgAAhcBXQ",
            "ë",
            urlsafe_b64encode(zlib.compress(b"x")[2:-4]).decode(),  # no zlib header: bare deflate
            urlsafe_b64encode(bytes(64)).decode(),
        ],
    )
    def test_refuses_what_is_no_list(self, lst: str) -> None:
        with pytest.raises(InvalidToken):
            status_list.decode(lst)

    @given(st.text())
    def test_refuses_any_other_text(self, lst: str) -> None:
        with pytest.raises(InvalidToken):
            status_list.decode(lst)


def make(**changes: Any) -> StatusListToken:
    token = status_list.make(bytes(2), uri=URI, lifetime_in=600, now=NOW)
    return msgspec.structs.replace(token, **changes)


class TestToken:  # section 5.1
    def test_has_the_claims_of_the_draft(self) -> None:
        made = status_list.make(bytes.fromhex("b9a3"), uri=URI, lifetime_in=600, ttl=30, now=NOW)
        assert msgspec.json.decode(msgspec.json.encode(made)) == {
            "sub": URI,
            "iat": NOW,
            "exp": NOW + 600,
            "ttl": 30,
            "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"},
        }

    def test_reads_back_what_it_made(self) -> None:
        assert status_list.read(msgspec.json.encode(make())) == make()

    @pytest.mark.parametrize("missing", ["sub", "iat", "exp", "ttl", "status_list"])
    def test_is_refused_without(self, missing: str) -> None:
        claims = msgspec.json.decode(msgspec.json.encode(make()))
        del claims[missing]
        with pytest.raises(InvalidToken):
            status_list.read(msgspec.json.encode(claims))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ttl", 0),
            ("ttl", -1),
            ("ttl", True),
            ("ttl", "15"),
            ("ttl", 1 << 60),
            ("exp", 1.5),
            ("exp", -1),
            ("iat", None),
            ("sub", 7),
            ("iss", 7),
            ("status_list", {"bits": 1}),
            ("status_list", {"bits": 3, "lst": "eNrbuRgAAhcBXQ"}),
            ("status_list", {"bits": 0, "lst": "eNrbuRgAAhcBXQ"}),
            ("status_list", {"bits": 1, "lst": 5}),
        ],
    )
    def test_is_refused_with_a_claim_that_means_nothing(self, name: str, value: Any) -> None:
        claims = {**msgspec.json.decode(msgspec.json.encode(make())), name: value}
        with pytest.raises(InvalidToken):
            status_list.read(msgspec.json.encode(claims))

    @given(st.binary())
    def test_is_refused_where_it_is_any_other_bytes(self, payload: bytes) -> None:
        with pytest.raises(InvalidToken):
            status_list.read(payload)


class TestCheck:  # section 8.3
    def check(self, token: StatusListToken, *, now: int = NOW, leeway_in: int = 0) -> None:
        status_list.check(token, uri=URI, issuer=ISSUER, now=now, leeway_in=leeway_in)

    def test_lets_the_list_of_this_uri_pass(self) -> None:
        self.check(make())
        self.check(make(iss=ISSUER))

    @pytest.mark.parametrize("sub", ["", URI + "/", URI[:-1], "https://issuer.example/oauth/status/1-1", URI.upper()])
    def test_refuses_the_list_of_another_uri(self, sub: str) -> None:
        with pytest.raises(InvalidToken, match="another URI"):
            self.check(make(sub=sub))

    def test_refuses_the_list_of_another_issuer(self) -> None:
        with pytest.raises(InvalidToken, match="another issuer"):
            self.check(make(iss=ISSUER + "/"))

    @pytest.mark.parametrize("leeway_in", [0, 60])
    def test_refuses_it_from_the_instant_of_exp_on(self, leeway_in: int) -> None:
        last = NOW + 600 + leeway_in - 1
        self.check(make(), now=last, leeway_in=leeway_in)
        with pytest.raises(InvalidToken, match="expired"):
            self.check(make(), now=last + 1, leeway_in=leeway_in)

    def test_refuses_one_from_the_future(self) -> None:
        self.check(make(iat=NOW + LEEWAY_IN))
        with pytest.raises(InvalidToken, match="future"):
            self.check(make(iat=NOW + LEEWAY_IN + 1))
