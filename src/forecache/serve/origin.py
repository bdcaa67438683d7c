"""Origins: what a database of record must do to be cached.

It gives rows by primary key out of one snapshot, and transactions that say what they changed. It knows nothing of
caches: whoever uses it commits first, and then invalidates what the transaction changed.

    transaction = origin.transaction()
    try:
        with transaction:
            transaction.put(product, {"id": 7, "price": 1999})
    finally:
        invalidate(transaction.changes)  # right however the block ended
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from forecache.coherence.changes import EVERY, Change, Every, Key

__all__ = ["EVERY", "AsyncTransaction", "Batch", "Change", "Every", "Key", "Origin", "Row", "Table", "Transaction"]

Row = Any  # dict[str, Any], or the msgspec.Struct that the table was declared with


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a primary key, as its schema was when it was read; equal as long as its rows have one shape."""

    name: str
    key: tuple[str, ...]  # columns of the primary key, in its order
    columns: tuple[str, ...]  # those that rows have, in their order
    row: type = dict  # what a row is made as: dict, or a msgspec.Struct
    details: Any = field(default=None, repr=False)  # what else its origin knows of it

    def key_of(self, values: Mapping[str, Any]) -> Key:
        """The key among the values of a row.

        Raises:
            KeyError: a column of the key is missing; its name.
        """
        if len(self.key) == 1:
            return values[self.key[0]]  # type: ignore[no-any-return]
        return tuple(values[column] for column in self.key)

    def parts_of(self, key: Key) -> tuple[Any, ...]:
        """A key's value for each column of the primary key."""
        return key if len(self.key) > 1 and isinstance(key, tuple) else (key,)


class Batch(NamedTuple):
    """Rows read out of one snapshot."""

    rows: dict[Key, Row]  # by the keys asked for; those of absent rows are not in it
    table: (
        Table  # of these rows: if it is not the one asked with, the schema changed, and older rows have another shape
    )
    stamp: int | None  # every change numbered below it is in the snapshot; None if the origin does not number changes
    read_at: float  # seconds of time.monotonic() just before the query: the rows are not older
    past: str = ""  # of the database that gave them, in which it numbers its changes; "" if that is not known


class Transaction(Protocol):
    """Writes that happen together or not at all; entered once, as a `with` block, which commits at its end.

    After the block, `changes` is what to invalidate, however it ended: all that was written if it was committed, or if
    nobody knows whether it was; nothing if it was rolled back. So it is read in a `finally`.
    """

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was written so far, each once; keys are as the database has them."""

    @property
    def number(self) -> int | None:
        """Comparable with stamps: a batch with a higher stamp has its changes.

        None before the first write, or if the origin does not number changes.
        """

    def get(self, table: Table, key: Key) -> Row | None:
        """A row as this transaction sees it, kept from being written by others until its end; None if absent."""

    def put(self, table: Table, row: Mapping[str, Any] | Row) -> Key:
        """Inserts a row, or overwrites the columns given of the one that has its key; returns the key.

        A column that is not given keeps its value, or takes its default; the key too, where the database chooses it.

        Raises:
            ConstraintError: the row would break a constraint.
        """

    def update(self, table: Table, key: Key, values: Mapping[str, Any]) -> bool:
        """Overwrites some columns of a row; False if there is no such row.

        Raises:
            ConstraintError: the row would break a constraint.
        """

    def delete(self, table: Table, key: Key) -> bool:
        """Deletes a row; False if there is no such row.

        Raises:
            ConstraintError: other rows refer to it.
        """

    def execute(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, tables: Iterable[str]
    ) -> list[tuple[Any, ...]]:
        """Runs a statement of SQL in the words of the driver, and returns its rows.

        Args:
            sql: the statement, with placeholders as the driver writes them.
            parameters: their values.
            tables: names of all tables whose rows it may change, which are then invalidated as a whole; () for none.
        """

    def __enter__(self) -> Self:
        """Begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after any exception, which is passed on.

        Raises:
            WriteConflictError: others wrote the same rows; it was rolled back, and may be run again.
            ConstraintError: a constraint that is checked at the end does not hold; it was rolled back.
            OutcomeUnknownError: the connection was lost during the commit, which happened or did not.
        """


class AsyncTransaction(Protocol):
    """The same for tasks, as an `async with` block. What is said of `Transaction` holds."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was written so far."""

    @property
    def number(self) -> int | None:
        """Comparable with stamps."""

    async def get(self, table: Table, key: Key) -> Row | None:
        """A row as this transaction sees it."""

    async def put(self, table: Table, row: Mapping[str, Any] | Row) -> Key:
        """Inserts or overwrites a row."""

    async def update(self, table: Table, key: Key, values: Mapping[str, Any]) -> bool:
        """Overwrites some columns of a row."""

    async def delete(self, table: Table, key: Key) -> bool:
        """Deletes a row."""

    async def execute(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, tables: Iterable[str]
    ) -> list[tuple[Any, ...]]:
        """Runs a statement of SQL."""

    async def __aenter__(self) -> Self:
        """Begins."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after any exception."""


class Origin(Protocol):
    """A database of record, used from any number of threads and event loops; its child processes connect anew.

    Every method raises `OriginUnavailableError` if the database cannot be reached or does not answer in time, and the
    driver's error is the cause of each error.
    """

    @property
    def name(self) -> str:
        """What it is called in logs and errors; holds no password."""

    def table(self, name: str, row: type = dict) -> Table:
        """Reads the schema of a table.

        Args:
            name: as in the database; `schema.table` where it has schemas.
            row: dict, or a msgspec.Struct whose fields are columns; only those are read.

        Raises:
            TableError: there is no such table, it has no primary key, or it lacks a column of `row`.
        """

    async def atable(self, name: str, row: type = dict) -> Table:
        """The same in a task."""

    def read(self, table: Table, keys: Iterable[Key]) -> Batch:
        """Rows by their keys, any number of them, out of one snapshot.

        Raises:
            KeyTypeError: a key cannot be one of this table, or only resembles the key of a row, as '7' does 7. Each
                row has one key, so that one invalidation reaches every copy of it.
            TableError: the table is gone, or a column that rows must have.
        """

    async def aread(self, table: Table, keys: Iterable[Key]) -> Batch:
        """The same in a task."""

    def transaction(self) -> Transaction:
        """A transaction, not begun.

        Raises:
            ConfigurationError: the origin can only be read.
        """

    def atransaction(self) -> AsyncTransaction:
        """The same for a task."""

    def close(self) -> None:
        """Closes all connections; a second call does nothing. Using the origin afterwards opens new ones."""

    async def aclose(self) -> None:
        """The same in a task."""
