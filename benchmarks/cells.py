"""Cells of a table of hit ratios: what they are, how one is measured, and how they are kept from one run to the next.

A cell is a trace at a capacity of some share of its distinct keys or bytes, from an empty cache, every access counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from forecache import _core
from forecache.record.trace import Trace
from forecache.units import Weights

SHARES = (0.001, 0.01, 0.1)
FEWEST_ENTRIES = 20  # smaller cells are left out: a policy that keeps a dozen entries is judged by luck
LEARNED = "learned"
STEPS = 1 << 16  # accesses between two looks at the clock


@dataclass(frozen=True, slots=True)
class Cell:
    """What one policy, with one seed, reached in one cell."""

    trace: str
    requests: int
    weights: Weights
    share: float  # of the distinct keys, or of their bytes
    capacity: int  # entries or bytes
    policy: str
    seed: int
    hit_ratio: float
    byte_hit_ratio: float
    nanoseconds: float  # of processor time per request, training aside
    training: float  # nanoseconds of processor time per request
    commit: str

    @property
    def place(self) -> Place:
        """Which cell it is in."""
        return Place(self.trace, self.requests, self.weights, self.share, self.capacity)


@dataclass(frozen=True, slots=True)
class Place:
    """A trace at a capacity."""

    trace: str
    requests: int
    weights: Weights
    share: float
    capacity: int


@dataclass(frozen=True)
class Subject:
    """A trace, ready to be replayed."""

    trace: Trace
    weights: Weights

    @cached_property
    def accesses(self) -> _core.Accesses:
        """Its columns, as the core reads them; sizes of unit weights are 1."""
        keys, sizes = np.ascontiguousarray(self.trace.key), np.ascontiguousarray(self.trace.size).view(np.uint64)
        return _core.Accesses(keys.data, sizes.data if self.weights == "size" else None)

    def places(self) -> Iterator[Place]:
        """The cells of the trace."""
        for share in SHARES:
            whole = self.accesses.unique_bytes if self.weights == "size" else self.accesses.unique
            if int(self.accesses.unique * share) >= FEWEST_ENTRIES:
                yield Place(self.trace.name, len(self.trace), self.weights, share, int(whole * share))


def subjects(folder: Path, only: str, longest: int | None, weights: Weights) -> Iterator[Subject]:
    """The traces in a folder, or those named; with weights of size, those whose sizes differ."""
    for path in sorted(folder.glob("*.parquet")):
        if not only or path.stem in only.split(","):
            trace = Trace.read(path)
            trace = trace.head(longest) if longest else trace
            if weights == "unit" or np.ptp(trace.size) > 0:
                yield Subject(trace, weights)


def replay(
    subject: Subject, place: Place, policy: str, *, label: str, seed: int, commit: str, **setting: object
) -> Cell:
    """Measures one of our policies; learning, if there is any, has a thread of its own that is waited for."""
    aside = {"aside": True} if policy == LEARNED else {}
    simulation = _core.Simulation(
        subject.accesses, policy, place.capacity, weights=place.weights, seed=seed, **aside, **setting
    )
    own, all_threads = time.thread_time(), time.process_time()
    counts = (0, 0, 0, 0)
    for _ in range(0, place.requests, STEPS):
        counts = simulation.run(STEPS)
    own, all_threads = time.thread_time() - own, time.process_time() - all_threads
    requests, hits, asked, served = counts
    cost, training = own / requests * 1e9, max(0.0, all_threads - own) / requests * 1e9
    return Cell(*astuple(place), label, seed, hits / requests, served / asked, cost, training, commit)


def astuple(place: Place) -> tuple[str, int, Weights, float, int]:
    """Its fields, in order."""
    return place.trace, place.requests, place.weights, place.share, place.capacity


class Kept:
    """Cells that were measured before; each new one is written at once, so that nothing is lost when a run stops."""

    def __init__(self, path: Path | None, again: Iterable[str]) -> None:
        """Those in a file, if there is one, except of the policies that are to be measured again."""
        self._path = path
        self._again = set(again)
        known = json.loads(path.read_text()) if path and path.exists() else []
        self.cells = {self._key(cell): cell for cell in (Cell(**row) for row in known)}
        self._stale = {key for key, cell in self.cells.items() if cell.policy in self._again}

    def get(self, place: Place, policy: str, seed: int, measure: Callable[[], Cell]) -> Cell:
        """The cell as it was measured before, or as it is measured now."""
        key = (place, policy, seed)
        if key not in self.cells or key in self._stale:
            self.cells[key] = measure()
            self._stale.discard(key)
            self._write()
        return self.cells[key]

    def _write(self) -> None:
        if self._path:
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps([asdict(cell) for cell in self.cells.values()], indent=0))
            new.replace(self._path)

    @staticmethod
    def _key(cell: Cell) -> tuple[Place, str, int]:
        return cell.place, cell.policy, cell.seed
