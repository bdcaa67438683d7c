"""Pieces of workloads: what traffic of every kind is made of. Each draws from the generator that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra
from forecache.record.trace import Op, Trace

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "DAY",
    "HOUR",
    "Event",
    "Workload",
    "chosen",
    "hour_starts",
    "of_pareto",
    "seconds_in",
    "traced",
    "with_returns",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DAY: Final = 24  # hours
HOUR: Final = 3600  # seconds
LEAST_REQUESTS: Final = 1000  # below it there is not one request for each hour and event
# Values of Facebook's general-purpose memcached pool ETC: Atikoglu et al., SIGMETRICS 2012.
VALUE_SCALE: Final = 214.476  # bytes
VALUE_SHAPE: Final = 0.348238


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens between two accesses."""

    name: str
    start: int  # number of its first access
    stop: int  # number of the first access after it


@dataclass(frozen=True, slots=True)
class Workload:
    """A trace, and what happens in it."""

    trace: Trace
    events: tuple[Event, ...] = ()
    in_seconds: bool = False  # whether the times of the trace are seconds since the midnight before it


def check_requests(requests: int, what: str) -> None:
    """Whether there are enough.

    Raises:
        ConfigurationError: there are not.
    """
    if requests < LEAST_REQUESTS:
        raise ConfigurationError(
            f"{what} of {requests} requests is too small; expected at least {LEAST_REQUESTS} requests"
        )


def traced(key: Ints, time: Ints, size: Ints, written: Bools, about: dict[str, str]) -> Trace:
    """The columns as a trace; `about` has its name and its source."""
    op = np.where(written, Op.SET, Op.GET).astype(np.uint8)
    metadata = {"source": about["source"], "time_unit": "s"}
    return Trace.from_columns(key, time=time, size=size, op=op, name=about["name"], metadata=metadata)


def hour_starts(rates: Floats, requests: int) -> Ints:
    """Number of the first request of every hour, and after the last one, for their rates: shape (hours + 1,)."""
    return np.concatenate(([0], np.rint(np.cumsum(rates) / rates.sum() * requests))).astype(np.int64)


def daily(hours: int, busiest: int, rush: float) -> Floats:
    """Traffic of every hour: 1 + rush in the busiest of the day, 1 − rush twelve hours later, shape (hours,)."""
    return 1 + rush * np.cos(2 * np.pi * (np.arange(hours) - busiest) / DAY)


def seconds_in(starts: Ints, chance: np.random.Generator) -> Ints:
    """When each request comes, in order, shape (requests,)."""
    hours = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    return np.sort(hours * HOUR + chance.integers(0, HOUR, hours.size))


def chosen(weights: Floats, count: int, chance: np.random.Generator) -> Ints:
    """Numbers from 0, each as often as its weight says, shape (count,)."""
    total = np.cumsum(weights)
    found: Ints = np.searchsorted(total, chance.random(count) * total[-1], side="right")
    return found


def with_returns(key: Ints, chance: np.random.Generator, share: float, distance: float) -> Ints:
    """A share of the requests repeat an earlier one, a geometrically distributed number of requests ago."""
    here = np.arange(key.size)
    ago = chance.geometric(1 / distance, key.size)
    source = np.where((chance.random(key.size) < share) & (ago <= here), here - ago, here)
    while not np.array_equal(source, source[source]):  # a return to a return goes to where that one went
        source = source[source]
    return key[source]


def of_pareto(key: Ints, seed: int, scale: float = VALUE_SCALE, shape: float = VALUE_SHAPE) -> Ints:
    """Bytes of each key's value, by a generalized Pareto distribution; one key has one size, shape (accesses,)."""
    values, which = np.unique(key, return_inverse=True)
    uniform = np.random.default_rng([seed, 1]).random(values.size)
    drawn: Ints = np.ceil(1 + scale / shape * ((1 - uniform) ** -shape - 1)).astype(np.int64)
    each: Ints = drawn[which]
    return each
