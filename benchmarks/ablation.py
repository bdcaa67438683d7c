"""What each part of the learned policy brings: the policy without it, on the cells of the table of hit ratios.

Without the prior, it begins with one that knows nothing; without training, the shipped prior alone predicts; without
imputation, keys that have not returned are taken to wait half as long again as they have; without ghosts, a key that
was evicted returns as an unknown one; without the guard, no classical policy is ever followed. Shares, losses and costs
are those of the table of hit ratios.

    python -m benchmarks.ablation --traces ../shared/traces
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import harness
from benchmarks.cells import LEARNED, Cell, Kept, Subject, replay, subjects
from benchmarks.hit_ratio import CLASSICAL
from benchmarks.prior import empty_prior
from benchmarks.standings import standings, summary

PARTS = ("training", "imputation", "ghosts", "guard")
LONGEST = 150_000


def variants() -> dict[str, dict[str, object]]:
    """What is measured, and how a replay is told."""
    whole: dict[str, dict[str, object]] = {LEARNED: {}, "without prior": {"model": empty_prior()}}
    return whole | {f"without {part}": {"without": [part]} for part in PARTS}


def measure(subject: Subject, kept: Kept, seeds: int, commit: str) -> Iterator[Cell]:
    """All variants on one trace, and what they are compared with."""
    for place in subject.places():
        for policy in (*CLASSICAL, "min"):
            run = partial(replay, subject, place, policy, label=policy, seed=0, commit=commit)
            yield kept.get(place, policy, 0, run)
        for label, setting in variants().items():
            for seed in range(seeds):
                run = partial(replay, subject, place, LEARNED, label=label, seed=seed, commit=commit, **setting)
                yield kept.get(place, label, seed, run)


def main() -> None:
    """Measures and reports."""
    options = arguments()
    if not any(options.traces.glob("*.parquet")):
        sys.exit(f"no Parquet file in {options.traces}; give the folder of traces with --traces")
    kept, commit, cells = Kept(options.keep, options.again.split(",")), harness.commit(), []
    for subject in subjects(options.traces, options.only, options.longest, "unit"):
        cells += measure(subject, kept, options.seeds, commit)
        print(f"{subject.trace.name}: done", file=sys.stderr)
    notes = (__doc__ or "").split("\n\n", 1)[1].strip()
    notes += f"\n\nThe first {options.longest:,} accesses of each trace; seeds: {options.seeds}."
    table = summary("The learned policy without a part", standings(cells, CLASSICAL))
    harness.report("ablation", options, [table], harness.Peers(), notes=notes)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = harness.parser(__doc__)
    parser.set_defaults(traces=Path("../shared/traces"))
    parser.add_argument("--only", default="", help="names of traces, comma-separated; all by default")
    parser.add_argument("--longest", type=int, default=LONGEST, help="accesses of a trace, at most")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each variant in each cell")
    parser.add_argument("--keep", type=Path, help="file of cells: what it holds is not measured again")
    parser.add_argument("--again", default="", help="policies, comma-separated, that are measured again nevertheless")
    return parser.parse_args()


if __name__ == "__main__":
    main()
