"""`Schedule`: made by hand, as chance hardly finds it: one shard, one sequencer, and processes that read strongly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from forecache.coherence.beacons.effects import Acknowledge, Effect, Look, Sample
from forecache.coherence.beacons.reader import Reader
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.changes import Change, Commit, Identity, Message, Snapshot
from forecache.serve.tiers.beacons import answer_of, command_of, entries_of
from forecache.serve.tiers.layout import Layout
from forecache.serve.tiers.questions import Questions
from tests.simulation.valkey import FakeValkey

__all__ = ["TERM", "Process", "Schedule"]

TERM = 0.25
SEEN = Snapshot(7, 7, frozenset(), waits=True)  # all below 7


class Process:
    """It asks for the log when it is told to; what it would publish is lost."""

    def __init__(self, schedule: Schedule, name: str, *tables: str) -> None:
        """Connects; reads the tables strongly."""
        self.schedule, self.reader = schedule, Reader()
        self.questions = Questions(lambda _: schedule.layout, name)
        for table in tables:
            self.questions.want(table)
        self.connection = self.reader.connected()

    def request(self) -> tuple[tuple[Any, ...], frozenset[str]]:
        """What asks for the log now, and may arrive later; and the tables that it names."""
        (command,), wanted = self.questions.asked([0], [self.reader])
        return command, wanted

    def ask(self, now: float) -> None:
        """Asks, and is answered at once."""
        command, wanted = self.request()
        answer = self.schedule.valkey.run(command, now)
        known = wanted if answer[-1] == 1 else ()
        self.reader.polled(self.connection, now, *entries_of(answer), known=known)

    def answers_strongly(self, change: Change, now: float) -> bool:
        """Whether a copy of a row answers."""
        return self.reader.strong_until.get(change.table, 0.0) >= now and not self.reader.holds(change)


class Schedule:
    """Answers come at once."""

    def __init__(self) -> None:
        """All that was granted before is over."""
        self.layout, self.valkey, self.position = Layout("n", 0), FakeValkey("0" * 40), 0
        settings = {"name": "m", "new_epoch": lambda: "1" * 32, "beacon_seconds": 0.01, "term": TERM}
        self.machine = Sequencer(1, lambda _: 0, **settings)
        assert Look() in self.machine.source_opened(Identity(1, 1, "now", "slot"))
        self.machine.seen(SEEN)
        self.do(self.machine.connected(0), 0.0)
        for now in (1.0, 1.0 + TERM, 2.98):
            self.tick(now)

    def do(self, effects: Iterable[Effect], now: float) -> list[Acknowledge]:
        """Carries out effects and all that follows; what is acknowledged."""
        acknowledged = []
        for effect in effects:
            match effect:
                case Acknowledge():
                    acknowledged.append(effect)
                case Sample(content):
                    self.position += 1
                    self.machine.sampled(content, SEEN)
                    acknowledged += self.do(self.machine.told([Message(self.position, content)]), now)
                case Look():
                    acknowledged += self.do(self.machine.seen(SEEN), now)
                case _:
                    answer = self.valkey.run(command_of(effect, self.layout), now)
                    acknowledged += self.do(self.machine.answered(0, *answer_of(answer)), now)
        return acknowledged

    def tick(self, now: float) -> None:
        """Time passed, in which a beacon may begin; and a little more, in which it may end."""
        for _ in range(2):
            self.do(self.machine.tick(now), now)

    def commit(self, xid: int, change: Change, now: float) -> bool:
        """Somebody writes a row; whether it may be seen at once."""
        self.position += 1
        return bool(self.do(self.machine.told([Commit(xid, self.position, (change,))]), now))
