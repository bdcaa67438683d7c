"""What a reader concludes of strong answers, and of rows that are held."""

from __future__ import annotations

import pytest

from forecache.coherence.beacons.reader import Drop, Prove, Reader
from forecache.coherence.beacons.shard import Entry, Meta, Reading
from forecache.coherence.changes import EVERY, Change
from tests.coherence.marking import OTHER, ROW


def reading(done: int, last: int = 0, *, term: int = 1000, settled: int | None = None, epoch: str = "e") -> Reading:
    return Reading("h", Meta(epoch, done, done, 0, last, term, last if settled is None else settled))


def reader(known: str = "t", last: int = 0, settled: int | None = None) -> Reader:
    """One that asked at 10, when no beacon had begun, and at 11."""
    made = Reader()
    made.connected()
    made.polled(1, 10.0, reading(0, last, settled=settled), [], known=known)
    made.polled(1, 11.0, reading(1, last, settled=settled), [], known=known)
    return made


def test_strong_answers_end_a_term_after_the_request_that_is_proven() -> None:
    assert reader().strong_until["t"] == pytest.approx(11.0, abs=2e-3)
    assert reader().strong_until["t"] < 11.0


def test_there_are_none_where_the_shard_does_not_know_of_us() -> None:
    assert "t" not in reader(known="").strong_until
    made = reader(known="")
    made.polled(1, 12.0, reading(2), [], known="t")  # proves the request of 11, of which it did not know
    assert "t" not in made.strong_until
    made.polled(1, 13.0, reading(3), [], known="t")
    assert made.strong_until["t"] > 12.9


def test_there_are_none_before_all_is_settled_that_was_held_when_we_began() -> None:
    made = reader(last=5, settled=4)
    assert "t" not in made.strong_until
    made.polled(1, 12.0, reading(2, 5, settled=5), [], known="t")
    assert made.strong_until["t"] > 11.9


def test_there_are_no_more_when_commits_do_not_wait_any_more_or_in_another_epoch() -> None:
    made = reader()
    effects = made.polled(1, 12.0, reading(2, term=0), [], known="t")
    assert effects == [Prove(11.0, 2)]
    made = reader()
    made.polled(1, 12.0, reading(2, epoch="f"), [], known="t")
    assert "t" not in made.strong_until


def test_what_is_held_is_dropped_and_not_kept_until_it_is_let_go() -> None:
    made = reader()
    before = made.ticket()
    effects = made.polled(1, 12.0, reading(2, 1), [Entry(1, (), (ROW,))], known="t")
    assert effects[0] == Drop((ROW,))
    assert not made.may_keep(before, OTHER._replace(key=ROW.key), None)
    assert not made.may_keep(made.ticket(), ROW, None)
    assert made.may_keep(made.ticket(), OTHER, None)
    made.polled(1, 13.0, reading(3, 2), [Entry(2, (ROW,), (ROW,))], known="t")
    assert made.holds(ROW)
    made.polled(1, 14.0, reading(4, 3), [Entry(3, (ROW,))], known="t")
    assert made.may_keep(made.ticket(), ROW, None)


def test_a_table_that_is_held_holds_its_rows() -> None:
    made = reader()
    made.polled(1, 12.0, reading(2, 1), [Entry(1, (), (Change("t", EVERY),))], known="t")
    assert made.holds(ROW)
    assert not made.holds(Change("u", b"1"))


def test_what_is_heard_counts_if_it_is_the_next_entry_of_the_epoch() -> None:
    made = reader()
    entry = Entry(1, (), (ROW,))
    assert made.heard("f", entry) == []
    assert made.heard("e", entry._replace(number=2)) == []
    assert made.heard("e", entry) == [Drop((ROW,))]
    assert made.heard("e", entry) == []
    assert made.holds(ROW)
    assert made.polled(1, 12.0, reading(2, 1), [], known="t")[-1:] == [Prove(11.0, 2, made.strong_until)]
