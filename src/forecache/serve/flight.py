"""Loads in flight, and who waits for whom, so that nobody waits for himself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

from forecache.errors import LoadInterruptedError
from forecache.forks import renew_after_fork

__all__ = ["Flight", "inside", "running_loop", "waiting", "waiting_for"]


class Flight:
    """One load of one key."""

    __slots__ = ("_seat", "awaits", "future", "loop")

    def __init__(self) -> None:
        """A load that waits for somebody to run it."""
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # from here on no waiter can cancel it
        self.loop: asyncio.AbstractEventLoop | None = None  # of the task that runs it
        self.awaits: list[Flight] = []  # flights that somebody inside this one waits for
        self._seat = threading.Lock()

    def take(self) -> bool:
        """True to the first who asks, and to nobody else: he has to run the load."""
        return self._seat.acquire(blocking=False)

    def is_stranded(self) -> bool:
        """Whether the loop that ran it was closed before it ended."""
        return self.loop is not None and self.loop.is_closed() and not self.future.done()

    def succeed(self, value: Any) -> None:
        """Hands the value to all waiters."""
        with suppress(InvalidStateError):
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Hands a failure to all waiters; what stops a thread or a task stops only that one."""
        told: BaseException = error
        if isinstance(error, StopIteration):  # which futures of asyncio refuse, and generators would swallow
            told = RuntimeError("the loader raised StopIteration")
            told.__cause__ = error
        elif not isinstance(error, Exception):
            told = LoadInterruptedError(f"the load was interrupted by {type(error).__name__}; load again")
        with suppress(InvalidStateError):
            self.future.set_exception(told)


class Waiting:
    """Who waits for whom, across all caches: the loader of one may use another."""

    def __init__(self) -> None:
        """Nobody waits."""
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forgets the threads that are not here."""
        self.lock = threading.RLock()  # finalizers and signal handlers may come while it is held
        self.blocked: dict[asyncio.AbstractEventLoop, Flight] = {}  # loops that stand still until a flight ends

    def needs(self, flight: Flight, flights: tuple[Flight, ...], loop: asyncio.AbstractEventLoop | None) -> bool:
        """Whether `flight` cannot end before one of `flights` does, or while `loop` stands still."""
        seen, todo = set[Flight](), [flight]
        while todo:
            flight = todo.pop()
            if flight in flights or (loop is not None and flight.loop is loop):
                return True
            if flight not in seen:
                seen.add(flight)
                todo.extend(flight.awaits)
                if flight.loop in self.blocked:
                    todo.append(self.blocked[flight.loop])
        return False


waiting: Final = Waiting()
inside: ContextVar[tuple[Flight, ...]] = ContextVar("forecache_flights", default=())  # whose loaders call us


@contextmanager
def waiting_for(flight: Flight, blocks: asyncio.AbstractEventLoop | None = None) -> Iterator[bool]:
    """Registers that the loaders we are inside of wait for `flight`; False when they would wait for ever.

    `blocks` is the loop that stands still while we wait.
    """
    outer = inside.get()
    with waiting.lock:
        may_wait = not waiting.needs(flight, outer, blocks)
        if may_wait and outer:
            outer[-1].awaits.append(flight)
        if may_wait and blocks:
            waiting.blocked[blocks] = flight
    try:
        yield may_wait
    finally:
        with waiting.lock:
            if may_wait and outer:
                outer[-1].awaits.remove(flight)
            if may_wait and blocks:
                waiting.blocked.pop(blocks, None)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
