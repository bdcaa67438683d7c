"""Transactions that also tell the caches: commit first, then end every copy of what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from forecache._core import now
from forecache.errors import OriginUnavailableError
from forecache.serve.copies import Copies
from forecache.serve.counts import Counts
from forecache.serve.finished import finished
from forecache.serve.origin import EVERY, Change, Key
from forecache.serve.plan import ReadPath
from forecache.serve.shell import Plan, arun, run

if TYPE_CHECKING:
    from forecache.serve.shared import Shared

__all__ = ["AsyncDatabaseTransaction", "DatabaseTransaction", "Publisher"]


class Publisher:
    """Tells this process and the shared tier what was committed; other processes learn it from the database."""

    def __init__(self, path: ReadPath, copies: Copies, shared: Shared | None, counts: Counts) -> None:
        """For one database."""
        self.path = path
        self._copies = copies
        self._shared = shared
        self._counts = counts

    def publish(self, changes: Sequence[Change]) -> Plan[None]:
        """Ends the copies of what was, or may have been, committed."""
        if not changes:
            return
        self._counts.add(commits=1)
        if self.path.watch.tells:
            try:
                self.path.watch.catch_up(now())
            except OriginUnavailableError:
                self._forget(changes)
        else:
            self._forget(changes)
        if self._shared is not None:
            self._shared.saw(changes)
            yield self._shared.invalidation(changes)
            self._forget(changes)  # what came from there meanwhile

    def _forget(self, changes: Iterable[Change]) -> None:
        for table, key in changes:
            if key is EVERY:
                self._copies.forget_table(table)
            else:
                self._copies.forget(table, key)


class Writes:
    """What transactions of threads and of tasks share; for tasks, each method returns an awaitable."""

    def __init__(self, begin: Callable[[], Any], publisher: Publisher, table: Callable[[str], str]) -> None:
        """Not begun."""
        self._inner = begin()
        self._publisher = publisher
        self._name_of = table

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was written so far: pairs of a table and a key."""
        found: tuple[Change, ...] = self._inner.changes
        return found

    def get(self, table: str, key: Key) -> Any:
        """A row as this transaction sees it, kept from being written by others until its end; None if absent."""
        return self._inner.get(self._table(table), key)

    def put(self, table: str, row: Mapping[str, Any] | Any) -> Any:
        """Inserts a row, or overwrites the columns given of the one that has its key; returns the key."""
        return self._inner.put(self._table(table), row)

    def update(self, table: str, key: Key, values: Mapping[str, Any]) -> Any:
        """Overwrites some columns of a row; False if there is none."""
        return self._inner.update(self._table(table), key, values)

    def delete(self, table: str, key: Key) -> Any:
        """Deletes a row; False if there is none."""
        return self._inner.delete(self._table(table), key)

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, tables: Iterable[str]) -> Any:
        """Runs a statement and returns its rows; `tables` are all whose rows it may change, () for none."""
        return self._inner.execute(sql, parameters, tables=tables)

    def _table(self, name: str) -> Any:
        return self._publisher.path.tables[self._name_of(name)]


class DatabaseTransaction(Writes):
    """Writes of one thread that happen together or not at all, as a `with` block, which commits at its end."""

    def __enter__(self) -> Self:
        """Begins."""
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after any exception; then ends the copies of what was written."""
        try:
            self._inner.__exit__(kind, error, trace)
        finally:
            run(self._publisher.publish(self.changes))


class AsyncDatabaseTransaction(Writes):
    """The same for a task, as an `async with` block.

    A task that is cancelled while its block is left goes on waiting until it is known what became of the transaction,
    which takes no longer than the database's `timeout`, and the copies are ended; then it is cancelled.
    """

    async def __aenter__(self) -> Self:
        """Begins."""
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after any exception; then ends the copies of what was written."""
        try:
            await self._inner.__aexit__(kind, error, trace)
        finally:
            if self.changes:
                await finished(arun(self._publisher.publish(self.changes)))
