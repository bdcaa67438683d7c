"""The two shells: what carries a plan out, for threads and for tasks.

A plan is a generator that yields questions and is sent answers, or is thrown the errors of those who were asked. What
is decided stands in it once; the shells only ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from forecache.serve.flight import Flight, WaitingFor, running_loop

__all__ = ["Ask", "Plan", "arun", "run", "shielded", "wait_for"]

T = TypeVar("T")


class Ask(NamedTuple):
    """A question: how a thread asks it, and how a task does."""

    call: Callable[..., Any]
    acall: Callable[..., Awaitable[Any]]
    arguments: tuple[Any, ...] = ()


Plan: TypeAlias = Generator[Ask, Any, T]
running: Final[set[asyncio.Task[Any]]] = set()  # a loop keeps no tasks alive by itself


def run(plan: Plan[T]) -> T:
    """Carries a plan out in this thread."""
    try:
        ask = next(plan)
        while True:
            try:
                answer = ask.call(*ask.arguments)
            except BaseException as error:  # noqa: BLE001 - the plan passes on what it does not handle
                ask = plan.throw(error)
            else:
                ask = plan.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def arun(plan: Plan[T]) -> T:
    """The same in this task."""
    try:
        ask = next(plan)
        while True:
            try:
                answer = await ask.acall(*ask.arguments)
            except BaseException as error:  # noqa: BLE001 - the plan passes on what it does not handle
                ask = plan.throw(error)
            else:
                ask = plan.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def shielded(plan: Plan[T], flights: Iterable[Flight]) -> Ask:
    """A plan that others wait for: who cancels the task that began it cancels only its own waiting."""

    async def in_a_task() -> T:
        loop = asyncio.get_running_loop()
        for flight in flights:
            flight.loop = loop
        task = loop.create_task(arun(plan))
        running.add(task)
        task.add_done_callback(lambda task: ended(task, flights))
        return await asyncio.shield(task)

    return Ask(run, lambda plan: in_a_task(), (plan,))


def ended(task: asyncio.Task[Any], flights: Iterable[Flight]) -> None:
    """Tells those who wait for a task that was cancelled before its first step."""
    running.discard(task)
    if not task.cancelled():
        task.exception()  # who waits was told; nobody may be left to see it here
    for flight in flights:
        if not flight.has_ended():
            flight.fail(asyncio.CancelledError())


def wait_for(flight: Flight) -> Ask:
    """What a flight brings; None where waiting for it would never end."""
    return Ask(wait, await_, (flight,))


def wait(flight: Flight) -> Any:
    """In a thread."""
    with WaitingFor(flight, blocks=running_loop()) as may_wait:
        return flight.future().result() if may_wait and not flight.is_stranded() else None


async def await_(flight: Flight) -> Any:
    """In a task."""
    with WaitingFor(flight) as may_wait:
        if not may_wait or flight.is_stranded():
            return None
        return await asyncio.wrap_future(flight.future())
