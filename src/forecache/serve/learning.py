"""What a cache that learns tells of what it has learned; looking changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from forecache import _core
from forecache.serve.settings import check_whole

__all__ = ["Explanation", "Learning", "Transparent"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a cache believes of one key, and why.

    Times are counted in accesses to the cache, or in capacities: as many accesses as the cache holds entries.
    """

    resident: bool  # in the cache, or only remembered
    age_accesses: int  # since its last access
    reuse_accesses: float  # predicted, from now until its next access
    reuse_capacities: float  # the same; 16 and above all mean: too late
    score: float  # octaves; of the candidates, the highest leaves
    features: Mapping[str, int]  # what the prediction is made of, 0 to 255; see docs/prediction.md
    decides: str  # who chooses what leaves: 'learned', or the policy that is followed because it does better
    fits: int  # models learned so far from this cache's own traffic
    prior_trees: int  # decision trees that came with the package
    residual_trees: int  # decision trees learned here, which correct them


@dataclass(frozen=True, slots=True)
class Learning:
    """How far a cache has learned, how good its predictions are, and what that costs."""

    decides: str  # who chooses what leaves: 'learned', or the policy that is followed because it does better
    # Of small copies of the cache, by policy, lately: what the choice rests on; of none but learned for 'bytes'.
    hit_ratios: Mapping[str, float | None]
    samples: int  # predictions whose outcome was or is waited for
    fits: int  # models learned so far
    failed_fits: int  # of which nothing came; the cache went on with the model it had
    fit_seconds: float  # time spent learning, on a thread of its own
    prior_trees: int  # decision trees that came with the package
    residual_trees: int  # decision trees learned here, which correct them
    memory_bytes: int  # kept for learning
    judged_samples: int  # that the last model but one had not seen; the next two fields judge it by them
    concordance: float | None  # share of pairs of keys whose order of return was foreseen; chance is 0.5
    calibration: tuple[
        tuple[float, float | None], ...
    ]  # capacities predicted and observed, in ten groups, soonest first

    @property
    def mean_fit_seconds(self) -> float | None:
        """Mean duration of a fit in seconds; None before the first."""
        return self.fit_seconds / self.fits if self.fits else None


class Transparent(_core.Store[K, V]):
    """A store that tells why it keeps what it keeps."""

    __slots__ = ()

    def explain(self, key: K) -> Explanation | None:
        """What the cache believes of a key, and why; None unless it learns and remembers the key.

        >>> from forecache import Cache
        >>> cache = Cache(capacity=100)
        >>> cache["user:7"] = "Ada"
        >>> cache.explain("user:7").resident, cache.explain("user:8")
        (True, None)
        """
        found = self._explain(key)
        return None if found is None else Explanation(**found)

    def learning(self, shard: int = 0) -> Learning | None:
        """How far the cache has learned; None unless it learns. Each shard learns by itself."""
        check_whole("shard", shard, 0, self._shards - 1)
        found = self._learning(shard)
        return None if found is None else Learning(**found)
