"""Schedules made by hand: a process stays in the list, with all its tables, whatever is late or lost."""

from __future__ import annotations

import pytest

from forecache.coherence.changes import Change
from tests.simulation.by_hand import TERM, Process, Schedule
from tests.simulation.mutants import SYNCHRONOUS

ROW = Change("t", b"1")


def lacking(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for where, attribute, replaced in SYNCHRONOUS[name]:
        monkeypatch.setattr(where, attribute, replaced)


@pytest.mark.parametrize("is_mutant", [False, True])
def test_who_was_heard_of_since_is_not_struck(is_mutant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sequencer asks that he be struck, as it stood still for a term; he asked meanwhile, and stays in the list.

    Another one, who reads another table, lets beacons grant; so if he were not in the list, he would be granted what
    nobody waits for, until his next request.
    """
    if is_mutant:
        lacking("struck unheard", monkeypatch)
    made = Schedule()
    one, other = Process(made, "one", "t"), Process(made, "other", "u")
    for now in (2.998, 2.999):
        one.ask(now)
        other.ask(now)
    made.tick(2.9995)  # the sequencer learns of both, and stands still
    other.ask(3.2480)
    made.tick(3.2490)
    made.do(made.machine.tick(3.2492), 3.2492)
    one.ask(3.2499)  # just before he is to be struck
    made.tick(3.2500)
    made.tick(3.2600)  # a beacon, which proves what he asked
    one.ask(3.2610)
    now = 3.2492 + TERM + 0.0001  # it stood still again, and a beacon begins: its answer is late
    late = made.machine.tick(now)
    is_seen = made.commit(8, ROW, now)
    assert one.answers_strongly(ROW, now)
    assert is_seen == is_mutant
    made.do(late, now)


@pytest.mark.parametrize("is_mutant", [False, True])
def test_a_request_that_comes_after_a_later_one_changes_nothing(
    is_mutant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent on another connection, and named fewer tables."""
    if is_mutant:
        lacking("requests in any order", monkeypatch)
    made = Schedule()
    process = Process(made, "one", "u")
    process.ask(2.998)
    late, _ = process.request()
    process.connection = process.reader.connected()
    process.questions.want("t")
    process.ask(2.999)
    made.valkey.run(late, 2.9995)
    made.tick(3.0)  # a beacon, which proves the request
    process.ask(3.001)
    is_seen = made.commit(8, ROW, 3.002)
    assert process.answers_strongly(ROW, 3.002)
    assert is_seen == is_mutant
