"""What a reader concludes, one answer after another."""

from __future__ import annotations

from forecache.coherence.beacons.reader import REMEMBERED, Drop, Flush, Prove, Reader
from forecache.coherence.beacons.shard import Entry, Meta, Reading
from forecache.coherence.changes import EVERY, Change

ROW = Change("t", 1)


def reading(begun: int, done: int, last: int = 0, *, epoch: str = "e", history: str = "h") -> Reading:
    return Reading(history, Meta(epoch, begun, done, 0, last))


def reader() -> Reader:
    """That has seen epoch "e" with 3 beacons begun, at moment 10."""
    made = Reader()
    assert made.connected() == 1
    assert made.polled(1, 10.0, reading(3, 3), []) == [Prove(float("-inf"), 0), Flush()]
    return made


def test_a_beacon_that_began_after_a_request_proves_its_moment() -> None:
    machine = reader()
    assert machine.polled(1, 11.0, reading(3, 3), []) == []
    assert machine.polled(1, 12.0, reading(4, 3), []) == []  # 4 began before this answer, and maybe before 12
    assert machine.polled(1, 13.0, reading(4, 4), []) == [Prove(11.0, 4)]
    assert machine.polled(1, 14.0, reading(5, 5), []) == [Prove(13.0, 5)]


def test_nothing_is_proven_before_all_entries_are_applied() -> None:
    machine = reader()
    first = Entry(1, (ROW,))
    assert machine.polled(1, 11.0, reading(4, 4, 2), [first]) == [Drop((ROW,))]
    assert machine.polled(1, 12.0, reading(4, 4, 2), [Entry(2, ())]) == [Drop(()), Prove(10.0, 4)]


def test_a_gap_or_a_log_that_is_behind_drops_everything() -> None:
    machine = reader()
    assert Flush() in machine.polled(1, 11.0, reading(3, 3, 5), [Entry(4, ()), Entry(5, ())])
    assert machine.position == 5
    assert Flush() in machine.polled(1, 12.0, reading(3, 3, 4), [])
    assert Flush() in machine.polled(1, 13.0, reading(3, 3, 9), [])
    assert machine.gaps == 3


def test_another_epoch_or_none_drops_everything() -> None:
    machine = reader()
    assert machine.polled(1, 11.0, reading(9, 9, epoch="f"), []) == [Prove(float("-inf"), 0), Flush()]
    assert machine.polled(1, 12.0, Reading("h", None), []) == [Prove(float("-inf"), 0), Flush()]
    assert machine.polled(1, 13.0, Reading("h", None), []) == []


def test_another_connection_or_server_proves_nothing_of_requests_before_it() -> None:
    machine = reader()
    machine.connected()
    assert machine.polled(1, 11.0, reading(9, 9), []) == []  # of the old connection
    assert machine.polled(2, 12.0, reading(5, 5), []) == []
    assert machine.polled(2, 13.0, reading(9, 9, history="promoted"), []) == []
    assert machine.polled(2, 14.0, reading(10, 10, history="promoted"), []) == [Prove(13.0, 10)]


def test_values_of_the_shared_tier_are_proven_by_what_came_with_them() -> None:
    machine = reader()
    assert machine.proven(reading(4, 4)) == 10.0
    assert machine.proven(reading(4, 3)) == float("-inf")
    assert machine.proven(reading(4, 4, epoch="f")) == float("-inf")
    assert machine.proven(reading(4, 4, history="promoted")) == float("-inf")
    assert machine.proven(Reading("h", None)) == float("-inf")


def test_a_row_stays_unless_something_ended_it_since_it_was_asked_for() -> None:
    machine = reader()
    ticket = machine.ticket()
    machine.polled(1, 11.0, reading(3, 3, 1), [Entry(1, (Change("t", 2),))])
    assert machine.may_keep(ticket, ROW, None)
    assert machine.may_keep(ticket, ROW, reading(3, 3, 1))
    assert not machine.may_keep(ticket, ROW, reading(3, 3, 0))  # its shard is behind what was applied here
    assert not machine.may_keep(ticket, Change("t", 2), None)
    machine.polled(1, 12.0, reading(3, 3, 2), [Entry(2, (Change("t", EVERY),))])
    assert not machine.may_keep(ticket, ROW, None)
    assert machine.may_keep(ticket, Change("u", 1), None)
    assert machine.may_keep(machine.ticket(), ROW, reading(3, 3, 2))
    assert not machine.may_keep(machine.ticket(), ROW, reading(3, 3, 2, epoch="f"))


def test_a_row_does_not_stay_over_a_flush_or_longer_than_is_remembered() -> None:
    machine = reader()
    before = machine.ticket()
    machine.polled(1, 11.0, reading(3, 3, 9), [])
    assert not machine.may_keep(before, ROW, None)
    ticket = machine.ticket()
    changes = tuple(Change("t", key) for key in range(10, 10 + REMEMBERED + 1))
    machine.polled(1, 12.0, reading(3, 3, 10), [Entry(10, changes)])
    assert not machine.may_keep(ticket, ROW, None)
    assert machine.may_keep(machine.ticket(), ROW, None)
