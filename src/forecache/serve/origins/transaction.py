"""Transactions: what they wrote, and what became of it; one logic for threads and for tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, ExitStack, suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from forecache.errors import ConfigurationError, OriginError, OriginUnavailableError, OutcomeUnknownError
from forecache.serve.finished import finished
from forecache.serve.origin import EVERY, Change, Key, Row, Table
from forecache.serve.origins.plan import Answer, Plan, Statement, arun, run
from forecache.serve.origins.pool import LostError

__all__ = ["TaskTransaction", "ThreadTransaction", "Words"]


class Words(Protocol):
    """How a database is told to write: plans for everything that a transaction does."""

    @property
    def begin(self) -> Statement:
        """Begins."""

    @property
    def rollback(self) -> Statement:
        """Undoes everything."""

    def ending(self) -> Plan[int | None]:
        """Commits, and tells the number of the transaction."""

    def one(self, table: Table, key: Key) -> Plan[tuple[Key, Row] | None]:
        """Reads and locks a row."""

    def put(self, table: Table, row: Mapping[str, Any] | Row) -> Plan[Key]:
        """Inserts or overwrites."""

    def update(self, table: Table, key: Key, values: Mapping[str, Any]) -> Plan[tuple[Key, ...]]:
        """The keys that the row had and has."""

    def delete(self, table: Table, key: Key) -> Plan[Key | None]:
        """The key of the row that was deleted."""


class Work:
    """What transactions of threads and of tasks share: all but how a plan is run.

    Each method returns what its plan does, or an awaitable of it.
    """

    def __init__(self, words: Words) -> None:
        """Nothing written."""
        self._words = words
        self._changes: dict[Change, None] = {}
        self._failure: OriginError | None = None
        self._state = "new"  # then open, then ended
        self.number: int | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was written, each once."""
        return tuple(self._changes)

    def get(self, table: Table, key: Key) -> Any:
        """A row as this transaction sees it."""
        return self._run(self._get(table, key))

    def put(self, table: Table, row: Mapping[str, Any] | Row) -> Any:
        """Inserts or overwrites a row."""
        return self._run(self._put(table, row))

    def update(self, table: Table, key: Key, values: Mapping[str, Any]) -> Any:
        """Overwrites some columns of a row."""
        return self._run(self._update(table, key, values))

    def delete(self, table: Table, key: Key) -> Any:
        """Deletes a row."""
        return self._run(self._delete(table, key))

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, tables: Iterable[str]) -> Any:
        """Runs a statement of SQL."""
        if isinstance(tables, str):
            raise TypeError(f"tables is the str {tables!r}; expected several, as in [{tables!r}]")
        return self._run(self._execute(Statement(sql, parameters or None), tuple(tables)))

    def _run(self, plan: Plan[Any]) -> Any:
        raise NotImplementedError

    def _get(self, table: Table, key: Key) -> Plan[Row | None]:
        found = yield from self._doing(self._words.one(table, key))
        return None if found is None else found[1]

    def _put(self, table: Table, row: Mapping[str, Any] | Row) -> Plan[Key]:
        key: Key = yield from self._doing(self._words.put(table, row))
        self._note(table, key)
        return key

    def _update(self, table: Table, key: Key, values: Mapping[str, Any]) -> Plan[bool]:
        keys = yield from self._doing(self._words.update(table, key, values))
        for changed in keys:
            self._note(table, changed)
        if len(keys) > 1:
            self._note_dependents(table)
        return bool(keys)

    def _delete(self, table: Table, key: Key) -> Plan[bool]:
        deleted = yield from self._doing(self._words.delete(table, key))
        if deleted is None:
            return False
        self._note(table, deleted)
        self._note_dependents(table)
        return True

    def _execute(self, statement: Statement, tables: tuple[str, ...]) -> Plan[list[tuple[Any, ...]]]:
        for name in tables:
            self._changes[Change(name, EVERY)] = None
        answer = yield from self._doing(asking(statement))
        return [tuple(row) for row in answer.rows]

    def _doing(self, plan: Plan[Any]) -> Plan[Any]:
        """Remembers a failure: what follows could not be committed."""
        if self._state != "open":
            raise ConfigurationError("a transaction is used in its own 'with' block only; this one is not open")
        try:
            return (yield from plan)
        except OriginError as error:
            self._failure = self._failure or error
            raise

    def _note(self, table: Table, key: Key) -> None:
        self._changes[Change(table.name, key)] = None

    def _note_dependents(self, table: Table) -> None:
        """Foreign keys may have changed any of their rows."""
        for name in table.details.dependents:
            self._changes[Change(name, EVERY)] = None

    def check_new(self) -> None:
        """Whether it was not entered yet.

        Raises:
            ConfigurationError: it was.
        """
        if self._state != "new":
            raise ConfigurationError("a transaction is entered once; make a new one for each 'with' block")

    def _begin(self) -> Plan[None]:
        yield self._words.begin
        self._state = "open"

    def _end(self, error: BaseException | None, is_open: Callable[[], bool]) -> Plan[None]:
        """Commits, or undoes; `changes` tell what may have happened."""
        self._state = "ended"
        if error is not None or self._failure is not None:
            yield from self._undo()
            if error is None and self._failure is not None:
                raise self._failure
            return
        try:
            self.number = yield from self._words.ending()
        except OriginUnavailableError as lost:
            if not is_open():
                raise OutcomeUnknownError(
                    f"the connection was lost during a commit, which happened or did not: {lost}"
                ) from lost.__cause__
            yield from self._undo()
            raise
        except OriginError:
            yield from self._undo()
            raise

    def _undo(self) -> Plan[None]:
        self._changes.clear()
        with suppress(OriginError):  # a connection that is lost ends its transaction too
            yield self._words.rollback


def asking(statement: Statement) -> Plan[Answer]:
    """The plan of one statement."""
    return (yield statement)


class Session(Protocol):
    """A connection in use."""

    def ask(self, statement: Statement) -> Answer:
        """Asks, with errors of our tree."""

    def is_open(self) -> bool:
        """Whether a transaction surely runs on it."""


class TaskSession(Protocol):
    """The same for tasks."""

    async def ask(self, statement: Statement) -> Answer:
        """Asks, with errors of our tree."""

    def is_open(self) -> bool:
        """Whether a transaction surely runs on it."""


Borrow: TypeAlias = Callable[[], AbstractContextManager[Session]]
TaskBorrow: TypeAlias = Callable[[], AbstractAsyncContextManager[TaskSession]]


class ThreadTransaction(Work):
    """A transaction of one thread."""

    _session: Session

    def __init__(self, words: Words, borrow: Borrow) -> None:
        """Will run on what `borrow` gives."""
        super().__init__(words)
        self._borrow = borrow
        self._stack = ExitStack()

    def _run(self, plan: Plan[Any]) -> Any:
        return run(plan, self._ask)

    def _ask(self, statement: Statement) -> Answer:
        """On the session, which is there once it is open."""
        return self._session.ask(statement)

    def __enter__(self) -> Self:
        """Begins, on another connection if the first one was lost while nobody used it."""
        self.check_new()
        try:
            self._open()
        except LostError:
            self._open()
        return self

    def _open(self) -> None:
        with ExitStack() as stack:
            self._session = stack.enter_context(self._borrow())
            run(self._begin(), self._session.ask)
            self._stack = stack.pop_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after any exception."""
        with self._stack:
            run(self._end(error, self._session.is_open), self._session.ask)


class TaskTransaction(Work):
    """A transaction of one task."""

    _session: TaskSession

    def __init__(self, words: Words, borrow: TaskBorrow) -> None:
        """Will run on what `borrow` gives."""
        super().__init__(words)
        self._borrow = borrow
        self._stack = AsyncExitStack()

    def _run(self, plan: Plan[Any]) -> Awaitable[Any]:
        return arun(plan, self._ask)

    def _ask(self, statement: Statement) -> Awaitable[Answer]:
        """On the session, which is there once it is open."""
        return self._session.ask(statement)

    async def __aenter__(self) -> Self:
        """Begins, on another connection if the first one was lost while nobody used it."""
        self.check_new()
        try:
            await self._open()
        except LostError:
            await self._open()
        return self

    async def _open(self) -> None:
        async with AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(self._borrow())
            await arun(self._begin(), self._session.ask)
            self._stack = stack.pop_all()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits, or rolls back after any exception, and waits for it even if the task is cancelled meanwhile."""
        await finished(self._leave(error))

    async def _leave(self, error: BaseException | None) -> None:
        async with self._stack:
            await arun(self._end(error, self._session.is_open), self._session.ask)
