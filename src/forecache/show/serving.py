"""One process of the demo on servers: it takes requests in turn, answers them through its cache, and tells of it.

A request is parsed; a read is answered by this process, the shared tier or the database, and a write commits.
Each product is written by one process, in growing versions, so that every answer can be checked by those it was told.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import threading
import time
from array import array
from collections import Counter
from collections.abc import MutableSequence, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import forecache
from forecache import Database
from forecache.errors import ForecacheError, OriginError, OutcomeUnknownError
from forecache.serve.counts import DatabaseStats
from forecache.serve.rows import Rows
from forecache.show.service import REQUEST

__all__ = ["READY", "TABLE", "Done", "Note", "Tick", "Work", "serve"]

TABLE: Final = "product"
TICK_SECONDS: Final = 0.5
LATEST_SECONDS: Final = 0.05  # that requests are sent sooner, one after another, to make up for what was slow
TIMEOUT: Final = "1s"  # of the database
MILLI_BITS: Final = 24  # of a moment in milliseconds, beside the version: four hours
logger = logging.getLogger("forecache")


@dataclass(frozen=True)
class Work:
    """What one process does."""

    number: int  # of the process, from 0
    processes: int
    source: str  # URL of the database
    requests: Sequence[str]
    rate: float  # requests a second
    oldest: float  # seconds that no answer may be older than
    settings: dict[str, Any] = field(default_factory=dict)  # of `forecache.open`


class Note(NamedTuple):
    """A line of the log of a process."""

    text: str


class Tick(NamedTuple):
    """What a process did in a while."""

    began: float  # seconds of `time.monotonic`, which all processes of a machine share
    ended: float
    counts: dict[str, int]  # of the database's cache
    reads: int
    writes: int
    failures: dict[str, int]  # by the kind of their error; reads and writes
    seconds: bytes  # that each read took: 32-bit floating numbers
    behind: int  # answers older than some commit that another process had been acknowledged before
    oldest: float  # seconds since that commit, at most
    too_old: int  # answers older than their level allows; none, if all is well
    forgotten: int  # answers older than a commit of this very process; none, if all is well


class Done(NamedTuple):
    """What must be in the database at the end."""

    acknowledged: dict[int, int]  # versions by product
    unknown: dict[int, list[int]]  # versions that were, or were not, committed


READY: Final = Note("ready")


def packed(version: int, moment: float) -> int:
    """A version and when it was acknowledged, as one number that is written at once."""
    return version << MILLI_BITS | math.ceil(moment * 1000)


def serve(work: Work, pipe: Connection, latest: MutableSequence[int]) -> None:
    """The life of a process; `latest` are versions that were acknowledged, by product, for all processes to see."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us ends us
    told = Told(pipe)
    logger.addHandler(told)
    with suppress(EOFError, ConnectionError):
        try:
            database = forecache.open(work.source, [TABLE], timeout=TIMEOUT, **work.settings)
        except ForecacheError as error:
            told.send(Note(str(error)))
            return
        with database:
            told.send(READY)
            began = pipe.recv()
            if began is None:  # it ends before it began
                return
            work_through(work, Desk(work, database[TABLE], latest, began), database, told)
            pipe.recv()  # others may still need what it postponed


def work_through(work: Work, desk: Desk, database: Database, told: Told) -> None:
    """Handles the requests at their rate."""
    before, due = database.stats(), desk.started
    for request in work.requests:
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due, time.monotonic() - LATEST_SECONDS) + 1 / work.rate
        desk.handle(request)
        if time.monotonic() - desk.began >= TICK_SECONDS:
            before = told.tick(desk, database.stats(), before)
    told.tick(desk, database.stats(), before)
    told.send(Done(desk.acknowledged, desk.unknown))


class Desk:
    """Answers requests, and keeps account."""

    def __init__(self, work: Work, rows: Rows, latest: MutableSequence[int], started: float) -> None:
        """Begins at a moment that all processes share."""
        self.started = started
        self.acknowledged: dict[int, int] = {}
        self.unknown: dict[int, list[int]] = {}
        self._rows, self._latest = rows, latest
        self._number, self._processes, self._oldest = work.number, work.processes, work.oldest
        self.clear()

    def clear(self) -> None:
        """A new account."""
        self.began = time.monotonic()
        self.reads = self.writes = self.behind = self.too_old = self.forgotten = 0
        self.oldest = 0.0
        self.seconds = array("f")
        self.failures: Counter[str] = Counter()

    def handle(self, request: str) -> bytes:
        """The answer to a request, as JSON."""
        parts = REQUEST.fullmatch(request)
        if parts is None:
            return b'{"error": "not understood"}'
        product = int(parts[2])
        try:
            return self._read(product) if parts[3] is None else self._write(product, int(parts[3]))
        except OriginError as error:
            self.failures[type(error).__name__] += 1
            return json.dumps({"error": type(error).__name__}).encode()

    def _read(self, product: int) -> bytes:
        self.reads += 1
        began = time.monotonic()
        row = self._rows.get(product)
        answer = json.dumps(row).encode()
        self.seconds.append(time.monotonic() - began)
        self._check(product, row["price"], began - self.started)
        return answer

    def _write(self, product: int, version: int) -> bytes:
        self.writes += 1
        try:
            self._rows.update(product, {"price": version})
        except OutcomeUnknownError:
            self.unknown.setdefault(product, []).append(version)
            raise
        self.acknowledged[product] = version
        self._latest[product] = packed(version, time.monotonic() - self.started)
        return json.dumps({"id": product, "price": version}).encode()

    def _check(self, product: int, version: int, began: float) -> None:
        """Whether an answer is older than what was acknowledged before its read began."""
        if product % self._processes == self._number:
            self.forgotten += version < self.acknowledged.get(product, 0)
            return
        known = self._latest[product]
        age = began - (known & (1 << MILLI_BITS) - 1) / 1000
        if version < known >> MILLI_BITS and age > 0:
            self.behind += 1
            self.too_old += age > self._oldest
            self.oldest = max(self.oldest, age)


class Told(logging.Handler):
    """Tells the process that started this one."""

    def __init__(self, pipe: Connection) -> None:
        """By a pipe."""
        super().__init__(logging.WARNING)
        self._pipe = pipe
        self._sending = threading.Lock()

    def send(self, message: object) -> None:
        """Sends a message."""
        with self._sending:
            self._pipe.send(message)

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a line of the log."""
        self.send(Note(record.getMessage()))

    def tick(self, desk: Desk, now: DatabaseStats, before: DatabaseStats) -> DatabaseStats:
        """Sends the account, and begins a new one."""
        counts, told = asdict(now - before), (desk.reads, desk.writes, dict(desk.failures), desk.seconds.tobytes())
        self.send(
            Tick(desk.began, time.monotonic(), counts, *told, desk.behind, desk.oldest, desk.too_old, desk.forgotten)
        )
        desk.clear()
        return now
