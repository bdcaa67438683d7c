"""Connections to PostgreSQL: statements are answered in time, or the connection is lost; no commit is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

from forecache.errors import OriginError, OriginUnavailableError
from forecache.extras import extra
from forecache.serve.budget import Budget
from forecache.serve.origins.cancel import cancel
from forecache.serve.origins.pgsql import Postgresql
from forecache.serve.origins.plan import Answer, Statement
from forecache.serve.origins.pool import LostError
from forecache.serve.origins.sqlstate import OUTDATED, first_line, state_of, translation

with extra("postgresql"):
    import psycopg
    from psycopg import waiting
    from psycopg.pq import TransactionStatus

__all__ = ["TaskConnection", "ThreadConnection", "Timed"]

LEAST_SECONDS: Final = 0.01  # for a statement that is asked at the end of its time: the server may be fast
OPEN: Final = {TransactionStatus.INTRANS, TransactionStatus.INERROR}


class Timed:
    """What connections of threads and of tasks share: each statement is answered in time, or the connection is lost."""

    name = ""  # of the origin
    seconds: float | None = None
    budget: Budget | None = None  # in place of that
    outdated = False  # a plan of the server's does not fit the schema any more
    past: str | None = None  # of the database, as `Batch` has it; None while it was not asked, or may change
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
