"""Loading: one load per key in flight, whose result or failure reaches everybody who waits for it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final, NamedTuple

from forecache import _core
from forecache.errors import LoadInterruptedError

__all__ = ["Duration", "Flight", "Keep", "Loader"]

Duration = str | float | timedelta

REFRESH_THREADS: Final = 4
MOST_REFRESHES: Final = 1024  # waiting or running; beyond it stale values are served without refreshing them
logger = logging.getLogger("forecache")


class Keep(NamedTuple):
    """How to keep what a load returns; None means as the cache's settings say."""

    ttl: Duration | None = None
    stale_ttl: Duration | None = None
    tags: Iterable[str] | None = None


class Flight:
    """One load of one key."""

    __slots__ = ("awaits", "future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """A load that is about to run: in a task of `loop`, or in this thread."""
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # from here on no waiter can cancel it
        self.loop = loop
        self.awaits: set[Flight] = set()  # flights that somebody inside this one waits for

    def depends_on(self, others: Iterable[Flight]) -> bool:
        """Whether this flight cannot end before one of `others` does."""
        wanted, seen, todo = set(others), set[Flight](), [self]
        while todo:
            flight = todo.pop()
            if flight in wanted:
                return True
            if flight not in seen:
                seen.add(flight)
                todo.extend(flight.awaits)
        return False


inside: ContextVar[tuple[Flight, ...]] = ContextVar("forecache_flights", default=())  # whose loaders call us
graph = threading.Lock()  # guards `awaits` of all flights: the loader of one cache may use another cache


@contextmanager
def waiting_for(flight: Flight) -> Iterator[bool]:
    """Registers that the loaders we are inside of wait for `flight`; False when they would wait for ever."""
    outer = inside.get()
    with graph:
        may_wait = not flight.depends_on(outer)
        if may_wait and outer:
            outer[-1].awaits.add(flight)
    try:
        yield may_wait
    finally:
        with graph:
            if may_wait and outer:
                outer[-1].awaits.discard(flight)


class Loader:
    """Runs loaders for one store; threads, tasks and background refreshes share its flights."""

    def __init__(self, store: _core.Store[Any, Any], negative_ttl: float | None) -> None:
        """Loads into `store`; None is kept for `negative_ttl` seconds (None: as any value, 0: not at all)."""
        self._store = store
        self._negative_ttl = negative_ttl
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshes = 0
        self.loads = 0
        self.load_failures = 0
        self.load_seconds = 0.0

    def load(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> Any:
        """Loads, or waits for the load in flight; loads by itself where waiting would never end."""
        flight, leads = self._join(key, Flight(), keep)
        if leads:
            with self._leading(key, flight, keep) as land:
                return land(loader(key))
        if flight.loop is not None and flight.loop is running_loop():
            return loader(key)  # this thread runs the loop that runs the load: waiting would stop both
        with waiting_for(flight) as may_wait:
            return flight.future.result() if may_wait else loader(key)

    async def aload(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> Any:
        """The same for tasks. The load is a task of its own: who cancels one waiter cancels only that one."""
        flight, leads = self._join(key, Flight(running_loop()), keep)
        if leads:
            self._start_task(key, flight, loader, keep)
        with waiting_for(flight) as may_wait:
            return await (asyncio.wrap_future(flight.future) if may_wait else resolved(loader(key)))

    def refresh(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> None:
        """Loads in the background, unless that key is being loaded already."""
        flight = Flight()
        with self._lock:
            if self._refreshes >= MOST_REFRESHES or self._store._begin(key, flight, keep.tags) is not None:
                return
            self._refreshes += 1
            if self._pool is None:
                self._pool = ThreadPoolExecutor(REFRESH_THREADS, thread_name_prefix="forecache-refresh")
            self._pool.submit(self._refresh, key, flight, loader, keep)

    def arefresh(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> None:
        """The same in a task of the running loop."""
        flight = Flight(running_loop())
        if self._store._begin(key, flight, keep.tags) is None:
            self._start_task(key, flight, loader, keep)

    def close(self) -> None:
        """Waits for the refreshes that run or are due."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    def after_fork(self) -> None:
        """Forgets what the parent's threads were doing: they are not here."""
        self._lock = threading.Lock()
        self._pool = None
        self._refreshes = 0
        self._store._ground()

    def _join(self, key: Any, mine: Flight, keep: Keep) -> tuple[Flight, bool]:
        """The flight to wait for, and whether we have to fly it."""
        flying = self._store._begin(key, mine, keep.tags)
        if flying is not None:
            return flying, False
        entry = self._store.peek(key)
        if entry is None:
            return mine, True
        self._store._abandon(key, mine)  # another load landed between our miss and our flight
        mine.future.set_result(entry.value)
        return mine, False

    @contextmanager
    def _leading(self, key: Any, flight: Flight, keep: Keep) -> Iterator[Callable[[Any], Any]]:
        """Everything around the call of a loader: its place among the flights, its time, its result, its failure."""
        outer = inside.get()
        with graph:
            for enclosing in outer[-1:]:
                enclosing.awaits.add(flight)
        token = inside.set((*outer, flight))
        started = time.perf_counter()

        def land(value: Any) -> Any:
            self._land(key, flight, value, keep, time.perf_counter() - started)
            return value

        try:
            yield land
        except BaseException as error:
            self._fail(key, flight, error, time.perf_counter() - started)
            raise
        finally:
            inside.reset(token)
            with graph:
                for enclosing in outer[-1:]:
                    enclosing.awaits.discard(flight)

    def _land(self, key: Any, flight: Flight, value: Any, keep: Keep, seconds: float) -> None:
        """Stores the value, unless an invalidation overtook the load, and hands it to all waiters."""
        ttl: Duration | None = keep.ttl if value is not None or self._negative_ttl is None else self._negative_ttl
        if ttl == 0:
            self._store._abandon(key, flight)
        else:
            self._store._land(key, flight, value, seconds, ttl=ttl, stale_ttl=keep.stale_ttl, tags=keep.tags)
        with self._lock:
            self.loads += 1
            self.load_seconds += seconds
        flight.future.set_result(value)

    def _fail(self, key: Any, flight: Flight, error: BaseException, seconds: float) -> None:
        """Hands a failure to all waiters, and leaves no trace of the load."""
        self._store._abandon(key, flight)
        with self._lock:
            self.load_failures += 1
            self.load_seconds += seconds
        if isinstance(error, Exception):
            flight.future.set_exception(error)
        else:
            message = f"the load of {key!r} was interrupted by {type(error).__name__}; load it again"
            flight.future.set_exception(LoadInterruptedError(message))

    def _start_task(self, key: Any, flight: Flight, loader: Callable[[Any], Any], keep: Keep) -> None:
        task = asyncio.get_running_loop().create_task(self._fly(key, flight, loader, keep))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self, key: Any, flight: Flight, loader: Callable[[Any], Any], keep: Keep) -> None:
        with suppress(Exception), self._leading(key, flight, keep) as land:  # who waits is told by the flight
            land(await resolved(loader(key)))

    def _refresh(self, key: Any, flight: Flight, loader: Callable[[Any], Any], keep: Keep) -> None:
        try:
            with self._leading(key, flight, keep) as land:
                land(loader(key))
        except Exception as error:  # noqa: BLE001 - nobody waits here, and the old value is still served
            logger.warning("refresh failed, the old value is served until it expires: %s", type(error).__name__)
        finally:
            with self._lock:
                self._refreshes -= 1


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def resolved(value: Any | Awaitable[Any]) -> Any:
    """What an `async` loader returns, or what a plain one already has."""
    return await value if inspect.isawaitable(value) else value
