"""PostgreSQL as the database of record, by psycopg 3: one statement for each batch, in threads and in tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, Self, TypeVar

from forecache.errors import OriginError, OriginUnavailableError
from forecache.extras import extra
from forecache.libpq import name_of, parameters_of
from forecache.serve.budget import Budget
from forecache.serve.origin import Batch, Key, Table
from forecache.serve.origins.cancel import cancel
from forecache.serve.origins.pgsql import Postgresql
from forecache.serve.origins.plan import Answer, Plan, Statement, arun, run
from forecache.serve.origins.pool import LostError, Pool, TaskPool, TaskPools
from forecache.serve.origins.sqlstate import OUTDATED, first_line, state_of, translation
from forecache.serve.origins.transaction import TaskTransaction, ThreadTransaction
from forecache.units import Duration, parse_duration

with extra("postgresql"):
    import psycopg
    from psycopg import waiting
    from psycopg.pq import TransactionStatus

__all__ = ["PostgresqlOrigin"]

P = ParamSpec("P")
T = TypeVar("T")

CONNECTIONS: Final = 8
FEWEST_SECONDS_TO_CONNECT: Final = 2  # that libpq takes seriously
LEAST_SECONDS: Final = 0.01  # for a statement that is asked at the end of its time: the server may be fast
OPEN: Final = {TransactionStatus.INTRANS, TransactionStatus.INERROR}


class Timed:
    """What connections of threads and of tasks share: each statement is answered in time, or the connection is lost."""

    name = ""  # of the origin
    seconds: float | None = None
    budget: Budget | None = None  # in place of that
    outdated = False  # a plan of the server's does not fit the schema any more
    settles = False  # what runs must not be cancelled, as a commit that waits for a standby: it would be seen at once
    pgconn: Any
    closed: bool

    def timed(self, name: str, seconds: float) -> Self:
        """From now on."""
        self.name, self.seconds = name, seconds
        return self

    @contextmanager
    def within(self, budget: Budget) -> Iterator[None]:
        """For a while, all statements together take no longer than what is left of a budget."""
        self.budget = budget
        try:
            yield
        finally:
            self.budget = None

    def limit(self) -> float | None:
        """Seconds that the next answer may take."""
        return self.seconds if self.budget is None else max(self.budget.remaining(), LEAST_SECONDS)

    def is_open(self) -> bool:
        """Whether a transaction surely runs on it."""
        return not self.closed and self.pgconn.transaction_status in OPEN

    def is_idle(self) -> bool:
        """Whether it works, and none does."""
        status = TransactionStatus.UNKNOWN if self.closed else self.pgconn.transaction_status
        return status == TransactionStatus.IDLE and not self.outdated

    @contextmanager
    def translated(self, statement: Statement) -> Iterator[None]:
        """Errors of the driver, as those of our tree; a statement that took too long is cancelled, but no commit."""
        self.settles = statement is Postgresql.commit
        try:
            yield
        except (psycopg.Error, UnicodeError, OverflowError) as error:
            if self.took_too_long(error) and not self.settles:
                cancel(self.pgconn)
            self.outdated = self.outdated or state_of(error) == OUTDATED
            raise self.translation(error) from error
        finally:
            self.settles = False

    def took_too_long(self, error: Exception) -> bool:
        """Whether the server did not answer in time, and may still be at it."""
        return isinstance(error, psycopg.OperationalError) and not state_of(error) and not self.closed

    def translation(self, error: Exception) -> OriginError:
        """An error while a statement ran."""
        if self.outdated:
            return LostError(f"{self.name}: the columns of a table changed; ask again")
        if self.took_too_long(error):
            return OriginUnavailableError(f"{self.name} did not answer within {self.seconds:g} seconds")
        if self.closed:
            return LostError(f"{self.name}: {first_line(error)}")
        return translation(self.name, error)


class ThreadConnection(Timed, psycopg.Connection[Any]):
    """A connection of one thread at a time."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Waits for the server as long as it may take; while it settles something, an interruption waits too."""
        limit = self.limit() if timeout is None else timeout
        if not self.settles or limit is None:
            return super().wait(gen, interval, limit)
        budget, interrupted = Budget(limit), list[BaseException]()
        with raising(interrupted):
            while True:
                try:
                    return waiting.wait(gen, self.pgconn.socket, interval, max(budget.remaining(), LEAST_SECONDS))
                except (KeyboardInterrupt, SystemExit) as error:
                    interrupted.append(error)

    def ask(self, statement: Statement) -> Answer:
        """Asks."""
        with self.translated(statement):
            cursor = self.execute(statement.sql, statement.parameters)
            return Answer(cursor.fetchall() if cursor.description else (), *shape(cursor))


class TaskConnection(Timed, psycopg.AsyncConnection[Any]):
    """A connection of one task at a time."""

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as psycopg has it
        """Waits for the server as long as it may take; while it settles something, a cancellation waits too."""
        limit = self.limit() if timeout is None else timeout
        if not self.settles or limit is None:
            return await super().wait(gen, interval, limit)
        budget, interrupted = Budget(limit), list[BaseException]()
        with raising(interrupted):
            while True:
                left = max(budget.remaining(), LEAST_SECONDS)
                try:
                    return await waiting.wait_async(gen, self.pgconn.socket, interval, left)
                except asyncio.CancelledError as error:
                    interrupted.append(error)

    async def ask(self, statement: Statement) -> Answer:
        """Asks."""
        with self.translated(statement):
            cursor = await self.execute(statement.sql, statement.parameters)
            return Answer(await cursor.fetchall() if cursor.description else (), *shape(cursor))


@contextmanager
def raising(interrupted: Sequence[BaseException]) -> Iterator[None]:
    """What interrupted us, once it is known how that ended which was not to be interrupted."""
    cause: BaseException | None = None
    try:
        yield
    except psycopg.Error as error:
        if not interrupted:
            raise
        cause = error
    if interrupted:
        raise interrupted[-1] from cause


def shape(cursor: Any) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """Names and types of the columns of an answer."""
    result = cursor.pgresult
    columns = range(result.nfields)
    return tuple(result.fname(n).decode() for n in columns), tuple(result.ftype(n) for n in columns)


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
        self._seconds = parse_duration(timeout)
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
        return self._run(self._sql.table, name, row)

    async def atable(self, name: str, row: type = dict) -> Table:
        """The same in a task."""
        return await self._arun(self._sql.table, name, row)

    def read(self, table: Table, keys: Iterable[Key]) -> Batch:
        """Rows by their keys, in one statement, which sees one snapshot."""
        read_at = time.monotonic()
        return Batch(*self._run(self._sql.read, table, list(keys)), read_at)

    async def aread(self, table: Table, keys: Iterable[Key]) -> Batch:
        """The same in a task."""
        read_at = time.monotonic()
        return Batch(*await self._arun(self._sql.read, table, list(keys)), read_at)

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

    def _run(self, plan: Callable[P, Plan[T]], *arguments: P.args, **settings: P.kwargs) -> T:
        """Reads, once more if the connection was lost while nobody used it."""
        budget = Budget(self._seconds)
        try:
            with self._pool.use(budget) as connection, connection.within(budget):
                return run(plan(*arguments, **settings), connection.ask)
        except LostError:
            with self._pool.use(budget) as connection, connection.within(budget):
                return run(plan(*arguments, **settings), connection.ask)

    async def _arun(self, plan: Callable[P, Plan[T]], *arguments: P.args, **settings: P.kwargs) -> T:
        """The same in a task."""
        budget = Budget(self._seconds)
        try:
            async with self._pools.here().use(budget) as connection:
                with connection.within(budget):
                    return await arun(plan(*arguments, **settings), connection.ask)
        except LostError:
            async with self._pools.here().use(budget) as connection:
                with connection.within(budget):
                    return await arun(plan(*arguments, **settings), connection.ask)

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
