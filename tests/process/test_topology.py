"""The real program on several servers, and with bookings that are confirmed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tests.process.program import ITEMS, OPPORTUNITY, PATIENCE_SECONDS, Program, connect, run
from tests.servers import valkey_binary
from tests.topology import ClusterServers, Member

ORDER = "/orders/e11429ea-467f-4270-ab62-e47368996fe8"
QUOTE = ORDER.replace("orders", "order-quotes")


def register(program: Program) -> None:
    """Register one class."""
    entry = {"@type": "ScheduledSession", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 3}
    assert program.call("PUT", "/opportunities", [entry]).status == 200


def test_it_books_in_a_cluster(cluster_servers: ClusterServers, short_folder: Path) -> None:
    """The program serves on a cluster, and finds there what it wrote when it starts again."""
    settings = {"LEASE_REDIS_URL": cluster_servers.url, "LEASE_KEY_PREFIX": "program"}
    with Program(short_folder, **settings) as program:
        register(program)
        assert program.call("PUT", ORDER, ITEMS).status == 201
    with Program(short_folder, **settings, LEASE_WORKERS="2") as program:
        assert program.events("redis.usable")[0]["nodes"] == 3
        assert program.call("GET", ORDER).status == 200
        assert program.answers("/readyz", 200)
        assert run(short_folder, "verify", **settings).returncode == 0


def test_missing_replicas_are_a_warning(short_folder: Path) -> None:
    """Rules 21 and 25: without its replica it starts, leases, and answers B with a 503."""
    with Member(short_folder / "one", valkey_binary()) as server:
        settings = {"LEASE_REDIS_URL": server.url, "LEASE_DURABILITY": "replicas=1"}
        with Program(short_folder, **settings) as program:
            [warning] = program.events("redis.replicas_missing")
            assert (warning["wanted"], warning["connected"]) == (1, 0)
            register(program)
            assert (
                program.call("PUT", ORDER.replace("orders", "order-quotes"), ITEMS).status == 200
            )
            with contextlib.closing(connect(program.url)) as connection:
                connection.timeout = PATIENCE_SECONDS
                headers = {"Content-Type": "application/json"}
                connection.request("PUT", ORDER, json.dumps(ITEMS), headers)
                refused = connection.getresponse()
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")


def test_the_embedded_valkey_confirms(short_folder: Path) -> None:
    """Rule 21: with durability `disk` the program's own Valkey confirms every booking at once."""
    with Program(short_folder, LEASE_DURABILITY="disk") as program:
        register(program)
        assert program.call("PUT", ORDER, ITEMS).status == 201
