"""Caches that are full: LRU, FIFO, RANDOM, and LRU behind a filter. Each function gives the hit ratio of every key.

LRU: Che, Tung & Wang, 2002. FIFO, RANDOM, q-LRU and 2-LRU: Martina, Garetto & Leonardi, ACM ToMPECS 1(3), 2016.
"""

from __future__ import annotations

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra
from forecache.study.models.characteristic import Floats, characteristic_time, rates_of

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["fifo", "lru", "q_lru", "two_lru"]


def seen_within(rates: Floats, time: float) -> Floats:
    """Probability of an access within a time:  1 − exp(−λ_i T)."""
    return -np.expm1(-rates * time)


def lru(rates: npt.ArrayLike, capacity: float, sizes: npt.ArrayLike = 1.0) -> Floats:
    """LRU: a key stays T after its last access,  h_i = 1 − exp(−λ_i T).

    Args:
        rates: accesses of each key a second, or probabilities, shape (keys,).
        capacity: in entries, or in the unit of the sizes.
        sizes: of the keys, shape (keys,); by default all are 1.

    Returns:
        Hit ratio of each key, shape (keys,).
    """
    rates = rates_of(rates)
    time = characteristic_time(lambda time: seen_within(rates, time), capacity, np.asarray(sizes, np.float64))
    return seen_within(rates, time)


def fifo(rates: npt.ArrayLike, capacity: float, sizes: npt.ArrayLike = 1.0) -> Floats:
    """FIFO and RANDOM: a key stays T after it came,  h_i = λ_i T / (1 + λ_i T), whether T is fixed or drawn.

    Arguments and result as of `lru`.
    """
    rates = rates_of(rates)

    def resident(time: float) -> Floats:
        return 1 - 1 / (1 + rates * time)

    return resident(characteristic_time(resident, capacity, np.asarray(sizes, np.float64)))


def q_lru(rates: npt.ArrayLike, capacity: float, q: float, sizes: npt.ArrayLike = 1.0) -> Floats:
    """LRU that admits what it missed with probability q:  h_i = q a_i / (1 − a_i + q a_i),  a_i = 1 − exp(−λ_i T).

    At q = 1 it is LRU; at q → 0 it keeps what is most popular. Arguments and result as of `lru`.

    Raises:
        ConfigurationError: q is not within (0, 1].
    """
    if not 0 < q <= 1:
        raise ConfigurationError(f"q is {q}; expected the probability of admission, in (0, 1]")
    return filtered(rates_of(rates), capacity, q, np.asarray(sizes, np.float64))


def two_lru(rates: npt.ArrayLike, capacity: float, ghosts: float | None = None, sizes: npt.ArrayLike = 1.0) -> Floats:
    """2-LRU: what was missed is admitted if its id is in an LRU cache of ids:  as q-LRU with q_i = 1 − exp(−λ_i T₁).

    The model takes the two caches to be independent, which is good to about a point of hit ratio.

    Args:
        rates: accesses of each key a second, or probabilities, shape (keys,).
        capacity: in entries, or in the unit of the sizes.
        ghosts: ids that are remembered; by default as many as the capacity.
        sizes: of the keys, shape (keys,); by default all are 1.

    Returns:
        Hit ratio of each key, shape (keys,).
    """
    rates = rates_of(rates)
    remembered = lru(rates, capacity if ghosts is None else ghosts)
    return filtered(rates, capacity, remembered, np.asarray(sizes, np.float64))


def filtered(rates: Floats, capacity: float, q: Floats | float, sizes: Floats) -> Floats:
    """LRU behind a filter that lets a missed key pass with probability q_i."""

    def resident(time: float) -> Floats:
        seen = seen_within(rates, time)
        return q * seen / (1 - seen + q * seen)

    return resident(characteristic_time(resident, capacity, sizes))
