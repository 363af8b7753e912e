"""Single questions to a server, each over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from service.redis.call import Part, Reply, pack
from service.redis.errors import ERROR_REPLIES


async def ask(connection: AbstractConnection, *question: str, keep: bool = False) -> Any:  # noqa: ANN401 - as `Reply`: a command decides what it answers
    """Return what a server answers.

    Args:
        connection: Unconnected.
        question: The words of the command.
        keep: Whether the connection stays open when the server has answered.

    Raises:
        RedisError: It refuses, or the connection breaks.
        OSError: It cannot be reached.

    """
    is_kept = False
    try:
        await connection.connect()
        await connection.send_command(*question, check_health=False)
        answer = await connection.read_response(disconnect_on_error=False)
        is_kept = keep
    finally:
        if not is_kept:
            await connection.disconnect(nowait=True)
    return answer


async def ask_all(
    connection: AbstractConnection, questions: Iterable[tuple[Part, ...]]
) -> list[Reply | RedisError]:
    """Return what a server answers to several questions at once; an error reply is an answer.

    Args:
        connection: Connected, with nothing in flight.
        questions: The words of each command.

    Raises:
        RedisConnectionError: The connection breaks.

    """
    questions = list(questions)
    await connection.send_packed_command(b"".join(map(pack, questions)), check_health=False)
    return [await _answer(connection) for _ in questions]


async def _answer(connection: AbstractConnection) -> Reply | RedisError:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except ERROR_REPLIES as error:
        return error


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Return once nothing of these tasks is left."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
