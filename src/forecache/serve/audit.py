"""`Audit`: compares copies of this process with the database; a wrong one proves an error, and ends an epoch.

A beacon says that all transactions below a number are contained. A row that a transaction below it wrote, and that
differs from its copy, contradicts that; one that was written later does not, however much it differs. Numbers of
another past of the database do not compare: after a failover that lost commits they are given out again. So nobody is
accused before the epoch has proven something as of a moment after the row was looked at.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from forecache._core import now
from forecache.errors import ForecacheError
from forecache.forks import renew_after_fork
from forecache.serve.beacon_watch import BeaconWatch
from forecache.serve.copies import Copies
from forecache.serve.counts import Counts
from forecache.serve.flight import running_loop
from forecache.serve.origin import Key, Row, Table

__all__ = ["Audit", "Consistency"]

PAUSE_SECONDS: Final = 0.5  # between two rounds
MOST: Final = 4  # audits of a round, each of which asks the database once
AFTER_SECONDS: Final = 2.0  # after the end of a copy, within which the next one is audited
CONFIRM_SECONDS: Final = 2.0  # waited for a proof that accuses
CONFIRM_PAUSE_SECONDS: Final = 0.005  # between two looks whether it is there
END_SECONDS: Final = 2.0  # waited for an audit that runs when all is closed
QUANTILE: Final = 1.959964  # of 95 % of a normal distribution
MODULUS: Final = 2**32  # of the number of a transaction that a row bears
Named = tuple[str, Any]  # a table's name, and a key
logger = logging.getLogger("forecache")


@runtime_checkable
class Witness(Protocol):
    """A database that knows who wrote a row."""

    def with_writer(self, table: Table, key: Key) -> tuple[Row, int] | None:
        """A row and the number of the transaction that wrote it, out of one snapshot; None if there is none to see."""


class Consistency(NamedTuple):
    """How many audited copies kept their promise: the share, and bounds that hold it with 95 % confidence."""

    audited: int
    share: float
    low: float
    high: float

    @classmethod
    def of(cls, audited: int, violations: int) -> Consistency:
        """From counts; bounds as Wilson, JASA 22, 1927.

        >>> Consistency.of(10_000, 0).low > 0.9996
        True
        """
        if not audited:
            return cls(0, math.nan, 0.0, 1.0)
        share, square = 1 - violations / audited, QUANTILE**2
        centre = (share + square / (2 * audited)) / (1 + square / audited)
        variance = share * (1 - share) / audited + square / (4 * audited**2)
        spread = QUANTILE * math.sqrt(variance) / (1 + square / audited)
        return cls(audited, share, centre - spread, max(share, centre + spread))


class Audit:
    """A thread that compares copies that some hits were answered from, and copies of rows that were just written.

    It costs the database a bounded number of small queries a second, however many hits there are.
    """

    _thread: threading.Thread | None

    def __init__(
        self,
        origin: Witness,
        watch: BeaconWatch,
        copies: Copies,
        *,
        counts: Counts,
        tables: Mapping[str, Table],
        sampled: Callable[[], list[Named]] = list,
        seed: int = 0,
    ) -> None:
        """Does nothing before `start`.

        Args:
            origin: the database; whether it serves threads or tasks is its own business.
            watch: what vouches for the copies.
            copies: of this process.
            counts: of what is found.
            tables: by name.
            sampled: tells rows that hits were answered with since it was asked last, some of them.
            seed: of what is chosen where nobody reads.
        """
        self.tables = tables
        self._sampled = sampled
        self._ended: dict[Named, float] = {}  # rows whose copies ended lately, and until when the next is looked for
        self._origin, self._watch, self._copies, self._counts = origin, watch, copies, counts
        self._random = random.Random(seed)  # noqa: S311 - chooses copies
        self._stop, self._thread = threading.Event(), None
        renew_after_fork(self)

    def start(self) -> None:
        """Begins."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="forecache-audit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends, and waits for an audit that runs, unless that may wait for a loop of this thread."""
        self._stop.set()
        if self._thread is not None and running_loop() is None:
            self._thread.join(END_SECONDS)

    def after_fork(self) -> None:
        """The thread is not in the child."""
        if not self._stop.is_set():
            self.start()

    def check(self, name: str, key: Key) -> bool | None:
        """Whether the copy of a row kept its promise; None if that cannot be told now.

        Raises:
            OriginError: the database cannot be asked.
        """
        shard = self._watch.shard_of(name, key)
        epoch, contained = self._watch.epoch_of(shard), self._watch.contained  # before: the copy has this promise
        entry = self._copies.cache.peek((name, key))
        table = self.tables[name]
        if entry is None or not contained:
            return None
        seen = self._origin.with_writer(table, key)
        if seen is None:
            return None  # it is gone: nobody knows by whom
        row, writer = seen
        is_same = row == entry.value.row or repr(row) == repr(entry.value.row)  # not every value equals itself
        is_kept = is_same or not 0 < (contained - writer) % MODULUS < MODULUS // 2
        if not is_kept and not self._is_confirmed(shard, epoch, now()):
            return None  # the database may have another past than the one that was vouched for
        self._counts.add(audits=1, violations=not is_kept)
        if not is_kept:
            self._tell(name, key, contained, writer)
        return is_kept

    def _is_confirmed(self, shard: int, epoch: str, at: float) -> bool:
        """Whether the epoch goes on to vouch for copies after a moment."""
        until = at + CONFIRM_SECONDS
        while (confirmed := self._watch.confirms(shard, epoch, at)) is None and now() < until:
            if self._stop.wait(CONFIRM_PAUSE_SECONDS):
                return False
        return confirmed is True

    def _tell(self, name: str, key: Key, contained: int, writer: int) -> None:
        shard = self._watch.shard_of(name, key)
        logger.error(
            "a copy of a row of %s is older than was proven: transaction %d wrote it, and all below %d are contained; "
            "shard %d begins a new epoch. Its last events: %s",
            *(name, writer, contained, shard, self._watch.events(shard)),
        )
        self._copies.forget_all()
        self._watch.fence(shard)

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(PAUSE_SECONDS):
            for name, key in self._chosen():
                try:
                    if name in self.tables and not stop.is_set():
                        self.check(name, key)
                except ForecacheError:
                    break  # the database has other worries

    def _chosen(self) -> list[Named]:
        """Copies of rows that were written lately, of rows that were read, and one of all where there are none."""
        moment, cache = now(), self._copies.cache
        self._ended.update(dict.fromkeys(self._watch.take_dropped(), moment + AFTER_SECONDS))
        self._ended = {row: until for row, until in self._ended.items() if until >= moment}
        back = [row for row in self._ended if cache.peek(row) is not None][:MOST]
        for row in back:
            del self._ended[row]
        chosen = [*back, *self._sampled()][:MOST]
        if not chosen and (every := list(cache)):
            chosen = [self._random.choice(every)]
        return chosen
