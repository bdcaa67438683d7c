"""Caches whose entries expire: TTL caches without a bound on their size, and LRU with a TTL.

Fofack, Nain, Neglia & Towsley, "Performance evaluation of hierarchical TTL-based cache networks", Computer Networks
65, 2014. Rates are accesses a second here, and times are seconds.
"""

from __future__ import annotations

from forecache.extras import TRACES, extra
from forecache.study.models.characteristic import Floats, characteristic_time, rates_of

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["lru_with_ttl", "ttl_from_last_access", "ttl_from_load"]


def ttl_from_last_access(rates: npt.ArrayLike, ttl: float) -> Floats:
    """Every access begins the TTL anew:  h_i = 1 − exp(−λ_i τ)."""
    return -np.expm1(-rates_of(rates) * ttl)


def ttl_from_load(rates: npt.ArrayLike, ttl: float) -> Floats:
    """The TTL begins when a value is loaded, as in most caches:  h_i = λ_i τ / (1 + λ_i τ)."""
    hits = rates_of(rates) * ttl
    return hits / (1 + hits)


def lru_with_ttl(rates: npt.ArrayLike, capacity: float, ttl: float, sizes: npt.ArrayLike = 1.0) -> Floats:
    """LRU in which values expire τ after they were loaded:  h_i = n_i / (1 + n_i), n_i the hits that a load brings.

    Until T, the characteristic time, only the TTL ends a stay: n_i = λ_i τ for τ ≤ T. Without a TTL there would be
    exp(λ_i T) − 1 hits. In between n_i grows from the one to the other, beginning at the rate λ_i (1 − exp(−λ_i T))
    at which hits come at age T, and slowing down exponentially; this last step is an approximation.

    Args:
        rates: accesses of each key a second, shape (keys,).
        capacity: in entries, or in the unit of the sizes.
        ttl: seconds from the load of a value until it expires.
        sizes: of the keys, shape (keys,); by default all are 1.

    Returns:
        Hit ratio of each key, shape (keys,).
    """
    rates = rates_of(rates)

    def resident(time: float) -> Floats:
        hits = hits_of_a_load(rates, time, ttl)
        return hits / (1 + hits)

    return resident(characteristic_time(resident, capacity, np.asarray(sizes, np.float64)))


def hits_of_a_load(rates: Floats, time: float, ttl: float) -> Floats:
    """Hits until a gap between accesses is longer than `time`, or the age exceeds the TTL, shape (keys,)."""
    if ttl <= time:
        return rates * ttl
    seen = -np.expm1(-rates * time)
    at_first = rates * time
    in_the_end = np.expm1(np.minimum(rates * time, 500.0))  # e^500 hits are never reached
    slope = rates * seen
    with np.errstate(invalid="ignore", divide="ignore"):
        more = in_the_end - at_first
        grown = -more * np.expm1(-slope * (ttl - time) / more)
    return at_first + np.where(more > 0, grown, 0.0)
