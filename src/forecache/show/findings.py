"""Findings: what the demo measured of each policy, and what that says in plain words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from forecache import _core
from forecache.serve.learning import Learning
from forecache.serve.settings import DEFAULT_POLICY
from forecache.show.stream import Demo
from forecache.study.simulate import BASELINE, BOUND, Row, share_of_gap

__all__ = ["NO_CACHE", "Outcome", "Run", "cost_of_learning", "finding"]

NO_CACHE: Final = "no cache"  # what reports call the run without one
COMPARED: Final = {
    DEFAULT_POLICY: f"{DEFAULT_POLICY}, the default policy,",
    BASELINE: "LRU",
    BOUND: "perfect foresight",
}  # with the best policy, if it is another one


@dataclass(frozen=True, slots=True)
class Run:
    """What one policy did."""

    policy: str | None  # None without a cache
    reads: int
    queries: int  # reads that the database answered
    hit_ratios: tuple[float | None, ...]  # of each window
    seconds: float  # of all requests together
    read_seconds: tuple[float, float, float]  # mean, median and 99th percentile of a read
    answers: int  # checksum over all answers
    learning: Learning | None = None  # what a policy that learns did besides

    @property
    def hits(self) -> int:
        """Reads that the cache answered."""
        return self.reads - self.queries

    @property
    def hit_ratio(self) -> float | None:
        """Share of the reads that the cache answered."""
        return self.hits / self.reads if self.reads else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo found."""

    demo: Demo
    runs: tuple[Run, ...]  # without a cache first
    curve: tuple[Row, ...]  # simulated, at the capacities of `CURVE`

    @property
    def stale(self) -> list[str]:
        """Policies that gave other answers than the database did."""
        return [run.policy or "" for run in self.runs if run.answers != self.runs[0].answers]

    def run_of(self, policy: str) -> Run | None:
        """The run of one policy, if there was one."""
        return next((run for run in self.runs if run.policy == policy), None)

    def gap_closed(self, run: Run) -> float | None:
        """Share of the gap between LRU and MIN that a run closes; None without a cache, or without the two."""
        lru, best = self.run_of(BASELINE), self.run_of(BOUND)
        if run.policy is None or lru is None or best is None:
            return None
        return share_of_gap(run.hits, lru.hits, best.hits)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        demo = self.demo
        return {
            "workload": demo.trace.name,
            "requests": len(demo.trace),
            "reads": self.runs[0].reads,
            "writes": len(demo.trace) - self.runs[0].reads,
            "keys": demo.trace.unique,
            "capacity": demo.capacity,
            "capacity_spec": demo.capacity_spec,
            "answers_equal": not self.stale,
            "rows": [self._row(run) for run in self.runs],
        }

    def _row(self, run: Run) -> dict[str, Any]:
        mean, median, p99 = run.read_seconds
        return {
            "policy": run.policy,
            "hits": run.hits,
            "hit_ratio": run.hit_ratio,
            "gap_closed": self.gap_closed(run),
            "queries": run.queries,
            "queries_saved": run.hits,
            "mean_seconds": mean,
            "p50_seconds": median,
            "p99_seconds": p99,
            "seconds": run.seconds,
            "learning": None if run.learning is None else asdict(run.learning),
        }


def finding(outcome: Outcome) -> str:
    """What was found, in one sentence."""
    online = [run for run in outcome.runs if run.policy in _core.POLICIES]
    best = max(online, key=lambda run: run.hits, default=outcome.runs[-1])
    others = [
        f"{words} {share(run.hit_ratio)}"
        for policy, words in COMPARED.items()
        if policy != best.policy and (run := outcome.run_of(policy)) is not None
    ]
    demo, gap = outcome.demo, outcome.gap_closed(best)
    room = f"With room for {demo.capacity:,} of {demo.trace.unique:,} keys"
    name = f"{best.policy}, the default policy," if best.policy == DEFAULT_POLICY else best.policy or NO_CACHE
    did = f"{name} answered {share(best.hit_ratio)} of the reads without the database"
    against = f" ({'; '.join(others)})" if others else ""
    closed = (
        "" if gap is None or best.policy == BASELINE else f", and closed {gap:.0%} of the gap from LRU to foresight"
    )
    first = "no policy did better than LRU: " if best.policy == BASELINE and len(online) > 1 else ""
    return f"{room}, {first}{did}{against}; it saved {best.hits:,} of {best.reads:,} queries{closed}."


def cost_of_learning(run: Run) -> str | None:
    """What learning took, in one sentence; None for a policy that does not learn."""
    learning = run.learning
    if learning is None:
        return None
    leader = "its own predictions" if learning.decides == run.policy else learning.decides
    return (
        f"{run.policy} fitted {learning.fits} models in {learning.fit_seconds:.2f} s on a thread of its own, kept "
        f"{learning.memory_bytes / 1e6:.1f} MB to learn from, and followed {leader} at the end."
    )


def share(ratio: float | None) -> str:
    """A ratio in percent, or a dash if nothing was counted."""
    return "-" if ratio is None else f"{ratio:.1%}"
