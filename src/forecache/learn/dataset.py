"""`Dataset`: what a learned policy looked at while it served a trace, and what became of it.

A trace is replayed through the policy that will use the model, and the candidates that it samples become rows: the
rows of training are the rows of serving, computed by the same code (Ross et al., "A reduction of imitation learning to
no-regret online learning", AISTATS 2011, on why the states must be those of the policy itself). What is learned is the
time until the next access, after Song et al., "Learning relaxed Belady for CDN caching", NSDI 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from forecache import _core
from forecache.errors import ConfigurationError, EmptyTraceError
from forecache.extras import TRACES, extra

if TYPE_CHECKING:
    from forecache.record.trace import Trace
    from forecache.units import Weights

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["MOST_ROWS", "Bools", "Dataset", "Floats", "Rows", "Split", "Waits", "log_waits", "split"]

Rows = npt.NDArray[np.uint8]  # of shape (rows, features)
Waits = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NEVER: Final = 2**64 - 1
MOST_ROWS: Final = 200_000  # of one trace at one capacity: some 5 MB, and enough for trees of depth 6


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in order of time; all columns have as many entries as there are rows.

    A row is censored when its key had not returned by the end of the trace, and the horizon (`HORIZON` capacities, past
    which waits are not told apart) had not passed either: its wait is longer than `watched`, and no more is known.
    Such rows are not dropped, since they are the ones with long waits; `forecache.learn.censoring` gives them labels.
    """

    rows: Rows
    position: Waits  # access during which the sample was taken
    wait: Waits  # accesses until the next one to its key; `NEVER` when the trace ended before
    watched: Waits  # accesses from the sample to the end of the trace
    entries: Waits  # capacity by which the features are divided

    @classmethod
    def of(
        cls,
        trace: Trace,
        capacity: int,
        *,
        weights: Weights = "unit",
        seed: int = 0,
        most: int = MOST_ROWS,
        model: bytes | None = None,
    ) -> Self:
        """The samples of a learned policy on a trace.

        Args:
            trace: accesses in order.
            capacity: entries or, with `weights="size"`, bytes.
            weights: whether an entry weighs 1 or its size.
            seed: of the policy.
            most: rows; when there would be more, each has the same chance to be one of them.
            model: a model file whose predictor decides in place of the shipped one.

        Raises:
            EmptyTraceError: the trace has no access.
            ModelError: the model cannot be used.
        """
        if len(trace) == 0:
            raise EmptyTraceError(f"trace {trace.name!r} has no access; expected at least one")
        found = _core.training_rows(trace.accesses(), capacity, weights=weights, seed=seed, most=most, model=model)
        rows = np.frombuffer(found[0], dtype=np.uint8).reshape(-1, len(_core.FEATURES))
        position, wait, entries = (np.frombuffer(column, dtype=np.uint64) for column in found[1:])
        return cls(rows, position, wait, np.uint64(len(trace)) - position, entries)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The samples of several traces, or capacities, one after the other."""
        columns = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls))
        return cls(*columns)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def __getitem__(self, chosen: Bools | slice) -> Self:
        """Some of the rows."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def returned(self) -> Bools:
        """Whether there was a next access."""
        return np.asarray(self.wait != NEVER)

    @property
    def known(self) -> Bools:
        """Whether the target is known: the key returned, or the horizon passed."""
        return np.asarray(self.returned | (self.watched >= _core.HORIZON * self.entries))

    @property
    def targets(self) -> Floats:
        """Logarithm of the wait, in octaves of the capacity; of censored rows, of the wait so far."""
        return log_waits(np.minimum(self.wait, self.watched), self.entries)


def last(data: Dataset, span: float) -> Dataset:
    """The samples of the last share of the time."""
    start = data.position.min(initial=2**63) + (1 - span) * float(np.ptp(data.position)) if len(data) else 0
    return data[data.position >= start]


def log_waits(waits: Waits, entries: Waits) -> Floats:
    """log2(min(wait / entries, horizon) + 0.05), as the core has it: what predictors predict, shape (n,)."""
    targets = _core.targets(np.ascontiguousarray(waits).data, np.ascontiguousarray(entries).data)
    return np.frombuffer(targets, dtype=np.float32).astype(np.float64)


class Split(NamedTuple):
    """A trace, and the access at which the history ends that a predictor may learn from."""

    trace: Trace
    cut: int

    @property
    def past(self) -> Trace:
        """The part to learn from; nothing that happened later can be seen in it."""
        return self.trace[: self.cut]

    def samples(self, capacity: int, *, weights: Weights = "unit", seed: int = 0, most: int = MOST_ROWS) -> Dataset:
        """What a policy with that capacity samples in the past, as `Dataset.of` takes it."""
        return Dataset.of(self.past, capacity, weights=weights, seed=seed, most=most)

    def held_out(self, data: Dataset) -> Dataset:
        """The samples of the whole trace that were taken after the cut."""
        return data[data.position >= self.cut]


def split(trace: Trace, holdout: float) -> Split:
    """Divides a trace by time: at random, training would see the future of what it is tested on.

    Args:
        trace: accesses in order.
        holdout: share of the accesses, in (0, 1), that come last and are held out.

    Raises:
        ConfigurationError: the share is out of range, or one of the two parts would be empty.
    """
    cut = round(len(trace) * (1 - holdout)) if 0 < holdout < 1 else 0
    if not 0 < cut < len(trace):
        raise ConfigurationError(
            f"holdout is {holdout!r} of {len(trace):,} accesses; expected a share in (0, 1) that leaves accesses "
            "on both sides, such as 0.3"
        )
    return Split(trace, cut)
