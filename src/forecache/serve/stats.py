"""What a cache did: counts, and the ratios made of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from forecache.serve.learning import Learning

__all__ = ["Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """What happened since a cache was made, or, as a difference of two, between two moments.

    >>> before = Stats(hits=10, misses=10)
    >>> after = Stats(hits=40, misses=20)
    >>> (after - before).hit_ratio
    0.75
    """

    hits: int = 0  # lookups answered with a fresh value
    stale: int = 0  # lookups answered past freshness, while a refresh ran
    misses: int = 0  # lookups not answered from the cache
    evicted: int = 0  # entries that left for others
    expired: int = 0  # entries that became too old
    invalidated: int = 0  # entries deleted by key, by tag or all at once
    replaced: int = 0  # entries overwritten by a newer value
    rejected: int = 0  # values not stored: not admitted, too heavy, or overtaken by an invalidation
    loads: int = 0  # loaders that returned
    load_failures: int = 0  # loaders that raised
    load_seconds: float = 0.0  # time spent in loaders
    learning: Learning | None = None  # how far the first shard has learned, and how good that is; None if it does not

    @property
    def lookups(self) -> int:
        """Lookups of any result."""
        return self.hits + self.stale + self.misses

    @property
    def hit_ratio(self) -> float | None:
        """Share of lookups answered from the cache, in [0, 1]; None when there was none."""
        return (self.hits + self.stale) / self.lookups if self.lookups else None

    @property
    def miss_ratio(self) -> float | None:
        """Share of lookups not answered from the cache, in [0, 1]; None when there was none."""
        return self.misses / self.lookups if self.lookups else None

    @property
    def mean_load_seconds(self) -> float | None:
        """Mean duration of a load in seconds; None when there was none."""
        loads = self.loads + self.load_failures
        return self.load_seconds / loads if loads else None

    def __sub__(self, earlier: Stats) -> Stats:
        """What happened since `earlier`, and what has been learned until now."""
        counts = {name: getattr(self, name) - getattr(earlier, name) for name in COUNTS}
        return Stats(**counts, learning=self.learning)


COUNTS: Final = tuple(field.name for field in fields(Stats) if field.name != "learning")
