"""Results that nobody measured."""

from array import array
from collections.abc import Sequence
from typing import Any

from bench.load import Outcome
from bench.report import Machine, Row, Target
from bench.rounds import Measured, Round, Spread
from bench.scale import ClientsSize, GrantsSize

MACHINE = Machine(
    processor="Difference Engine",
    cores=4,
    pinned=True,
    system="Linux x86_64",
    python="3.11.7",
    versions={"uvicorn": "0.54.0"},
    date="2026-11-21",
    load=0.1,
)


def spread(median: float, factor: float = 1.1) -> Spread:
    """A spread around a median."""
    return Spread(min=median / factor, median=median, max=median * factor)


def measured(ratio: float = 0.3, **others: Any) -> Measured:
    """A workload on a quiet machine."""
    facts = {
        "rate": spread(ratio * 20_000),
        "ratio": spread(ratio),
        "cpu_us": spread(50 / ratio),
        "cpu_ratio": spread(ratio),
        "reference_rate": spread(20_000),
        "reference_busy": 0.99,
        "p50_ms": spread(4),
        "p99_ms": spread(8),
        "requests": 100_000,
        "generator_busy": 0.4,
    }
    return Measured(**{**facts, **others})


def row(name: str = "W1", target: Target | None = None, **others: Any) -> Row:
    """A row on a quiet machine."""
    return Row(name=name, measured=measured(**others), target=target)


def outcome(*, rate: float = 1_000, latencies: Sequence[float] = (0.001,)) -> Outcome:
    """One measurement of a second."""
    return Outcome(
        requests=int(rate),
        measured=int(rate),
        seconds=1.0,
        latencies=array("d", latencies).tobytes(),
        bodies=(),
        tokens=(),
        busy=0.4,
    )


def turn(rate: float, *, cpu_us: float | None = None) -> Round:
    """One round."""
    return Round(outcome=outcome(rate=rate), cpu_us=cpu_us)


def grants(count: int, **others: Any) -> GrantsSize:
    """What so many grants cost."""
    facts = {
        "measured": measured(0.2),
        "p99_ratio": spread(1),
        "bytes_each": 110.0,
        "start_in": spread(0.6),
        "start_ratio": spread(1),
        "megabytes": 80.0,
    }
    return GrantsSize(grants=count, **{**facts, **others})


def clients(count: int, **others: Any) -> ClientsSize:
    """What so many clients cost."""
    facts = {"measured": measured(0.3), "rate_ratio": spread(1), "megabytes": 80.0}
    return ClientsSize(clients=count, **{**facts, **others})
