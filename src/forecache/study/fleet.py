"""Fleets by simulation: a trace served by processes with real stores, a shared one behind them, and a database."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from forecache import _core
from forecache.errors import EmptyTraceError, UnknownPolicyError
from forecache.extras import TRACES, extra
from forecache.record.trace import Trace
from forecache.study.models.fleet import Fleet, Load
from forecache.study.simulate import BASELINE

with extra(TRACES):
    import numpy as np

__all__ = ["WARM_UP", "simulate_fleet"]

WARM_UP: Final = 0.25  # share of the trace, its beginning, that fills the caches and is not counted
MIX: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
Store = _core.Store[int, float]


class Clock:
    """The time of the trace."""

    def __init__(self) -> None:
        """At the beginning."""
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def simulate_fleet(
    trace: Trace,
    fleet: Fleet,
    *,
    policy: str = BASELINE,
    seconds_per_tick: float = 1.0,
    warm_up: float = WARM_UP,
    seed: int = 0,
) -> Load:
    """Where the reads of a trace are answered.

    A read goes to one of the key's processes, at random. What a process took over from the shared tier is as old as
    it was there. A set is a write: it counts nothing, and removes all copies if the fleet invalidates.

    Args:
        trace: accesses in order.
        fleet: who serves them.
        policy: of the processes' caches; the shared tier is LRU, as Valkey's.
        seconds_per_tick: of the times of the trace; matters where there is a bound.
        warm_up: share of the trace that is not counted.
        seed: of the choice of processes, and of the policies.

    Raises:
        EmptyTraceError: no read is counted.
        UnknownPolicyError: no policy has that name.
    """
    if policy not in _core.POLICIES:
        raise UnknownPolicyError(f"policy {policy!r} cannot serve; expected one of {', '.join(_core.POLICIES)}")
    serving = Serving(fleet, policy, seed)
    begin = int(len(trace) * warm_up)
    process = processes_of(trace, fleet, seed)
    times = ((trace.time - trace.time[:1]) * seconds_per_tick).tolist()
    rows = list(zip(times, trace.key.tolist(), trace.op.tolist(), process, strict=True))
    serving.serve(rows[:begin])
    before = serving.counts()
    serving.serve(rows[begin:])
    own, tier, database, stale = (now - then for now, then in zip(serving.counts(), before, strict=True))
    reads = own + tier + database
    if reads == 0:
        raise EmptyTraceError(f"trace {trace.name!r} has no read after the warm-up; expected at least one")
    return Load(own / reads, tier / reads, database / reads, stale / reads)


def processes_of(trace: Trace, fleet: Fleet, seed: int) -> list[int]:
    """The process that each access goes to: one of those that follow the place of its key on a ring."""
    first = (trace.key * MIX >> np.uint64(32)).astype(np.int64)
    chosen = np.random.default_rng(seed).integers(0, fleet.readers, len(trace))
    return ((first + chosen) % fleet.processes).tolist()  # type: ignore[no-any-return]


class Serving:
    """The stores, and what was counted."""

    def __init__(self, fleet: Fleet, policy: str, seed: int) -> None:
        """Empty."""
        self.fleet = fleet
        self.clock = Clock()
        self.own = [
            Store(fleet.capacity, policy, clock=self.clock, seed=seed + number)
            for number in range(fleet.processes if fleet.capacity else 0)
        ]
        self.tier = Store(fleet.shared, BASELINE, clock=self.clock) if fleet.shared else None
        self.written: dict[int, float] = {}
        self.hits = self.tier_hits = self.loads = self.stale = 0

    def counts(self) -> tuple[int, int, int, int]:
        """Reads answered by processes, by the tier, by the database; and those that were stale."""
        return self.hits, self.tier_hits, self.loads, self.stale

    def serve(self, rows: Sequence[tuple[float, int, int, int]]) -> None:
        """Time, key, operation and process of each access."""
        for now, key, is_write, process in rows:
            self.clock.now = now
            if is_write:
                self.write(key, now)
            else:
                self.read(key, now, process)

    def write(self, key: int, now: float) -> None:
        """The database has another value from now on."""
        self.written[key] = now
        if self.fleet.invalidates:
            for store in self.own:
                store.delete(key)
            if self.tier is not None:
                self.tier.delete(key)

    def read(self, key: int, now: float, process: int) -> None:
        """Asks the process, the tier and the database, in this order; the value of a copy is when it was loaded."""
        own = self.own[process] if self.own else None
        loaded = own.get(key) if own is not None else None
        if loaded is not None:
            self.hits += 1
        else:
            loaded = self.ask(key, now)
            if own is not None:
                self.keep(own, key, loaded, now)
        if loaded < self.written.get(key, -math.inf):
            self.stale += 1

    def ask(self, key: int, now: float) -> float:
        """When the value that the tier or the database gives was loaded."""
        if self.tier is not None:
            found = self.tier.get(key)
            if found is not None:
                self.tier_hits += 1
                return found
            self.keep(self.tier, key, now, now)
        self.loads += 1
        return now

    def keep(self, store: Store, key: int, loaded: float, now: float) -> None:
        """A copy, for as long as its age allows."""
        if math.isinf(self.fleet.bound):
            store.set(key, loaded)
        elif (left := self.fleet.bound - (now - loaded)) > 0:
            store.set(key, loaded, ttl=left)
