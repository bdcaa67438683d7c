"""The best size for a plain list of access probabilities: one call, with its table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra
from forecache.study.models.characteristic import Floats, hit_ratio, rates_of
from forecache.study.models.optimum import static_optimum
from forecache.study.models.replacement import fifo, lru, two_lru

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["MODELS", "CacheSize", "optimal_cache_size"]

MODELS: Final[dict[str, Callable[[Floats, float], Floats]]] = {
    "optimum": static_optimum,
    "lru": lru,
    "fifo": fifo,
    "2-lru": two_lru,
}


@dataclass(frozen=True, slots=True)
class CacheSize:
    """The best number of entries, and the table that it was found in."""

    entries: int
    hit_probabilities: tuple[float, ...]  # with room for 0, 1, … entries
    net_benefits: tuple[float, ...]  # per access: what hits save, less the price of the entries
    total: float  # sum of the probabilities as they were given; 1 if they were probabilities

    @property
    def hit_probability(self) -> float:
        """At the best size."""
        return self.hit_probabilities[self.entries]

    def __str__(self) -> str:
        """The table."""
        rows = zip(self.hit_probabilities, self.net_benefits, strict=True)
        lines = ["entries  hit probability  net benefit"]
        for entries, (probability, net) in enumerate(rows):
            mark = "  <- best" if entries == self.entries else ""
            lines.append(f"{entries:7}  {probability:15.4f}  {net:11.4f}{mark}")
        return "\n".join(lines)


def optimal_cache_size(
    p: npt.ArrayLike,
    *,
    cost_per_miss: float = 1.0,
    price_per_entry: float = 0.0,
    model: Literal["optimum", "lru", "fifo", "2-lru"] = "optimum",
) -> CacheSize:
    """The number of entries with the largest net benefit, for independent accesses to keys of one size.

        net(m) = P(m) · cost of a miss − price of an entry · m

    Args:
        p: probability of each key, shape (keys,); what does not sum to 1 is scaled so that it does.
        cost_per_miss: what each miss costs more than a hit.
        price_per_entry: for the time of one access, in the same unit. Without it nothing speaks against the
            largest cache, which is then the best.
        model: who is kept: the most probable keys, or what a policy keeps.

    Returns:
        The best size, the smallest if there are several, and the table.

    Raises:
        ConfigurationError: p is no list of numbers above 0, a price is negative, or the model is unknown.
    """
    given = rates_of(p)
    if model not in MODELS:
        raise ConfigurationError(f"model is {model!r}; expected one of {', '.join(MODELS)}")
    if cost_per_miss < 0 or price_per_entry < 0:
        raise ConfigurationError(
            f"a miss costs {cost_per_miss}, an entry {price_per_entry}; expected neither to be negative"
        )
    entries = np.arange(given.size + 1)
    hits = np.array([0.0, *(hit_ratio(given, MODELS[model](given, float(m))) for m in entries[1:])])
    net = hits * cost_per_miss - price_per_entry * entries
    best = int(np.argmax(np.round(net, 12)))
    return CacheSize(best, tuple(hits.tolist()), tuple(net.tolist()), float(given.sum()))
