"""What a sequencer wants to be done, one event after another."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from forecache.coherence.beacons.effects import (
    FENCED,
    GONE,
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
from forecache.coherence.beacons.part import BATCH
from forecache.coherence.beacons.sequencer import Sequencer
from forecache.coherence.changes import EVERY, Change, Commit, Identity, Message, Snapshot

HERE = Identity(1, 1, "monday", "slot")
ALL_BELOW_20 = Snapshot(20, 20, frozenset())


def sequencer(shards: int = 1) -> Sequencer:
    """Connected everywhere, and open."""
    numbers = count(1)
    made = Sequencer(shards, lambda change: hash(change.key) % shards, name="me", new_epoch=lambda: f"e{next(numbers)}")
    made.source_opened(HERE)
    for shard in range(shards):
        made.connected(shard)
        made.answered(shard, 1)
    return made


def commit(xid: int, *keys: int, position: int | None = None) -> Commit:
    return Commit(xid, xid * 10 if position is None else position, tuple(Change("t", key) for key in keys))


def of(kind: type, effects: Iterable[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def test_a_commit_waits_until_it_is_visible_and_later_ones_do_not_wait_for_it() -> None:
    machine = sequencer()
    machine.seen(Snapshot(7, 9, frozenset({7})))
    assert machine.told([commit(7, 1), commit(8, 2)]) == [Apply(0, "e1", 1, (Change("t", 2),)), Look()]
    assert machine.answered(0, 1) == []  # 8 is applied, and 7 before it is not
    assert machine.seen(Snapshot(9, 9, frozenset())) == [Apply(0, "e1", 2, (Change("t", 1),))]
    assert machine.answered(0, 1) == [Acknowledge(80)]


def test_a_beacon_begins_before_the_sample_and_ends_after_what_the_sample_saw() -> None:
    machine = sequencer()
    assert machine.tick(1.0) == [Begin(0, "e1")]
    assert machine.tick(2.0) == []  # it was not answered yet
    machine.answered(0, 5)
    [sample] = machine.tick(2.0)
    assert isinstance(sample, Sample)
    assert machine.told([commit(7, 1)]) == [Look()]
    assert machine.sampled(sample.content, ALL_BELOW_20) == [Apply(0, "e1", 1, (Change("t", 1),))]
    assert machine.told([commit(8, 2), Message(90, sample.content)]) == [
        Apply(0, "e1", 2, (Change("t", 2),)),
        End(0, "e1", 5, 20),
    ]
    assert machine.tick(2.01) == [Begin(0, "e1")]


def test_a_message_of_somebody_else_or_without_a_sample_ends_nothing() -> None:
    machine = sequencer()
    machine.tick(1.0)
    machine.answered(0, 5)
    [sample] = machine.tick(2.0)
    assert isinstance(sample, Sample)
    assert of(End, machine.told([Message(5, b"other"), Message(6, sample.content)])) == []
    assert machine.tick(3.0) == [Begin(0, "e1")]


def test_a_new_connection_begins_an_epoch_and_what_was_on_its_way_counts_as_applied() -> None:
    machine = sequencer()
    machine.seen(ALL_BELOW_20)
    machine.told([commit(7, 1)])
    assert machine.lost(0) == [Acknowledge(70), Connect(0)]
    assert machine.told([commit(8, 2)]) == [Acknowledge(80)]  # nothing that was read before is there after `Open`
    assert machine.connected(0) == [Open(0, "e2")]
    assert machine.told([commit(9, 2)]) == [Apply(0, "e2", 1, (Change("t", 2),))]


def test_another_past_of_the_database_begins_new_epochs_everywhere() -> None:
    machine = sequencer(shards=2)
    assert machine.source_opened(HERE) == []
    promoted = Identity(1, 2, "tuesday", "slot")
    assert machine.source_opened(promoted) == [Open(0, "e3"), Open(1, "e4")]


def test_a_shard_that_lost_its_state_begins_an_epoch() -> None:
    machine = sequencer()
    machine.seen(ALL_BELOW_20)
    machine.told([commit(7, 1)])
    machine.told([commit(8, 1)])
    assert machine.answered(0, GONE) == [Open(0, "e2"), Acknowledge(80)]
    assert machine.answered(0, GONE) == []  # of the old epoch
    assert machine.answered(0, 1) == []
    assert machine.epoch_of(0) == "e2"


def test_a_shard_that_was_taken_stops_it() -> None:
    machine = sequencer()
    machine.tick(1.0)
    assert len(of(Stop, machine.answered(0, FENCED))) == 1
    assert machine.tick(2.0) == []


def test_any_row_of_a_table_ends_in_all_shards_and_large_commits_in_batches() -> None:
    machine = sequencer(shards=2)
    machine.seen(ALL_BELOW_20)
    every = Change("t", EVERY)
    assert machine.told([Commit(7, 70, (every,))]) == [Apply(0, "e1", 1, (every,)), Apply(1, "e2", 1, (every,))]
    assert machine.answered(0, 1) == []
    assert machine.answered(1, 1) == [Acknowledge(70)]
    large = [effect for effect in machine.told([commit(8, *range(4 * BATCH))]) if isinstance(effect, Apply)]
    assert [len(effect.changes) for effect in large] == [BATCH] * 4
    assert machine.backlog == 4


def test_what_was_not_acknowledged_is_told_again_after_the_source_was_lost() -> None:
    machine = sequencer()
    machine.told([commit(7, 1)])
    machine.source_lost()
    assert machine.tick(1.0) == []
    assert machine.parked == type(machine.parked)()
    machine.source_opened(HERE)
    machine.seen(ALL_BELOW_20)
    assert machine.told([commit(7, 1)]) == [Apply(0, "e1", 1, (Change("t", 1),))]
