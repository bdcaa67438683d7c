"""Runs all benchmarks that need no traces and little time, and rewrites their results: `python -m benchmarks`."""

import subprocess
import sys

# `hit_ratio` needs traces, and hours
BENCHMARKS = (
    "operations",
    "learning",
    "memory",
    "simulator",
    "recording",
    "coherence",
    "warm_start",
    "near_cache_faults",
)


def main() -> int:
    """Runs each in a process of its own, with the arguments given; returns how many failed."""
    commands = [[sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]] for name in BENCHMARKS]
    return sum(subprocess.run(command, check=False).returncode != 0 for command in commands)


if __name__ == "__main__":
    sys.exit(main())
