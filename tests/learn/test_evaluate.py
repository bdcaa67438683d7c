"""Laws of evaluation: only what was held out counts, and the simulator is the cache's own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from forecache import _core
from forecache.learn.dataset import Dataset, split
from forecache.learn.evaluate import CLASSICAL, evaluate, held_out_hits, quality
from forecache.learn.predictor import ForestPredictor, RecencyPredictor
from forecache.learn.training import collect, train
from forecache.units import Capacity
from tests.learn.conftest import CAPACITY, workload


@pytest.fixture(scope="module")
def model(data):
    return train(ForestPredictor(trees=40), data)


@pytest.fixture(scope="module")
def found(model, part):
    return evaluate({"forest": model}, part, CAPACITY)


def test_hits_before_the_cut_do_not_count(part):
    (run,) = held_out_hits({}, part, CAPACITY, policies=["lru"])
    hits = _core.Simulation(part.trace.accesses(), "lru", CAPACITY).run_hits(len(part.trace))
    assert run.accesses == len(part.trace) - part.cut
    assert run.hits == sum(hits[part.cut :])


def test_every_policy_is_compared_and_none_beats_foresight(found):
    assert set(found.policies) == {*CLASSICAL, "learned", "min", "forest"}
    assert found.policies[-1] == "min"
    assert found.gap_closed("lru") == 0
    assert found.gap_closed("min") == 1
    assert found.best_classical in CLASSICAL
    assert found.hit_ratio(found.best_classical) == max(found.hit_ratio(name) for name in CLASSICAL)


def test_whatever_leaves_something_to_chance_runs_with_two_seeds(found):
    seeds = {run.policy: [other.seed for other in found.runs if other.policy == run.policy] for run in found.runs}
    assert seeds["forest"] == seeds["learned"] == [0, 1]
    assert seeds["lru"] == [0]
    assert found.spread("lru") == 0


def test_a_model_of_the_same_traffic_predicts_better_than_a_guess(found):
    seen = found.qualities["forest"]
    assert seen.log_loss < seen.base_log_loss - 0.02
    assert seen.auc > 0.65
    assert seen.rank_correlation > 0.2
    assert all(abs(bucket.predicted - bucket.observed) < 0.15 for bucket in seen.calibration if bucket.rows > 200)


def test_a_model_that_knows_less_predicts_worse(model, part, data):
    seen = part.held_out(Dataset.of(part.trace, CAPACITY))
    recency = train(RecencyPredictor(), data)
    assert quality(recency, seen).auc < quality(model, seen).auc
    assert quality(recency, seen).r_squared < quality(model, seen).r_squared


def test_rows_whose_outcome_is_not_known_do_not_count(model, part):
    seen = part.held_out(Dataset.of(part.trace, CAPACITY))
    counted = quality(model, seen)
    assert counted.rows == (seen.watched >= seen.entries).sum()
    assert counted.long_rows == (seen.watched >= counted.horizon * seen.entries).sum()


def test_too_few_rows_give_no_figure(model, data):
    few = quality(model, data[:10])
    assert (few.log_loss, few.auc, few.r_squared, few.calibration) == (None, None, None, ())


def test_an_evaluation_is_json(found):
    value = json.loads(json.dumps(found.to_dict()))
    assert value["policies"]["min"]["gap_closed"] == 1
    assert value["predictions"]["forest"]["rows"] > 0


def test_several_traces_and_sizes_are_learned_from_together():
    parts = [split(workload(5000, seed), 0.5) for seed in (1, 2)]
    sizes = [Capacity.parse("50"), Capacity.parse("200")]
    told = []
    data = collect(parts, sizes, on_progress=lambda done, total: told.append((done, total)))
    assert set(np.unique(data.entries).tolist()) == {50, 200}
    assert (data.position < 2500).all()
    assert told[-1] == (4, 4)


def test_weights_by_size_count_bytes_of_capacity():
    part = split(workload(8000), 0.4)
    data = collect([part], [Capacity.parse("2000")], weights="size")
    assert len(data) > 100
    assert data.entries.max() < 2000
    model = train(ForestPredictor(trees=5), data)
    assert held_out_hits({"m": model}, part, 2000, weights="size", seeds=(0,))[0].hits > 0


def test_names_of_models_may_be_anything(model, part):
    found = held_out_hits({"lru-like": model}, replace_trace(part, 6000), CAPACITY, seeds=(0,))
    assert [run.policy for run in found] == ["lru-like"]


def replace_trace(part, accesses):
    return part._replace(trace=replace(part.trace.head(accesses), name="short"), cut=accesses // 2)
