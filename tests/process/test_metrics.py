"""`/metrics` of the real program with several workers."""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.process.program import ITEMS, OPPORTUNITY, Program, connect, eventually

CALLS = 40


def scraped(url: str) -> dict[tuple[str, ...], float]:
    """Return every time series by its name and label values."""
    with contextlib.closing(connect(url)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_killed_worker_takes_no_count_with_it(short_folder: Path) -> None:
    """Whichever worker is asked, it tells what both have counted; a replaced one counts on."""
    admin = f"unix:{short_folder}/admin.sock"
    with Program(short_folder, LEASE_WORKERS="2", LEASE_ADMIN_LISTEN=admin) as program:
        opportunity = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 10_000}
        program.call("PUT", "/opportunities", [opportunity])

        def lease() -> None:
            for _ in range(CALLS):
                path = f"/order-quote-templates/{uuid.uuid4()}"
                assert program.call("PUT", path, ITEMS).status == 200

        lease()
        workers = [event["pid"] for event in program.events("worker.listening")]
        # A listener stays in flight for as long as it listens.
        with contextlib.closing(connect(program.url)) as listener:
            listener.request("GET", "/capacity-events")
            listener.getresponse()
            eventually(lambda: scraped(admin)["lease_event_listeners",] == 1)
            for killed in workers:
                os.kill(killed, signal.SIGKILL)
            eventually(lambda: len(program.events("worker.listening")) == 4)
        eventually(lambda: scraped(admin)["lease_event_listeners",] == 0)

        for url in [admin, program.url] * 4:
            seen = scraped(url)
            assert seen["lease_leases_total", "granted"] == CALLS
            assert seen["lease_requests_total", "c1", "done"] == CALLS
            assert seen["lease_requests_in_flight",] == 1
            assert seen["lease_workers",] == 2
            assert [key[2:] for key in seen if key[0] == "lease_redis_info"] == [("Valkey",)]
        lease()
        assert scraped(admin)["lease_leases_total", "granted"] == 2 * CALLS
        eventually(lambda: scraped(admin)["lease_redis_up",] == 1)
        assert program.stop() == 0


def test_the_census_is_of_what_is_in_redis(short_folder: Path) -> None:
    """Live leases and their spaces show up by themselves."""
    with Program(short_folder) as program:
        opportunity = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 10}
        program.call("PUT", "/opportunities", [opportunity])
        program.call("PUT", f"/order-quotes/{uuid.uuid4()}", ITEMS)
        eventually(lambda: scraped(program.url)["lease_leased_spaces", "named"] == 1)
        seen = scraped(program.url)
        assert seen["lease_opportunities",] == seen["lease_live_leases",] == 1
        assert seen["lease_capacity_spaces",] == 10
        assert program.stop() == 0
