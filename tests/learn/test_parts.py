"""Laws of the parts of the learned policy: each can be left out and decides something; learning aside does not."""

import numpy as np
import pytest

from forecache import _core

CAPACITY = 60


@pytest.fixture(scope="module")
def accesses() -> _core.Accesses:
    """Keys drawn by popularity, then a loop that no policy without foresight but LRU's opposite can hold."""
    chance = np.random.default_rng(1)
    drawn = (1000 * chance.random(12_000) ** 3).astype(np.uint64)
    loop = np.tile(np.arange(2000, 2075, dtype=np.uint64), 160)
    return _core.Accesses(np.concatenate([drawn, loop, drawn[::-1]]).data)


def hits(accesses: _core.Accesses, **setting: object) -> bytes:
    return _core.Simulation(accesses, "learned", CAPACITY, seed=1, **setting).run_hits(len(accesses))


@pytest.mark.parametrize("part", ["training", "imputation", "ghosts"])
def test_each_part_decides_something(accesses, part):
    assert hits(accesses, without=[part]) != hits(accesses)


def test_the_guard_saves_a_policy_that_knows_and_learns_nothing(accesses):
    nothing = _core.Predictor.forest(b"", np.empty(0, np.float32).data, trees=0, depth=1, rate=1, ridge=1, share=1)
    model = nothing.to_bytes("{}")
    guarded = hits(accesses, model=model, without=["training"])
    assert sum(guarded) > 1.02 * sum(hits(accesses, model=model, without=["training", "guard"]))


def test_learning_aside_changes_no_decision(accesses):
    assert hits(accesses, aside=True) == hits(accesses)


def test_a_part_that_is_none_is_refused_and_so_is_a_policy_that_has_none(accesses):
    with pytest.raises(ValueError, match="no part 'luck' to leave out; expected one of training, imputation"):
        hits(accesses, without=["luck"])
    with pytest.raises(ValueError, match="predicts nothing"):
        _core.Simulation(accesses, "lru", CAPACITY, without=["guard"])
