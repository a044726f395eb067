"""What is told beside the figures: whether they reach what they have to, and what speaks against believing them."""

from typing import Any

import pytest
from msgspec.structs import replace

from bench import report
from bench.report import Figure, Target
from bench.rounds import Spread
from tests.bench import made


class TestATarget:
    @pytest.mark.parametrize(
        ("target", "reached", "verdict"),
        [
            (Target(value=0.3), 0.3, "reached"),
            (Target(value=0.3), 0.299, "missed"),
            (Target(value=1.2, is_most=True), 1.2, "reached"),
            (Target(value=1.2, is_most=True), 1.201, "missed"),
        ],
    )
    def test_is_reached_or_missed(self, target: Target, reached: float, verdict: str) -> None:
        assert target.verdict(reached) == verdict

    def test_is_compared_with_the_median(self) -> None:
        line = report.ratios([made.row(ratio=0.29, target=Target(value=0.3))], reference="floor")[1]
        assert line[2] == "0.290 (0.264..0.319)"
        assert line[-1] == "missed"

    def test_is_neither_where_nothing_was_measured(self) -> None:
        line = report.figures([Figure(name="memory", value=None, unit="MB", target=Target(value=80, is_most=True))])[1]
        assert line[1] == "not measured"
        assert "reached" not in line


class TestWarnings:
    def test_are_none_on_a_quiet_machine(self) -> None:
        assert report.warnings(made.MACHINE, [made.row()], [made.row()]) == []

    @pytest.mark.parametrize(
        ("machine", "warning"),
        [
            ({"load": 3.2}, "the machine was busy before: 3.2 processes were ready to run"),
            ({"pinned": False}, "nothing was pinned: server and generator took turns on the same cores"),
            (
                {"versions": {"numpy": "2"}},
                "numpy is installed: starts take longer, and workers are larger for nothing",
            ),
        ],
    )
    def test_name_what_is_wrong_with_the_machine(self, machine: dict[str, Any], warning: str) -> None:
        assert report.warnings(replace(made.MACHINE, **machine), [made.row()]) == [warning]

    @pytest.mark.parametrize(
        ("found", "warning"),
        [
            ({"generator_busy": 0.98}, "the generator had no time left, so the server may be faster: W4"),
            ({"reference_busy": 0.7}, "others used the core of the server, look at the CPU ratio instead: W4"),
            ({"ratio": Spread(min=0.2, median=0.25, max=0.26)}, "rounds differ by more than a quarter: W4"),
        ],
    )
    def test_name_the_rows_that_are_not_to_be_believed(self, found: dict[str, Any], warning: str) -> None:
        doubtful = replace(made.row("W4"), measured=replace(made.measured(), **found))
        assert report.warnings(made.MACHINE, [made.row("W1"), doubtful]) == [warning]

    def test_do_not_mind_that_one_worker_waits_for_the_disk(self) -> None:
        assert report.warnings(made.MACHINE, [], [made.row(reference_busy=0.5)]) == []
