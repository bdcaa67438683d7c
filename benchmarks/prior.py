"""The shipped prior: how it is made, and what it brings to workloads that it has not seen.

`--write FILE` learns a prior from generated workloads and from the openly licensed traces in the folder, and writes it:
`make prior`. Without it, each trace is served by the learned policy with a prior that has seen no trace of the same
domain, and the table tells what a user of such a workload gets: hit ratios as shares of the gap between LRU and MIN.
Rows are those of a policy that began with no prior, so that the result does not depend on the one shipped now.

    python -m benchmarks.prior --traces ../shared/traces --workloads target/workloads
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks import harness
from forecache import _core
from forecache.learn.dataset import Dataset
from forecache.learn.evaluate import CLASSICAL, FALLBACK, LEARNED
from forecache.learn.model import Model
from forecache.learn.predictor import ForestPredictor
from forecache.learn.training import train
from forecache.record.trace import Trace
from forecache.units import Capacity

OPEN = {"twitter_c52": "social", "orm_busy": "shop", "web12": "shop"}  # CC BY 4.0, by domain
DOMAINS = OPEN | {"scarab_recs": "shop", "wiki_edits": "social"}  # of the others, those that share one with these
LEARNED_FROM = ("0.1%", "0.3%", "1%", "3%", "10%")
JUDGED_AT = ("0.1%", "1%", "10%")
ROWS = {"generated": 4000, "recorded": 16_000}  # of one trace at one capacity
LONGEST = 500_000  # accesses of a recorded trace
FEWEST_ENTRIES = 20
SMALLEST_GAP = 0.005
FOREST = ForestPredictor(trees=160, depth=4)


@dataclass(frozen=True, slots=True)
class Cell:
    """Hit ratios on one trace at one capacity, by policy."""

    trace: str
    share: str
    hits: dict[str, float]

    def gap_closed(self, policy: str) -> float:
        """(hit ratio − LRU's) / (MIN's − LRU's), at least −1."""
        low, high = self.hits["lru"], self.hits["min"]
        return max(-1.0, (self.hits[policy] - low) / (high - low))

    def loss(self, policy: str) -> float:
        """Points that a policy lacks to the best classical one."""
        return 100 * (max(self.hits[name] for name in CLASSICAL) - self.hits[policy])


def empty_prior() -> bytes:
    """A prior that knows nothing."""
    nothing = np.empty(0, dtype=np.float32)
    forest = _core.Predictor.forest(b"", nothing.data, trees=0, depth=1, rate=0.1, ridge=1.0, share=1.0)
    return forest.to_bytes("{}")


def generated(folder: Path) -> Iterator[Trace]:
    """The workloads that the example `prior` of the core wrote."""
    for path in sorted(folder.glob("*.keys64")):
        yield Trace.from_columns(np.fromfile(path, dtype="<u8"), name=path.stem)


def recorded(folder: Path, names: Iterable[str], longest: int) -> Iterator[Trace]:
    """Those of the traces that are in the folder."""
    for name in names:
        path = folder / f"{name}.parquet"
        if path.exists():
            yield Trace.read(path).head(longest)


def samples(trace: Trace, most: int, model: bytes) -> Dataset:
    """The rows of one trace at all capacities."""
    entries = sorted({Capacity.parse(share).resolve(trace) for share in LEARNED_FROM})
    parts = [Dataset.of(trace, size, most=most, model=model) for size in entries if size >= FEWEST_ENTRIES]
    return Dataset.join([part for part in parts if len(part)])


def learn(data: dict[str, Dataset], about: dict[str, object]) -> Model:
    """A prior from some of the traces."""
    return train(FOREST, Dataset.join(list(data.values())), about)


def replay(accesses: _core.Accesses, policy: str, capacity: int, model: bytes | None = None) -> float:
    """The hit ratio of one policy from an empty cache."""
    simulation = _core.Simulation(accesses, policy, capacity, model=model)
    return simulation.run(len(accesses))[1] / len(accesses)


def cells(trace: Trace, priors: dict[str, bytes | None]) -> Iterator[Cell]:
    """All policies, and the learned one with every prior, at all capacities."""
    accesses = trace.accesses()
    for share in JUDGED_AT:
        capacity = Capacity.parse(share).resolve(trace)
        if capacity >= FEWEST_ENTRIES:
            hits = {policy: replay(accesses, policy, capacity) for policy in (*CLASSICAL, "min")}
            hits |= {name: replay(accesses, LEARNED, capacity, model) for name, model in priors.items()}
            if hits["min"] - hits["lru"] > SMALLEST_GAP:
                yield Cell(trace.name, share, hits)


def main() -> None:
    """Writes the prior, or prints the tables."""
    options = arguments()
    about = {"generated": sorted({trace.name.split("-")[0] for trace in generated(options.workloads)})}
    model = empty_prior()
    data = {trace.name: samples(trace, ROWS["generated"], model) for trace in generated(options.workloads)}
    if not data:
        sys.exit(f"no generated workload in {options.workloads}; run `make prior`, which writes them")
    open_traces = {}
    for trace in recorded(options.traces, OPEN, options.longest):
        open_traces[trace.name] = samples(trace, ROWS["recorded"], model)
    print(f"{len(data)} generated workloads; {', '.join(open_traces) or 'no recorded trace'}", file=sys.stderr)
    if options.write:
        about |= {"traces": sorted(open_traces), "licence": "CC BY 4.0", "capacities": LEARNED_FROM}
        prior = learn(data | open_traces, about)
        prior.save(options.write)
        print(f"{options.write}: {len(prior.to_bytes()):,} bytes from {prior.metadata['rows']:,} rows")
        return

    @cache
    def unseen_by(domain: str) -> bytes:
        others = {name: rows for name, rows in open_traces.items() if OPEN[name] != domain}
        return learn(data | others, {}).to_bytes()

    only_generated = learn(data, {}).to_bytes()
    found = []
    names = [path.stem for path in sorted(options.traces.glob("*.parquet"))]
    for trace in recorded(options.traces, names, options.longest):
        prior = unseen_by(DOMAINS.get(trace.name, ""))
        priors = {"this prior": prior, "generated only": only_generated, "no prior": model, "shipped": None}
        found += cells(trace, priors)
        print(f"{trace.name}: done", file=sys.stderr)
    harness.report("prior", options, [summary(found), details(found)], harness.Peers())


def summary(found: Sequence[Cell]) -> harness.Table:
    """The means over all cells."""
    policies = [name for name in found[0].hits if name not in {"min", "lru"}]
    rows = [
        (
            name,
            f"{np.mean([cell.gap_closed(name) for cell in found]):.3f}",
            f"{min(cell.gap_closed(name) for cell in found):.2f}",
            f"{max(cell.loss(name) for cell in found):.2f}",
        )
        for name in policies
    ]
    rows.sort(key=lambda row: -float(row[1]))
    return harness.Table("Summary", ("policy", "mean share of the gap", "worst share", "worst loss, points"), rows)


def details(found: Sequence[Cell]) -> harness.Table:
    """Every cell."""
    shown = ["this prior", "generated only", "no prior", "shipped", FALLBACK]
    rows = [(cell.trace, cell.share, *(f"{cell.gap_closed(name):.3f}" for name in shown)) for cell in found]
    return harness.Table("Share of the gap, by trace and capacity", ("trace", "capacity", *shown), rows)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = harness.parser(__doc__)
    parser.set_defaults(traces=Path("../shared/traces"))
    parser.add_argument(
        "--workloads", type=Path, default=Path("target/workloads"), help="folder of generated workloads"
    )
    parser.add_argument("--longest", type=int, default=LONGEST, help="accesses of a trace, at most")
    parser.add_argument("--write", type=Path, help="write the prior to this file, and nothing else")
    return parser.parse_args()


if __name__ == "__main__":
    main()
