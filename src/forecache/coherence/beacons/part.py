"""`Part`: what a sequencer knows of one shard, and has not brought there yet; `Parts`: all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from forecache.coherence.beacons.effects import Apply, Effect, Expel, Mark, Roll
from forecache.coherence.beacons.marks import Marks
from forecache.coherence.beacons.pending import Pending
from forecache.coherence.beacons.shard import Entry
from forecache.coherence.changes import EVERY, Change, Commit

__all__ = ["BATCH", "Part", "Parts"]

RETOLD: Final = 16  # entries since the last mark that the next one tells those who listen
BATCH: Final = 500  # changes of one `Apply`, which holds up all other clients of a server: about a millisecond


class Part:
    """What is known of a shard."""

    def __init__(self, number: int, term: float) -> None:
        """Not connected."""
        self.number = number
        self.epoch = ""  # "" while there is no connection
        self.last = 0  # entry
        self.sent: deque[tuple[Effect, tuple[Pending, ...]]] = deque()  # not answered yet
        self.begins = False  # a beacon was sent, and not answered
        self.begun = 0  # number of a beacon that began, and was not sampled; 0 for none
        self.sampled = 0  # number of one that was sampled, and did not end; 0 for none
        self.began_at = float("-inf")
        self.changes: dict[Change, None] = {}  # to apply next
        self.waiting: dict[Pending, None] = {}  # for that
        self.marks = Marks(term)
        self._unheard: deque[Entry] = deque(maxlen=RETOLD)  # of the log, but told to nobody who listens

    def rest(self) -> None:
        """Forgets its beacon."""
        self.begins, self.begun, self.sampled, self.began_at = False, 0, 0, float("-inf")

    def send(self, effect: Effect, pending: tuple[Pending, ...] = ()) -> Effect:
        """The effect, whose answer is waited for."""
        self.sent.append((effect, pending))
        return effect

    def apply(self) -> Iterator[Effect]:
        """What was gathered, as one entry."""
        changes, pending = tuple(self.changes), tuple(self.waiting)
        self.changes, self.waiting = {}, {}
        self.last += 1
        held = tuple(filter(self.marks.holds, changes))
        self._unheard.append(Entry(self.last, changes, held))
        yield self.send(Apply(self.number, self.epoch, self.last, changes, held), pending)

    def mark(self) -> Iterator[Effect]:
        """What is held and not marked, in as few entries as possible."""
        changes: dict[Change, None] = {}
        commits: list[Pending] = []
        for pending, written in self.marks.to_mark():
            if commits and len(changes) + len(written) > BATCH:
                yield self._mark(changes, commits)
                changes, commits = {}, []
            changes.update(dict.fromkeys(written))
            commits.append(pending)
        if commits:
            yield self._mark(changes, commits)

    def _mark(self, changes: dict[Change, None], commits: list[Pending]) -> Effect:
        self.last += 1
        self.marks.marked(self.last, commits)
        before = tuple(self._unheard) if sum(len(entry.changes) for entry in self._unheard) <= BATCH else ()
        self._unheard.clear()
        return self.send(Mark(self.number, self.epoch, self.last, tuple(changes), before))

    def forsake(self) -> None:
        """What was to be applied to this epoch is as good as applied: nothing of it counts any more."""
        for pending in (*(pending for _, pending in self.sent), tuple(self.waiting)):
            for each in pending:
                each.open -= 1
        self.sent = deque((effect, ()) for effect, _ in self.sent)  # which will still be answered
        self.changes, self.waiting = {}, {}
        self._unheard.clear()
        self.epoch, self.last = "", 0
        self.marks.forsake()
        self.rest()

    def lose(self) -> None:
        """Its connection is gone, and with it the answers."""
        self.forsake()
        self.sent.clear()


class Parts(list[Part]):
    """Of one shared tier."""

    def __init__(self, parts: Sequence[Part], home: Callable[[Change], int]) -> None:
        """With the shard of each change that has a key."""
        super().__init__(parts)
        self._home = home

    def of(self, change: Change) -> Sequence[Part]:
        """Those that it concerns."""
        return self if change.key is EVERY else (self[self._home(change)],)

    def hold(self, commit: Commit, pending: Pending) -> None:
        """A commit must not be seen before they all say so."""
        divided: dict[Part, list[Change]] = {}
        for change in commit.changes:
            for part in self.of(change):
                divided.setdefault(part, []).append(change)
        for part, changes in divided.items():
            part.marks.hold(pending, tuple(changes))

    def mark(self) -> Iterator[Effect]:
        """What is held and not marked."""
        for part in self:
            if part.epoch:
                yield from part.mark()

    def gather(self, commit: Commit, pending: Pending) -> Iterator[Effect]:
        """A commit can be seen: what it changed is to be applied, at once if it is much."""
        for part in self:
            part.marks.let_go(pending)
        for change in commit.changes:
            for part in self.of(change):
                if not part.epoch:
                    continue  # its next epoch will hold nothing that was read before now
                part.changes[change] = None
                if pending not in part.waiting:
                    part.waiting[pending] = None
                    pending.open += 1
                if len(part.changes) >= BATCH:
                    yield from part.apply()

    def apply(self) -> Iterator[Effect]:
        """What was gathered."""
        for part in self:
            if part.changes:
                yield from part.apply()

    def tick_marks(self, now: float) -> Iterator[Effect]:
        """What time does for commits that wait."""
        for part in self:
            if not part.epoch:
                part.marks.without_shard(now)
                continue
            if part.marks.tick(now):
                yield part.send(Roll(part.number, part.epoch))
            if part.marks.expelled:
                readers, part.marks.expelled = tuple(part.marks.expelled), []
                yield part.send(Expel(part.number, part.epoch, readers))
