"""What the contract of origins is tested on: every database, by the methods for threads and by those for tasks."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from typing import Any, Self

from forecache.serve.origin import AsyncTransaction, Batch, Change, Key, Origin, Table

Wait = Callable[[Awaitable[Any]], Any]


class Blocking:
    """An origin whose methods for tasks are called as those for threads are."""

    def __init__(self, inner: Origin) -> None:
        self.inner = inner
        self.runner = asyncio.Runner()
        self.name = inner.name

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        async def coroutine() -> Any:
            return await awaitable

        return self.runner.run(coroutine())

    def table(self, name: str, row: type = dict) -> Table:
        return self.wait(self.inner.atable(name, row))

    def read(self, table: Table, keys: Iterable[Key]) -> Batch:
        return self.wait(self.inner.aread(table, keys))

    def transaction(self) -> BlockingTransaction:
        return BlockingTransaction(self.inner.atransaction(), self.wait)

    def close(self) -> None:
        self.wait(self.inner.aclose())
        self.runner.close()


class BlockingTransaction:
    """Its transactions."""

    def __init__(self, inner: AsyncTransaction, wait: Wait) -> None:
        self.inner = inner
        self.wait = wait

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        return lambda *arguments, **settings: self.wait(method(*arguments, **settings))

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.inner.changes

    @property
    def number(self) -> int | None:
        return self.inner.number

    def __enter__(self) -> Self:
        self.wait(self.inner.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self.wait(self.inner.__aexit__(*error))


class Subject:
    """An origin, and a way past it into its database."""

    numbers_changes = False
    notices_new_columns = True
    casts_keys = True  # a transaction finds row 7 by '7' too
    dispose: Callable[[], None] = staticmethod(lambda: None)  # of what the origin leaves to its owner
    has_types = True  # columns hold values of their type only
    bytes_type = "BLOB"
    numbers = itertools.count()

    def __init__(self, make: Callable[[], Origin], *, tasks: bool) -> None:
        self.make: Callable[[], Any] = (lambda: Blocking(make())) if tasks else make
        self.origin = self.make()
        self.tables: dict[str, Table] = {}

    def sql(self, *statements: str) -> list[Any]:
        """Runs statements past the origin, each committed at once; returns the rows of the last."""
        raise NotImplementedError

    def fresh(self, columns: str) -> str:
        """The name of a new table."""
        name = f"t{next(self.numbers)}"
        self.sql(f"CREATE TABLE {name} ({columns})")
        return name

    def emptied(self, columns: str) -> Table:
        """A table with these columns and no rows, made once."""
        if columns in self.tables:
            self.sql(f"DELETE FROM {self.tables[columns].name}")
        else:
            self.tables[columns] = self.origin.table(self.fresh(columns))
        return self.tables[columns]

    def close(self) -> None:
        self.origin.close()


class SqliteSubject(Subject):
    has_types = False

    def __init__(self, path: str, make: Callable[[], Origin], *, tasks: bool) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        super().__init__(make, tasks=tasks)

    def sql(self, *statements: str) -> list[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]


class PostgresqlSubject(Subject):
    numbers_changes = True
    bytes_type = "BYTEA"

    def __init__(self, url: str, make: Callable[[], Origin], *, tasks: bool) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)
        super().__init__(make, tasks=tasks)

    def sql(self, *statements: str) -> list[Any]:
        cursors = [self.connection.execute(statement) for statement in statements]  # type: ignore[call-overload]
        return cursors[-1].fetchall() if cursors[-1].description else []

    def close(self) -> None:
        super().close()
        self.connection.close()


def products(subject: Subject) -> Table:
    return subject.origin.table(
        subject.fresh("id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, price BIGINT DEFAULT 5 CHECK (price >= 0)")
    )


def rows(subject: Subject, table: Table) -> dict[Any, Any]:
    return {row[0]: row[1:] for row in subject.sql(f"SELECT * FROM {table.name} ORDER BY 1")}
