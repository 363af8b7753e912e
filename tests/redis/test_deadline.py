"""What has to be done in time, one thing after another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.redis.deadline import Deadline
from service.redis.errors import NothingSentError

LONG_SECONDS = 60.0
SHORT_SECONDS = 0.01


class Worker:
    """Does one thing after another in a task of its own, each with its deadline."""

    def __init__(self) -> None:
        self._deadline = Deadline()

    async def do(self, seconds: float, thing: Callable[[], Awaitable[object]]) -> None:
        """Do something that has to be done within so many seconds."""
        task = asyncio.current_task()
        assert task is not None
        with self._deadline.of(task, asyncio.get_running_loop().time() + seconds):
            await thing()


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def _longer_than_short() -> None:
    # Timers ring in order: whatever had SHORT_SECONDS before this began has rung by then.
    rung = asyncio.Event()
    asyncio.get_running_loop().call_later(2 * SHORT_SECONDS, rung.set)
    await rung.wait()


async def _at_once() -> None:
    pass


async def test_what_takes_too_long_is_ended() -> None:
    """What is not done by its deadline raises TimeoutError, and so does the next such thing."""
    worker = Worker()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await worker.do(SHORT_SECONDS, _for_ever)


async def test_each_thing_has_its_own_deadline() -> None:
    """The deadline of what was done in time ends nothing that comes after it."""
    worker = Worker()
    await worker.do(SHORT_SECONDS, _at_once)
    await worker.do(LONG_SECONDS, _longer_than_short)
    with pytest.raises(TimeoutError):
        await worker.do(SHORT_SECONDS, _for_ever)


async def test_a_deadline_may_be_earlier_than_the_one_before() -> None:
    """What has less time than what was done before it is ended by its own deadline."""
    worker = Worker()
    await worker.do(LONG_SECONDS, _at_once)
    with pytest.raises(TimeoutError):
        await worker.do(SHORT_SECONDS, _for_ever)


async def test_the_end_of_a_deadline_disturbs_nobody_who_does_nothing() -> None:
    """A deadline that passes after its thing was done is not heard of."""
    worker = Worker()
    await worker.do(SHORT_SECONDS, _at_once)
    await _longer_than_short()
    await worker.do(SHORT_SECONDS, _at_once)


async def test_a_cancelled_task_is_cancelled() -> None:
    """A cancellation from outside is one, and no TimeoutError."""
    task = asyncio.create_task(Worker().do(LONG_SECONDS, _for_ever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_in_time_is_raised_as_it_is() -> None:
    """What fails in time fails with its own error."""

    async def fail() -> None:
        raise NothingSentError("It is broken.")

    with pytest.raises(NothingSentError, match="broken"):
        await Worker().do(LONG_SECONDS, fail)
