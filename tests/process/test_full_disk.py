"""Rules 21 and 25: what the service does while the embedded Valkey lacks something."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.process.program import (
    COMMAND,
    ITEMS,
    OPPORTUNITY,
    Program,
    connect,
    environment,
    eventually,
)

EVENT = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 1000}
OTHERS = [{**EVENT, "@id": f"{OPPORTUNITY}/{number}"} for number in range(300)]
FILE = "data/appendonlydir/appendonly.aof.1.incr.aof"
MOUNTED = (
    "unshare",
    "-Urm",
    "sh",
    "-c",
    'mount -t tmpfs -o size=96m none data && exec "$@"',
    "sh",
)


class Disk(NamedTuple):
    """The program on a disk that can be filled, and be given room again."""

    program: Program
    fill: Callable[[], None]
    make_room: Callable[[], None]


@contextlib.contextmanager
def limited_file(folder: Path) -> Iterator[Disk]:
    """Fill the disk by a limit of the length of files, which needs no rights."""

    def limit(size: int) -> None:
        valkey = program.events("valkey.started")[-1]["pid"]
        for pid in (program.process.pid, valkey):
            # The program starts Valkey again, under its own limit.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    with Program(folder, LEASE_DURABILITY="disk") as program:
        yield Disk(
            program,
            lambda: limit((folder / FILE).stat().st_size + 100),
            lambda: limit(resource.RLIM_INFINITY),
        )


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Fill a file system of 96 MiB, which a process of its own namespace may mount."""
    (folder / "data").mkdir()
    if subprocess.run([*MOUNTED, "true"], cwd=folder, check=False).returncode:
        pytest.skip("there is no right to mount a file system")
    with Program(folder, command=(*MOUNTED, *COMMAND), LEASE_DURABILITY="disk") as program:
        ballast = Path(f"/proc/{program.process.pid}/root{folder}/data/ballast")

        def fill() -> None:
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while file.write(bytes(2**16)):
                    pass

        yield Disk(program, fill, ballast.unlink)


@pytest.fixture(params=[limited_file, small_disk], ids=lambda disk: disk.__name__)
def disk(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[Disk]:
    """Give the program, with durability `disk`, on each kind of disk in turn."""
    with request.param(short_folder) as disk:
        assert disk.program.call("PUT", "/opportunities", [EVENT, *OTHERS]).status == 200
        yield disk


def book(program: Program, order: uuid.UUID | None = None) -> tuple[int, str | None]:
    """B; return the status, and when to try again."""
    with contextlib.closing(connect(program.url)) as connection:
        connection.timeout = 10.0
        headers = {"Content-Type": "application/json"}
        path = f"/orders/{order or uuid.uuid4()}"
        connection.request("PUT", path, json.dumps(ITEMS), headers)
        response = connection.getresponse()
        return response.status, response.headers["Retry-After"]


def test_a_full_disk_is_a_503_until_there_is_room(disk: Disk) -> None:
    """Rules 21 and 25: bookings are 503, all else goes on, and no answered booking is lost."""
    program = disk.program
    booked = [uuid.uuid4() for _ in range(3)]
    for order in booked:
        assert book(program, order)[0] == 201
    eventually(lambda: bool(program.events("valkey.fsyncs_at_once")))

    disk.fill()
    eventually(lambda: book(program)[0] == 503)
    for _ in range(5):
        assert book(program) == (503, "1")
        assert program.answers("/livez", 200)
    # Valkey ends once at most, and then refuses what it cannot write.
    eventually(lambda: program.answers(f"/orders/{booked[0]}", 200))
    assert program.answers("/dashboard/data/sellers", 200)
    assert program.answers("/capacity-feed", 200)
    assert len(program.events("valkey.died")) <= 1

    disk.make_room()
    late = uuid.uuid4()
    eventually(lambda: book(program, late)[0] == 201)
    for order in (*booked, late):
        assert program.answers(f"/orders/{order}", 200)
    assert not program.events("valkey.hopeless")
    assert "Traceback" not in program.output()
    assert program.stop() == 0


def test_it_starts_on_a_full_disk(short_folder: Path) -> None:
    """Rule 25: started again while the disk is full it tells what there is, and books nothing."""
    order = uuid.uuid4()
    with Program(short_folder) as program:
        assert program.call("PUT", "/opportunities", [EVENT, *OTHERS]).status == 200
        assert book(program, order)[0] == 201

    limit = f"--fsize={(short_folder / FILE).stat().st_size}"
    with Program(short_folder, command=("prlimit", limit, *COMMAND)) as program:
        eventually(lambda: book(program) == (503, "1"))
        assert program.answers(f"/orders/{order}", 200)
        assert program.stop() == 0


def test_a_folder_that_is_gone_is_waited_for(short_folder: Path) -> None:
    """Rule 25: a Valkey that died and has no folder any more is tried again until it has one."""
    order = uuid.uuid4()
    with Program(short_folder, LEASE_DURABILITY="disk") as program:
        assert program.call("PUT", "/opportunities", [EVENT]).status == 200
        assert book(program, order)[0] == 201
        data, elsewhere = short_folder / "data", short_folder / "elsewhere"
        data.rename(elsewhere)
        eventually(lambda: bool(program.events("valkey.data_folder_lost")))
        os.kill(program.events("valkey.started")[0]["pid"], 9)
        eventually(lambda: len(program.events("valkey.died")) > 5)
        assert book(program) == (503, "1")
        assert program.answers("/livez", 200)

        elsewhere.rename(data)
        eventually(lambda: program.answers(f"/orders/{order}", 200))
        assert program.stop() == 0


def test_a_log_that_cannot_be_written_stops_nothing(short_folder: Path) -> None:
    """With its standard output on a full disk the service registers, books and ends as ever."""
    url = f"unix:{short_folder}/api.sock"
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            [*COMMAND, "serve"],
            cwd=short_folder,
            env=environment(short_folder, {"LEASE_LISTEN": url}),
            stdout=full,
            stderr=subprocess.PIPE,
        )
    try:
        eventually(lambda: _status(url, "GET", "/livez") == 200)
        assert _status(url, "PUT", "/opportunities", [EVENT]) == 200
        assert _status(url, "PUT", f"/orders/{uuid.uuid4()}", ITEMS) == 201
    finally:
        process.terminate()
        _, said = process.communicate()
    assert process.returncode == 0
    assert b"No space left" not in said


def _status(url: str, method: str, path: str, body: object = None) -> int:
    """Return how a call is answered; 0: nobody listens."""
    with contextlib.closing(connect(url)) as connection, contextlib.suppress(OSError):
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body), headers)
        return connection.getresponse().status
    return 0
