"""Tuning: the defaults are tried first, the search ends, and what it says it gained was never searched on."""

import pytest

from forecache.errors import ConfigurationError
from forecache.learn.dataset import last
from forecache.learn.tune import SPACES, tune
from forecache.units import Capacity
from tests.learn.conftest import workload

optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'forecache[learn]'")


@pytest.fixture(scope="module")
def found():
    return tune([workload(12_000)], Capacity.parse("60"), trials=2)


def test_the_best_is_at_least_as_good_as_the_defaults_where_it_was_searched(found):
    assert found.trials == 2
    assert found.searched >= found.searched_defaults
    assert set(found.parameters) == {"trees", "depth", "rate", "ridge", "span"}
    assert found.gain == found.held_out - found.defaults
    assert 0 < found.shipped < 1
    assert found.noise >= 0


def test_the_search_is_repeatable(found):
    assert tune([workload(12_000)], Capacity.parse("60"), trials=2) == found


def test_time_ends_the_search():
    assert tune([workload(6000)], Capacity.parse("60"), trials=1000, seconds=0.01).trials == 0


@pytest.mark.parametrize("name", ["trees", "network"])
def test_defaults_are_inside_of_what_is_searched(name):
    pytest.importorskip("lightgbm" if name == "trees" else "sklearn", reason="pip install 'forecache[learn]'")
    found = tune([workload(4000)], Capacity.parse("60"), predictor=name, trials=1, seconds=0.01)
    assert found.trials == 0
    assert found.held_out == found.defaults


def test_the_span_keeps_the_last_part(data):
    half = last(data, 0.5)
    assert half.position.min() >= data.position.max() // 2
    assert len(last(data, 1.0)) == len(data)


@pytest.mark.parametrize("wrong", [{"predictor": "recency"}, {"trials": 0}])
def test_what_cannot_be_tuned_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=", ".join(SPACES)):
        tune([workload(1000)], Capacity.parse("60"), **wrong)
