"""`Marks`: commits that are held back in one shard until no process may answer with what was there before.

A commit that waits for its synchronous standby is in the log, and nobody sees it. It is noted in the shard, and then it
may be seen when each process that answers strongly from its copies has dropped those rows, and holds them: or when so
much time has passed that whatever such a process could prove before is over.

    a mark           its answer lists who answers strongly, and from copies of which tables: all who were granted that
                     in this epoch, and are not gone for a term. It waits for those who name one of its tables
    the term         seconds from a request; what the request proved allows no strong answer after it
    before an epoch  others may have been granted it, elsewhere; their term runs from the moment when that ended
    an idle table    nobody reads it strongly, and what was ever granted for it is over: commits to idle tables are not
                     marked, and wait for nobody. Whoever is to be granted it must be in the list, with the table,
                     before the beacon begins that does so; when it has begun, what is still held of the table is
                     marked, and what comes from then on is marked and waits
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from itertools import takewhile
from math import inf
from typing import Final, NamedTuple

from forecache.coherence.beacons.pending import Pending
from forecache.coherence.beacons.tables import NONE, Record, Tables, meet
from forecache.coherence.changes import Change, Every

__all__ = ["TERM_SECONDS", "Marks"]

TERM_SECONDS: Final = 0.25  # some beacons; and a commit waits as long for a process that is gone, and at a takeover

ROLL_SECONDS: Final = 0.02  # after which those who were not heard of are looked for in the shard


class Held(NamedTuple):
    """What a commit wrote that cannot be seen."""

    changes: tuple[Change, ...]
    tables: Tables
    number: int = 0  # of its mark; 0 before it is sent


class Sent:
    """A mark in this epoch."""

    def __init__(self, number: int, waiting: tuple[Pending, ...], tables: Tables) -> None:
        """Not answered."""
        self.number, self.waiting, self.tables = number, waiting, tables
        self.is_answered = False
        self.at = inf  # some moment after it was answered
        self.left: set[str] = set()  # readers that have not applied it


class Marks:
    """Of one shard; moments are those of `tick`, which are later than what they stand for."""

    def __init__(self, term: float) -> None:
        """Nothing is held.

        Args:
            term: seconds; 0 if commits do not wait.
        """
        self.term = term
        self.expelled: list[tuple[str, str]] = []  # readers that need not be waited for any more
        self._held: dict[Pending, Held] = {}
        self._counts = Counter[Change]()
        self._waiting: dict[Pending, None] = {}
        self._sent: deque[Sent] = deque()
        self._positions: dict[str, int] = {}  # of readers, as they told
        self._records: dict[str, tuple[str, float]] = {}  # of readers, since some moment; those told last are last
        self._wished = NONE  # tables that were named in the list when the last beacon began
        self._vouched: dict[str | Every, float] = {}  # tables granted in this epoch; some moment after the last time
        self._is_over = True
        self._before_at = inf  # some moment after the last grant in any earlier epoch
        self._settled = False  # such grants are over
        self._rolled_at = -inf

    def holds(self, change: Change) -> bool:
        """Whether a commit holds it that cannot be seen."""
        return self._counts[change] > 0

    @property
    def is_wished(self) -> bool:
        """Whether somebody was in the list when the last beacon began."""
        return bool(self._wished)

    def is_idle(self, tables: Tables) -> bool:
        """Whether nobody answers strongly from any of the tables, and nobody will before what is held is marked."""
        return self._settled and not meet(tables, self._wished.union(self._vouched))

    def hold(self, pending: Pending, changes: tuple[Change, ...]) -> None:
        """A commit cannot be seen, and must not be yet unless all its tables are idle."""
        held = self._held[pending] = Held(changes, frozenset(change.table for change in changes))
        self._counts.update(changes)
        if not self.is_idle(held.tables):
            pending.open += 1
            self._waiting[pending] = None

    def to_mark(self) -> list[tuple[Pending, tuple[Change, ...]]]:
        """What is held, and not marked in this epoch, but is to be: whole commits, also if some tables are idle."""
        unmarked = [(pending, held) for pending, held in self._held.items() if not held.number]
        return [(pending, held.changes) for pending, held in unmarked if not self.is_idle(held.tables)]

    def marked(self, number: int, waiting: Iterable[Pending]) -> None:
        """A mark was sent for commits."""
        waiting = tuple(waiting)
        for pending in waiting:
            self._held[pending] = self._held[pending]._replace(number=number)
        self._sent.append(Sent(number, waiting, NONE.union(*(self._held[pending].tables for pending in waiting))))

    def let_go(self, pending: Pending) -> None:
        """A commit can be seen, whether it waited or not."""
        for change in self._held.pop(pending, NOTHING).changes:
            self._counts[change] -= 1
            if not self._counts[change]:
                del self._counts[change]
        self._end((pending,))

    def vouch(self, last: int) -> int:
        """Whoever learns of the beacon that is ended now may answer strongly.

        Returns:
            The entry up to which nothing is held any more that one of them held; `last` if nothing is held.
        """
        self._vouched.update(dict.fromkeys(self._wished, inf))
        return min((held.number - 1 for held in self._held.values() if held.number), default=last)

    def wished(self, readers: Mapping[str, str]) -> None:
        """A beacon began, and these read strongly then; what is held of their tables is to be marked before it ends."""
        self._wished = NONE.union(*(Record.parse(record).tables for record in readers.values()))
        self._records = {name: known for name, known in self._records.items() if name in readers}
        self.rolled(readers)

    def answered(self, readers: Mapping[str, str]) -> None:
        """The first mark without an answer got it: who reads strongly, as the shard has noted it."""
        for sent in self._sent:
            if not sent.is_answered:
                sent.is_answered = True
                sent.left = {name for name, each in readers.items() if meet(Record.parse(each).tables, sent.tables)}
                break
        self.rolled(readers)

    def rolled(self, readers: Mapping[str, str]) -> None:
        """So far are those who read strongly."""
        for name, record in readers.items():
            if self._records.get(name, ("", inf))[0] != record:
                self._records.pop(name, None)
                self._records[name] = record, inf
            self.applied(name, Record.parse(record).position)
        self._resolve(-inf)

    def applied(self, reader: str, position: int) -> None:
        """A reader has dropped and holds everything up to an entry."""
        known = self._positions[reader] = max(position, self._positions.get(reader, 0))
        for sent in self._sent:
            if sent.number <= known:
                sent.left.discard(reader)
        self._resolve(-inf)

    def tick(self, now: float) -> bool:
        """Time passed; whether readers should be looked for."""
        if self._is_over and self._before_at == inf:
            self._before_at = now
        self._settled = now >= self._before_at + self.term
        vouched = {table: min(at, now) for table, at in self._vouched.items()}
        self._vouched = {table: at for table, at in vouched.items() if now < at + self.term}
        self._end([pending for pending in self._waiting if self.is_idle(self._held[pending].tables)])
        for sent in self._sent:
            if sent.is_answered and sent.at == inf:
                sent.at = now
        self._resolve(now)
        self._strike(now)
        if not any(sent.left for sent in self._sent) or now < self._rolled_at + ROLL_SECONDS:
            return False
        self._rolled_at = now
        return True

    def forsake(self) -> None:
        """The epoch is over: what is held has to be marked again in the next."""
        if self._vouched:
            self._is_over, self._before_at, self._settled = True, inf, False
            self._vouched.clear()
        self._held = {pending: held._replace(number=0) for pending, held in self._held.items()}
        self._wished = NONE
        self._sent.clear()
        self._positions.clear()
        self._records.clear()
        self.expelled.clear()

    def without_shard(self, now: float) -> None:
        """Time passed while nobody can be told anything: nobody is granted anything either."""
        self.tick(now)
        if self._settled:
            self._end(tuple(self._waiting))

    def forget(self) -> None:
        """What was held will be told again."""
        self.forsake()
        self._held.clear()
        self._counts.clear()
        self._waiting.clear()
        self._is_over, self._before_at, self._settled = True, inf, False

    def taken(self, at: float) -> None:
        """All that was granted by others was for requests before a moment."""
        self._before_at = at

    def _strike(self, now: float) -> None:
        """Readers of whom the shard has heard nothing for a term need not be waited for: what they proved is over."""
        for name, (record, at) in reversed(self._records.items()):
            if at < inf:
                break
            self._records[name] = record, now
        gone = takewhile(lambda known: now >= known[1][1] + self.term, self._records.items())
        for name, (record, _) in list(gone):
            del self._records[name]
            self.expelled.append((name, record))

    def _resolve(self, now: float) -> None:
        """Ends the waiting of commits whose marks have done their work."""
        while self._sent and self._sent[0].is_answered:
            sent = self._sent[0]
            if now < sent.at + self.term and (sent.left or not self._settled):
                break
            self._end(sent.waiting)
            self._sent.popleft()

    def _end(self, waiting: Iterable[Pending]) -> None:
        for pending in waiting:
            if pending in self._waiting:
                del self._waiting[pending]
                pending.open -= 1


NOTHING: Final = Held((), NONE)
