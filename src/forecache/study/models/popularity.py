"""Popularity: how often keys are asked for, fitted from a trace; and whether the order of accesses matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from forecache import _core
from forecache.errors import EmptyTraceError
from forecache.extras import TRACES, extra
from forecache.record.trace import Trace
from forecache.study.models.characteristic import Floats

with extra(TRACES):
    import numpy as np

__all__ = ["Independence", "ZipfMandelbrot", "empirical", "independence"]

EXPONENTS: Final = np.linspace(0, 3, 61)  # first guesses
SHIFTS: Final = np.concatenate(([0.0], np.geomspace(0.1, 10_000, 21)))
REFINEMENTS: Final = 4  # each looks five times closer
AROUND: Final = np.linspace(-1, 1, 11)
LOOKED_AT: Final = 400_000  # accesses that are shuffled
SHUFFLES: Final = 19  # so that one result in twenty is the most extreme by chance
NEGLIGIBLE: Final = 0.01  # a difference in hit ratio that changes no decision


def empirical(trace: Trace) -> Floats:
    """Share of the accesses that each key has, most popular first, shape (keys,).

    Keys of one access are as many as the trace happened to catch: what is calculated from these shares is about this
    trace, and too hopeful about the next one.

    Raises:
        EmptyTraceError: there is no access.
    """
    if len(trace) == 0:
        raise EmptyTraceError(f"trace {trace.name!r} has no access; expected at least one")
    counts = np.unique(trace.key, return_counts=True)[1]
    return np.sort(counts)[::-1] / len(trace)


@dataclass(frozen=True, slots=True)
class ZipfMandelbrot:
    """Popularity p_i ∝ (i + shift)^−exponent of the key of rank i = 1, …, keys.

    Mandelbrot, "An informational theory of the statistical structure of language", 1953; Zipf's law is shift = 0.
    """

    exponent: float
    shift: float
    keys: int

    def probabilities(self) -> Floats:
        """Of each key, most popular first, shape (keys,)."""
        weights = (np.arange(1, self.keys + 1) + self.shift) ** -self.exponent
        return weights / weights.sum()  # type: ignore[no-any-return]

    @classmethod
    def fit(cls, trace: Trace) -> ZipfMandelbrot:
        """The law under which the ranked counts of a trace are most likely, to three digits.

        Raises:
            EmptyTraceError: there is no access.
        """
        shares = empirical(trace)
        rank = np.arange(1, shares.size + 1)

        def likelihood(exponent: float, shift: float) -> float:
            weight = np.log(rank + shift)
            return float(-exponent * (shares @ weight) - np.log(np.exp(-exponent * weight).sum()))

        best = max(((a, s) for a in EXPONENTS[::3] for s in SHIFTS[::2]), key=lambda found: likelihood(*found))
        width = (0.15, 0.8)  # of an exponent, and of a shift's logarithm
        for _ in range(REFINEMENTS):
            exponent, shift = best
            near = [
                (max(exponent + width[0] * a, 0.0), shift * np.exp(width[1] * s) if shift else max(0.05 * s, 0.0))
                for a in AROUND
                for s in AROUND
            ]
            best = max([best, *near], key=lambda found: likelihood(*found))
            width = width[0] / 5, width[1] / 5
        return cls(float(best[0]), float(best[1]), shares.size)


@dataclass(frozen=True, slots=True)
class Independence:
    """Whether models of independent references say something about a trace: LRU as it is, and shuffled."""

    capacity: int  # entries
    hit_ratio: float  # of LRU on the trace
    shuffled: float  # the mean on the same accesses in random orders
    spread: float  # standard deviation over the orders
    extreme: bool  # no random order was as far from their mean: chance alone does so once in twenty times

    @property
    def is_fair(self) -> bool:
        """Whether the order may be ignored: it is like a random one, or the difference changes no decision."""
        return not self.extreme or abs(self.hit_ratio - self.shuffled) < NEGLIGIBLE

    def __str__(self) -> str:
        """What that says, in words."""
        compared = (
            f"LRU with room for {self.capacity:,} keys hits {self.hit_ratio:.1%} of these accesses, "
            f"and {self.shuffled:.1%} of the same accesses in random order"
        )
        if self.is_fair:
            return f"{compared}: independent references are a fair assumption, and the equations apply."
        if self.hit_ratio > self.shuffled:
            why = "keys come back sooner than their popularity says"
        else:
            why = "keys come back later than their popularity says, as in loops and scans"
        return f"{compared}: {why}, so take curves from the trace, not from equations."


def independence(trace: Trace, capacity: int | None = None, *, shuffles: int = SHUFFLES, seed: int = 0) -> Independence:
    """Compares a trace with the same accesses in random orders: a permutation test, exact whatever the popularity.

    Args:
        trace: of which the first 400,000 accesses are looked at.
        capacity: entries of the LRU cache that is compared; by default a tenth of the keys.
        shuffles: random orders.
        seed: of the orders.

    Raises:
        EmptyTraceError: there is no access.
    """
    if len(trace) == 0:
        raise EmptyTraceError(f"trace {trace.name!r} has no access; expected at least one")
    keys, chance = np.array(trace.key[:LOOKED_AT]), np.random.default_rng(seed)
    capacity = max(1, np.unique(keys).size // 10) if capacity is None else capacity

    def lru(order: np.ndarray) -> float:
        curve = _core.Curve()
        curve.feed(np.ascontiguousarray(order).data)
        return curve.hits([capacity])[0][0] / order.size

    found = lru(keys)
    others = np.array([lru(chance.permutation(keys)) for _ in range(shuffles)])
    mean = float(others.mean())
    extreme = bool(abs(found - mean) > np.abs(others - mean).max())
    return Independence(capacity, found, mean, float(others.std()), extreme)
