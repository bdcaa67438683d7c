"""SQLite's watch: a look at shared memory tells that nobody committed; the change log tells what was written."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from forecache import _core
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.level import Level
from forecache.coherence.sqlite.changelog import LOG, install, keys_of
from forecache.coherence.sqlite.signal import Signal, VersionSignal
from forecache.coherence.sqlite.wal import FileId, file_id, is_restart, map_header, refuse_network_file
from forecache.coherence.sqlite.walmode import into_wal_mode
from forecache.coherence.watch import Holder, Unlogged, Unsequenced
from forecache.errors import ConfigurationError, OriginUnavailableError
from forecache.forks import renew_after_fork, rest_at_fork

__all__ = ["SqliteWatch"]

SECONDS: Final = 1.0  # waited for a lock
PULSE_SECONDS: Final = 1.0  # until it is asked again whether the path still leads to the same file
MOST_CHANGES: Final = 10_000  # read at once; beyond it everything is dropped
ATTEMPTS: Final = 3  # to read the log while nobody commits
REST_SECONDS: Final = 1.0  # waited for at a fork

LAST: Final = f"SELECT seq FROM sqlite_sequence WHERE name = '{LOG}'"  # noqa: S608 - a constant
UNLOGGED: Final = (
    "%s: a commit noted no change of the cached tables, so all copies were dropped, now and whenever it happens again; "
    "if it wrote other tables, add them to tables=, or open with unlogged='ignore'"
)

logger = logging.getLogger("forecache")
inherited: Final[list[sqlite3.Connection]] = []  # a parent's: closing them here would release its locks


class SqliteWatch(Unsequenced):
    """Keeps the copies of some tables of one file current, whoever writes it."""

    tells = True
    proof = None

    def __init__(
        self, path: str, tables: Mapping[str, tuple[str, ...]], holder: Holder, unlogged: Unlogged = "flush"
    ) -> None:
        """Makes the change log and its triggers if they are not there.

        Args:
            path: of the file.
            tables: columns of the primary key, by the names of the tables.
            holder: who keeps copies; is told from any thread.
            unlogged: what to do after a commit that noted nothing: 'flush' drops all copies; 'ignore' trusts that
                it wrote other tables.

        Raises:
            ConfigurationError: the file cannot be watched.
            OriginUnavailableError: it cannot be opened.
        """
        refuse_network_file(path)
        self._path = str(Path(path).resolve())
        self._tables = dict(tables)
        width = max((len(key) for key in tables.values()), default=1)
        self._query = (
            f'SELECT seq, tbl, {keys_of(width)} FROM "{LOG}" WHERE seq > ? ORDER BY seq LIMIT {MOST_CHANGES + 1}'  # noqa: S608 - constants
        )
        self._holder = holder
        self._unlogged = unlogged
        self.header: _core.WalHeader | None = None
        self.number = 0
        self.standing = _core.Standing(self.epoch, self.number)
        self._has_warned = False
        self.flushes = 0  # times that everything was dropped
        self._proven_at = UNKNOWN
        self._lock = threading.RLock()
        self._forget()
        renew_after_fork(self)
        rest_at_fork(self)
        self.catch_up(_core.now())

    def check(self, level: Level) -> None:
        """Every level can be kept."""

    def proven_at(self) -> float:
        """Now, if nothing changed; else when it was asked last."""
        signal = self._signal
        if signal is None:
            return UNKNOWN
        at = _core.now()
        try:
            return at if signal.is_unchanged() else self._proven_at
        except sqlite3.Error:
            return self._proven_at

    def catch_up(self, since: float) -> None:
        """Makes all copies current as of `since` or later; one thread asks for all that wait."""
        with self._lock:
            if self._proven_at < since and self.proven_at() < since:
                try:
                    self._catch_up()
                except sqlite3.Error as error:
                    message = f"{self._path} cannot be asked for its changes: {error}"
                    raise OriginUnavailableError(f"{message}; check that no process keeps it locked") from error

    def close(self) -> None:
        """Closes the connection; the next question opens another one."""
        with self._lock:
            connection = self._connection
            self._forget()
            if connection is not None:
                connection.close()

    def rest(self) -> None:
        """Closes the connection, as a child must not inherit one, and lets nobody in until the fork is over."""
        if self._lock.acquire(timeout=REST_SECONDS):
            self.close()
            self._resting = True

    def resume(self) -> None:
        """Lets others in again."""
        if self._resting:
            self._resting = False
            self._lock.release()

    def after_fork(self) -> None:
        """In the child nothing is known, and the parent's connection, if one was in use, is left alone."""
        if self._connection is not None:
            inherited.append(self._connection)
        self._lock = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        if self.header is not None:
            self.header.forget()
        self._connection: sqlite3.Connection | None = None
        self._signal: Signal | None = None
        self._files: tuple[FileId | None, FileId | None] = (None, None)
        self._mark: bytes | None = None  # when nothing was unexplained
        self._explained = False  # whether changes were noted since
        self._schema = -1
        self._resting = False

    def _catch_up(self) -> None:
        connection, signal = self._open()
        for _ in range(ATTEMPTS):
            at, mark = _core.now(), signal.mark()
            if mark is None or mark != self._mark:
                self._apply(connection)
            self._proven_at = at
            if mark is not None and mark == signal.mark():  # nobody committed while the log was read
                self._explain(mark)
                self.standing.tell(self.epoch, self.number)
                signal.know(mark, PULSE_SECONDS)
                return

    def _explain(self, mark: bytes) -> None:
        """Drops everything if somebody committed and noted nothing."""
        old, explained = self._mark, self._explained
        self._mark, self._explained = mark, False
        if old in {None, mark} or explained or self._unlogged == "ignore":
            return
        if self.header is None or not is_restart(old or b"", mark):
            if not self._has_warned:
                logger.warning(UNLOGGED, Path(self._path).name)
            self._has_warned = True
            self._flush()

    def _flush(self) -> None:
        self.flushes += 1
        self._holder.forget_all()

    def _apply(self, connection: sqlite3.Connection) -> None:
        """Tells what was noted since the last time."""
        connection.execute("BEGIN")
        try:
            schema = connection.execute("PRAGMA schema_version").fetchone()[0]
            changes = connection.execute(self._query, (self.number,)).fetchall()
            last = connection.execute(LAST).fetchone()
        finally:
            connection.execute("ROLLBACK")
        if schema != self._schema:
            install(connection, self._tables)  # triggers went with their tables, or were dropped
            self._flush()
        elif last is None or len(changes) > MOST_CHANGES or last[0] - self.number != len(changes):
            self._flush()  # so many changes that some are not there any more
        else:
            for _, table, *parts in changes:
                self._tell(table, parts)
        self._explained = self._explained or bool(changes) or schema != self._schema
        self._schema = connection.execute("PRAGMA schema_version").fetchone()[0] if schema != self._schema else schema
        self.number = 0 if last is None else last[0]

    def _tell(self, table: str, parts: Sequence[Any]) -> None:
        key = self._tables.get(table)
        if key is None:
            return
        values = tuple(parts[: len(key)])
        if values[0] is None:
            self._holder.forget_table(table)
        else:
            self._holder.forget(table, values[0] if len(values) == 1 else values)

    def _open(self) -> tuple[sqlite3.Connection, Signal]:
        """A connection to the file that the path leads to now."""
        shared = f"{self._path}-shm"
        files = file_id(self._path), file_id(shared)
        if self._connection is None or self._signal is None or files != self._files:
            self.close()
            self._connection = connection = connect(self._path)
            install(connection, self._tables)
            mapped = map_header(shared)
            self.header = None if mapped is None else mapped[0]
            self._signal = self.header or VersionSignal(connection)
            self._files = files = file_id(self._path), file_id(shared) if mapped is None else mapped[1]
            self.epoch = "sqlite:{}:{}".format(*(files[0] or (0, 0)))
            self._schema = connection.execute("PRAGMA schema_version").fetchone()[0]
            self.number = (connection.execute(LAST).fetchone() or (0,))[0]
            self._flush()
        return self._connection, self._signal


def connect(path: str) -> sqlite3.Connection:
    """A connection in WAL mode that has read the file, so that its shared memory is there.

    Raises:
        ConfigurationError: the file cannot be in WAL mode, or is kept by one process alone.
    """
    connection = sqlite3.connect(
        f"{Path(path).as_uri()}?mode=rw", uri=True, timeout=SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        mode = into_wal_mode(connection, SECONDS)
        if mode != "wal":
            raise ConfigurationError(f"{path} has journal mode {mode!r}; expected 'wal', which it refused")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
