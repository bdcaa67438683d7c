"""Drain: moves what a recorder holds to files, in a thread of its own."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from forecache import _core
from forecache.forks import renew_after_fork
from forecache.record.columnfile import ColumnFile

__all__ = ["Counts", "Drain", "Limits"]

SUFFIX: Final = ".parquet"
UNFINISHED: Final = ".part"  # added to the name of a file that is still written
ABANDONED_SECONDS: Final = 86_400.0  # age after which an unfinished file has no writer any more
CLOSE_SECONDS: Final = 30.0  # what an exit waits at most for a disk that does not answer
logger = logging.getLogger("forecache")


class Limits(NamedTuple):
    """When files end, and when they go."""

    file_bytes: int
    total_bytes: int
    flush_seconds: float


@dataclass(slots=True)
class Counts:
    """What became of drained accesses in this process."""

    written: int = 0  # accesses in finished files
    lost: int = 0  # accesses that could not be written
    files: int = 0
    bytes: int = 0
    error: str | None = None  # of the last attempt to write; None if it succeeded


class Drain:
    """Writes one recorder's accesses to one directory.

    The thread starts with the first access, so that neither a process that only forks nor a child that never uses
    the cache has one. What the recorder calls, `wake`, may interrupt any code, itself included.
    """

    def __init__(
        self, directory: Path, limits: Limits, recorder: Callable[[Callable[[], None]], _core.Recorder]
    ) -> None:
        """Drains the recorder that `recorder` makes, given what is to be called when it wants to be drained."""
        self.directory = directory
        self.metadata: Mapping[str, Any] = {}
        self.followed: Callable[[], _core.Store[Any, Any] | None] = lambda: None
        self._limits = limits
        self.recorder = recorder(self.wake)
        self._begin()
        renew_after_fork(self)

    def _begin(self) -> None:
        self.counts = Counts()
        self.node = secrets.randbits(64)
        self._signals: SimpleQueue[None] = SimpleQueue()  # its `put` may interrupt itself, which no lock's may
        self._lock = threading.Lock()  # guards the file and the counts
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._file: ColumnFile | None = None
        self._span = (0, 0)
        self._closed = False

    def wake(self) -> None:
        """Has the recorder drained soon."""
        self._signals.put(None)
        if self._thread is None and not self._closed and self._starting.acquire(blocking=False):
            try:
                self._start()
            finally:
                self._starting.release()

    def flush(self) -> None:
        """Writes what was recorded so far, and finishes the file."""
        with self._lock:
            self._step(ends_file=True)

    def close(self) -> None:
        """Records nothing more, and writes what was recorded."""
        self.recorder.close()
        self._closed = True
        self._signals.put(None)
        thread = self._thread
        if thread is None:
            self.flush()
        elif thread is not threading.current_thread():
            thread.join(CLOSE_SECONDS)
            if thread.is_alive():
                logger.warning("access log in %s: not closed after %.0f s", self.directory, CLOSE_SECONDS)

    def after_fork(self) -> None:
        """In a child: what was recorded is the parent's to write, the open file too."""
        if self._file is not None:
            self._file.abandon()
        closed = self._closed
        self.recorder.reset()
        self._begin()
        self._closed = closed

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="forecache-log", daemon=True)
        with suppress(RuntimeError):  # the interpreter is ending: `close` will write
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        due = time.monotonic() + self._limits.flush_seconds
        while not self._closed:
            with suppress(Empty):
                self._signals.get(timeout=max(0.0, due - time.monotonic()))
            is_due = time.monotonic() >= due
            with self._lock:
                self._step(ends_file=is_due)
            if is_due:
                due = time.monotonic() + self._limits.flush_seconds
        self.flush()

    def _step(self, *, ends_file: bool) -> None:
        """Drains the recorder into the file; a failure is counted, and the next step begins a new file."""
        rows, span, columns = self.recorder.drain()
        try:
            if rows:
                self._append(rows, span, columns)
                rows = 0
            if self._file is not None and (ends_file or self._file.size >= self._limits.file_bytes):
                self._finish(self._file)
        except Exception as error:  # noqa: BLE001 - nobody waits here; a thread that ends would stop the log for ever
            self._fail(error, rows)

    def _append(self, rows: int, span: tuple[int, int], columns: dict[str, bytes]) -> None:
        if self._file is None:
            name = f"access-{span[0]:013d}-{self.node:016x}-{self.counts.files:06d}{SUFFIX}"
            self.directory.mkdir(parents=True, exist_ok=True)
            self._file = ColumnFile(self.directory / f"{name}{UNFINISHED}")
            self._span = span
        columns["node"] = self.node.to_bytes(8, "little") * rows
        self._file.append(rows, span, columns)
        self._span = (self._span[0], span[1])

    def _finish(self, file: ColumnFile) -> None:
        """Makes the file durable, and only then gives it its name."""
        losses = {"dropped": self.recorder.dropped, "unrecordable": self.recorder.unrecordable}
        cache = self.followed()
        learned = {} if cache is None else {"timetable": cache._timetable()}
        span = {"lost": self.counts.lost, "span": self._span, "rows": file.rows}
        file.finish({**self.metadata, **learned, **losses, **span})
        os.replace(file.path, file.path.with_suffix(""))
        self._file = None
        counts = self.counts
        counts.written, counts.files, counts.bytes = (
            counts.written + file.rows,
            counts.files + 1,
            counts.bytes + file.size,
        )
        sync(self.directory)
        retain(self.directory, self._limits.total_bytes)
        if counts.error is not None:
            logger.info("access log in %s: written again", self.directory)
            counts.error = None

    def _fail(self, error: Exception, rows: int) -> None:
        """Counts rows as lost, those in the file too; says so once until writing succeeds again."""
        file, self._file = self._file, None
        if file is not None:
            file.abandon()
            with suppress(OSError):
                file.path.unlink()
        self.counts.lost += rows + (file.rows if file is not None else 0)
        if self.counts.error is None:
            logger.warning("access log in %s: not written, accesses are lost: %s", self.directory, error)
        self.counts.error = f"{type(error).__name__}: {error}"


def sync(directory: Path) -> None:
    """Makes the names in a directory durable, where the system can."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def retain(directory: Path, most_bytes: int) -> None:
    """Removes the oldest finished files beyond `most_bytes`, but the last one, and what crashed writers left.

    Several processes may do so at once.
    """
    found = [(path, status) for path in directory.glob(f"access-*{SUFFIX}*") if (status := status_of(path))]
    total = sum(status.st_size for _, status in found)
    finished = sorted((path, status.st_size) for path, status in found if path.suffix == SUFFIX)
    for path, size in finished[:-1]:
        if total <= most_bytes:
            break
        total -= size
        path.unlink(missing_ok=True)
    for path, status in found:
        if path.suffix == UNFINISHED and time.time() - status.st_mtime > ABANDONED_SECONDS:
            path.unlink(missing_ok=True)


def status_of(path: Path) -> os.stat_result | None:
    """Size and age of a file; None if it has gone meanwhile."""
    try:
        return path.stat()
    except OSError:
        return None
