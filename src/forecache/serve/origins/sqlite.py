"""SQLite as the database of record: one file, read in WAL mode while another process writes it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from forecache.coherence.sqlite.walmode import into_wal_mode
from forecache.errors import (
    ConfigurationError,
    ConstraintError,
    OriginError,
    OriginUnavailableError,
    StatementError,
    TableError,
    WriteConflictError,
)
from forecache.forks import rest_at_fork
from forecache.serve.origin import Batch, Key, Table
from forecache.serve.origins.plan import Answer, Plan, Statement, run
from forecache.serve.origins.pool import Pool
from forecache.serve.origins.sql import Details, Schema, Sql, dependents_of
from forecache.serve.origins.threads import ThreadedTransaction, Threads
from forecache.serve.origins.transaction import ThreadTransaction
from forecache.serve.settings import timeout_seconds
from forecache.units import Duration

__all__ = ["REFERENCES", "SqliteOrigin", "translation"]

OLDEST: Final = (3, 35)  # of SQLite: RETURNING
CHUNK: Final = 1024  # keys in one statement
CONNECTIONS: Final = 8
BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
BROKEN: Final = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
}
LACKING: Final = ("no such table", "no such column", "has no column named")
REFERENCES: Final = """
SELECT m.name, f."table" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f
WHERE m.type = 'table' AND (
    f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR f.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
)
"""


class Sqlite(Sql):
    """SQL as SQLite speaks it."""

    begin = Statement("BEGIN IMMEDIATE")  # waits here for other writers, and never conflicts later

    def __init__(self, stamp: str | None) -> None:
        """With an expression that numbers snapshots."""
        self._numbers = stamp is not None
        self.stamp = stamp or "NULL"

    def schema(self, name: str) -> Plan[Schema]:
        """Reads the catalogue; names of tables differ by more than case."""
        found = yield Statement(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE", (name,)
        )
        if not found.rows:
            raise TableError(f"there is no table {name!r}; check its name, and which file this is")
        true_name = found.rows[0][0]
        columns = yield Statement("SELECT name, pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1", (true_name,))
        references = yield Statement(REFERENCES)
        key = tuple(name for name, place, _ in sorted(columns.rows, key=lambda column: column[1]) if place)
        details = Details(
            address=self.quote(true_name),
            generated=frozenset(name for name, _, hidden in columns.rows if hidden),
            dependents=dependents_of(true_name, ((child, parent) for child, parent in references.rows)),
        )
        return Schema(true_name, key, tuple(column[0] for column in columns.rows), details)

    def chunks(self, table: Table, keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
        """Portions of few different sizes, so that few statements are prepared; the last key fills them up."""
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            yield [*chunk, *[chunk[-1]] * ((1 << (len(chunk) - 1).bit_length()) - len(chunk))]

    def matching(self, table: Table, count: int) -> str:
        """Rows whose key is in a list."""
        join = f"{table.details.address} AS t ON "
        if len(table.key) == 1:
            return f"{join}t.{self.quote(table.key[0])} IN ({', '.join('?' * count)})"
        row = f"({', '.join('?' * len(table.key))})"
        return f"{join}({self.names(table.key, 't.')}) IN (VALUES {', '.join([row] * count)})"

    def arguments(self, table: Table, keys: Sequence[Key]) -> Sequence[Any]:
        """All parts of all keys."""
        return keys if len(table.key) == 1 else [part for key in keys for part in table.parts_of(key)]

    def ending(self) -> Plan[int | None]:
        """Commits; the stamp is asked for before, when nobody else can write."""
        number = None
        if self._numbers:
            answer = yield Statement(f"SELECT {self.stamp}")
            number = answer.rows[0][0] - 1
        yield self.commit
        return number


class Connection:
    """A connection, for one thread at a time."""

    def __init__(self, path: str, seconds: float, name: str) -> None:
        """Opens the file, which must be there."""
        self._name = name
        with translated(name):
            self._raw = sqlite3.connect(
                f"{Path(path).absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=seconds,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._raw.execute("PRAGMA foreign_keys = ON")
                into_wal_mode(self._raw, seconds)
            except BaseException:
                self._raw.close()
                raise

    def ask(self, statement: Statement) -> Answer:
        """Asks."""
        with translated(self._name):
            cursor = self._raw.execute(statement.sql, statement.parameters or ())
            rows = cursor.fetchall()
            columns = tuple(column[0] for column in cursor.description or ())
            return Answer(rows, columns)

    def is_open(self) -> bool:
        """Whether a transaction runs on it."""
        return self._raw.in_transaction

    def is_idle(self) -> bool:
        """Whether none does."""
        return not self._raw.in_transaction

    def close(self) -> None:
        """Closes it; what was not committed is gone."""
        self._raw.close()


class SqliteOrigin:
    """A file of SQLite, used by any number of threads and processes.

    Args:
        path: of the file, which must be there.
        connections: most connections of this process, and so the most statements at once.
        timeout: how long to wait for a connection, or for another writer: seconds, '5s', or a timedelta.
        stamp: a scalar expression of SQL that numbers snapshots: one more than the last change that it has.

    Raises:
        ConfigurationError: an argument cannot be used, or SQLite is older than 3.35.

    The file is switched to WAL mode, in which readers and a writer do not wait for each other, and foreign keys are
    enforced. A connection is made when it is needed; a child process makes its own.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        connections: int = CONNECTIONS,
        timeout: Duration = "5s",
        stamp: str | None = None,
    ) -> None:
        """Opens nothing yet."""
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigurationError(f"SQLite is {sqlite3.sqlite_version}; expected 3.35 or newer: update it")
        self.path = file_of(path)
        self.name = f"sqlite:///{self.path}"
        seconds = timeout_seconds(timeout)
        self._sql = Sqlite(stamp)
        self._pool = Pool(
            self.name, connections, seconds, lambda _: Connection(self.path, seconds, self.name), Connection.close
        )
        self._threads = Threads(connections)
        rest_at_fork(self._pool)  # a child that inherits a connection believes that it has locks, and can lose commits

    def __repr__(self) -> str:
        """The file."""
        return f"SqliteOrigin({self.path!r})"

    def table(self, name: str, row: type = dict) -> Table:
        """Reads the schema of a table."""
        with self._pool.use() as connection:
            return run(self._sql.table(name, row), connection.ask)

    async def atable(self, name: str, row: type = dict) -> Table:
        """The same in a task."""
        return await self._threads.run(self.table, name, row)

    def read(self, table: Table, keys: Iterable[Key]) -> Batch:
        """Rows by their keys; all statements see one snapshot."""
        keys = list(keys)
        with self._pool.use() as connection:
            read_at = time.monotonic()
            if len(keys) <= CHUNK:  # one statement is one snapshot
                found = run(self._sql.read(table, keys), connection.ask)
            else:
                connection.ask(Statement("BEGIN"))
                try:
                    found = run(self._sql.read(table, keys), connection.ask)
                finally:
                    connection.ask(self._sql.rollback)
        return Batch(found.rows, found.table, found.stamp, read_at)

    async def aread(self, table: Table, keys: Iterable[Key]) -> Batch:
        """The same in a task."""
        return await self._threads.run(self.read, table, keys)

    def transaction(self) -> ThreadTransaction:
        """A transaction, not begun."""
        return ThreadTransaction(self._sql, self._pool.use)

    def atransaction(self) -> ThreadedTransaction:
        """The same for a task, in a thread of its own."""
        return ThreadedTransaction(self.transaction())

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()
        self._threads.close()

    async def aclose(self) -> None:
        """The same in a task."""
        self.close()


def file_of(path: str | os.PathLike[str]) -> str:
    """The path of a file.

    Raises:
        ConfigurationError: it is no file: other connections would not see what is in memory.
    """
    name = os.fspath(path)
    if not isinstance(name, str) or not name or ":memory:" in name or "mode=memory" in name:
        raise ConfigurationError(
            f"path is {name!r}; expected the path of a file: each connection to memory sees its own"
        )
    return name


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Errors of the driver, as those of our tree."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
        raise translation(name, error) from error


def translation(name: str, error: BaseException) -> OriginError:
    """What an error of the driver means."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintError(f"{name}: {error}; nothing was changed")
    if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
        return WriteConflictError(f"{name}: another transaction wrote meanwhile; run the transaction again")
    primary = None if code is None else code & 0xFF
    if primary in BUSY:
        return OriginUnavailableError(f"{name}: another connection kept it locked for too long ({error}); try again")
    if primary in BROKEN:
        return OriginUnavailableError(f"{name}: {error}; check that the file is there, whole and writable")
    if str(error).startswith(LACKING[:2]) or LACKING[2] in str(error):
        return TableError(f"{name}: {error}; the schema is not what it was, or a name is wrong")
    return StatementError(f"{name}: {error}")
