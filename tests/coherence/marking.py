"""A sequencer whose commits wait, and beacons as they come: what a test of marks begins with."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from forecache.coherence.beacons.effects import Begin, Look, Sample
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.changes import Change, Identity, Message, Snapshot

__all__ = ["NOW", "OTHER", "ROW", "SOMEBODY", "TERM", "beacon", "machine", "of", "sees"]

TERM = 1.0
ROW, OTHER = Change("t", b"1"), Change("t", b"2")
IDENTITY = Identity(1, 1, "now", "slot")
SOMEBODY = {"somebody": "0|1"}  # who reads strongly
NOW = Snapshot(7, 7, frozenset())  # sees all below 7


def sees(*running: int, upto: int) -> Snapshot:
    return Snapshot(min(running, default=upto), upto, frozenset(running), waits=True)


def of(kind: type, effects: list[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def machine(shards: int = 1, at: float = 10.0, began: Snapshot = NOW) -> Sequencer:
    """One that leads, and whose shards are connected; all that was granted before is over."""
    epochs = count(1)
    made = Sequencer(
        shards, lambda change: int(change.key) % shards, name="m", new_epoch=lambda: f"e{next(epochs)}", term=TERM
    )
    assert of(Look, made.source_opened(IDENTITY))
    made.seen(began)
    made.start()
    for shard in range(shards):
        made.connected(shard)
        made.answered(shard, 1)
    beacon(made, at - 2 * TERM, began, 1)
    made.tick(at)
    answer_all(made, 2)
    (sample,) = of(Sample, made.tick(at))
    made.sampled(sample.content, began)  # whose message is not told
    return made


def answer_all(made: Sequencer, answer: int = 1, readers: Mapping[str, str] = SOMEBODY) -> None:
    """All that was sent; who reads strongly when beacons begin is told."""
    for part in made._parts:
        while part.sent:
            made.answered(part.number, answer, readers if isinstance(part.sent[0][0], Begin) else {})


def beacon(
    made: Sequencer, now: float, snapshot: Snapshot, position: int, readers: Mapping[str, str] = SOMEBODY
) -> list[Any]:
    """A whole one; what follows from its sample."""
    for part in made._parts:
        part.rest()
    made.tick(now)
    answer_all(made, readers=readers)
    (sample,) = of(Sample, made.tick(now))
    effects = [*made.sampled(sample.content, snapshot), *made.told([Message(position, sample.content)])]
    answer_all(made)
    return effects
