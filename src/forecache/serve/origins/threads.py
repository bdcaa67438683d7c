"""Threads: what blocks, run for tasks. A transaction has a thread of its own, in which its steps follow one another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from forecache.errors import ConfigurationError
from forecache.forks import renew_after_fork
from forecache.serve.finished import finished
from forecache.serve.origin import Change, Key, Row, Table
from forecache.serve.origins.transaction import ThreadTransaction

__all__ = ["ThreadedTransaction", "Threads"]

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads, started when they are needed."""

    def __init__(self, size: int) -> None:
        """At most `size`."""
        self._size = size
        self._pool: ThreadPoolExecutor | None = None
        renew_after_fork(self)

    async def run(self, function: Callable[P, T], *arguments: P.args, **settings: P.kwargs) -> T:
        """What a function returns; whoever is cancelled does not wait for it."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="forecache-origin")
        return await asyncio.wrap_future(
            self._pool.submit(copy_context().run, partial(function, *arguments, **settings))
        )

    def close(self) -> None:
        """Ends the threads that have nothing to do."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def after_fork(self) -> None:
        """Forgets the parent's threads: they are not here."""
        self._pool = None


class ThreadedTransaction:
    """A transaction of threads, for a task."""

    def __init__(self, transaction: ThreadTransaction) -> None:
        """Runs its steps in a thread."""
        self._inner = transaction
        self._thread: ThreadPoolExecutor | None = None  # while it is open

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was written."""
        return self._inner.changes

    @property
    def number(self) -> int | None:
        """Comparable with stamps."""
        return self._inner.number

    async def get(self, table: Table, key: Key) -> Row | None:
        """A row as this transaction sees it."""
        return await self._step(self._inner.get, table, key)

    async def put(self, table: Table, row: Mapping[str, Any] | Row) -> Key:
        """Inserts or overwrites a row."""
        key: Key = await self._step(self._inner.put, table, row)
        return key

    async def update(self, table: Table, key: Key, values: Mapping[str, Any]) -> bool:
        """Overwrites some columns of a row."""
        return bool(await self._step(self._inner.update, table, key, values))

    async def delete(self, table: Table, key: Key) -> bool:
        """Deletes a row."""
        return bool(await self._step(self._inner.delete, table, key))

    async def execute(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, tables: Iterable[str]
    ) -> list[tuple[Any, ...]]:
        """Runs a statement of SQL."""
        rows: list[tuple[Any, ...]] = await self._step(self._inner.execute, sql, parameters, tables=tables)
        return rows

    async def __aenter__(self) -> Self:
        """Begins; if the task is cancelled meanwhile, what has begun is rolled back."""
        self._inner.check_new()
        thread = ThreadPoolExecutor(1, thread_name_prefix="forecache-transaction")
        entering = thread.submit(self._inner.__enter__)
        try:
            await asyncio.wrap_future(entering)
        except BaseException as error:
            thread.submit(self._leave, entering, error)
            thread.shutdown(wait=False)
            raise
        self._thread = thread
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits or rolls back, and waits for it even if the task is cancelled: then `changes` is final."""
        thread, self._thread = self._thread, None
        if thread is None:
            raise ConfigurationError("a transaction is left once, by the block that entered it")
        leaving = thread.submit(self._inner.__exit__, kind, error, trace)
        thread.shutdown(wait=False)
        await finished(asyncio.wrap_future(leaving))

    async def _step(self, function: Callable[P, T], *arguments: P.args, **settings: P.kwargs) -> T:
        if self._thread is None:
            return function(*arguments, **settings)  # says that it is not open
        return await asyncio.wrap_future(self._thread.submit(function, *arguments, **settings))

    def _leave(self, entering: Future[Any], error: BaseException) -> None:
        if not entering.cancelled() and entering.exception() is None:
            self._inner.__exit__(type(error), error, error.__traceback__)
