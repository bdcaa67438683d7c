"""Warm start: a process leaves a list of its hottest keys, and the next one loads their rows before anybody asks.

The list holds keys and what the policy learned, never values: rows come from the database, so nothing old is served.
Hazelcast's near cache stores its keys in the same way: Hazelcast Platform manual, "Near Cache Preloader".
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from forecache.errors import ForecacheError, ModelError, OriginUnavailableError
from forecache.forks import renew_after_fork
from forecache.serve.copies import Copies
from forecache.serve.origin import Key
from forecache.serve.warmfile import MOST_KEYS, WarmList, read_list, write_list

__all__ = ["Warmth"]

SAVE_SECONDS: Final = 60.0  # between two lists: what a killed process loses
BATCHES: Final = 10  # a second
LARGEST_BATCH: Final = 500  # rows of one query: some milliseconds
PATIENCE: Final = 5.0  # seconds until a database that cannot be asked is asked again
CLOSE_SECONDS: Final = 5.0  # what an exit waits for a query that runs
LOOKED_AT: Final = 256  # keys at once, so that nobody waits long for the interpreter
logger = logging.getLogger("forecache")

Load = Callable[[str, list[Key]], object]
Pair = tuple[str, Key]


class Pace(NamedTuple):
    """How fast, and how many."""

    rows: int  # a second, at most
    useful: Callable[[], float]  # seconds that a row is of use without being asked for: infinite while kept current
    pause: float = 0.0  # seconds before the first row, in which it turns out whether copies are kept current


class Warmth:
    """Loads the keys of the list that is there, then leaves a new one every minute and at the end.

    It runs in a thread of its own, which begins with `start`, or in a child process with the first read: a process that
    only forks has none. Whatever goes wrong is a line in the log, and never reaches who uses the cache.
    """

    def __init__(self, path: Path, pace: Pace, copies: Copies, tables: Container[str], load: Load) -> None:
        """Reads the list.

        Args:
            path: of the file.
            pace: of loading.
            copies: whose keys are listed.
            tables: names of those whose keys are of use.
            load: brings rows of a table, where there are no copies of them yet.
        """
        self._path = path
        self._pace = pace
        self._copies = copies
        self._load = load
        self._is_writable = True
        self._thread: threading.Thread | None = None
        self._before = self._read(tables)  # the list of the process before, or the last one of this
        self._begin()
        renew_after_fork(self)
        living.add(self)

    def start(self) -> None:
        """Begins, unless it has begun or ended."""
        with self._lock, suppress(RuntimeError):  # the interpreter is ending
            if self._thread is None and not self._ended.is_set():
                arguments = weakref.ref(self), self._ended, self._pace.pause if self._left else SAVE_SECONDS
                thread = threading.Thread(target=serve, args=arguments, name="forecache-warm", daemon=True)
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """Leaves a list, and ends."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._thread is not None:  # whoever never began has nothing to leave
            self._thread.join(CLOSE_SECONDS)
            self.save()

    def after_fork(self) -> None:
        """A child begins with the same list, once it reads."""
        has_ended = self._ended.is_set()
        self._begin()
        if has_ended:
            self._ended.set()

    def save(self) -> None:
        """Replaces the list: what is here, those needed soonest first, and then, no shorter than before, what was."""
        cache = self._copies.cache
        with self._lock:
            keys = dict.fromkeys(hottest(cache))
            for pair in self._before.keys:
                if len(keys) >= len(self._before.keys):
                    break
                keys.setdefault(pair)
            self._before = WarmList(tuple(keys)[:MOST_KEYS], cache._lore() or self._before.lore)
            try:
                write_list(self._path, self._before)
                self._is_writable = True
            except OSError as error:
                if self._is_writable:
                    logger.warning("warm start: %s cannot be written (%s)", self._path, error.strerror or error)
                self._is_writable = False

    def step(self) -> float:
        """Does what is due, and says after how many seconds it goes on."""
        if self._left:
            return self._load_some()
        self.save()
        return SAVE_SECONDS

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = None
        self._left: list[Pair] = list(self._before.keys)[::-1]
        self._loaded = 0

    def _read(self, tables: Container[str]) -> WarmList:
        try:
            found = read_list(self._path)
        except FileNotFoundError:
            return WarmList()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            logger.warning("warm start: %s is not used, the cache begins cold: %s", self._path, reason)
            return WarmList()
        cache = self._copies.cache
        if found.lore and cache.learning() is not None and cache._log is None:  # who is recorded begins as replays do
            try:
                cache._go_on(found.lore)
            except ModelError as error:  # another version, or another model, than when it was learned
                logger.info("warm start: %s: the policy begins anew: %s", self._path, error)
        return found._replace(keys=tuple(pair for pair in found.keys if pair[0] in tables))

    def _load_some(self) -> float:
        """One query for each table; a database that cannot be asked is left alone for a while."""
        if not self._pace.useful():
            self._left.clear()
            return SAVE_SECONDS
        count = max(1, min(LARGEST_BATCH, self._pace.rows // BATCHES))
        batch, tables = self._left[-count:][::-1], dict[str, list[Key]]()
        for table, key in batch:
            tables.setdefault(table, []).append(key)
        try:
            for table, keys in tables.items():
                self._load(table, keys)
        except OriginUnavailableError:
            return PATIENCE
        except ForecacheError as error:  # a table or a key is not what it was
            logger.info("warm start: %d rows are not loaded: %s", len(batch), error)
        del self._left[-count:]
        self._loaded += len(batch)
        is_old = self._loaded >= self._pace.rows * self._pace.useful()  # the first row, when the last one is there
        if is_old or self._copies.cache.weight >= self._copies.cache.capacity:
            self._left.clear()  # more would only drive out what is here
        if not self._left:
            logger.info("warm start: %d rows of %s were looked at, the hottest first", self._loaded, self._path)
        return len(batch) / self._pace.rows


living: Final[weakref.WeakSet[Warmth]] = weakref.WeakSet()


@atexit.register
def close_all() -> None:
    """Whoever ends without closing leaves a list as well."""
    for warmth in list(living):
        warmth.close()


def hottest(cache: Any) -> list[Pair]:
    """The keys of a cache in the order in which its policy believes that they are needed."""
    keys: list[Pair] = list(cache)
    waits: list[float] = []
    for start in range(0, len(keys), LOOKED_AT):
        waits += cache._foresee(keys[start : start + LOOKED_AT])
    return [keys[at] for at in sorted(range(len(keys)), key=waits.__getitem__)]


def serve(ref: weakref.ref[Warmth], ended: threading.Event, pause: float) -> None:
    """The thread, which begins after a pause; it ends with the cache that it serves."""
    while not ended.wait(pause):
        warmth = ref()
        if warmth is None:
            return
        try:
            pause = warmth.step()
        except Exception:
            logger.exception("warm start: it ends here; the cache goes on")
            return
        del warmth
