"""An open-loop load generator: requests leave at their time, whether or not others were answered.

wrk sends when it was answered, so a slow moment of the server slows the load and hides itself.
Here every request has its instant, evenly spaced, and its latency counts from that instant, also
where it had to wait for a free connection. One thread with `select`, because event loops, and
`epoll`, keep time to the millisecond only. What it does itself it takes from the servers, with
which it shares the machine: so it does little, and whoever can fills the requests before.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from bench.calls import Connection

CONNECTIONS: Final = 64
_LONGEST_PAUSE_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 10.0


class Answered(NamedTuple):
    """A request and its end."""

    at: float
    """When it was to leave, in seconds from the beginning."""
    latency: float
    """Seconds from then to the answer."""
    status: int


def run(
    url: str,
    requests: Iterable[bytes],
    *,
    rate: float,
    seconds: float,
    note: Callable[[Answered], None],
) -> float:
    """Send requests at a rate, and return the rate at which they were answered.

    A server that cannot keep up gets fewer than were due: what has not left when the time is over
    never does.

    Args:
        url: `http://host:port`.
        requests: What to send, one after the other, for as long as it takes.
        rate: Requests per second.
        seconds: For how long.
        note: Is told of every answer.

    Raises:
        TimeoutError: Answers are still missing 10 seconds after the end.

    """
    with contextlib.ExitStack() as resources:
        connections = [Connection(url) for _ in range(CONNECTIONS)]
        for connection in connections:
            resources.callback(connection.socket.close)
            # With a timeout, Python asks before each call whether the socket is ready.
            connection.socket.settimeout(None)
        return _Run(connections, iter(requests), rate, note).run(seconds)


class _Run:
    """Knows connections by their descriptors, which `select` takes as they are."""

    def __init__(
        self,
        connections: Iterable[Connection],
        requests: Iterator[bytes],
        rate: float,
        note: Callable[[Answered], None],
    ) -> None:
        self._connections = {connection.fileno(): connection for connection in connections}
        self._idle = deque(self._connections)
        self._requests = requests
        self._rate = rate
        self._note = note
        self._busy: dict[int, float] = {}
        self._sent = 0

    def run(self, seconds: float) -> float:
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            self._send_due(now)
            self._receive(self._pause(began), began)
        while self._busy:
            if time.perf_counter() - began > seconds + _PATIENCE_SECONDS:
                raise TimeoutError(f"{len(self._busy)} requests were not answered")
            self._receive(_LONGEST_PAUSE_SECONDS, began)
        return self._sent / seconds

    def _send_due(self, now: float) -> None:
        while self._sent <= now * self._rate and self._idle:
            descriptor = self._idle.popleft()
            self._busy[descriptor] = self._sent / self._rate
            self._sent += 1
            self._connections[descriptor].send(next(self._requests))

    def _pause(self, began: float) -> float:
        """Return the seconds until the next request leaves, unless an answer comes before."""
        if not self._idle:
            return _LONGEST_PAUSE_SECONDS
        due = began + self._sent / self._rate
        return min(_LONGEST_PAUSE_SECONDS, max(0.0, due - time.perf_counter()))

    def _receive(self, pause: float, began: float) -> None:
        readable, _, _ = select.select([*self._busy], (), (), pause)
        for descriptor in readable:
            answer = self._connections[descriptor].receive()
            if answer is not None:
                at = self._busy.pop(descriptor)
                self._idle.append(descriptor)
                self._note(Answered(at, time.perf_counter() - began - at, answer.status))


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    if not ranked:
        raise ValueError("there is nothing to rank")
    return ranked[max(0, -(-int(len(ranked) * percent) // 100) - 1)]
