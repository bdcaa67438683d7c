"""A commit waits for those who read one of its tables strongly, and for nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.coherence.beacons.effects import Acknowledge, End, Expel, Mark
from forecache.coherence.beacons.reader import Reader
from forecache.coherence.beacons.shard import Meta, Reading
from forecache.coherence.beacons.tables import ALL, MOST_NAMED, NONE, Record, meet, named, record_of
from forecache.coherence.changes import Change, Commit
from tests.coherence.marking import ROW, beacon, machine, of, sees

ELSEWHERE = Change("u", b"1")
OF_T, OF_U, OF_ALL, OLDER = "0|1|t", "0|1|u", "0|1|*", "0|1"  # what shards know of readers

names = st.frozensets(st.text(st.characters(exclude_categories=[]), min_size=1), min_size=1, max_size=MOST_NAMED)


@given(names, st.integers(0), st.integers(0))
def test_a_record_holds_tables_of_any_name(tables: frozenset[str], position: int, request: int) -> None:
    record = record_of(position, request, named(tables))
    assert Record.parse(record) == Record(position, tables)
    assert record.split("|")[:2] == [str(position), str(request)]
    assert record.isascii()


def test_who_names_no_tables_or_too_many_reads_all() -> None:
    assert Record.parse(OLDER) == Record(0, ALL)
    many = named(f"t{number}" for number in range(MOST_NAMED + 1))
    assert many == ALL
    assert Record.parse(record_of(7, 8, many)) == Record(7, ALL)
    assert meet(ALL, frozenset("t"))
    assert meet(frozenset("t"), ALL)
    assert not meet(ALL, NONE)


@pytest.mark.parametrize("readers", [{"a": OF_U}, {"a": OF_U, "b": "0|2|v,w"}])
def test_a_commit_to_a_table_that_nobody_reads_is_not_marked(readers: dict[str, str]) -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60, readers=readers)
    made.tick(11.5)  # what was granted before is over
    (end,) = of(End, beacon(made, 11.5, sees(upto=7), 61, readers=readers))
    assert end.term > 0
    assert made.told([Commit(7, 70, (ROW,))]) == [Acknowledge(70)]
    assert made.told([Commit(8, 80, (ELSEWHERE,))]) == [Mark(0, "e1", 1, (ELSEWHERE,))]


@pytest.mark.parametrize("record", [OF_T, OF_ALL, OLDER])
def test_a_mark_waits_for_those_who_read_one_of_its_tables(record: str) -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60, readers={"a": record, "b": OF_U})
    assert made.told([Commit(7, 70, (ROW,))]) == [Mark(0, "e1", 1, (ROW,))]
    assert made.answered(0, 1, {"a": record, "b": OF_U}) == []
    assert made.applied(0, "e1", "a", 1) == [Acknowledge(70)]


def test_a_commit_to_two_tables_is_marked_whole_if_one_is_read() -> None:
    made = machine()
    for position, now in enumerate((10.0, 11.5)):
        beacon(made, now, sees(upto=7), 60 + position, readers={"a": OF_U})
    assert made.told([Commit(7, 70, (ROW, ELSEWHERE))]) == [Mark(0, "e1", 1, (ROW, ELSEWHERE))]
    assert made.answered(0, 1, {"a": OF_U, "b": OF_T, "c": "0|1|v"}) == []
    assert made.applied(0, "e1", "a", 1) == []
    assert made.applied(0, "e1", "b", 1) == [Acknowledge(70)]


def test_what_is_held_of_a_table_is_marked_when_a_beacon_begins_that_somebody_named_it_for() -> None:
    made = machine()
    for position, now in enumerate((10.0, 11.5)):
        beacon(made, now, sees(upto=7), 60 + position, readers={"a": OF_U})
    assert made.told([Commit(7, 70, (ROW,))]) == [Acknowledge(70)]
    made._parts[0].rest()
    made.tick(11.6)
    assert made.answered(0, 3, {"a": "0|2|t,u"}) == [Mark(0, "e1", 1, (ROW,))]
    assert made.told([Commit(8, 80, (Change("t", b"2"),))]) == [Mark(0, "e1", 2, (Change("t", b"2"),))]


def test_commits_go_on_to_wait_while_something_lasts_that_was_granted_for_their_table() -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60, readers={"a": OF_T, "b": OF_U})
    beacon(made, 10.5, sees(upto=7), 61, readers={"b": "0|2|u"})
    assert made.told([Commit(7, 70, (ROW,))]) == [Mark(0, "e1", 1, (ROW,))]
    made.answered(0, 1, {"a": OF_T, "b": "0|2|u"})
    made.tick(11.4)
    assert of(Acknowledge, made.tick(11.49)) == []
    assert of(Acknowledge, made.tick(11.5)) == [Acknowledge(70)]


def test_readers_who_are_not_heard_of_for_a_term_are_struck_though_nobody_waits_for_them() -> None:
    made = machine()
    beacon(made, 10.0, sees(upto=7), 60, readers={"a": OF_T, "b": "5|1|u"})
    made.tick(10.1)
    beacon(made, 10.9, sees(upto=7), 61, readers={"a": OF_T, "b": "5|2|u"})
    assert of(Expel, made.tick(10.99)) == []
    assert of(Expel, made.tick(11.1)) == [Expel(0, "e1", (("a", OF_T),))]


def reading(done: int) -> Reading:
    return Reading("h", Meta("e", done, done, 0, 0, 1000, 0))


def test_a_table_is_granted_by_requests_that_named_it() -> None:
    made = Reader()
    made.connected()
    for done, known in enumerate(("t", "t", "tu", "tu")):
        made.polled(1, 10.0 + done, reading(done), [], known=known)
        assert ("u" in made.strong_until) == (done == 3)
    assert made.strong_until["t"] == made.strong_until["u"]
    made.connected()
    made.polled(2, 14.0, reading(4), [], known="t")
    made.polled(2, 14.1, reading(5), [], known="t")
    assert made.strong_until["t"] > 14.9
    assert made.strong_until["u"] < 13.1
