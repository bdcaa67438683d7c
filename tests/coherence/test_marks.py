"""The machines of synchronous mode: a commit is acknowledged when no process answers with what was there before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forecache.coherence.beacons.effects import Acknowledge, Apply, Begin, End, Expel, Mark, Open, Roll
from forecache.coherence.beacons.part import BATCH
from forecache.coherence.beacons.shard import Entry
from forecache.coherence.changes import Change, Commit, Snapshot
from tests.coherence.marking import NOW, OTHER, ROW, SOMEBODY, beacon, machine, of, sees


def test_a_commit_is_marked_at_once_and_acknowledged_when_all_have_applied_the_mark() -> None:
    made = machine()
    assert made.told([Commit(7, 70, (ROW,))]) == [Mark(0, "e1", 1, (ROW,))]
    assert made.applied(0, "e1", "left", 1) == []  # before it is known who has to
    assert made.answered(0, 1, {"left": "0|5", "right": "0|6"}) == []
    assert made.applied(0, "e0", "right", 1) == []  # of another epoch
    assert made.applied(0, "e1", "right", 1) == [Acknowledge(70)]
    (applied,) = of(Apply, made.seen(sees(upto=8)))
    assert applied == Apply(0, "e1", 2, (ROW,))


def test_a_mark_tells_again_what_came_before_it_unless_that_is_much() -> None:
    made = machine()
    made.told([Commit(7, 70, (ROW,))])
    made.seen(sees(upto=8))
    entry = Entry(2, (ROW,))
    assert made.told([Commit(8, 80, (OTHER,))]) == [Mark(0, "e1", 3, (OTHER,), (entry,))]
    assert made.told([Commit(9, 90, (ROW,))]) == [Mark(0, "e1", 4, (ROW,))], "once"
    made.seen(sees(upto=10))
    many = tuple(Change("t", key) for key in range(BATCH))
    made.told([Commit(10, 100, many), Commit(11, 110, (ROW,))])
    made.seen(sees(upto=12))
    (mark,) = of(Mark, made.told([Commit(12, 120, (OTHER,))]))
    assert mark.before == ()


def test_nobody_is_waited_for_where_nobody_reads_strongly() -> None:
    made = machine()
    made.told([Commit(7, 70, (ROW,))])
    assert made.answered(0, 1, {}) == [Acknowledge(70)]


def test_nothing_is_marked_where_nobody_wished_when_the_last_beacon_began() -> None:
    made = machine()
    assert of(End, beacon(made, 10.0, sees(upto=7), 60, readers={}))[0].term == 0
    assert made.told([Commit(7, 70, (ROW,))]) == [Acknowledge(70)]
    assert of(Apply, made.seen(sees(upto=8))) == [Apply(0, "e1", 1, (ROW,))]


def test_what_is_held_is_marked_when_a_beacon_begins_that_grants() -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60, readers={})
    assert made.told([Commit(7, 70, (ROW,))]) == [Acknowledge(70)]
    made._parts[0].rest()
    made.tick(10.1)
    assert made.answered(0, 2, SOMEBODY) == [Mark(0, "e1", 1, (ROW,))]
    assert made.told([Commit(8, 80, (OTHER,))]) == [Mark(0, "e1", 2, (OTHER,))]


def test_commits_go_on_to_wait_while_something_lasts_that_was_granted() -> None:
    made = machine()
    assert of(End, beacon(made, 10.0, sees(upto=7), 60))[0].term > 0
    beacon(made, 10.5, sees(upto=7), 61, readers={})
    assert made.told([Commit(7, 70, (ROW,))]) == [Mark(0, "e1", 1, (ROW,))]
    made.answered(0, 1, {"left": "0|5"})
    made.tick(11.4)
    assert of(Acknowledge, made.tick(11.49)) == []
    assert of(Acknowledge, made.tick(11.5)) == [Acknowledge(70)]
    assert made.told([Commit(8, 80, (OTHER,))]) == [Acknowledge(80)]


def test_who_is_not_heard_of_is_looked_for_and_given_up_after_a_term() -> None:
    made = machine(at=10.0)
    made.told([Commit(7, 70, (ROW,))])
    made.answered(0, 1, {"left": "0|5"})
    assert of(Roll, made.tick(10.1)) == [Roll(0, "e1")]
    assert of(Acknowledge, made.tick(11.09)) == []
    effects = made.tick(11.1)
    assert of(Acknowledge, effects) == [Acknowledge(70)]
    assert of(Expel, effects) == [Expel(0, "e1", (("left", "0|5"),))]


def test_what_the_shard_knows_of_readers_counts_like_what_they_say() -> None:
    made = machine()
    made.told([Commit(7, 70, (ROW,))])
    made.answered(0, 1, {"left": "0|5"})
    made.tick(10.1)
    while made._parts[0].sent and not isinstance(made._parts[0].sent[0][0], Roll):
        made.answered(0, 1)
    assert made.answered(0, 1, {"left": "1|6"}) == [Acknowledge(70)]


def test_grants_of_earlier_epochs_are_waited_for() -> None:
    made = machine(at=10.0)
    assert of(End, beacon(made, 10.0, sees(upto=7), 60))[0].term > 0
    made.lost(0)
    made.connected(0)
    made.answered(0, 1)
    made.told([Commit(7, 70, (ROW,))])
    assert made.answered(0, 1, {}) == []
    made.tick(10.5)
    assert of(Acknowledge, made.tick(11.4)) == []
    assert of(Acknowledge, made.tick(11.5)) == [Acknowledge(70)]


def test_a_shard_that_is_gone_holds_up_commits_for_a_term_and_no_longer() -> None:
    made = machine(shards=2)
    beacon(made, 10.0, sees(upto=7), 60)  # grants
    made.lost(1)
    made.told([Commit(7, 70, (Change("t", 1),))])
    made.tick(10.5)
    assert of(Acknowledge, made.tick(11.4)) == []
    assert of(Acknowledge, made.tick(11.5)) == [Acknowledge(70)]


def test_what_cannot_be_seen_yet_is_marked_anew_in_a_new_epoch() -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60)  # grants
    made.told([Commit(7, 70, (ROW,))])
    assert made.answered(0, 1, {}) == [Acknowledge(70)]
    made.lost(0)
    assert made.connected(0) == [Open(0, "e2"), Mark(0, "e2", 1, (ROW,))]


def test_a_row_that_two_commits_hold_stays_held_when_one_is_seen() -> None:
    made = machine()
    made.told([Commit(7, 70, (ROW,)), Commit(8, 80, (ROW, OTHER))])
    (applied,) = of(Apply, made.seen(sees(8, upto=9)))
    assert (applied.changes, applied.held) == ((ROW,), (ROW,))
    (applied,) = of(Apply, made.seen(sees(upto=9)))
    assert (set(applied.changes), applied.held) == ({ROW, OTHER}, ())


@pytest.mark.parametrize(
    ("began", "waits", "term"),
    [(NOW, True, 1000), (NOW, False, 0), (Snapshot(5, 7, frozenset({5})), True, 0)],
    ids=["granted", "commits do not wait", "somebody runs since before"],
)
def test_a_beacon_grants_strong_answers_if_every_commit_waited(began: Snapshot, waits: bool, term: int) -> None:
    made = machine(began=began)
    snapshot = replace(began, waits=waits)
    (end,) = of(End, beacon(made, 10.0, snapshot, 60))
    assert end == End(0, "e1", 1, snapshot.xmin, term, 0)


def test_what_a_predecessor_may_have_let_be_seen_ends_the_epoch() -> None:
    made = machine(began=Snapshot(5, 7, frozenset({5, 6})))
    made.told([Commit(6, 60, (ROW,))])
    effects = beacon(made, 10.0, sees(upto=7), 65)  # 6 was told, and 5 was not
    assert of(Open, effects) == [Open(0, "e2")]
    assert not of(End, effects)


def test_commits_that_evade_us_are_counted() -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60)
    made.told([Commit(7, 70, (ROW,))])
    made.seen(sees(upto=8))
    assert made.evaded == 1


def test_begin_is_sent_after_the_marks_of_an_epoch() -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60)  # grants
    made.told([Commit(7, 70, (ROW,))])
    made.lost(0)
    effects = [*made.connected(0), *made.tick(20.0)]
    kinds = [type(effect) for effect in effects]
    assert kinds.index(Open) < kinds.index(Mark) < kinds.index(Begin)
