"""`TreesPredictor`: LightGBM's trees, and their translation to the core's flat arrays.

Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NIPS 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from forecache import _core
from forecache.extras import TRACES, extra
from forecache.learn.predictor import Predictor

if TYPE_CHECKING:
    from forecache.learn.dataset import Floats, Rows

with extra(TRACES):
    import numpy as np

__all__ = ["TreesPredictor"]

LARGEST: Final = 255  # of a feature


class TreesPredictor(Predictor):
    """Binary trees of any shape, grown by LightGBM.

    Args:
        trees: number of trees, up to 4096.
        leaves: most leaves of a tree.
        depth: most questions on the way to a leaf, up to 64.
        rate: share of what is unexplained that a tree explains.
        ridge: rows' worth of zeros in each leaf.
        share: of the features that each tree may ask about.
        seed: of the choice of features.
    """

    def __init__(
        self,
        *,
        trees: int = 100,
        leaves: int = 31,
        depth: int = 8,
        rate: float = 0.1,
        ridge: float = 20.0,
        share: float = 0.8,
        seed: int = 0,
    ) -> None:
        """Keeps the parameters."""
        self.trees = trees
        self.leaves = leaves
        self.depth = depth
        self.rate = rate
        self.ridge = ridge
        self.share = share
        self.seed = seed

    def fit(self, X: Rows, y: Floats) -> Self:  # noqa: N803
        """Learns from rows and the octaves that became of them.

        Raises:
            MissingExtraError: LightGBM is not installed.
        """
        with extra("learn"):
            import lightgbm
        settings = {
            "objective": "regression",
            "num_leaves": self.leaves,
            "max_depth": self.depth,
            "learning_rate": self.rate,
            "lambda_l2": self.ridge,
            "feature_fraction": self.share,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "use_missing": False,
            "verbosity": -1,
        }
        self.booster_ = lightgbm.train(settings, lightgbm.Dataset(np.asarray(X), np.asarray(y)), self.trees)
        self.core_ = exported(self.booster_.dump_model()["tree_info"])
        return self

    def predict(self, X: Rows) -> Floats:  # noqa: N803
        """Octaves, of shape (rows,), by LightGBM itself."""
        self.fitted()
        return np.asarray(self.booster_.predict(np.asarray(X)), dtype=np.float64)


def exported(trees: list[dict[str, Any]]) -> _core.Predictor:
    """LightGBM's dump of its trees as flat arrays: children follow their parents, a leaf is its own child."""
    feature: list[int] = []
    threshold: list[int] = []
    left: list[int] = []
    right: list[int] = []
    value: list[float] = []

    def add(node: dict[str, Any]) -> int:
        at = len(feature)
        below = int(np.floor(node.get("threshold", 0)))
        feature.append(node.get("split_feature", 0))
        threshold.append(min(max(below, 0), LARGEST))
        left.append(at)
        right.append(at)
        value.append(node.get("leaf_value", 0.0))
        if "split_feature" in node:
            left[at], right[at] = add(node["left_child"]), add(node["right_child"])
            if below < 0:  # nothing is as low as that
                left[at] = right[at]
        return at

    roots = [add(tree["tree_structure"]) for tree in trees]
    bytes_of, indices, values = np.uint8, np.uint32, np.float32
    return _core.Predictor.trees(
        0.0,
        np.array(roots, indices).data,
        np.array(feature, bytes_of).data,
        np.array(threshold, bytes_of).data,
        np.array(left, indices).data,
        np.array(right, indices).data,
        np.array(value, values).data,
    )
