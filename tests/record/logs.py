"""What the tests of access logs share: keys, a client, and ways to look at a log."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from forecache import Cache, _core
from forecache.record.history import timetable_of
from forecache.record.trace import Op, Trace

in_a_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
keys = st.one_of(st.integers(0, 12), st.sampled_from(["a", "b", "ä", b"a", (1, "a"), (), None, True, 1.0, -1, 2**70]))
steps = st.lists(
    st.tuples(st.sampled_from(["load", "aside", "set", "get_many", "peek"]), keys), min_size=1, max_size=120
)


class Directories:
    """A new directory for each example of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0

    def new(self) -> Path:
        self.count += 1
        return self.root / f"log{self.count}"


def run(cache: Cache[Any, Any], step: str, key: Any) -> None:
    """One step of a client that fills what it missed before it goes on."""
    match step:
        case "load":
            cache.get_or_load(key, lambda key: key)
        case "aside" if cache.get(key) is None:
            cache.set(key, 1)
        case "set":
            cache[key] = 1
        case "get_many":
            for missed in {key} - cache.get_many([key]).keys():
                cache[missed] = 1
        case "peek":
            _ = cache.peek(key), key in cache, len(cache), cache.stats(), list(cache.items())
        case "delete":
            cache.delete(key)
        case "clear":
            cache.clear()
        case "tag":
            cache.set(key, 1, tags=["t"])
            cache.invalidate_tag("t")


def rows_in(directory: Path) -> pl.DataFrame:
    return pl.read_parquet(sorted(directory.glob("*.parquet"))).sort("sequence")


def replay(trace: Trace, policy: str, capacity: int, seed: int = 0) -> tuple[int, list[bool]]:
    """Gets that hit, and whether each access hit."""
    setting = {"policy": policy, "capacity": capacity, "seed": seed}
    timetable = timetable_of(trace.metadata, setting)
    simulation = _core.Simulation(
        _core.Accesses(trace.key, None, trace.context), policy, capacity, seed=seed, timetable=timetable
    )
    hits = [bool(hit) for hit in simulation.run_hits(len(trace))]
    return sum(hit for hit, op in zip(hits, trace.op, strict=True) if op == Op.GET), hits


def environment(seed: str) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "PYTHONHASHSEED": seed}
