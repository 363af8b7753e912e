"""The script calls that the service makes, recorded with marks, to be made without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from bench import traffic
from bench.calls import Caller
from bench.direct import direct, packed
from bench.traffic import Template
from tests.process.program import Program
from tests.servers import RedisServer

_END: Final = "that was all"

_Pair = tuple[int, int]
"""A customer and an Opportunity."""

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
    with Caller(program.url) as caller:
        caller.register(number for _, number in (first, *pairs))
        # The first time, Redis is given the source of the script.
        for pair in (first, *pairs):
            if before:
                caller.succeed(before.fill(*pair))
        caller.succeed(request.fill(*first))
        return _watched(server, pairs, lambda pair: caller.succeed(request.fill(*pair)))


def recorded_registration(server: RedisServer, program: Program) -> Recorded:
    """Return the script call that registers an Opportunity."""
    first, *pairs = [(0, next(_opportunities)) for _ in range(3)]
    with Caller(program.url) as caller:
        caller.register([first[1]])
        return _watched(server, pairs, lambda pair: caller.register([pair[1]]))


def _watched(
    server: RedisServer, pairs: Sequence[_Pair], ask: Callable[[_Pair], object]
) -> Recorded:
    """Return what two requests come to: the last command about each, where it took several."""
    found = []
    with direct(server.socket) as watcher, direct(server.socket) as marker:
        watcher.watch()
        for customer, number in pairs:
            ask((customer, number))
            marker.command("ECHO", _END)
            # The service also looks at Opportunities by itself, every second.
            names = (traffic.uuid(customer), traffic.order(customer), traffic.opportunity(number))
            *_, words = (
                words
                for words in watcher.seen(_END)
                if words[:1] == ["EVALSHA"]
                and any(name in word for word in words for name in names)
            )
            found.append(_with_marks(words, customer, number))
    return Recorded([_same(*both) for both in zip(*found, strict=True)])


def _with_marks(words: Sequence[str], customer: int, number: int) -> list[str]:
    marks = {
        traffic.uuid(customer): "@uuid@",
        traffic.order(customer): "@order@",
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
