"""Loads in flight, and who waits for whom, so that nobody waits for himself."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from forecache.errors import LoadInterruptedError
from forecache.forks import renew_after_fork

__all__ = ["Flight", "WaitingFor", "inside", "running_loop", "waiting"]


class Flight:
    """One load of one key."""

    __slots__ = ("_door", "_end", "_future", "_seat", "awaits", "loop")

    def __init__(self) -> None:
        """A load that waits for somebody to run it."""
        self._seat = threading.Lock()
        self._door = threading.RLock()  # finalizers and signal handlers may come while it is held
        self._future: Future[Any] | None = None
        self._end: End | None = None
        self.loop: asyncio.AbstractEventLoop | None = None  # of the task that runs it
        self.awaits: list[Flight] = []  # flights that somebody inside this one waits for

    def take(self) -> bool:
        """True to the first who asks, and to nobody else: he has to run the load."""
        return self._seat.acquire(blocking=False)

    def is_stranded(self) -> bool:
        """Whether the loop that ran it was closed before it ended."""
        return self.loop is not None and self.loop.is_closed() and not self.has_ended()

    def has_ended(self) -> bool:
        """Whether its value or failure is known."""
        return self._end is not None

    def future(self) -> Future[Any]:
        """Where its value or failure will be; made for the first who waits, as few flights have one."""
        if self._future is None:
            future: Future[Any] = Future()
            future.set_running_or_notify_cancel()  # from here on no waiter can cancel it
            with self._door:
                self._future = self._future or future
        if self._end is not None:
            self._end.tell(self._future)
        return self._future

    def succeed(self, value: Any) -> None:
        """Hands the value to all waiters."""
        self._finish(End(value, None))

    def fail(self, error: BaseException) -> None:
        """Hands a failure to all waiters; what stops a thread or a task stops only that one."""
        told: BaseException = error
        if isinstance(error, StopIteration):  # which futures of asyncio refuse, and generators would swallow
            told = RuntimeError("the loader raised StopIteration")
            told.__cause__ = error
        elif not isinstance(error, Exception):
            told = LoadInterruptedError(f"the load was interrupted by {type(error).__name__}; load again")
        self._finish(End(None, told))

    def _finish(self, end: End) -> None:
        """Ends the flight, once; who comes later finds the end, who is waiting is told."""
        with self._door:
            self._end = self._end or end
            future = self._future
        if future is not None:
            self._end.tell(future)


class End(NamedTuple):
    """How a flight ended."""

    value: Any
    error: BaseException | None

    def tell(self, future: Future[Any]) -> None:
        """To those who wait; once."""
        with suppress(InvalidStateError):
            if self.error is None:
                future.set_result(self.value)
            else:
                future.set_exception(self.error)


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


class WaitingFor:
    """Registers that the loaders we are inside of wait for a flight; False when they would wait for ever.

    `blocks` is the loop that stands still while we wait.
    """

    __slots__ = ("_blocks", "_flight", "_is_noted", "_outer")

    def __init__(self, flight: Flight, blocks: asyncio.AbstractEventLoop | None = None) -> None:
        """Nothing is registered yet."""
        self._flight = flight
        self._blocks = blocks
        self._outer = inside.get()
        self._is_noted = False

    def __enter__(self) -> bool:
        """Whether to wait."""
        if not self._outer and self._blocks is None:
            return True  # nobody waits for us
        with waiting.lock:
            self._is_noted = not waiting.needs(self._flight, self._outer, self._blocks)
            if self._is_noted and self._outer:
                self._outer[-1].awaits.append(self._flight)
            if self._is_noted and self._blocks:
                waiting.blocked[self._blocks] = self._flight
        return self._is_noted

    def __exit__(self, *failure: object) -> None:
        """Strikes it out."""
        if self._is_noted:
            with waiting.lock:
                if self._outer:
                    self._outer[-1].awaits.remove(self._flight)
                if self._blocks:
                    waiting.blocked.pop(self._blocks, None)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
