"""`Leading`: the rounds of a sequencer that leads, all in one thread, which waits only for whoever speaks first."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from forecache._core import now
from forecache.coherence.beacons.effects import Acknowledge, Connect, Effect, Look, Sample, Stop
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.changes import ChangeSource, Commit, Message
from forecache.serve.tiers.beacons import answer_of, command_of
from forecache.serve.tiers.lanes import Lanes

if TYPE_CHECKING:
    from forecache.coherence.postgresql.looks import Looks

__all__ = ["Leading"]

POLL_SECONDS: Final = 0.002  # for the log of the database, while shards may answer
MOST_WAITING: Final = 2_000  # commands without an answer; beyond it the database's log waits


class Leading:
    """Carries out what a machine wants."""

    def __init__(self, machine: Sequencer, source: ChangeSource, lanes: Lanes, *, past: str) -> None:
        """Between a source that is open, and lanes to the shards; of which past it tells, the shards are told."""
        self._machine, self._source, self._lanes, self._past = machine, source, lanes, past
        self.looks: Looks | None = None  # asks the database, and lets us go on meanwhile, if the source can do so
        self._asked: deque[Sample | Look] = deque()  # of which the first was asked, and not answered
        self._untold: list[Commit | Message] = []  # from the message on whose sample was not answered
        self._polled_at = float("-inf")
        self._awaited: tuple[list[int], select.poll] = [], select.poll()

    def step(self, named: Callable[[Iterable[Commit | Message]], list[Commit | Message]]) -> None:
        """One round: what the shards answer, for which commits may wait, what the database tells, and what is due."""
        machine, lanes = self._machine, self._lanes
        ready = self._wait(POLL_SECONDS)
        for shard in lanes.connected():
            self.carry_out(machine.connected(shard))
        for shard, answer in lanes.answers(ready):
            self.carry_out(machine.lost(shard) if answer is None else machine.answered(shard, *answer_of(answer)))
        for told in lanes.heard(ready):
            self.carry_out(machine.applied(*told))
        if self._asked:
            self._take_looks(ready)
        if items := self._told(self._poll(ready)):
            self.carry_out(machine.told(named(items)))
        self.carry_out(machine.tick(now()))

    def _poll(self, ready: Collection[int] | None) -> list[Commit | Message]:
        """What the database tells: when it says something, and else now and then."""
        if self._lanes.waiting > MOST_WAITING:
            self._lanes.wait(POLL_SECONDS)
            return []
        if ready is None:
            return self._source.poll(POLL_SECONDS)
        at = now()
        if self._source.fileno() not in ready and at < self._polled_at + POLL_SECONDS:  # type: ignore[attr-defined]
            return []
        self._polled_at = at
        return self._source.poll(0.0)

    def _told(self, items: list[Commit | Message]) -> list[Commit | Message]:
        """What may be told to the machine: up to the message of a sample that it does not know yet."""
        if self._untold:
            items, self._untold = self._untold + items, []
        if items and self._asked:
            awaited = {asked.content for asked in self._asked if isinstance(asked, Sample)}
            for at, item in enumerate(items):
                if isinstance(item, Message) and item.content in awaited:
                    self._untold = items[at:]
                    return items[:at]
        return items

    def _look(self, wanted: Sample | Look) -> None:
        """Asks the database, or does so when it has answered what it was asked before."""
        if isinstance(wanted, Look) and len(self._asked) > 1:
            return  # what will be asked shows as much
        self._asked.append(wanted)
        if len(self._asked) == 1:
            self._ask()

    def _ask(self) -> None:
        assert self.looks is not None  # noqa: S101 - tells the type checker
        wanted = self._asked[0]
        self.looks.begin(wanted.content if isinstance(wanted, Sample) else None)

    def _take_looks(self, ready: Collection[int] | None) -> None:
        """What the database showed, if it did."""
        looks = self.looks
        assert looks is not None  # noqa: S101 - tells the type checker
        if ready and looks.is_open and looks.fileno() not in ready:
            return
        snapshot = looks.ended()
        if snapshot is None:
            return
        asked = self._asked.popleft()
        if self._asked:
            self._ask()
        match asked:
            case Sample(content):
                self.carry_out(self._machine.sampled(content, snapshot))
            case Look():
                self.carry_out(self._machine.seen(snapshot))

    def _wait(self, seconds: float) -> Collection[int] | None:
        """Waits for whoever says something first, and tells who does; None if that cannot be known of the database."""
        fileno = getattr(self._source, "fileno", None)
        if fileno is None:
            return None
        looking = [] if self.looks is None else [self.looks.fileno()]
        numbers = [fileno(), *looking, *self._lanes.filenos()]
        if numbers != self._awaited[0]:
            self._awaited = numbers, select.poll()
            for number in numbers:
                self._awaited[1].register(number, select.POLLIN)
        return {number for number, _ in self._awaited[1].poll(seconds * 1000)}

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """In their order; what follows from one comes before the next."""
        if not effects:
            return
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            match effect:
                case Connect(shard):
                    self._lanes.connect(shard)
                case Sample() | Look() if self.looks is not None:
                    self._look(effect)
                case Sample(content):
                    todo.extend(self._machine.sampled(content, self._source.sample(content)))
                case Look():
                    todo.extend(self._machine.seen(self._source.snapshot()))
                case Acknowledge(position):
                    self._source.acknowledge(position)
                case Stop():
                    return
                case _:
                    layout = self._lanes.routes.layout(effect.shard)
                    self._lanes.send(effect.shard, command_of(effect, layout, self._past))
        self._lanes.flush()
