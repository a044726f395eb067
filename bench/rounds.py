"""Holding a workload against the floor: floor, work, floor, work, ..., floor; what is told are medians of the rounds.

The machine may be shared and its speed may drift, so each round of work is compared with the floor just before and just
after it and with nothing else. Where others take the core away, requests per second say little; then look at the time
that a server computed for a request, which the system counts for it alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from statistics import median

from msgspec import Struct

from bench import generators
from bench.generators import Generators
from bench.load import Outcome, Plan, Replay, Timing
from bench.server import Server
from bench.wire import post
from bench.workloads import Workload

FLOOR = Replay(requests=(post("/", grant_type="client_credentials").encode(),), marker=b"xxx")


class Spread(Struct, frozen=True, kw_only=True):
    """What several rounds gave."""

    min: float
    median: float
    max: float


class Round(Struct, frozen=True, kw_only=True):
    """One measurement, and what the server computed during it."""

    outcome: Outcome
    cpu_us: float | None
    """Microseconds of computing for one request, or None where the system does not say."""


class Measured(Struct, frozen=True, kw_only=True):
    """One workload against the floor or another reference."""

    rate: Spread
    """Answers per second."""
    ratio: Spread
    """Of each round's rate to the reference around it."""
    cpu_us: Spread | None
    """Microseconds that the server computed for one request."""
    cpu_ratio: Spread | None
    """The reference's computing for one request to that of the work: the ratio without waiting, and without whoever
    else used the core."""
    reference_rate: Spread
    """Answers per second of the reference: what it was on this machine, and how calm that was."""
    reference_busy: float | None
    """The least share of its core that the reference had in any round. The floor never waits, so what is missing was
    taken by others."""
    p50_ms: Spread
    """The median of the latencies, of each round, while all connections are kept busy."""
    p99_ms: Spread
    requests: int
    """Answers over all rounds, counted or not."""
    generator_busy: float
    """The highest share of its core that a generator used in any round."""


class Schedule(Struct, frozen=True, kw_only=True):
    """How often and how long is measured."""

    rounds: int
    seconds: float

    @property
    def timing(self) -> Timing:
        """One measurement."""
        return Timing(warm_up_in=min(1.0, self.seconds / 4), measure_in=self.seconds)


ONCE = Timing(warm_up_in=0.0, measure_in=300.0)
"""Every request once, however long it takes; after so many seconds something is wrong."""


class Bench:
    """Measures workloads, one after the other."""

    def __init__(self, load: Generators, schedule: Schedule, *, floor: Server) -> None:
        self._load = load
        self._schedule = schedule
        self._floor = floor

    def against_floor(self, workload: Workload) -> Measured:
        """A workload held against the floor."""
        measured: list[Round] = []
        references = [self.floor()]
        for _ in range(self._schedule.rounds):
            measured.append(self.once(workload))
            references.append(self.floor())
        return summary(measured, references)

    def against(self, workload: Workload, reference: Workload) -> Measured:
        """A workload held against another one, both asked by two generators."""
        measured: list[Round] = []
        references = [self.once(reference, processes=2)]
        for _ in range(self._schedule.rounds):
            measured.append(self.once(workload, processes=2))
            references.append(self.once(reference, processes=2))
        return summary(measured, references)

    def floor(self, *, processes: int = 1) -> Round:
        """One measurement of the floor."""
        return self._measure(self._floor, FLOOR, processes=processes)

    def once(self, workload: Workload, *, processes: int = 1) -> Round:
        """One measurement of a workload, its answers looked at."""
        preparation = workload.prepare()
        if preparation is not None:
            self._measure(workload.server, preparation, processes=processes)
        found = self._measure(workload.server, workload.plan(), processes=processes)
        workload.check(found.outcome)
        return found

    def _measure(self, server: Server, plan: Plan, *, processes: int) -> Round:
        is_once = isinstance(plan, Replay) and plan.is_once
        timing = ONCE if is_once else self._schedule.timing
        before = server.computed()
        outcome = self._load.measure(server.port, plan, timing, processes=processes)
        after = server.computed()
        computed = None if before is None or after is None else (after - before) / outcome.requests * 1e6
        return Round(outcome=outcome, cpu_us=computed)


def summary(measured: Sequence[Round], references: Sequence[Round]) -> Measured:
    """Rounds of work between one more rounds of the reference."""
    outcomes = [found.outcome for found in measured]
    around = [(before.outcome.rate + after.outcome.rate) / 2 for before, after in pairwise(references)]
    cpu_us = [found.cpu_us for found in measured if found.cpu_us is not None]
    base_us = [found.cpu_us for found in references if found.cpu_us is not None]
    shares = [found.outcome.rate * found.cpu_us / 1e6 for found in references if found.cpu_us is not None]
    return Measured(
        rate=spread([outcome.rate for outcome in outcomes]),
        ratio=spread([outcome.rate / reference for outcome, reference in zip(outcomes, around, strict=True)]),
        cpu_us=spread(cpu_us) if cpu_us else None,
        cpu_ratio=spread([median(base_us) / spent for spent in cpu_us]) if cpu_us and base_us else None,
        reference_rate=spread([found.outcome.rate for found in references]),
        reference_busy=min(shares, default=None),
        p50_ms=spread([percentile_ms(outcome, 0.50) for outcome in outcomes]),
        p99_ms=spread([percentile_ms(outcome, 0.99) for outcome in outcomes]),
        requests=sum(outcome.requests for outcome in outcomes),
        generator_busy=max(outcome.busy for outcome in outcomes),
    )


def spread(values: Sequence[float]) -> Spread:
    """Least, middle and greatest of some values."""
    return Spread(min=min(values), median=median(values), max=max(values))


def alternate(work: Sequence[float], reference: Sequence[float]) -> Spread:
    """The ratios of two series of times that were taken in turn."""
    return spread([spent / base for spent, base in zip(work, reference, strict=True)])


def percentile_ms(outcome: Outcome, share: float) -> float:
    """The latency, in milliseconds, that this share of the answers did not exceed (nearest rank)."""
    ascending = generators.latencies([outcome])
    return ascending[ceil(len(ascending) * share) - 1] * 1000
