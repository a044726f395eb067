"""Every parser of foreign bytes has a value or a named refusal for whatever comes (SECURITY D-01, C-06, J-06, J-11)."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.soak.fuzz.target import Target, check
from tests.soak.fuzz.targets import TARGETS

SEEDS = [
    pytest.param(target, seed, id=f"{name}-{number}")
    for name, target in TARGETS.items()
    for number, seed in enumerate(target.seeds)
]


def changed(seeds: tuple[bytes, ...], chance: Random) -> bytes:
    """An input that once meant something, with one small change."""
    seed = chance.choice(seeds)
    place, dropped = chance.randint(0, min(len(seed), 200)), chance.randint(0, 9)
    return seed[:place] + chance.randbytes(chance.randint(0, 9)) + seed[place + dropped :]


@pytest.mark.parametrize(("target", "seed"), SEEDS)
def test_reads_or_refuses_what_it_was_tried_with_before(target: Target, seed: bytes) -> None:
    check(target, seed)


@pytest.mark.parametrize("name", TARGETS)
def test_reads_or_refuses_any_bytes(name: str, scale: int) -> None:
    target = TARGETS[name]

    @settings(max_examples=150 * scale, deadline=None, derandomize=True, database=None)
    @given(st.binary(max_size=64) | st.integers(0, 2**32).map(lambda number: changed(target.seeds, Random(number))))
    def holds(data: bytes) -> None:
        check(target, data)

    holds()
