"""`Predictor`: one interface to all that predicts, with scikit-learn's conventions, and the plain ones among them.

Parameters are set in `__init__` and never change; what `fit` learns ends in `_`; `fit` returns the predictor. X has
shape (rows, features) and holds the small integers that the core computes; y are octaves: the logarithm of the time
until the next access, in capacities (see `forecache.learn.dataset`). `core_` predicts the same inside a cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Self

from forecache import _core
from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra

if TYPE_CHECKING:
    from forecache.learn.dataset import Floats, Rows

with extra(TRACES):
    import numpy as np

__all__ = ["ForestPredictor", "FrequencyPredictor", "Predictor", "RecencyPredictor", "core_scores"]


class Predictor(ABC):
    """What is fitted to rows and octaves; `sklearn.base.clone` and parameter searches work with it."""

    core_: _core.Predictor  # the fitted predictor, in a form that the core can ask

    @abstractmethod
    def fit(self, X: Rows, y: Floats) -> Self:  # noqa: N803 - scikit-learn's name
        """Learns from rows and the octaves that became of them."""

    def predict(self, X: Rows) -> Floats:  # noqa: N803
        """Octaves, of shape (rows,)."""
        return core_scores(self.fitted(), X)

    def score(self, X: Rows, y: Floats) -> float:  # noqa: N803
        """The share of the variance of y that is explained: R², at most 1."""
        from forecache.learn.metrics import r_squared

        return r_squared(y, self.predict(X))

    def fitted(self) -> _core.Predictor:
        """The predictor in the core's form.

        Raises:
            ConfigurationError: it has not been fitted.
        """
        if not hasattr(self, "core_"):
            raise ConfigurationError(f"{type(self).__name__} has not learned anything yet; call fit(X, y) first")
        return self.core_

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Sets parameters by name.

        Raises:
            ConfigurationError: there is no such parameter.
        """
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ConfigurationError(
                    f"{type(self).__name__} has no parameter {name!r}; expected one of {', '.join(known) or 'none'}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The call that makes another one like it."""
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({parameters})"


class ForestPredictor(Predictor):
    """Oblivious trees, grown by the core: what runs inside the learned policy, and the fastest to ask.

    Args:
        trees: number of trees, up to 4096.
        depth: questions of each, 1 to 8.
        rate: share of what is unexplained that a tree explains.
        ridge: rows' worth of zeros in each leaf.
        share: of the features that each tree may ask about.
        seed: of the choice of features.
    """

    def __init__(
        self,
        *,
        trees: int = 160,
        depth: int = 4,
        rate: float = 0.15,
        ridge: float = 50.0,
        share: float = 0.8,
        seed: int = 0,
    ) -> None:
        """Keeps the parameters."""
        self.trees = trees
        self.depth = depth
        self.rate = rate
        self.ridge = ridge
        self.share = share
        self.seed = seed

    def fit(self, X: Rows, y: Floats) -> Self:  # noqa: N803
        """Learns from rows and the octaves that became of them."""
        rows, targets = np.ascontiguousarray(X), np.ascontiguousarray(y, dtype=np.float32)
        self.core_ = _core.Predictor.forest(rows.data, targets.data, **self.get_params())
        return self


class LinearPredictor(Predictor):
    """A straight line through one feature."""

    feature: ClassVar[str]

    def __init__(self) -> None:
        """Has no parameters."""

    def fit(self, X: Rows, y: Floats) -> Self:  # noqa: N803
        """Least squares."""
        at = _core.FEATURES.index(self.feature)
        values = X[:, at].astype(np.float64)
        centered = values - values.mean()
        self.slope_ = float(centered @ y) / max(float(centered @ centered), 1.0)
        self.intercept_ = float(y.mean() - self.slope_ * values.mean())
        weights = [0.0] * len(_core.FEATURES)
        weights[at] = self.slope_
        self.core_ = _core.Predictor.network([(0.0, 1.0)] * len(weights), [], [(weights, [self.intercept_])])
        return self


class RecencyPredictor(LinearPredictor):
    """What LRU believes: the longer ago a key was accessed, the longer it will take."""

    feature = "age"


class FrequencyPredictor(LinearPredictor):
    """What LFU believes: the more often a key was accessed, the sooner it returns."""

    feature = "accesses"


def core_scores(predictor: _core.Predictor, rows: Rows) -> Floats:
    """Octaves that the core predicts, of shape (rows,)."""
    return np.frombuffer(predictor.scores(np.ascontiguousarray(rows).data), dtype=np.float32).astype(np.float64)
