"""A schedule made by hand, which chance hardly finds: a reader is given up though he asked for the log meanwhile.

What he published was lost, and the sequencer stood still for a term, so it asks that he be struck. The shard heard of
him since, and leaves him in the list: he was granted strong answers after that, and the next commit waits for him.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from forecache.coherence.beacons.effects import Acknowledge, Look, Sample
from forecache.coherence.beacons.reader import Reader
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.changes import Change, Commit, Identity, Message, Snapshot
from forecache.serve.tiers.beacons import answer_of, command_of, entries_of, poll
from forecache.serve.tiers.layout import Layout
from tests.simulation.mutants import SYNCHRONOUS
from tests.simulation.valkey import FakeValkey

TERM = 0.25
ROW, OTHER = Change("t", b"1"), Change("t", b"2")
SEEN = Snapshot(7, 7, frozenset(), waits=True)  # all below 7


class Schedule:
    """One shard, one sequencer, one reader; answers come at once."""

    def __init__(self) -> None:
        self.layout, self.valkey, self.reader = Layout("n", 0), FakeValkey("0" * 40), Reader()
        settings = {"name": "m", "new_epoch": lambda: "1" * 32, "beacon_seconds": 0.01, "term": TERM}
        self.machine = Sequencer(1, lambda _: 0, **settings)
        self.connection, self.requests, self.position = self.reader.connected(), 0, 0
        assert Look() in self.machine.source_opened(Identity(1, 1, "now", "slot"))
        self.machine.seen(SEEN)
        self.do(self.machine.connected(0), 0.0)
        for now in (1.0, 1.0 + TERM, 2.98):  # when all that was granted before is over
            self.tick(now)

    def do(self, effects: Iterable[Any], now: float) -> list[Any]:
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

    def ask(self, now: float) -> None:
        """The reader asks for the log; what he would publish is lost."""
        self.requests += 1
        who = {"reader": "reader", "epoch": self.reader.epoch, "request": self.requests}
        answer = self.valkey.run(poll(self.layout, self.reader.position, most=100, **who), now)
        self.reader.polled(self.connection, now, *entries_of(answer), is_known=answer[-1] == 1)

    def commit(self, xid: int, change: Change, now: float) -> list[Any]:
        """Somebody writes a row; what is acknowledged."""
        self.position += 1
        return self.do(self.machine.told([Commit(xid, self.position, (change,))]), now)


@pytest.mark.parametrize("is_mutant", [False, True])
def test_who_was_heard_of_since_is_not_struck(is_mutant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_mutant:
        for where, attribute, replaced in SYNCHRONOUS["struck unheard"]:
            monkeypatch.setattr(where, attribute, replaced)
    made = Schedule()
    made.ask(2.998)  # of which he learns the epoch,
    made.ask(2.999)  # and now the shard knows of him,
    made.tick(2.9995)  # and the sequencer that somebody reads strongly
    assert made.commit(7, ROW, 3.0) == []
    made.tick(3.0)
    made.ask(3.010)
    assert made.reader.holds(ROW)
    made.tick(3.019)  # a beacon, after what he asked, when he had not applied the mark
    made.ask(3.019)  # which says that he has; the sequencer does not look for it in time
    assert made.machine._order  # the commit waits

    now = 3.0 + TERM + 0.001
    made.tick(now)  # it stood still for a term
    assert not made.machine._order
    is_seen = bool(made.commit(8, OTHER, now))
    answers_with_what_was_there = made.reader.strong_until > now and not made.reader.holds(OTHER)
    assert answers_with_what_was_there
    assert is_seen == is_mutant
