"""The script calls that the service makes, recorded with marks, to be made without it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

from tests.bench import traffic
from tests.bench.calls import Caller
from tests.bench.direct import direct, packed
from tests.bench.traffic import Template
from tests.process.program import Program
from tests.servers import RedisServer

_customers: Final = count(1)
_opportunities: Final = count(8_000_000)


class Recorded:
    """A command with marks."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self._packed = packed(words)

    def fill(self, customer: int, opportunity: int = 0) -> bytes:
        """Return the command for a customer, as it goes over the wire."""
        return self._packed.fill(customer, opportunity)


def recorded(
    server: RedisServer, program: Program, request: Template, before: Template | None = None
) -> Recorded:
    """Return the script call that a request comes to.

    Args:
        server: Where the service keeps what it knows.
        program: The service; nobody else calls it meanwhile.
        request: What is asked of it.
        before: What has to be asked before that.

    """
    first, *pairs = [(next(_customers), next(_opportunities)) for _ in range(3)]
    seen = []
    with direct(server.socket) as watcher, Caller(program.url) as caller:
        caller.register(number for _, number in (first, *pairs))
        # The first time, Redis is given the source of the script.
        for pair in (first, *pairs):
            if before:
                caller.succeed(before.fill(*pair))
        caller.succeed(request.fill(*first))
        watcher.watch()
        for pair in pairs:
            caller.succeed(request.fill(*pair))
            words = watcher.seen(traffic.uuid(pair[0]))
            # A release has to ask which Opportunities it is about.
            if request.text.startswith("DELETE"):
                words = watcher.seen(traffic.uuid(pair[0]))
            seen.append(_with_marks(words, *pair))
    return Recorded([_same(*both) for both in zip(*seen, strict=True)])


def recorded_registration(server: RedisServer, program: Program) -> Recorded:
    """Return the script call that registers an Opportunity."""
    seen = []
    with direct(server.socket) as watcher, Caller(program.url) as caller:
        caller.register([next(_opportunities)])
        watcher.watch()
        for number in (next(_opportunities), next(_opportunities)):
            caller.register([number])
            seen.append(_with_marks(watcher.seen(traffic.opportunity(number)), 0, number))
    return Recorded([_same(*both) for both in zip(*seen, strict=True)])


def _with_marks(words: Sequence[str], customer: int, number: int) -> list[str]:
    marks = {
        traffic.uuid(customer): "@uuid@",
        traffic.ref(number): "@ref@",
        traffic.opportunity(number): traffic.opportunity("@number@"),
        traffic.offer(number): traffic.offer("@number@"),
    }
    marked = []
    for word in words:
        text = word
        for known, mark in marks.items():
            text = text.replace(known, mark)
        marked.append(text)
    return marked


def _same(one: str, other: str) -> str:
    """Return a word that is the same in both, with a mark for what stands for the customer."""
    if one == other:
        return one
    pairs = enumerate(zip(one, other, strict=True))
    different = [place for place, (mine, yours) in pairs if mine != yours]
    start, end = different[0], different[-1] + 1
    return f"{one[:start]}@hex{end - start}@{one[end:]}"
