"""Connections of an engine of SQLAlchemy in use, for threads and for tasks, and its errors in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from forecache.errors import ConstraintError, OriginError, OriginUnavailableError, StatementError
from forecache.extras import extra
from forecache.serve.origins import sqlite, sqlstate
from forecache.serve.origins.plan import Answer, Statement
from forecache.serve.origins.pool import LostError

with extra("sqlalchemy"):
    from sqlalchemy import Connection, exc
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Session", "TaskSession", "translated"]


class Session:
    """A connection in use."""

    def __init__(self, connection: Connection, name: str) -> None:
        """That of an engine."""
        self._connection = connection
        self._name = name

    def ask(self, statement: Statement) -> Answer:
        """Asks; a step that is no statement returns one value."""
        with translated(self._name):
            if callable(statement.sql):
                return Answer([(statement.sql(self._connection),)])
            if isinstance(statement.sql, str):
                result = driven(self._connection, statement.sql, statement.parameters)
            else:
                result = self._connection.execute(statement.sql)
            return Answer(result.fetchall() if result.returns_rows else ())

    def is_open(self) -> bool:
        """Nobody knows, after an error of a commit."""
        return False


class TaskSession:
    """The same for a task: the driver waits, and others run."""

    def __init__(self, connection: AsyncConnection, name: str) -> None:
        """That of an engine."""
        self._connection = connection
        self._name = name

    async def ask(self, statement: Statement) -> Answer:
        """Asks."""
        with translated(self._name):
            return await self._connection.run_sync(lambda connection: Session(connection, self._name).ask(statement))

    def is_open(self) -> bool:
        """Nobody knows, after an error of a commit."""
        return False


def driven(connection: Connection, sql: str, parameters: Any) -> Any:
    """What a statement in the words of the driver returns; a list would be several sets of parameters."""
    if not parameters:
        return connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
    return connection.exec_driver_sql(sql, tuple(parameters) if isinstance(parameters, list) else parameters)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Errors of SQLAlchemy and of the driver, as those of our tree."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise translation(name, error) from error


def translation(name: str, error: exc.SQLAlchemyError) -> OriginError:
    """What an error means, as exactly as the driver says."""
    cause: BaseException | None = getattr(error, "orig", None)
    if getattr(error, "connection_invalidated", False):
        return LostError(f"{name}: {sqlstate.first_line(cause or error)}")
    if cause is not None and sqlstate.state_of(cause):
        return sqlstate.translation(name, cause)
    if isinstance(cause, sqlite3.Error):
        return sqlite.translation(name, cause)
    said = sqlstate.first_line(cause or error)
    if isinstance(error, exc.IntegrityError):
        return ConstraintError(f"{name}: {said}; nothing was changed")
    if isinstance(error, (exc.TimeoutError, exc.OperationalError, exc.InterfaceError)):
        return OriginUnavailableError(f"{name}: {said}")
    return StatementError(f"{name}: {said}")
