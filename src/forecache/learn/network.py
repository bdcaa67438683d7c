"""`NetworkPredictor`: a small multilayer perceptron, fitted by scikit-learn, and its flat weights for the core.

Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Self

from forecache import _core
from forecache.extras import TRACES, extra
from forecache.learn.predictor import Predictor

if TYPE_CHECKING:
    import numpy.typing as npt

    from forecache.learn.dataset import Floats, Rows

with extra(TRACES):
    import numpy as np

__all__ = ["NetworkPredictor"]


class NetworkPredictor(Predictor):
    """Layers of rectified sums over standardised features; a feature that is a code is 0, and one flag more.

    Args:
        hidden: neurons of each hidden layer.
        epochs: passes over the rows.
        rate: first step size of Adam.
        ridge: L2 penalty.
        batch: rows of a step.
        seed: of the first weights and of the order of the rows.
    """

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (32, 16),
        epochs: int = 12,
        rate: float = 3e-3,
        ridge: float = 1e-4,
        batch: int = 256,
        seed: int = 0,
    ) -> None:
        """Keeps the parameters."""
        self.hidden = hidden
        self.epochs = epochs
        self.rate = rate
        self.ridge = ridge
        self.batch = batch
        self.seed = seed

    def fit(self, X: Rows, y: Floats) -> Self:  # noqa: N803
        """Learns from rows and the octaves that became of them.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        with extra("learn"):
            from sklearn.exceptions import ConvergenceWarning
            from sklearn.neural_network import MLPRegressor
        is_number = X < _core.FEATURE_CODES
        counts = np.maximum(is_number.sum(axis=0), 1)
        self.mean_ = np.where(is_number, X, 0).sum(axis=0) / counts
        spread = np.sqrt((np.where(is_number, X - self.mean_, 0) ** 2).sum(axis=0) / counts)
        self.factor_ = np.where(spread > 0, 1 / np.maximum(spread, 1e-9), 0.0)
        codes = range(_core.FEATURE_CODES, 256)
        self.flags_ = [(at, code) for at in range(X.shape[1]) for code in codes if (X[:, at] == code).any()]
        network = MLPRegressor(
            hidden_layer_sizes=self.hidden,
            max_iter=self.epochs,
            learning_rate_init=self.rate,
            alpha=self.ridge,
            batch_size=min(self.batch, len(X)),
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is what was asked for
            self.network_ = network.fit(self.inputs(X), np.asarray(y, dtype=np.float32))
        layers = zip(self.network_.coefs_, self.network_.intercepts_, strict=True)
        self.core_ = _core.Predictor.network(
            list(zip(self.mean_.tolist(), self.factor_.tolist(), strict=True)),
            self.flags_,
            [(weights.T.ravel().tolist(), biases.tolist()) for weights, biases in layers],
        )
        return self

    def inputs(self, rows: Rows) -> npt.NDArray[np.float32]:
        """What the first layer is given, of shape (rows, features + flags)."""
        numbers = np.where(rows < _core.FEATURE_CODES, (rows - self.mean_) * self.factor_, 0.0)
        flags = [rows[:, at] == code for at, code in self.flags_]
        return np.column_stack([numbers, *flags]).astype(np.float32)

    def predict(self, X: Rows) -> Floats:  # noqa: N803
        """Octaves, of shape (rows,), by scikit-learn itself."""
        self.fitted()
        return np.asarray(self.network_.predict(self.inputs(X)), dtype=np.float64)
