"""A node that stands by and leads: what `serve/sequencing.py` does over sockets, in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from forecache.coherence.beacons.effects import Acknowledge, Connect, Effect, Look, Sample, Stop
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.changes import Change, Commit, Message
from forecache.serve.tiers.beacons import answer_of, command_of
from tests.simulation.database import Down
from tests.simulation.network import Ear, Line

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Candidate"]

STEP = 0.002  # seconds between two rounds
STAND_BY = 0.02
BEACON = 0.008
CONNECT = 0.002


class Candidate:
    """It may be paused for as long as one likes, and does not know."""

    def __init__(self, world: World, name: str) -> None:
        """Stands by."""
        self.world, self.loop, self.database = world, world.loop, world.database
        self.name = name
        self.machine: Sequencer | None = None
        self.lines: dict[int, Line] = {}
        self.ears: dict[int, Ear] = {}
        self.answers: deque[tuple[int, Line, Any]] = deque()
        self.heard: deque[tuple[int, bytes]] = deque()
        self.inbox: list[Commit | Message] = []
        self.holder = self.position = self.terms = 0
        self.busy_until = 0.0
        self.step()

    def step(self) -> None:
        """One round."""
        self.loop.after(STEP if self.machine else STAND_BY, self.step)
        if self.loop.now < self.busy_until:
            return
        try:
            if self.machine is None:
                self.lead()
            else:
                self.go_on(self.machine)
        except Down:
            self.lose_source()

    def lead(self) -> None:
        """Takes the slot, if nobody has it."""
        self.holder, self.position = self.database.take()
        self.terms += 1
        self.inbox = []
        self.loop.note(self.name, "leads")
        self.machine = Sequencer(
            len(self.world.sites),
            self.home,
            name=f"{self.name}-{self.terms}",
            new_epoch=self.world.new_epoch,
            beacon_seconds=BEACON,
            term=self.world.term,
        )
        self.carry_out([*self.machine.source_opened(self.database.identity, self.loop.now), *self.machine.start()])

    def home(self, change: Change) -> int:
        return self.world.shard(int(change.key))  # type: ignore[call-overload]

    def go_on(self, machine: Sequencer) -> None:
        for item in self.inbox or self.fetch():
            self.position = item.position
            self.carry_out(machine.told([item]))
        self.inbox = []
        while self.answers:
            shard, line, answer = self.answers.popleft()
            if self.lines.get(shard) is line:
                self.hear(machine)
                self.carry_out(machine.lost(shard) if answer is None else machine.answered(shard, *answer_of(answer)))
        self.hear(machine)
        self.carry_out(machine.tick(self.loop.now))
        if machine.stopped:
            self.loop.note(self.name, "steps back:", machine.stopped)
            self.step_back()

    def hear(self, machine: Sequencer) -> None:
        """What readers told meanwhile."""
        while self.heard:
            shard, told = self.heard.popleft()
            epoch, reader, position = told.decode().split("|")
            self.carry_out(machine.applied(shard, epoch, reader, int(position)))

    def fetch(self) -> list[Commit | Message]:
        """What the database tells; it was sent before a pause, and is read after it."""
        return self.database.tell(self.holder, self.position)

    def pause(self, seconds: float) -> None:
        """Stands still; what was sent to it waits."""
        if self.machine is not None:
            self.loop.note(self.name, "is paused")
            self.inbox = self.database.tell(self.holder, self.position) if self.database.holder == self.holder else []
            self.busy_until = self.loop.now + seconds
            self.database.leave(self.holder)

    def stall(self, seconds: float) -> None:
        """Stands still, and keeps the slot; what was sent to it waits."""
        self.busy_until = max(self.busy_until, self.loop.now + seconds)

    def kill(self) -> None:
        """Another begins anew."""
        if self.machine is not None:
            self.loop.note(self.name, "is killed")
            self.step_back()

    def step_back(self) -> None:
        self.database.leave(self.holder)
        self.machine = None
        for line in self.lines.values():
            line.is_open = False
        for ear in self.ears.values():
            ear.close()
        self.lines.clear()
        self.answers.clear()

    def lose_source(self) -> None:
        """The database is gone: some begin anew, and some go on when it is back."""
        if self.machine is None:
            return
        if self.loop.happens(0.5):
            self.step_back()
            return
        self.database.leave(self.holder)
        self.machine.source_lost()
        self.inbox = []
        self.busy_until = self.loop.now + STAND_BY
        try:
            self.holder, self.position = self.database.take()
        except Down:
            self.step_back()
            return
        self.carry_out(self.machine.source_opened(self.database.identity, self.loop.now))

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """In their order; what follows from one comes before the next."""
        machine = self.machine
        todo = deque(effects)
        while todo and machine is not None:
            effect = todo.popleft()
            match effect:
                case Connect(shard):
                    if shard in self.lines:
                        self.lines.pop(shard).is_open = False
                    self.loop.after(CONNECT, self.connect, machine, shard)
                case Sample(content):
                    todo.extend(machine.sampled(content, self.database.sample(content, self.holder)))
                    self.busy_until = self.loop.now + self.loop.some(0.0, 0.003)
                case Look():
                    todo.extend(machine.seen(self.database.snapshot()))
                case Acknowledge(position):
                    self.database.acknowledge(self.holder, position)
                case Stop():
                    return
                case _:
                    self.loop.note(self.name, effect)
                    self.send(effect.shard, command_of(effect, self.world.layouts[effect.shard]))

    def connect(self, machine: Sequencer, shard: int) -> None:
        if self.machine is not machine or machine.stopped:
            return
        line = Line(self.world.sites[shard], self)
        if not line.is_open:
            self.loop.after(STAND_BY, self.connect, machine, shard)
            return
        self.lines[shard] = line
        if self.world.term and (shard not in self.ears or not self.ears[shard].is_open):
            readers = self.world.layouts[shard].readers()
            self.ears[shard] = Ear(line.server, line.site, self, readers, lambda told: self.heard.append((shard, told)))
        self.carry_out(machine.connected(shard))

    def send(self, shard: int, command: tuple[Any, ...]) -> None:
        line = self.lines.get(shard)
        if line is not None:
            line.ask(command, lambda answer: self.answers.append((shard, line, answer)))
