"""What the service counts, and how Prometheus reads it.

No label is an id: whatever a Broker or a Seller is called, there are as many time series.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import product
from typing import Final, Literal, NamedTuple, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service import __version__, errors
from service.http.observer import Exposition
from service.ledger.observer import Event
from service.ledger.statistics import Census
from service.telemetry.cells import Cells, Distribution, Number, Row, Seen

LATENCY_SECONDS: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
BATCH_CALLS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)

OUTCOMES: Final = ("done", "refused", "unavailable", "failed")
EVENTS: Final[tuple[Event, ...]] = get_args(Event)
KINDS: Final = ("anonymous", "named", "proposal")
ERRORS: Final = tuple(
    sorted(
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.OpenBookingError)
    )
)

# In the order of a Census.
_COUNTED: Final = (
    "lease_census_timestamp_seconds",
    "lease_opportunities",
    "lease_overcommitted_opportunities",
    "lease_capacity_spaces",
    "lease_booked_spaces",
    "lease_live_leases",
)
_NOTHING: Final = nullcontext()

_REFUSED: Final = 400
_UNAVAILABLE: Final = 503
_FAILED: Final = errors.InternalApplicationError.__name__


ScriptTracer = Callable[[str], AbstractContextManager[object]]
"""Returns what to be in while the script of a verb runs."""


class Family(NamedTuple):
    """Time series of one name.

    Attributes:
        name: As Prometheus has it, without the `_total` of a counter.
        help: What it is, with the unit.
        labels: The names of its labels.
        values: The values of each label.
        kind: What it is made of.
        bounds: The largest value of each bucket but the last, of a histogram.
        over_workers: What the numbers of several workers make together.
        outlives: Whether a gauge stays true when its worker is replaced.

    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[Sequence[str], ...] = ()
    kind: Literal["counter", "gauge", "histogram"] = "counter"
    bounds: Sequence[float] = ()
    over_workers: Literal["sum", "max", "min"] = "sum"
    outlives: bool = False

    @property
    def width(self) -> int:
        """How many numbers one of its time series takes."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    def together(self, numbers: Sequence[float]) -> float:
        """Return what the numbers of all workers make together."""
        match self.over_workers:
            case "sum":
                return sum(numbers)
            case "max":
                return max(numbers)
            case "min":
                return min(numbers)

    def series(self) -> Iterator[tuple[str, ...]]:
        """Yield the label values of every time series."""
        return product(*self.values)


def families(steps: Sequence[str]) -> tuple[Family, ...]:
    """Return everything that is counted.

    Args:
        steps: What the calls of the API are counted as.

    """
    return (
        Family(
            "lease_request_seconds",
            "Seconds from the request to its answer; those that follow events until they leave.",
            ("step", "outcome"),
            (steps, OUTCOMES),
            "histogram",
            LATENCY_SECONDS,
        ),
        Family(
            "lease_refusals",
            "Calls that had this error, of their own or in an OrderItem.",
            ("error",),
            (ERRORS,),
        ),
        Family(
            "lease_leases",
            "What became of leases; `booked` are Orders, with a lease or without. A lease that"
            " expired counts once for each of its Opportunities.",
            ("event",),
            (EVENTS,),
        ),
        Family(
            "lease_store_seconds",
            "Seconds from sending calls to Redis together until all were answered.",
            kind="histogram",
            bounds=LATENCY_SECONDS,
        ),
        Family(
            "lease_store_batch_calls",
            "Calls that were sent to Redis together.",
            kind="histogram",
            bounds=BATCH_CALLS,
        ),
        Family("lease_requests_in_flight", "Requests that are being answered.", kind="gauge"),
        Family("lease_event_listeners", "Who follows /capacity-events.", kind="gauge"),
        Family(
            "lease_feed_lag_seconds",
            "How long what the listeners were last told may have been waiting, at most.",
            kind="gauge",
            over_workers="max",
        ),
        Family(
            "lease_redis_up",
            "Whether Redis answered when it was last asked, every second: 1 or 0.",
            kind="gauge",
            over_workers="min",
        ),
        Family(
            "lease_redis_clock_jumps",
            "How often a worker saw Redis's clock go back.",
            over_workers="max",
        ),
        Family(
            "lease_sweeper_late_seconds",
            "For how long the oldest expiry had been waiting when a sweeper last looked.",
            kind="gauge",
            over_workers="max",
        ),
        Family(
            "lease_sweeper_looked_timestamp_seconds",
            "When a sweeper last looked, by Redis's clock.",
            kind="gauge",
            over_workers="max",
        ),
        *(
            Family(name, text, labels, values, "gauge", outlives=True)
            for name, text, labels, values in (
                ("lease_opportunities", "Opportunities that are registered.", (), ()),
                ("lease_capacity_spaces", "Spaces of all Opportunities.", (), ()),
                ("lease_booked_spaces", "Spaces that are booked.", (), ()),
                ("lease_leased_spaces", "Spaces in live leases.", ("kind",), (KINDS,)),
                (
                    "lease_live_leases",
                    "Live leases; one over several Opportunities counts at each of them.",
                    (),
                    (),
                ),
                (
                    "lease_overcommitted_opportunities",
                    "Opportunities of which more is booked and leased than there is.",
                    (),
                    (),
                ),
                (
                    "lease_census_timestamp_seconds",
                    "When what is in Redis was last counted, by Redis's clock.",
                    (),
                    (),
                ),
            )
        ),
    )


class Metrics(Collector):
    """Everything that is counted, by however many workers."""

    def __init__(self, steps: Sequence[str], workers: int = 1) -> None:
        """Begin with nothing; before the workers are forked.

        Args:
            steps: What the calls of the API are counted as.
            workers: How many workers there are.

        """
        self.redis: tuple[str, str] | None = None
        """The server and its version, once it was found usable."""
        self._workers = workers
        self._places: dict[str, dict[tuple[str, ...], int]] = {}
        self._families = families(steps)
        width = 0
        for family in self._families:
            places = self._places[family.name] = {}
            for labels in family.series():
                places[labels] = width
                width += family.width
        self._rows: Final = Cells(width, workers).rows
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def of_worker(self, index: int, tracer: ScriptTracer | None = None) -> Meter:
        """Return what a worker counts with; a predecessor's gauges are over, its counts go on.

        Args:
            index: Of the worker, from 0.
            tracer: As for `Meter`.

        """
        row = self._rows[index]
        for family in self._families:
            if family.kind == "gauge" and not family.outlives:
                for at in self._places[family.name].values():
                    row[at] = 0
        return Meter(self, row, tracer)

    def number(self, row: Row, name: str, *labels: str) -> Number:
        """Return a counter or gauge of a worker."""
        return Number(row, self._places[name][labels])

    def distribution(self, row: Row, name: str, *labels: str) -> Distribution:
        """Return a histogram of a worker."""
        [family] = (family for family in self._families if family.name == name)
        return Distribution(row, self._places[name][labels], family.bounds)

    def labels_of(self, name: str) -> Iterable[tuple[str, ...]]:
        """Return the label values of every time series of a name."""
        return self._places[name]

    def expose(self, accept: str) -> Exposition:
        """Return what all workers have counted, in the format that a scraper prefers."""
        encode, content_type = choose_encoder(accept)
        return Exposition(encode(self._registry), content_type)

    def collect(self) -> Iterable[Metric]:
        """Yield what all workers have counted, for prometheus-client."""
        built = GaugeMetricFamily("lease_build_info", "Always 1.", labels=["version"])
        built.add_metric([__version__], 1)
        yield built
        workers = GaugeMetricFamily("lease_workers", "Worker processes that share the port.")
        workers.add_metric([], self._workers)
        yield workers
        redis = GaugeMetricFamily(
            "lease_redis_info",
            "Always 1; the server as it was when this process found it usable.",
            labels=["server", "version"],
        )
        if self.redis is not None:
            redis.add_metric(self.redis, 1)
        yield redis
        for family in self._families:
            yield self._histogram(family) if family.bounds else self._numbers(family)
        yield self._requests()

    def _numbers(self, family: Family) -> Metric:
        make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        metric = make(family.name, family.help, labels=family.labels)
        for labels, at in self._places[family.name].items():
            metric.add_metric(labels, family.together([row[at] for row in self._rows]))
        return metric

    def _histogram(self, family: Family) -> Metric:
        metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, at in self._places[family.name].items():
            seen = Seen.of(self._rows, at, family.bounds)
            # Most steps never have most outcomes.
            if seen.cumulative[-1] or not labels:
                metric.add_metric(labels, [*seen.buckets(family.bounds)], seen.total)
        return metric

    def _requests(self) -> Metric:
        """Return how many requests there were, those that never came included.

        A series that begins at 1 hides its first increase, and so the first of a surge.
        """
        metric = CounterMetricFamily(
            "lease_requests", "Requests that were answered.", labels=["step", "outcome"]
        )
        for labels, at in self._places["lease_request_seconds"].items():
            metric.add_metric(labels, Seen.of(self._rows, at, LATENCY_SECONDS).cumulative[-1])
        return metric


class Meter:
    """What one worker counts with: every time series is looked up once, here."""

    def __init__(self, metrics: Metrics, row: Row, tracer: ScriptTracer | None = None) -> None:
        """Count in this row.

        Args:
            metrics: What knows the places.
            row: The worker's own.
            tracer: Makes a span of every script; None: none does.

        """
        self.expose = metrics.expose
        self.script = _in_nothing if tracer is None else tracer
        number, distribution = partial(metrics.number, row), partial(metrics.distribution, row)
        self._seconds = {
            labels: distribution("lease_request_seconds", *labels)
            for labels in metrics.labels_of("lease_request_seconds")
        }
        self._refusals = {error: number("lease_refusals", error) for error in ERRORS}
        self._events = {event: number("lease_leases", event) for event in EVENTS}
        self._leased = {kind: number("lease_leased_spaces", kind) for kind in KINDS}
        self._store_seconds = distribution("lease_store_seconds")
        self._batch_calls = distribution("lease_store_batch_calls")
        self._in_flight = number("lease_requests_in_flight")
        self._listeners = number("lease_event_listeners")
        self._feed_lag = number("lease_feed_lag_seconds")
        self._redis_up = number("lease_redis_up")
        self._clock_jumps = number("lease_redis_clock_jumps")
        self._late = number("lease_sweeper_late_seconds")
        self._looked = number("lease_sweeper_looked_timestamp_seconds")
        self._counted = {name: number(name) for name in _COUNTED}

    def answered(self, step: str, status: int, errors: Collection[str], seconds: float) -> None:
        """Count an answer."""
        outcome = "done"
        if errors or status >= _REFUSED:
            outcome = "refused"
            if status == _UNAVAILABLE:
                outcome = "unavailable"
            elif _FAILED in errors:
                outcome = "failed"
            for error in errors:
                self._refusals[error].add()
        self._seconds[step, outcome].observe(seconds)

    def changed_in_flight(self, by: int) -> None:
        """Count requests in and out."""
        self._in_flight.add(by)

    def changed_listeners(self, by: int) -> None:
        """Count listeners in and out."""
        self._listeners.add(by)

    def read_feed(self, lag_seconds: float) -> None:
        """Keep how late the listeners were told."""
        self._feed_lag.set(lag_seconds)

    def happened(self, event: Event, times: int = 1) -> None:
        """Count what became of leases."""
        self._events[event].add(times)

    def exchanged(self, calls: int, seconds: float) -> None:
        """Count a round trip to Redis."""
        self._batch_calls.observe(calls)
        self._store_seconds.observe(seconds)

    def looked_at_due(self, now: float, late_seconds: float) -> None:
        """Keep how late the sweeper was, and that Redis answered it."""
        self._redis_up.set(1)
        self._looked.set(now)
        self._late.set(late_seconds)

    def redis_away(self) -> None:
        """Keep that Redis did not answer."""
        self._redis_up.set(0)

    def clock_went_back(self) -> None:
        """Count that Redis's clock is earlier than it was."""
        self._clock_jumps.add()

    def counted(self, census: Census) -> None:
        """Keep what there is in Redis."""
        for kind, spaces in zip(KINDS, census.leased, strict=True):
            self._leased[kind].set(spaces)
        for name, value in zip(_COUNTED, census[: len(_COUNTED)], strict=True):
            self._counted[name].set(value)


def _in_nothing(_verb: str) -> AbstractContextManager[object]:
    return _NOTHING
