"""`Sequencer`: brings what a database commits into all shards, and proves by beacons how far they are.

It decides, and does nothing: events go in, effects come out, and time and chance are arguments. Whoever runs it carries
the effects out in their order, and tells the answers of each shard in the order of what was sent there.

    a connection to a shard   is a new epoch; whatever was there before counts as nothing
    a commit                  waits until a snapshot sees it, so that no copy made after its invalidation can be older
    a beacon                  begins in the shard, then the database is looked at, and it ends when all that was seen
                              is applied
    an acknowledgement        follows when every shard has answered, or begins a new epoch anyway
    a synchronous commit      can be seen only when it is acknowledged, so that follows as soon as no process answers
                              with what was there before (`marks.py`); then it is treated as any other
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Final

from forecache.coherence.beacons.doubts import Doubts
from forecache.coherence.beacons.effects import (
    FENCED,
    Acknowledge,
    Begin,
    Connect,
    Effect,
    End,
    Look,
    Mark,
    Open,
    Roll,
    Sample,
    Stop,
)
from forecache.coherence.beacons.part import Part, Parts
from forecache.coherence.beacons.pending import Pending
from forecache.coherence.changes import Change, Commit, Identity, Message, Snapshot

__all__ = ["Sequencer"]

NOBODY: Final[Mapping[str, str]] = {}

BEACON_SECONDS: Final = 0.02  # between two beacons of a shard
LOOK_SECONDS: Final = 0.005  # between two looks for transactions that were not visible yet


class Sequencer:
    """The machine, for all shards of one shared tier and one database."""

    def __init__(
        self,
        shards: int,
        home: Callable[[Change], int],
        *,
        name: str,
        new_epoch: Callable[[], str],
        beacon_seconds: float = BEACON_SECONDS,
        term: float = 0.0,
    ) -> None:
        """Of which nothing is connected.

        Args:
            shards: how many there are.
            home: the shard of a change that has a key.
            name: what tells its messages from those of others: random, and never used before.
            new_epoch: random, and never the same twice.
            beacon_seconds: between two beacons.
            term: seconds for which processes may answer strongly, if commits wait for us; 0 if they never do.
        """
        self.parked: deque[tuple[Commit, Pending]] = deque()  # committed, and not visible yet
        self.stopped = ""  # why
        self.evaded = 0  # commits that could be seen before we said so, though we are to be waited for
        self._term = term
        self._doubts = Doubts()
        self._is_waited_for = False
        self._parts = Parts([Part(number, term) for number in range(shards)], home)
        self._name = name.encode()
        self._new_epoch = new_epoch
        self._beacon_seconds = beacon_seconds
        self._identity: Identity | None = None
        self._is_open = False
        self._order: deque[Pending] = deque()
        self._snapshot = NOTHING
        self._samples: dict[bytes, tuple[Snapshot | None, list[tuple[Part, str, int]]]] = {}
        self._numbers = count(1)
        self._sampled_at = self._looked_at = float("-inf")

    @property
    def backlog(self) -> int:
        """Commands that shards have not answered, and commits that are not visible yet."""
        return len(self.parked) + sum(len(part.sent) for part in self._parts)

    def epoch_of(self, shard: int) -> str:
        """The epoch of a shard; "" while there is none."""
        return self._parts[shard].epoch

    def start(self) -> list[Effect]:
        """Connects all shards."""
        return [Connect(part.number) for part in self._parts]

    def source_opened(self, identity: Identity, taken_at: float | None = None) -> list[Effect]:
        """The database tells its commits from where they were acknowledged; if it has another past, all begins anew.

        Nobody else can have had it since `taken_at`; if that is unknown, since the next `tick`.
        """
        self.source_lost()
        if taken_at is not None:
            for part in self._parts:
                part.marks.taken(taken_at)
        known, self._identity, self._is_open = self._identity, identity, True
        effects: list[Effect] = [Look()] if self._term else []
        if known in {None, identity} and not self._term:
            return []
        return effects + self._begin_epochs()

    def source_lost(self) -> None:
        """What was not acknowledged will be told again."""
        self._is_open = False
        self._order.clear()
        self.parked.clear()
        self._samples.clear()
        self._snapshot = NOTHING
        self._doubts.begin()
        for part in self._parts:
            part.rest()
            part.marks.forget()

    def connected(self, shard: int) -> list[Effect]:
        """There is a new connection to a shard, and so a new epoch."""
        part = self._parts[shard]
        part.lose()
        return self._begin_epoch(part)

    def lost(self, shard: int) -> list[Effect]:
        """The connection to a shard failed, or did not answer in time."""
        self._parts[shard].lose()
        return [*self._acknowledge(), Connect(shard)]

    def answered(self, shard: int, answer: int, readers: Mapping[str, str] = NOBODY) -> list[Effect]:
        """A shard answered what was sent to it first: positive, `GONE` or `FENCED`; and maybe who reads strongly."""
        part = self._parts[shard]
        if not part.sent:
            return []
        effect, pending = part.sent.popleft()
        for each in pending:
            each.open -= 1
        if getattr(effect, "epoch", "") != part.epoch:
            return []  # of an epoch that is over
        if answer == FENCED:
            return self._stop(f"shard {shard} was taken by another sequencer")
        if answer < 0:
            return self._begin_epoch(part)
        match effect:
            case Begin():
                part.begins, part.begun = False, answer
                part.marks.wished(readers)
                return [*part.mark(), *self._acknowledge()]
            case Mark():
                part.marks.answered(readers)
            case Roll():
                part.marks.rolled(readers)
        return self._acknowledge()

    def applied(self, shard: int, epoch: str, reader: str, position: int) -> list[Effect]:
        """A process that reads strongly has dropped, and holds, all up to an entry."""
        part = self._parts[shard]
        if part.epoch != epoch:
            return []
        part.marks.applied(reader, position)
        return self._acknowledge()

    def told(self, items: Sequence[Commit | Message]) -> list[Effect]:
        """The database told commits and messages, in the order of its log."""
        effects: list[Effect] = []
        parked = len(self.parked)
        for item in items:
            if isinstance(item, Commit):
                self._commit(item, effects)
            else:
                self._message(item, effects)
        effects += self._parts.apply()
        if self._term:
            effects += self._parts.mark()
        elif len(self.parked) > parked:
            effects.append(Look())
        return [*effects, *self._acknowledge()]

    def seen(self, snapshot: Snapshot) -> list[Effect]:
        """The database showed what can be seen."""
        self._snapshot = snapshot
        self._doubts.saw(snapshot)
        effects: list[Effect] = []
        waiting, self.parked = self.parked, deque()
        for commit, pending in waiting:
            if snapshot.sees(commit.xid):
                if not self._term:
                    pending.open -= 1
                self.evaded += self._is_waited_for and pending.open > 0
                effects += self._parts.gather(commit, pending)
            else:
                self.parked.append((commit, pending))
        return [*effects, *self._parts.apply(), *self._acknowledge()]

    def sampled(self, content: bytes, snapshot: Snapshot) -> list[Effect]:
        """The database showed what can be seen, and will tell the message."""
        if content in self._samples:
            self._samples[content] = snapshot, self._samples[content][1]
        if snapshot.waits and not self._is_waited_for:
            self._doubts.add(snapshot, (commit.xid for commit, _ in self.parked))
        self._is_waited_for = snapshot.waits
        return self.seen(snapshot)

    def tick(self, now: float) -> list[Effect]:
        """Time passed."""
        if not self._is_open or self.stopped:
            return []
        effects: list[Effect] = []
        begun = [part for part in self._parts if part.begun]
        if begun and (not any(part.begins for part in self._parts) or self._is_due(now, self._sampled_at)):
            self._sampled_at = self._looked_at = now
            effects.append(self._sample(begun))
        elif self.parked and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            effects.append(Look())
        for part in self._parts:
            if part.epoch and not (part.begins or part.begun or part.sampled) and self._is_due(now, part.began_at):
                part.begins, part.began_at = True, now
                effects.append(part.send(Begin(part.number, part.epoch)))
        if self._term:
            effects += self._parts.tick_marks(now)
            effects += self._acknowledge()
        return effects

    def _is_due(self, now: float, last: float) -> bool:
        return now - last >= self._beacon_seconds

    def _sample(self, begun: Iterable[Part]) -> Sample:
        content = b"%s:%d" % (self._name, next(self._numbers))
        self._samples[content] = None, [(part, part.epoch, part.begun) for part in begun]
        for part in begun:
            part.begun, part.sampled = 0, part.begun
        return Sample(content)

    def _commit(self, commit: Commit, effects: list[Effect]) -> None:
        """Applies a commit that can be seen, or parks it; what comes after need not wait."""
        is_visible = self._snapshot.sees(commit.xid)
        self._doubts.tell(commit.xid)
        pending = Pending(commit.position, 0 if is_visible or self._term else 1)
        self._order.append(pending)
        if is_visible:
            effects += self._parts.gather(commit, pending)
            return
        self.parked.append((commit, pending))
        if self._term:
            self._parts.hold(commit, pending)

    def _message(self, message: Message, effects: list[Effect]) -> None:
        """Ends the beacons of a sample: all that it saw has been told before, and is applied before this."""
        self._order.append(Pending(message.position, 0))
        snapshot, beacons = self._samples.pop(message.content, (None, ()))
        effects += self._parts.apply()
        if self._term and snapshot is not None and self._doubts.pass_by(snapshot):
            effects += self._begin_epochs()
        for part, epoch, beacon in beacons:
            if part.epoch == epoch:
                part.sampled = 0
                if snapshot is not None:
                    effects.append(self._end(part, beacon, snapshot))

    def _end(self, part: Part, beacon: int, snapshot: Snapshot) -> Effect:
        """Ends a beacon; strong answers follow from it if every commit waited for us, and somebody wishes for them."""
        term = settled = 0
        if snapshot.waits and self._term and self._doubts.are_over and part.marks.is_wished:
            term, settled = round(self._term * 1000), part.marks.vouch(part.last)
        return part.send(End(part.number, part.epoch, beacon, snapshot.xmin, term, settled))

    def _begin_epoch(self, part: Part) -> list[Effect]:
        part.forsake()
        part.epoch = self._new_epoch()
        return [part.send(Open(part.number, part.epoch)), *part.mark(), *self._acknowledge()]

    def _begin_epochs(self) -> list[Effect]:
        return [effect for part in self._parts if part.epoch for effect in self._begin_epoch(part)]

    def _acknowledge(self) -> list[Effect]:
        """As far as nothing is open."""
        position = None
        while self._order and not self._order[0].open:
            position = self._order.popleft().position
        return [] if position is None or self.stopped else [Acknowledge(position)]

    def _stop(self, reason: str) -> list[Effect]:
        self.stopped = reason
        self._is_open = False
        return [Stop(reason)]


NOTHING: Final = Snapshot(0, 0, frozenset())  # sees no transaction
