"""Laws of datasets: rows are those of serving, nothing of the future is seen, and no label is biased by the end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache import _core
from forecache.errors import ConfigurationError, EmptyTraceError
from forecache.learn.censoring import expected, fit_censored
from forecache.learn.dataset import NEVER, Dataset, log_waits, split
from forecache.learn.predictor import ForestPredictor
from forecache.record.trace import Trace
from tests.learn.conftest import CAPACITY, workload


@pytest.mark.parametrize("weights", ["unit", "size"])
def test_rows_do_not_depend_on_what_comes_later(weights):
    trace = workload(12_000)
    whole, past = (Dataset.of(part, 400, weights=weights) for part in (trace, trace.head(8000)))
    seen = whole[whole.position < 8000]
    assert len(past) > 100
    np.testing.assert_array_equal(past.rows, seen.rows)
    np.testing.assert_array_equal(past.position, seen.position)
    returned = seen.position + np.minimum(seen.wait, 2**40) < 8000
    np.testing.assert_array_equal(past.wait, np.where(returned, seen.wait, np.uint64(NEVER)))


def test_replaying_for_rows_changes_no_decision():
    trace = workload(20_000)
    plain = _core.Simulation(trace.accesses(), "learned", CAPACITY, seed=3)
    hits = plain.run(len(trace))[1]
    Dataset.of(trace, CAPACITY, seed=3)
    again = _core.Simulation(trace.accesses(), "learned", CAPACITY, seed=3)
    assert again.run(len(trace))[1] == hits


def test_waits_are_those_of_a_plain_search(part, data):
    """The key of a row is not told, so that its wait must be that of some key accessed before, and then again."""
    keys = part.past.key
    for position, wait in list(zip(data.position.tolist(), data.wait.tolist(), strict=True))[::200]:
        if wait != NEVER:
            assert position < position + wait < len(keys)
            assert keys[position + wait] in keys[: position + 1]
            assert keys[position + wait] not in keys[position + 1 : position + wait]


def test_at_most_so_many_rows_from_all_of_the_time(part):
    few = Dataset.of(part.past, CAPACITY, most=500)
    assert len(few) == 500
    assert few.position.min() < len(part.past) * 0.2 < len(part.past) * 0.8 < few.position.max()
    assert (np.diff(few.position.astype(np.int64)) >= 0).all()


def test_targets_are_octaves_of_the_capacity():
    waits = np.array([100, 200, 1600, 10**9], dtype=np.uint64)
    octaves = log_waits(waits, np.full(4, 100, dtype=np.uint64))
    np.testing.assert_allclose(octaves, np.log2([1.05, 2.05, 16.05, 16.05]), rtol=1e-6)


def test_rows_past_the_horizon_are_known_though_their_keys_never_return(data):
    never = ~data.returned
    old = data.watched >= _core.HORIZON * data.entries
    assert data.known[never & old].all()
    assert not data.known[never & ~old].any()
    np.testing.assert_allclose(data.targets[never & old], np.log2(_core.HORIZON + 0.05), rtol=1e-6)


def test_a_split_is_in_time(part):
    assert len(part.past) == part.cut == 21_000
    held_out = part.held_out(Dataset.of(part.trace, CAPACITY))
    assert held_out.position.min() >= part.cut


@pytest.mark.parametrize("holdout", [0, 1, -1, 2, float("nan")])
def test_a_split_has_two_sides(holdout):
    with pytest.raises(ConfigurationError, match="holdout"):
        split(workload(100), holdout)


def test_an_empty_trace_has_no_rows():
    with pytest.raises(EmptyTraceError):
        Dataset.of(Trace.from_columns([]), 10)


def test_a_cache_that_never_evicts_teaches_nothing():
    with pytest.raises(ConfigurationError, match="never had to evict"):
        fit_censored(ForestPredictor(), Dataset.of(Trace.from_columns([1, 2, 3]), 10))


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=50))
def test_expected_labels_are_at_least_what_is_known(rows):
    values = np.array([value for value, _ in rows])
    known = np.array([is_known for _, is_known in rows])
    labels = expected(values, known)
    assert (labels >= values).all()
    assert (labels[known] == values[known]).all()
    assert (labels <= values.max() + 1e-9).all()


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_expected_labels_restore_the_mean_that_censoring_hides(seed):
    chance = np.random.default_rng(seed)
    truth, end = chance.uniform(0, 4, 20_000), chance.uniform(0, 6, 20_000)
    seen, known = np.minimum(truth, end), truth <= end
    assert seen.mean() < truth.mean() - 0.3
    assert expected(seen, known).mean() == pytest.approx(truth.mean(), abs=0.06)
