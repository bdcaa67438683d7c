"""Connections to a database: at most so many, the one used last first, none shared with a parent process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from forecache.errors import OriginUnavailableError
from forecache.forks import renew_after_fork
from forecache.serve.budget import Budget
from forecache.serve.settings import MOST_CONNECTIONS, check_whole

__all__ = ["LostError", "Pool", "TaskPool"]


class LostError(OriginUnavailableError):
    """A connection ended, and nothing was changed; another one may serve."""


class Connection(Protocol):
    """What a pool keeps."""

    def is_idle(self) -> bool:
        """Whether it works, and no transaction runs on it."""


C = TypeVar("C", bound=Connection)
REST_SECONDS: Final = 1.0  # waited for connections in use, at a fork
inherited: Final[list[Any]] = []  # connections of a parent: to close them here would disturb it, and finalizers close


class Idle(Generic[C]):
    """Connections that nobody uses; what pools of threads and of tasks share."""

    def __init__(self, name: str, size: int, seconds: float) -> None:
        """For at most `size` users, of whom others wait at most `seconds`.

        Raises:
            ConfigurationError: it is for nobody.
        """
        check_whole("connections", size, 1, MOST_CONNECTIONS)
        self.name = name
        self.size = size
        self.seconds = seconds
        self.idle: list[C] = []
        self.age = 0  # how often all were closed

    def take(self) -> C | None:
        """The one used last."""
        try:
            return self.idle.pop()
        except IndexError:
            return None

    def give(self, connection: C, age: int) -> list[C]:
        """Takes one back; returns those that are to be closed: if one is lost, the others are too, or may be."""
        if not connection.is_idle():
            return [connection, *self.clear()]
        if age != self.age:
            return [connection]
        self.idle.append(connection)
        return []

    def clear(self) -> list[C]:
        """Those to be closed; what is in use now will not come back."""
        self.age += 1
        closing, self.idle = self.idle, []
        return closing

    def busy(self) -> OriginUnavailableError:
        """Nobody gave one back in time."""
        return OriginUnavailableError(
            f"all {self.size} connections to {self.name} were in use for {self.seconds:g} seconds; "
            "allow more with connections=, or ask for less at once"
        )

    def after_fork(self) -> None:
        """Leaves the parent's connections alone."""
        inherited.extend(self.clear())


class Pool(Idle[C]):
    """For threads."""

    def __init__(
        self, name: str, size: int, seconds: float, connect: Callable[[float], C], close: Callable[[C], object]
    ) -> None:
        """Opens connections when they are needed; `connect` is given the seconds that it may take."""
        super().__init__(name, size, seconds)
        self._connect = connect
        self._close = close
        self._seats = threading.Semaphore(size)
        self._resting = 0  # seats that are kept empty during a fork
        renew_after_fork(self)

    @contextmanager
    def use(self, budget: Budget | None = None) -> Iterator[C]:
        """A connection for a while.

        Args:
            budget: what waiting for one and making one may take together.

        Raises:
            OriginUnavailableError: all are in use, or no connection can be made.
        """
        budget = budget or Budget(self.seconds)
        if not self._seats.acquire(timeout=budget.remaining()):
            raise self.busy()
        try:
            age = self.age
            connection = self.take() or self._connect(budget.remaining())
            try:
                yield connection
            finally:
                for closing in self.give(connection, age):
                    self._close(closing)
        finally:
            self._seats.release()

    def close(self) -> None:
        """Closes those that nobody uses, and the others when they come back."""
        for connection in self.clear():
            self._close(connection)

    def rest(self) -> None:
        """Closes all connections before a fork, once those in use are given back, or after a second."""
        until = time.monotonic() + REST_SECONDS
        while self._resting < self.size and self._seats.acquire(timeout=max(0.0, until - time.monotonic())):
            self._resting += 1
        self.close()

    def resume(self) -> None:
        """Lets others in again, after a fork."""
        resting, self._resting = self._resting, 0
        for _ in range(resting):
            self._seats.release()

    def after_fork(self) -> None:
        """Everybody in the parent who sat here is not here."""
        super().after_fork()
        self._seats = threading.Semaphore(self.size)
        self._resting = 0


class TaskPool(Idle[C]):
    """For the tasks of one event loop."""

    def __init__(
        self,
        name: str,
        size: int,
        seconds: float,
        connect: Callable[[float], Awaitable[C]],
        close: Callable[[C], Awaitable[object]],
    ) -> None:
        """Opens connections when they are needed."""
        super().__init__(name, size, seconds)
        self._connect = connect
        self._close = close
        self._seats = asyncio.Semaphore(size)
        renew_after_fork(self)

    @asynccontextmanager
    async def use(self, budget: Budget | None = None) -> AsyncIterator[C]:
        """A connection for a while.

        Args:
            budget: what waiting for one and making one may take together.

        Raises:
            OriginUnavailableError: all are in use, or no connection can be made.
        """
        budget = budget or Budget(self.seconds)
        try:
            async with asyncio.timeout(budget.remaining()):
                await self._seats.acquire()
        except TimeoutError:
            raise self.busy() from None
        try:
            age = self.age
            connection = self.take() or await self._connect(budget.remaining())
            try:
                yield connection
            finally:
                for closing in self.give(connection, age):
                    await self._close(closing)
        finally:
            self._seats.release()

    async def close(self) -> None:
        """Closes those that nobody uses, and the others when they come back."""
        for connection in self.clear():
            await self._close(connection)


class TaskPools(Generic[C]):
    """A pool for each event loop: a connection belongs to the loop that made it."""

    def __init__(self, make: Callable[[], TaskPool[C]]) -> None:
        """Makes a pool when a loop first asks for it."""
        self._make = make
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, TaskPool[C]] = WeakKeyDictionary()

    def here(self) -> TaskPool[C]:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = self._make()
        return pool
