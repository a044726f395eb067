"""The life of a signing key: created, published, signing, verifying, retired (SECURITY J-15, S-06)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.keyring import schedule
from jwtauth.keyring.schedule import KeyDates, KeyState, PlannedKey
from jwtauth.protocol.claims import GRACE_IN

NOW = 1_800_000_000
LIFETIME = 3_600
RETIRES_IN = LIFETIME + GRACE_IN


def dates(kid: str, signs_at: int, **changes: Any) -> KeyDates:
    return KeyDates(**{"kid": kid, "algorithm": "ES256", "created_at": signs_at, "signs_at": signs_at, **changes})


FIRST, SECOND, THIRD = dates("first", NOW), dates("second", NOW + 10_000), dates("third", NOW + 11_000)


def plan(*keys: KeyDates, now: int) -> list[PlannedKey]:
    return schedule.plan(keys, now=now, max_token_lifetime=LIFETIME)


def states(*keys: KeyDates, now: int) -> dict[str, str]:
    return {entry.dates.kid: str(entry.state) for entry in plan(*keys, now=now)}


class TestOneKey:
    @pytest.mark.parametrize("now", [NOW - 10**9, NOW - 1, NOW, NOW + 10**9])
    def test_signs_always_even_before_its_instant(self, now: int) -> None:
        assert states(FIRST, now=now) == {"first": "signing"}

    def test_retires_never_while_no_successor_is_known(self) -> None:
        assert plan(FIRST, now=NOW + 10**9)[0].retires_at is None


class TestASuccession:
    @pytest.mark.parametrize(
        ("at", "first", "second"),
        [
            (-1, "signing", "published"),
            (0, "signing", "published"),
            (9_999, "signing", "published"),
            (10_000, "verifying", "signing"),
            (10_000 + RETIRES_IN - 1, "verifying", "signing"),
            (10_000 + RETIRES_IN, "retired", "signing"),
            (10**9, "retired", "signing"),
        ],
    )
    def test_passes_through_every_state_at_its_instant(self, at: int, first: str, second: str) -> None:
        assert states(FIRST, SECOND, now=NOW + at) == {"first": first, "second": second}

    def test_says_when_each_retires(self) -> None:
        retirements = [entry.retires_at for entry in plan(THIRD, FIRST, SECOND, now=NOW)]
        assert retirements == [NOW + 10_000 + RETIRES_IN, NOW + 11_000 + RETIRES_IN, None]

    def test_overlaps_where_rotations_are_close(self) -> None:
        assert states(FIRST, SECOND, THIRD, now=NOW + 11_000) == {
            "first": "verifying",
            "second": "verifying",
            "third": "signing",
        }

    def test_skips_nobody_where_several_wait(self) -> None:
        assert list(states(THIRD, SECOND, FIRST, now=NOW).items()) == [
            ("first", "signing"),
            ("second", "published"),
            ("third", "published"),
        ]

    def test_of_keys_that_sign_from_the_same_instant_takes_the_one_created_last(self) -> None:
        older, newer = dates("b", NOW, created_at=NOW - 5), dates("a", NOW, created_at=NOW)
        assert states(newer, older, now=NOW) == {"b": "verifying", "a": "signing"}


class TestAClockSetBack:  # SECURITY S-06
    def test_lets_the_oldest_sign(self) -> None:
        assert states(SECOND, FIRST, THIRD, now=NOW - 10**8) == {
            "first": "signing",
            "second": "published",
            "third": "published",
        }

    def test_revives_a_retired_key_that_is_still_there(self) -> None:
        assert states(FIRST, SECOND, now=NOW + 10**6)["first"] == "retired"
        assert states(FIRST, SECOND, now=NOW + 5)["first"] == "signing"


class TestAlgorithms:
    def test_are_lines_of_their_own(self) -> None:
        rsa = dates("rsa", NOW + 20_000, algorithm="RS256")
        assert states(FIRST, SECOND, rsa, now=NOW + 15_000) == {
            "first": "retired",
            "second": "signing",
            "rsa": "signing",
        }

    @given(
        st.lists(st.tuples(st.sampled_from(["ES256", "RS256"]), st.integers(0, 50), st.integers(0, 50)), max_size=6),
        st.integers(-10, 200),
    )
    def test_have_each_exactly_one_key_that_signs(self, keys: list[tuple[str, int, int]], now: int) -> None:
        line = [
            KeyDates(kid=str(place), algorithm=algorithm, created_at=created_at, signs_at=signs_at)
            for place, (algorithm, created_at, signs_at) in enumerate(keys)
        ]
        planned = schedule.plan(line, now=now, max_token_lifetime=10)
        signing = [entry.dates.algorithm for entry in planned if entry.state is KeyState.SIGNING]
        assert signing == sorted({key.algorithm for key in line})
        assert len(planned) == len(line)

    def test_without_keys_have_no_plan(self) -> None:
        assert plan(now=NOW) == []
