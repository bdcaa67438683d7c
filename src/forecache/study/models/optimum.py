"""The static optimum: what is most worth keeping is kept for ever, which perfect LFU tends to."""

from __future__ import annotations

from forecache.extras import TRACES, extra
from forecache.study.models.characteristic import Floats, rates_of

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["static_optimum"]


def static_optimum(rates: npt.ArrayLike, capacity: float, sizes: npt.ArrayLike = 1.0) -> Floats:
    """The m most probable keys are kept:  P(m) = Σ_{i ≤ m} p_(i).

    With sizes, those with most accesses per byte; the last one in part, which makes it an upper bound (Dantzig, Oper.
    Res. 5(2), 1957). No policy does better under independent references that are known in advance.

    Args:
        rates: accesses of each key a second, or probabilities, shape (keys,).
        capacity: in entries, or in the unit of the sizes.
        sizes: of the keys, shape (keys,); by default all are 1.

    Returns:
        Share of each key that is kept, and so its hit ratio, shape (keys,).
    """
    rates = rates_of(rates)
    sizes = np.broadcast_to(np.asarray(sizes, np.float64), rates.shape)
    order = np.argsort(-rates / sizes, kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]
    kept = np.empty_like(rates)
    kept[order] = np.clip((capacity - before) / sizes[order], 0, 1)
    return kept
