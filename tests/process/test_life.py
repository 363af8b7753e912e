import contextlib
import json
import os
import signal
import sys
import uuid
from ctypes.util import find_library
from pathlib import Path

import pytest

from tests.process.program import ITEMS, OPPORTUNITY, Program, connect, eventually
from tests.servers import RedisServer, valkey_binary


def book_one_and_lease_one(program: Program) -> tuple[str, str]:
    """Register an Opportunity; return the UUID of a booked Order and that of a live lease."""
    order, quote = str(uuid.uuid4()), str(uuid.uuid4())
    opportunity = {
        "@type": "ScheduledSession",
        "@id": OPPORTUNITY,
        "maximumAttendeeCapacity": 3,
    }
    assert program.call("PUT", "/opportunities", [opportunity]).status == 200
    assert program.call("PUT", f"/orders/{order}", ITEMS).status == 201
    assert program.call("PUT", f"/order-quote-templates/{quote}", ITEMS).status == 200
    return order, quote


def still_has(program: Program, order: str, quote: str) -> bool:
    """Tell whether the Order and the lease are there, and one space is free."""
    ledger = program.call("GET", f"/opportunities?id={OPPORTUNITY}").body[0]
    return (
        program.answers(f"/orders/{order}", 200)
        and program.answers(f"/order-quotes/{quote}", 200)
        and (ledger["booked"], ledger["leased"]) == (1, 1)
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_leases_and_bookings_survive_a_restart(short_folder: Path, number: int) -> None:
    """Stopped by SIGTERM or Ctrl-C it ends with 0, and started again it has what it had."""
    with Program(short_folder) as program:
        order, quote = book_one_and_lease_one(program)
        # The terminal's Ctrl-C goes to the whole process group.
        os.killpg(program.process.pid, number)
        assert program.wait() == 0

    with Program(short_folder) as program:
        assert still_has(program, order, quote)


def test_the_embedded_valkey_has_the_systems_jemalloc(short_folder: Path) -> None:
    """Where the system has jemalloc it is the server's, which makes every script faster."""
    if sys.platform != "linux" or find_library("jemalloc") is None:
        pytest.skip("there is no jemalloc that could be loaded in front")
    with Program(short_folder) as program:
        pid = program.events("valkey.started")[0]["pid"]
        assert "jemalloc" in Path(f"/proc/{pid}/maps").read_text("utf-8")


def test_leases_and_bookings_survive_a_kill(short_folder: Path) -> None:
    """Killed, it takes its workers and its Valkey along, and can be started again at once."""
    with Program(short_folder, LEASE_WORKERS="2", LEASE_DRAIN_SECONDS="3600") as program:
        order, quote = book_one_and_lease_one(program)
        address = program.url.removeprefix("http://")
        program.process.kill()
        program.wait()

    with Program(short_folder, LEASE_LISTEN=address) as program:
        assert still_has(program, order, quote)


def test_nothing_is_kept_in_memory(short_folder: Path) -> None:
    """With `:memory:` it works, writes nothing to the folder, and starts empty again."""
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        order, _ = book_one_and_lease_one(program)
        assert program.stop() == 0

    assert {path.name.partition("-")[0] for path in short_folder.iterdir()} == {"log"}
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        assert program.answers(f"/orders/{order}", 404)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_listens_on_a_unix_socket(short_folder: Path, workers: str) -> None:
    """A unix socket serves the API, also over what a killed service left, and is removed."""
    path = short_folder / "api.sock"
    settings = {"LEASE_LISTEN": f"unix:{path}", "LEASE_WORKERS": workers}
    with Program(short_folder, **settings) as program:
        assert program.answers("/livez", 200)
        program.process.kill()
        program.wait()
        eventually(program.refuses_connections)

    assert path.exists()
    with Program(short_folder, **settings) as program:
        assert program.answers("/livez", 200)
        assert program.stop() == 0
    assert not path.exists()


def test_a_request_in_flight_is_finished(short_folder: Path) -> None:
    """At SIGTERM it stops listening, and a request that had begun is answered all the same."""
    body = json.dumps([{"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 1}])
    with (
        Program(short_folder) as program,
        contextlib.closing(connect(program.url)) as connection,
    ):
        connection.putrequest("PUT", "/opportunities")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10].encode())
        assert program.answers("/livez", 200)

        program.process.send_signal(signal.SIGTERM)
        eventually(program.refuses_connections)
        connection.send(body[10:].encode())

        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["Connection"] == "close"
        assert json.loads(response.read())["registered"] == 1
        assert program.wait() == 0


def test_readiness_fails_before_connections_are_refused(short_folder: Path) -> None:
    """With LEASE_DRAIN_SECONDS it goes on serving after SIGTERM, and says that it will not."""
    with Program(short_folder, LEASE_DRAIN_SECONDS="3600") as program:
        assert program.answers("/readyz", 200)

        program.process.send_signal(signal.SIGTERM)

        eventually(lambda: program.answers("/readyz", 503))
        with contextlib.closing(connect(program.url)) as connection:
            connection.request("GET", "/livez")
            response = connection.getresponse()
            # Whoever keeps a connection open is to open the next one elsewhere.
            assert (response.status, response.headers["Connection"]) == (200, "close")
        # The second signal hurries.
        assert program.stop() == 0


def test_the_probes_have_an_address_of_their_own(short_folder: Path) -> None:
    """LEASE_ADMIN_LISTEN serves the probes, and nothing of the API."""
    with Program(short_folder, LEASE_ADMIN_LISTEN=f"unix:{short_folder}/admin.sock") as program:
        for path, status in (("/livez", 200), ("/readyz", 200), ("/opportunities?id=a", 404)):
            with contextlib.closing(connect(f"unix:{short_folder}/admin.sock")) as connection:
                connection.request("GET", path)
                assert connection.getresponse().status == status
        assert program.answers("/livez", 200)


def test_every_worker_answers_and_a_killed_one_is_replaced(short_folder: Path) -> None:
    """Two workers share the port, and one that died is replaced by one that answers."""
    with Program(short_folder, LEASE_WORKERS="2") as program:
        first, second = (event["pid"] for event in program.events("worker.listening"))
        for stopped in (first, second):
            os.kill(stopped, signal.SIGSTOP)
            eventually(lambda: program.answers("/livez", 200))
            os.kill(stopped, signal.SIGCONT)

        os.kill(first, signal.SIGKILL)
        eventually(lambda: len(program.events("worker.listening")) == 3)
        os.kill(second, signal.SIGSTOP)
        eventually(lambda: program.answers("/livez", 200))
        os.kill(second, signal.SIGCONT)

        assert program.events("worker.died")[0]["pid"] == first
        assert program.stop() == 0


def test_a_valkey_that_died_is_started_again_with_its_data(short_folder: Path) -> None:
    """An embedded Valkey that crashes is replaced, and what was booked is still booked."""
    with Program(short_folder) as program:
        order, quote = book_one_and_lease_one(program)

        os.kill(program.events("valkey.started")[0]["pid"], signal.SIGKILL)

        eventually(lambda: len(program.events("valkey.started")) == 2)
        eventually(lambda: program.answers(f"/orders/{order}", 200))
        assert still_has(program, order, quote)
        assert program.stop() == 0


def test_it_starts_while_redis_is_away_and_recovers(short_folder: Path) -> None:
    """Rule 25: without Redis it answers 503, and works as soon as Redis is there."""
    folder = short_folder / "redis"
    folder.mkdir()
    server = RedisServer(valkey_binary(), folder)
    with Program(short_folder, LEASE_REDIS_URL=server.url) as program:
        eventually(lambda: program.answers(f"/orders/{uuid.uuid4()}", 503))
        assert program.answers("/livez", 200)

        with server:
            eventually(lambda: program.answers(f"/orders/{uuid.uuid4()}", 404))
            order, quote = book_one_and_lease_one(program)
            assert still_has(program, order, quote)
            assert program.stop() == 0


def test_a_server_that_appears_and_is_unusable_is_refused_then(short_folder: Path) -> None:
    """A server that was away at start and would evict leases ends the program when it comes."""
    folder = short_folder / "redis"
    folder.mkdir()
    server = RedisServer(valkey_binary(), folder, maxmemory_policy="allkeys-lru")
    with Program(short_folder, LEASE_REDIS_URL=server.url) as program:
        assert program.events("redis.away")
        with server:
            assert program.wait() == 1
        assert "noeviction" in program.events("redis.unusable")[0]["reason"]
