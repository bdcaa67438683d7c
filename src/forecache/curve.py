"""The miss ratio curve: what a cache would miss at other sizes, from a trace, from a model, or from a live cache."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from forecache.errors import CapacityError, ConfigurationError
from forecache.units import Weights

if TYPE_CHECKING:
    import os

__all__ = ["MissRatioCurve"]


@dataclass(frozen=True, slots=True)
class MissRatioCurve:
    """Hit ratios of one policy at growing capacities; all tuples have one length."""

    trace: str  # what the accesses are called
    policy: str
    weights: Weights  # whether capacities are entries or bytes
    capacities: tuple[int, ...]  # growing
    hit_ratios: tuple[float, ...]  # hits per access, in [0, 1]
    errors: tuple[float, ...]  # standard error of each, from sampling; 0 where all keys were looked at, NaN if unknown
    samples: tuple[float, ...]  # share of the keys that were looked at
    accesses: int  # that the curve stands for
    keys: int  # distinct ones among them, estimated where they are sampled
    seconds: float | None = None  # that the accesses took; None where nobody knows

    def __post_init__(self) -> None:
        """Checks the columns.

        Raises:
            CapacityError: they differ in length, there is none, or capacities do not grow.
        """
        if not len(self.capacities) == len(self.hit_ratios) == len(self.errors) == len(self.samples) > 0:
            raise CapacityError("the columns of a curve differ in length, or are empty; expected one value a capacity")
        if any(later <= earlier for earlier, later in zip(self.capacities, self.capacities[1:], strict=False)):
            raise CapacityError(f"capacities {self.capacities} do not grow; expected each once, in order")

    @property
    def miss_ratios(self) -> tuple[float, ...]:
        """Misses per access, in [0, 1]."""
        return tuple(1 - ratio for ratio in self.hit_ratios)

    @property
    def requests_per_second(self) -> float | None:
        """Accesses per second; None where nobody knows how long they took."""
        return self.accesses / self.seconds if self.seconds else None

    def hit_ratio(self, capacity: float) -> float:
        """At any capacity: interpolated over its logarithm; below the first in proportion, beyond the last that one."""
        return _between(self.capacities, self.hit_ratios, capacity)

    def error(self, capacity: float) -> float:
        """Standard error of `hit_ratio`."""
        return _between(self.capacities, self.errors, capacity)

    def rows(self) -> list[dict[str, Any]]:
        """One a capacity: trace, policy, capacity, hit_ratio, error and sample."""
        columns = zip(self.capacities, self.hit_ratios, self.errors, self.samples, strict=True)
        return [
            {
                "trace": self.trace,
                "policy": self.policy,
                "capacity": capacity,
                "hit_ratio": ratio,
                "error": None if math.isnan(error) else error,
                "sample": sample,
            }
            for capacity, ratio, error, sample in columns
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; errors that are not known are None."""
        return asdict(self) | {"errors": tuple(None if math.isnan(error) else error for error in self.errors)}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """What `to_dict` was made of.

        Raises:
            ConfigurationError: a column is missing, or there is one that no curve has.
        """
        try:
            columns = {name: tuple(written[name]) for name in ("capacities", "hit_ratios", "samples")}
            errors = tuple(math.nan if error is None else error for error in written["errors"])
            return cls(**{**written, **columns, "errors": errors})
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"this is no curve ({error}); expected what MissRatioCurve.save writes") from error

    def save(self, path: str | os.PathLike[str], *others: MissRatioCurve) -> None:
        """Writes this curve, and others, to a file of JSON that `forecache size` takes."""
        Path(path).write_text(json.dumps([curve.to_dict() for curve in (self, *others)]), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Sequence[Self]:
        """The curves in a file.

        Raises:
            ConfigurationError: it holds something else.
        """
        try:
            written = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: not readable as JSON ({error})") from error
        if not isinstance(written, list) or not written or not all(isinstance(one, dict) for one in written):
            raise ConfigurationError(f"{path}: expected a list of curves, as MissRatioCurve.save writes it")
        return [cls.from_dict(one) for one in written]


def _between(capacities: tuple[int, ...], values: tuple[float, ...], capacity: float) -> float:
    place = bisect_left(capacities, capacity)
    if place == len(capacities):
        return values[-1]
    if place == 0:
        return values[0] * max(capacity, 0) / capacities[0]
    low, high = capacities[place - 1], capacities[place]
    share = math.log(capacity / low) / math.log(high / low)
    return values[place - 1] + share * (values[place] - values[place - 1])
