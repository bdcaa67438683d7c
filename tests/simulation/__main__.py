"""`python -m tests.simulation`: schedules of many seeds, on all cores; a seed that fails can be told again.

--seeds N      how many, from --first on; 100,000 unless told otherwise
--mutants      in how many schedules each mutant is noticed first, among so many
--replay SEED  what happens in one schedule, event by event
--synchronous  where commits wait until no process answers with what was there before
"""

# ruff: noqa: T201 - what it is for
from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import get_context

from tests.simulation.mutants import MUTANTS, SYNCHRONOUS
from tests.simulation.world import World, run

CHUNK = 250


def chunk(seeds: range, *, is_synchronous: bool) -> tuple[Counter[str], list[str]]:
    """What some schedules came to, and what they violated."""
    counts, failures = Counter[str](), []
    for seed in seeds:
        try:
            counts += run(seed, is_synchronous=is_synchronous)
        except AssertionError as error:
            failures.append(str(error))
    return counts, failures


def many(first: int, count: int, *, is_synchronous: bool) -> int:
    """Runs them, and prints one line; returns the exit status."""
    began, counts, failures = time.monotonic(), Counter[str](), []
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    with get_context("fork").Pool(os.cpu_count()) as pool:
        for counted, failed in pool.imap_unordered(partial(chunk, is_synchronous=is_synchronous), chunks):
            counts += counted
            failures += failed
            for each in failed:
                print(each, flush=True)
    what = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    print(f"{count:,} schedules: {what}; {time.monotonic() - began:.0f} s, {len(failures)} violations")
    return 1 if failures else 0


def mutants(count: int, *, is_synchronous: bool) -> int:
    """Prints for each mutant the first schedule that notices it."""
    print(f"| {'without':<28} | first of {count:,} schedules |")
    for name, mutant in (SYNCHRONOUS if is_synchronous else MUTANTS).items():
        there = [(where, attribute, where.__dict__[attribute]) for where, attribute, _ in mutant]
        for where, attribute, replaced in mutant:
            setattr(where, attribute, replaced)
        fails = partial(chunk, is_synchronous=is_synchronous)
        found = next((seed for seed in range(count) if fails(range(seed, seed + 1))[1]), None)
        for where, attribute, was in there:
            setattr(where, attribute, was)
        print(f"| {name:<28} | {'none' if found is None else found + 1:>25} |", flush=True)
    return 0


def replay(seed: int, *, is_synchronous: bool) -> int:
    """Prints what happens in a schedule."""
    world = World(seed, is_synchronous=is_synchronous, is_traced=True)
    try:
        world.run()
    except AssertionError as error:
        world.loop.trace.append(str(error))
    print("\n".join(world.loop.trace))
    return 0


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Simulates the beacon protocol.")
    parser.add_argument("--seeds", type=int, default=100_000, help="schedules")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--mutants", action="store_true", help="which mutants are noticed")
    parser.add_argument("--replay", type=int, metavar="SEED", help="one schedule, event by event")
    parser.add_argument("--synchronous", action="store_true", help="commits wait until no process answers older")
    given = parser.parse_args()
    is_synchronous = given.synchronous
    if given.replay is not None:
        return replay(given.replay, is_synchronous=is_synchronous)
    if given.mutants:
        return mutants(given.seeds, is_synchronous=is_synchronous)
    return many(given.first, given.seeds, is_synchronous=is_synchronous)


if __name__ == "__main__":
    sys.exit(main())
