"""The protocol's machines, simulated: no schedule violates a certificate, and without a defence some schedule does."""

from __future__ import annotations

import time

import pytest

from tests.simulation.mutants import CAUGHT, CAUGHT_SYNCHRONOUS, MUTANTS, SYNCHRONOUS, Mutant
from tests.simulation.world import World, run

SEEDS = 100_000
SECONDS = 15  # so many schedules as fit; at least LEAST
LEAST = 100


def test_no_schedule_violates_a_certificate() -> None:
    began, answers, proven = time.monotonic(), 0, 0
    for seed in range(SEEDS):
        if seed >= LEAST and time.monotonic() - began > SECONDS:
            break
        counts = run(seed)
        answers, proven = answers + counts["answers"], proven + counts["proven"]
    assert proven > answers // 2 > 1000


def test_a_seed_tells_the_same_story_again() -> None:
    stories = []
    for _ in range(2):
        world = World(7, is_traced=True)
        world.run()
        stories.append(world.loop.trace)
    assert stories[0] == stories[1]
    assert len(stories[0]) > 50


def test_no_schedule_of_synchronous_mode_answers_with_what_was_there_before() -> None:
    began, strongly = time.monotonic(), 0
    for seed in range(SEEDS):
        if seed >= LEAST and time.monotonic() - began > SECONDS / 2:
            break
        strongly += run(seed, is_synchronous=True)["here, strongly"]
    assert strongly > LEAST


@pytest.mark.parametrize("name", CAUGHT)
def test_a_missing_defence_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look_for(MUTANTS[name], CAUGHT[name], monkeypatch, is_synchronous=False)


@pytest.mark.parametrize("name", CAUGHT_SYNCHRONOUS)
def test_a_missing_defence_of_synchronous_mode_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look_for(SYNCHRONOUS[name], CAUGHT_SYNCHRONOUS[name], monkeypatch, is_synchronous=True)


def look_for(mutant: Mutant, first: int, monkeypatch: pytest.MonkeyPatch, *, is_synchronous: bool) -> None:
    """Runs schedules without a defence, until one is violated."""
    for where, attribute, replaced in mutant:
        monkeypatch.setattr(where, attribute, replaced)
    with pytest.raises(AssertionError, match="proven as of"):
        for seed in range(first, first + 300):
            run(seed, is_synchronous=is_synchronous)
