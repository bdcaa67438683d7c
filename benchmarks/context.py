"""What contexts add: the learned policy told, and not told, what kinds of thing the keys of a trace name.

Three traces have keys that a service would make of parts. Their kinds are what a live cache takes from such keys:

- orm_busy: (type, id, index), bits 27 to 31, 9 to 26 and 0 to 8 of the key; kinds are the type and the id.
- algebra05_tutor: (item, number) and (state, student, skill), those above 2^62; kinds are the word and the student.
- wiki_edits: (editor, number) and (page, number), the latter above the number of editors; kinds are the word.

Shares are those of the gap between LRU and MIN, as everywhere; losses are to the best classical policy of the cell.

    python -m benchmarks.context --traces ../shared/traces
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import harness
from forecache import _core
from forecache.learn.evaluate import CLASSICAL
from forecache.record.trace import Trace
from forecache.units import Capacity

Keys = npt.NDArray[np.uint64]
SHARES = ("0.1%", "1%", "10%")
SEEDS = (1, 2, 3)
LONGEST = 300_000  # accesses of a trace
FEWEST_ENTRIES = 20
SMALLEST_GAP = 0.005
STATES = 1 << 62  # what keys of algebra05_tutor are above that name states
EDITORS = 8227  # of wiki_edits; larger numbers are pages


def kinds(parts: Keys) -> npt.NDArray[np.uint16]:
    """A kind, from 1 to 255, for each number."""
    values, places = np.unique(parts, return_inverse=True)
    hashes = [_core.context((int(value), 0)) for value in values.astype(np.int64)]
    return np.array(hashes, dtype=np.uint16)[places]


def of_orm(key: Keys) -> npt.NDArray[np.uint16]:
    """Type and id."""
    return kinds(key >> np.uint64(27) & np.uint64(31)) | kinds(key >> np.uint64(9) & np.uint64(0x3FFFF)) << np.uint16(8)


def of_tutor(key: Keys) -> npt.NDArray[np.uint16]:
    """Item or state, and of a state the student."""
    is_state = key > STATES
    student = np.where(is_state, kinds((key - np.uint64(STATES)) >> np.uint64(24)), 0).astype(np.uint16)
    return kinds(is_state.astype(np.uint64)) | student << np.uint16(8)


def of_wiki(key: Keys) -> npt.NDArray[np.uint16]:
    """Editor or page."""
    return kinds((key > EDITORS).astype(np.uint64))


CONTEXTS: dict[str, Callable[[Keys], npt.NDArray[np.uint16]]] = {
    "orm_busy": of_orm,
    "algebra05_tutor": of_tutor,
    "wiki_edits": of_wiki,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One trace at one capacity: shares of the gap by seed, without and with contexts."""

    trace: str
    capacity: str
    best: float
    without: list[float]
    told: list[float]
    losses: list[float]  # points, with contexts

    def row(self) -> tuple[str, ...]:
        """As the table shows it."""
        spread = " ".join(f"{share:.3f}" for share in self.told)
        means = (self.best, float(np.mean(self.without)), float(np.mean(self.told)))
        gained = means[2] - means[1]
        figures = (*(f"{mean:.3f}" for mean in means), f"{gained:+.3f}", spread, f"{max(self.losses):.2f}")
        return self.trace, self.capacity, *figures


def cells(trace: Trace, seeds: tuple[int, ...]) -> Iterator[Cell]:
    """All capacities of one trace."""
    plain, told = trace.accesses(), trace_told(trace).accesses()

    def hit_ratio(accesses: _core.Accesses, policy: str, entries: int, seed: int = 0) -> float:
        return _core.Simulation(accesses, policy, entries, seed=seed).run(len(accesses))[1] / len(accesses)

    for capacity in SHARES:
        entries = Capacity.parse(capacity).resolve(trace)
        low, high = (hit_ratio(plain, policy, entries) for policy in ("lru", "min"))
        if entries < FEWEST_ENTRIES or high - low < SMALLEST_GAP:
            continue
        best = max(hit_ratio(plain, policy, entries) for policy in CLASSICAL)
        without, with_contexts = (
            [hit_ratio(accesses, "learned", entries, seed) for seed in seeds] for accesses in (plain, told)
        )
        share = [[(hits - low) / (high - low) for hits in each] for each in ([best], without, with_contexts)]
        losses = [100 * (best - hits) for hits in with_contexts]
        yield Cell(trace.name, capacity, share[0][0], share[1], share[2], losses)


def trace_told(trace: Trace) -> Trace:
    """The trace with its contexts."""
    context = CONTEXTS[trace.name](trace.key)
    return Trace(trace.time, trace.key, trace.size, trace.op, trace.name, trace.metadata, context)


def main() -> None:
    """Prints the table, and keeps it."""
    parser = harness.parser(__doc__)
    parser.set_defaults(traces=Path("../shared/traces"))
    options = parser.parse_args()
    longest, seeds = (20_000, SEEDS[:1]) if options.quick else (LONGEST, SEEDS)
    found: list[Cell] = []
    for name in CONTEXTS:
        path = options.traces / f"{name}.parquet"
        if path.exists():
            found += cells(Trace.read(path).head(longest), seeds)
            print(f"{name}: done", file=sys.stderr)
    if not found:
        sys.exit(f"none of {', '.join(CONTEXTS)} is in {options.traces}; give the folder of traces with --traces")
    mean = [float(np.mean([np.mean(getattr(cell, name)) for cell in found])) for name in ("without", "told")]
    means = (f"{mean[0]:.3f}", f"{mean[1]:.3f}", f"{mean[1] - mean[0]:+.3f}")
    best = f"{np.mean([cell.best for cell in found]):.3f}"
    total = ("mean", "", best, *means, "", f"{max(max(cell.losses) for cell in found):.2f}")
    columns = (
        "trace",
        "capacity",
        "best classical",
        "without",
        "with contexts",
        "gained",
        "seeds",
        "worst loss, points",
    )
    title = f"Share of the gap between LRU and MIN, first {longest:,} accesses, seeds {', '.join(map(str, seeds))}"
    table = harness.Table(title, columns, [*(cell.row() for cell in found), total])
    harness.report("context", options, [table], harness.Peers())


if __name__ == "__main__":
    main()
