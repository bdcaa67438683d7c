"""The protocol's law, in any order of events and under faults: no copy is older than what is proven of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.coherence.beacons.reader import Reader, Ticket
from forecache.coherence.beacons.shard import Reading
from forecache.coherence.changes import Change
from tests.coherence.world import World

choices = st.lists(st.integers(0, 2**16), max_size=400)


@given(choices)
@settings(deadline=None)
def test_no_copy_is_older_than_what_is_proven_of_it(choices: list[int]) -> None:
    world = World()
    for choice in choices:
        world.do(choice)


def run(seed: int, steps: int = 400, **how: Any) -> World:
    world, chance = World(**how), random.Random(seed)
    for _ in range(steps):
        world.do(chance.randrange(2**16))
    return world


def test_long_runs_without_faults_prove_copies() -> None:
    worlds = [run(seed, 2000, faults=False) for seed in range(5)]
    assert sum(world.proofs for world in worlds) > 300


@pytest.mark.parametrize("trim", [1000, 2])
def test_long_runs_under_faults_violate_nothing(trim: int) -> None:
    worlds = [run(seed, 1000, trim=trim) for seed in range(60)]
    assert sum(world.proofs for world in worlds) > 100


def keeps_whatever(self: Reader, ticket: Ticket, change: Change, reading: Reading | None) -> bool:
    return may_keep(self, ticket, change, None)


def trusts_any_server(self: Reader, history: str) -> None:
    self._history = history


may_keep = Reader.may_keep
MUTANTS: list[tuple[type, str, Any]] = [
    (World, "_epoch", lambda self: "always the same"),
    (Reader, "may_keep", keeps_whatever),
    (Reader, "_forget_records", trusts_any_server),
]


@pytest.mark.parametrize(("where", "name", "mutant"), MUTANTS, ids=["no epochs", "no positions", "any server"])
def test_without_a_defence_some_order_of_events_violates_it(
    where: type, name: str, mutant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, mutant)
    with pytest.raises(AssertionError, match="was visible at"):
        for seed in range(2000):
            run(seed, 600)
