"""What is counted and measured, in plain numbers; the text that monitoring reads is made from them when it is wanted.

Labels hold names that this code defines: never anything that a stranger sent (SECURITY S-09), and no client, as there
may be a hundred thousand of them. So there is a fixed number of series, however busy the service is.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from jwtauth.observe.events import IMPLICIT, REFUSED, REUSED, Event
from jwtauth.protocol.records import GrantType

Labels = tuple[str, ...]
"""The values of a metric's labels, in their order."""

Kind = Literal["counter", "gauge", "histogram"]


class Metric(Struct, frozen=True, kw_only=True):
    """One metric: its name as Prometheus spells it, and what it says."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Of a histogram: the upper ends of its buckets but the last, which has none."""


DURATIONS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Seconds: a machine's request takes 0.04 ms, a password hash some 20 ms, a locked database 2 s."""

BATCHES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

REQUESTS: Final = "jwtauth_http_requests_total"
REQUEST_SECONDS: Final = "jwtauth_http_request_duration_seconds"
EVENTS: Final = "jwtauth_events_total"
TOKENS: Final = "jwtauth_tokens_issued_total"
REFRESHES: Final = "jwtauth_refresh_tokens_total"
SIGN_INS: Final = "jwtauth_sign_ins_total"
REVOCATIONS: Final = "jwtauth_revocations_total"
PASSWORDS_WAITING: Final = "jwtauth_password_hashes_waiting"
PASSWORDS_IN_PROGRESS: Final = "jwtauth_password_hashes_in_progress"
PASSWORDS_REFUSED: Final = "jwtauth_password_hashes_refused_total"
WRITES_WAITING: Final = "jwtauth_writes_waiting"
COMMIT_SECONDS: Final = "jwtauth_commit_duration_seconds"
COMMIT_WRITES: Final = "jwtauth_commit_writes"
COMMITS_FAILED: Final = "jwtauth_commits_failed_total"
AUDIT_LOST: Final = "jwtauth_audit_lines_lost_total"
LISTENERS: Final = "jwtauth_status_listeners"
CONNECTIONS: Final = "jwtauth_connections"
CONNECTIONS_LIMIT: Final = "jwtauth_connections_limit"
CONNECTIONS_TURNED_AWAY: Final = "jwtauth_connections_turned_away_total"
UNREADABLE: Final = "jwtauth_requests_unreadable_total"
DENIED: Final = "jwtauth_denied_positions"
GRANTS: Final = "jwtauth_grants"
DATABASE_BYTES: Final = "jwtauth_database_bytes"
DATABASE_FREE: Final = "jwtauth_database_free_bytes"
KEY_AGE: Final = "jwtauth_signing_key_age_seconds"
KEY_NEXT: Final = "jwtauth_next_key_signs_in_seconds"
KEY_RETIRES: Final = "jwtauth_key_retires_in_seconds"
KEYS_READABLE: Final = "jwtauth_keys_readable"
WORKERS: Final = "jwtauth_workers"
WORKER_DEATHS: Final = "jwtauth_worker_deaths_total"
BUILD: Final = "jwtauth_build_info"


def _counter(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name=name, kind="counter", help=help_, labels=labels)


def _gauge(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name=name, kind="gauge", help=help_, labels=labels)


def _histogram(name: str, help_: str, *labels: str, bounds: tuple[float, ...] = DURATIONS) -> Metric:
    return Metric(name=name, kind="histogram", help=help_, labels=labels, bounds=bounds)


_ALL: Final = (
    _counter(REQUESTS, "Requests answered, by endpoint and class of their status.", "endpoint", "status"),
    _histogram(REQUEST_SECONDS, "Until the answer begins, by endpoint.", "endpoint"),
    _counter(EVENTS, "Decisions, by name and error code as in the audit log.", "event", "code"),
    _counter(TOKENS, "Access tokens issued, by grant type.", "grant_type"),
    _counter(REFRESHES, "Refresh tokens presented: rotated, retried, used (reusable ones), reused.", "outcome"),
    _counter(SIGN_INS, "Sign-ins of people: ok, refused, throttled.", "outcome"),
    _counter(REVOCATIONS, "Grants ended and single tokens revoked over HTTP."),
    _gauge(PASSWORDS_WAITING, "Password hashes that wait for a thread."),
    _gauge(PASSWORDS_IN_PROGRESS, "Password hashes that are being computed."),
    _counter(PASSWORDS_REFUSED, "Password hashes that were refused: too many waited."),
    _gauge(WRITES_WAITING, "Writes that wait for the writer."),
    _histogram(COMMIT_SECONDS, "One transaction, from its begin until it is on the disk."),
    _histogram(COMMIT_WRITES, "Writes in one transaction.", bounds=BATCHES),
    _counter(COMMITS_FAILED, "Transactions that were given up: busy (the database stayed locked), failed.", "reason"),
    _counter(AUDIT_LOST, "Events that the audit log lost: too many waited."),
    _gauge(LISTENERS, "Verifiers that listen for news of status lists."),
    _gauge(CONNECTIONS, "Connections that are open."),
    _gauge(CONNECTIONS_LIMIT, "Connections that may be open."),
    _counter(CONNECTIONS_TURNED_AWAY, "Connections turned away: too many in total, or of one address.", "reason"),
    _counter(UNREADABLE, "Requests refused before an application saw them, by status.", "status"),
    _gauge(DENIED, "Status positions that are denied, as the database has them."),
    _gauge(GRANTS, "Grants that have neither ended nor expired."),
    _gauge(DATABASE_BYTES, "Size of the database and its log."),
    _gauge(DATABASE_FREE, "Free space where the database is."),
    _gauge(KEY_AGE, "For how long the key that signs has been signing, by algorithm.", "algorithm"),
    _gauge(KEY_NEXT, "Until a successor signs, by algorithm; absent where none is published.", "algorithm"),
    _gauge(KEY_RETIRES, "Until the next key leaves the JWKS, by algorithm; absent where none will.", "algorithm"),
    _gauge(KEYS_READABLE, "Whether the keys folder could be read: 1, or 0 where the keys read before stay in use."),
    _gauge(WORKERS, "Worker processes that are alive."),
    _counter(WORKER_DEATHS, "Workers that died and were replaced."),
    _gauge(BUILD, "Always 1.", "version", "python"),
)

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}
"""Every metric of ours, by name. Those of the processes come from the library."""

OTHER: Final = "other"
"""The label of what has no name of ours."""

MOST_EVENTS: Final = 512
"""Pairs of event and code that are counted apart; there are some dozens."""

CUSTOM: Final = "custom"
"""The label of grant types that a realm defines."""


class Distribution(Struct, frozen=True):
    """What a histogram has seen."""

    counts: tuple[int, ...]
    """By bucket; the last is of what is above all bounds."""
    total: float


class Snapshot(Struct, frozen=True, kw_only=True):
    """All numbers of one process at one instant, or of several processes together."""

    pid: int = 0
    counters: dict[str, dict[Labels, float]] = {}
    distributions: dict[str, dict[Labels, Distribution]] = {}
    gauges: dict[str, dict[Labels, float]] = {}


class Histogram:
    """Counts values by size."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def seen(self) -> Distribution:
        """What it has seen so far."""
        return Distribution(tuple(self._counts), self._total)


class Endpoint:
    """Counts the requests of one endpoint."""

    __slots__ = ("_answers", "_counts", "_total")

    def __init__(self) -> None:
        self._answers = [0] * 6
        self._counts = [0] * (len(DURATIONS) + 1)
        self._total = 0.0

    def note(self, status: int, seconds: float) -> None:
        """Count one request by the status of its answer and the time until it began. A histogram in one call."""
        self._answers[status // 100] += 1
        self._counts[bisect_left(DURATIONS, seconds)] += 1
        self._total += seconds

    def answers(self) -> dict[str, int]:
        """How many there were of each class of status that there was."""
        return {f"{status}xx": count for status, count in enumerate(self._answers) if count}

    def seconds(self) -> Distribution:
        """How long they took."""
        return Distribution(tuple(self._counts), self._total)


_Told = tuple[str, str | None, str | None]
"""Of an event: name, code, and the grant type or the reason where one of ours is counted by it."""

_BY_NAME: Final = {
    "code.redeemed": str(GrantType.AUTHORIZATION_CODE),
    "refresh_token.rotated": str(GrantType.REFRESH_TOKEN),
    "refresh_token.retried": str(GrantType.REFRESH_TOKEN),
    "refresh_token.used": str(GrantType.REFRESH_TOKEN),
}
"""The grant type of events that name none, as each is of one alone."""

_OUTCOMES: Final = ("rotated", "retried", "used", "reused")
_SIGN_INS: Final = ("ok", "refused", "throttled")
_GRANT_TYPES: Final = (*map(str, GrantType), IMPLICIT, CUSTOM)
_ENDS: Final = frozenset({"grant.ended", "token.revoked", "tokens.revoked"})
_THROTTLED: Final = "temporarily_unavailable"


class Metrics:
    """The numbers of one process. Nothing here waits, locks or raises; counting takes well below a microsecond."""

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        self._events: dict[_Told, int] = {}
        self._commit_seconds = Histogram(DURATIONS)
        self._commit_writes = Histogram(BATCHES)
        self._commits_failed = {"busy": 0, "failed": 0}
        self._watched: dict[str, Callable[[], float]] = {}
        self._watched_apart: dict[str, Callable[[], Mapping[str, float]]] = {}

    def endpoint(self, name: str) -> Endpoint:
        """Where the requests of an endpoint are counted; `name` is from our own table of paths."""
        return self._endpoints.setdefault(name, Endpoint())

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """Ask `read` for a number of this process whenever one is needed; a counter's must never fall."""
        assert not METRICS[name].labels
        assert METRICS[name].kind != "histogram"
        self._watched[name] = read

    def watch_apart(self, name: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Ask `read` for the numbers of a counter by its only label; what was there once stays, and never falls."""
        assert len(METRICS[name].labels) == 1
        assert METRICS[name].kind == "counter"
        self._watched_apart[name] = read

    def count(self, event: Event) -> None:
        """The listener: count every decision."""
        told = (event.name, event.code, event.grant_type or (event.reason if event.reason == REUSED else None))
        known = self._events.get(told)
        if known is not None:
            self._events[told] = known + 1
        elif len(self._events) < MOST_EVENTS:
            self._events[told] = 1
        else:
            self._events[OTHER, None, None] = self._events.get((OTHER, None, None), 0) + 1

    def committed(self, writes: int, seconds: float, problem: Literal["busy", "failed"] | None) -> None:
        """Count one transaction of the writer, which calls this from its own thread."""
        if problem is not None:
            self._commits_failed[problem] += 1
            return
        self._commit_seconds.add(seconds)
        self._commit_writes.add(writes)

    def snapshot(self) -> Snapshot:
        """All numbers at this instant."""
        asked = {name: endpoint for name, endpoint in self._endpoints.items() if endpoint.answers()}
        watched: dict[str, dict[str, dict[Labels, float]]] = {"counter": {}, "gauge": {}}
        for name, read in self._watched.items():
            watched[METRICS[name].kind][name] = {(): read()}
        for name, read_apart in self._watched_apart.items():
            watched["counter"][name] = {(label,): number for label, number in read_apart().items()}
        return Snapshot(
            pid=os.getpid(),
            counters={
                REQUESTS: {
                    (name, status): count for name, one in asked.items() for status, count in one.answers().items()
                },
                **_of_events(self._events),
                COMMITS_FAILED: {(reason,): count for reason, count in self._commits_failed.items()},
                **watched["counter"],
            },
            distributions={
                REQUEST_SECONDS: {(name,): one.seconds() for name, one in asked.items()},
                COMMIT_SECONDS: {(): self._commit_seconds.seen()},
                COMMIT_WRITES: {(): self._commit_writes.seen()},
            },
            gauges={**watched["gauge"], WORKERS: {(): 1}},
        )


def together(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum of several processes' numbers."""
    counters: dict[str, dict[Labels, float]] = {}
    gauges: dict[str, dict[Labels, float]] = {}
    distributions: dict[str, dict[Labels, Distribution]] = {}
    for snapshot in snapshots:
        for into, numbers in ((counters, snapshot.counters), (gauges, snapshot.gauges)):
            for name, by_labels in numbers.items():
                _add(into.setdefault(name, {}), by_labels)
        for name, seen in snapshot.distributions.items():
            known = distributions.setdefault(name, {})
            for labels, one in seen.items():
                known[labels] = _sum(known[labels], one) if labels in known else one
    return Snapshot(counters=counters, distributions=distributions, gauges=gauges)


def _add(into: dict[Labels, float], numbers: Mapping[Labels, float]) -> None:
    for labels, number in numbers.items():
        into[labels] = into.get(labels, 0) + number


def _sum(one: Distribution, other: Distribution) -> Distribution:
    return Distribution(tuple(map(sum, zip(one.counts, other.counts, strict=True))), one.total + other.total)


def _of_events(events: Mapping[_Told, int]) -> dict[str, dict[Labels, float]]:
    """What events say, in several ways; every outcome is there from the start, so that its first rise is seen."""
    found: dict[str, dict[Labels, float]] = {
        EVENTS: {},
        TOKENS: {(grant_type,): 0 for grant_type in _GRANT_TYPES},
        REFRESHES: {(outcome,): 0 for outcome in _OUTCOMES},
        SIGN_INS: {(outcome,): 0 for outcome in _SIGN_INS},
        REVOCATIONS: {(): 0},
    }
    for (name, code, more), count in tuple(events.items()):
        _add(found[EVENTS], {(name, code or ""): count})
        for metric, labels in _meanings(name, code, more):
            _add(found[metric], {labels: count})
    return found


def _meanings(name: str, code: str | None, more: str | None) -> Iterable[tuple[str, Labels]]:
    """What else an event is counted as."""
    grant_type = _BY_NAME.get(name, more) if not name.endswith(REFUSED) and more != REUSED else None
    if grant_type is not None:
        yield TOKENS, (grant_type if grant_type in _GRANT_TYPES else CUSTOM,)
    if name.startswith("refresh_token."):
        yield REFRESHES, (name.partition(".")[2],)
    if more == REUSED:
        yield REFRESHES, ("reused",)
    if name == "session.started":
        yield SIGN_INS, ("ok",)
    if name == "sign_in.refused":
        yield SIGN_INS, ("throttled" if code == _THROTTLED else "refused",)
    if name in _ENDS:
        yield REVOCATIONS, ()
