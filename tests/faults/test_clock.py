"""Redis's clock goes back an hour: what is in the feed stays readable, and in order (rule 22)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.test_ordeals import faketime
from tests.process.program import Program, connect, eventually
from tests.servers import RedisServer, valkey_binary

__all__ = ["faketime"]

SELLERS = [f"https://example.com/sellers/{number}" for number in range(12)]
"""In partitions of their own, most of them."""


class Clock:
    """The clock of a server of its own, which a test may set."""

    def __init__(self, folder: Path) -> None:
        """Begin an hour ahead."""
        self._file = folder / "clock"
        self.set("+1h")

    def set(self, offset: str) -> None:
        """Make it so much ahead; the server reads it anew each time."""
        self._file.write_text(offset)

    def environ(self, faketime: str) -> dict[str, str]:
        """Return what a program needs to believe it."""
        return {
            "LD_PRELOAD": faketime,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(short_folder: Path) -> Clock:
    """Give the clock."""
    return Clock(short_folder)


@pytest.fixture
def valkey(
    short_folder: Path, clock: Clock, faketime: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RedisServer]:
    """Give a Valkey that goes by the clock."""
    with monkeypatch.context() as patch:
        for name, text in clock.environ(faketime).items():
            patch.setenv(name, text)
        server = RedisServer(valkey_binary(), short_folder)
        server.start()
    yield server
    server.kill()


class Reader:
    """A reader of the feed, who goes on from page to page."""

    def __init__(self, program: Program) -> None:
        """Begin at the beginning."""
        self._program = program
        self._next = "/capacity-feed"
        self.told: dict[str, int] = {}

    def read(self) -> None:
        """Read to the end, as it is now."""
        while True:
            page = self._program.call("GET", self._next).body
            self._next = "/capacity-feed?" + page["next"].partition("?")[2]
            if not page["items"]:
                return
            for item in page["items"]:
                data = item["data"]
                self.told[data["@id"]] = data["remainingAttendeeCapacity"]


def register(program: Program, numbers: range, capacity: int) -> dict[str, int]:
    """Register something for some Sellers; return what the feed should say of it."""
    entries = [
        {
            "@type": "Event",
            "@id": f"https://example.com/{number}",
            "seller": SELLERS[number],
            "maximumAttendeeCapacity": capacity,
        }
        for number in numbers
    ]
    assert not program.call("PUT", "/opportunities", entries).body["failed"]
    return {f"https://example.com/{number}": capacity for number in numbers}


def jumps(program: Program) -> int:
    """Return how often the clock went back, by the metrics."""
    with closing(connect(program.url)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    [line] = [line for line in lines if line.startswith("lease_redis_clock_jumps_total ")]
    return int(float(line.split()[1]))


def test_a_clock_that_goes_back_hides_nothing(
    short_folder: Path, clock: Clock, valkey: RedisServer
) -> None:
    """Whoever begins sees all there is, whoever goes on sees what changes, and it is said."""
    with Program(short_folder, LEASE_REDIS_URL=valkey.url) as program:
        expected = register(program, range(6), 5)
        reader = Reader(program)

        def sees_all(one: Reader) -> bool:
            one.read()
            return one.told == expected

        eventually(lambda: sees_all(reader))
        clock.set("+0h")
        eventually(lambda: jumps(program) == 1)
        eventually(lambda: sees_all(Reader(program)))
        # These Sellers' partitions have heard nothing for long, or never.
        expected |= register(program, range(4, 12), 7)
        eventually(lambda: sees_all(reader))
        expected |= register(program, range(12), 9)
        eventually(lambda: sees_all(reader))
        eventually(lambda: sees_all(Reader(program)))
        [said] = program.events("redis.clock_went_back")
        assert round(said["seconds"] / 3600) == 1
        # Once the clock has passed what was stamped ahead of it, all is as ever.
        clock.set("+2h")
        expected |= register(program, range(6), 3)
        eventually(lambda: sees_all(reader))
