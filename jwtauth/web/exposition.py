"""Numbers as the text that Prometheus reads. prometheus_client's only door: reading it takes 0.1 s, so it waits."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from jwtauth.observe import metrics
from jwtauth.observe.metrics import METRICS, Distribution, Snapshot

TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


def text(snapshot: Snapshot, pids: Sequence[int]) -> bytes:
    """Every metric, and of each process what the system knows of it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(snapshot))
    registry.register(_Processes(pids))
    return generate_latest(registry)


class _Numbers(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for metric in METRICS.values():
            yield self._family(metric)

    def _family(self, metric: metrics.Metric) -> Metric:
        match metric.kind:
            case "counter":
                counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in self._snapshot.counters.get(metric.name, {}).items():
                    counter.add_metric(labels, value)
                return counter
            case "gauge":
                gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in self._snapshot.gauges.get(metric.name, {}).items():
                    gauge.add_metric(labels, value)
                return gauge
            case "histogram":
                histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, seen in self._snapshot.distributions.get(metric.name, {}).items():
                    histogram.add_metric(labels, _buckets(metric.bounds, seen), seen.total)
                return histogram


def _buckets(bounds: Iterable[float], seen: Distribution) -> list[tuple[str, float]]:
    """How many values are at most as large as each bound."""
    ends = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    return list(zip(ends, accumulate(seen.counts), strict=True))


class _Processes(Collector):
    """Memory, processor time, open files and start of each worker, told apart by its process id."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for pid in self._pids:
            for family in ProcessCollector(pid=partial(int, pid), registry=CollectorRegistry()).collect():
                known = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    known.add_sample(sample.name, {**sample.labels, "pid": str(pid)}, sample.value)
        yield from found.values()
