"""What learning takes from a live cache: the time of the thread that learns, under a paced load, and a hit's.

Requests come at a steady rate, by popularity (Zipf, exponent 0.9, ten keys for each entry), half of them to keys that
drift; misses store. "Scan" asks for every key once. Learning is all that the process ran besides the thread that
serves: the system counts both. "Late" is the share of requests that were served later than they were due by more than
ten milliseconds, as a busy machine may make them. Hits are those of caches that have learned, or served, the same
requests before; caches take turns, and only resident keys are asked for.

    python -m benchmarks.learning
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.harness import Peers, Table, alternate, own, parser, report, stay_on
from forecache import Cache

RATE = 100_000  # requests a second
SECONDS = 20.0
ENTRIES = (1000, 10_000, 100_000)
KEYS = 10  # per entry
SKEW = 0.9
DRIFT = 20  # requests in which all that drifts moves by one key
CHUNK = 500  # requests between two looks at the clock
LATE = 0.01  # seconds
LOOKUPS = 20_000


@dataclass(frozen=True, slots=True)
class Run:
    """What a paced run took."""

    requests: int
    hits: int
    late: int  # requests
    wall: float  # seconds
    serving: float  # of processor time
    learning: float


def drifting(entries: int, requests: int) -> list[int]:
    """Keys by popularity, half of them on the move."""
    chance = np.random.default_rng(7)
    weights = np.arange(1, KEYS * entries + 1) ** -SKEW
    ranks = np.searchsorted(np.cumsum(weights) / weights.sum(), chance.random(requests))
    moved = (1 << 40) + ranks + np.arange(requests) // DRIFT
    drawn: list[int] = np.where(chance.integers(2, size=requests) == 0, ranks, moved).tolist()
    return drawn


def scanning(_entries: int, requests: int) -> list[int]:
    """Keys that are asked for once."""
    return list(range(requests))


def served(cache: Cache[int, int], keys: Iterable[int]) -> int:
    """Serves requests; returns the hits."""
    hits = 0
    for key in keys:
        if cache.get(key) is None:
            cache[key] = key
        else:
            hits += 1
    return hits


def paced(cache: Cache[int, int], keys: list[int], rate: int) -> Run:
    """Serves requests when they are due."""
    start, own_time, all_time = time.perf_counter(), time.thread_time(), time.process_time()
    hits = late = 0
    for at in range(0, len(keys), CHUNK):
        early = start + at / rate - time.perf_counter()
        if early > 0:
            time.sleep(early)
        late += CHUNK if early < -LATE else 0
        hits += served(cache, keys[at : at + CHUNK])
    wall, own_time = time.perf_counter() - start, time.thread_time() - own_time
    return Run(len(keys), hits, late, wall, own_time, max(0.0, time.process_time() - all_time - own_time))


def loads(seconds: float) -> Table:
    """The share of a core that learning takes, at a steady rate."""
    rows = []
    traffic: dict[str, Callable[[int, int], list[int]]] = {"drifting": drifting, "scan": scanning}
    for name, make in traffic.items():
        for entries in ENTRIES if make is drifting else ENTRIES[1:2]:
            cache: Cache[int, int] = Cache(entries, policy="learned")
            run = paced(cache, make(entries, int(RATE * seconds)), RATE)
            learned = cache.stats().learning
            rows.append(
                (
                    name,
                    f"{entries:,}",
                    f"{run.requests / run.wall:,.0f}",
                    f"{run.late / run.requests:.1%}",
                    f"{run.hits / run.requests:.3f}",
                    learned.fits if learned else 0,
                    f"{run.serving / run.requests * 1e6:.2f}",
                    f"{run.learning / run.wall:.1%}",
                )
            )
    columns = ("traffic", "entries", "requests a second", "late", "hit ratio", "fits", "µs each", "learning, of a core")
    return Table(f"{RATE:,} requests a second for {seconds:.0f} seconds", columns, rows)


def get(cache: Cache[int, int], keys: list[int]) -> float:
    """Seconds of looking keys up."""
    start = time.perf_counter()
    for key in keys:
        cache.get(key)
    return time.perf_counter() - start


def hits(rounds: int) -> Table:
    """Nanoseconds of a hit, after the same requests."""
    rows = []
    for entries in ENTRIES:
        keys, runs = drifting(entries, 20 * entries), {}
        for policy in ("lru", "learned"):
            cache: Cache[int, int] = Cache(entries, policy=policy)
            served(cache, keys)
            asked = np.random.default_rng(1).choice(list(cache), LOOKUPS).tolist()
            runs[policy] = partial(own(get), cache, asked)
        found = {name: seconds / LOOKUPS * 1e9 for name, seconds in alternate(runs, rounds).items()}
        rows.append(
            (f"{entries:,}", *(f"{cost:.0f}" for cost in found.values()), f"{found['learned'] / found['lru']:.2f}")
        )
    return Table("A hit, nanoseconds", ("entries", "lru", "learned", "ratio"), rows)


def main() -> None:
    """Measures and reports."""
    options = arguments()
    paced_loads = loads(0.5 if options.quick else options.seconds)
    stay_on(options.core)  # hits take turns on one core; what is paced has a core for learning
    tables = [paced_loads, hits(2 if options.quick else 20)]
    notes = (__doc__ or "").split("\n\n", 1)[1].strip()
    report("learning", options, tables, Peers(), notes)


def arguments() -> argparse.Namespace:
    """The options."""
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each load")
    return options.parse_args()


if __name__ == "__main__":
    main()
