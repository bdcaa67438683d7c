"""Hit ratios on real traces: our policies, perfect foresight, and those of others, each on the same cells.

A cell is a trace at a capacity of 0.1 %, 1 % or 10 % of its distinct keys (below: of their bytes), at least 20 of them;
smaller cells are left out. Every access counts, from an empty cache. A policy's share of the gap is (its hit ratio −
LRU's) / (MIN's − LRU's), at least −1, over the cells whose gap is above half a point. A loss is what it lacks, in
points, to the best of our classical policies in the same cell: by its mean over the seeds, and with any seed. Costs are
nanoseconds of processor time per request beyond those of our LRU in the same cell, and those of training, which a live
cache leaves to a thread of its own. A star marks policies of others.

    python -m benchmarks.hit_ratio --traces ../shared/traces
    python -m benchmarks.hit_ratio --keep cells.json --again learned    # measures only what is missing, or named
    python -m benchmarks.hit_ratio --traces others --name hit_ratio_others
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import harness
from benchmarks.cells import LEARNED, Cell, Kept, Subject, replay, subjects
from benchmarks.peers import peers
from benchmarks.standings import Ratio, Standing, details, everything, standings, summary
from forecache import _core
from forecache.units import Weights

CLASSICAL = [name for name in _core.POLICIES if name not in {"fifo", LEARNED}]
BY_SIZE = ("lru", "s3fifo", "arc", "tinylfu", "min")
OBJECTIVES = ("objects", "bytes")
QUICK = 20_000
NAME = "hit_ratio"


def own(subject: Subject, kept: Kept, seeds: int, commit: str) -> Iterator[Cell]:
    """Our policies on one trace; those that learn with several seeds."""
    for place in subject.places():
        for policy in (*_core.POLICIES, "min") if subject.weights == "unit" else BY_SIZE:
            if policy != LEARNED:
                run = partial(replay, subject, place, policy, label=policy, seed=0, commit=commit)
                yield kept.get(place, policy, 0, run)
        for label, objective in labels(subject.weights).items():
            for seed in range(seeds):
                setting = {"label": label, "seed": seed, "commit": commit, "objective": objective}
                run = partial(replay, subject, place, LEARNED, **setting)
                yield kept.get(place, label, seed, run)


def labels(weights: Weights) -> dict[str, str]:
    """What the learned policy is called, and its objective."""
    return {LEARNED: "objects"} if weights == "unit" else {f"{LEARNED} {what}": what for what in OBJECTIVES}


def others(subject: Subject, kept: Kept, installed: Sequence[str], commit: str) -> Iterator[Cell]:
    """The policies of others on one trace."""
    modules = {name: importlib.import_module(name) for name in installed}
    with peers(modules, subject, commit) as found:
        for peer in found:
            for place in subject.places():
                yield kept.get(place, peer.name, 0, partial(peer.measure, place))


def measure(options: argparse.Namespace, weights: Weights, peers: Sequence[str]) -> list[Cell]:
    """All cells of all traces."""
    kept, commit, cells = Kept(options.keep, options.again.split(",")), harness.commit(), []
    for subject in subjects(options.traces, options.only, QUICK if options.quick else options.longest, weights):
        cells += own(subject, kept, options.seeds, commit)
        cells += others(subject, kept, peers, commit)
        print(f"{subject.trace.name}, {weights}: done", file=sys.stderr)
    return cells


def by_bytes(cells: Sequence[Cell]) -> list[harness.Table]:
    """The tables of weighted entries: what is to be large is hits, and then their bytes."""
    asked: tuple[tuple[Ratio, str], ...] = (("hit_ratio", "Hit ratio"), ("byte_hit_ratio", "Byte hit ratio"))
    return [everything(f"{title}, capacity in bytes", standings(cells, CLASSICAL, ratio)) for ratio, title in asked]


def tables(unit: Sequence[Cell], size: Sequence[Cell]) -> list[harness.Table]:
    """All tables."""
    found: list[Standing] = standings(unit, CLASSICAL)
    made = [
        summary("Policies", found),
        details("The learned policy, cell by cell", found, LEARNED),
        everything("Hit ratios", found),
    ]
    return made + (by_bytes(size) if size else [])


def main() -> None:
    """Measures what is not known yet, and reports."""
    options = arguments()
    if not any(options.traces.glob("*.parquet")):
        sys.exit(f"no Parquet file in {options.traces}; give the folder of traces with --traces")
    installed = harness.Peers()
    names = [] if options.no_peers else [n for n in ("libcachesim", "theine") if installed.find(n)]
    unit, size = (measure(options, weights, names) for weights in ("unit", "size"))
    commits = ", ".join(dict.fromkeys(cell.commit for cell in unit if cell.policy == LEARNED))
    known = dict.fromkeys(cell.commit for cell in unit if cell.policy != LEARNED)
    notes = (__doc__ or "").split("\n\n", 1)[1].strip()
    notes += f"\n\nSeeds of the learned policy: {options.seeds}. It was measured at {commits}, the others at "
    if options.name != NAME:
        options.command = f"python -m benchmarks.{NAME} --traces DIRECTORY --name {options.name}"
    harness.report(options.name, options, tables(unit, size), installed, notes=notes + ", ".join(known) + ".")


def arguments() -> argparse.Namespace:
    """The options."""
    parser = harness.parser(__doc__)
    parser.set_defaults(traces=Path("../shared/traces"))
    parser.add_argument("--only", default="", help="names of traces, comma-separated; all by default")
    parser.add_argument("--longest", type=int, help="accesses of a trace, at most; all by default")
    parser.add_argument("--seeds", type=int, default=2, help="runs of the learned policy in each cell")
    parser.add_argument("--keep", type=Path, help="file of cells: what it holds is not measured again")
    parser.add_argument("--again", default="", help="policies, comma-separated, that are measured again nevertheless")
    parser.add_argument("--name", default=NAME, help="of the results: other traces get a file of their own")
    parser.add_argument("--no-peers", action="store_true", help="our policies only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
