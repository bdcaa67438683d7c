"""Fleets: processes with a cache each, a shared tier behind them, writes that remove copies, and a bound on their age.

Of key i there are λ reads and ω writes a second; a read goes to one of the s processes that the key belongs to, so that
each of them gets μ = λ / s. An epoch of a copy begins when it is loaded from the database, and ends with the next write
or at age τ. With a shared tier all processes live in one epoch: a copy that is taken over is as old as it was there.
With ℓ(t, k) = (1 − exp(−k t)) / k, L = ℓ(τ, ω) the mean length of an epoch, and A = min(T, τ):

    processes without a tier   h = n / (1 + n), n the hits of a load at rate μ (`expiry.hits_of_a_load`)
    processes before a tier    h = μ (I + J) / (1/s + μ L), reads whose predecessor is in the epoch and within T:
                               I = ℓ(A, ω) − (1 − 1/s) ℓ(A, ω + μ),  J = (L − ℓ(A, ω)) (1 − exp(−μ T))
    a tier that is large       h' = 1 − 1 / ((1 + λ L) (1 − h)): one load an epoch, of the reads that come so far
    a tier that is full        h' times p(T' − min(T, T')/s) / p(∞), p = n / (1 + n) at rate m = λ (1 − h)

T and T' are such that the processes, and the tier, are full. Of the time in the last line a part is taken away because
a process asks the tier again only after T without a read (Martina, Garetto & Leonardi, ACM ToMPECS 1(3), 2016, section
5). Valid for LRU everywhere, independent references, and reads that are spread at random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra
from forecache.study.models.characteristic import Floats, characteristic_time, rates_of
from forecache.study.models.expiry import hits_of_a_load, lifetime

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["Fleet", "Load", "load_of"]


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many processes share which keys, and what they keep."""

    processes: int
    capacity: int  # entries of each process; 0 for no cache in processes
    shared: int = 0  # entries of the shared tier; 0 for none
    sharing: int | None = None  # processes that a key's reads go to; None for all
    bound: float = math.inf  # seconds after its load at which a copy may no longer be served
    invalidates: bool = True  # whether a write removes every copy at once

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ConfigurationError: one is out of range, or copies could be stale for ever.
        """
        if self.processes < 1 or self.capacity < 0 or self.shared < 0 or not 1 <= self.readers <= self.processes:
            raise ConfigurationError(
                f"{self.processes} processes, {self.readers} for a key, {self.capacity} entries each and {self.shared} "
                "shared; expected at least 1 process, 1 to all of them for a key, and no capacity below 0"
            )
        if not self.bound > 0 or (self.bound == math.inf and not self.invalidates):
            raise ConfigurationError(
                f"the bound is {self.bound:g} s; expected more than 0, and finite where writes do not remove copies"
            )

    @property
    def readers(self) -> int:
        """Processes that a key's reads go to."""
        return self.processes if self.sharing is None else self.sharing


@dataclass(frozen=True, slots=True)
class Load:
    """Where reads are answered; all ratios are per read."""

    in_process: float  # hit ratio of the processes' own caches
    in_tier: float  # answered by the shared tier
    database: float  # by the database
    stale: float = math.nan  # answered with what a write had made old, within the bound; NaN if unknown

    @property
    def hit_ratio(self) -> float:
        """Reads that do not reach the database."""
        return 1 - self.database


def load_of(fleet: Fleet, reads: npt.ArrayLike, writes: npt.ArrayLike = 0.0) -> Load:
    """Where reads are answered, as the equations above say.

    Args:
        fleet: of LRU caches.
        reads: of each key a second over all processes, shape (keys,).
        writes: of each key a second, shape (keys,), or one number for all.
    """
    rates = rates_of(reads)
    removals = np.broadcast_to(np.asarray(writes, np.float64), rates.shape) * fleet.invalidates
    hits, time = in_processes(fleet, rates, removals)
    asked = rates * (1 - hits)
    tier = in_tier(fleet, rates, removals, hits, time) if fleet.shared else np.zeros_like(rates)
    total = rates.sum()
    return Load(float(rates @ hits / total), float(asked @ tier / total), float(asked @ (1 - tier) / total))


def in_processes(fleet: Fleet, rates: Floats, writes: Floats) -> tuple[Floats, float]:
    """Hit ratio of each key in its processes, and T."""
    if fleet.capacity == 0:
        return np.zeros_like(rates), 0.0
    readers, own = fleet.readers, rates / fleet.readers

    def alone(time: float) -> Floats:
        return answered(hits_of_a_load(own, time, fleet.bound, writes))

    def together(time: float) -> Floats:
        most = min(time, fleet.bound)
        near, epoch = lifetime(most, writes), lifetime(fleet.bound, writes)
        within = near - (1 - 1 / readers) * lifetime(most, writes + own)
        seen = -np.expm1(-own * time)
        with np.errstate(invalid="ignore"):
            hits = own * (within + (epoch - near) * seen) / (1 / readers + own * epoch)
        return np.where(np.isinf(epoch), seen, hits)

    resident = together if fleet.shared else alone
    capacity = fleet.capacity * fleet.processes / readers
    time = characteristic_time(resident, capacity)
    return resident(time), time


def in_tier(fleet: Fleet, rates: Floats, writes: Floats, hits: Floats, time: float) -> Floats:
    """Hit ratio of each key in the shared tier, among the reads that processes did not answer."""
    asked = np.maximum(rates * (1 - hits), 1e-300)
    epochs = 1 + rates * lifetime(fleet.bound, writes)
    once = np.clip(1 - 1 / (epochs * np.maximum(1 - hits, 1e-12)), 0.0, 1.0)

    def resident(long: float) -> Floats:
        return answered(hits_of_a_load(asked, long, fleet.bound, writes))

    long = characteristic_time(resident, fleet.shared)
    if math.isinf(long):
        return once
    poisson = answered(asked * lifetime(fleet.bound, writes))
    return np.clip(once * resident(long - min(time, long) / fleet.readers) / poisson, 0.0, 1.0)


def answered(hits: Floats) -> Floats:
    """Hit ratio where a load brings so many hits, n / (1 + n)."""
    return 1 - 1 / (1 + hits)
