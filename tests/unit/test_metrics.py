"""What several workers count together, and how it is read."""

import os

from prometheus_client.parser import text_string_to_metric_families

from service.observer import UNOBSERVED
from service.telemetry import Metrics
from service.telemetry.metrics import families

STEPS = ("c1", "b")


def scraped(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return every time series that a scrape has, by its name and label values."""
    text = metrics.expose("").body.decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_workers_count_together() -> None:
    """A scrape adds up what all workers have counted, and takes the worst of what has no sum."""
    metrics = Metrics(STEPS, workers=2)
    first, second = metrics.of_worker(0), metrics.of_worker(1)
    for meter, late in ((first, 3.0), (second, 1.0)):
        meter.answered("c1", 200, (), 0.0007)
        meter.answered("c1", 409, {"OpportunityIsFullError"}, 0.3)
        meter.changed_leases("granted")
        meter.changed_in_flight(1)
        meter.swept(1000.0, late)
    second.redis_away()
    seen = scraped(metrics)
    assert seen["lease_requests_total", "c1", "done"] == 2
    assert seen["lease_request_seconds_bucket", "0.0005", "c1", "done"] == 0
    assert seen["lease_request_seconds_bucket", "0.001", "c1", "done"] == 2
    assert seen["lease_request_seconds_sum", "c1", "refused"] == 0.6
    assert seen["lease_refusals_total", "OpportunityIsFullError"] == 2
    assert seen["lease_leases_total", "granted"] == 2
    assert seen["lease_requests_in_flight",] == 2
    assert seen["lease_sweeper_late_seconds",] == 3
    assert seen["lease_redis_up",] == 0


def test_a_forked_worker_is_seen_by_the_others() -> None:
    """What a forked process counts, its parent reads, also after the process has ended."""
    metrics = Metrics(STEPS, workers=2)
    child = os.fork()
    if child == 0:
        metrics.of_worker(1).changed_leases("granted", 5)
        os._exit(0)
    os.waitpid(child, 0)
    assert scraped(metrics)["lease_leases_total", "granted"] == 5


def test_a_replacement_goes_on_with_the_counts_and_not_with_the_gauges() -> None:
    """Whoever replaces a worker that died counts on; what was in flight in it is not any more."""
    metrics = Metrics(STEPS, workers=2)
    died = metrics.of_worker(1)
    died.changed_leases("booked", 3)
    died.changed_in_flight(4)
    died.changed_listeners(2)
    metrics.of_worker(1).changed_leases("booked")
    seen = scraped(metrics)
    assert seen["lease_leases_total", "booked"] == 4
    assert seen["lease_requests_in_flight",] == seen["lease_event_listeners",] == 0


def test_an_answer_has_an_outcome() -> None:
    """Refused is what the standard has an error for, a status of 500 included; failed is a bug."""
    metrics = Metrics(STEPS)
    meter = metrics.of_worker(0)
    meter.answered("b", 201, (), 0.01)
    meter.answered("b", 500, {"OrderAlreadyExistsError"}, 0.01)
    meter.answered("b", 503, {"TemporarilyUnableToCreateOrderError"}, 0.01)
    meter.answered("b", 500, {"InternalApplicationError"}, 0.01)
    seen = scraped(metrics)
    outcomes = ("done", "refused", "unavailable", "failed")
    assert [seen["lease_requests_total", "b", outcome] for outcome in outcomes] == [1, 1, 1, 1]


def test_what_has_not_happened_is_counted_from_the_start() -> None:
    """A counter is there with 0 before the first time, so that a rate sees the first time."""
    seen = scraped(Metrics(STEPS))
    assert seen["lease_requests_total", "c1", "unavailable"] == 0
    assert seen["lease_refusals_total", "InternalApplicationError"] == 0
    assert not any(name.endswith("_bucket") and "c1" in labels for name, *labels in seen)


def test_openmetrics_is_spoken_to_those_who_ask() -> None:
    """A scraper that prefers OpenMetrics gets it."""
    exposition = Metrics(STEPS).expose("application/openmetrics-text; version=1.0.0")
    assert exposition.content_type.startswith("application/openmetrics-text")
    assert exposition.body.endswith(b"# EOF\n")


def test_no_label_is_an_id() -> None:
    """Labels are what the program knows beforehand: steps, outcomes, errors, events, kinds."""
    labels = {label for family in families(STEPS) for label in family.labels}
    assert labels == {"step", "outcome", "error", "event", "kind"}


def test_nobody_need_listen() -> None:
    """An API that nobody observes has an empty exposition."""
    assert UNOBSERVED.expose("").body == b""
