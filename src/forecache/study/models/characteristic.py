"""The characteristic time: what is in a cache stays for T, the same T for all keys, such that the cache is full.

With λ_i accesses of key i a second and s_i its size, a model gives h_i(T), the share of time that key i is in the
cache; T is where  Σ_i s_i h_i(T) = M, the capacity. As accesses of a Poisson process see averages over time (Wolff,
Oper. Res. 30(2), 1982), h_i is its hit ratio too. Only ratios of rates matter unless there is a TTL, so that
probabilities may stand for rates.

Che, Tung & Wang, IEEE JSAC 20(7), 2002; why it is so good: Fricker, Robert & Roberts, ITC 24, 2012. Valid for
independent references and many keys, none of which makes a large share of the accesses or fills much of the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from forecache.errors import CapacityError, ConfigurationError
from forecache.extras import TRACES, extra

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["Floats", "characteristic_time", "hit_ratio", "rates_of"]

Floats = npt.NDArray[np.float64]

HALVINGS: Final = 200  # of an interval of times; doubles have no more to tell after some 1,100 of the full range
ENOUGH: Final = 1e-12  # relative width of the interval at which to stop


def rates_of(rates: npt.ArrayLike) -> Floats:
    """Rates or probabilities as an array, shape (keys,).

    Raises:
        ConfigurationError: there is none, one is not above 0, or is not finite.
    """
    given = np.asarray(rates, dtype=np.float64)
    if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all() or given.min() <= 0:
        raise ConfigurationError(
            "rates cannot be used; expected one or more finite numbers above 0, such as [0.5, 0.3, 0.2]"
        )
    return given


def characteristic_time(resident: Callable[[float], Floats], capacity: float, sizes: Floats | float = 1.0) -> float:
    """The T at which what is resident fills the capacity; infinite if everything fits.

    Args:
        resident: of T, the share of time h_i that each key is in the cache, growing in T, shape (keys,).
        capacity: in the unit of the sizes.
        sizes: of the keys, shape (keys,), or 1.

    Raises:
        CapacityError: the capacity is not above 0.
    """
    if not capacity > 0:
        raise CapacityError(f"capacity is {capacity}; expected more than 0")

    def used(time: float) -> float:
        return float(np.sum(sizes * resident(time)))

    if used(np.inf) <= capacity:
        return float("inf")
    low, high = 0.0, 1.0
    while used(high) < capacity:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if used(middle) < capacity else (low, middle)
        if high - low <= ENOUGH * high:
            break
    return (low + high) / 2


def hit_ratio(rates: npt.ArrayLike, resident: Floats) -> float:
    """Hits per access over all keys:  Σ_i λ_i h_i / Σ_i λ_i."""
    weights = rates_of(rates)
    return float(weights @ resident / weights.sum())
