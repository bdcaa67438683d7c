"""Laws of the circuit breaker, against a model of it, over any order of requests, answers and time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from forecache.serve.breaker import Breaker, State
from forecache.serve.budget import Budget
from tests.clock import Clock

FAILURES, FIRST, LONGEST = 3, 1.0, 8.0


class Breaking(RuleBasedStateMachine):
    """Requests enter and end in any order; whoever was let in before a change has no say after it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(
            "it", failures=FAILURES, first_pause=FIRST, longest_pause=LONGEST, clock=self.clock, seed=1
        )
        self.running: list[int] = []
        self.state, self.term, self.in_a_row = State.CLOSED, 0, 0
        self.changed_at = self.clock()
        self.pause, self.outages = FIRST, 0

    def change(self, state: State) -> None:
        self.state, self.changed_at = state, self.clock()
        self.term = self.breaker._term

    @rule()
    def enter(self) -> None:
        ticket, waited = self.breaker.enter(), self.clock() - self.changed_at
        if self.state is State.CLOSED:
            assert ticket is not None
        elif self.state is State.OPEN:
            assert ticket is None or waited >= self.pause / 2, "before the shortest pause"
            assert ticket is not None or waited < self.pause, "after the longest pause"
        else:
            assert (ticket is not None) == (waited >= LONGEST), "one probe at a time"
        if ticket is not None:
            if self.state is not State.CLOSED:
                self.change(State.HALF_OPEN)
            self.running.append(ticket)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def succeed(self, data: Any) -> None:
        ticket = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.breaker.succeed(ticket)
        if ticket == self.term:
            self.in_a_row = 0
            if self.state is State.HALF_OPEN:
                self.change(State.CLOSED)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def fail(self, data: Any) -> None:
        ticket = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.breaker.fail(ticket, "it failed")
        if ticket != self.term:
            return
        self.in_a_row += 1
        if self.state is State.HALF_OPEN:
            self.pause = min(2 * self.pause, LONGEST)
            self.change(State.OPEN)
        elif self.in_a_row == FAILURES:
            self.pause, self.outages = FIRST, self.outages + 1
            self.change(State.OPEN)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        ticket = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.breaker.leave(ticket)
        if ticket == self.term and self.state is State.HALF_OPEN:
            self.change(State.OPEN)
            self.changed_at = float("-inf")  # no pause

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 4.0, 8.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        stats = self.breaker.stats()
        assert (stats.state, stats.outages) == (self.state, self.outages)


TestBreaking = Breaking.TestCase


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "forecache"]


def test_one_line_for_an_outage_and_one_for_its_end_however_many_requests(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    breaker = Breaker("valkey at host:1", clock=clock, seed=1)
    with caplog.at_level(logging.INFO, "forecache"):
        for _ in range(50):  # 50 times 10 s, all of them down
            for _ in range(20):
                if (ticket := breaker.enter()) is not None:
                    breaker.fail(ticket, "timed out")
            clock.advance(10)
        breaker.succeed(breaker.enter() or -1)
    assert lines(caplog) == [
        "valkey at host:1 failed 3 times (timed out); going on without it",
        "valkey at host:1 answers again after 8m20s",
    ]
    assert breaker.stats().outages == 1
    assert breaker.stats().probes == 50


def test_a_fleet_does_not_come_back_at_once() -> None:
    clock = Clock()
    fleet = [Breaker("it", failures=1, first_pause=1.0, clock=clock, seed=seed) for seed in range(200)]
    for breaker in fleet:
        breaker.fail(breaker.enter() or 0, "down")
    back = []
    for _ in range(10):
        clock.advance(0.1)
        back.append(sum(breaker.stats().state is State.OPEN and breaker.enter() is not None for breaker in fleet))
    assert back[:4] == [0, 0, 0, 0]
    assert sum(back) == 200
    assert max(back) < 100


def in_threads(count: int, act: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_many_threads_one_is_the_probe() -> None:
    clock = Clock()
    breaker = Breaker("it", failures=1, clock=clock)
    breaker.fail(breaker.enter() or 0, "down")
    clock.advance(1)
    tickets: list[int | None] = []
    in_threads(16, lambda: tickets.append(breaker.enter()))
    assert sum(ticket is not None for ticket in tickets) == 1


def test_a_budget_is_spent_once_over_all_that_wait() -> None:
    clock = Clock()
    budget = Budget(1.0, clock)
    clock.advance(0.75)
    assert budget.within(0.1) == 0.1
    assert budget.within(10) == 0.25
    clock.advance(0.5)
    assert budget.is_spent()
    assert budget.within(10) == 0.0
    assert repr(budget) == "Budget(0 s left)"
