"""Laws of predictors: one interface, scikit-learn's conventions, and the same answers inside the core."""

import inspect

import numpy as np
import pytest

from forecache import _core
from forecache.errors import ConfigurationError
from forecache.learn.predictor import ForestPredictor, RecencyPredictor, core_scores
from forecache.learn.training import PREDICTORS, predictor_of, train

ROUNDING = 1.01 / 512  # octaves; scores are multiples of 1/256
SMALL = {"forest": {"trees": 30}, "trees": {"trees": 30}, "network": {"hidden": (8, 4), "epochs": 3}}


@pytest.fixture(scope="session", params=PREDICTORS)
def fitted(request, data):
    if request.param == "trees":
        pytest.importorskip("lightgbm", reason="LightGBM is not installed: pip install 'forecache[learn]'")
    if request.param == "network":
        pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'forecache[learn]'")
    return predictor_of(request.param, **SMALL.get(request.param, {})).fit(data.rows, data.targets)


def test_the_core_predicts_the_same_within_rounding(fitted, data, random_rows):
    for rows in (random_rows, data.rows):
        difference = np.abs(core_scores(fitted.core_, rows) - np.clip(fitted.predict(rows), -4096, 4096))
        assert difference.max() <= ROUNDING + 1e-5 * np.abs(fitted.predict(rows)).max()


def test_fitting_again_gives_the_same(fitted, data, random_rows):
    again = type(fitted)(**fitted.get_params()).fit(data.rows, data.targets)
    np.testing.assert_array_equal(again.predict(random_rows), fitted.predict(random_rows))


def test_whoever_learned_explains_something(fitted, data):
    score = fitted.score(data.rows, data.targets)
    rounded = (2 * ROUNDING) ** 2 / data.targets.var()  # of a mean and a slope: where that is 0, nothing is explained
    assert -rounded <= score <= 1
    if not isinstance(fitted, RecencyPredictor):
        assert score > 0.02


def test_clone_of_scikit_learn_makes_an_unfitted_one(fitted):
    base = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed: pip install 'forecache[learn]'")
    twin = base.clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not [name for name in vars(twin) if name.endswith("_")]


@pytest.mark.parametrize("name", PREDICTORS)
def test_parameters_are_kept_as_given(name):
    predictor = predictor_of(name)
    parameters = inspect.signature(type(predictor)).parameters
    assert predictor.get_params() == {key: parameter.default for key, parameter in parameters.items()}
    assert vars(predictor) == predictor.get_params()
    assert repr(predictor).startswith(type(predictor).__name__)
    with pytest.raises(ConfigurationError, match="no parameter 'colour'"):
        predictor.set_params(colour=3)


def test_set_params_changes_one():
    assert ForestPredictor(trees=3).set_params(depth=2).get_params()["depth"] == 2


@pytest.mark.parametrize("name", PREDICTORS)
def test_predicting_before_fitting_says_so(name, random_rows):
    with pytest.raises(ConfigurationError, match="fit"):
        predictor_of(name).predict(random_rows)


def test_an_unknown_predictor_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="expected one of forest"):
        predictor_of("oracle")


@pytest.mark.parametrize(
    "wrong", [{"trees": 5000}, {"depth": 0}, {"depth": 9}, {"ridge": -1.0}, {"rate": float("nan")}]
)
def test_forests_that_cannot_be_grown_are_refused(wrong, data):
    with pytest.raises(ValueError, match="expected"):
        ForestPredictor(**wrong).fit(data.rows, data.targets)


def test_rows_and_targets_must_fit(data):
    with pytest.raises(ValueError, match="one finite target"):
        ForestPredictor().fit(data.rows, data.targets[:-1])
    with pytest.raises(ValueError, match="27 bytes"):
        _core.Predictor.shipped()[0].scores(b"12345")


def test_recency_believes_that_old_keys_stay_away(data):
    predictor = RecencyPredictor().fit(data.rows, data.targets)
    old, young = (np.full((1, 27), age, dtype=np.uint8) for age in (200, 50))
    assert np.sign(predictor.predict(old) - predictor.predict(young)) == np.sign(predictor.slope_)


def test_the_metadata_say_what_was_learned(data):
    model = train(ForestPredictor(trees=5), data, {"traces": ["workload"]})
    assert model.metadata["traces"] == ["workload"]
    assert model.metadata["rows"] == len(data)
    assert model.metadata["predictor"].startswith("ForestPredictor(trees=5")
    probability = model.probability(data.rows)
    assert ((probability > 0) & (probability < 1)).all()
