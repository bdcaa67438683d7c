"""What the demo on servers shows: a line each second while it runs, and a table of its phases at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from forecache.extras import TRACES, extra
from forecache.show.fleet import Served
from forecache.show.serving import Tick

if TYPE_CHECKING:
    from rich.table import Table

with extra(TRACES):
    import numpy as np

__all__ = ["Ticker", "fleet_table", "fleet_to_dict", "verdict"]

LINE_SECONDS: Final = 1.0
MICRO: Final = 1e6
COLUMNS: Final = ("requests", "in process", "shared", "database", "queries", "p50 µs", "p99 µs", "failed")
FAILED: Final = "Failed: {}; a miss cannot be answered while the database is away, a hit can."
BEHIND: Final = "{:,} answers were older than a commit of another process, the oldest by {:.2f} s (level {}, ttl {})."


@dataclass(frozen=True, slots=True)
class Sums:
    """Ticks together."""

    reads: int
    writes: int
    hits: int  # rows answered in the process
    shared: int  # rows answered by the shared tier
    queries: int  # reads of the database
    stale: int  # rows answered beyond their level during an outage
    failures: Mapping[str, int]
    p50: float | None  # seconds of a read
    p99: float | None

    @classmethod
    def of(cls, ticks: Iterable[Tick]) -> Sums:
        """The sums of some ticks."""
        ticks = list(ticks)
        seconds = np.frombuffer(b"".join(tick.seconds for tick in ticks), np.float32)
        p50, p99 = np.percentile(seconds, [50, 99]).tolist() if seconds.size else (None, None)
        counts: Counter[str] = Counter()
        failures: Counter[str] = Counter()
        for tick in ticks:
            counts.update(tick.counts)
            failures.update(tick.failures)
        reads, writes = sum(tick.reads for tick in ticks), sum(tick.writes for tick in ticks)
        named = {name: counts[name] for name in ("hits", "shared", "queries", "stale")}
        return cls(reads, writes, failures=dict(failures), p50=p50, p99=p99, **named)

    @property
    def failed(self) -> int:
        """Requests that got an error."""
        return sum(self.failures.values())

    def share(self, count: int) -> float | None:
        """A share of the reads."""
        return count / self.reads if self.reads else None


class Ticker:
    """Lines on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Begins now; a quiet one says only what happened."""
        self._began = time.monotonic()
        self._told: float | None = None
        self._quiet = quiet
        self._recent: list[Tick] = []

    def say(self, text: str) -> None:
        """Something happened."""
        sys.stderr.write(f"{time.monotonic() - self._began:6.1f} s  {text}\n")
        sys.stderr.flush()

    def tick(self, phase: str, tick: Tick) -> None:
        """A process got so far."""
        self._recent.append(tick)
        now = time.monotonic()
        self._told = tick.began if self._told is None else self._told
        if now - self._told < LINE_SECONDS or self._quiet:
            return
        sums = Sums.of(self._recent)
        rate = (sums.reads + sums.writes) / (now - self._told)
        self.say(
            f"{rate:7,.0f} requests/s  in process {percent(sums.share(sums.hits))}  shared "
            f"{percent(sums.share(sums.shared))}  queries {sums.queries:5,}  p50 {micros(sums.p50)} µs  "
            f"p99 {micros(sums.p99)} µs  failed {sums.failed:,}  {phase}"
        )
        self._told, self._recent = now, []


def phases(served: Served) -> dict[str, Sums]:
    """Sums by phase, in the order in which they came, and of all."""
    names = dict.fromkeys(phase for phase, _ in served.ticks)
    found = {name: Sums.of(tick for phase, tick in served.ticks if phase == name) for name in names}
    return found | {"all": Sums.of(tick for _, tick in served.ticks)}


def fleet_table(served: Served) -> Table:
    """A line for each phase."""
    from forecache.show.tables import new_table

    fleet = served.fleet
    between = f", {fleet.shared} between" if fleet.shared else ""
    table = new_table(
        f"{fleet.requests:,} requests for {served.products:,} products; {fleet.processes} processes with room for "
        f"{fleet.capacity} each, {fleet.origin} behind{between}",
        ["phase"],
    )
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    found = phases(served)
    for name, sums in found.items():
        shares = (percent(sums.share(count)) for count in (sums.hits, sums.shared, sums.queries))
        cells = (f"{sums.reads + sums.writes:,}", *shares, f"{sums.queries:,}", micros(sums.p50), micros(sums.p99))
        table.add_row(name, *cells, f"{sums.failed:,}", style="bold" if name == "all" else None)
    table.caption = "\n".join(notes(served, found["all"]))
    return table


def notes(served: Served, sums: Sums) -> list[str]:
    """What the table does not say."""
    fleet, behind = served.fleet, sum(tick.behind for _, tick in served.ticks)
    found = [f"Shares are of {sums.reads:,} reads; {sums.writes:,} writes. Times are of reads."]
    if behind:
        oldest = max(tick.oldest for _, tick in served.ticks)
        found.append(BEHIND.format(behind, oldest, fleet.level, fleet.ttl))
    if sums.stale:
        found.append(f"{sums.stale:,} rows were served beyond their level while the database was away.")
    if sums.failures:
        found.append(FAILED.format(", ".join(f"{count:,} {kind}" for kind, count in sums.failures.items())))
    return found


def verdict(served: Served) -> str:
    """Whether anything broke."""
    if served.is_sound:
        return (
            "Nothing broke: every acknowledged write is in the database, every process read what it had written, no "
            "answer was older than its level allows, and no request failed while the database was up."
        )
    wrong = {
        "acknowledged writes are lost": served.lost,
        "answers were older than a write of their own process": served.forgotten,
        "requests failed while the database was up": served.unexcused,
        "answers were older than their level allows": served.too_old,
        "processes ended early": served.unfinished,
    }
    return "BROKEN: " + "; ".join(f"{count:,} {what}" for what, count in wrong.items() if count) + "."


def fleet_to_dict(served: Served) -> dict[str, Any]:
    """The same for programs."""
    return {
        "fleet": asdict(served.fleet),
        "products": served.products,
        "phases": {name: asdict(sums) for name, sums in phases(served).items()},
        "behind": sum(tick.behind for _, tick in served.ticks),
        "oldest_seconds": max((tick.oldest for _, tick in served.ticks), default=0.0),
        "lost": served.lost,
        "forgotten": served.forgotten,
        "too_old": served.too_old,
        "unexcused": served.unexcused,
        "is_sound": served.is_sound,
    }


def percent(share: float | None) -> str:
    """A share, or a dash."""
    return "    -" if share is None else f"{share:5.1%}"


def micros(seconds: float | None) -> str:
    """Microseconds, or a dash."""
    return "-" if seconds is None else f"{seconds * MICRO:,.0f}"
