"""`Sequencer`: brings what a database commits into all shards, and proves by beacons how far they are.

It decides, and does nothing: events go in, effects come out, and time and chance are arguments. Whoever runs it carries
the effects out in their order, and tells the answers of each shard in the order of what was sent there.

    a connection to a shard   is a new epoch; whatever was there before counts as nothing
    a commit                  waits until a snapshot sees it, so that no copy made after its invalidation can be older
    a beacon                  begins in the shard, then the database is looked at, and it ends when all that was seen
                              is applied
    an acknowledgement        follows when every shard has answered, or begins a new epoch anyway
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Final

from forecache.coherence.beacons.effects import (
    FENCED,
    Acknowledge,
    Apply,
    Begin,
    Connect,
    Effect,
    End,
    Look,
    Open,
    Sample,
    Stop,
)
from forecache.coherence.beacons.part import Part, Pending
from forecache.coherence.changes import EVERY, Change, Commit, Identity, Message, Snapshot

__all__ = ["Sequencer"]

BEACON_SECONDS: Final = 0.02  # between two beacons of a shard
LOOK_SECONDS: Final = 0.005  # between two looks for transactions that were not visible yet
BATCH: Final = 500  # changes of one `Apply`, which holds up all other clients of a server: about a millisecond


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
    ) -> None:
        """Of which nothing is connected.

        Args:
            shards: how many there are.
            home: the shard of a change that has a key.
            name: what tells its messages from those of others: random, and never used before.
            new_epoch: random, and never the same twice.
            beacon_seconds: between two beacons.
        """
        self.parked: deque[tuple[Commit, Pending]] = deque()  # committed, and not visible yet
        self.stopped = ""  # why
        self._parts = [Part(number) for number in range(shards)]
        self._home = home
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

    def source_opened(self, identity: Identity) -> list[Effect]:
        """The database tells its commits from where they were acknowledged; if it has another past, all begins anew."""
        self.source_lost()
        known, self._identity, self._is_open = self._identity, identity, True
        if known in {None, identity}:
            return []
        return [effect for part in self._parts if part.epoch for effect in self._begin_epoch(part)]

    def source_lost(self) -> None:
        """What was not acknowledged will be told again."""
        self._is_open = False
        self._order.clear()
        self.parked.clear()
        self._samples.clear()
        self._snapshot = NOTHING
        for part in self._parts:
            part.rest()

    def connected(self, shard: int) -> list[Effect]:
        """There is a new connection to a shard, and so a new epoch."""
        part = self._parts[shard]
        part.lose()
        return self._begin_epoch(part)

    def lost(self, shard: int) -> list[Effect]:
        """The connection to a shard failed, or did not answer in time."""
        self._parts[shard].lose()
        return [*self._acknowledge(), Connect(shard)]

    def answered(self, shard: int, answer: int) -> list[Effect]:
        """A shard answered what was sent to it first: positive, `GONE` or `FENCED`."""
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
        if isinstance(effect, Begin):
            part.begins, part.begun = False, answer
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
        effects += self._apply_all()
        if len(self.parked) > parked:
            effects.append(Look())
        return [*effects, *self._acknowledge()]

    def seen(self, snapshot: Snapshot) -> list[Effect]:
        """The database showed what can be seen."""
        self._snapshot = snapshot
        effects: list[Effect] = []
        waiting, self.parked = self.parked, deque()
        for commit, pending in waiting:
            if snapshot.sees(commit.xid):
                pending.open -= 1
                self._gather(commit, pending, effects)
            else:
                self.parked.append((commit, pending))
        return [*effects, *self._apply_all(), *self._acknowledge()]

    def sampled(self, content: bytes, snapshot: Snapshot) -> list[Effect]:
        """The database showed what can be seen, and will tell the message."""
        if content in self._samples:
            self._samples[content] = snapshot, self._samples[content][1]
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
                effects.append(self._send(part, Begin(part.number, part.epoch)))
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
        pending = Pending(commit.position, 0 if is_visible else 1)
        self._order.append(pending)
        if is_visible:
            self._gather(commit, pending, effects)
        else:
            self.parked.append((commit, pending))

    def _message(self, message: Message, effects: list[Effect]) -> None:
        """Ends the beacons of a sample: all that it saw has been told before, and is applied before this."""
        self._order.append(Pending(message.position, 0))
        snapshot, beacons = self._samples.pop(message.content, (None, ()))
        effects += self._apply_all()
        for part, epoch, beacon in beacons:
            if part.epoch == epoch:
                part.sampled = 0
                if snapshot is not None:
                    effects.append(self._send(part, End(part.number, epoch, beacon, snapshot.xmin)))

    def _gather(self, commit: Commit, pending: Pending, effects: list[Effect]) -> None:
        for change in commit.changes:
            for part in self._parts if change.key is EVERY else (self._parts[self._home(change)],):
                if not part.epoch:
                    continue  # its next epoch will hold nothing that was read before now
                part.changes[change] = None
                if pending not in part.waiting:
                    part.waiting[pending] = None
                    pending.open += 1
                if len(part.changes) >= BATCH:
                    effects += self._apply(part)

    def _apply_all(self) -> Iterator[Effect]:
        for part in self._parts:
            if part.changes:
                yield from self._apply(part)

    def _apply(self, part: Part) -> Iterator[Effect]:
        """What was gathered, as one entry."""
        changes, pending = tuple(part.changes), tuple(part.waiting)
        part.changes, part.waiting = {}, {}
        part.last += 1
        yield self._send(part, Apply(part.number, part.epoch, part.last, changes), pending)

    def _send(self, part: Part, effect: Effect, pending: tuple[Pending, ...] = ()) -> Effect:
        part.sent.append((effect, pending))
        return effect

    def _begin_epoch(self, part: Part) -> list[Effect]:
        part.forsake()
        part.epoch = self._new_epoch()
        return [self._send(part, Open(part.number, part.epoch)), *self._acknowledge()]

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
