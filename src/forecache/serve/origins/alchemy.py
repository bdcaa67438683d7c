"""Any database that SQLAlchemy knows, through an engine that the application already has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

from forecache.coherence.postgresql.past import TOKEN, of_primary, token_of
from forecache.coherence.token import Token
from forecache.errors import (
    ConfigurationError,
    OriginUnavailableError,
    StatementError,
)
from forecache.extras import extra
from forecache.forks import renew_after_fork
from forecache.serve.origin import AsyncTransaction, Batch, Key, Row, Table
from forecache.serve.origins.alchemysession import Session, TaskSession, translated
from forecache.serve.origins.core import CHUNK, Core
from forecache.serve.origins.drivers import parameters_of_driver
from forecache.serve.origins.loops import asked_in
from forecache.serve.origins.plan import Plan, Statement, run
from forecache.serve.origins.threads import ThreadedTransaction, Threads
from forecache.serve.origins.transaction import TaskTransaction, ThreadTransaction

with extra("sqlalchemy"):
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["AlchemyOrigin"]

T = TypeVar("T")

THREADS: Final = 8  # for tasks, where the engine is one of threads
ASKED_SECONDS: Final = 5  # that a thread waits for a task, where the engine is one of tasks; for a history as well
PAST: Final = "forecache.past"  # where a connection of SQLAlchemy remembers which past its database has


class AlchemyOrigin:
    """A database behind an engine of SQLAlchemy, whose pool, timeouts and events are used as they are.

    Args:
        engine: an `Engine`, for threads, and for tasks by means of threads; or an `AsyncEngine`, for tasks.

    Raises:
        ConfigurationError: it is no engine.
        MissingExtraError: SQLAlchemy is not installed.

    Rows have the columns that the table had when its schema was read: one that is added later is seen when it is read
    again. Up to 10,000 values of keys are read by one statement; more of them in a transaction that sees one snapshot.
    """

    def __init__(self, engine: Engine | AsyncEngine) -> None:
        """Connects to nothing yet."""
        if not isinstance(engine, (Engine, AsyncEngine)):
            raise ConfigurationError(
                f"engine is {type(engine).__name__}; expected an Engine or AsyncEngine of SQLAlchemy"
            )
        self.engine = engine
        self.name = name_of(engine.url)
        self._core = Core(engine.dialect)
        self.has_tokens = self._core.is_postgresql  # whether its commits are numbered, for sessions
        self._threads = Threads(THREADS)
        self._loop: asyncio.AbstractEventLoop | None = None  # whose tasks used an AsyncEngine last
        renew_after_fork(self)

    def __repr__(self) -> str:
        """The database, without its password."""
        return f"AlchemyOrigin({self.name!r})"

    def table(self, name: str, row: type = dict) -> Table:
        """Reads the schema of a table."""
        with self._borrow() as session:
            return run(self._core.table(name, row), session.ask)

    async def atable(self, name: str, row: type = dict) -> Table:
        """The same in a task."""
        if isinstance(self.engine, Engine):
            return await self._threads.run(self.table, name, row)
        return await self._in_task(self._core.table(name, row))

    def read(self, table: Table, keys: Iterable[Key]) -> Batch:
        """Rows by their keys, out of one snapshot."""
        keys = list(keys)
        read_at = time.monotonic()
        with self._borrow() as session:
            return run(self._batch(table, keys, read_at), session.ask)

    async def aread(self, table: Table, keys: Iterable[Key]) -> Batch:
        """The same in a task."""
        keys = list(keys)
        if isinstance(self.engine, Engine):
            return await self._threads.run(self.read, table, keys)
        read_at = time.monotonic()
        return await self._in_task(self._batch(table, keys, read_at))

    def with_writer(self, table: Table, key: Key) -> tuple[Row, int] | None:
        """A row of PostgreSQL and the number of the transaction that wrote it, out of one snapshot; None if absent.

        Behind an `AsyncEngine` a task of the loop that used it last asks, and this thread waits.

        Raises:
            OriginUnavailableError: there, also: no loop runs that has used it, or it does not come to it.
        """
        return self._for_thread(self._core.with_writer(table, key))

    def history(self, past: str) -> str:
        """The history of a past: see `PostgresqlOrigin.history`; on a connection that is made as the engine's are.

        Raises:
            OriginUnavailableError: it cannot be had, as where the driver does not tell how it connects.
            ConfigurationError: the same.
            MissingExtraError: psycopg is not installed, which asks.
        """
        parameters = self._for_thread(connecting())
        if parameters is None:
            raise OriginUnavailableError(f"{self.name}: its driver does not tell how it connects, as psycopg does")
        from forecache.coherence.postgresql.history import history_of

        return history_of(self.name, {"connect_timeout": ASKED_SECONDS} | parameters, past, ASKED_SECONDS)

    def token(self) -> Token:
        """Stands for all that has committed.

        Raises:
            OriginUnavailableError: it is a standby, or cannot be reached.
            StatementError: it has no tokens.
        """
        with self._borrow() as session:
            return run(self._token(), session.ask)

    async def atoken(self) -> Token:
        """The same in a task."""
        if isinstance(self.engine, Engine):
            return await self._threads.run(self.token)
        return await self._in_task(self._token())

    def transaction(self) -> ThreadTransaction:
        """A transaction, not begun."""
        return ThreadTransaction(self._core, self._borrow)

    def atransaction(self) -> AsyncTransaction:
        """The same for a task."""
        if isinstance(self.engine, Engine):
            return ThreadedTransaction(self.transaction())
        return TaskTransaction(self._core, self._aborrow)

    def close(self) -> None:
        """Leaves the engine to whoever made it."""
        self._threads.close()

    async def aclose(self) -> None:
        """Leaves the engine to whoever made it."""
        self.close()

    def after_fork(self) -> None:
        """Leaves the parent's connections and its loop alone."""
        self._loop = None
        engine = self.engine if isinstance(self.engine, Engine) else self.engine.sync_engine
        engine.dispose(close=False)

    def _batch(self, table: Table, keys: list[Key], read_at: float) -> Plan[Batch]:
        """Rows, and the past that they are of."""
        past = (yield from self._past()) if self.has_tokens else ""
        if len(keys) * len(table.key) > CHUNK:
            yield Statement(see_one_snapshot)
        return Batch(*(yield from self._core.read(table, keys)), read_at, past)

    def _past(self) -> Plan[str]:
        """A primary's does not change while a connection lasts."""
        known: str | None = (yield Statement(lambda connection: connection.info.get(PAST))).rows[0][0]
        if known is None:
            try:
                known = token_of((yield Statement(TOKEN)).rows[0]).past or None
            except StatementError:  # the role may not ask
                known = ""
            yield self._core.rollback  # what follows begins anew
            yield Statement(lambda connection: connection.info.__setitem__(PAST, known))
        return known or ""

    def _token(self) -> Plan[Token]:
        return of_primary(token_of((yield Statement(TOKEN)).rows[0]), self.name)

    def _for_thread(self, plan: Plan[T]) -> T:
        """What a plan brings, for a thread; behind an `AsyncEngine` a task carries it out."""
        if not isinstance(self.engine, Engine):
            return asked_in(self._loop, lambda: self._in_task(plan), self.name, ASKED_SECONDS)
        with self._borrow() as session:
            return run(plan, session.ask)

    async def _in_task(self, plan: Plan[T]) -> T:
        async with self._aborrow() as session:
            connection = session._connection
            return await connection.run_sync(lambda inner: run(plan, Session(inner, self.name).ask))

    @contextmanager
    def _borrow(self) -> Iterator[Session]:
        if not isinstance(self.engine, Engine):
            raise ConfigurationError("an AsyncEngine serves tasks only; await the methods that begin with 'a'")
        with translated(self.name), self.engine.connect() as connection:
            yield Session(connection, self.name)

    @asynccontextmanager
    async def _aborrow(self) -> AsyncIterator[TaskSession]:
        if isinstance(self.engine, Engine):
            raise ConfigurationError("expected an AsyncEngine")
        self._loop = asyncio.get_running_loop()
        with translated(self.name):
            async with self.engine.connect() as connection:
                yield TaskSession(connection, self.name)


def name_of(url: URL) -> str:
    """Where the database is; without user, password and options."""
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def connecting() -> Plan[dict[str, Any] | None]:
    """How the driver connected, if it tells."""
    ask = Statement(lambda connection: parameters_of_driver(connection.connection.driver_connection))
    found: dict[str, Any] | None = (yield ask).rows[0][0]
    return found


def see_one_snapshot(connection: Connection) -> None:
    """Begins a transaction in which all statements see the same."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
    else:
        levels = connection.dialect.get_isolation_level_values(connection.connection.dbapi_connection)  # type: ignore[arg-type]
        repeatable = "REPEATABLE READ"
        connection.execution_options(isolation_level=repeatable if repeatable in levels else "SERIALIZABLE")
