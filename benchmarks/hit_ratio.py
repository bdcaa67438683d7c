"""Hit ratios on real traces: our policies, perfect foresight, and libCacheSim's policies, each on the same cells.

A cell is a trace at a capacity of 0.1 %, 1 % or 10 % of its distinct keys, at least 20 entries; unit weights, cold
start, every access counted. A policy's share of the gap is (hits − LRU's) / (MIN's − LRU's), at least −1, and is
averaged over the cells whose gap is above half a point. A loss is what a policy lacks to the best of our classical
policies in the same cell, in points.

    python -m benchmarks.hit_ratio --traces ../shared/traces
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from forecache import _core
from forecache.record.trace import Trace

SHARES = (0.001, 0.01, 0.1)
FEWEST_ENTRIES = 20
SMALLEST_GAP = 0.005
CLASSICAL = [name for name in _core.POLICIES if name not in {"fifo", "learned"}]
PEERS = ("ARC", "S3FIFO", "Sieve", "LIRS", "TwoQ", "WTinyLFU", "Cacheus", "LHD", "ThreeLCache", "LRB")


@dataclass(frozen=True, slots=True)
class Cell:
    """What one policy reached in one cell."""

    trace: str
    share: float
    capacity: int
    policy: str
    hit_ratio: float
    seconds: float


def own_cells(name: str, accesses: _core.Accesses, policies: Iterable[str]) -> Iterable[Cell]:
    """Our policies on one trace."""
    for share, capacity in capacities(accesses):
        for policy in policies:
            simulation = _core.Simulation(accesses, policy, capacity)
            started = time.perf_counter()
            _, hits, _, _ = simulation.run(len(accesses))
            yield Cell(name, share, capacity, policy, hits / len(accesses), time.perf_counter() - started)


def peer_cells(name: str, trace: Trace, accesses: _core.Accesses, policies: Iterable[str]) -> Iterable[Cell]:
    """The policies of libCacheSim on one trace, which they read from a file of their own."""
    import libcachesim

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "trace.oracleGeneral")
        trace.write(path)
        settings = libcachesim.ReaderInitParam(ignore_obj_size=True)
        reader = libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE, settings)
        for share, capacity in capacities(accesses):
            for policy in policies:
                cache = getattr(libcachesim, policy)(capacity)
                started = time.perf_counter()
                miss_ratio, _ = cache.process_trace(reader)
                yield Cell(name, share, capacity, f"{policy}*", 1 - miss_ratio, time.perf_counter() - started)


def capacities(accesses: _core.Accesses) -> list[tuple[float, int]]:
    """The capacities of a trace's cells, in entries."""
    sizes = [(share, int(accesses.unique * share)) for share in SHARES]
    return [(share, size) for share, size in sizes if size >= FEWEST_ENTRIES]


def shares_of_gap(cells: list[Cell]) -> dict[str, list[float]]:
    """Each policy's share of the gap between LRU and MIN, cell by cell."""
    shares = defaultdict(list)
    for group in by_cell(cells).values():
        low, high = group["lru"], group["min"]
        if high - low > SMALLEST_GAP:
            for policy, hit_ratio in group.items():
                shares[policy].append(max(-1.0, (hit_ratio - low) / (high - low)))
    return shares


def worst_losses(cells: list[Cell]) -> dict[str, float]:
    """The most points a policy lacks in any cell to the best of our classical policies there."""
    losses: dict[str, float] = defaultdict(lambda: -100.0)
    for group in by_cell(cells).values():
        best = max(group[policy] for policy in CLASSICAL)
        for policy, hit_ratio in group.items():
            losses[policy] = max(losses[policy], 100 * (best - hit_ratio))
    return losses


def by_cell(cells: list[Cell]) -> dict[tuple[str, float], dict[str, float]]:
    """Hit ratios by policy, for each cell; the best classical policy of each counts as one more."""
    groups: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
    for cell in cells:
        groups[cell.trace, cell.share][cell.policy] = cell.hit_ratio
    for group in groups.values():
        group["best classical"] = max(group[policy] for policy in CLASSICAL)
    return groups


def extra_nanoseconds(cells: list[Cell], requests: dict[str, int]) -> dict[str, float]:
    """What a policy's requests cost beyond LRU's in the same cell, on average over the cells."""
    seconds = {(cell.trace, cell.share, cell.policy): cell.seconds for cell in cells}
    extra = defaultdict(list)
    for (trace, share, policy), own in seconds.items():
        extra[policy].append((own - seconds[trace, share, "lru"]) / requests[trace] * 1e9)
    return {policy: float(np.mean(values)) for policy, values in extra.items()}


def summary(cells: list[Cell], requests: dict[str, int]) -> str:
    """The table of policies, best first."""
    shares, losses, extra = shares_of_gap(cells), worst_losses(cells), extra_nanoseconds(cells, requests)
    lines = [
        "| policy | cells | mean share of the gap | worst share | worst loss, points | ns beyond LRU |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for policy, values in sorted(shares.items(), key=lambda item: -np.mean(item[1])):
        cost = f"{extra[policy]:.0f}" if policy in extra and not policy.endswith("*") else ""
        figures = f"{len(values)} | {np.mean(values):.3f} | {min(values):.2f} | {losses[policy]:.2f} | {cost}"
        lines.append(f"| {policy} | {figures} |")
    return "\n".join(lines)


def details(cells: list[Cell]) -> str:
    """The table of cells."""
    groups = by_cell(cells)
    policies = list(dict.fromkeys(cell.policy for cell in cells))
    lines = [f"| trace | share | {' | '.join(policies)} |", "|---|--:|" + "--:|" * len(policies)]
    for (trace, share), group in groups.items():
        figures = " | ".join(f"{group[policy]:.4f}" if policy in group else "" for policy in policies)
        lines.append(f"| {trace} | {share:g} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    """Runs all cells and prints, or writes, the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, default=Path("../shared/traces"), help="folder of Parquet traces")
    parser.add_argument("--policies", default=",".join((*_core.POLICIES, "min")))
    parser.add_argument("--peers", default=",".join(PEERS), help="of libCacheSim, where installed; '' for none")
    parser.add_argument("--only", default="", help="names of traces, comma-separated; all by default")
    parser.add_argument("--output", type=Path, help="write the tables to this Markdown file")
    parser.add_argument("--json", action="store_true", help="print the cells as JSON, and nothing else")
    arguments = parser.parse_args()
    paths = sorted(arguments.traces.glob("*.parquet"))
    if not paths:
        sys.exit(f"no Parquet file in {arguments.traces}; give the folder of traces with --traces")
    peers = [name for name in arguments.peers.split(",") if name]
    if peers and find_spec("libcachesim") is None:
        print("libcachesim is not installed: its policies are skipped", file=sys.stderr)
        peers = []
    cells: list[Cell] = []
    requests = {}
    for path in paths:
        if arguments.only and path.stem not in arguments.only.split(","):
            continue
        trace = Trace.read(path)
        accesses = _core.Accesses(trace.key)
        requests[path.stem] = len(accesses)
        cells += own_cells(path.stem, accesses, arguments.policies.split(","))
        cells += peer_cells(path.stem, trace, accesses, peers)
        print(f"{path.stem}: done", file=sys.stderr)
    if arguments.json:
        print(json.dumps([asdict(cell) for cell in cells]))
        return
    tables = f"{summary(cells, requests)}\n\n{details(cells)}\n"
    print(tables)
    if arguments.output:
        arguments.output.write_text(tables)


if __name__ == "__main__":
    main()
