"""`Reader`: what one process knows of one shard, and so how current its copies of that shard's rows are.

It decides, and does nothing: answers of the shard go in, effects come out, and time is an argument. Whoever runs it
asks the shard for its log again and again on a connection of its own, and carries the effects out in their order: what
ended is dropped before anything is proven of what is left.

    a gap in the log, another epoch, a log that is behind   drop all copies
    a proof                                                 counts requests of this connection to this server alone
    a copy from the shared tier                             may stay if it is of this epoch, its shard was not behind
                                                            us, and nothing ended it since it was asked for
    a row that is held                                      was written by a commit that cannot be seen yet: no copy of
                                                            it is made before its end
    a strong answer                                         may be given for some time after a request that is proven,
                                                            if the shard knew then that this process gives such
                                                            answers from rows of that table, and nothing is held that
                                                            we do not know
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from forecache.coherence.beacons.shard import Entry, Meta, Reading
from forecache.coherence.certificate import UNKNOWN
from forecache.coherence.changes import EVERY, Change

__all__ = ["Drop", "Effect", "Flush", "Prove", "Reader", "Ticket"]

CLOCK_ERROR: Final = 1e-3  # between the rates of two clocks, of which one may count the time that the other waits
RECORDS: Final = 64  # requests whose answers may still prove something: seconds of beacons
REMEMBERED: Final = 8_192  # changes; a load that began before the oldest of them is not kept
EVENTS: Final = 64  # kept for whoever asks why a copy was wrong
NEVER: Final[Mapping[str, float]] = {}


class Flush(NamedTuple):
    """Drop all copies, and whatever loads in flight may bring."""


class Drop(NamedTuple):
    """Drop copies, and whatever loads in flight may bring for them."""

    changes: tuple[Change, ...]


class Prove(NamedTuple):
    """All copies that are here are current as of a moment; minus infinity: nothing is known of those there were."""

    at: float
    beacon: int
    strong_until: Mapping[str, float] = NEVER  # by table, until when they answer strongly


Effect = Flush | Drop | Prove


class Ticket(NamedTuple):
    """What was known when a row was asked for."""

    epoch: str
    flushes: int
    position: int


class Reader:
    """The machine, for one shard."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.epoch = ""  # "" while none is known
        self.position = 0  # number of the last entry that was applied here
        self.proven_at = UNKNOWN  # all copies are current as of this moment
        self.beacon = 0  # that proved it
        self.xmin = 0  # all transactions below it that committed are contained
        self.strong_until: Mapping[str, float] = NEVER  # copies that are looked up before it may answer strongly
        self.held: set[Change] = set()
        self.connection = 0  # number of the connection that counts
        self.flushes = 0
        self.gaps = 0  # times that entries were missing
        self.events: deque[tuple[object, ...]] = deque(maxlen=EVENTS)  # the last, for whoever looks for an error
        self._history = ""
        self._known_since: dict[str, float] = {}  # by table: requests since then told that we read it strongly
        self._begun_at = 0  # position at which we began, and what was held before is not known here
        self._begun: list[int] = []  # numbers of beacons that had begun, rising;
        self._asked_at: list[float] = []  # and the latest moment at which was asked with this answer
        self._ended: dict[Change, int] = {}  # numbers of the entries that ended copies last
        self._horizon = 0  # entries up to this number may be forgotten there

    def connected(self) -> int:
        """There is a new connection: what was counted on another proves nothing here."""
        self.connection += 1
        self._forget_records("")
        self.events.append(("connected", self.connection))
        return self.connection

    def polled(
        self, connection: int, sent_at: float, reading: Reading, entries: Sequence[Entry], *, known: Iterable[str] = ()
    ) -> list[Effect]:
        """The shard answered with its state and its log.

        Args:
            connection: on which it was asked, as `connected` said.
            sent_at: moment before the request was sent.
            reading: the shard's state.
            entries: of its log after `position`, in order; maybe not all of them.
            known: tables whose commits can be seen only when we have dropped their rows, as the shard knows now.
        """
        if connection != self.connection:
            return []
        self.events.append(("polled", sent_at, reading, len(entries)))
        meta = reading.meta
        if meta is None:
            return self._begin(reading, "", 0) if self.epoch else []
        if reading.history != self._history:
            self._forget_records(reading.history)
        if meta.epoch != self.epoch:
            effects = self._begin(reading, meta.epoch, meta.last)
        elif meta.last < self.position or not self._follows(meta, entries):
            self.gaps += 1
            effects = self._begin(reading, meta.epoch, meta.last)
        else:
            effects = [self._apply(entry) for entry in entries]
        self._record(meta.begun, sent_at)
        self._known_since = {table: min(self._known_since.get(table, math.inf), sent_at) for table in known}
        if self.position == meta.last:
            effects += self._prove(meta)
        return effects

    def heard(self, epoch: str, entry: Entry) -> list[Effect]:
        """Somebody told an entry of the log before we asked; it counts if it is the next."""
        if epoch != self.epoch or entry.number != self.position + 1:
            return []
        return [self._apply(entry)]

    def contains(self, epoch: str, entry: Entry) -> bool:
        """Whether an entry of an epoch's log was applied here, or is told by what was."""
        return epoch == self.epoch and entry.number <= self.position

    def proven(self, reading: Reading) -> float:
        """The moment as of which a value is current that came with a state of the shard; minus infinity if unknown."""
        meta = reading.meta
        if meta is None or meta.epoch != self.epoch or reading.history != self._history:
            return UNKNOWN
        return self._proof(meta.done)

    def holds(self, change: Change) -> bool:
        """Whether no copy of a row may be made now."""
        return bool(self.held) and (change in self.held or Change(change.table, EVERY) in self.held)

    def ticket(self) -> Ticket:
        """To be taken before a row is asked for."""
        return Ticket(self.epoch, self.flushes, self.position)

    def may_keep(self, ticket: Ticket, change: Change, reading: Reading | None) -> bool:
        """Whether a row that was asked for with a ticket may stay here.

        Args:
            ticket: taken before it was asked for.
            change: its table and key.
            reading: that came with it from the shared tier; None if it was read from the database.
        """
        if not self.epoch or ticket.epoch != self.epoch or ticket.flushes != self.flushes or self.holds(change):
            return False
        if reading is not None:
            meta = reading.meta
            if meta is None or meta.epoch != self.epoch or meta.last < self.position:
                return False
        ended = max(self._ended.get(change, 0), self._ended.get(Change(change.table, EVERY), 0))
        return ticket.position >= max(ended, self._horizon)

    def _follows(self, meta: Meta, entries: Sequence[Entry]) -> bool:
        """Whether the entries continue where we are."""
        if not entries:
            return meta.last == self.position
        return all(entry.number == self.position + at for at, entry in enumerate(entries, 1))

    def _begin(self, reading: Reading, epoch: str, position: int) -> list[Effect]:
        """Forgets everything, and goes on at the end of the log."""
        if epoch != self.epoch:
            self._forget_records(reading.history)
        self.epoch, self.position = epoch, position
        self.proven_at, self.beacon, self.xmin = UNKNOWN, 0, 0
        self.strong_until, self._known_since, self._begun_at = NEVER, {}, position
        self.held.clear()
        self.flushes += 1
        self._ended.clear()
        self._horizon = position
        self.events.append(("flushed", epoch, position))
        return [Prove(UNKNOWN, 0), Flush()]

    def _apply(self, entry: Entry) -> Effect:
        self.position = entry.number
        changes = (*entry.changes, *entry.held)
        for change in changes:
            self._ended.pop(change, None)  # to the end: the oldest come first
            self._ended[change] = entry.number
        self.held.difference_update(entry.changes)
        self.held.update(entry.held)
        while len(self._ended) > REMEMBERED:
            oldest = next(iter(self._ended))
            self._horizon = self._ended.pop(oldest)
        self.events.append(("applied", entry))
        return Drop(changes)

    def _prove(self, meta: Meta) -> list[Effect]:
        """What the last beacon that ended proves."""
        at, was = self._proof(meta.done), (self.proven_at, self.strong_until)
        if at > self.proven_at:
            self.proven_at, self.beacon, self.xmin = at, meta.done, meta.xmin
        if not meta.term:
            self.strong_until = NEVER
        elif meta.settled >= self._begun_at:
            until = at + meta.term / 1000 * (1 - CLOCK_ERROR)
            granted = [table for table, since in self._known_since.items() if at >= since]
            now = {table: max(until, self.strong_until.get(table, UNKNOWN)) for table in granted}
            self.strong_until = {**self.strong_until, **now}
        if was == (self.proven_at, self.strong_until):
            return []
        return [Prove(self.proven_at, self.beacon, self.strong_until)]

    def _record(self, begun: int, sent_at: float) -> None:
        if self._begun and self._begun[-1] == begun:
            self._asked_at[-1] = max(sent_at, self._asked_at[-1])
            return
        self._begun.append(begun)
        self._asked_at.append(sent_at)
        if len(self._begun) > RECORDS:
            del self._begun[0], self._asked_at[0]

    def _proof(self, done: int) -> float:
        """The latest moment at which was asked before beacon `done` began."""
        at = bisect_left(self._begun, done)
        return self._asked_at[at - 1] if at else UNKNOWN

    def _forget_records(self, history: str) -> None:
        self._history = history
        self._known_since = {}
        self._begun.clear()
        self._asked_at.clear()
