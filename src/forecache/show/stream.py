"""Stream: the requests that the demo serves, from the shop or from a recorded trace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from forecache.errors import CapacityError, ConfigurationError
from forecache.extras import TRACES, extra
from forecache.record.trace import Op, Trace
from forecache.study.simulate import Sets, check_policies
from forecache.study.workloads import Event, Workload, shop
from forecache.units import Capacity

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["REQUESTS", "Demo", "prepare"]

REQUESTS: Final = 100_000  # served by default, so that a run takes less than a minute
PRICES: Final = 90_000  # cents, between 0.01 and 900.00


@dataclass(frozen=True)
class Demo:
    """What is served: the same for every policy."""

    trace: Trace  # keys are numbers of products, from 1, without gaps
    events: tuple[Event, ...]
    in_seconds: bool  # whether the times of the trace are seconds since the midnight before it
    recorded: int  # accesses of the workload, of which the trace may be the first ones only
    capacity: int  # entries
    capacity_spec: str  # as it was asked for
    policies: tuple[str, ...]
    seed: int

    @cached_property
    def read(self) -> npt.NDArray[np.bool_]:
        """Which requests are reads, shape (requests,)."""
        return np.equal(self.trace.op, Op.GET)

    @cached_property
    def _reads_before(self) -> npt.NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum(self.read)))

    def reads_before(self, at: int) -> int:
        """Reads among the first `at` requests."""
        return int(self._reads_before[at])

    def requests(self) -> list[str]:
        """What clients send."""
        written = zip(self.trace.key.tolist(), self.trace.op.tolist(), strict=True)
        return [
            f"PUT /product/{key} price={1 + at % PRICES}" if op else f"GET /product/{key}"
            for at, (key, op) in enumerate(written)
        ]


def prepare(
    policies: Iterable[str],
    capacity: str,
    *,
    trace: Trace | None = None,
    requests: int | None = None,
    sets: Sets = "invalidate",
    seed: int = 0,
) -> Demo:
    """What will be served: a week of the shop, or the first accesses of a trace.

    Args:
        policies: names among `known_policies()`.
        capacity: entries, or a share of the keys that are requested.
        trace: recorded accesses; each key stands for a product. By default those of `shop`.
        requests: how many are served, at least 1; by default `REQUESTS`, or all of a shorter trace.
        sets: whether a set of the trace is a write, which invalidates, or a read like a get.
        seed: of every random choice.

    Raises:
        UnknownPolicyError: no policy has one of the names.
        CapacityError: the capacity is no number of entries and no share.
        ConfigurationError: there are too few requests.
    """
    names = check_policies(policies)
    if requests is not None and requests < 1:
        raise ConfigurationError(f"requests is {requests}; expected 1 or more")
    count = REQUESTS if requests is None else requests
    workload = shop(count, seed=seed) if trace is None else Workload(trace)
    stream = as_products(workload.trace.head(count), sets)
    wanted = Capacity.parse(capacity)
    if wanted.unit == "bytes":
        raise CapacityError(f"capacity {capacity!r} is in bytes; the demo counts entries: write '2%' or '500'")
    entries = wanted.resolve(stream)
    return Demo(
        stream, workload.events, workload.in_seconds, len(workload.trace), entries, capacity.strip(), tuple(names), seed
    )


def as_products(trace: Trace, sets: Sets) -> Trace:
    """The trace with keys numbered from 1 without gaps, and without sets if these are reads."""
    key = np.unique(trace.key, return_inverse=True)[1].astype(np.uint64) + np.uint64(1)
    return replace(trace, key=key, op=trace.op if sets == "invalidate" else np.zeros_like(trace.op))
