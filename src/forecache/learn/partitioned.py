"""Training sets of divided histories: the samples of each partition, in a cache for its share of the keys."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from forecache.errors import ConfigurationError
from forecache.learn.dataset import MOST_ROWS, Dataset, split
from forecache.record.engines import Run, in_turn
from forecache.record.partitions import Partitions
from forecache.record.trace import Trace
from forecache.units import Capacity, Weights

__all__ = ["collect_partitions"]

LEAST_ENTRIES: Final = 64  # of a partition's cache: with fewer, a policy with several queues is another one


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

    A partition is a spatial sample of the keys, served by a cache with the same share of the capacity (Waldspurger et
    al., USENIX ATC 2017): features, which are divided by the capacity, are those of the whole.

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
    own = whole // history.count
    entries = own * history.unique / history.unique_bytes if weights == "size" else own
    if entries < LEAST_ENTRIES:
        raise ConfigurationError(
            f"a capacity of {whole:,} is {entries:,.0f} entries for each of {history.count} partitions; expected at "
            f"least {LEAST_ENTRIES}: learn for a larger one, or divide into fewer"
        )
    settings = {"weights": weights, "seed": seed, "most": -(-most // len(history.parts))}
    task = partial(samples_of, own, holdout, settings)
    return Dataset.join(list(run(task, history.paths)))


def samples_of(capacity: int, holdout: float | None, settings: dict[str, Any], path: Path) -> Dataset:
    """The samples of one partition."""
    trace = Trace.read(path)
    past = trace if holdout is None else split(trace, holdout).past
    return Dataset.of(past, capacity, **settings)
