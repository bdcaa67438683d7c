"""PostgreSQL as the database of record, by psycopg 3: one statement for each batch, in threads and in tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from forecache.coherence.postgresql.history import history_of
from forecache.coherence.postgresql.past import of_primary
from forecache.coherence.token import Token
from forecache.errors import OriginUnavailableError, StatementError
from forecache.extras import extra
from forecache.libpq import name_of, parameters_of
from forecache.serve.budget import Budget
from forecache.serve.origin import Batch, Key, Row, Table
from forecache.serve.origins.connections import TaskConnection, ThreadConnection, Timed
from forecache.serve.origins.pgsql import Postgresql
from forecache.serve.origins.plan import Plan, arun, run
from forecache.serve.origins.pool import LostError, Pool, TaskPool, TaskPools
from forecache.serve.origins.sqlstate import first_line
from forecache.serve.origins.transaction import TaskTransaction, ThreadTransaction
from forecache.serve.settings import timeout_seconds
from forecache.units import Duration

with extra("postgresql"):
    import psycopg

__all__ = ["PostgresqlOrigin"]

P = ParamSpec("P")
T = TypeVar("T")

CONNECTIONS: Final = 8
FEWEST_SECONDS_TO_CONNECT: Final = 2  # that libpq takes seriously


class PostgresqlOrigin:
    """A database of PostgreSQL 14 or newer.

    Args:
        url: as libpq takes it, with everything that it takes, such as `sslmode=verify-full`, several hosts, and
            `target_session_attrs=read-write`.
        connections: most connections of this process for threads, and for the tasks of each event loop; and so the
            most statements at once.
        timeout: how long a read may take with all its waiting, and how long to wait for a connection and for each
            statement of a transaction: seconds, '5s', or a timedelta.

    Raises:
        ConfigurationError: an argument cannot be used.
        MissingExtraError: psycopg is not installed.

    A connection is made when it is needed; one that was lost while nobody used it is replaced without an error. A child
    process makes its own.
    """

    def __init__(self, url: str, *, connections: int = CONNECTIONS, timeout: Duration = "5s") -> None:
        """Connects to nothing yet."""
        self._parameters = parameters_of(url)
        self._seconds = timeout_seconds(timeout)
        self._parameters.setdefault("application_name", "forecache")
        self.name = name_of(self._parameters)
        self._sql = Postgresql()
        self._pool = Pool(self.name, connections, self._seconds, self._connect, ThreadConnection.close)
        self._pools = TaskPools(
            lambda: TaskPool(self.name, connections, self._seconds, self._aconnect, TaskConnection.close)
        )

    def __repr__(self) -> str:
        """The database, without its password."""
        return f"PostgresqlOrigin({self.name!r})"

    def table(self, name: str, row: type = dict) -> Table:
        """Reads the schema of a table."""
        return self._run(lambda _: self._sql.table(name, row))

    async def atable(self, name: str, row: type = dict) -> Table:
        """The same in a task."""
        return await self._arun(lambda _: self._sql.table(name, row))

    def read(self, table: Table, keys: Iterable[Key]) -> Batch:
        """Rows by their keys, in one statement, which sees one snapshot."""
        read_at = time.monotonic()
        return self._run(self._batch, table, list(keys), read_at)

    async def aread(self, table: Table, keys: Iterable[Key]) -> Batch:
        """The same in a task."""
        read_at = time.monotonic()
        return await self._arun(self._batch, table, list(keys), read_at)

    def with_writer(self, table: Table, key: Key) -> tuple[Row, int] | None:
        """A row and the number of the transaction that wrote it, out of one snapshot; None if it is absent."""
        return self._run(lambda _: self._sql.with_writer(table, key))

    def token(self) -> Token:
        """Stands for all that has committed.

        Raises:
            OriginUnavailableError: it is a standby, or cannot be reached.
        """
        return self._run(self._token)

    async def atoken(self) -> Token:
        """The same in a task."""
        return await self._arun(self._token)

    def history(self, past: str) -> str:
        """The history of a past, as PostgreSQL writes it: see `Ancestry`; on a connection of its own.

        Raises:
            OriginUnavailableError: it cannot be had, as where the role may not replicate.
            ConfigurationError: the same.
        """
        return history_of(self.name, self._parameters_within(self._seconds), past, self._seconds)

    def transaction(self) -> ThreadTransaction:
        """A transaction, not begun."""
        return ThreadTransaction(self._sql, self._pool.use)

    def atransaction(self) -> TaskTransaction:
        """The same for a task."""
        return TaskTransaction(self._sql, lambda: self._pools.here().use())

    def close(self) -> None:
        """Closes the connections of threads."""
        self._pool.close()

    async def aclose(self) -> None:
        """Closes the connections of threads, and those of this event loop."""
        self._pool.close()
        await self._pools.here().close()

    def _batch(self, connection: Timed, table: Table, keys: list[Key], read_at: float) -> Plan[Batch]:
        """Rows, and the past that they are of: a primary's does not change while a connection lasts."""
        if connection.past is None:
            try:
                connection.past = (yield from self._sql.token()).past or None
            except StatementError:  # the role may not ask
                connection.past = ""
        found = yield from self._sql.read(table, keys)
        return Batch(*found, read_at, connection.past or "")

    def _token(self, connection: Timed) -> Plan[Token]:
        return of_primary((yield from self._sql.token()), self.name)

    def _run(self, plan: Callable[Concatenate[Timed, P], Plan[T]], *arguments: P.args, **settings: P.kwargs) -> T:
        """Reads, once more if the connection was lost while nobody used it."""
        budget = Budget(self._seconds)
        try:
            with self._pool.use(budget) as connection, connection.within(budget):
                return run(plan(connection, *arguments, **settings), connection.ask)
        except LostError:
            with self._pool.use(budget) as connection, connection.within(budget):
                return run(plan(connection, *arguments, **settings), connection.ask)

    async def _arun(
        self, plan: Callable[Concatenate[Timed, P], Plan[T]], *arguments: P.args, **settings: P.kwargs
    ) -> T:
        """The same in a task."""
        budget = Budget(self._seconds)
        try:
            async with self._pools.here().use(budget) as connection:
                with connection.within(budget):
                    return await arun(plan(connection, *arguments, **settings), connection.ask)
        except LostError:
            async with self._pools.here().use(budget) as connection:
                with connection.within(budget):
                    return await arun(plan(connection, *arguments, **settings), connection.ask)

    def _connect(self, seconds: float) -> ThreadConnection:
        with connecting(self.name):
            connection = ThreadConnection.connect(**self._parameters_within(seconds), autocommit=True)
        return connection.timed(self.name, self._seconds)

    async def _aconnect(self, seconds: float) -> TaskConnection:
        with connecting(self.name):
            connection = await TaskConnection.connect(**self._parameters_within(seconds), autocommit=True)
        return connection.timed(self.name, self._seconds)

    def _parameters_within(self, seconds: float) -> dict[str, Any]:
        """Those of a connection that is made in so many seconds, which libpq takes as whole ones, and 2 at least."""
        return {"connect_timeout": max(FEWEST_SECONDS_TO_CONNECT, round(seconds)), **self._parameters}


@contextmanager
def connecting(name: str) -> Iterator[None]:
    """Errors of the driver while there is no connection yet."""
    try:
        yield
    except psycopg.Error as error:
        raise OriginUnavailableError(f"{name} cannot be reached: {first_line(error)}") from error
