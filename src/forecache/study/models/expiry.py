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

__all__ = ["hits_of_a_load", "lifetime", "lru_with_ttl", "ttl_from_last_access", "ttl_from_load"]


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


def hits_of_a_load(rates: Floats, time: float, ttl: float, writes: Floats | float = 0.0) -> Floats:
    """Hits until a gap between accesses is longer than `time`, the age exceeds the TTL, or a write removes the copy.

    Args:
        rates: accesses of each key a second, shape (keys,).
        time: seconds without access after which a copy is evicted, T.
        ttl: seconds, τ; may be infinite.
        writes: of each key a second, ω, shape (keys,), or one number.

    Returns:
        Until age τ ≤ T, λ (1 − exp(−ω τ)) / ω; without a TTL, p / (1 − p) with p = λ / (λ + ω) · (1 − exp(−(λ+ω) T));
        in between, exponentially from the one to the other. Shape (keys,).
    """
    writes = np.broadcast_to(np.asarray(writes, np.float64), rates.shape)
    at_first = rates * lifetime(min(time, ttl), writes)
    if ttl <= time:
        return at_first
    both = np.minimum((rates + writes) * time, 500.0)  # e^500 hits are never reached
    chance = rates / (rates + writes) * -np.expm1(-both)
    in_the_end = chance / (writes / (rates + writes) + rates / (rates + writes) * np.exp(-both))
    slope = rates * np.exp(-writes * time) * -np.expm1(-rates * time)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        more = in_the_end - at_first
        grown = -more * np.expm1(-slope * (ttl - time) / more)
    return at_first + np.where(more > 0, grown, 0.0)


def lifetime(ttl: float, writes: Floats) -> Floats:
    """Mean seconds until a copy is removed by a write or its TTL:  (1 − exp(−ω τ)) / ω, shape (keys,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ends = -np.expm1(-writes * ttl) / writes
    return np.where(writes > 0, ends, ttl)
