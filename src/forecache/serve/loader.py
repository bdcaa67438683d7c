"""Loads: one per key in flight, whose result or failure reaches everybody who waits for it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import CoroutineType
from typing import Any, Final, NamedTuple, Self

from forecache import _core
from forecache.errors import ConfigurationError
from forecache.forks import renew_after_fork
from forecache.serve.flight import Flight, WaitingFor, inside, running_loop
from forecache.units import Duration, parse_duration, parse_ttl

__all__ = ["Keep", "Loader"]

REFRESH_THREADS: Final = 4
MOST_REFRESHES: Final = 1024  # waiting or running; beyond it stale values are served without refreshing them
logger = logging.getLogger("forecache")


class Keep(NamedTuple):
    """How to keep what a load returns, in seconds; None means as the cache's settings say."""

    ttl: float | None = None
    stale_ttl: float | None = None
    tags: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, ttl: Duration | None, stale_ttl: Duration | None, tags: Iterable[str] | None) -> Keep:
        """The same as users write it, checked before anything is loaded."""
        if ttl is None and stale_ttl is None and tags is None:
            return AS_SET
        return cls(
            None if ttl is None else parse_ttl(ttl),
            None if stale_ttl is None else parse_duration(stale_ttl),
            tuple_of_tags(tags),
        )


AS_SET: Final = Keep()


def tuple_of_tags(tags: Iterable[str] | None) -> tuple[str, ...] | None:
    """Tags that can be read more than once.

    Raises:
        TypeError: they are a single str, whose letters would be taken for tags.
    """
    if isinstance(tags, str):
        raise TypeError(f"tags is the str {tags!r}; expected several, as in [{tags!r}]")
    return None if tags is None else tuple(tags)


class Loader:
    """Runs loaders for one store; threads, tasks and background refreshes share its flights."""

    def __init__(
        self, store: _core.Store[Any, Any], negative_ttl: float | None, clock: Callable[[], float] | None
    ) -> None:
        """Loads into `store`; None is kept for `negative_ttl` seconds (None: as any value, 0: not at all)."""
        self._store = store
        self._negative_ttl = negative_ttl
        self._clock = clock or time.perf_counter
        self._lock = threading.RLock()  # finalizers and signal handlers may come while it is held
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshes = 0
        self.loads = 0
        self.load_failures = 0
        self.load_seconds = 0.0
        renew_after_fork(self)

    def load(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> Any:
        """Loads, or waits for the load in flight; loads by itself where waiting would never end."""
        flight = self._join(key, keep)
        if flight.take():
            with WaitingFor(flight), Lead(self, key, flight, keep) as lead:
                return lead.land(loader(key))
        with WaitingFor(flight, blocks=running_loop()) as may_wait:
            return flight.future().result() if may_wait else loader(key)

    async def aload(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> Any:
        """The same for tasks. The load is a task of its own: who cancels one waiter cancels only that one."""
        flight = self._join(key, keep)
        if flight.take():
            self._start(key, flight, self._fly(key, flight, loader, keep))
        with WaitingFor(flight) as may_wait:
            return await (asyncio.wrap_future(flight.future()) if may_wait else resolved(loader(key)))

    def serve_due(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> Any:
        """A value that may be served but must be refreshed; loaded if it left in between."""
        entry = self._store.peek(key)
        if entry is None:
            return self.load(key, loader, keep)
        self.refresh(key, loader, keep, entry)
        return entry.value

    async def aserve_due(self, key: Any, loader: Callable[[Any], Any], keep: Keep) -> Any:
        """The same in a task."""
        entry = self._store.peek(key)
        if entry is None:
            return await self.aload(key, loader, keep)
        self.arefresh(key, loader, keep, entry)
        return entry.value

    def refresh(self, key: Any, loader: Callable[[Any], Any], keep: Keep, old: _core.Entry[Any]) -> None:
        """Replaces an entry in the background, unless its key is being loaded already."""
        if self._refreshes >= MOST_REFRESHES:
            return
        flight = self._begin_refresh(key, keep, old)
        if flight is not None and not self._submit(key, flight, loader, keep):
            self._store._abandon(key, flight)

    def arefresh(self, key: Any, loader: Callable[[Any], Any], keep: Keep, old: _core.Entry[Any]) -> None:
        """The same in a task of the running loop."""
        flight = self._begin_refresh(key, keep, old)
        if flight is not None and flight.take():
            outer = inside.set(())  # nobody waits for it
            self._start(key, flight, self._arefresh(key, flight, loader, keep))
            inside.reset(outer)

    def close(self) -> None:
        """Waits for the refreshes that run or are due."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    def after_fork(self) -> None:
        """Forgets what the parent's threads were doing: they are not here."""
        self._lock = threading.RLock()
        self._pool = None
        self._refreshes = 0
        self._store._ground()

    def _join(self, key: Any, keep: Keep) -> Flight:
        """The flight that brings the value of a key."""
        mine = Flight()
        while (flying := self._store._begin(key, mine, keep.tags)) is not None:
            flight: Flight = flying
            if not flight.is_stranded():
                return flight
            self._fail(key, flight, asyncio.CancelledError(), None)
        entry = self._store.peek(key)
        if entry is not None and mine.take():  # another load landed between our miss and our flight
            self._store._abandon(key, mine)
            mine.succeed(entry.value)
        return mine

    def _begin_refresh(self, key: Any, keep: Keep, old: _core.Entry[Any]) -> Flight | None:
        """A flight to replace `old`, unless there is one, or another value already came."""
        flight = Flight()
        if self._store._begin(key, flight, keep.tags) is not None:
            return None
        entry = self._store.peek(key)
        if entry is not None and entry.stored_at == old.stored_at:
            return flight
        self._store._abandon(key, flight)
        return None

    def _land(self, key: Any, flight: Flight, keep: Keep, started: float, value: Any) -> None:
        """Stores the value, unless an invalidation overtook the load, and hands it to all waiters."""
        seconds = max(0.0, self._clock() - started)
        ttl = keep.ttl if value is not None or self._negative_ttl is None else self._negative_ttl
        if ttl != 0:
            self._store._land(key, flight, value, seconds, ttl=ttl, stale_ttl=keep.stale_ttl, tags=keep.tags)
        elif self._store._abandon(key, flight):
            self._store.delete(key)  # a refresh that finds nothing ends the old value
        with self._lock:
            self.loads += 1
            self.load_seconds += seconds
        flight.succeed(value)

    def _fail(self, key: Any, flight: Flight, error: BaseException, started: float | None) -> None:
        """Hands a failure to all waiters, and leaves no trace of the load."""
        try:
            self._store._abandon(key, flight)
            with self._lock:
                self.load_failures += 1
                self.load_seconds += 0.0 if started is None else max(0.0, self._clock() - started)
        finally:
            flight.fail(error)

    def _start(self, key: Any, flight: Flight, flying: Coroutine[Any, Any, None]) -> None:
        """Runs a flight as a task."""
        flight.loop = asyncio.get_running_loop()
        task = flight.loop.create_task(flying)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not flight.has_ended():  # cancelled before its first step
                self._fail(key, flight, asyncio.CancelledError(), None)

        task.add_done_callback(ended)

    async def _fly(self, key: Any, flight: Flight, loader: Callable[[Any], Any], keep: Keep) -> None:
        with suppress(Exception), Lead(self, key, flight, keep) as lead:  # who waits is told by the flight
            lead.land(await resolved(loader(key)))

    async def _arefresh(self, key: Any, flight: Flight, loader: Callable[[Any], Any], keep: Keep) -> None:
        with reported(), Lead(self, key, flight, keep) as lead:
            lead.land(await resolved(loader(key)))

    def _refresh(self, key: Any, flight: Flight, loader: Callable[[Any], Any], keep: Keep) -> None:
        try:
            if flight.take():  # else somebody could not wait for a thread to be free
                with reported(), Lead(self, key, flight, keep) as lead:
                    lead.land(loader(key))
        finally:
            with self._lock:
                self._refreshes -= 1

    def _submit(self, key: Any, flight: Flight, loader: Callable[[Any], Any], keep: Keep) -> bool:
        """Queues a refresh; False when the interpreter ends, and starts no thread any more."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(REFRESH_THREADS, thread_name_prefix="forecache-refresh")
            try:
                self._pool.submit(self._refresh, key, flight, loader, keep)
            except RuntimeError:
                return False
            self._refreshes += 1
            return True


class Lead:
    """One call of a loader: its time, its result or failure, and whose loader it is."""

    __slots__ = ("_flight", "_keep", "_key", "_loads", "_started", "_token")

    def __init__(self, loads: Loader, key: Any, flight: Flight, keep: Keep) -> None:
        """Not yet begun."""
        self._loads = loads
        self._key = key
        self._flight = flight
        self._keep = keep
        self._started: float | None = None

    def __enter__(self) -> Self:
        """From here on, whoever loads is inside this flight."""
        self._token = inside.set((*inside.get(), self._flight))
        try:
            self._started = self._loads._clock()
        except BaseException as error:
            self.__exit__(type(error), error)
            raise
        return self

    def land(self, value: Any) -> Any:
        """Hands over what the loader returned."""
        refuse_coroutine(value)
        self._loads._land(self._key, self._flight, self._keep, self._started or 0.0, value)
        return value

    def __exit__(self, kind: object, error: BaseException | None, *trace: object) -> None:
        """A failure reaches everybody who waits."""
        try:
            if error is not None:
                self._loads._fail(self._key, self._flight, error, self._started)
        finally:
            inside.reset(self._token)


@contextmanager
def reported() -> Iterator[None]:
    """Logs the failure of a refresh: nobody waits for it, and the old value is still served."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - as said
        logger.warning("refresh failed, the old value is served until it expires: %s", type(error).__name__)


def refuse_coroutine(value: Any) -> None:
    """Keeps out what can be awaited only once.

    Raises:
        ConfigurationError: the value is a coroutine.
    """
    if isinstance(value, CoroutineType):
        value.close()
        raise ConfigurationError(
            "the loader returned a coroutine, which can be awaited only once; "
            "await aget_or_load() for an async loader, or decorate the 'async def' function itself"
        )


async def resolved(value: Any | Awaitable[Any]) -> Any:
    """What an `async` loader returns, or what a plain one already has."""
    return await value if inspect.isawaitable(value) else value
