"""`Marks`: commits that are held back in one shard until no process may answer with what was there before.

A commit that waits for its synchronous standby is in the log, and nobody sees it. It is noted in the shard, and then it
may be seen when each process that answers strongly from its copies has dropped those rows, and holds them: or when so
much time has passed that whatever such a process could prove before is over.

    a mark           its answer lists who answers strongly: all who were granted that in this epoch, and not expelled
    the term         seconds from a request; what the request proved allows no strong answer after it
    before an epoch  others may have been granted it, elsewhere; their term runs from the moment when that ended
    idle             nobody reads strongly, and what was ever granted is over: nothing is marked, and nobody waited for.
                     Whoever is to be granted it must be in the list before the beacon begins that does so; when it has
                     begun, what is still held is marked, and what comes from then on is marked and waits
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

from forecache.coherence.beacons.pending import Pending
from forecache.coherence.changes import Change

__all__ = ["TERM_SECONDS", "Marks"]

TERM_SECONDS: Final = 0.25  # some beacons; and a commit waits as long for a process that is gone, and at a takeover

ROLL_SECONDS: Final = 0.02  # after which those who were not heard of are looked for in the shard


class Sent:
    """A mark in this epoch."""

    def __init__(self, number: int, waiting: tuple[Pending, ...]) -> None:
        """Not answered."""
        self.number, self.waiting = number, waiting
        self.is_answered = False
        self.at = inf  # some moment after it was answered
        self.left: dict[str, str] = {}  # readers that have not applied it, and what the shard knew of them


class Marks:
    """Of one shard; moments are those of `tick`, which are later than what they stand for."""

    def __init__(self, term: float) -> None:
        """Nothing is held.

        Args:
            term: seconds; 0 if commits do not wait.
        """
        self.term = term
        self.expelled: list[tuple[str, str]] = []  # readers that need not be waited for any more
        self._held: dict[Pending, tuple[int, tuple[Change, ...]]] = {}  # the mark of each commit; 0 before it is sent
        self._counts = Counter[Change]()
        self._waiting: dict[Pending, None] = {}
        self._sent: deque[Sent] = deque()
        self._positions: dict[str, int] = {}  # of readers, as they told
        self._has_vouched = True  # somebody may have been granted something in this epoch, or before the first
        self._vouched_at = inf  # some moment after the last grant in this epoch
        self.is_wished = False  # somebody was in the list when the last beacon began
        self._is_over = False
        self._before_at = inf  # some moment after the last grant in any earlier epoch
        self._settled = False  # such grants are over
        self._rolled_at = -inf

    def holds(self, change: Change) -> bool:
        """Whether a commit holds it that cannot be seen."""
        return self._counts[change] > 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody answers strongly, and nobody will before what is held now is marked."""
        return self._settled and not (self.is_wished or self._has_vouched)

    def hold(self, pending: Pending, changes: tuple[Change, ...]) -> None:
        """A commit cannot be seen, and must not be yet unless we are idle."""
        self._held[pending] = 0, changes
        self._counts.update(changes)
        if not self.is_idle:
            pending.open += 1
            self._waiting[pending] = None

    def to_mark(self) -> list[tuple[Pending, tuple[Change, ...]]]:
        """What is held, and not marked in this epoch, but is to be."""
        if self.is_idle:
            return []
        return [(pending, changes) for pending, (number, changes) in self._held.items() if not number]

    def marked(self, number: int, waiting: Iterable[Pending]) -> None:
        """A mark was sent for commits."""
        waiting = tuple(waiting)
        for pending in waiting:
            self._held[pending] = number, self._held[pending][1]
        self._sent.append(Sent(number, waiting))

    def let_go(self, pending: Pending) -> None:
        """A commit can be seen, whether it waited or not."""
        for change in self._held.pop(pending, (0, ()))[1]:
            self._counts[change] -= 1
            if not self._counts[change]:
                del self._counts[change]
        self._end((pending,))

    def vouch(self, last: int) -> int:
        """Whoever learns of the beacon that is ended now may answer strongly.

        Returns:
            The entry up to which nothing is held any more that one of them held; `last` if nothing is held.
        """
        self._has_vouched, self._vouched_at = True, inf
        return min((number - 1 for number, _ in self._held.values() if number), default=last)

    def wished(self, readers: Mapping[str, str]) -> None:
        """A beacon began, and these read strongly then; what is held has to be marked before it ends."""
        self.is_wished = bool(readers)
        self.rolled(readers)

    def answered(self, readers: Mapping[str, str]) -> None:
        """The first mark without an answer got it: who reads strongly, each with his position and a number."""
        for sent in self._sent:
            if not sent.is_answered:
                sent.is_answered = True
                sent.left = dict(readers)
                break
        self.rolled(readers)

    def rolled(self, readers: Mapping[str, str]) -> None:
        """So far are those who read strongly."""
        for name, record in readers.items():
            self.applied(name, int(record.partition("|")[0]))
        self._resolve(-inf)

    def applied(self, reader: str, position: int) -> None:
        """A reader has dropped and holds everything up to an entry."""
        known = self._positions[reader] = max(position, self._positions.get(reader, 0))
        for sent in self._sent:
            if sent.number <= known:
                sent.left.pop(reader, None)
        self._resolve(-inf)

    def tick(self, now: float) -> bool:
        """Time passed; whether readers should be looked for."""
        if self._is_over and self._before_at == inf:
            self._before_at = now
        self._settled = now >= self._before_at + self.term
        if self._has_vouched and self._vouched_at == inf:
            self._vouched_at = now
        self._has_vouched = self._has_vouched and now < self._vouched_at + self.term
        if self.is_idle:
            self._end(tuple(self._waiting))
        for sent in self._sent:
            if sent.is_answered and sent.at == inf:
                sent.at = now
        self._resolve(now)
        if not any(sent.left for sent in self._sent) or now < self._rolled_at + ROLL_SECONDS:
            return False
        self._rolled_at = now
        return True

    def forsake(self) -> None:
        """The epoch is over: what is held has to be marked again in the next."""
        if self._has_vouched:
            self._has_vouched, self._is_over, self._before_at, self._settled = False, True, inf, False
        self._held = {pending: (0, changes) for pending, (_, changes) in self._held.items()}
        self.is_wished = False
        self._sent.clear()
        self._positions.clear()
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
        self._has_vouched, self._is_over, self._before_at, self._settled = False, True, inf, False

    def taken(self, at: float) -> None:
        """All that was granted by others was for requests before a moment."""
        self._before_at = at

    def _resolve(self, now: float) -> None:
        """Ends the waiting of commits whose marks have done their work."""
        while self._sent and self._sent[0].is_answered:
            sent = self._sent[0]
            if now >= sent.at + self.term:
                self.expelled += sent.left.items()
            elif sent.left or not self._settled:
                break
            self._end(sent.waiting)
            self._sent.popleft()

    def _end(self, waiting: Iterable[Pending]) -> None:
        for pending in waiting:
            if pending in self._waiting:
                del self._waiting[pending]
                pending.open -= 1
