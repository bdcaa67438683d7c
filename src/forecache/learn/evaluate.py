"""Evaluation on what a model has not seen: how good its predictions are, and the hit ratio that they buy.

Predictions are judged on the samples taken after the cut, and only those so old that all of their outcomes are known,
returned or not: leaving out just the rows without an outcome would leave out the long waits. Hit ratios are simulated
over the whole trace, so that every cache is warm and has learned, but counted after the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from forecache import _core
from forecache.extras import TRACES, extra
from forecache.learn.dataset import Dataset, Split, log_waits
from forecache.learn.metrics import (
    Bucket,
    area_under_curve,
    calibration,
    log_loss,
    r_squared,
    rank_correlation,
)
from forecache.learn.training import returns_within
from forecache.study.in_threads import in_threads, replayed
from forecache.study.simulate import BASELINE, BOUND, available_cores, share_of_gap

if TYPE_CHECKING:
    from forecache.learn.model import Model
    from forecache.units import Weights

with extra(TRACES):
    import numpy as np

__all__ = [
    "EVERYTHING",
    "FALLBACK",
    "LEARNED",
    "SEEDS",
    "Evaluation",
    "HeldOut",
    "Quality",
    "evaluate",
    "held_out_hits",
    "quality",
]

LEARNED: Final = "learned"  # the policy that uses models
FALLBACK: Final = "tinylfu"  # what whoever distrusts a model would use
SEEDS: Final = (0, 1)  # of the policies that leave something to chance
CLASSICAL: Final = tuple(name for name in _core.POLICIES if name != LEARNED)
EVERYTHING: Final = (*CLASSICAL, LEARNED, BOUND)  # that a model is compared with
FEWEST: Final = 50  # rows below which a figure would be chance


@dataclass(frozen=True, slots=True)
class Quality:
    """How good predictions are; None where there are too few rows to tell."""

    rows: int  # old enough to know whether their keys returned within one capacity
    returned: float | None  # the share of those that did
    log_loss: float | None  # nats; of the probability that a key returns within one capacity
    base_log_loss: float | None  # of the share itself, given to all: what a model must beat
    auc: float | None  # chance that who returns is ranked before who does not
    calibration: tuple[Bucket, ...]
    horizon: int  # capacities up to which the two figures below tell waits apart
    long_rows: int  # old enough for that
    r_squared: float | None  # of the logarithm of the wait
    rank_correlation: float | None  # Spearman's, with the order that an oracle would give


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What one policy reached after the cut."""

    policy: str
    seed: int
    accesses: int
    hits: int

    @property
    def hit_ratio(self) -> float:
        """Hits per access."""
        return self.hits / self.accesses


@dataclass(frozen=True)
class Evaluation:
    """One or more models on one trace."""

    trace: str
    accesses: int  # of the whole trace
    cut: int  # the first one held out
    capacity: int
    qualities: Mapping[str, Quality]  # by name of the model
    runs: tuple[HeldOut, ...]

    def hit_ratio(self, policy: str) -> float:
        """The mean over the seeds."""
        return float(np.mean([run.hit_ratio for run in self.runs if run.policy == policy]))

    def spread(self, policy: str) -> float:
        """The difference between the best and the worst seed."""
        return float(np.ptp([run.hit_ratio for run in self.runs if run.policy == policy]))

    @property
    def policies(self) -> list[str]:
        """All that were simulated, the best last."""
        return sorted({run.policy for run in self.runs}, key=self.hit_ratio)

    @property
    def best_classical(self) -> str:
        """The best that needs no model; known only afterwards."""
        return max((name for name in self.policies if name in CLASSICAL), key=self.hit_ratio)

    def gap_closed(self, policy: str) -> float | None:
        """(hit ratio − LRU's) / (MIN's − LRU's)."""
        total = self.runs[0].accesses
        hits = {name: round(self.hit_ratio(name) * total) for name in self.policies}
        return share_of_gap(hits[policy], hits.get(BASELINE), hits.get(BOUND))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        policies = {
            name: {
                "hit_ratio": self.hit_ratio(name),
                "spread": self.spread(name),
                "gap_closed": self.gap_closed(name),
            }
            for name in reversed(self.policies)
        }
        return {
            "trace": self.trace,
            "accesses": self.accesses,
            "cut": self.cut,
            "capacity": self.capacity,
            "best_classical": self.best_classical,
            "policies": policies,
            "predictions": {name: asdict(quality) for name, quality in self.qualities.items()},
        }


def evaluate(
    models: Mapping[str, Model],
    part: Split,
    capacity: int,
    *,
    weights: Weights = "unit",
    seeds: Sequence[int] = SEEDS,
    policies: Sequence[str] = EVERYTHING,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Evaluation:
    """Judges models, by name, on the held-out part of a trace.

    Raises:
        EmptyTraceError: the trace has no access.
        CapacityError: the capacity is 0.
    """
    seen = part.held_out(Dataset.of(part.trace, capacity, weights=weights, seed=seeds[0]))
    runs = held_out_hits(
        models, part, capacity, weights=weights, seeds=seeds, policies=policies, on_progress=on_progress
    )
    qualities = {name: quality(model, seen) for name, model in models.items()}
    return Evaluation(part.trace.name, len(part.trace), part.cut, capacity, qualities, tuple(runs))


def quality(model: Model, seen: Dataset) -> Quality:
    """How good a model's predictions are for rows that it has not learned from."""
    rows = seen[seen.watched >= seen.entries]
    longest = int((seen.watched // seen.entries).max(initial=1))
    horizon = max(1, min(_core.HORIZON, longest // 2))
    long_rows = seen[seen.watched >= horizon * seen.entries]
    if len(rows) < FEWEST or len(long_rows) < FEWEST:
        return Quality(len(rows), None, None, None, None, (), horizon, len(long_rows), None, None)
    truth, probability = returns_within(rows), model.probability(rows.rows)
    wait = log_waits(np.minimum(long_rows.wait, horizon * long_rows.entries), long_rows.entries)
    predicted = model.predict(long_rows.rows)
    return Quality(
        rows=len(rows),
        returned=float(truth.mean()),
        log_loss=None if probability is None else log_loss(truth, probability),
        base_log_loss=log_loss(truth, np.full(len(rows), truth.mean())),
        auc=area_under_curve(truth, -model.predict(rows.rows)),
        calibration=() if probability is None else tuple(calibration(truth, probability)),
        horizon=horizon,
        long_rows=len(long_rows),
        r_squared=r_squared(wait, np.minimum(predicted, wait.max())),
        rank_correlation=rank_correlation(wait, predicted),
    )


def held_out_hits(
    models: Mapping[str, Model],
    part: Split,
    capacity: int,
    *,
    weights: Weights = "unit",
    seeds: Sequence[int] = SEEDS,
    policies: Sequence[str] = (),
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[HeldOut]:
    """Replays the trace through every policy, and through the learned one with every model; counts after the cut."""
    accesses = part.trace.accesses()
    files = {name: model.to_bytes() for name, model in models.items()}
    named = [(name, seed) for name in policies for seed in (seeds if name == LEARNED else seeds[:1])]
    cells = [*named, *((name, seed) for name in models for seed in seeds)]

    def replay(cell: int, stop: Event) -> HeldOut:
        name, seed = cells[cell]
        policy, model = (LEARNED, files[name]) if name in files else (name, None)
        simulation = _core.Simulation(accesses, policy, capacity, weights=weights, seed=seed, model=model)
        _, before, _, _ = replayed(simulation.run, part.cut, stop)
        total, after, _, _ = replayed(simulation.run, len(part.trace) - part.cut, stop)
        return HeldOut(name, seed, total - part.cut, after - before)

    return in_threads(replay, len(cells), jobs=available_cores(), on_tick=lambda done: on_progress(done, len(cells)))
