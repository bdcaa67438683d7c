"""Training sets and evaluations of divided histories: those of each partition, in a cache for its share of the keys.

A partition is a spatial sample of the keys, served by a cache with the same share of the capacity (Waldspurger et al.,
USENIX ATC 2017): features, which are divided by the capacity, are those of the whole. Memory is that of a partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from forecache.errors import ConfigurationError
from forecache.learn.dataset import MOST_ROWS, Dataset, split
from forecache.learn.evaluate import EVERYTHING, SEEDS, Evaluation, HeldOut, held_out_hits, quality
from forecache.learn.model import Model
from forecache.record.engines import Run, in_turn
from forecache.record.partitions import Partitions
from forecache.record.trace import Trace
from forecache.units import Capacity, Weights

__all__ = ["Divided", "collect_partitions", "evaluate_partitions"]

LEAST_ENTRIES: Final = 64  # of a partition's cache: with fewer, a policy with several queues is another one


@dataclass(frozen=True)
class Divided:
    """A divided history, each partition of which is divided by time, as a `Split` divides a trace."""

    trace: Partitions
    holdout: float
    run: Run = in_turn

    @property
    def cut(self) -> int:
        """Accesses to learn from."""
        return sum(round(part.accesses * (1 - self.holdout)) for part in self.trace.parts)

    def samples(self, capacity: int, *, weights: Weights = "unit", seed: int = 0, most: int = MOST_ROWS) -> Dataset:
        """What policies with that capacity together sample in the past; errors are those of `collect_partitions`."""
        settings: dict[str, Any] = {"weights": weights, "seed": seed, "most": most}
        return collect_partitions(self.trace, capacity, holdout=self.holdout, run=self.run, **settings)


def collect_partitions(
    history: Partitions,
    capacity: Capacity | str | int,
    *,
    holdout: float | None = None,
    weights: Weights = "unit",
    seed: int = 0,
    most: int = MOST_ROWS,
    run: Run = in_turn,
) -> Dataset:
    """The samples that a learned policy would take, a partition at a time; the same, to the last bit, on any engine.

    Args:
        history: divided by keys.
        capacity: of a cache for all keys, as `Capacity.parse` takes it.
        holdout: share of each partition, its end, that is not looked at; None for none.
        weights: whether an entry weighs 1 or its size.
        seed: of the policy.
        most: rows in all.
        run: engine.

    Raises:
        ConfigurationError: a partition's cache would hold too few entries to be like the whole.
        CapacityError: the capacity cannot be used with this history or these weights.
    """
    whole = Capacity.parse(str(capacity)).resolve(history, weights=weights)
    settings = {"weights": weights, "seed": seed, "most": -(-most // len(history.parts))}
    task = partial(samples_of, own_capacity(history, whole, weights), holdout, settings)
    return Dataset.join(list(run(task, history.paths)))


def evaluate_partitions(
    models: Mapping[str, Model],
    part: Divided,
    capacity: int,
    *,
    weights: Weights = "unit",
    seeds: Sequence[int] = SEEDS,
    policies: Sequence[str] = EVERYTHING,
    most: int = MOST_ROWS,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Evaluation:
    """Judges models, by name, on the held-out end of each partition: hits are added up, predictions put together.

    The result is the same, to the last bit, on any engine. Args and errors are those of `collect_partitions`.
    """
    history = part.trace
    own = own_capacity(history, capacity, weights)
    files = {name: model.to_bytes() for name, model in models.items()}
    settings = {"weights": weights, "seeds": tuple(seeds), "policies": tuple(policies)}
    task = partial(judged, own, part.holdout, files, settings | {"most": -(-most // len(history.parts))})
    hits: dict[tuple[str, int], int] = {}
    seen, held_out = [], 0
    for done, found in enumerate(part.run(task, history.paths), 1):
        seen.append(found.seen)
        held_out += found.runs[0].accesses
        for one in found.runs:
            hits[one.policy, one.seed] = hits.get((one.policy, one.seed), 0) + one.hits
        on_progress(done, len(history.paths))
    rows = Dataset.join(seen)
    return Evaluation(
        history.name,
        len(history),
        len(history) - held_out,
        capacity,
        {name: quality(model, rows) for name, model in models.items()},
        tuple(HeldOut(policy, seed, held_out, count) for (policy, seed), count in hits.items()),
    )


def own_capacity(history: Partitions, whole: int, weights: Weights) -> int:
    """The share of each partition in a capacity.

    Raises:
        ConfigurationError: it would hold too few entries to be like the whole.
    """
    own = whole // history.count
    entries = own * history.unique / history.unique_bytes if weights == "size" else own
    if entries < LEAST_ENTRIES:
        raise ConfigurationError(
            f"a capacity of {whole:,} is {entries:,.0f} entries for each of {history.count} partitions; expected at "
            f"least {LEAST_ENTRIES}: learn for a larger one, or divide into fewer"
        )
    return own


def samples_of(capacity: int, holdout: float | None, settings: dict[str, Any], path: Path) -> Dataset:
    """The samples of one partition."""
    trace = Trace.read(path)
    past = trace if holdout is None else split(trace, holdout).past
    return Dataset.of(past, capacity, **settings)


class Judged(NamedTuple):
    """What one partition tells."""

    runs: list[HeldOut]
    seen: Dataset


def judged(capacity: int, holdout: float, files: dict[str, bytes], settings: dict[str, Any], path: Path) -> Judged:
    """Every policy and model on one partition."""
    part = split(Trace.read(path), holdout)
    models = {name: Model.from_bytes(data) for name, data in files.items()}
    weights, seeds, policies, most = (settings[name] for name in ("weights", "seeds", "policies", "most"))
    seen = part.held_out(Dataset.of(part.trace, capacity, weights=weights, seed=seeds[0], most=most))
    return Judged(held_out_hits(models, part, capacity, weights=weights, seeds=seeds, policies=policies), seen)
