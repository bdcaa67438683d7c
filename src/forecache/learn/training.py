"""Training: from the past parts of traces to a model that knows what it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra
from forecache.learn.censoring import fit_censored
from forecache.learn.dataset import MOST_ROWS, Dataset, Split, last
from forecache.learn.metrics import logistic_fit
from forecache.learn.model import WITHIN_CAPACITY, Model
from forecache.learn.network import NetworkPredictor
from forecache.learn.predictor import ForestPredictor, FrequencyPredictor, Predictor, RecencyPredictor
from forecache.learn.trees import TreesPredictor
from forecache.units import Capacity, Weights

if TYPE_CHECKING:
    from forecache.learn.dataset import Bools
    from forecache.learn.partitioned import Divided

with extra(TRACES):
    import numpy as np

__all__ = ["PREDICTORS", "collect", "predictor_of", "returns_within", "train"]

PREDICTORS: Final[Mapping[str, type[Predictor]]] = {
    "forest": ForestPredictor,
    "trees": TreesPredictor,
    "network": NetworkPredictor,
    "recency": RecencyPredictor,
    "frequency": FrequencyPredictor,
}
FEWEST: Final = 100  # rows below which a probability cannot be fitted


def predictor_of(name: str, **parameters: Any) -> Predictor:
    """The predictor of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in PREDICTORS:
        raise ConfigurationError(f"unknown predictor {name!r}; expected one of {', '.join(PREDICTORS)}")
    return PREDICTORS[name](**parameters)


def collect(
    parts: Sequence[Split | Divided],
    capacities: Sequence[Capacity],
    *,
    weights: Weights = "unit",
    seed: int = 0,
    most: int = MOST_ROWS,
    span: float = 1.0,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Dataset:
    """The samples of the past part of each trace, or divided history, at each capacity, which is that of the whole.

    Of each past only the last `span`, a share of the time in (0, 1], is kept.
    """
    cells = [(part, capacity) for part in parts for capacity in capacities]
    found = []
    for done, (part, capacity) in enumerate(cells):
        on_progress(done, len(cells))
        entries = capacity.resolve(part.trace, weights=weights)
        found.append(last(part.samples(entries, weights=weights, seed=seed, most=most), span))
    on_progress(len(cells), len(cells))
    return Dataset.join(found)


def train(predictor: Predictor, data: Dataset, about: Mapping[str, Any] | None = None) -> Model:
    """Fits a predictor, and how its predictions become probabilities.

    Args:
        predictor: what to fit; it is changed.
        data: samples, all of them from the past.
        about: what the metadata should say besides.

    Raises:
        ConfigurationError: there is no sample.
    """
    fit_censored(predictor, data)
    core = predictor.fitted()
    metadata = {**(about or {}), "predictor": repr(predictor), "rows": len(data), "censored": int((~data.known).sum())}
    model = Model(core, metadata)
    old_enough = data[data.watched >= data.entries]
    if len(old_enough) >= FEWEST:
        slope, intercept = logistic_fit(model.predict(old_enough.rows), returns_within(old_enough))
        metadata[WITHIN_CAPACITY] = {"slope": slope, "intercept": intercept}
    return Model(core, metadata)


def returns_within(data: Dataset) -> Bools:
    """Whether the key of each row was accessed again within one capacity."""
    return np.asarray(data.wait <= data.entries)
