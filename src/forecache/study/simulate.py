"""Simulation: a trace replayed through policies at capacities, and the share of the gap to MIN that each closes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Final, Literal, NamedTuple, Protocol, get_args

from forecache import _core
from forecache.errors import CapacityError, ConfigurationError, EmptyTraceError, UnknownPolicyError
from forecache.record.history import timetable_of
from forecache.record.trace import Trace
from forecache.study.in_threads import in_threads, replayed
from forecache.study.oracle import next_lookups
from forecache.units import Capacity, Weights

__all__ = [
    "BASELINE",
    "BOUND",
    "Objective",
    "Progress",
    "Row",
    "Sets",
    "available_cores",
    "gap_closed",
    "known_policies",
    "simulate",
]

Progress = Callable[[int, int], object]  # told how many accesses are done, and of how many
Counts = tuple[int, int, int, int]  # accesses, hits, bytes asked for, bytes of the hits
Objective = Literal["objects", "bytes"]  # what a policy that learns makes large: hits, or their bytes
Sets = Literal["access", "invalidate"]  # a set counts and inserts as a get does; or it drops the entry

BASELINE: Final = "lru"  # where the gap begins
BOUND: Final = "min"  # where it ends
NOTHING: Final[Counts] = (0, 0, 0, 0)
MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Row:
    """One policy at one capacity over one trace."""

    trace: str
    policy: str
    capacity: int  # entries or, with weights="size", bytes
    capacity_spec: str  # as it was asked for: '0.1%', '5000', '64MiB'
    weights: Weights
    accesses: int  # that could hit
    hits: int
    hit_ratio: float | None  # hits per access, in [0, 1]; None without an access
    byte_hit_ratio: float | None  # bytes of hits per byte asked for; a size that is unknown counts as 1 byte
    seconds: float  # of one core, that the replay took


class Cell(NamedTuple):
    """What one row is about."""

    policy: str
    capacity: int
    capacity_spec: str


class Replay(Protocol):
    """A trace on its way through one policy."""

    def run(self, steps: int, /) -> Counts:
        """Replays the next `steps` accesses; returns accesses, hits, bytes and hit bytes so far."""


def known_policies() -> tuple[str, ...]:
    """Every policy that can be simulated, those that need the future last."""
    return (*_core.POLICIES, *_core.OFFLINE_POLICIES)


def check_policies(names: Iterable[str]) -> list[str]:
    """The names in their order, each once.

    Raises:
        UnknownPolicyError: no policy has one of these names, or there is no name.
    """
    chosen = list(dict.fromkeys(names))
    wrong = [name for name in chosen if name not in known_policies()]
    if wrong or not chosen:
        given = f"unknown policy {wrong[0]!r}" if wrong else "no policy given"
        raise UnknownPolicyError(f"{given}; expected one or more of {', '.join(known_policies())}")
    return chosen


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def simulate(
    trace: Trace,
    policies: Iterable[str],
    capacities: Iterable[Capacity | str | int],
    *,
    weights: Weights = "unit",
    objective: Objective = "objects",
    sets: Sets = "access",
    jobs: int | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> list[Row]:
    """Replays a trace, from an empty cache, through every policy at every capacity.

    Args:
        trace: accesses in order; each counts, and inserts on a miss.
        policies: names among `known_policies()`.
        capacities: as `Capacity.parse` takes them.
        weights: whether an entry weighs 1 or its size in bytes.
        objective: whether policies that learn make the number of hits large or their bytes.
        sets: whether a set is an access like any other, or, as behind a service that writes to its database and
            then drops the key, counts nothing and invalidates the entry.
        jobs: replays at once; by default as many as there are cores.
        seed: of every random choice.
        on_progress: called about ten times a second, from the calling thread.

    Returns:
        A row for each capacity and policy, in the order given.

    Raises:
        UnknownPolicyError: no policy has one of the names.
        CapacityError: there is no capacity, or one cannot be used with this trace or these weights.
        ConfigurationError: jobs is below 1, or sets is unknown.
        EmptyTraceError: the trace has no access.
    """
    names = check_policies(policies)
    if len(trace) == 0:
        raise EmptyTraceError(f"trace {trace.name!r} has no access; expected at least one")
    jobs = available_cores() if jobs is None else jobs
    if jobs < 1:
        raise ConfigurationError(f"jobs is {jobs}; expected 1 or more, the number of replays at once")
    specs = [(str(written).strip(), Capacity.parse(str(written))) for written in capacities]
    if not specs:
        raise CapacityError("no capacity given; expected one or more, such as '0.1%', '5000' or '64MiB'")
    cells = [Cell(name, what.resolve(trace, weights=weights), spec) for spec, what in specs for name in names]
    start = starter(trace, weights, sets, seed, objective)
    live = sets == "invalidate" and bool(trace.op.any())  # in Python, where threads would only take turns
    results = _run_all(cells, start, len(trace), 1 if live else jobs, on_progress or (lambda done, total: None))
    return [_row(trace.name, weights, cell, *result) for cell, result in zip(cells, results, strict=True)]


def gap_closed(rows: Sequence[Row]) -> list[float | None]:
    """For each row, (hits − hits of LRU) / (hits of MIN − hits of LRU) of the same trace, capacity and weights.

    0 is as good as LRU, 1 as good as MIN, below 0 worse than LRU; None where one of the two is not among the rows,
    or where MIN is not better than LRU.
    """
    hits = {(_setting(row), row.policy): row.hits for row in rows}
    return [
        share_of_gap(row.hits, hits.get((_setting(row), BASELINE)), hits.get((_setting(row), BOUND))) for row in rows
    ]


def share_of_gap(hits: int, baseline: int | None, bound: int | None) -> float | None:
    """(hits − baseline) / (bound − baseline), or None where that says nothing."""
    if baseline is None or bound is None or bound <= baseline:
        return None
    return (hits - baseline) / (bound - baseline)


def _setting(row: Row) -> tuple[str, int, Weights]:
    return row.trace, row.capacity, row.weights


def _row(trace: str, weights: Weights, cell: Cell, counts: Counts, seconds: float) -> Row:
    accesses, hits, asked, served = counts
    return Row(
        trace=trace,
        policy=cell.policy,
        capacity=cell.capacity,
        capacity_spec=cell.capacity_spec,
        weights=weights,
        accesses=accesses,
        hits=hits,
        hit_ratio=hits / accesses if accesses else None,
        byte_hit_ratio=served / asked if asked else None,
        seconds=seconds,
    )


def starter(trace: Trace, weights: Weights, sets: Sets, seed: int, objective: Objective) -> Callable[[Cell], Replay]:
    """What begins a replay; whatever all replays share is made here, once.

    Raises:
        ConfigurationError: sets is unknown.
    """
    if sets not in get_args(Sets):
        raise ConfigurationError(f"sets is {sets!r}; expected one of {', '.join(get_args(Sets))}")
    if sets == "access" or not trace.op.any():
        accesses = trace.accesses()

        def simulation(cell: Cell) -> Replay:
            unit = "entries" if weights == "unit" else "bytes"
            setting = {"policy": cell.policy, "capacity": cell.capacity, "unit": unit, "seed": seed}
            timetable = timetable_of(trace.metadata, {**setting, "shards": 1, "objective": objective})
            return _core.Simulation(
                accesses,
                cell.policy,
                cell.capacity,
                weights=weights,
                seed=seed,
                objective=objective,
                timetable=timetable,
            )

        return simulation
    oracle = next_lookups(trace.key, trace.op.astype(bool)).data

    def replay(cell: Cell) -> Replay:
        future = oracle if cell.policy in _core.OFFLINE_POLICIES else None
        store = _core.Store[int, None](cell.capacity, cell.policy, seed=seed, oracle=future, objective=objective)
        return Invalidating(trace, store, by_size=weights == "size")

    return replay


class Invalidating:
    """A replay through a live store, in which sets invalidate."""

    def __init__(self, trace: Trace, store: _core.Store[int, None], *, by_size: bool) -> None:
        """At the start of the trace; the store is empty."""
        self._trace = trace
        self._store = store
        self._by_size = by_size
        self._at = 0
        self._counts = NOTHING

    def run(self, steps: int, /) -> Counts:
        """Replays the next `steps` accesses; returns lookups, hits, bytes and hit bytes so far."""
        part = self._trace[self._at : self._at + steps]
        self._at += len(part)
        accesses, hits, asked, served = self._counts
        read, put, drop, by_size = self._store.get, self._store.set, self._store.delete, self._by_size
        for key, size, is_set in zip(part.key.tolist(), part.size.tolist(), part.op.tolist(), strict=True):
            if is_set:
                drop(key)
                continue
            accesses += 1
            asked += size
            if read(key, MISSING) is MISSING:
                put(key, None, weight=size if by_size else 1)
            else:
                hits += 1
                served += size
        self._counts = accesses, hits, asked, served
        return self._counts


def _run_all(
    cells: Sequence[Cell], start: Callable[[Cell], Replay], length: int, jobs: int, on_progress: Progress
) -> list[tuple[Counts, float]]:
    """The counts and seconds of every cell."""
    done = [0] * len(cells)

    def replay(number: int, stop: Event) -> tuple[Counts, float]:
        began, running = time.thread_time(), start(cells[number])

        def run(steps: int) -> Counts:
            counts = running.run(steps)
            done[number] += steps
            return counts

        return replayed(run, length, stop), time.thread_time() - began

    return in_threads(replay, len(cells), jobs=jobs, on_tick=lambda _: on_progress(sum(done), length * len(cells)))
