"""Requests in large caches: what they cost with the learned policy and with LRU, and what learning keeps per entry.

Keys are drawn by popularity (Zipf, exponent 0.8, ten keys for each entry), and half of them drift; the cache is full
before the first request, and is warmed up by as many as are measured. Times are those of the thread that serves; a
fit is the work of another. The slowest thousand requests tell of pauses.

    python -m benchmarks.large_caches
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from benchmarks import harness

ROOT = Path(__file__).parent.parent
POLICIES = ("lru", "learned")
SIZES = (30_000, 1_000_000, 10_000_000)
REQUESTS = 1_000_000
COMMAND = ("cargo", "run", "--quiet", "--release", "--package", "forecache-core", "--example", "large", "--")


def run(entries: int, policy: str, requests: int) -> list[float]:
    """Nanoseconds per request, of the slowest thousand, hit ratio, bytes for learning per entry."""
    command = [*COMMAND, str(entries), policy, str(requests)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def main() -> None:
    """Measures and reports."""
    options = arguments()
    rows = []
    first: dict[str, float] = {}
    for entries in [size for size in SIZES if size <= options.most]:
        found = {policy: run(entries, policy, options.requests) for policy in POLICIES}
        for policy, (cost, slowest, hit_ratio, memory) in found.items():
            times = f"{cost / first.setdefault(policy, cost):.2f}"
            beyond = f"{cost - found['lru'][0]:.0f}"
            row = (f"{entries:,}", policy, f"{cost:.0f}", beyond, times, f"{slowest:.0f}", f"{hit_ratio:.4f}")
            rows.append((*row, f"{memory:.1f}" if memory else ""))
    columns = ("entries", "policy", "ns", "beyond LRU", "times the smallest", "slowest 1,000", "hit ratio", "bytes")
    table = harness.Table("Nanoseconds per request, and bytes for learning per entry", columns, rows)
    notes = (__doc__ or "").split("\n\n", 1)[1].strip()
    harness.report("large_caches", options, [table], harness.Peers(), notes=notes)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = harness.parser(__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="entries at most: ten million take 2 GB")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
