"""What a trace holds: counts, the ratios of these counts, and the rows of a table that shows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from forecache.extras import TRACES, extra
from forecache.units import format_size

if TYPE_CHECKING:
    from forecache.record.trace import Trace

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["TraceStats", "summarize"]

Int64Array = npt.NDArray[np.int64]

ZIPF_LEAST_COUNT: Final = 10  # accesses; below it the count of a key is mostly chance
ZIPF_POINTS: Final = 50  # ranks, evenly spaced in the logarithm, so that the many rare keys do not decide
ZIPF_LEAST_POINTS: Final = 3


@dataclass(frozen=True, slots=True)
class TraceStats:
    """Counts over one trace; ratios are None where nothing was counted."""

    requests: int
    unique: int  # distinct keys
    seen_once: int  # keys accessed exactly once
    gets: int
    sets: int
    span: int  # latest time - earliest time, in the unit of the source
    has_sizes: bool
    bytes: int  # over all accesses
    unique_bytes: int  # over distinct keys, each at its first size
    top_key_requests: int  # accesses to the most accessed key
    median_reuse_interval: float | None  # accesses between two accesses to one key; None without a reuse
    zipf_exponent: float | None  # a where count ~ rank^-a fits best; None when too few keys are frequent

    @property
    def seen_once_share(self) -> float | None:
        """Share of the keys that are accessed exactly once."""
        return _ratio(self.seen_once, self.unique)

    @property
    def set_share(self) -> float | None:
        """Share of the accesses that are sets."""
        return _ratio(self.sets, self.requests)

    @property
    def mean_size(self) -> float | None:
        """Bytes per access; None without sizes."""
        return _ratio(self.bytes, self.requests) if self.has_sizes else None

    @property
    def top_key_share(self) -> float | None:
        """Share of the accesses that go to the most accessed key."""
        return _ratio(self.top_key_requests, self.requests)

    @property
    def compulsory_miss_ratio(self) -> float | None:
        """Miss ratio of an unlimited cache: the first access to each key."""
        return _ratio(self.unique, self.requests)

    def to_dict(self) -> dict[str, Any]:
        """Counts and ratios by name, as JSON can hold them."""
        ratios = ("seen_once_share", "set_share", "mean_size", "top_key_share", "compulsory_miss_ratio")
        return asdict(self) | {name: getattr(self, name) for name in ratios}

    def rows(self) -> list[tuple[str, str]]:
        """Label and value of each line of a table; a dash where nothing was counted."""
        return [
            ("requests", f"{self.requests:,}"),
            ("unique keys", f"{self.unique:,}"),
            ("keys seen once", _percent(self.seen_once_share)),
            ("gets / sets", f"{self.gets:,} / {self.sets:,}"),
            ("time span", f"{self.span:,}"),
            ("bytes requested", format_size(self.bytes) if self.has_sizes else "sizes unknown"),
            ("bytes of unique keys", format_size(self.unique_bytes) if self.has_sizes else "sizes unknown"),
            ("mean size", "-" if self.mean_size is None else format_size(round(self.mean_size))),
            ("most accessed key", _percent(self.top_key_share)),
            ("median reuse interval", _number(self.median_reuse_interval, ",.0f")),
            ("Zipf exponent", _number(self.zipf_exponent, ".2f")),
            ("compulsory miss ratio", _percent(self.compulsory_miss_ratio)),
        ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(ratio: float | None) -> str:
    return _number(ratio, ".2%")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def summarize(trace: Trace) -> TraceStats:
    """Counts over a trace, from one sort by key: O(n log n) time, some 30 bytes an access.

    Raises:
        MissingExtraError: numpy is not installed.
    """
    order, starts = _grouped_by_key(trace.key)
    counts = np.diff(starts, append=len(trace))
    sets = int(np.count_nonzero(trace.op))
    return TraceStats(
        requests=len(trace),
        unique=counts.size,
        seen_once=int(np.count_nonzero(counts == 1)),
        gets=len(trace) - sets,
        sets=sets,
        span=int(trace.time.max()) - int(trace.time.min()) if len(trace) else 0,
        has_sizes=trace.has_sizes,
        bytes=_total(trace.size),
        unique_bytes=_total(trace.size[order[starts]]),
        top_key_requests=int(counts.max(initial=0)),
        median_reuse_interval=_median_reuse_interval(order, starts),
        zipf_exponent=_zipf_exponent(counts),
    )


def _grouped_by_key(key: npt.NDArray[np.uint64]) -> tuple[Int64Array, Int64Array]:
    """Accesses ordered by key and then by time, shape (n,), and where in that order each key starts, shape (keys,)."""
    order = np.argsort(key, kind="stable")
    by_key = key[order]
    starts = np.flatnonzero(np.concatenate(([len(key) > 0], by_key[1:] != by_key[:-1])))
    return order, starts


def _total(sizes: Int64Array) -> int:
    """Exact sum; in two halves, because the sum of many int64 may not fit int64."""
    return (int((sizes >> 32).sum()) << 32) + int((sizes & 0xFFFF_FFFF).sum())


def _median_reuse_interval(order: Int64Array, starts: Int64Array) -> float | None:
    reused = np.ones(max(order.size - 1, 0), dtype=bool)
    reused[starts[1:] - 1] = False
    intervals = np.diff(order)[reused] - 1
    return float(np.median(intervals)) if intervals.size else None


def _zipf_exponent(counts: Int64Array) -> float | None:
    """Least squares of log count on log rank, over the keys with enough accesses."""
    frequent = np.sort(counts[counts >= ZIPF_LEAST_COUNT])[::-1]
    if frequent.size == 0:
        return None
    ranks = np.unique(np.geomspace(1, frequent.size, ZIPF_POINTS).round().astype(np.int64))
    if ranks.size < ZIPF_LEAST_POINTS:
        return None
    slope = np.polyfit(np.log(ranks), np.log(frequent[ranks - 1]), 1)[0]
    return float(max(0.0, -slope))
